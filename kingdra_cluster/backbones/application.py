"""The networks of keras.applications, by name."""

import sys

import keras
import numpy as np

from kingdra_cluster.backbones.seeds import integer_seeds
from kingdra_cluster.forward import set_weights
from kingdra_cluster.validation import check_choice

APPLICATIONS = tuple(name for name in dir(keras.applications) if name[0].isupper())


def application(name, input_shape=(224, 224, 3), *, weights=None, seed=None):
    """Build a network of keras.applications without its classifier; its pooled features are the embedding.

    Parameters
    ----------
    name : str
        Such as "MobileNetV2" or "ResNet50".
    input_shape : tuple of three int, default=(224, 224, 3)
        Height, width and channels of an image, with entries from 0 to 1; colours first go through the application's own
        ``preprocess_input``, as a layer that is not trained.
    weights : {None, "imagenet"} or path, default=None
        None: random ones; "imagenet": downloaded by Keras.
    seed : int or None, default=None
        Of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        Maps (batch, height, width, channels) to (batch, features).

    Raises
    ------
    ValueError
        If there is no application of that name, or it does not take such images.
    """
    check_choice("name", name, APPLICATIONS)
    build = getattr(keras.applications, name)
    model = build(include_top=False, weights=weights, input_shape=tuple(input_shape), pooling="avg")
    model = copy_model(model, seed, keep_weights=weights is not None)
    images = keras.Input(tuple(input_shape))
    return keras.Model(images, model(_preprocessing(build, images)), name=model.name)


def _preprocessing(build, images):
    """Return images, with entries from 0 to 1, as an application takes them; grey ones only get the range 0 to 255.

    What ``preprocess_input`` does, scales, shifts and an order of the colours, is read off from what it makes of black,
    red, green and blue.
    """
    if images.shape[-1] != 3:
        return keras.layers.Rescaling(255.0, name="preprocessing")(images)
    colours = 255.0 * np.concatenate([np.zeros((1, 3)), np.eye(3)])[:, None, None].astype(np.float32)
    module = sys.modules[build.__module__]
    black, *others = np.asarray(module.preprocess_input(colours, data_format="channels_last"))[:, 0, 0]
    layer = keras.layers.Conv2D(3, 1, kernel_initializer="zeros", trainable=False, name="preprocessing")
    preprocessed = layer(images)
    layer.set_weights([(np.stack(others) - black)[None, None], black])
    return preprocessed


def copy_model(model, seed=None, *, keep_weights=True):
    """Return a copy of a functional model in which every seed that nobody chose is an explicit integer.

    Parameters
    ----------
    model : keras.Model
    seed : int or None, default=None
        What the missing seeds, of initial weights and of dropout, come from.
    keep_weights : bool, default=True
        Whether the copy gets the model's weights or new initial ones.
    """
    seeds = integer_seeds(seed)

    def rebuild(layer):
        return type(layer).from_config(_with_seeds(layer.get_config(), seeds))

    copy = keras.models.clone_model(model, clone_function=rebuild)
    if keep_weights:
        set_weights(copy, model.get_weights())
    return copy


def _with_seeds(config, seeds):
    """Return a layer's configuration with the next of `seeds` wherever a seed is None, nested ones included."""
    if isinstance(config, dict):
        return {
            key: next(seeds) if key == "seed" and value is None else _with_seeds(value, seeds)
            for key, value in config.items()
        }
    return [_with_seeds(value, seeds) for value in config] if isinstance(config, list) else config
