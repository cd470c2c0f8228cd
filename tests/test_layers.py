import keras
import numpy as np
import pytest
from keras import ops

from kingdra_cluster.layers import VARIANCE_EPSILON, Combinator, standardize


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


def test_standardize_of_another_axis():
    rows = random_rows(4, 6)
    turned = ops.convert_to_numpy(standardize(rows.T, axis=-1))
    np.testing.assert_allclose(turned.T, ops.convert_to_numpy(standardize(rows)), rtol=1e-5, atol=1e-6)


def test_standardize_turns_constants_into_zeros():
    assert pytest.approx(1e-10) == VARIANCE_EPSILON
    np.testing.assert_array_equal(ops.convert_to_numpy(standardize(np.full((5, 2), 7, "float32"))), np.zeros((5, 2)))


def test_a_new_combinator_returns_exactly_zero():
    noisy, expected = random_rows(6, 5), random_rows(6, 5, seed=1) * 50
    assert not np.any(ops.convert_to_numpy(Combinator()(noisy, expected)))


def test_combinator_closed_form():
    layer = Combinator()
    layer.build((None, 1))
    for index, value in enumerate((1, 1, 0, 0.5, 0.1, 1, 1, 0, 0.2, 0), start=1):
        getattr(layer, f"a{index}").assign([value])
    result = layer(np.array([[2.0]], "float32"), np.array([[0.5]], "float32"))
    assert float(result[0, 0]) == pytest.approx(1.7148157, rel=1e-6)


def test_combinator_equals_the_formula_unit_by_unit():
    layer, units = Combinator(), 3
    layer.build((None, units))
    vectors = [random_rows(units, seed=index) / 3 for index in range(10)]
    for index, vector in enumerate(vectors, start=1):
        getattr(layer, f"a{index}").assign(vector)
    noisy, expected = random_rows(7, units), random_rows(7, units, seed=99)
    result = ops.convert_to_numpy(layer(noisy, expected))
    np.testing.assert_allclose(result, slow_combinator(noisy, expected, vectors), rtol=1e-4, atol=1e-5)


def test_combinator_has_ten_trainable_vectors_with_their_initial_values():
    layer = Combinator()
    layer.build((None, 4))
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(4,)] * 10
    for index in range(1, 11):
        np.testing.assert_array_equal(getattr(layer, f"a{index}"), np.full(4, float(index in (2, 7))))


def test_combinator_comes_back_from_its_config_and_from_a_saved_model(tmp_path):
    layer = Combinator(name="of_layer_2")
    again = Combinator.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.name == "of_layer_2"

    noisy, expected = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([noisy, expected], Combinator()(noisy, expected))
    weights = [random_rows(4, seed=index) for index in range(10)]
    model.set_weights(weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = [random_rows(3, 4), random_rows(3, 4, seed=5)]
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(inputs)), ops.convert_to_numpy(model(inputs)))
