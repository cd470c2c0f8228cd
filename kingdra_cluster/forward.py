"""What a network makes of rows, without training and without more memory than that takes."""

from functools import partial
from weakref import WeakKeyDictionary, ref

import keras
import numpy as np

IMAGE_ENTRIES = 2**20  # numbers of the images in a block: 341 of 32 x 32 x 3, 37 of 96 x 96 x 3

_graphs = WeakKeyDictionary()


def forward(network, item_shape):
    """Return a function from rows to the network's answers, frozen.

    Images go through one compiled graph, made once a network: a network that is called as it is keeps all its
    activations until the last layer is done, ten times the memory.  Vectors need no such care.

    Parameters
    ----------
    network : keras.Model
    item_shape : tuple of int
        Of one row.
    """
    if len(item_shape) == 1 or keras.backend.backend() != "tensorflow":
        return partial(network, training=False)
    if network not in _graphs:
        import tensorflow as tf

        of_network = ref(network)  # its graph dies with it
        _graphs[network] = tf.function(lambda rows: of_network()(rows, training=False), reduce_retracing=True)
    return _graphs[network]


def rows_at_once(item_shape, most):
    """Return how many rows are to go through a network at once (int): ``most`` vectors, or fewer images."""
    return most if len(item_shape) == 1 else max(1, min(most, IMAGE_ENTRIES // int(np.prod(item_shape))))


def set_weights(model, weights):
    """Give a model weights, and its `Normalization` layers what follows from them, which Keras leaves to others."""
    model.set_weights(weights)
    _finalize(model)


def _finalize(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        elif isinstance(layer, keras.Model):
            _finalize(layer)
