import doctest
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from kingdra_cluster import unsup_metrics
from kingdra_cluster.unsup_metrics import (
    ACC,
    ARI,
    ECE,
    NMI,
    cluster_prototypes,
    match_clusters,
    purity,
    scan_consistency,
    scan_entropy,
    top_k_accuracy,
)
from tests.oracles import calibration_error

GOLDEN = sorted((Path(__file__).parent / "golden").glob("evaluation_*.npz"))
HARD = [ACC, NMI, ARI, purity, match_clusters]
quick = settings(deadline=None, derandomize=True, database=None, max_examples=150)
labelings = st.integers(1, 60).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-2, 5), min_size=n, max_size=n)] * 2))


def random_case(seed, n_rows=200, n_clusters=6):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, n_clusters, n_rows)
    probabilities = rng.dirichlet(np.full(n_clusters, 0.5), n_rows)
    probabilities += np.eye(n_clusters)[(y_true + 1) % n_clusters] * rng.random((n_rows, 1))
    return y_true, probabilities / probabilities.sum(axis=1, keepdims=True)


# Golden files and closed forms


def test_golden_files_are_there():
    assert len(GOLDEN) == 2


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_equals_published_code(path):
    with np.load(path, allow_pickle=False) as golden:
        y_true, probabilities = golden["y_true"], golden["probabilities"]
        y_pred = probabilities.argmax(axis=1)
        assert ACC(y_true, y_pred) == pytest.approx(float(golden["ACC"]), abs=1e-12)
        assert NMI(y_true, y_pred) == pytest.approx(float(golden["NMI"]), abs=1e-12)
        assert ARI(y_true, y_pred) == pytest.approx(float(golden["ARI"]), abs=1e-12)
        assert top_k_accuracy(y_true, probabilities) == pytest.approx(float(golden["ACC_top5"]), abs=1e-12)
        np.testing.assert_array_equal(match_clusters(y_true, y_pred), golden["match"])
        prototypes = cluster_prototypes(probabilities, golden["features"], int(golden["prototype_candidates"]))
        np.testing.assert_array_equal(prototypes, golden["prototypes"])
        assert scan_entropy(probabilities) == pytest.approx(float(golden["scan_entropy"]), rel=1e-5)
        consistency = scan_consistency(probabilities, golden["neighbors"])
        assert consistency == pytest.approx(float(golden["scan_consistency"]), rel=1e-5)


def test_six_rows_by_hand():
    y_true, y_pred = [0, 0, 0, 1, 1, 2], [2, 2, 1, 0, 0, 1]
    assert ACC(y_true, y_pred) == pytest.approx(0.833333, abs=1e-6)
    assert NMI(y_true, y_pred) == pytest.approx(0.739667, abs=1e-6)
    assert ARI(y_true, y_pred) == pytest.approx(0.444444, abs=1e-6)
    assert purity(y_true, y_pred) == pytest.approx(5 / 6)
    assert match_clusters(y_true, y_pred).tolist() == [[0, 1], [1, 2], [2, 0]]


@pytest.mark.parametrize("confidence", [0.3, 0.5, 2 / 3, 0.75, 1.0])
@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_calibration_error_of_a_constant_confidence(confidence, n_bins):
    y_true = np.r_[np.zeros(60, int), np.ones(30, int), np.full(10, 2), np.full(10, 3), np.full(10, 4)]
    cluster = np.r_[np.zeros(60, int), np.ones(10, int), np.zeros(20, int), np.full(10, 2), [3] * 10, [4] * 10]
    probabilities = np.full((120, 5), (1 - confidence) / 4)
    probabilities[np.arange(120), cluster] = confidence
    assert ACC(y_true, cluster) == pytest.approx(100 / 120)
    assert ECE(y_true, probabilities, n_bins=n_bins) == pytest.approx(abs(confidence - 100 / 120))


def test_scan_scores_in_closed_form():
    one_hot, uniform = np.eye(10)[np.arange(50) % 10], np.full((50, 10), 0.1)
    itself = np.arange(50)[:, None]
    assert scan_entropy(one_hot) == pytest.approx(math.log(10))
    assert scan_consistency(one_hot, itself) == 0
    assert scan_consistency(uniform, itself) == pytest.approx(math.log(10))
    assert scan_entropy(np.eye(3)[[0, 0]]) == 0
    assert scan_consistency(one_hot, (itself + 1) % 50) == pytest.approx(100)  # log 0 counts as -100


