import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kingdra_cluster import label_tuples, similarity_graph
from kingdra_cluster.similarity_graph import SimilarityGraph
from tests.oracles import brute_force_agreement, brute_force_buckets, synthetic_ensemble

GOLDEN = sorted((Path(__file__).parent / "golden").glob("labeller_*.npz"))
quick = settings(deadline=None, derandomize=True, database=None, max_examples=400)


def digits(*members):
    return np.array([[int(digit) for digit in member] for member in members])


def rows_of(buckets):
    return [np.flatnonzero(buckets == bucket).tolist() for bucket in range(buckets.max() + 1)]


@st.composite
def ensembles(draw, max_members=7, max_rows=60):
    """Labels, confidences or None, low_agreement, high_agreement: from pure noise to perfect agreement."""
    n_members, n_rows = draw(st.integers(1, max_members)), draw(st.integers(1, max_rows))
    n_clusters, error_rate = draw(st.integers(1, 6)), draw(st.sampled_from([0.0, 0.1, 0.3, 1.0]))
    seed = draw(st.integers(0, 2**32 - 1))
    labels = synthetic_ensemble(n_rows, n_members, n_clusters, error_rate, seed)[1]
    confidences = np.random.default_rng(seed).random(labels.shape) if draw(st.booleans()) else None
    thresholds = st.integers(-1, n_members)
    return labels, confidences, draw(thresholds), draw(thresholds)


# Golden files and closed forms


def test_golden_files_are_there():
    assert len(GOLDEN) == 16


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_equals_published_code(path):
    with np.load(path, allow_pickle=False) as golden:
        probabilities = golden["probabilities"]
        graph = SimilarityGraph(
            probabilities.argmax(axis=2),
            probabilities.max(axis=2),
            low_agreement=int(golden["low_threshold"]),
            high_agreement=int(golden["high_threshold"]),
            confidence_threshold=float(golden["confidence_threshold"]),
        )
        buckets = graph.buckets(probabilities.shape[2])
        np.testing.assert_array_equal(buckets, golden["expected_labels"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 2, [[0, 1, 2], [3, 4], [5]]),
        (0, 1, [[0, 1, 2], [3, 4], [5]]),
        (1, 1, [[0, 1, 2], [3, 4, 6], [5, 7]]),
    ],
)
def test_three_members_by_hand(low, high, expected):
    graph = SimilarityGraph(digits("00011202", "22200101", "11122021"), low_agreement=low, high_agreement=high)
    assert rows_of(graph.buckets(3)) == expected


def test_removes_against_every_row_of_the_bucket_not_its_centre_only():
    graph = SimilarityGraph(digits("00001122", "00001122", "00011122"), low_agreement=0, high_agreement=1)
    assert rows_of(graph.buckets(3)) == [[0, 1, 2, 3], [6, 7]]


@pytest.mark.parametrize("n_members", [1, 2, 5])
def test_identical_members_give_their_own_clustering_largest_first(n_members):
    one = np.repeat([3, 0, 2, 1], [4, 7, 2, 5])
    buckets = SimilarityGraph(np.tile(one, (n_members, 1)), low_agreement=0).buckets(4)
    np.testing.assert_array_equal(buckets, np.repeat([2, 0, 3, 1], [4, 7, 2, 5]))


def test_lowest_row_wins_ties():
    assert SimilarityGraph([[2, 1, 2, 0, 1, 0]]).buckets(2).tolist() == [0, 1, 0, -1, 1, -1]


# Brute force, whatever the thresholds


@quick
@given(ensembles(), st.integers(1, 9))
def test_equals_brute_force(ensemble, n_clusters):
    labels, confidences, low, high = ensemble
    graph = SimilarityGraph(labels, confidences, low_agreement=low, high_agreement=high, confidence_threshold=0.1)
    takes_part = None if confidences is None else (confidences > 0.1).all(axis=0)
    expected = brute_force_buckets(labels, n_clusters, low, high, takes_part)
    np.testing.assert_array_equal(graph.buckets(n_clusters), expected)


