import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kingdra_cluster.modes.ladder_network import TERMS, LadderNetwork

GOLDEN = sorted((Path(__file__).parent / "golden").glob("ladder_*.npz"))
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def make_network(layer_sizes=(6, 5, 4, 3), **changes):
    arguments = {
        "noise_std": 0.3,
        "denoising_cost": (1000.0, 10.0, 0.1, 0.1)[: len(layer_sizes)],
        "ladder_weight": 1.0,
        "mi_weight": 0.1,
        "kl_weight": 1.0,
        "supervised_weight": 1.0,
        "marginal_weight": 4.0,
        "normalize_logits": False,
        "seed": 0,
    }
    return LadderNetwork(layer_sizes, **arguments | changes)


def random_rows(rows=16, features=6, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, features)).astype("float32")


def one_hot(rows=16, clusters=3, seed=0):
    return np.eye(clusters, dtype="float32")[np.random.default_rng(seed).integers(0, clusters, rows)]


def named_weights(network):
    """The network's weights by the names of the golden files."""
    named = {f"encoder_kernel_{layer}": kernel for layer, kernel in enumerate(network.encoder, start=1)}
    named |= {f"beta_{layer}": beta for layer, beta in enumerate(network.beta, start=1)}
    named |= {f"decoder_kernel_{layer}": kernel for layer, kernel in enumerate(network.decoder)}
    return named | {f"combinator_{layer}": combinator.vectors for layer, combinator in enumerate(network.combinators)}


def with_stacked_vectors(named):
    """The ten vectors of each combinator, separate in the golden files, as one array (10, units) each."""
    stacked = {name: value for name, value in named.items() if not re.search(r"combinator_\d+_a\d+$", name)}
    for first in [name for name in named if re.search(r"combinator_\d+_a1$", name)]:
        stem = first.removesuffix("_a1")
        stacked[stem] = np.stack([named[f"{stem}_a{i}"] for i in range(1, 11)])
    return stacked


def given_noise(noise, std):
    """Standard normal noise (corrupted passes, batch, units) of each layer as the network takes it."""
    return [np.concatenate([np.zeros_like(layer[:1]), std * layer]).astype("float32") for layer in noise]


# Golden files: the published code with given weights and noise


@pytest.fixture(scope="module", params=GOLDEN, ids=lambda path: path.stem)
def golden_step(request):
    """One golden file, what the network makes of it, and the gradient of the total by weight."""
    with np.load(request.param, allow_pickle=False) as stored:
        golden = with_stacked_vectors({name: stored[name] for name in stored.files})
    sizes = golden["layer_sizes"].tolist()
    network = make_network(
        sizes,
        noise_std=golden["noise_std"].item(),
        denoising_cost=golden["denoising_cost"].tolist(),
        marginal_weight=golden["mu"].item(),
        normalize_logits=bool(golden["last_layer_bn"]),
        **{name: golden[name].item() for name in ("mi_weight", "ladder_weight", "kl_weight", "supervised_weight")},
    )
    weights = named_weights(network)
    for name, weight in weights.items():
        weight.assign(golden[name])
    noise = [np.stack([golden[f"noise_{kind}_{layer}"] for kind in ("unlabelled", "supervised")]) for layer in range(4)]
    with tf.GradientTape() as tape:
        output = network.forward(
            {"unlabelled": golden["x"], "labelled": golden["x_supervised"]}, given_noise(noise, network.noise_std)
        )
        total = network.compute_loss(y=golden["y_supervised"], y_pred=output)
    gradients = tape.gradient(total, {name: weight.value for name, weight in weights.items()})
    return golden, network, output, total, gradients


def test_there_are_golden_files():
    assert len(GOLDEN) >= 4


def test_total_and_terms_equal_the_published_code(golden_step):
    golden, network, output, total, _ = golden_step
    terms = network.loss_terms(output, golden["y_supervised"])
    assert tuple(terms) == TERMS
    for name, value in terms.items():
        np.testing.assert_allclose(value, golden[name], err_msg=name, **TOLERANCE)
        np.testing.assert_allclose(network.term_means.result()[name], golden[name], err_msg=name, **TOLERANCE)
    np.testing.assert_allclose(total, golden["total"], rtol=1e-5)
    weighted = np.dot([float(value) for value in terms.values()], network.weights_of_terms)
    assert weighted == pytest.approx(golden["total"].item(), rel=1e-5)