# Hard metrics


@quick
@given(labelings)
def test_hard_metrics_on_any_labels(pair):
    y_true, y_pred = pair
    n_classes, n_clusters = len(set(y_true)), len(set(y_pred))
    accuracy = ACC(y_true, y_pred)
    assert isinstance(accuracy, float)
    assert 1 / max(n_classes, n_clusters) - 1e-12 <= accuracy <= purity(y_true, y_pred) <= 1
    assert accuracy == pytest.approx(ACC(y_pred, y_true))
    assert NMI(y_true, y_pred) == pytest.approx(normalized_mutual_info_score(y_true, y_pred))
    assert ARI(y_true, y_pred) == pytest.approx(adjusted_rand_score(y_true, y_pred))
    pairs = match_clusters(y_true, y_pred)
    assert pairs.shape == (min(n_classes, n_clusters), 2)
    assert (np.diff(pairs[:, 0]) > 0).all()
    assert len(set(pairs[:, 1])) == len(pairs)
    renamed = dict(pairs.tolist())
    assert accuracy == pytest.approx(np.mean([renamed.get(p) == t for t, p in zip(y_true, y_pred, strict=True)]))


@quick
@given(labelings, st.permutations(list("abcdefgh")))
def test_names_do_not_matter(pair, names):
    y_true, y_pred = pair
    renamed = [names[label] for label in y_pred]
    for metric in (ACC, NMI, ARI, purity):
        assert metric(y_true, renamed) == pytest.approx(metric(y_true, y_pred))


@pytest.mark.parametrize("metric", [ACC, NMI, ARI, purity])
def test_a_perfect_clustering_scores_one(metric):
    assert metric(["cat", "dog", "cat", "emu"], [7, -1, 7, 0]) == pytest.approx(1)
    assert isinstance(metric([0], [0]), float)


def test_pairs_keep_their_names():
    pairs = match_clusters(["cat", "dog", "cat"], [7, -1, 7])
    assert pairs.tolist() == [[-1, "dog"], [7, "cat"]]
    assert match_clusters(np.array([1, 1], np.uint8), np.array([-3, -3])).tolist() == [[-3, 1]]
    assert match_clusters(["a", "b"], ["xx", "y"]).tolist() == [["xx", "a"], ["y", "b"]]


def test_more_clusters_than_classes_and_the_reverse():
    assert ACC([0, 0, 0, 0], [0, 1, 2, 3]) == 0.25
    assert ACC([0, 1, 2, 3], [0, 0, 0, 0]) == 0.25
    assert purity([0, 0, 0, 0], [0, 1, 2, 3]) == 1
    assert match_clusters([0, 1, 1], [0, 0, 0]).tolist() == [[0, 1]]


# Metrics of probabilities


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_equals_a_loop_over_bins(seed):
    y_true, probabilities = random_case(seed)
    renamed = dict(match_clusters(y_true, probabilities.argmax(axis=1)).tolist())
    right = np.array([renamed.get(p) for p in probabilities.argmax(axis=1)]) == y_true
    for n_bins in (1, 4, 15):
        expected = calibration_error(probabilities.max(axis=1), right, n_bins)
        assert ECE(y_true, probabilities, n_bins) == pytest.approx(expected)


def test_confidences_on_an_edge_belong_to_the_lower_bin():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.25, 0.75, 0.0], [0.25, 0.0, 0.75]])
    assert ECE([0, 1, 1], probabilities, 2) == pytest.approx((0.5 + 0.5) / 3)  # bins {0.5} and {0.75, 0.75}
    assert ECE([0, 1, 1], probabilities, 1) == pytest.approx(abs(2 / 3 - 2 / 3), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_top_one_is_the_accuracy_and_top_all_is_one(seed):
    y_true, probabilities = random_case(seed)
    accuracies = [top_k_accuracy(y_true, probabilities, k) for k in range(1, 7)]
    assert accuracies[0] == pytest.approx(ACC(y_true, probabilities.argmax(axis=1)))
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] == 1
    assert top_k_accuracy(y_true, probabilities, 100) == 1


