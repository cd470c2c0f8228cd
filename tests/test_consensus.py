"""The consensus labeller against a slow oracle, and what it is for."""

from itertools import permutations

import numpy as np
import pytest

from kingdra_cluster.consensus import CORE_SHARE, TAUGHT_SHARE, consensus_labeller, held_by_most
from kingdra_cluster.labellers import taught_by_consensus
from kingdra_cluster.pseudo_labels import medoid_member
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.unsup_metrics import purity
from tests.oracles import synthetic_ensemble


def slow_votes(labels, n_clusters):
    """Votes (n_rows, n_clusters) of the members, each renamed like the medoid by trying all permutations."""
    reference = labels[medoid_member(labels)]
    votes = np.zeros((labels.shape[1], n_clusters), dtype=int)
    for own in labels:
        names = max(permutations(range(n_clusters)), key=lambda p: np.sum(np.array(p)[own] == reference))
        for row, label in enumerate(own):
            votes[row, names[label]] += 1
    return votes


@pytest.mark.parametrize("share", [CORE_SHARE, TAUGHT_SHARE])
@pytest.mark.parametrize("seed", range(6))
def test_buckets_are_those_of_the_oracle(seed, share):
    labels = synthetic_ensemble(80, n_members=5, n_clusters=4, error_rate=0.25, seed=seed)[1]
    buckets = consensus_labeller(SimilarityGraph(labels), 4, share)
    votes = slow_votes(labels, 4)
    cluster, number = votes.argmax(axis=1), votes.max(axis=1)
    for bucket in range(buckets.max() + 1):
        inside = np.flatnonzero(buckets == bucket)
        assert len(set(cluster[inside])) == 1, "the rows of a bucket have one cluster"
        whole = np.flatnonzero(cluster == cluster[inside[0]])
        least = number[inside].min()
        assert set(inside) == set(whole[number[whole] >= least])
        assert len(inside) >= share * len(whole) > np.sum(number[whole] > least)


def test_what_is_taught_holds_the_sure_rows_and_leaves_their_marks():
    graph = SimilarityGraph(synthetic_ensemble(300, n_members=5, n_clusters=4, error_rate=0.25, seed=1)[1])
    sure = consensus_labeller(graph, 4)
    taught = taught_by_consensus(graph, 4)
    np.testing.assert_array_equal(graph.row_buckets(), sure)
    np.testing.assert_array_equal(taught[sure >= 0], sure[sure >= 0])
    assert np.mean(sure >= 0) < 0.9 <= np.mean(taught >= 0)


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


def test_half_of_the_members_do_not_hold_a_row():
    labels = np.array([[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 1]])
    mappings = np.array([[0, 1], [1, 0], [0, 1], [0, 1]])  # the second member calls them the other way round
    assert held_by_most(labels, mappings, np.array([0, 0, 1, 1])).tolist() == [True, True, True, True]
    assert held_by_most(labels, mappings, np.array([1, 0, 0, 1])).tolist() == [False, True, False, True]
    assert held_by_most(labels[:2], mappings[:2], np.array([0, 0, 0, 1])).tolist() == [True, True, False, True]
    assert held_by_most(labels[:1], mappings[:1], np.array([0, 1, 0, 1])).tolist() == [True, False, True, True]
