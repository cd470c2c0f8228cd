"""Keras layers and batch arithmetic shared by the training modes.

Every layer can be rebuilt from its ``get_config``, which mirrors ``__init__``.
"""

import keras
from keras import ops

VARIANCE_EPSILON = 1e-10


def standardize(activations, axis=-2):
    """Subtract the mean and divide by the standard deviation of the rows of each batch.

    Parameters
    ----------
    activations : tensor of shape (..., batch, units)
        Leading axes, if any, hold batches whose moments stay apart.
    axis : int, default=-2
        The axis that runs over rows.

    Returns
    -------
    tensor of the same shape
        ``(a - mean) / sqrt(variance + 1e-10)``: no scale, no shift.
    """
    mean, variance = ops.moments(activations, axes=[axis], keepdims=True)
    return (activations - mean) * ops.rsqrt(variance + VARIANCE_EPSILON)


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
        units = noisy_shape[-1]
        for index in range(1, 11):
            initial = "ones" if index in (2, 7) else "zeros"
            setattr(self, f"a{index}", self.add_weight(shape=(units,), initializer=initial, name=f"a{index}"))

    def call(self, noisy, expected):
        """Return the denoised value, of the shape of ``noisy``."""
        mean = self.a1 * ops.sigmoid(self.a2 * expected + self.a3) + self.a4 * expected + self.a5
        gain = self.a6 * ops.sigmoid(self.a7 * expected + self.a8) + self.a9 * expected + self.a10
        return (noisy - mean) * gain + mean
