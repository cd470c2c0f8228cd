"""The fourteen operations of RandAugment on batches of images, each image with an operation and magnitude of its own.

They work on levels from 0 to 255 in float32 (n, height, width, 1 or 3), as Pillow does on whole levels, and round only
where an operation needs whole levels.
"""

import math

import tensorflow as tf

from kingdra_cluster.image_ops import LUMA, uniform

# Lowest and highest magnitude of each operation; the rest have none.  The factors of NNM dim, never brighten.
NNM_RANGES = {
    "rotate": (-30.0, 30.0),
    "solarize": (0.0, 256.0),
    **dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), (0.05, 0.95)),
    **dict.fromkeys(("shear_x", "shear_y", "translate_x", "translate_y"), (-0.1, 0.1)),
    "posterize": (4.0, 9.0),  # whole bits below 9
}
# RandAugment's level 1 of 10: a tenth of the way from doing nothing to rotation by 30 degrees, shear by 0.3,
# translation by 0.45 of the side, factors 1 +- 0.9, solarizing everything, 4 bits; either sign.
RUC_RANGES = {
    "rotate": (-3.0, 3.0),
    "solarize": (230.4, 230.4),
    **dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), (0.91, 1.09)),
    **dict.fromkeys(("shear_x", "shear_y"), (-0.03, 0.03)),
    **dict.fromkeys(("translate_x", "translate_y"), (-0.045, 0.045)),
    "posterize": (7.6, 7.6),
}


def luma(images):
    """Return the brightness of every pixel, shape (n, h, w, 1)."""
    return tf.reduce_sum(images * tf.constant(LUMA[images.shape[-1]]), axis=-1, keepdims=True)


def affine(levels, matrix, shift=(0.0, 0.0)):
    """Resample each image (nearest pixel, black outside) by a map of output to input positions about its centre.

    Parameters
    ----------
    levels : tensor of shape (n, h, w, c)
    matrix : four tensors or floats (xx, xy, yx, yy)
        ``x_in = xx x + xy y`` and ``y_in = yx x + yy y``.
    shift : two tensors or floats
        Added to ``x_in`` and ``y_in``, in pixels.
    """
    (xx, xy, yx, yy), (x, y) = matrix, shift
    height, width = levels.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    start_x = middle_x + x - xx * middle_x - xy * middle_y
    start_y = middle_y + y - yx * middle_x - yy * middle_y
    columns = [xx, xy, start_x, yx, yy, start_y, 0.0, 0.0]
    columns = [tf.broadcast_to(tf.cast(column, tf.float32), tf.shape(levels)[:1]) for column in columns]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=levels,
        transforms=tf.stack(columns, axis=1),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )


def _rotate(levels, degrees):
    cosine, sine = tf.cos(degrees * math.pi / 180), tf.sin(degrees * math.pi / 180)
    return affine(levels, (cosine, -sine, sine, cosine))  # counter-clockwise, rows counted from the top


def _blend(base, levels, factor):
    factor = factor[:, None, None, None]
    return tf.clip_by_value(base + factor * (levels - base), 0.0, 255.0)


def _contrast(levels, factor):
    return _blend(tf.reduce_mean(luma(levels), axis=(1, 2), keepdims=True), levels, factor)


def _sharpness(levels, factor):
    height, width, channels = levels.shape[1:]
    if min(height, width) < 3:
        return levels
    kernel = tf.reshape([1.0, 1, 1, 1, 5, 1, 1, 1, 1], (3, 3, 1, 1)) / 13 * tf.ones((1, 1, channels, 1))
    inner = tf.pad(tf.ones((height - 2, width - 2, 1)), ((1, 1), (1, 1), (0, 0)))  # the border stays as it is
    smooth = tf.nn.depthwise_conv2d(levels, kernel, (1, 1, 1, 1), "SAME")
    return _blend(levels + inner * (smooth - levels), levels, factor)


