"""The consensus labeller against a slow oracle, and what it is for."""

import numpy as np
import pytest

from kingdra_cluster.consensus import CORE_SHARE, consensus_labeller, meta_clusters
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.unsup_metrics import ACC, purity
from tests.oracles import synthetic_ensemble


def slow_groups(labels, n_clusters):
    """Average linkage on Jaccard distances, step by step: a list of sets of (member, cluster)."""
    rows = {
        (member, cluster): set(np.flatnonzero(own == cluster).tolist())
        for member, own in enumerate(labels)
        for cluster in np.unique(own).tolist()
    }

    def distance(a, b):
        return 1 - len(rows[a] & rows[b]) / len(rows[a] | rows[b])

    groups = [{name} for name in rows]
    while len(groups) > n_clusters:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i)]
        i, j = min(pairs, key=lambda p: np.mean([distance(a, b) for a in groups[p[0]] for b in groups[p[1]]]))
        groups[j] |= groups.pop(i)
    return groups


def slow_buckets(labels, groups):
    """Each row to the group with the largest share of its clusters, and the surest quarter of every group."""
    n_rows = labels.shape[1]
    shares = np.array(
        [[np.mean([labels[m, row] == c for m, c in group]) for group in groups] for row in range(n_rows)]
    ).round(9)
    best = [set(np.flatnonzero(row == row.max()).tolist()) for row in shares]
    return shares, best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n_clusters", [2, 3, 5])
def test_groups_are_those_of_the_oracle(seed, n_clusters):
    labels = synthetic_ensemble(60, n_members=4, n_clusters=5, error_rate=0.3, seed=seed)[1]
    weights = meta_clusters(labels, n_clusters)
    found = {frozenset(zip(*(axis.tolist() for axis in np.nonzero(group)), strict=True)) for group in weights}
    assert found == {frozenset(group) for group in slow_groups(labels, n_clusters)}
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), 1)


@pytest.mark.parametrize("seed", range(6))
def test_buckets_are_those_of_the_oracle(seed):
    labels = synthetic_ensemble(80, n_members=5, n_clusters=4, error_rate=0.25, seed=seed)[1]
    buckets = consensus_labeller(SimilarityGraph(labels), 4)
    groups = slow_groups(labels, 4)
    shares, best = slow_buckets(labels, groups)
    for bucket in range(buckets.max() + 1):
        inside = np.flatnonzero(buckets == bucket)
        own = set.intersection(*(best[row] for row in inside))
        assert len(own) == 1, "the rows of a bucket share one best group"
        group = own.pop()
        least = shares[inside, group].min()
        surely = [row for row in range(80) if best[row] == {group}]
        assert set(inside) >= {row for row in surely if shares[row, group] >= least}
        assert len(inside) >= CORE_SHARE * len(surely)
        above = [row for row in surely if shares[row, group] > least]
        assert len(above) < CORE_SHARE * len([row for row in range(80) if group in best[row]])


def test_counts_are_repetitions():
    labels = synthetic_ensemble(50, n_members=4, n_clusters=4, error_rate=0.3, seed=1)[1]
    counts = np.random.default_rng(0).integers(1, 4, 50)
    repeated = np.repeat(labels, counts, axis=1)
    np.testing.assert_array_equal(meta_clusters(labels, 3, counts), meta_clusters(repeated, 3))


def test_names_of_the_members_do_not_matter():
    labels = synthetic_ensemble(200, n_members=5, n_clusters=4, error_rate=0.2, seed=3)[1]
    renamed = labels.copy()
    renamed[2] = np.array([2, 3, 1, 0])[labels[2]]
    expected = consensus_labeller(SimilarityGraph(labels), 4)
    np.testing.assert_array_equal(consensus_labeller(SimilarityGraph(renamed), 4), expected)


def test_every_cluster_has_a_bucket_of_a_size_where_the_published_rule_has_next_to_none():
    rng = np.random.default_rng(0)
    classes = np.arange(2000) % 4
    labels = np.stack([np.where(rng.random(2000) < 0.45, rng.integers(0, 4, 2000), classes) for _ in range(10)])
    graph = SimilarityGraph(labels, low_agreement=1, high_agreement=9)
    published = graph.buckets(4)
    assert np.bincount(published[published >= 0], minlength=4).min() < 20
    buckets = consensus_labeller(graph, 4)
    sizes = np.bincount(buckets[buckets >= 0])
    assert len(sizes) == 4
    assert (sizes >= 100).all()
    assert purity(classes[buckets >= 0], buckets[buckets >= 0]) > 0.99


def test_members_that_split_and_merge_do_not_hide_the_clusters():
    classes = np.repeat(np.arange(4), 100)
    half = np.tile([0, 1], 200)
    members = [classes] * 3
    for split in range(3):  # one cluster in two halves, two others in one
        merged = np.where(classes == 3, (split + 1) % 3, classes)
        members.append(np.where(merged == split, np.where(half == 1, 3, split), merged))
    buckets = consensus_labeller(SimilarityGraph(np.stack(members)), 4)
    sure = buckets >= 0
    assert ACC(classes[sure], buckets[sure]) == 1.0
    assert set(buckets[sure]) == {0, 1, 2, 3}


def test_identical_members_give_their_own_clustering_largest_first():
    own = np.repeat([1, 2, 0], [30, 50, 20])
    buckets = consensus_labeller(SimilarityGraph(np.stack([own] * 4)), 3)
    np.testing.assert_array_equal(buckets, np.repeat([1, 0, 2], [30, 50, 20]))


@pytest.mark.parametrize("n_clusters", [1, 2, 7])
def test_degenerate_ensembles(n_clusters):
    one = consensus_labeller(SimilarityGraph(np.zeros((3, 9), dtype=int)), n_clusters)
    assert one.tolist() == [0] * 9
    alone = consensus_labeller(SimilarityGraph(np.array([[0, 1, 1]])), n_clusters)
    assert alone.max() + 1 <= min(n_clusters, 2)
    nobody = SimilarityGraph(np.zeros((2, 5), dtype=int), np.full((2, 5), 0.5), confidence_threshold=0.9)
    assert consensus_labeller(nobody, n_clusters).tolist() == [-1] * 5


def test_unsure_rows_have_no_bucket():
    labels = np.zeros((2, 6), dtype=int)
    labels[:, 3:] = 1
    confidences = np.full((2, 6), 0.95)
    confidences[0, 2] = 0.5
    buckets = consensus_labeller(SimilarityGraph(labels, confidences, confidence_threshold=0.9), 2)
    assert buckets.tolist() == [1, 1, -1, 0, 0, 0]
