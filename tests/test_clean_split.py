"""Clean splits against the published masks and a slow oracle."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from kingdra_cluster import clean_split
from kingdra_cluster.clean_split import confidence_split, core_split, hybrid_split, metric_split, split_quality

GOLDEN = sorted((Path(__file__).parent / "golden").glob("ruc_sampling_*.npz"))


def slow_vote(embeddings, labels, n_neighbors):
    """(own, best): votes for the row's own label and for the most frequent one, a row at a time."""
    own, best = [], []
    for row, label in zip(embeddings, labels, strict=True):
        order = sorted(range(len(labels)), key=lambda other: -float(np.dot(row, embeddings[other])))
        votes = [labels[other] for other in order[:n_neighbors]]
        own.append(votes.count(label))
        best.append(max(votes.count(name) for name in votes))
    return np.array(own), np.array(best)


def unit_rows(n_rows, n_features, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n_rows, n_features))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_masks_equal_the_published_ones(path):
    golden = np.load(path)
    probabilities = softmax(golden["logits"], axis=1)
    threshold, n_neighbors = float(golden["confidence_threshold"]), int(golden["n_neighbors"])
    decided = ~golden["vote_tied"]
    found = confidence_split(probabilities, threshold)
    np.testing.assert_array_equal(found, golden["clean_by_confidence"])
    found = metric_split(golden["embeddings"], probabilities.argmax(axis=1), n_neighbors)
    np.testing.assert_array_equal(found[decided], golden["clean_by_metric"][decided])
    found = hybrid_split(probabilities, golden["embeddings"], threshold, n_neighbors)
    np.testing.assert_array_equal(found[decided], golden["clean_hybrid"][decided])
    own, best = slow_vote(golden["embeddings"][:300], probabilities[:300].argmax(axis=1), n_neighbors)
    found = metric_split(golden["embeddings"][:300], probabilities[:300].argmax(axis=1), n_neighbors)
    np.testing.assert_array_equal(found, own == best)


@pytest.mark.parametrize("n_neighbors", [1, 2, 7, 60, 500])
def test_the_vote_equals_the_slow_one_whatever_the_block(n_neighbors, monkeypatch):
    embeddings, labels = unit_rows(60, 5), np.random.default_rng(1).integers(0, 4, 60) * 3
    own, best = slow_vote(embeddings, labels.tolist(), n_neighbors)
    for entries in (1, 60 * 7, 2**24):
        monkeypatch.setattr(clean_split, "BLOCK_ENTRIES", entries)
        np.testing.assert_array_equal(metric_split(embeddings, labels, n_neighbors), own == best)


def test_the_vote_of_one_unit_row_is_its_own_and_of_one_label_unanimous():
    embeddings = unit_rows(50, 6)
    assert metric_split(embeddings, np.random.default_rng(0).integers(0, 9, 50), 1).all()
    assert metric_split(embeddings, np.zeros(50, int), 10).all()
    assert metric_split(np.zeros((5, 3)), [0, 1, 1, 2, 2], 5).tolist() == [False, True, True, True, True]
    assert metric_split([[1.0]], [4]).tolist() == [True]


def test_confidence_is_strictly_above_the_threshold():
    assert confidence_split([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], 0.75).tolist() == [True, False, True]
    assert confidence_split([[1.0, 0.0]], 1.0).all()
    assert confidence_split(np.ones((3, 1)), 0.99).all()


def test_cores_are_rows_in_buckets_alone_or_with_labels_or_the_vote():
    buckets = np.array([0, 0, 0, -1, 1, 1, -1, 1])
    labels = np.array([0, 0, 1, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(core_split(buckets), buckets >= 0)
    np.testing.assert_array_equal(core_split(buckets, labels), [1, 1, 0, 0, 1, 1, 0, 1])
    angles = np.array([0, 0.1, 0.2, 0.3, 1.5, 1.6, 1.4, 0.05])  # the last lies among the first cluster
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    voted = metric_split(embeddings, labels, 3)
    np.testing.assert_array_equal(core_split(buckets, labels, embeddings, 3), core_split(buckets, labels) & voted)
    np.testing.assert_array_equal(core_split(buckets, None, embeddings, 3), [1, 1, 1, 0, 1, 1, 0, 0])
    assert not core_split(np.full(4, -1), None, embeddings[:4]).any()


def test_quality_of_a_mask():
    clean, labels, truth = [1, 1, 1, 0, 0], [5, 5, 7, 7, 7], ["a", "a", "a", "b", "b"]
    assert split_quality(clean, labels, truth) == pytest.approx((2 / 3, 0.6))
    precision, coverage = split_quality(np.zeros(5, bool), labels, truth)
    assert np.isnan(precision)
    assert coverage == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: confidence_split([0.5, 0.5]), ValueError, r"probabilities must have the shape .* \(2,\)"),
        (
            lambda: confidence_split([[np.nan, 0.5]]),
            ValueError,
            "probabilities must be from 0 to 1, got .* nan",
        ),
        (lambda: confidence_split([[1.0]], 2), ValueError, "threshold must be from 0 to 1, got 2"),
        (lambda: metric_split(np.zeros(3), [0, 0, 0]), ValueError, "embeddings must be numbers of shape"),
        (lambda: metric_split([[np.inf]], [0]), ValueError, "embeddings must be finite"),
        (lambda: metric_split(np.zeros((3, 2)), [0, 0]), ValueError, r"labels must have the shape \(3,\), got \(2,\)"),
        (lambda: metric_split(np.zeros((2, 2)), [0, -1]), ValueError, "labels must not be negative"),
        (lambda: metric_split(np.zeros((2, 2)), [0.0, 1.0]), TypeError, "labels must be integers"),
        (lambda: metric_split(np.zeros((2, 2)), [0, 1], 0), ValueError, "n_neighbors must be an integer of at least 1"),
        (lambda: core_split([0, -2]), ValueError, "pseudo_labels must be"),
        (lambda: core_split([0, 1], [0]), ValueError, "labels must have the shape"),
        (lambda: core_split([0, 1], None, np.zeros((3, 2))), ValueError, "embeddings must have 2 rows"),
    ],
)
def test_wrong_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
