"""Units and offsets of the rows that are searched for neighbours."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kingdra_cluster.neighbors import METRICS, nearest_neighbors
from kingdra_cluster.prepared_rows import SomeRows


@pytest.mark.parametrize(
    ("offset", "spread"),
    [([1.2e9, 0, 0], [0, 1, 1]), ([1.7e9, 1.7e9, 1.7e9], [1, 1, 1]), ([1e8, 1e8, 1e8], [1e-3, 1e-3, 1e-3])],
)
def test_a_columns_offset_does_not_matter(offset, spread):
    X = offset + spread * np.random.default_rng(0).standard_normal((300, 3))
    centred = X - np.mean(X, axis=0)
    expected = np.argsort(cdist(centred, centred) + np.diag(np.full(300, np.inf)), axis=1)[:, :5]
    np.testing.assert_array_equal(nearest_neighbors(X, 5, metric="euclidean"), expected)


def test_entries_too_large_to_be_squared_are_refused():
    with pytest.raises(ValueError, match="X must have entries of at most 1e"):
        nearest_neighbors(np.array([[1.5e308], [1e308], [0.0]]), 1, metric="euclidean")


def test_rows_without_numbers_are_refused():
    with pytest.raises(TypeError, match="X must hold numbers, got the data type <U1"):
        nearest_neighbors([["a"], ["b"]], 1)


@pytest.mark.parametrize("metric", METRICS)
def test_some_rows_of_a_memory_mapped_matrix_are_not_copied(tmp_path, metric, monkeypatch):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).uniform(size=(3000, 2000)).astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    rows, queries = np.sort(np.random.default_rng(1).choice(3000, 2700, replace=False)), np.arange(50)
    expected = (
        nearest_neighbors(X[rows], 5, metric=metric),
        nearest_neighbors(X[rows], 5, metric=metric, queries=X[:50]),
    )
    monkeypatch.setattr("kingdra_cluster.prepared_rows.BLOCK_ENTRIES", 2**18)
    tracemalloc.start()
    some = SomeRows.of(X, rows)
    found = [nearest_neighbors(some, 5, metric=metric, queries=q) for q in (None, SomeRows.of(X, queries))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert peak < X.nbytes / 2
