"""RUC's targets and terms against the published numbers, loops and closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from kingdra_cluster import losses

GOLDEN = sorted((Path(__file__).parent / "golden").glob("ruc_loss_*.npz"))


def example(seed, rows=9, clusters=5):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(rows, clusters)).astype("float32")
    targets = softmax(rng.normal(size=(rows, clusters)), axis=1).astype("float32")
    return logits, targets, (rng.random(rows) < 0.6).astype("float32")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_terms_equal_the_published_ones(path):
    golden = np.load(path)
    n_clean, n_noisy = len(golden["logits_clean"]), len(golden["logits_noisy"])
    logits = np.concatenate([golden["logits_clean"], golden["logits_noisy"]])
    targets = np.concatenate([golden["targets_clean"], golden["targets_noisy"]])
    clean = np.repeat([1.0, 0.0], [n_clean, n_noisy]).astype("float32")
    order = np.random.default_rng(0).permutation(len(logits))
    logits, targets, clean = logits[order], targets[order], clean[order]
    assert float(losses.soft_cross_entropy(logits, targets, clean)) == pytest.approx(golden["loss_clean"], rel=1e-4)
    weight = float(losses.ramp(float(golden["epoch"])))
    assert weight == pytest.approx(golden["rampup"], rel=1e-6)
    noisy = weight * golden["lambda_u"] * float(losses.squared_error(logits, targets, 1 - clean))
    assert noisy == pytest.approx(golden["loss_noisy"], rel=1e-4)
    strong, labels = golden["logits_strong"], golden["labels"]
    onehot, smoothing = np.eye(strong.shape[1], dtype="float32")[labels], float(golden["label_smoothing"])
    found = losses.label_smoothed_cross_entropy(strong, onehot, np.ones(len(strong), "float32"), smoothing)
    assert float(found) == pytest.approx(golden["loss_strong"], rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_terms_equal_loops_over_rows(seed):
    logits, targets, mask = example(seed)
    answers = softmax(logits.astype(float), axis=1)
    entropies, errors, smoothed = [], [], []
    for row, target, counts in zip(answers, targets.tolist(), mask, strict=True):
        if counts:
            entropies.append(-sum(t * math.log(p) for t, p in zip(target, row, strict=True)))
            errors.append(sum((t - p) ** 2 for t, p in zip(target, row, strict=True)) / 5)
            smoothed.append(-sum((0.7 if k == 2 else 0.3 / 4) * math.log(p) for k, p in enumerate(row)))
    assert float(losses.soft_cross_entropy(logits, targets, mask)) == pytest.approx(np.mean(entropies), rel=1e-5)
    assert float(losses.squared_error(logits, targets, mask)) == pytest.approx(np.mean(errors), rel=1e-5)
    labels = np.tile(np.eye(5, dtype="float32")[2], (9, 1))
    found = losses.label_smoothed_cross_entropy(logits, labels, mask, smoothing=0.3)
    assert float(found) == pytest.approx(np.mean(smoothed), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_targets_equal_loops_over_rows(seed):
    rng = np.random.default_rng(seed)
    answers = [softmax(rng.normal(size=(6, 4)), axis=1) for _ in range(4)]
    labels, weight = np.eye(4)[rng.integers(0, 4, 6)], rng.random(6)
    refined = np.asarray(losses.co_refine(labels, answers[0], weight, temperature=0.4))
    guessed = np.asarray(losses.co_guess(answers, temperature=0.4))
    for row in range(6):
        mixed = [(1 - weight[row]) * labels[row, k] + weight[row] * answers[0][row, k] for k in range(4)]
        mean = [sum(answer[row, k] for answer in answers) / 4 for k in range(4)]
        for found, source in ((refined[row], mixed), (guessed[row], mean)):
            total = sum(p**2.5 for p in source)
            np.testing.assert_allclose(found, [p**2.5 / total for p in source], rtol=1e-5)


def test_closed_forms_of_targets_and_ramp():
    np.testing.assert_allclose(losses.sharpen(np.array([0.5, 0.3, 0.2])), [0.657895, 0.236842, 0.105263], atol=1e-6)
    refined = losses.co_refine(np.array([[1.0, 0, 0]]), np.array([[0.2, 0.5, 0.3]]), np.array([0.25]))
    np.testing.assert_allclose(refined, [[0.967864, 0.023629, 0.008507]], atol=1e-6)
    flat = losses.co_refine(np.array([[1.0, 0, 0]]), np.array([[0.2, 0.5, 0.3]]), np.array([0.25]), temperature=1.0)
    np.testing.assert_allclose(flat, [[0.8, 0.125, 0.075]], atol=1e-6)
    np.testing.assert_allclose([losses.ramp(float(e)) for e in (0, 20, 50, 100, 200, 999)], [0.1, 0.1, 0.25, 0.5, 1, 1])
    assert float(losses.ramp(5.0, length=10)) == pytest.approx(0.5)


@pytest.mark.parametrize("clusters", [2, 10])
def test_the_least_smoothed_cross_entropy(clusters):
    labels = np.eye(clusters, dtype="float32")
    best = np.log(0.5 * labels + 0.5 / (clusters - 1) * (1 - labels)).astype("float32")
    found = float(losses.label_smoothed_cross_entropy(best, labels, np.ones(clusters, "float32")))
    assert found == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 * (clusters - 1)), rel=1e-5)
    if clusters == 10:
        assert found == pytest.approx(1.791759, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_batches_that_are_all_clean_or_all_noisy_are_finite_with_finite_gradients(value, size):
    logits, targets, _ = example(0)
    logits, mask = tf.Variable(size * logits), np.full(9, value, "float32")
    with tf.GradientTape() as tape:
        clean = losses.soft_cross_entropy(logits, targets, mask)
        noisy = losses.squared_error(logits, targets, 1 - mask)
        strong = losses.label_smoothed_cross_entropy(logits, np.eye(9, 5, dtype="float32"), mask)
        total = clean + noisy + strong
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, logits)).all()
    assert (float(clean) == 0) == (value == 0)
    assert (float(noisy) == 0) == (value == 1)


def test_no_gradient_flows_into_targets():
    logits, targets, mask = example(1)
    targets = tf.Variable(targets)
    with tf.GradientTape() as tape:
        total = losses.soft_cross_entropy(logits, targets, mask) + losses.squared_error(logits, targets, mask)
    assert tape.gradient(total, targets) is None


@pytest.mark.parametrize(("n_clusters", "temperature"), [(100, 0.05), (10, 0.02)])
def test_sharpening_as_much_as_one_likes_gives_numbers(n_clusters, temperature):
    even = np.full((1, n_clusters), 1 / n_clusters, "float32")
    np.testing.assert_allclose(losses.sharpen(even, temperature), even, rtol=1e-6)
    even[0, 1] *= 2
    np.testing.assert_allclose(losses.sharpen(even, temperature), np.eye(n_clusters)[[1]], atol=1e-4)


def test_sharpening_keeps_certainty_and_ignorance_and_stands_zeros():
    for row in ([1.0, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]):
        np.testing.assert_allclose(losses.sharpen(np.array(row, "float32")), row, atol=1e-6)
    tiny = np.array([1e-30, 1e-38, 1 - 1e-30], "float32")
    assert np.isfinite(losses.sharpen(tiny)).all()


def test_one_cluster():
    ones = np.ones((3, 1), "float32")
    assert float(losses.label_smoothed_cross_entropy(ones, ones, np.ones(3, "float32"))) == 0
    assert float(losses.soft_cross_entropy(ones, ones, np.ones(3, "float32"))) == 0
