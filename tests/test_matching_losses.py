import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from loss_oracles import (
    slow_batch_nearest,
    slow_class_matching,
    slow_consistency,
    slow_entropy,
    slow_nt_xent,
    slow_self_labelling,
    softmax,
)

from kingdra_cluster import losses

GOLDEN = Path(__file__).parent / "golden"


def golden(pattern):
    return pytest.mark.parametrize("path", sorted(GOLDEN.glob(pattern)), ids=lambda path: path.stem)


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def random_logits(seed, rows=7, clusters=4, size=3.0):
    return np.random.default_rng(seed).normal(scale=size, size=(rows, clusters)).astype("float32")


def random_probabilities(seed, rows=7, clusters=4, size=3.0):
    return softmax(random_logits(seed, rows, clusters, size)).astype("float32")


def unit_vectors(seed, rows=6, units=5):
    rows = np.random.default_rng(seed).normal(size=(rows, units)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def one_hot(labels, n_clusters):
    return np.eye(n_clusters, dtype="float32")[np.asarray(labels)]


# The published code's values


@golden("simclr_loss_*.npz")
def test_nt_xent_equals_the_published(path):
    data = load(path)
    first, second = data["features"].transpose(1, 0, 2)
    assert float(losses.nt_xent(first, second, float(data["temperature"]))) == pytest.approx(data["total"], rel=1e-6)


@golden("scan_loss_*.npz")
def test_scan_equals_the_published(path):
    data = load(path)
    anchors, neighbors = (tf.nn.softmax(data[f"{name}_logits"]) for name in ("anchor", "neighbor"))
    consistency = losses.neighbor_consistency(anchors, neighbors)
    entropy = losses.cluster_entropy(anchors)
    assert float(consistency) == pytest.approx(data["consistency"], rel=1e-6)
    assert float(entropy) == pytest.approx(data["entropy"], rel=1e-6)
    total = float(consistency - float(data["entropy_weight"]) * entropy)
    assert total == pytest.approx(data["total"], rel=1e-6)


def nnm_total(data, logits):
    """Terms and weighted sum, as the mode adds them up."""
    pairs = losses.local_pairs(*map(tf.nn.softmax, logits), data["batch_nearest"])
    table = data.get("global_nearest_probabilities")
    terms = losses.nnm_terms(*pairs, None if table is None else table[data["index"]])
    matching = sum(value for name, value in terms.items() if name != "entropy")
    return terms, matching - float(data["entropy_weight"]) * terms["entropy"]


@golden("nnm_loss_*.npz")
def test_nnm_equals_the_published_gradients_included(path):
    data = load(path)
    np.testing.assert_array_equal(losses.batch_nearest(data["features"]), data["batch_nearest"])
    logits = [tf.constant(data[f"{name}_logits"]) for name in ("anchor", "neighbor", "augmented")]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        terms, total = nnm_total(data, logits)
    for ours, published in [("consistency",) * 2, ("entropy",) * 2, ("class_matching", "class_contrast")]:
        assert float(terms[ours]) == pytest.approx(data[published], rel=1e-6)
    assert float(total) == pytest.approx(data["total"], rel=1e-5)
    for name, gradient in zip(("anchor", "neighbor", "augmented"), tape.gradient(total, logits), strict=True):
        np.testing.assert_allclose(gradient, data[f"grad_{name}"], rtol=1e-4, atol=1e-7)


@golden("selflabel_loss_*.npz")
def test_self_labelling_equals_the_published(path):
    data = load(path)
    threshold, balancing = float(data["threshold"]), bool(data["class_balancing"])
    total = losses.self_labelling(data["weak_logits"], data["strong_logits"], threshold, balancing)
    assert float(total) == pytest.approx(data["total"], rel=1e-6)
    labels, is_sure = losses.sure_labels(data["weak_logits"], threshold)
    np.testing.assert_array_equal(is_sure, data["selected"])
    np.testing.assert_array_equal(labels, data["weak_logits"].argmax(axis=1))


# Loops


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_nt_xent_equals_the_loop(rows, temperature):
    first, second = unit_vectors(0, rows), unit_vectors(1, rows)
    expected = slow_nt_xent(first.astype(float), second.astype(float), temperature)
    assert float(losses.nt_xent(first, second, temperature)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_pairs_and_terms_equal_the_loops(seed):
    p, q, augmented, table = (random_probabilities(4 * seed + i, rows=1 + 3 * seed) for i in range(4))
    nearest = slow_batch_nearest(np.random.default_rng(seed).normal(size=(len(p), 3)))
    anchors = [*p, *augmented]
    positives = [*q, *(p[r] for r in nearest)]
    pairs = losses.local_pairs(p, q, augmented, np.array(nearest))
    for ours, expected in zip(pairs, (anchors, positives), strict=True):
        np.testing.assert_array_equal(ours, expected)
    terms = losses.nnm_terms(*pairs, table, prior=[0.1, 0.2, 0.3, 0.4])
    both, matched = anchors + positives, [*table] * 4
    expected = {
        "consistency": slow_consistency(anchors, positives),
        "class_matching": slow_class_matching(anchors, positives),
        "entropy": slow_entropy(anchors, [0.1, 0.2, 0.3, 0.4]),
        "global_consistency": slow_consistency(both, matched),
        "global_class_matching": slow_class_matching(both, matched),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_without_local_and_global_terms_there_are_pairs_of_neighbours_only():
    p, q = random_probabilities(0), random_probabilities(1)
    assert set(losses.nnm_terms(p, q)) == {"consistency", "class_matching", "entropy"}
    assert float(losses.nnm_terms(p, q)["consistency"]) == pytest.approx(slow_consistency(p, q), rel=1e-5)


@pytest.mark.parametrize("balancing", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.7, 0.95])
def test_self_labelling_equals_the_loop(threshold, balancing):
    weak, strong = random_logits(0, rows=30), random_logits(1, rows=30)
    expected = slow_self_labelling(weak, strong, threshold, balancing)
    assert float(losses.self_labelling(weak, strong, threshold, balancing)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_of_the_batch_equals_the_loop(seed, offset):
    features = np.random.default_rng(seed).normal(size=(40, 8)).astype("float32") + np.float32(offset)
    np.testing.assert_array_equal(losses.batch_nearest(features), slow_batch_nearest(features))


# Closed forms


def test_nt_xent_of_equal_vectors_and_of_separate_pairs():
    same = np.ones((5, 1), "float32")
    assert float(losses.nt_xent(same, same)) == pytest.approx(math.log(9), rel=1e-6)
    separate = np.eye(8, dtype="float32")
    assert float(losses.nt_xent(separate, separate)) == pytest.approx(math.log(1 + 14 * math.exp(-10)), rel=1e-3)


@pytest.mark.parametrize("n_clusters", [2, 10, 2000])
def test_terms_of_sure_and_balanced_and_of_uniform_rows(n_clusters):
    sure, uniform = np.eye(n_clusters, dtype="float32"), np.full((3, n_clusters), 1 / n_clusters, "float32")
    for rows, consistency, matching in [
        (sure, 0, math.log(1 + (n_clusters - 1) / math.e)),
        (uniform, math.log(n_clusters), math.log(n_clusters)),
    ]:
        terms = losses.nnm_terms(rows, rows)
        assert float(terms["consistency"]) == pytest.approx(consistency, rel=1e-5, abs=1e-6)
        assert float(terms["class_matching"]) == pytest.approx(matching, rel=1e-5)
        assert float(terms["entropy"]) == pytest.approx(math.log(n_clusters), rel=1e-5)


def test_consistency_is_0_only_for_equal_sure_rows():
    sure = one_hot([0, 1, 2], 4)
    assert float(losses.neighbor_consistency(sure, sure)) == 0
    assert float(losses.neighbor_consistency(sure, one_hot([1, 2, 3], 4))) == 100
    assert float(losses.neighbor_consistency(sure, 0.9 * sure + 0.025)) > 0.07


def test_self_labelling_weights_every_label_alike():
    weak = 30 * one_hot([0, 0, 0, 1], 3)
    strong = np.log([[0.5, 0.25, 0.25]] * 3 + [[0.25, 0.125, 0.625]]).astype("float32")
    assert float(losses.self_labelling(weak, strong)) == pytest.approx((math.log(2) + math.log(8)) / 2, rel=1e-6)
    unweighted = losses.self_labelling(weak, strong, class_balancing=False)
    assert float(unweighted) == pytest.approx((3 * math.log(2) + math.log(8)) / 4, rel=1e-6)


# A prior


@pytest.mark.parametrize("n_clusters", [2, 3, 10, 49, 100])
def test_a_uniform_prior_changes_nothing(n_clusters):
    rows = random_probabilities(0, rows=50, clusters=n_clusters)
    uniform = np.full(n_clusters, 1 / n_clusters)
    assert float(losses.cluster_entropy(rows, uniform)) == float(losses.cluster_entropy(rows))


def test_the_term_is_largest_where_the_shares_are_the_prior():
    prior = np.array([0.7, 0.2, 0.1])
    at_prior = float(losses.cluster_entropy(prior[None].astype("float32"), prior))
    assert at_prior == pytest.approx(math.log(3), rel=1e-6)
    for seed in range(5):
        assert float(losses.cluster_entropy(random_probabilities(seed, clusters=3), prior)) < at_prior


@pytest.mark.parametrize("prior", [[0.5, 0.5], [0.5, 0.5, 0.0], [0.9, 0.3, -0.2], [1, 1, 1], [np.nan, 0.5, 0.5]])
def test_a_prior_that_is_none_is_refused(prior):
    with pytest.raises(ValueError, match="prior must be one positive share for each of the 3 clusters"):
        losses.cluster_entropy(random_probabilities(0, clusters=3), prior)


# Degenerate batches


def test_a_batch_of_one_row_is_its_own_nearest():
    assert int(losses.batch_nearest(np.ones((1, 3), "float32"))[0]) == 0


def test_duplicates_are_each_others_nearest():
    features = np.repeat(np.random.default_rng(0).normal(size=(5, 4)), 3, axis=0).astype("float32")
    nearest = losses.batch_nearest(features).numpy()
    np.testing.assert_array_equal(nearest, [3 * (i // 3) + (1 if i % 3 == 0 else 0) for i in range(15)])


DEGENERATE = {
    "one row": random_logits(0, rows=1),
    "all rows alike": np.zeros((6, 4), "float32"),
    "a cluster that died": 200 * one_hot([0, 1, 0, 1, 2], 4),
    "one cluster left": 1e4 * one_hot([0] * 5, 4),
    "one cluster": np.zeros((5, 1), "float32"),
}


def value_and_gradients(first, second):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([first, second])
        p, q = tf.nn.softmax(first), tf.nn.softmax(second)
        pairs = losses.local_pairs(p, q, q, losses.batch_nearest(first))
        values = [*losses.nnm_terms(*pairs, q).values(), losses.self_labelling(first, second)]
        values.append(losses.nt_xent(tf.linalg.l2_normalize(p, axis=1), tf.linalg.l2_normalize(q, axis=1)))
        total = sum(values)
    return values, tape.gradient(total, [first, second])


@pytest.mark.parametrize("name", DEGENERATE)
def test_values_and_gradients_stay_finite(name):
    logits = tf.constant(DEGENERATE[name])
    values, gradients = value_and_gradients(logits, tf.roll(logits, 1, axis=1))
    for array in [*values, *gradients]:
        assert np.isfinite(array).all()
    if name == "a cluster that died":  # compiled as well
        again = tf.function(value_and_gradients, jit_compile=True)(logits, tf.roll(logits, 1, axis=1))
        np.testing.assert_allclose(again[0], values, rtol=1e-5)
        np.testing.assert_allclose(again[1], gradients, rtol=1e-4, atol=1e-6)


def test_no_sure_row_gives_0_and_no_gradient():
    weak, strong = tf.constant(np.zeros((5, 4), "float32")), tf.constant(random_logits(0, rows=5))
    with tf.GradientTape() as tape:
        tape.watch(strong)
        total = losses.self_labelling(weak, strong)
    assert float(total) == 0
    np.testing.assert_array_equal(tape.gradient(total, strong), np.zeros((5, 4)))


def test_targets_and_matches_are_held_fixed():
    weak, strong = (tf.constant(30 * one_hot([0, 1, 2], 4)) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(weak)
        total = losses.self_labelling(weak, strong)
    assert tape.gradient(total, weak) is None
