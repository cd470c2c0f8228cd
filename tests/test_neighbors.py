import importlib.util
import json
import tracemalloc

import numpy as np
import pytest
from oracles import nearest_rows
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from benchmarks import neighbors as benchmark
from kingdra_cluster import neighbors as module
from kingdra_cluster.neighbors import METRICS, nearest_neighbors, neighbor_accuracy, neighbor_votes

each_metric = pytest.mark.parametrize("metric", METRICS)
needs_faiss = pytest.mark.skipif(not importlib.util.find_spec("faiss"), reason="faiss is not installed")


def make_rows(kind, metric="cosine"):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 12))
    found = {
        "float64": rows,
        "float32": rng.normal(size=(5000, 24)).astype(np.float32),  # several blocks
        "float16": rows.astype(np.float16),
        "uint8": rng.integers(0, 255, (300, 20)).astype(np.uint8),
        "few values": rng.integers(0, 2, (500, 6)),
        "bool": rng.random((200, 30)) < 0.5,
        "fortran": np.asfortranarray(rows),
        "every second column": rows[:, ::2],
        "far from the origin": 1e4 + rows,
        "one outlier": np.concatenate([rows, np.full((1, 12), 1e6)]),
        "tf-idf": sparse.random(600, 500, 0.04, format="csr", random_state=0),
        "half full": sparse.random(300, 40, 0.5, format="csr", random_state=0),
        "csc": sparse.random(300, 40, 0.05, format="csc", random_state=0),
        "csr array": sparse.csr_array(rows * (rows > 1.2)),
        "one column": rows[:, :1],
    }[kind]
    return abs(found) if metric == "hellinger" and found.dtype.kind == "f" else found


KINDS = "float64,float32,float16,uint8,few values,bool,fortran,every second column,far from the origin,one outlier"
KINDS = [*KINDS.split(","), "tf-idf", "half full", "csc", "csr array", "one column"]


def dense(X):
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)


# Exactness


@each_metric
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_oracle_ties_included(kind, metric):
    X = make_rows(kind, metric)
    found = nearest_neighbors(X, 7, metric=metric)
    assert (found.dtype, found.shape) == (np.intp, (X.shape[0], 7))
    if metric != "euclidean" and kind in {"one column", "csc", "csr array", "bool"}:  # equal angles, but for rounding
        expected = nearest_rows(dense(X), 7, metric)
        X = np.sqrt(dense(X)) if metric == "hellinger" else X
        np.testing.assert_allclose(cosines(X, found), cosines(X, expected), atol=1e-12)
    else:
        np.testing.assert_array_equal(found, nearest_rows(dense(X), 7, metric))


def cosines(X, neighbors):
    X = dense(X)
    lengths = np.linalg.norm(X, axis=1)
    X = X / np.where(lengths > 0, lengths, 1)[:, None]
    return np.einsum("ij,ikj->ik", X, X[neighbors])


@each_metric
def test_equals_scikit_learn(metric):
    X = make_rows("float64", metric)
    known, rows = ("cosine", np.sqrt(X)) if metric == "hellinger" else (metric, X)
    expected = NearestNeighbors(n_neighbors=20, algorithm="brute", metric=known).fit(rows).kneighbors()[1]
    np.testing.assert_array_equal(nearest_neighbors(X, 20, metric=metric), expected)


@each_metric
@pytest.mark.parametrize("kind", ["float64", "float32", "tf-idf", "one outlier"])
def test_held_out_rows_find_rows_of_the_other_matrix(kind, metric):
    X = make_rows(kind, metric)
    queries, X = X[:50], X[50:]
    found = nearest_neighbors(X, 5, metric=metric, queries=queries)
    np.testing.assert_array_equal(found, nearest_rows(dense(X), 5, metric, dense(queries)))


@each_metric
def test_a_row_asked_for_again_finds_itself(metric):
    X = make_rows("float64", metric)
    np.testing.assert_array_equal(nearest_neighbors(X, 1, metric=metric, queries=X)[:, 0], np.arange(len(X)))


@each_metric
@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e30, 1e200])
def test_the_unit_does_not_matter(metric, unit):
    X = make_rows("float64", metric)
    np.testing.assert_array_equal(nearest_neighbors(X * unit, 9, metric=metric), nearest_neighbors(X, 9, metric=metric))


