import doctest
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from kingdra_cluster import pseudo_labels
from kingdra_cluster.pseudo_labels import (
    align_members,
    aligned_average,
    balanced_rows,
    match_labels,
    mean_pairwise_agreement,
    medoid_member,
    name_buckets,
    proportional_rows,
    smallest_bucket,
)
from kingdra_cluster.similarity_graph import SimilarityGraph
from tests.oracles import best_permutation_score, round_robin, synthetic_ensemble

quick = settings(deadline=None, derandomize=True, database=None, max_examples=150)
seeds = st.integers(0, 2**32 - 1)


def random_clusterings(seed, n_members=2, lowest=-1):
    """n_clusters and labels (n_members, n_rows) that are related but far from equal."""
    rng = np.random.default_rng(seed)
    n_clusters, n_rows = rng.integers(1, 6), rng.integers(1, 80)
    labels = synthetic_ensemble(n_rows, n_members, int(n_clusters), rng.choice([0.0, 0.3, 1.0]), seed)[1].astype(int)
    if lowest < 0:
        labels[rng.random(labels.shape) < 0.2] = -1
    return int(n_clusters), labels


# match_labels


@quick
@given(seeds)
def test_matching_is_the_best_of_all_permutations(seed):
    n_clusters, (reference, labels) = random_clusterings(seed)
    mapping = match_labels(reference, labels, n_clusters)
    np.testing.assert_array_equal(np.sort(mapping), np.arange(n_clusters))
    both = (reference >= 0) & (labels >= 0)
    score = (mapping[labels] == reference)[both].sum()
    assert score == best_permutation_score(reference, labels, n_clusters)


@quick
@given(seeds)
def test_weighted_matching_is_the_best_of_all_permutations(seed):
    n_clusters, (reference, labels) = random_clusterings(seed)
    weights = np.random.default_rng(seed).exponential(size=labels.size)
    mapping = match_labels(reference, labels, n_clusters, weights)
    both = (reference >= 0) & (labels >= 0)
    score = weights[both & (mapping[labels] == reference)].sum()
    assert score == pytest.approx(best_permutation_score(reference, labels, n_clusters, weights))


@quick
@given(seeds)
def test_matching_undoes_a_renaming(seed):
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(7), rng.integers(0, 7, 50)]
    names = rng.permutation(7)
    np.testing.assert_array_equal(match_labels(names[labels], labels, 7), names)


def test_matching_keeps_names_that_nothing_speaks_against():
    nothing = np.array([], dtype=int)
    assert match_labels(nothing, nothing, 4).tolist() == [0, 1, 2, 3]
    assert match_labels([-1, 2], [0, -1], 3).tolist() == [0, 1, 2]
    assert match_labels([1, 1, 0], [0, 0, 1], 5).tolist() == [1, 0, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0], 2), ValueError, r"labels must have the shape \(2,\), got \(1,\)"),
        (([[0, 1]], [0, 1], 2), ValueError, r"reference must have the shape \(n_rows,\)"),
        (([0, 1], [0, 2], 2), ValueError, r"labels must be from 0 to 1 .* got values from 0 to 2"),
        (([0, -2], [0, 1], 2), ValueError, r"reference must be from 0 to 1 .* got values from -2 to 0"),
        (([0.0, 1.0], [0, 1], 2), TypeError, "reference must be integers, got the data type float64"),
        (([0, 1], [0, 1], 0), ValueError, "n_clusters must be an integer of at least 1; received n_clusters=0"),
        (([0, 1], [0, 1], 2, [1.0]), ValueError, "weights must be 2 finite numbers"),
        (([0, 1], [0, 1], 2, [1.0, np.nan]), ValueError, "weights must be 2 finite numbers"),
        (([0, 1], [0, 1], 2, [1.0, -1.0]), ValueError, "weights must be 2 finite numbers, none negative"),
    ],
)
def test_bad_input_to_matching(arguments, error, message):
    with pytest.raises(error, match=message):
        match_labels(*arguments)


# medoid_member, align_members


@quick
@given(seeds)
def test_medoid_is_that_of_scikit_learns_index(seed):
    _, labels = random_clusterings(seed, n_members=4, lowest=0)
    likeness = np.zeros(4)
    for i, j in combinations(range(4), 2):
        likeness[[i, j]] += adjusted_rand_score(labels[i], labels[j])
    assert medoid_member(labels) == np.argmax(likeness.round(9))


