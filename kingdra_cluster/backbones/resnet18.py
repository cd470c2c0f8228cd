"""ResNet-18 for small images, as SimCLR, SCAN, NNM and RUC use it."""

import keras
from keras import layers

from kingdra_cluster.backbones.seeds import integer_seeds
from kingdra_cluster.validation import check_choice

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # width and first stride of two blocks each
STEMS = ("cifar", "stl")


def resnet18(input_shape=(32, 32, 3), *, stem="cifar", seed=None):
    """Build an untrained ResNet-18 whose output is a 512-dimensional embedding.

    Parameters
    ----------
    input_shape : tuple of three int, default=(32, 32, 3)
        Height, width and channels of an image, channels last; any size, greyscale too.
    stem : {"cifar", "stl"}, default="cifar"
        Both begin with a 3 x 3 convolution of stride 1; "stl", for images of 96 pixels, halves its output by a
        max-pooling padded by one pixel.
    seed : int or None, default=None
        Of the initial weights.

    Returns
    -------
    keras.Model
        Maps (batch, height, width, channels) to (batch, 512); 11,168,832 trainable parameters for 3 channels.
        Layers have the names of the published checkpoints' tensors, with ``_`` for ``.``.

    Raises
    ------
    ValueError
        If an argument has the wrong shape or value.

    Notes
    -----
    As in PyTorch convolutions are padded by one pixel on every side (Keras' ``"same"`` would pad strided ones on the
    right and below only), and batch normalisation has ``epsilon=1e-5`` and ``momentum=0.9`` (PyTorch's 0.1).
    PyTorch's running variance is the unbiased one, Keras' the biased one: of n values (rows times pixels) it is
    n / (n - 1) times as large, nothing to speak of.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels); received input_shape={input_shape!r}")
    check_choice("stem", stem, STEMS)
    seeds = integer_seeds(seed)
    images = keras.Input(tuple(input_shape), name="images")
    outputs = layers.ReLU(name="relu1")(_convolution(images, 64, 3, 1, "conv1", "bn1", seeds))
    if stem == "stl":
        outputs = layers.ZeroPadding2D(1, name="pool_padding")(outputs)  # zeros are as low as what a ReLU gives
        outputs = layers.MaxPooling2D(2, name="pool")(outputs)
    for stage, (width, stride) in enumerate(STAGES, start=1):
        outputs = _block(outputs, width, stride, f"layer{stage}_0", seeds)
        outputs = _block(outputs, width, 1, f"layer{stage}_1", seeds)
    return keras.Model(images, layers.GlobalAveragePooling2D(name="embedding")(outputs), name=f"resnet18_{stem}")


def _block(inputs, width, stride, name, seeds):
    """Add a basic block: two convolutions and a way around them."""
    outputs = _convolution(inputs, width, 3, stride, f"{name}_conv1", f"{name}_bn1", seeds)
    outputs = layers.ReLU(name=f"{name}_relu1")(outputs)
    outputs = _convolution(outputs, width, 3, 1, f"{name}_conv2", f"{name}_bn2", seeds)
    if stride != 1 or inputs.shape[-1] != width:
        inputs = _convolution(inputs, width, 1, stride, f"{name}_shortcut_0", f"{name}_shortcut_1", seeds)
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([outputs, inputs]))


def _convolution(inputs, width, size, stride, name, norm_name, seeds):
    """Add a convolution without bias, padded by `size` // 2 on every side, and its batch normalisation."""
    padding = "same"
    if stride > 1 and size > 1:
        inputs, padding = layers.ZeroPadding2D(size // 2, name=f"{name}_padding")(inputs), "valid"
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=next(seeds))
    convolution = layers.Conv2D(
        width, size, stride, padding=padding, use_bias=False, kernel_initializer=initializer, name=name
    )
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm_name)(convolution(inputs))