@pytest.mark.parametrize("max_rechecks", [1, 2])
@pytest.mark.parametrize("cost", [0, 10**9], ids=["regrouping", "blocked"])
def test_equals_brute_force_on_every_route(monkeypatch, max_rechecks, cost):
    monkeypatch.setattr(similarity_graph, "_MAX_RECHECKS", max_rechecks)
    monkeypatch.setattr(similarity_graph, "BLOCK", 5)
    monkeypatch.setattr(label_tuples, "BLOCK", 50)
    monkeypatch.setattr(label_tuples, "REGROUPING_COST", cost)
    for seed in range(30):
        labels = synthetic_ensemble(150, 6, 4, 0.4, seed)[1]
        for low, high in [(0, 1), (1, 2), (1, 3), (2, 3), (2, 4), (3, 2)]:
            graph = SimilarityGraph(labels, low_agreement=low, high_agreement=high)
            np.testing.assert_array_equal(graph.buckets(8), brute_force_buckets(labels, 8, low, high))


@pytest.mark.parametrize("n_clusters", [10, 200])
@pytest.mark.parametrize(("n_members", "n_labels"), [(10, 200), (30, 12), (3, 70_000)])
def test_labels_that_do_not_fit_one_key(n_members, n_labels, n_clusters):
    labels = synthetic_ensemble(400, n_members, n_labels, 0.2)[1]
    buckets = SimilarityGraph(labels).buckets(n_clusters)
    np.testing.assert_array_equal(buckets, brute_force_buckets(labels, n_clusters, 1, n_members - 1))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_data_type_and_layout_do_not_matter(dtype, order):
    labels = synthetic_ensemble(500)[1]
    expected = brute_force_buckets(labels, 10, 1, 9)
    np.testing.assert_array_equal(SimilarityGraph(np.array(labels, dtype, order=order)).buckets(10), expected)


def test_names_up_to_the_largest_allowed():
    labels = synthetic_ensemble(300, 5, 4)[1].astype(np.int64)
    far = np.array([2**31 - 1, 0, 5, 2**30])[labels]
    np.testing.assert_array_equal(SimilarityGraph(far).buckets(4), SimilarityGraph(labels).buckets(4))


# Invariances


@quick
@given(ensembles(), st.integers(0, 2**32 - 1))
def test_renaming_and_reordering_members_changes_nothing(ensemble, seed):
    labels, confidences, low, high = ensemble
    options = {"low_agreement": low, "high_agreement": high, "confidence_threshold": 0.1}
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    renamed = np.stack([rng.permutation(6)[member] for member in labels])[order]
    expected = SimilarityGraph(labels, confidences, **options)
    actual = SimilarityGraph(renamed, None if confidences is None else confidences[order], **options)
    np.testing.assert_array_equal(actual.buckets(5), expected.buckets(5))


@quick
@given(ensembles(max_rows=40))
def test_listing_every_member_twice_changes_nothing(ensemble):
    labels, _, low, high = ensemble
    low, high = min(low, len(labels) - 1), min(high, len(labels) - 1)
    once = SimilarityGraph(labels, low_agreement=low, high_agreement=high)
    twice = SimilarityGraph(np.repeat(labels, 2, axis=0), low_agreement=2 * low + 1, high_agreement=2 * high + 1)
    np.testing.assert_array_equal(twice.buckets(5), once.buckets(5))


@quick
@given(ensembles())
def test_rows_of_different_buckets_are_far_apart(ensemble):
    labels, confidences, low, high = ensemble
    buckets = SimilarityGraph(labels, confidences, low_agreement=low, high_agreement=high).buckets(6)
    agree = brute_force_agreement(labels)
    different = (buckets[:, None] != buckets) & (buckets[:, None] >= 0) & (buckets >= 0)
    assert (agree[different] <= low).all()
    used = np.unique(buckets[buckets >= 0])
    np.testing.assert_array_equal(used, np.arange(used.size))  # numbered without a gap


