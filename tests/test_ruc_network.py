"""A step of RUC against a slow one, the table of rows, and two networks that stay apart."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from kingdra_cluster import RUC
from kingdra_cluster.batches import IndexedRowBatches
from kingdra_cluster.losses import co_guess, co_refine, label_smoothed_cross_entropy, soft_cross_entropy, squared_error
from kingdra_cluster.modes.ruc_network import RowTable, RUCNetwork, make_network, mean_classifier

pytestmark = pytest.mark.usefixtures("eager")
N_ROWS, N_CLUSTERS = 12, 3


def unchanged(rows, seed):
    return tf.convert_to_tensor(rows)


def make_pair(**changes):
    """Two harnesses that share a table; views that change nothing, no mixing, unless told otherwise."""
    options = {
        "weak_view": unchanged,
        "strong_view": unchanged,
        "seed": 5,
        "steps_per_epoch": 4,
        "ramp_epochs": 10,
        "noisy_weight": 25.0,
        "relabel_thresholds": (0.9,),
        "epochs": 10,
        "temperature": 0.5,
        "smoothing": 0.5,
        "mixup": 4,
        "weight_decay": 0.0,
    }
    table = RowTable(N_ROWS)
    settings = RUC(N_CLUSTERS, hidden_units=(6,))
    networks = [make_network(settings, (4,), [0, which]) for which in (0, 1)]
    harnesses = []
    for which in (0, 1):
        helper = partial(networks[1 - which], training=False)
        harness = RUCNetwork(networks[which], helper, table, which, **{**options, **changes})
        harness.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        harness.optimizer.build(networks[which].trainable_variables)
        harnesses.append(harness)
    return harnesses, table


def example_rows(seed=0):
    return np.random.default_rng(seed).normal(size=(N_ROWS, 4)).astype("float32")


def fill(table, clean=None, seed=1):
    rng = np.random.default_rng(seed)
    table.labels.assign(rng.integers(0, N_CLUSTERS, N_ROWS).astype("int32"))
    table.clean.assign((rng.random(N_ROWS) < 0.5 if clean is None else np.full(N_ROWS, clean)).astype("float32"))
    table.weight.assign(rng.random((2, N_ROWS)).astype("float32"))


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


# The table


def test_a_noisy_row_that_is_sure_enough_becomes_clean_for_good():
    table = RowTable(6)
    table.labels.assign(np.array([0, 1, 2, 0, 1, 2], "int32"))
    table.clean.assign(np.array([1.0, 0, 0, 0, 1, 0], "float32"))
    probabilities = np.array([[0.05, 0.95, 0], [0.05, 0.9, 0.05], [0.8, 0.1, 0.1], [0, 0.02, 0.98]], "float32")
    table.relabel(np.array([0, 3, 1, 5], "int32"), probabilities, 0.9)
    assert np.asarray(table.labels).tolist() == [0, 1, 2, 1, 1, 2]  # row 0 was clean, row 1 unsure, row 2 not asked
    assert np.asarray(table.clean).tolist() == [1, 0, 0, 1, 1, 1]
    table.relabel(np.array([3], "int32"), np.array([[1.0, 0, 0]], "float32"), 0.9)
    assert np.asarray(table.labels)[3] == 1


def test_weights_are_the_confidence_of_the_last_pass_stretched_to_one():
    table = RowTable(4)
    table.note(np.array([2, 0], "int32"), 1, np.array([0.6, 0.4], "float32"))
    table.note(np.array([1, 3], "int32"), 1, np.array([0.9, 0.8], "float32"))
    np.testing.assert_array_equal(table.weight, np.zeros((2, 4)))  # not before the pass ends
    table.end_pass(1)
    np.testing.assert_allclose(table.weight, [[0, 0, 0, 0], [0, 1, 0.4, 0.8]], atol=1e-6)
    table.note(np.arange(4, dtype="int32"), 0, np.full(4, 0.5, "float32"))
    table.end_pass(0)  # equally sure of all: no corrections, no NaN
    np.testing.assert_allclose(table.weight, [[0, 0, 0, 0], [0, 1, 0.4, 0.8]], atol=1e-6)


def test_rows_that_no_pass_has_seen_count_for_nothing():
    table = RowTable(4)
    table.note(np.array([2, 0, 3], "int32"), 1, np.array([0.6, 0.5, 0.9], "float32"))  # row 1 was in a ragged batch
    table.end_pass(1)
    np.testing.assert_allclose(table.weight, [[0, 0, 0, 0], [0, 0, 0.25, 1]], atol=1e-6)
    table.note(np.array([1], "int32"), 1, np.array([0.7], "float32"))
    table.end_pass(1)
    np.testing.assert_allclose(table.weight, [[0, 0, 0, 0], [0, 0.5, 0.25, 1]], atol=1e-6)
    table.end_pass(0)
    assert not np.asarray(table.weight)[0].any()


def test_the_table_can_be_rebuilt_from_its_config():
    table = RowTable(7, name="rows")
    again = RowTable.from_config(table.get_config())
    assert again.labels.shape == (7,)
    assert not again.trainable_variables


# A step


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("clean", [None, 0.0, 1.0])
def test_the_loss_of_a_step_equals_one_computed_row_by_row(which, clean):
    harnesses, table = make_pair()
    fill(table, clean)
    harness, rows = harnesses[which], np.array([3, 0, 7, 11, 5], "int32")
    x = example_rows()[rows]
    before = {name: np.asarray(getattr(table, name)).copy() for name in ("labels", "clean", "weight")}
    output = harness.call({"rows": rows, "x": x}, training=False)
    own, other = softmax(harness.network(x)), softmax(harness.helper(x))
    targets = []
    for place, row in enumerate(rows):
        onehot, weight = np.eye(N_CLUSTERS)[[before["labels"][row]]], before["weight"][1 - which, row]
        if before["clean"][row]:
            targets.append(np.asarray(co_refine(onehot, other[[place]], np.array([weight])))[0])
        else:
            targets.append(np.asarray(co_guess([own[place], own[place], other[place], other[place]])))
    share, partner = harness._draw_mixup(tf.constant([5, which, 0]), 10)
    assert 0.5 <= float(share) <= 1
    assert sorted(np.asarray(partner)) == list(range(10))
    twice = np.concatenate([targets, targets])
    mixed = float(share) * twice + (1 - float(share)) * twice[np.asarray(partner)]
    np.testing.assert_allclose(output["mixed_targets"], mixed, atol=1e-5)
    both = np.concatenate([x, x])
    mixed_rows = float(share) * both + (1 - float(share)) * both[np.asarray(partner)]
    np.testing.assert_allclose(output["mixed_logits"], harness.network(mixed_rows), atol=1e-4)
    terms = harness.loss_terms(output)
    mask = np.tile(before["clean"][rows], 2)
    logits = np.asarray(output["mixed_logits"])
    assert float(terms["clean"]) == pytest.approx(float(soft_cross_entropy(logits, mixed, mask)), rel=1e-4)
    noisy = 25 * 0.1 * float(squared_error(logits, mixed, 1 - mask))
    assert float(terms["noisy"]) == pytest.approx(noisy, rel=1e-4)
    labels = np.eye(N_CLUSTERS, dtype="float32")[before["labels"][rows]]
    strong = label_smoothed_cross_entropy(np.asarray(harness.network(x)), labels, before["clean"][rows])
    assert float(terms["strong"]) == pytest.approx(float(strong), rel=1e-4)
    if clean == 0:
        assert float(terms["clean"]) == float(terms["strong"]) == 0
    if clean == 1:
        assert float(terms["noisy"]) == 0


def test_the_ramp_counts_fractions_of_epochs_and_weight_decay_all_weights():
    (harness, _), table = make_pair(weight_decay=0.01)
    fill(table, 0.0)
    output = {
        "mixed_logits": np.zeros((4, 3), "float32"),
        "mixed_targets": np.eye(4, 3, dtype="float32"),
        "clean": np.zeros(2, "float32"),
        "labels": np.eye(2, 3, dtype="float32"),
        "strong_logits": np.zeros((2, 3), "float32"),
    }
    noisy = []
    for step in (0, 10, 40, 100):  # of 10 epochs of 4 steps
        harness.optimizer.iterations.assign(step)
        noisy.append(float(harness.loss_terms(output)["noisy"]))
    np.testing.assert_allclose(np.array(noisy) / noisy[-1], [0.1, 0.25, 1, 1], rtol=1e-5)
    squares = sum(float(np.square(weight).sum()) for weight in harness.network.trainable_variables)
    assert float(harness.loss_terms(output)["decay"]) == pytest.approx(0.005 * squares, rel=1e-5)


def test_weight_decay_is_that_of_pytorch_a_part_of_the_gradient():
    """With nothing clean and a weight of 0 on noisy rows, only the decay moves the weights: w - lr wd w."""
    (harness, _), table = make_pair(weight_decay=0.2, noisy_weight=0.0, relabel_thresholds=(1.0,))
    fill(table, 0.0)
    before = [np.asarray(v) for v in harness.network.trainable_variables]
    harness.fit(IndexedRowBatches(example_rows(), batch_size=12, seed=(0,)), epochs=1, shuffle=False, verbose=0)
    for old, new in zip(before, harness.network.trainable_variables, strict=True):
        np.testing.assert_allclose(new, old * (1 - 0.1 * 0.2), atol=1e-6)


def test_a_relabelling_counts_from_the_next_batch_on():
    (harness, _), table = make_pair(relabel_thresholds=(0.0,))
    fill(table, 0.0)
    rows = np.arange(4, dtype="int32")
    first = harness.call({"rows": rows, "x": example_rows()[:4]}, training=True)
    second = harness.call({"rows": rows, "x": example_rows()[:4]}, training=True)
    assert not np.asarray(first["clean"]).any()
    assert np.asarray(second["clean"]).all()
    assert np.asarray(table.clean).sum() == 4


# Two networks


def test_thresholds_are_those_of_equal_parts_of_the_training():
    """0.9 + 0.02 floor(epoch / 40) over 200 epochs."""
    (harness, _), _ = make_pair(relabel_thresholds=(0.9, 0.92, 0.94, 0.96, 0.98), epochs=200)
    for epoch in (0, 39, 40, 120, 159.75, 160, 199.75, 200):
        harness.optimizer.iterations.assign(int(4 * epoch))
        expected = 0.9 + 0.02 * min(4, epoch // 40)
        assert float(harness._relabel_threshold()) == pytest.approx(expected), epoch


def test_the_helper_is_frozen_and_untracked():
    (first, second), table = make_pair()
    fill(table)
    assert len(first.trainable_variables) == len(first.network.trainable_variables)
    helper = [np.asarray(v).copy() for v in second.network.variables]
    own = [np.asarray(v).copy() for v in first.network.variables]
    first.fit(IndexedRowBatches(example_rows(), batch_size=6, seed=(0,)), epochs=2, shuffle=False, verbose=0)
    for before, after in zip(helper, second.network.variables, strict=True):
        np.testing.assert_array_equal(before, after)  # the statistics of its batch norm too
    assert all(np.any(before != np.asarray(after)) for before, after in zip(own, first.network.variables, strict=True))


@pytest.mark.parametrize("clean", [0.0, 1.0])
@pytest.mark.parametrize("jit", [False, True])
def test_all_clean_and_all_noisy_batches_train_without_nan(clean, jit):
    tf.config.run_functions_eagerly(False)
    (harness, _), table = make_pair(weight_decay=1e-4)
    fill(table, clean)
    harness.compile(keras.optimizers.SGD(0.1), jit_compile=jit)
    history = harness.fit(IndexedRowBatches(example_rows(), batch_size=6, seed=(0,)), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(np.asarray(v)).all() for v in harness.network.variables)


def test_the_classifier_is_the_softmax_of_the_mean_logits_of_stock_layers():
    (first, second), _ = make_pair()
    classifier = mean_classifier([first.network, second.network], (4,), 2.0)
    x = example_rows()
    expected = softmax((first.network(x / 2) + second.network(x / 2)) / 2)
    np.testing.assert_allclose(classifier(x), expected, atol=1e-5)
    assert {type(layer).__module__.split(".")[0] for layer in classifier.layers} == {"keras"}


def test_networks_of_different_seeds_differ_and_a_backbone_keeps_its_weights():
    settings = RUC(N_CLUSTERS, hidden_units=(6,))
    kernels = [np.asarray(make_network(settings, (4,), [0, which]).variables[0]) for which in (0, 1, 0)]
    assert np.any(kernels[0] != kernels[1])
    np.testing.assert_array_equal(kernels[0], kernels[2])
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "relu")])
    networks = [make_network(RUC(N_CLUSTERS, backbone=backbone), (4,), [0, which]) for which in (0, 1)]
    for network in networks:
        np.testing.assert_array_equal(network.variables[0], backbone.variables[0])
        assert network.variables[0] is not backbone.variables[0]
    assert np.any(np.asarray(networks[0].variables[2]) != np.asarray(networks[1].variables[2]))