def test_every_denoising_term_equals_the_published_code(golden_step):
    golden, network, output, *_ = golden_step
    pairs = zip(network.denoising_cost, output["clean"], output["reconstructed"], strict=True)
    terms = [cost * float(ops.mean(ops.square(estimate - clean))) for cost, clean, estimate in pairs]
    np.testing.assert_allclose(terms, golden["denoising_terms"], rtol=1e-4)


def test_logits_and_probabilities_equal_the_published_code(golden_step):
    golden, network, output, *_ = golden_step
    np.testing.assert_allclose(output["logits"][0], golden["clean_logits"], **TOLERANCE)
    np.testing.assert_allclose(output["logits"][1], golden["corrupted_logits"], **TOLERANCE)
    probabilities = ops.softmax(output["labelled_logits"])
    np.testing.assert_allclose(probabilities, golden["supervised_probabilities"], **TOLERANCE)
    rows = {"unlabelled": golden["x_supervised"]}
    clean = network.forward(rows, network.draw_noise(1, len(golden["x_supervised"])))["logits"][0]
    np.testing.assert_allclose(ops.softmax(clean), golden["clean_probabilities_supervised"], **TOLERANCE)


def test_every_gradient_equals_the_published_code(golden_step):
    golden, network, _, _, gradients = golden_step
    assert {f"grad_{name}" for name in gradients} == {name for name in golden if name.startswith("grad_")}
    assert len(gradients) == len(network.trainable_variables)
    for name, gradient in gradients.items():
        expected = golden[f"grad_{name}"]
        found = np.zeros_like(expected) if gradient is None else ops.convert_to_numpy(gradient)
        size = max(1e-3, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * size, err_msg=name)


# A slow oracle, written from the formulas, on random networks


def slow_standardized(values):
    return (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-10)


def slow_encoder(rows, weights, noise, sigma, n_layers, normalize_logits):
    hidden = rows + sigma * noise[0]
    values = [hidden]
    for layer in range(1, n_layers + 1):
        product = hidden @ weights[f"encoder_kernel_{layer}"]
        if layer < n_layers or normalize_logits:
            product = slow_standardized(product)
        values.append(product + sigma * noise[layer])
        hidden = values[-1] + weights[f"beta_{layer}"]
        if layer < n_layers:
            hidden = np.maximum(hidden, 0)
    return values, hidden


def slow_decoder(noisy, logits, weights, n_layers):
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    reconstructed = {}
    for layer in range(n_layers, -1, -1):
        above = logits if layer == n_layers else reconstructed[layer + 1] @ weights[f"decoder_kernel_{layer}"]
        u = slow_standardized(above)
        a = [None, *weights[f"combinator_{layer}"]]
        mu = a[1] * sigmoid(a[2] * u + a[3]) + a[4] * u + a[5]
        v = a[6] * sigmoid(a[7] * u + a[8]) + a[9] * u + a[10]
        reconstructed[layer] = (noisy[layer] - mu) * v + mu
    return [reconstructed[layer] for layer in range(n_layers + 1)]


@pytest.mark.parametrize(("sizes", "normalize_logits"), [((6, 3), False), ((6, 5, 3), True), ((4, 7, 5, 6, 2), False)])
def test_forward_equals_a_slow_oracle(sizes, normalize_logits):
    rng, n_layers, sigma = np.random.default_rng(len(sizes)), len(sizes) - 1, 0.7
    costs = [1.0] * len(sizes)
    network = make_network(sizes, noise_std=sigma, normalize_logits=normalize_logits, denoising_cost=costs)
    weights = {}
    for name, variable in named_weights(network).items():
        weights[name] = rng.normal(scale=0.7, size=variable.shape)
        variable.assign(weights[name])
    rows, labelled = rng.normal(size=(2, 12, sizes[0]))
    noise = [rng.normal(size=(2, 12, units)) for units in sizes]
    to_float = lambda arrays: [array.astype("float32") for array in arrays]  # noqa: E731
    inputs = dict(zip(("unlabelled", "labelled"), to_float([rows, labelled]), strict=True))
    output = network.forward(inputs, given_noise(noise, sigma))

    options = {"n_layers": n_layers, "normalize_logits": normalize_logits}
    clean, clean_logits = slow_encoder(rows, weights, [part[0] for part in noise], 0, **options)
    noisy, corrupted_logits = slow_encoder(rows, weights, [part[0] for part in noise], sigma, **options)
    _, labelled_logits = slow_encoder(labelled, weights, [part[1] for part in noise], sigma, **options)
    np.testing.assert_allclose(output["logits"], [clean_logits, corrupted_logits], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(output["labelled_logits"], labelled_logits, rtol=1e-3, atol=1e-4)
    reconstructed = slow_decoder(noisy, corrupted_logits, weights, n_layers)
    for layer in range(n_layers + 1):
        np.testing.assert_allclose(output["clean"][layer], clean[layer], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(output["reconstructed"][layer], reconstructed[layer], rtol=1e-3, atol=1e-3)


# Closed forms


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ((784, 1200, 1200, 10), 4_819_950),
        ((2048, 1200, 1200, 10), 7_866_190),
        ((2000, 1200, 1200, 20), 7_774_620),
    ],
)
def test_number_of_trainable_parameters(sizes, parameters):
    assert sum(variable.numpy().size for variable in make_network(sizes).trainable_variables) == parameters


