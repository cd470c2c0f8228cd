"""Crop, flip, colour jitter and cutout of batches of images, each image with random parameters of its own."""

import math

import tensorflow as tf

JITTER = (0.4, 0.4, 0.4, 0.1)  # brightness, contrast, saturation, hue
LUMA = {1: (1.0,), 3: (0.299, 0.587, 0.114)}  # ITU-R 601, as in Pillow
YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def uniform(seed, shape, low=0.0, high=1.0):
    """Return float32 numbers in [low, high) that depend on ``seed`` (2,) alone, on whatever device."""
    return tf.random.stateless_uniform(shape, seed, low, high, alg="philox")


# Crop and flip


def draw_crops(seed, n_images, height, width, smallest_area):
    """Draw a crop for each image: area uniform in [smallest_area, 1] of the whole, aspect log-uniform in [3/4, 4/3].

    Where the image leaves less room than that for the aspect, it is drawn from what fits.

    Returns
    -------
    tensor of shape (4, n)
        Top, left, height and width in pixels, not whole numbers.
    """
    draws = uniform(seed, (4, n_images))
    area = smallest_area + (1.0 - smallest_area) * draws[0]
    low = tf.maximum(math.log(3 / 4), tf.math.log(area * width / height))
    high = tf.minimum(math.log(4 / 3), tf.math.log(width / (area * height)))
    aspect = tf.exp(low + (high - low) * draws[1])
    pixels = area * height * width
    crop_height = tf.minimum(tf.sqrt(pixels / aspect), height)
    crop_width = tf.minimum(tf.sqrt(pixels * aspect), width)
    return tf.stack([(height - crop_height) * draws[2], (width - crop_width) * draws[3], crop_height, crop_width])


def crop_and_flip(planes, crops, flips):
    """Resize a crop of each image to the image's own size, bilinearly, and mirror some.

    Both are one product with a matrix of weights on either side: no pixel is gathered.

    Parameters
    ----------
    planes : tensor of shape (n, channels, height, width)
        Channels first.
    crops : tensor of shape (4, n)
        Top, left, height and width in pixels, none larger than the image (enlarging needs no smoothing).
    flips : tensor of shape (n,)
        1 where left and right are swapped, 0 where not.

    Returns
    -------
    tensor of the shape of ``planes``
    """
    height, width = planes.shape[2:]
    top, left, crop_height, crop_width = tf.unstack(crops)
    rows = _bilinear_weights(top, crop_height, height)
    columns = _bilinear_weights(left + flips * crop_width, crop_width * (1.0 - 2.0 * flips), width)
    return tf.matmul(rows[:, None] @ planes, columns[:, None], transpose_b=True)


def _bilinear_weights(start, length, size):
    """Return (n, size, size): what each source pixel adds to each target pixel of ``[start, start + length)``."""
    centres = (tf.range(size, dtype=tf.float32) + 0.5) / size
    source = tf.clip_by_value(start[:, None] + length[:, None] * centres - 0.5, 0.0, size - 1.0)
    return tf.nn.relu(1.0 - tf.abs(source[:, :, None] - tf.range(size, dtype=tf.float32)))


# Colour


def colour_jitter(planes, seed, *, strengths=JITTER, probability=0.8, grey_probability=0.2):
    """Change brightness, contrast, saturation and hue in an order of each image's own; make some images grey.

    Every change is linear in the colours, so all of an image's become one matrix and one offset, and the result is
    clipped once, at the end.  Hue turns the colours about the grey axis (in YIQ), which leaves the brightness alone.
    Of a single channel, brightness and contrast remain.

    Parameters
    ----------
    planes : tensor of shape (n, 1 or 3, height, width)
        Channels first, in [0, 1].
    seed : tensor of shape (2,)
    strengths : tuple of four floats
        Factors are uniform in 1 +- strength; the turn of the hue is uniform in +- strength of a full turn.
    probability, grey_probability : float
        Of any change of colour, and of losing colour altogether.

    Returns
    -------
    tensor of the shape of ``planes``, in [0, 1]
    """
    n_images, (channels, height, width) = tf.shape(planes)[0], planes.shape[1:]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    factors = uniform(seeds[0], (4, n_images), -1.0) * tf.constant(strengths)[:, None]
    order = tf.argsort(uniform(seeds[1], (n_images, 4)), axis=1)
    changed, grey = tf.unstack(uniform(seeds[2], (2, n_images)) < tf.constant([[probability], [grey_probability]]))
    pixels = tf.reshape(planes, (-1, channels, height * width))
    matrix, offset = colour_matrix(tf.where(changed, factors, 0.0), order, tf.reduce_mean(pixels, axis=2))
    to_grey = tf.ones((channels, 1)) * tf.constant(LUMA[channels])
    matrix = tf.where(grey[:, None, None], to_grey @ matrix, matrix)
    return tf.reshape(tf.clip_by_value(matrix @ pixels + offset, 0.0, 1.0), (-1, channels, height, width))


