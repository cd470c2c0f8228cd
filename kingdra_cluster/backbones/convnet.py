"""A few strided convolutions: small images on a processor without a GPU."""

import keras
from keras import layers

from kingdra_cluster.backbones.seeds import integer_seeds
from kingdra_cluster.validation import Integral, check_sequence


def convnet(input_shape=(32, 32, 3), *, widths=(32, 64, 128, 256), seed=None):
    """Build untrained 3 x 3 convolutions, each with batch normalisation and ReLU, all but the first of stride 2.

    With the default widths an image of 32 pixels costs 15 million multiplications, a `resnet18` 560 million.

    Parameters
    ----------
    input_shape : tuple of three int, default=(32, 32, 3)
        Height, width and channels of an image, channels last; any size, greyscale too.
    widths : sequence of int, default=(32, 64, 128, 256)
        Channels of each convolution; the averages of the last one's are the embedding.
    seed : int or None, default=None
        Of the initial weights.

    Returns
    -------
    keras.Model
        Maps (batch, height, width, channels) to (batch, widths[-1]).

    Raises
    ------
    TypeError, ValueError
        If `input_shape` is no image's, or there is no convolution, or one of no channels.
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels); received input_shape={input_shape!r}")
    check_sequence("widths", widths, Integral, 1)
    seeds = integer_seeds(seed)
    images = keras.Input(tuple(input_shape), name="images")
    outputs = images
    for number, width in enumerate(widths, start=1):
        initializer = keras.initializers.HeNormal(seed=next(seeds))
        options = {"padding": "same", "use_bias": False, "kernel_initializer": initializer, "name": f"conv{number}"}
        outputs = layers.Conv2D(int(width), 3, 1 if number == 1 else 2, **options)(outputs)
        outputs = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{number}")(outputs)
        outputs = layers.ReLU(name=f"relu{number}")(outputs)
    return keras.Model(images, layers.GlobalAveragePooling2D(name="embedding")(outputs), name="convnet")