@pytest.mark.parametrize("normalize_logits", [False, True])
@pytest.mark.parametrize("noise_std", [0.0, 2.0])
def test_initial_ladder_cost(normalize_logits, noise_std):
    network, rows = make_network(normalize_logits=normalize_logits, noise_std=noise_std), random_rows(500)
    output = network({"unlabelled": rows}, training=True)
    last = 1.0 if normalize_logits else float(ops.mean(ops.square(output["clean"][-1])))
    cost = float(network.loss_terms(output)["ladder_cost"])
    assert cost == pytest.approx(1000 * np.mean(rows**2) + 10 + 0.1 + 0.1 * last, rel=1e-5)


def test_without_noise_the_corrupted_pass_is_the_clean_one():
    network = make_network(noise_std=0.0)
    rows = random_rows()
    output = network({"unlabelled": rows, "labelled": rows}, training=True)
    for logits in (output["logits"][1], output["labelled_logits"]):
        np.testing.assert_allclose(logits, output["logits"][0], rtol=1e-5, atol=1e-6)
    assert float(network.loss_terms(output)["noise_kl"]) == pytest.approx(0, abs=1e-7)


def test_kernels_start_as_glorot_normal_and_shifts_as_zero():
    network = make_network((300, 200, 100, 10))
    assert all(not np.any(beta) for beta in network.beta)
    for kernel in network.encoder + network.decoder:
        assert np.std(kernel) == pytest.approx(np.sqrt(2 / sum(kernel.shape)), rel=0.05)
    kernels = [ops.convert_to_numpy(kernel).ravel()[:1000] for kernel in network.encoder + network.decoder]
    assert np.abs(np.corrcoef(kernels) - np.eye(6)).max() < 0.2  # no two of them from one seed


def test_the_seed_drives_weights_and_noise():
    first, same, other = make_network(seed=3), make_network(seed=3), make_network(seed=4)
    for a, b in zip(first.variables, same.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.encoder[0], other.encoder[0])
    np.testing.assert_array_equal(first.draw_noise(1, 4)[0], same.draw_noise(1, 4)[0])
    assert not np.array_equal(first.draw_noise(1, 4)[0], other.draw_noise(1, 4)[0])


@pytest.mark.parametrize(("passes", "batch"), [(1, 4), (2, 4), (1, 5), (2, 5)])
def test_noise_of_corrupted_passes_and_none_of_the_clean_one(passes, batch):
    network = make_network((300, 200, 7), noise_std=0.5)
    noise = [ops.convert_to_numpy(layer) for layer in network.draw_noise(passes, batch)]
    assert [layer.shape for layer in noise] == [(1 + passes, batch, units) for units in (300, 200, 7)]
    assert not any(np.any(layer[0]) for layer in noise)
    drawn = np.concatenate([layer[1:].ravel() for layer in noise])
    assert len(np.unique(drawn)) == drawn.size  # nothing is used twice
    assert drawn.std() == pytest.approx(0.5, rel=0.1)


def test_bfloat16_products_stay_near_float32():
    rows, targets = random_rows(64), one_hot(64)
    noise = given_noise([np.random.default_rng(1).normal(size=(2, 64, units)) for units in (6, 5, 4, 3)], 0.3)
    totals = []
    for precision in ("float32", "bfloat16"):
        network = make_network(matmul_precision=precision)
        output = network.forward({"unlabelled": rows, "labelled": rows}, noise)
        assert all(tensor.dtype == "float32" for tensor in (*output["clean"], *output["reconstructed"]))
        totals.append(float(network.compute_loss(y=targets, y_pred=output)))
    assert totals[0] != totals[1]
    assert totals[1] == pytest.approx(totals[0], rel=0.02)
