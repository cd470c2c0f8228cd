import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kingdra_cluster.layers import VARIANCE_EPSILON, Combinator, combine, matrix_product, normal_pair, standardize
from kingdra_cluster.losses.ladder_cost import mean_square


def random_rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, size=shape).astype("float32")


def slow_combinator(z, u, a):
    """The formula, one number at a time; ``a`` is indexed from 1."""
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    out = np.empty(z.shape)
    for row, unit in np.ndindex(z.shape):
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = (float(vector[unit]) for vector in a)
        mu = a1 * sigmoid(a2 * u[row, unit] + a3) + a4 * u[row, unit] + a5
        v = a6 * sigmoid(a7 * u[row, unit] + a8) + a9 * u[row, unit] + a10
        out[row, unit] = (z[row, unit] - mu) * v + mu
    return out


def test_standardize_equals_the_loop_over_units():
    rows = random_rows(9, 4)
    result = ops.convert_to_numpy(standardize(rows))
    for unit in range(4):
        column = [float(value) for value in rows[:, unit]]
        mean = sum(column) / 9
        variance = sum((value - mean) ** 2 for value in column) / 9
        expected = [(value - mean) / (variance + 1e-10) ** 0.5 for value in column]
        np.testing.assert_allclose(result[:, unit], expected, rtol=1e-4, atol=1e-5)


def test_standardize_keeps_the_batches_of_leading_axes_apart():
    batches = random_rows(3, 8, 5) * np.array([1, 10, 100], "float32")[:, None, None]
    together = ops.convert_to_numpy(standardize(batches))
    apart = [ops.convert_to_numpy(standardize(batch)) for batch in batches]
    np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-6)


def test_standardize_turns_constants_into_zeros():
    assert pytest.approx(1e-10) == VARIANCE_EPSILON
    np.testing.assert_array_equal(ops.convert_to_numpy(standardize(np.full((5, 2), 7, "float32"))), np.zeros((5, 2)))


def test_a_new_combinator_returns_exactly_zero():
    noisy, expected = random_rows(6, 5), random_rows(6, 5, seed=1) * 50
    assert not np.any(ops.convert_to_numpy(Combinator()(noisy, expected)))


def test_combinator_closed_form():
    layer = Combinator()
    layer.build((None, 1))
    layer.vectors.assign(np.array([[1], [1], [0], [0.5], [0.1], [1], [1], [0], [0.2], [0]]))
    result = layer(np.array([[2.0]], "float32"), np.array([[0.5]], "float32"))
    assert float(result[0, 0]) == pytest.approx(1.7148157, rel=1e-6)


def test_combinator_equals_the_formula_unit_by_unit():
    layer, units = Combinator(), 3
    layer.build((None, units))
    vectors = [random_rows(units, seed=index) / 3 for index in range(10)]
    layer.vectors.assign(np.stack(vectors))
    noisy, expected = random_rows(7, units), random_rows(7, units, seed=99)
    result = ops.convert_to_numpy(layer(noisy, expected))
    np.testing.assert_allclose(result, slow_combinator(noisy, expected, vectors), rtol=1e-4, atol=1e-5)


def test_combinator_has_ten_trainable_vectors_with_their_initial_values():
    layer = Combinator()
    layer.build((None, 4))
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(10, 4)]
    for index in range(1, 11):
        np.testing.assert_array_equal(layer.vectors[index - 1], np.full(4, float(index in (2, 7))))


def test_combinator_comes_back_from_its_config_and_from_a_saved_model(tmp_path):
    layer = Combinator(name="of_layer_2")
    again = Combinator.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.name == "of_layer_2"

    noisy, expected = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([noisy, expected], Combinator()(noisy, expected))
    model.set_weights([random_rows(10, 4)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = [random_rows(3, 4), random_rows(3, 4, seed=5)]
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(inputs)), ops.convert_to_numpy(model(inputs)))


# Gradients that are written out equal those of automatic differentiation


def plain_standardize(x):
    mean, variance = tf.nn.moments(x, axes=[-2], keepdims=True)
    return (x - mean) / tf.sqrt(variance + VARIANCE_EPSILON)


def plain_combine(z, u, a):
    mean = a[0] * tf.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
    gain = a[5] * tf.sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
    return (z - mean) * gain + mean


def random_tensors(*shapes):
    rng = np.random.default_rng(3)
    return [tf.constant(rng.normal(size=shape)) for shape in shapes]  # float64


@pytest.mark.parametrize(
    ("ours", "plain", "shapes"),
    [
        (standardize, plain_standardize, [(6, 4)]),
        (standardize, plain_standardize, [(3, 6, 4)]),
        (combine, plain_combine, [(6, 4), (6, 4), (10, 4)]),
        (mean_square, lambda x: tf.reduce_mean(x**2), [(6, 4)]),
    ],
    ids=["standardize", "standardize batches", "combine", "mean square"],
)
def test_written_gradients_equal_automatic_ones(ours, plain, shapes):
    inputs = random_tensors(*shapes)
    values, gradients = [], []
    for function in (ours, plain):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(*inputs)
            weighted = tf.reduce_sum(tf.sin(value))  # an upstream gradient that differs from entry to entry
        values.append(value)
        gradients.append(tape.gradient(weighted, inputs))
    np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-12)
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.02)])
def test_matrix_product_and_its_gradients(precision, tolerance):
    rows, kernel, upstream = (tf.cast(t, "float32") for t in random_tensors((6, 5), (5, 4), (6, 4)))
    with tf.GradientTape() as tape:
        tape.watch([rows, kernel])
        product = matrix_product(rows, kernel, precision)
    found = [product, *tape.gradient(product, [rows, kernel], output_gradients=upstream)]
    expected = [rows @ kernel, upstream @ tf.transpose(kernel), tf.transpose(rows) @ upstream]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 4)


# Noise


def test_normal_numbers_are_normal_and_independent():
    from scipy import stats

    seed = keras.random.SeedGenerator(5)
    first, second = (ops.convert_to_numpy(half).ravel() for half in normal_pair((300, 400), 1.0, seed))
    for half in (first, second, np.concatenate([first, second])):
        assert stats.kstest(half, "norm").pvalue > 1e-3
        assert abs(stats.kurtosis(half)) < 0.05
    pairs = [(first, second), (first**2, second**2), (first[1:], first[:-1]), (np.abs(first[1:]), np.abs(second[:-1]))]
    for left, right in pairs:
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.015
    again = normal_pair((300, 400), 1.0, seed)[0]
    assert not np.array_equal(first, ops.convert_to_numpy(again).ravel())


def test_normal_numbers_have_the_standard_deviation_asked_for_and_are_finite():
    scaled = ops.convert_to_numpy(ops.stack(normal_pair((1000, 1000), 3.0, keras.random.SeedGenerator(0))))
    assert np.isfinite(scaled).all()
    assert scaled.std() == pytest.approx(3, rel=0.01)
    assert np.abs(scaled).max() > 3 * 4.5
    zeros = ops.convert_to_numpy(ops.stack(normal_pair((10, 10), 0.0, keras.random.SeedGenerator(0))))
    np.testing.assert_array_equal(zeros, np.zeros((2, 10, 10)))