def colour_matrix(factors, order, mean):
    """Return the matrix (n, c, c) and the offset (n, 1, 1) that an image's chain of colour changes amounts to.

    Parameters
    ----------
    factors : tensor of shape (4, n)
        Brightness, contrast and saturation, each less 1, and the part of a full turn of the hue.
    order : int tensor of shape (n, 4)
        In which order the four come.
    mean : tensor of shape (n, c)
        Mean colour of each image; contrast keeps the brightness of the mean as it stands when its turn comes.
    """
    channels = mean.shape[1]
    weights, identity = tf.constant(LUMA[channels]), tf.eye(channels)
    to_grey = tf.ones((channels, 1)) * weights
    brightness, contrast, saturation = ((1.0 + factor)[:, None, None] for factor in tf.unstack(factors[:3]))
    unchanged = tf.ones_like(brightness) * identity
    changes = [brightness * identity, contrast * identity, saturation * identity + (1.0 - saturation) * to_grey]
    changes.append(_hue_rotation(factors[3]))
    if channels == 1:
        changes[2:] = [unchanged, unchanged]
    changes = tf.stack(changes, axis=1)
    matrix, offset = unchanged, tf.zeros_like(brightness)
    for turn in tf.unstack(order, axis=1):
        brightness_of_mean = tf.reduce_sum(weights * (matrix @ mean[:, :, None] + offset)[:, :, 0], axis=1)
        lift = tf.where(turn == 1, -factors[1] * brightness_of_mean, 0.0)[:, None, None]
        gain = tf.where(turn <= 1, 1.0 + tf.gather(tf.transpose(factors), turn, batch_dims=1), 1.0)[:, None, None]
        matrix, offset = tf.gather(changes, turn, batch_dims=1) @ matrix, gain * offset + lift
    return matrix, offset


def _hue_rotation(turns):
    """Return (n, 3, 3) matrices that turn colours about the grey axis by parts of a full turn."""
    cosine, sine = tf.cos(2 * math.pi * turns), tf.sin(2 * math.pi * turns)
    zero, one = tf.zeros_like(turns), tf.ones_like(turns)
    rotation = tf.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], axis=1)
    forward = tf.constant(YIQ)
    return tf.linalg.inv(forward) @ tf.reshape(rotation, (-1, 3, 3)) @ forward


# Cutout


def cutout(images, seed, smallest, largest):
    """Paint over one square of each image, centred anywhere, with the image's mean colour.

    Parameters
    ----------
    images : tensor of shape (n, h, w, c)
    seed : tensor of shape (2,)
    smallest, largest : int
        Bounds of the side in pixels, both included; what sticks out of the image is lost.
    """
    height, width = images.shape[1:3]
    draws = uniform(seed, (3, tf.shape(images)[0]))
    side = tf.floor(smallest + (largest - smallest + 1) * draws[0])[:, None]
    hidden = []
    for size, draw in ((height, draws[1]), (width, draws[2])):
        start = tf.floor(draw * size)[:, None] - tf.floor(side / 2)
        away = tf.range(size, dtype=tf.float32) - start
        hidden.append((away >= 0) & (away < side))
    square = (hidden[0][:, :, None] & hidden[1][:, None, :])[..., None]
    return tf.where(square, tf.reduce_mean(images, axis=(1, 2), keepdims=True), images)