def test_tight_groups_far_apart_are_told_apart():
    """Float32 alone would see each group as one point."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0.0], [1e3, 1e3]], 100, axis=0) + rng.normal(size=(200, 2)) * 1e-2
    expected = nearest_rows(X, 5, "euclidean")
    np.testing.assert_array_equal(nearest_neighbors(X, 5, metric="euclidean"), expected)


@each_metric
@pytest.mark.parametrize("n_neighbors", [1, 30, 398, 399])
def test_any_number_of_neighbours_up_to_all_others(metric, n_neighbors):
    X = make_rows("float64", metric)
    expected = nearest_rows(X, n_neighbors, metric)
    np.testing.assert_array_equal(nearest_neighbors(X, n_neighbors, metric=metric), expected)


# Duplicates, zeros


@each_metric
def test_duplicates_are_neighbours_in_order_of_index_and_no_row_is_its_own(metric):
    X = np.repeat(np.random.default_rng(0).uniform(size=(30, 6)), 20, axis=0)
    found = nearest_neighbors(X, 7, metric=metric)
    np.testing.assert_array_equal(found, nearest_rows(X, 7, metric))
    assert not (found == np.arange(len(X))[:, None]).any()
    np.testing.assert_array_equal(found // 20, np.repeat(np.arange(30), 20)[:, None] + np.zeros((1, 7)))


@each_metric
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_equal_rows_come_in_order_of_index(metric, value, container):
    found = nearest_neighbors(container(np.full((2500, 3), value)), 3, metric=metric)
    expected = np.tile([0, 1, 2], (2500, 1))
    expected[:3] = [[1, 2, 3], [0, 2, 3], [0, 1, 3]]
    np.testing.assert_array_equal(found, expected)


def test_a_row_of_zeros_has_the_cosine_0_with_every_row():
    X = np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [1.0, 0.0]])
    np.testing.assert_array_equal(nearest_neighbors(X, 3), [[1, 2, 3], [0, 2, 3], [3, 0, 1], [2, 0, 1]])


@each_metric
def test_the_order_of_the_rows_does_not_matter(metric):
    X = make_rows("float64", metric)
    order = np.argsort(X[:, 0])  # far worse for a running threshold than any random order
    renamed = order[nearest_neighbors(X[order], 5, metric=metric)]
    np.testing.assert_array_equal(renamed, nearest_neighbors(X, 5, metric=metric)[order])


# Memory


@each_metric
def test_a_memory_mapped_matrix_is_read_block_by_block(tmp_path, metric):
    X = np.random.default_rng(0).uniform(size=(6000, 32)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(nearest_neighbors(mapped, 3, metric=metric), nearest_neighbors(X, 3, metric=metric))


def test_memory_does_not_grow_with_the_square_of_the_rows():
    X = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    tracemalloc.start()
    nearest_neighbors(X, 5, metric="euclidean")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6 < 4 * len(X) ** 2


# Errors


def test_errors_name_the_argument():
    X = make_rows("float64")
    with pytest.raises(ValueError, match="n_neighbors must be at most the number of other rows of X, 399, got 400"):
        nearest_neighbors(X, 400)
    with pytest.raises(ValueError, match="n_neighbors must be at most the number of rows of X, 400, got 401"):
        nearest_neighbors(X, 401, queries=X)
    with pytest.raises(ValueError, match="n_neighbors must be an integer of at least 1; received n_neighbors=0"):
        nearest_neighbors(X, 0)
    with pytest.raises(TypeError, match="n_neighbors must be an integer"):
        nearest_neighbors(X, 2.0)
    with pytest.raises(ValueError, match="metric must be one of cosine, euclidean, hellinger, got 'l2'"):
        nearest_neighbors(X, 2, metric="l2")
    with pytest.raises(ValueError, match="X must have no negative entries for metric='hellinger', got -"):
        nearest_neighbors(X, 2, metric="hellinger")
    with pytest.raises(ValueError, match="backend must be one of auto, numpy, faiss, got 'annoy'"):
        nearest_neighbors(X, 2, backend="annoy")
    with pytest.raises(ValueError, match=r"X must have the shape \(n, n_features\), got \(400,\)"):
        nearest_neighbors(X[:, 0], 2)
    with pytest.raises(ValueError, match="queries must have the 12 columns of X, got 3"):
        nearest_neighbors(X, 2, queries=X[:, :3])
    with pytest.raises(ValueError, match="at most the number of other rows of X, 0, got 1"):
        nearest_neighbors(X[:1], 1)


@each_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, np.float16])
def test_a_matrix_that_is_not_finite_is_refused(metric, bad, container):
    X = make_rows("float64", metric).copy()
    X[37, 2] = bad
    with pytest.raises(ValueError, match="X must be finite, got NaN or infinity in rows 0 to 399"):
        nearest_neighbors(container(X), 2, metric=metric)
    with pytest.raises(ValueError, match="queries must be finite"):
        nearest_neighbors(container(X)[:30], 2, metric=metric, queries=container(X))


# faiss


def test_a_sparse_matrix_is_not_for_faiss():
    with pytest.raises(ValueError, match="X must be dense for backend='faiss'"):
        nearest_neighbors(make_rows("tf-idf"), 2, backend="faiss")


def test_faiss_is_chosen_by_itself_only_for_many_dense_rows(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name)
    rows = module.PreparedRows(make_rows("float64"), "cosine")
    assert module._backend("auto", rows) == "numpy"
    monkeypatch.setattr(module, "MANY_ROWS", 399)
    assert module._backend("auto", rows) == "faiss"
    assert module._backend("auto", module.PreparedRows(make_rows("tf-idf"), "cosine")) == "numpy"
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert module._backend("auto", rows) == "numpy"


@needs_faiss
@each_metric
@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "far from the origin", "one outlier"])
def test_faiss_is_exact_up_to_many_rows(kind, metric):
    X = make_rows(kind, metric)
    expected = nearest_neighbors(X, 7, metric=metric, backend="numpy")
    np.testing.assert_array_equal(nearest_neighbors(X, 7, metric=metric, backend="faiss"), expected)
    X = np.repeat(X[:40], 30, axis=0)
    expected = nearest_neighbors(X, 7, metric=metric, queries=X[:9], backend="numpy")
    found = nearest_neighbors(X, 7, metric=metric, queries=X[:9], backend="faiss")
    np.testing.assert_array_equal(found, expected)


@needs_faiss
@each_metric
def test_the_graph_of_many_rows_finds_most(metric, monkeypatch):
    X = make_rows("float32", metric)
    monkeypatch.setattr(module, "MANY_ROWS", 1000)
    found, expected = (nearest_neighbors(X, 10, metric=metric, backend=b) for b in ("auto", "numpy"))
    assert np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, expected, strict=True)]) > 9.5
    assert not (found == np.arange(len(X))[:, None]).any()


# What is counted over neighbours


def test_accuracy_is_the_share_of_neighbours_of_the_same_class():
    neighbors = [[1, 2], [0, 2], [0, 1]]
    assert neighbor_accuracy(neighbors, [4, 4, 7]) == pytest.approx(2 / 6)
    assert neighbor_accuracy(neighbors, ["a", "a", "a"]) == 1
    assert neighbor_accuracy(neighbors, [1.5, 2.5, 3.5]) == 0


def test_votes_equal_a_loop_and_unlabelled_rows_have_none():
    rng = np.random.default_rng(0)
    neighbors, labels = rng.integers(0, 50, (70, 9)), rng.integers(-1, 4, 50)
    expected = np.zeros((70, 5), dtype=int)
    for row, own in enumerate(neighbors):
        for neighbor in own:
            if labels[neighbor] >= 0:
                expected[row, labels[neighbor]] += 1
    np.testing.assert_array_equal(neighbor_votes(neighbors, labels, 5), expected)


def test_counts_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="neighbors must be integers of the shape"):
        neighbor_accuracy([[0.5]], [1])
    with pytest.raises(ValueError, match=r"neighbors must be from 0 to 1, got values from -1 to 2"):
        neighbor_votes([[-1, 2]], [0, 0], 1)
    with pytest.raises(ValueError, match=r"one class or label a row, got the shape \(3,\) for 1 rows"):
        neighbor_accuracy([[0]], [0, 1, 2])
    with pytest.raises(ValueError, match="labels must be from 0 to 1"):
        neighbor_votes([[0]], [2], 2)


# The benchmark


def test_the_benchmark_runs_and_saves_its_numbers(tmp_path, capsys):
    benchmark.main(["--smoke", "--output", str(tmp_path / "numbers.json")])
    report = json.loads((tmp_path / "numbers.json").read_text())
    assert "sklearn x" in capsys.readouterr().out
    assert {line["metric"] for line in report["lines"]} == {"cosine", "euclidean"}
    assert not any(line["wrong"] for line in report["lines"])
    assert len(report["growth_exponents"]) == 8