def test_medoid_of_one_member_and_of_ties():
    assert medoid_member([[0, 1, 2]]) == 0
    assert medoid_member([[0, 1, 1], [1, 0, 0], [2, 1, 1]]) == 0
    assert medoid_member([[0, 0], [0, 0], [0, 1]]) == 0
    assert medoid_member([[0], [1]]) == 0


def test_medoid_avoids_the_odd_member_out():
    classes, labels = synthetic_ensemble(1000, 5, 4, 0.2)
    labels[0] = np.random.default_rng(99).integers(0, 4, 1000)
    labels[3] = 3 - classes  # without errors, the nearest to all others
    assert medoid_member(labels) == 3


def test_medoid_of_many_rows_does_not_overflow():
    labels = np.zeros((3, 3_000_000), dtype=np.uint8)
    labels[1, ::2] = 1
    labels[2, 1::2] = 7
    assert medoid_member(labels) == 1


def test_aligned_members_share_their_names():
    classes, labels = synthetic_ensemble(2000, 6, 5, 0.0)
    mappings = align_members(labels, 5)
    aligned = np.take_along_axis(mappings, labels.astype(int), axis=1)
    np.testing.assert_array_equal(aligned, np.tile(aligned[0], (6, 1)))
    np.testing.assert_array_equal(mappings[medoid_member(labels)], np.arange(5))


def test_alignment_with_unused_clusters_is_still_a_permutation():
    mappings = align_members([[0, 0, 3], [9, 9, 9]], 10)
    np.testing.assert_array_equal(np.sort(mappings), np.tile(np.arange(10), (2, 1)))
    assert mappings[1, 9] == 0


def test_labels_beyond_the_number_of_clusters():
    with pytest.raises(ValueError, match="must be from 0 to 2"):
        align_members([[0, 3], [0, 1]], 3)


# aligned_average, mean_pairwise_agreement


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_average_in_the_common_names(dtype):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=(3, 50)).astype(dtype)
    mappings = np.stack([rng.permutation(4) for _ in range(3)])
    average = aligned_average(probabilities, mappings)
    expected = np.zeros((50, 4))
    for member in range(3):
        for cluster in range(4):
            expected[:, mappings[member, cluster]] += probabilities[member, :, cluster].astype(float) / 3
    assert average.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(average, expected, rtol=1e-6)
    np.testing.assert_array_equal(aligned_average(iter(probabilities), mappings), average)


def test_average_of_aligned_labels_is_right_where_members_disagree_on_names_only():
    classes, labels = synthetic_ensemble(500, 4, 6, 0.1)
    one_hot = np.eye(6, dtype=np.float32)[labels]
    mappings = align_members(labels, 6)
    voted = aligned_average(one_hot, mappings).argmax(axis=1)
    assert adjusted_rand_score(classes, voted) > 0.9
    assert adjusted_rand_score(classes, one_hot.mean(axis=0).argmax(axis=1)) < 0.8


@quick
@given(seeds)
def test_average_of_one_row_is_the_row_of_the_average(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), size=(5, 20)).astype(np.float32)
    mappings = np.stack([rng.permutation(3) for _ in range(5)])
    average = aligned_average(probabilities, mappings)
    np.testing.assert_array_equal(aligned_average(probabilities[:, 7:8], mappings), average[7:8])


@pytest.mark.parametrize(
    ("probabilities", "mappings", "message"),
    [
        (np.ones((2, 3, 2)), [[0, 1], [1, 1]], "mappings must be one permutation"),
        (np.ones((2, 3, 2)), [0, 1], "mappings must be one permutation"),
        (np.ones((2, 3, 2)), [[0, 1]], "of as many members as mappings, 1, got 2"),
        (np.ones((1, 3, 2)), [[0, 1], [0, 1]], "of as many members as mappings, 2, got 1"),
        ([], [[0, 1]], "of as many members as mappings, 1, got 0"),
        (np.ones((1, 3, 3)), [[0, 1]], r"member 0 must have the shape \(n_rows, 2\).* got \(3, 3\)"),
        ([np.ones((3, 2)), np.ones((4, 2))], [[0, 1], [0, 1]], r"member 1 must have .* got \(4, 2\)"),
    ],
)
def test_bad_input_to_the_average(probabilities, mappings, message):
    with pytest.raises(ValueError, match=message):
        aligned_average(probabilities, mappings)