def test_clusters_without_a_class_are_never_right():
    y_true = np.zeros(4, dtype=int)
    probabilities = np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0], [0, 0.6, 0.4]])
    assert top_k_accuracy(y_true, probabilities, 1) == 0.75
    assert top_k_accuracy(y_true, probabilities, 2) == 0.75
    assert ECE(y_true, probabilities, 1) == pytest.approx(abs(3.3 / 4 - 0.75))


def test_string_classes_with_probabilities():
    probabilities = np.eye(2)[[0, 1, 1]]
    assert top_k_accuracy(["b", "a", "a"], probabilities, 1) == 1
    assert ECE(["b", "a", "a"], probabilities) == 0


# Prototypes


@pytest.mark.parametrize("n_candidates", [1, 7, 200, 1000])
def test_prototypes_equal_a_loop(n_candidates):
    _, probabilities = random_case(0)
    features = np.random.default_rng(1).normal(size=(200, 5))
    for cluster, row in enumerate(cluster_prototypes(probabilities, features, n_candidates)):
        candidates = sorted(range(200), key=lambda i: -probabilities[i, cluster])[:n_candidates]
        distances = np.linalg.norm(features[candidates] - features[candidates].mean(axis=0), axis=1)
        assert row == candidates[int(distances.argmin())]


# Bad input


@pytest.mark.parametrize("metric", HARD)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [0], "equally long, got 2 and 1 rows"),
        ([], [], r"y_true must have the shape \(n_rows,\) with at least one row, got \(0,\)"),
        ([0, 1], [[0], [1]], r"y_pred must have the shape \(n_rows,\).*got \(2, 1\)"),
        ([0, np.nan], [0, 1], "y_true must have a label for every row"),
        ([0, 1], [0, np.inf], "y_pred must have a label for every row"),
        ([0, 1], np.array(["a", None], dtype=object), "y_pred must have a label for every row"),
        (np.array(["a", np.nan], dtype=object), [0, 1], "y_true must have a label for every row"),
    ],
)
def test_bad_labels(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_pred)


@pytest.mark.parametrize("metric", [ECE, top_k_accuracy])
@pytest.mark.parametrize(
    ("probabilities", "error", "message"),
    [
        ([0.5, 0.5], ValueError, r"shape \(n_rows, n_clusters\), got \(2,\)"),
        ([[0.5, 0.5]], ValueError, "as many rows as y_true, 2, got 1"),
        ([[0.5, 0.5], [np.nan, 0.5]], ValueError, "probabilities must be from 0 to 1"),
        ([[0.5, 0.5], [-1.0, 2.0]], ValueError, "from 0 to 1, got values from -1.0 to 2.0"),
        ([["a", "b"], ["c", "d"]], TypeError, "probabilities must be real numbers"),
        (np.empty((2, 0)), ValueError, r"got \(2, 0\)"),
    ],
)
def test_bad_probabilities(metric, probabilities, error, message):
    with pytest.raises(error, match=message):
        metric([0, 1], probabilities)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_counts(value, error):
    probabilities = np.eye(2)
    with pytest.raises(error, match="k must be an integer of at least 1"):
        top_k_accuracy([0, 1], probabilities, k=value)
    with pytest.raises(error, match="n_bins must be an integer of at least 1"):
        ECE([0, 1], probabilities, n_bins=value)
    with pytest.raises(error, match="n_candidates must be an integer of at least 1"):
        cluster_prototypes(probabilities, probabilities, n_candidates=value)


@pytest.mark.parametrize("features", [np.zeros(2), np.zeros((3, 1)), np.full((2, 1), np.nan)])
def test_bad_features(features):
    with pytest.raises(ValueError, match="features must be 2 rows of finite numbers"):
        cluster_prototypes(np.eye(2), features)


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        ([0, 1], r"integers of shape \(2, n_neighbors\), got \(2,\)"),
        ([[0.0], [1.0]], "must be integers of shape"),
        ([[0], [2]], "row indices from 0 to 1, got values from 0 to 2"),
        ([[-1], [0]], "row indices from 0 to 1, got values from -1 to 0"),
    ],
)
def test_bad_neighbors(neighbors, message):
    with pytest.raises(ValueError, match=message):
        scan_consistency(np.eye(2), neighbors)


def test_docstring_examples():
    assert doctest.testmod(unsup_metrics).failed == 0