@quick
@given(ensembles(), st.integers(1, 5))
def test_asking_for_more_buckets_only_adds_some(ensemble, n_clusters):
    labels, _, low, high = ensemble
    graph = SimilarityGraph(labels, low_agreement=low, high_agreement=high)
    fewer, more = graph.buckets(n_clusters), graph.buckets(n_clusters + 3)
    np.testing.assert_array_equal(np.where(more < n_clusters, more, -1), fewer)


# Confidences


def test_unsure_rows_take_no_part():
    labels = [[0, 0, 0, 1], [0, 0, 0, 1]]
    confidences = [[0.95, 0.9, 0.99, 1.0], [0.95, 1.0, 0.2, 1.0]]
    graph = SimilarityGraph(labels, confidences, confidence_threshold=0.9)
    assert graph.takes_part.tolist() == [True, False, False, True]  # above, not at, the threshold
    assert graph.buckets(2).tolist() == [0, -1, -1, 1]
    assert graph.first_rows.tolist() == [0, 3]


def test_no_confidences_means_no_threshold():
    assert SimilarityGraph([[0, 1]], confidence_threshold=1.0).takes_part.all()


def test_nobody_is_sure():
    graph = SimilarityGraph([[0, 1], [0, 1]], np.full((2, 2), 0.5), confidence_threshold=0.9, high_agreement=0)
    assert graph.n_tuples == 0
    assert graph.buckets(3).tolist() == [-1, -1]
    assert graph.to_networkx().number_of_nodes() == 0


# Degenerate input


@pytest.mark.parametrize("n_members", [1, 2, 10])
def test_constant_labels_are_one_bucket(n_members):
    assert SimilarityGraph(np.full((n_members, 50), 7)).buckets(10).tolist() == [0] * 50


def test_one_row():
    assert SimilarityGraph(np.zeros((10, 1), dtype=int)).buckets(3).tolist() == [0]


def test_one_cluster_wanted():
    assert SimilarityGraph([[0, 1, 1], [0, 1, 1]]).buckets(1).tolist() == [-1, 0, 0]


def test_all_tuples_distinct():
    labels = np.arange(10 * 1000).reshape(10, 1000)
    np.testing.assert_array_equal(SimilarityGraph(labels).buckets(2000), np.arange(1000))


@pytest.mark.parametrize(("low", "expected"), [(3, [0, 1, 2, -1]), (2, [0, -1, -1, 1]), (0, [0, -1, -1, 1])])
def test_no_edges_at_all(low, expected):
    labels = np.tile([4, 4, 4, 1], (3, 1))
    assert SimilarityGraph(labels, low_agreement=low, high_agreement=3).buckets(3).tolist() == expected


def test_joining_everything():
    assert SimilarityGraph([[0, 1, 2]], low_agreement=-1, high_agreement=-1).buckets(2).tolist() == [0, 0, 0]


# Speed and memory


@pytest.mark.parametrize("error_rate", [0.05, 0.15, 1.0])
def test_seventy_thousand_rows_take_milliseconds(error_rate):
    labels = synthetic_ensemble(70_000, error_rate=error_rate)[1]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        SimilarityGraph(labels).buckets(10)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.2  # 0.003 to 0.010 on an idle machine


@pytest.mark.parametrize(("low", "high"), [(2, 8), (1, 7), (4, 6)])
def test_other_thresholds_are_never_quadratic(low, high):
    labels = synthetic_ensemble(70_000)[1]
    start = time.perf_counter()
    SimilarityGraph(labels, low_agreement=low, high_agreement=high).buckets(10)
    assert time.perf_counter() - start < 5  # 0.01 to 0.15 on an idle machine


@pytest.mark.parametrize("error_rate", [0.15, 1.0])
def test_ten_million_rows_would_fit_in_one_gigabyte(error_rate):
    n_rows = 300_000
    labels = synthetic_ensemble(n_rows, error_rate=error_rate)[1]
    tracemalloc.start()
    SimilarityGraph(labels).buckets(10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak * 10_000_000 / n_rows < 1e9
