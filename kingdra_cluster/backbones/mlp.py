"""A stack of dense layers for feature vectors."""

import keras
from keras import layers

from kingdra_cluster.backbones.seeds import integer_seeds
from kingdra_cluster.validation import Integral, check_sequence


def mlp(input_shape, *, hidden_units=(512, 512), seed=None):
    """Build untrained dense layers, each with batch normalisation and ReLU; the output of the last is the embedding.

    Parameters
    ----------
    input_shape : tuple of int
        Of one row; more than one dimension is flattened.
    hidden_units : sequence of int, default=(512, 512)
        Units of the layers.
    seed : int or None, default=None
        Of the initial weights.

    Returns
    -------
    keras.Model
        Maps (batch, *input_shape) to (batch, hidden_units[-1]).

    Raises
    ------
    TypeError, ValueError
        If ``hidden_units`` is no sequence, or there is no layer, or one of no units.
    """
    check_sequence("hidden_units", hidden_units, Integral, 1)
    seeds = integer_seeds(seed)
    rows = keras.Input(tuple(input_shape), name="rows")
    outputs = layers.Flatten(name="flat")(rows) if len(input_shape) > 1 else rows
    for number, units in enumerate(hidden_units, start=1):
        initializer = keras.initializers.HeNormal(seed=next(seeds))
        dense = layers.Dense(int(units), use_bias=False, kernel_initializer=initializer, name=f"dense{number}")
        outputs = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{number}")(dense(outputs))
        outputs = layers.ReLU(name=f"relu{number}")(outputs)
    return keras.Model(rows, outputs, name="mlp")