def _autocontrast(levels, _):
    low, high = (reduce(levels, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, tf.minimum((levels - low) * 255.0 / tf.maximum(high - low, 1e-3), 255.0), levels)


def _equalize(levels, _):
    """Spread each channel's levels evenly, with the whole-number arithmetic of Pillow."""
    height, width, channels = levels.shape[1:]
    rows = tf.reshape(tf.transpose(tf.cast(levels + 0.5, tf.int32), (0, 3, 1, 2)), (-1, height * width))
    bins = rows + 256 * tf.range(tf.shape(rows)[0])[:, None]
    counts = tf.reshape(tf.math.unsorted_segment_sum(tf.ones_like(bins), bins, 256 * tf.shape(rows)[0]), (-1, 256))
    last = tf.reduce_max(rows, axis=1, keepdims=True)
    step = (height * width - tf.gather(counts, last, batch_dims=1)) // 255
    table = (step // 2 + tf.cumsum(counts, axis=1, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.clip_by_value(table, 0, 255), tf.range(256))
    planes = tf.reshape(tf.gather(table, rows, batch_dims=1), (-1, channels, height, width))
    return tf.cast(tf.transpose(planes, (0, 2, 3, 1)), tf.float32)


def _solarize(levels, threshold):
    return tf.where(levels < threshold[:, None, None, None], levels, 255.0 - levels)


def _posterize(levels, bits):
    step = 2.0 ** (8.0 - tf.clip_by_value(tf.floor(bits), 1.0, 8.0))[:, None, None, None]
    return tf.floor(tf.floor(levels) / step) * step


OPERATIONS = {
    "identity": lambda levels, _: levels,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "rotate": _rotate,
    "solarize": _solarize,
    "colour": lambda levels, factor: _blend(luma(levels), levels, factor),
    "contrast": _contrast,
    "brightness": lambda levels, factor: _blend(tf.zeros_like(levels), levels, factor),
    "sharpness": _sharpness,
    "shear_x": lambda levels, shear: affine(levels, (1.0, shear, 0.0, 1.0)),
    "shear_y": lambda levels, shear: affine(levels, (1.0, 0.0, shear, 1.0)),
    "translate_x": lambda levels, part: affine(levels, (1.0, 0.0, 0.0, 1.0), (part * levels.shape[2], 0.0)),
    "translate_y": lambda levels, part: affine(levels, (1.0, 0.0, 0.0, 1.0), (0.0, part * levels.shape[1])),
    "posterize": _posterize,
}


@tf.function  # traced once, however often a view calls it
def apply_operations(levels, choices, magnitudes):
    """Apply to each image the operation chosen for it.

    Parameters
    ----------
    levels : tensor of shape (n, h, w, c), from 0 to 255
    choices : int tensor of shape (n,)
        Places in `OPERATIONS`.
    magnitudes : tensor of shape (n,)
        In the unit of the operation: degrees, level, factor, part of the side or of a right-angled shear, bits.
    """
    groups = [
        tf.dynamic_partition(values, choices, len(OPERATIONS))
        for values in (tf.range(tf.shape(levels)[0]), levels, magnitudes)
    ]
    outputs = [operation(*group) for operation, *group in zip(OPERATIONS.values(), *groups[1:], strict=True)]
    return tf.ensure_shape(tf.dynamic_stitch(groups[0], outputs), levels.shape)


def choose_operations(seed, n_images):
    """Draw an operation for each image, with equal chances, and how far its magnitude goes from low to high.

    Returns
    -------
    int32 tensor of shape (n,)
        Places in `OPERATIONS`; 0 is the identity.
    float32 tensor of shape (n,)
        In [0, 1).
    """
    choices, part = tf.unstack(uniform(seed, (2, n_images)))
    return tf.cast(choices * len(OPERATIONS), tf.int32), part


def magnitudes_of(ranges, choices, part):
    """Return the magnitudes (n,) that lie ``part`` of the way through the ranges of the operations chosen."""
    low, high = tf.unstack(tf.gather([ranges.get(name, (0.0, 0.0)) for name in OPERATIONS], choices), axis=1)
    return low + (high - low) * part
