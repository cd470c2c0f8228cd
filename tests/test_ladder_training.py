"""What happens around the formulas: which passes are run, what fit reports, the optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kingdra_cluster.modes.ladder_network import TERMS
from kingdra_cluster.optimizers import FusedAdam
from tests.test_ladder_network import make_network, one_hot, random_rows


def compiled(jit_compile=False, **changes):
    network = make_network(**changes)
    network.compile(optimizer=FusedAdam(0.01), jit_compile=jit_compile)
    return network


def record_products(monkeypatch):
    """Note the shapes of the left factor of every matrix product."""
    shapes, multiply = [], ops.matmul
    monkeypatch.setattr(ops, "matmul", lambda a, b: shapes.append(tuple(a.shape)) or multiply(a, b))
    return shapes


def test_unsupervised_rows_cost_one_product_a_layer_for_two_passes(monkeypatch):
    network, shapes = make_network(), record_products(monkeypatch)
    output = network({"unlabelled": random_rows()}, training=True)
    assert shapes == [(32, 6), (32, 5), (32, 4), (16, 3), (16, 4), (16, 5)]  # 16 clean + 16 corrupted; the decoder's 16
    assert "labelled_logits" not in output
    assert "supervised" not in network.loss_terms(output)


def test_labelled_rows_add_a_pass_to_the_same_products(monkeypatch):
    network, shapes = make_network(), record_products(monkeypatch)
    output = network({"unlabelled": random_rows(), "labelled": random_rows(seed=1)}, training=True)
    assert shapes == [(48, 6), (48, 5), (48, 4), (16, 3), (16, 4), (16, 5)]
    assert output["labelled_logits"].shape == (16, 3)
    assert len(output["clean"]) == len(output["reconstructed"]) == 4


@pytest.mark.parametrize("labelled", [False, True])
def test_noise_is_drawn_for_the_corrupted_passes_only(labelled):
    network, drawn = make_network(), []
    draw = network.draw_noise
    object.__setattr__(network, "draw_noise", lambda *shape: drawn.append(shape) or draw(*shape))
    inputs = {"unlabelled": random_rows()} | ({"labelled": random_rows(seed=1)} if labelled else {})
    network(inputs, training=True)
    assert drawn == [(1 + labelled, 16)]


def test_noise_is_normal_and_new_for_every_layer_pass_and_step():
    network = make_network((50, 40, 30, 20), noise_std=2.0)
    first, second = ([part[1:] for part in network.draw_noise(2, 200)] for _ in range(2))
    assert [part.shape for part in first] == [(2, 200, 50), (2, 200, 40), (2, 200, 30), (2, 200, 20)]
    for part in first:
        assert float(ops.mean(part)) == pytest.approx(0, abs=0.06)
        assert float(ops.std(part)) == pytest.approx(2, abs=0.06)
    streams = [part[i, :, :20] for part in (*first, *second) for i in range(2)]
    correlations = np.corrcoef([ops.convert_to_numpy(stream).ravel() for stream in streams])
    assert np.abs(correlations - np.eye(len(streams))).max() < 0.08


def test_moments_of_the_labelled_rows_stay_apart():
    network, rows, noise = make_network(), random_rows(), make_network().draw_noise(2, 16)
    with_near = network.forward({"unlabelled": rows, "labelled": random_rows(seed=1)}, noise)
    with_far = network.forward({"unlabelled": rows, "labelled": 100 * random_rows(seed=2) + 50}, noise)
    np.testing.assert_allclose(with_near["logits"], with_far["logits"], rtol=1e-5, atol=1e-6)
    assert not np.allclose(with_near["labelled_logits"], with_far["labelled_logits"], rtol=1e-2)


def test_fit_reports_every_term_and_their_weighted_sum():
    network = compiled(mi_weight=0.7, kl_weight=0.4, supervised_weight=2.5, ladder_weight=0.3)
    inputs = {"unlabelled": random_rows(), "labelled": random_rows(seed=1)}
    history = network.fit(inputs, one_hot(), batch_size=16, epochs=2, shuffle=False, verbose=0).history
    assert set(history) == {"loss", *TERMS}
    for epoch in range(2):
        weighted = sum(
            weight * history[term][epoch] for term, weight in zip(TERMS, (0.3, 0.7, 0.7, 0.4, 2.5), strict=True)
        )
        assert history["loss"][epoch] == pytest.approx(weighted, rel=1e-5)
    assert history["loss"][1] < history["loss"][0]


def test_xla_gives_the_same_losses():
    """Without noise: XLA draws other numbers from the same seed."""
    inputs, targets = {"unlabelled": random_rows(), "labelled": random_rows(seed=1)}, one_hot()
    losses = {}
    for jit_compile in (False, True):
        network = compiled(jit_compile, layer_sizes=(6, 5, 3), noise_std=0.0)
        steps = [network.train_on_batch(inputs, targets, return_dict=True) for _ in range(3)]
        losses[jit_compile] = [step["loss"] for step in steps]
    assert abs(losses[True][2] - losses[True][0]) > 1
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-4)


def test_a_zero_supervised_weight_leaves_the_labels_without_effect(eager):
    weights = []
    for seed in (0, 1):
        network = compiled(supervised_weight=0.0)
        inputs = {"unlabelled": random_rows(), "labelled": random_rows(seed=1)}
        network.train_on_batch(inputs, one_hot(seed=seed))
        weights.append(network.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-7)


# The optimizer


def adam_steps(optimizer, steps=20):
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in ((4, 3), (5,))]
    optimizer.build(variables)
    for step in range(steps):
        gradients = [
            ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32") * 10.0 ** -(step % 4)) for v in variables
        ]
        if step == 10:
            optimizer.learning_rate = 0.002
        optimizer.apply(gradients, variables)
    return [ops.convert_to_numpy(v) for v in (*variables, *optimizer.variables)]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"global_clipnorm": 0.5},
    ],
    ids=str,
)
def test_fused_adam_equals_adam(arguments):
    plain = adam_steps(keras.optimizers.Adam(0.02, **arguments))
    fused = adam_steps(FusedAdam(0.02, **arguments))
    start = adam_steps(FusedAdam(0.02, **arguments), steps=0)
    assert not np.allclose(fused[0], start[0], rtol=1e-2)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_fused_adam_is_one_kernel_a_variable():
    optimizer, variable = FusedAdam(0.1), keras.Variable(np.ones(3, "float32"))
    optimizer.build([variable])
    update = tf.function(lambda: optimizer.apply([ops.ones(3)], [variable])).get_concrete_function()
    kinds = [operation.type for operation in update.graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == 1
    assert "Sqrt" not in kinds
