import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kingdra_cluster.consensus import consensus_labeller
from kingdra_cluster.label_tuples import (
    agreement,
    count_tuples,
    find_tuples,
    group,
    merge_counts,
    neighbour_counts,
    row_keys,
    smallest_type,
)
from kingdra_cluster.similarity_graph import SimilarityGraph
from tests.oracles import brute_force_agreement, synthetic_ensemble

quick = settings(deadline=None, derandomize=True, database=None, max_examples=200)


@quick
@given(st.integers(1, 12), st.integers(1, 80), st.sampled_from([1, 2, 5, 300, 2**20, 2**31]), st.integers(0, 2**32 - 1))
def test_keys_keep_equality_and_lexicographic_order(n_members, n_rows, n_labels, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_labels, (n_members, n_rows))[:, rng.integers(0, n_rows, n_rows)]
    keys = row_keys(labels)
    assert keys.dtype == np.int64
    expected = np.unique(labels, axis=1, return_inverse=True)[1]
    np.testing.assert_array_equal(np.unique(keys, return_inverse=True)[1], expected)


@quick
@given(st.lists(st.sampled_from([0, 1, 2, 2**40, 2**62]), max_size=50))
def test_groups_of_equal_keys(keys):
    keys = np.array(keys, dtype=np.int64)
    before = keys.copy()
    order, starts = group(keys)
    np.testing.assert_array_equal(keys, before)
    np.testing.assert_array_equal(np.sort(order), np.arange(keys.size))
    np.testing.assert_array_equal(keys[order], np.sort(keys))
    np.testing.assert_array_equal(keys[order][starts], np.unique(keys))


def test_agreement_broadcasts():
    left, right = synthetic_ensemble(30, 300)[1], synthetic_ensemble(20, 300, seed=1)[1]
    agree = agreement(left[:, None, :], right[:, :, None])
    np.testing.assert_array_equal(agree, (left[:, None, :] == right[:, :, None]).sum(axis=0))  # 300 needs two bytes


@pytest.mark.parametrize("cost", [0, 10**9], ids=["regrouping", "blocked"])
@pytest.mark.parametrize("radius", [0, 1, 2, 3, 4, 5])
def test_neighbour_counts_by_both_routes(monkeypatch, cost, radius):
    monkeypatch.setattr("kingdra_cluster.label_tuples.REGROUPING_COST", cost)
    monkeypatch.setattr("kingdra_cluster.label_tuples.BLOCK", 100)
    tuples, counts = np.unique(synthetic_ensemble(400, 5, 4, 0.4)[1], axis=1, return_counts=True)
    expected = (brute_force_agreement(tuples) >= 5 - radius) @ counts
    np.testing.assert_array_equal(neighbour_counts(tuples, counts, radius), expected)


def test_smallest_type_holds_the_labels():
    assert smallest_type(np.array([0, 255])).dtype == np.uint8
    assert smallest_type(np.array([0, 256])).dtype == np.uint16
    assert smallest_type(np.empty((3, 0), dtype=int)).dtype == np.uint8


# Shards of rows


@quick
@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_counts_are_in_the_order_of_first_occurrence(n_members, n_rows, seed):
    labels = np.random.default_rng(seed).integers(0, 3, (n_members, n_rows))
    expected = {}
    for column in labels.T.tolist():
        expected[tuple(column)] = expected.get(tuple(column), 0) + 1
    tuples, counts = count_tuples(labels)
    assert list(zip(map(tuple, tuples.T.tolist()), counts.tolist(), strict=True)) == list(expected.items())
    found = find_tuples(tuples, labels)
    np.testing.assert_array_equal(tuples[:, found], labels)


def test_a_tuple_that_was_not_counted_is_not_found():
    tuples, _ = count_tuples(np.array([[0, 1, 0], [5, 5, 5]]))
    np.testing.assert_array_equal(find_tuples(tuples, np.array([[1, 1, 300], [5, 6, 5]])), [1, -1, -1])
    assert find_tuples(tuples, np.empty((2, 0), int)).shape == (0,)


@pytest.mark.parametrize("find", [SimilarityGraph.buckets, consensus_labeller])
@pytest.mark.parametrize("thresholds", [{}, {"low_agreement": 2, "high_agreement": 4}])
def test_shards_in_files_give_the_buckets_of_all_rows(tmp_path, find, thresholds):
    """Also where a shard has larger labels than the others, and merged in whatever groups of neighbours."""
    labels = synthetic_ensemble(1000, 6, 5, 0.3)[1].astype(np.int64)
    labels[0, 700:] += 300
    for number, shard in enumerate(np.array_split(labels, [1, 300, 301, 700], axis=1)):
        np.save(tmp_path / f"labels_{number}.npy", shard)
    shards = [np.load(path, mmap_mode="r") for path in sorted(tmp_path.iterdir())]
    parts = [count_tuples(shard) for shard in shards]
    tuples, counts = merge_counts(parts)
    for merged in (merge_counts([merge_counts(parts[:2]), merge_counts(parts[2:])]), count_tuples(labels)):
        np.testing.assert_array_equal(merged[0], tuples)
        np.testing.assert_array_equal(merged[1], counts)
    graph = SimilarityGraph(tuples, counts=counts, **thresholds)
    assert graph.counts.sum() == 1000
    of_tuples = find(graph, 5)
    buckets = np.concatenate([of_tuples[find_tuples(tuples, shard)] for shard in shards])
    assert len(np.unique(buckets)) > 3
    np.testing.assert_array_equal(buckets, find(SimilarityGraph(labels, **thresholds), 5))


def test_unsure_rows_of_a_counted_graph_take_no_part():
    labels, confidences = np.array([[0, 0, 1, 1], [0, 0, 1, 2]]), [[0.9, 0.9, 0.9, 0.1]] * 2
    counted = SimilarityGraph(labels, confidences, confidence_threshold=0.5, counts=[1, 1, 5, 9])
    assert counted.counts.tolist() == [2, 5]
    assert counted.buckets(2).tolist() == [1, 1, 0, -1]


@pytest.mark.parametrize("counts", [[1, 2], [1, 0, 1], [1.0, 1.0, 1.0]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(ValueError, match="counts must be 3 integers of at least 1"):
        SimilarityGraph([[0, 1, 1]], counts=counts)


def test_counted_rows_cannot_stand_apart():
    with pytest.raises(ValueError, match="counts need high_agreement below the number of members"):
        SimilarityGraph([[0, 1, 1]], counts=[1, 1, 1], high_agreement=1)
