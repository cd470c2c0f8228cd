"""Calibration scores against loops over rows and bins, closed forms and degenerate input."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from kingdra_cluster.calibration import MCE, adaptive_ECE, brier_score, calibration_table, negative_log_likelihood
from kingdra_cluster.unsup_metrics import ECE, match_columns
from tests.oracles import calibration_error

SCORES = (MCE, adaptive_ECE, brier_score, negative_log_likelihood, ECE)


def example(seed, n_rows=300, n_clusters=4, n_classes=4):
    """Classes (any names) and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, n_classes, n_rows)
    logits = rng.normal(size=(n_rows, n_clusters))
    logits[np.arange(n_rows), (classes + 1) % n_clusters] += 1.5
    return np.array(list("wxyzabcdef"))[classes], softmax(logits * rng.uniform(0.5, 3), axis=1)


def rights(classes, probabilities):
    true_class, class_of_cluster, _ = match_columns(classes, probabilities)
    return np.array([class_of_cluster[np.argmax(row)] == c for row, c in zip(probabilities, true_class, strict=True)])


@pytest.mark.parametrize("n_bins", [1, 2, 15, 400])
@pytest.mark.parametrize("seed", range(3))
def test_the_table_equals_a_loop_over_its_bins(seed, n_bins):
    classes, probabilities = example(seed)
    confidence, right = probabilities.max(axis=1), rights(classes, probabilities)
    for equal_counts in (False, True):
        table = calibration_table(classes, probabilities, n_bins, equal_counts=equal_counts)
        assert table["rows"].sum() == 300
        assert table["lower"][0] == 0
        assert table["upper"][-1] == 1
        for lower, upper, rows, mean, accuracy in zip(*table.values(), strict=True):
            inside = (confidence > lower) & (confidence <= upper)
            assert rows == inside.sum()
            if rows:
                assert mean == pytest.approx(confidence[inside].mean())
                assert accuracy == pytest.approx(right[inside].mean())
            else:
                assert np.isnan(mean)
                assert np.isnan(accuracy)
        if equal_counts:
            assert np.ptp(table["rows"]) <= 1
        else:
            np.testing.assert_allclose(np.diff(table["lower"]), 1 / n_bins if n_bins > 1 else [])


@pytest.mark.parametrize("seed", range(3))
def test_the_scores_equal_loops_over_rows(seed):
    classes, probabilities = example(seed, n_clusters=3 + seed, n_classes=4)
    confidence, right = probabilities.max(axis=1), rights(classes, probabilities)
    bins = [(confidence > b / 15) & (confidence <= (b + 1) / 15) for b in range(15)]
    worst = max(abs(confidence[inside].mean() - right[inside].mean()) for inside in bins if inside.any())
    assert MCE(classes, probabilities) == pytest.approx(worst)
    order = np.argsort(confidence)
    parts = np.array_split(order, 15)
    adaptive = sum(len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts) / 300
    assert adaptive_ECE(classes, probabilities) == pytest.approx(adaptive)
    true_class, class_of_cluster, _ = match_columns(classes, probabilities)
    brier = likelihood = 0.0
    for row, own in zip(probabilities, true_class, strict=True):
        target = [1.0 if class_of_cluster[k] == own else 0.0 for k in range(len(row))]
        missing = 1.0 - sum(target)
        brier += sum((p - t) ** 2 for p, t in zip(row, target, strict=True)) + missing
        likelihood -= math.log(max(1e-12, sum(p * t for p, t in zip(row, target, strict=True))))
    assert brier_score(classes, probabilities) == pytest.approx(brier / 300)
    assert negative_log_likelihood(classes, probabilities) == pytest.approx(likelihood / 300)
    assert ECE(classes, probabilities) == pytest.approx(calibration_error(confidence, right, 15))
    assert ECE(classes, probabilities) <= MCE(classes, probabilities)


@pytest.mark.parametrize("confidence", [0.6, 0.75, 1.0])
def test_one_confidence_for_all_rows(confidence):
    predicted = np.tile([0, 1], 50)
    classes = predicted.copy()
    classes[:20] = 1 - classes[:20]  # accuracy 0.8
    probabilities = np.where(np.eye(2)[predicted] == 1, confidence, 1 - confidence)
    for score in (MCE, adaptive_ECE, ECE):
        assert score(classes, probabilities) == pytest.approx(abs(confidence - 0.8))
    assert len(calibration_table(classes, probabilities, equal_counts=True)["rows"]) == 1
    brier = 0.8 * 2 * (1 - confidence) ** 2 + 0.2 * 2 * confidence**2
    assert brier_score(classes, probabilities) == pytest.approx(brier)


def test_perfect_uniform_and_wholly_wrong_answers():
    classes = np.arange(40) % 4
    sure, uniform = np.eye(4)[(classes + 1) % 4], np.full((40, 4), 0.25)
    for score in SCORES:
        assert score(classes, sure) == 0
    assert negative_log_likelihood(classes, uniform) == pytest.approx(math.log(4))
    assert brier_score(classes, uniform) == pytest.approx(0.75)
    assert MCE(classes, uniform) == pytest.approx(0)
    one_cluster = np.tile([1.0, 0.0], (40, 1))  # a quarter right; two of the four classes have no cluster
    assert MCE(classes, one_cluster) == pytest.approx(0.75)
    assert brier_score(classes, one_cluster) == pytest.approx(0.75 * 2)
    assert negative_log_likelihood(classes, one_cluster) == pytest.approx(0.75 * -math.log(1e-12))


def test_scores_do_not_depend_on_names_or_order_of_rows():
    classes, probabilities = example(0)
    order = np.random.default_rng(0).permutation(300)
    tied = probabilities.round(1)
    for score in SCORES:
        permuted = probabilities[order][:, [2, 0, 3, 1]]
        assert score(classes[order], permuted) == pytest.approx(score(classes, probabilities))
        assert score(classes[order], tied[order]) == pytest.approx(score(classes, tied))


def test_one_row_and_one_cluster():
    for score in SCORES:
        assert score(["a"], [[1.0]]) == 0


@pytest.mark.parametrize("score", SCORES)
def test_wrong_arguments_are_named(score):
    with pytest.raises(ValueError, match="as many rows as y_true"):
        score([0, 1], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="probabilities must be from 0 to 1"):
        score([0], [[np.nan, 0.5]])
    if score in (MCE, adaptive_ECE):
        with pytest.raises(ValueError, match="n_bins must be an integer of at least 1"):
            score([0], [[0.5, 0.5]], n_bins=0)
