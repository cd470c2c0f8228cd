"""Keras layers and batch arithmetic shared by the training modes.

Every layer can be rebuilt from its ``get_config``, which mirrors ``__init__``.
"""

import math

import keras
from keras import ops

VARIANCE_EPSILON = 1e-10


def upstream_of(arguments, upstream):
    """Return what a gradient function of `keras.ops.custom_gradient` was given, by whichever backend's convention."""
    return arguments[0] if upstream is None else upstream


@ops.custom_gradient
def standardize(activations):
    """Subtract the mean and divide by the standard deviation of the rows of each batch.

    Parameters
    ----------
    activations : tensor of shape (..., batch, units)
        Leading axes, if any, hold batches whose moments stay apart.

    Returns
    -------
    tensor of the same shape
        ``(a - mean) / sqrt(variance + 1e-10)``: no scale, no shift.
    """
    centred = activations - ops.mean(activations, axis=-2, keepdims=True)
    gain = ops.rsqrt(ops.mean(ops.square(centred), axis=-2, keepdims=True) + VARIANCE_EPSILON)
    values = centred * gain

    def gradient(*arguments, upstream=None):
        upstream = upstream_of(arguments, upstream)
        along = ops.mean(upstream * values, axis=-2, keepdims=True)
        return (upstream - ops.mean(upstream, axis=-2, keepdims=True) - values * along) * gain

    return values, gradient


def matrix_product(rows, kernel, precision="float32"):
    """Multiply rows with a kernel, as ``matmul`` does; the gradient takes the faster of two equal orders.

    Parameters
    ----------
    rows : float32 tensor of shape (n, below)
    kernel : float32 tensor or variable of shape (below, above)
    precision : {"float32", "bfloat16"}, default="float32"
        Type of the factors, in the gradient as well.  Sums are float32 either way.

    Returns
    -------
    float32 tensor of shape (n, above)
    """

    @ops.custom_gradient
    def product(rows, kernel):
        rows, kernel = ops.cast(rows, precision), ops.cast(kernel, precision)

        def gradient(*arguments, upstream=None):
            upstream = ops.cast(upstream_of(arguments, upstream), precision)
            of_rows = ops.transpose(ops.matmul(kernel, ops.transpose(upstream)))
            of_kernel = ops.matmul(ops.transpose(rows), upstream)
            return ops.cast(of_rows, "float32"), ops.cast(of_kernel, "float32")

        return ops.cast(ops.matmul(rows, kernel), "float32"), gradient

    return product(rows, ops.cast(kernel, "float32"))  # reads a variable outside: TensorFlow asks for it


def normal_pair(shape, std, seed):
    """Draw two tensors of independent normal numbers of mean 0.

    Box and Muller's method on whole tensors takes half the time of the backend's own normal numbers.

    Parameters
    ----------
    shape : tuple
        Of each of the two.
    std : float
        Standard deviation.
    seed : keras.random.SeedGenerator

    Returns
    -------
    tuple of two tensors of shape ``shape``

    References
    ----------
    Box, Muller, "A note on the generation of random normal deviates", Annals of Mathematical Statistics 29, 1958.
    """
    radius, turn = ops.unstack(keras.random.uniform((2, *shape), seed=seed))
    radius = ops.sqrt(-2.0 * std**2 * ops.log(1.0 - radius))  # uniform numbers lie in [0, 1)
    angle = 2.0 * math.pi * turn
    return radius * ops.cos(angle), radius * ops.sin(angle)


@ops.custom_gradient
def combine(noisy, expected, vectors):
    """Denoise ``noisy`` (batch, units) given what is ``expected`` there, by ten ``vectors`` (10, units): `Combinator`.

    The gradient is written out: fewer passes over the batch than automatic differentiation makes.
    """
    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = ops.split(vectors, 10)
    mean_gate = ops.sigmoid(a2 * expected + a3)
    gain_gate = ops.sigmoid(a7 * expected + a8)
    mean = a1 * mean_gate + a4 * expected + a5
    gain = a6 * gain_gate + a9 * expected + a10
    centred = noisy - mean

    def gradient(*arguments, upstream=None):
        upstream = upstream_of(arguments, upstream)

        def of_curve(of_value, gate, height, slope, line):
            """Gradient through ``height * sigmoid(slope * expected + shift) + line * expected + constant``."""
            by_gate = of_value * gate
            inside = height * (by_gate - by_gate * gate)
            sums = [by_gate, inside * expected, inside, of_value * expected, of_value]
            return [ops.sum(values, axis=0) for values in sums], inside * slope + of_value * line

        of_noisy = upstream * gain
        of_mean, through_mean = of_curve(upstream - of_noisy, mean_gate, a1, a2, a4)
        of_gain, through_gain = of_curve(upstream * centred, gain_gate, a6, a7, a9)
        return of_noisy, through_mean + through_gain, ops.stack(of_mean + of_gain)

    return centred * gain + mean, gradient


@keras.saving.register_keras_serializable(package="kingdra_cluster")
class Combinator(keras.layers.Layer):
    """The ladder's denoising function of a noisy value and what the decoder expects there.

    ``g(z, u) = (z - mu) * v + mu`` with ``mu = a1 sigmoid(a2 u + a3) + a4 u + a5`` and
    ``v = a6 sigmoid(a7 u + a8) + a9 u + a10``; a1 ... a10 are vectors with one entry a unit,
    zero at first but ``a2 = a7 = 1``, so that a new combinator returns exactly 0.

    Call arguments: ``noisy`` and ``expected``, both (batch, units).

    References
    ----------
    Rasmus et al., "Semi-supervised learning with ladder networks", NIPS 2015, equation 2.
    """

    def build(self, noisy_shape, expected_shape=None):
        """Create the ten vectors for the units of the last axis."""
        self.vectors = self.add_weight(shape=(10, noisy_shape[-1]), initializer=_combinator_start, name="vectors")

    def call(self, noisy, expected):
        """Return the denoised value, of the shape of ``noisy``."""
        return combine(noisy, expected, ops.cast(self.vectors, noisy.dtype))


def _combinator_start(shape, dtype=None):
    """a2 and a7, the slopes inside the sigmoids, are 1; all other vectors are 0."""
    return ops.cast(ops.isin(ops.arange(1, 11), [2, 7]), dtype)[:, None] * ops.ones(shape, dtype)