@quick
@given(seeds)
def test_agreement_is_the_share_of_equal_pairs(seed):
    n_clusters, labels = random_clusterings(seed, n_members=5, lowest=0)
    votes = np.stack([(labels == cluster).sum(axis=0) for cluster in range(n_clusters)])
    expected = (votes * (votes - 1)).sum() / (5 * 4) / labels.shape[1]
    assert mean_pairwise_agreement(labels) == pytest.approx(expected)


def test_agreement_of_one_member():
    assert mean_pairwise_agreement([[0, 1, 2]]) == 1.0
    assert mean_pairwise_agreement([[0, 1], [0, 0], [1, 0]]) == pytest.approx(1 / 3)


# names of buckets


def test_buckets_get_the_names_of_the_member():
    buckets = np.array([0, 0, 1, 1, 2, -1, -1])
    member = np.array([3, 3, 0, 0, 2, 1, 1])
    names = name_buckets(buckets, member, 4)
    assert names.tolist() == [3, 0, 2, 1]


def test_two_buckets_of_one_cluster_get_different_names():
    names = name_buckets([0, 0, 0, 1, 1], [1, 1, 1, 1, 1], 3)
    assert names[0] == 1
    assert sorted(names.tolist()) == [0, 1, 2]


# smallest_bucket, balanced_rows


def test_smallest_bucket():
    assert smallest_bucket([0, 0, 1, 1, 1, -1], 2) == 2
    assert smallest_bucket([0, 0, 1, 1, 1, -1], 3) == 0
    assert smallest_bucket([-1, -1], 1) == 0
    with pytest.raises(ValueError, match="buckets must be from 0 to 1"):
        smallest_bucket([0, 2], 2)


def test_balanced_rows_by_hand():
    rows = balanced_rows([2, 0, 1, -1, 2, 0, 2], 3, 10)
    assert rows.tolist() == [1, 2, 0, 5, 2, 4, 1, 2, 6, 5]
    counts = np.bincount(np.array([2, 0, 1, -1, 2, 0, 2])[rows])
    assert counts.tolist() == [4, 3, 3]


@quick
@given(seeds, st.integers(0, 100))
def test_balanced_rows_equal_the_loop(seed, n_rows):
    rng = np.random.default_rng(seed)
    n_clusters = int(rng.integers(1, 6))
    buckets = rng.permutation(np.r_[np.arange(n_clusters), rng.integers(-1, n_clusters, rng.integers(0, 60))])
    rows = balanced_rows(buckets, n_clusters, n_rows)
    np.testing.assert_array_equal(rows, round_robin(buckets, n_clusters, n_rows))
    np.testing.assert_array_equal(buckets[rows], np.arange(n_rows) % n_clusters)
    assert np.ptp(np.bincount(buckets[rows], minlength=n_clusters)) <= 1


def test_empty_buckets_are_named():
    with pytest.raises(ValueError, match=r"the 4 clusters a row, but \[1, 3\] have none"):
        balanced_rows([0, 2, -1], 4, 10)


def test_number_of_rows_is_checked():
    with pytest.raises(ValueError, match="n_rows must be an integer of at least 0; received n_rows=-1"):
        balanced_rows([0], 1, -1)


# speed, examples


def test_seventy_thousand_rows_are_fast():
    labels = synthetic_ensemble(70_000)[1]
    buckets = SimilarityGraph(labels).buckets(10)
    start = time.perf_counter()
    align_members(labels, 10)
    mean_pairwise_agreement(labels)
    name_buckets(buckets, labels[-1], 10)
    balanced_rows(buckets, 10, 70_000)
    assert time.perf_counter() - start < 0.5  # 0.03 on an idle machine


def test_docstring_examples():
    assert doctest.testmod(pseudo_labels).failed == 0


def test_proportional_rows_repeat_the_labelled_rows_in_turn():
    buckets = np.array([-1, 0, 1, 0, -1, 0])
    assert proportional_rows(buckets, 6).tolist() == [1, 2, 3, 5, 1, 2]
    assert proportional_rows(buckets, 3).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="at least one row"):
        proportional_rows([-1, -1], 2)
