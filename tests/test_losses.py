import math

import numpy as np
import pytest

from kingdra_cluster.losses import ladder_cost, mutual_information, noise_consistency


def softmax(row):
    shifted = [math.exp(value - max(row)) for value in row]
    return [value / sum(shifted) for value in shifted]


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def random_logits(seed, rows=7, clusters=4, size=3.0):
    return np.random.default_rng(seed).normal(scale=size, size=(rows, clusters)).astype("float32")


def slow_mutual_information(logits, mu):
    rows = [softmax(row) for row in logits.astype(float).tolist()]
    shares = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return sum(entropy(row) for row in rows) / len(rows) - mu * entropy(shares)


def slow_divergence(clean, corrupted):
    total = 0.0
    for p_row, q_row in zip(clean.astype(float).tolist(), corrupted.astype(float).tolist(), strict=True):
        for p, q in zip(softmax(p_row), softmax(q_row), strict=True):
            total += p * math.log(p / q)
    return total / len(clean)


@pytest.mark.parametrize("mu", [0.0, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_mutual_information_equals_the_double_loop(seed, mu):
    logits = random_logits(seed)
    assert float(mutual_information(logits, mu)) == pytest.approx(slow_mutual_information(logits, mu), rel=1e-5)


@pytest.mark.parametrize("clusters", [2, 10])
def test_mutual_information_of_sure_and_balanced_rows(clusters):
    logits = 100 * np.tile(np.eye(clusters, dtype="float32"), (3, 1))
    assert float(mutual_information(logits)) == pytest.approx(-4 * math.log(clusters), rel=1e-6)
    assert float(mutual_information(logits, 1.5)) == pytest.approx(-1.5 * math.log(clusters), rel=1e-6)


def test_mutual_information_of_unsure_rows_and_of_a_single_cluster():
    assert float(mutual_information(np.zeros((5, 6), "float32"))) == pytest.approx(-3 * math.log(6), rel=1e-6)
    one_cluster = np.tile(np.array([200.0, 0, 0], "float32"), (5, 1))
    assert float(mutual_information(one_cluster)) == pytest.approx(0, abs=1e-6)
    assert float(mutual_information(one_cluster[:, :1])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_mutual_information_stays_within_its_bounds(seed):
    mu = 1 + seed / 4
    value = float(mutual_information(random_logits(seed, rows=1 + seed, size=10.0 ** (seed % 4 - 1)), mu))
    assert -mu * math.log(4) - 1e-5 <= value <= 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_noise_consistency_equals_the_double_loop(seed):
    clean, corrupted = random_logits(seed), random_logits(seed + 50)
    assert float(noise_consistency(clean, corrupted)) == pytest.approx(slow_divergence(clean, corrupted), rel=1e-5)
    assert float(noise_consistency(corrupted, clean)) != pytest.approx(slow_divergence(clean, corrupted), rel=1e-2)


def test_noise_consistency_is_zero_only_for_equal_answers():
    logits = random_logits(0)
    assert float(noise_consistency(logits, logits)) == 0
    assert float(noise_consistency(logits, logits + 5)) == pytest.approx(0, abs=1e-6)  # the same probabilities
    assert float(noise_consistency(logits, logits * 0.9)) > 1e-3


def test_noise_consistency_holds_the_clean_answer_fixed():
    import tensorflow as tf

    clean, corrupted = tf.Variable(random_logits(0)), tf.Variable(random_logits(1))
    with tf.GradientTape() as tape:
        loss = noise_consistency(clean, corrupted)
    clean_gradient, corrupted_gradient = tape.gradient(loss, [clean, corrupted])
    assert clean_gradient is None
    expected = (tf.nn.softmax(corrupted) - tf.nn.softmax(clean)).numpy() / corrupted.shape[0]
    np.testing.assert_allclose(corrupted_gradient, expected, atol=1e-6)


def test_losses_stay_finite_for_huge_logits():
    huge = np.array([[1e4, 0, -1e4], [-1e4, 1e4, 0]], "float32")
    assert np.isfinite(float(mutual_information(huge)))
    assert np.isfinite(float(noise_consistency(huge, -huge)))


@pytest.mark.parametrize("seed", range(3))
def test_ladder_cost_equals_the_triple_loop(seed):
    rng = np.random.default_rng(seed)
    units, costs, rows = (5, 3, 2), (1000.0, 10.0, 0.1), 6
    clean = [rng.normal(size=(rows, n)).astype("float32") for n in units]
    reconstructed = [rng.normal(size=(rows, n)).astype("float32") for n in units]
    terms = ladder_cost(clean, reconstructed, costs)
    assert len(terms) == 3
    for layer, term in enumerate(terms):
        total = 0.0
        for row in range(rows):
            squares = 0.0
            for unit in range(units[layer]):
                squares += (float(reconstructed[layer][row, unit]) - float(clean[layer][row, unit])) ** 2
            total += squares
        assert float(term) == pytest.approx(costs[layer] * total / rows / units[layer], rel=1e-5)


def test_ladder_cost_wants_as_many_layers_as_costs():
    layer = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is longer"):
        ladder_cost([layer, layer], [layer, layer], [1.0])


def test_the_gradient_of_the_ladder_cost_flows_into_both_sides():
    import tensorflow as tf

    clean, estimate = tf.Variable([[1.0, 2.0]]), tf.Variable([[3.0, 1.0]])
    with tf.GradientTape() as tape:
        (term,) = ladder_cost([clean], [estimate], [10.0])
    into_clean, into_estimate = tape.gradient(term, [clean, estimate])
    np.testing.assert_allclose(into_estimate, [[20.0, -10.0]])
    np.testing.assert_allclose(into_clean, [[-20.0, 10.0]])
