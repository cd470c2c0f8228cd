"""Random views of images and of feature vectors; the same seed gives the same views, whatever ran before.

A view is a function of rows and of a few integers, usually (seed, epoch, step): nothing is kept between calls.  Two
views of one batch need two seeds: append a number, as in ``(seed, epoch, step, 1)``.  Every row has random
parameters of its own.  Images are normalised by the network, not here.
"""

import numpy as np
import tensorflow as tf

from kingdra_cluster import image_ops
from kingdra_cluster.image_ops import uniform
from kingdra_cluster.randaugment import (
    NNM_RANGES,
    RUC_RANGES,
    affine,
    apply_operations,
    choose_operations,
    magnitudes_of,
)


def simclr_view(images, seed, *, smallest_area=0.2, flip=True, jitter=1.0):
    """Random resized crop (area 0.2 to 1), flip, colour jitter (0.4, 0.4, 0.4, 0.1; of 80 %), grey (20 %).

    Parameters
    ----------
    images : array or tensor of shape (n, height, width, 1 or 3)
        ``uint8``, or floating in [0, 1].
    seed : sequence of int, or integer tensor of shape (k,)
    smallest_area : float, default=0.2
        Of a crop, as part of the image.
    flip : bool, default=True
        Whether half of the views are mirrored, left to right.
    jitter : float, default=1.0
        Multiplies the strengths of brightness, contrast, saturation and hue.

    Returns
    -------
    float32 tensor of the shape of ``images``, in [0, 1]

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual representations",
    ICML 2020.

    Examples
    --------
    >>> images = np.zeros((2, 32, 32, 3), "uint8")
    >>> simclr_view(images, (0, 3, 7)).shape.as_list()
    [2, 32, 32, 3]
    """
    return _simclr(_check_images(images), _check_seed(seed), smallest_area, flip, jitter)


def nnm_strong_view(images, seed, *, padding=0.125, largest_cutout=0.5, flip=True):
    """Flip, shifted crop, 4 operations of random strength drawn from 14 with replacement, one cutout square.

    Parameters
    ----------
    images, seed :
        See `simclr_view`.
    padding : float
        Black border, as part of the side, out of which a crop of the image's own size is taken.
    largest_cutout : float
        The square's side is uniform from one pixel to this part of the shorter side (NNM: 1/2 at 32 px, 1/3 at 96).
    flip : bool, default=True
        Mirror half of the images.

    Returns
    -------
    float32 tensor of the shape of ``images``, in [0, 1]

    References
    ----------
    Dang, Deng, Yang, Wei, Huang, "Nearest neighbor matching for deep clustering", CVPR 2021.
    """
    return _nnm_strong(_check_images(images), _check_seed(seed), padding, largest_cutout, flip)


def ruc_weak_view(images, seed, *, flip=True):
    """Random resized crop (area 0.2 to 1) and flip; arguments and result of `simclr_view`.

    References
    ----------
    Park et al., "Improving unsupervised image clustering with robust learning", CVPR 2021.
    """
    return _ruc_weak(_check_images(images), _check_seed(seed), flip)


def ruc_strong_view(images, seed, *, cutout=16, flip=True):
    """`ruc_weak_view`, 2 of 14 operations at level 1 of 10, each with probability 0.5, and a cutout of fixed size.

    Parameters
    ----------
    images, seed, flip :
        See `simclr_view`.
    cutout : int, default=16
        Side of the square in pixels, whatever the size of the images; half their shorter side at most.

    Returns
    -------
    float32 tensor of the shape of ``images``, in [0, 1]
    """
    return _ruc_strong(_check_images(images), _check_seed(seed), cutout, flip)


def vector_view(rows, seed, *, noise, dropout):
    """Set some features to 0, scale the others up by as much, and add normal noise.

    Parameters
    ----------
    rows : array or tensor of shape (n, n_features)
        Of root mean square 1, as the modes scale them, for ``noise`` to mean anything.
    seed : sequence of int, or integer tensor of shape (k,)
    noise : float
        Standard deviation.
    dropout : float
        Probability of a feature to be dropped, in [0, 1); every entry keeps its mean.

    Returns
    -------
    float32 tensor of the shape of ``rows``
    """
    return _vector(_check_vectors("rows", rows), _check_seed(seed), noise, dropout)


def view_at_distance(rows, seed, distance):
    """Move rows by a given distance: half of its square is normal noise, the other half dropped features.

    Parameters
    ----------
    rows : array or tensor of shape (n, n_features)
        Of root mean square 1, as the modes scale them.
    seed : sequence of int, or integer tensor of shape (k,)
    distance : float or tensor of shape ()
        Root mean square of the change of an entry.

    Returns
    -------
    float32 tensor of the shape of ``rows``
    """
    half = tf.square(tf.cast(distance, tf.float32)) / 2
    return vector_view(rows, seed, noise=tf.sqrt(half), dropout=half / (1 + half))


def vector_weak_view(rows, seed):
    """`vector_view` with light noise (0.2) and dropout (0.1)."""
    return vector_view(rows, seed, noise=0.2, dropout=0.1)


def vector_strong_view(rows, seed):
    """`vector_view` with heavy noise (0.5) and dropout (0.4)."""
    return vector_view(rows, seed, noise=0.5, dropout=0.4)


def neighbor_mixup(rows, neighbors, seed, *, largest_share=0.5):
    """Move each row part of the way to a row near it, by a share uniform in [0, largest_share).

    Parameters
    ----------
    rows, neighbors : arrays or tensors of shape (n, n_features)
        Row i of ``neighbors`` lies near row i of ``rows``.
    seed : sequence of int, or integer tensor of shape (k,)
    largest_share : float

    Returns
    -------
    float32 tensor of the shape of ``rows``
    """
    rows, neighbors = _check_vectors("rows", rows), _check_vectors("neighbors", neighbors)
    if rows.shape != neighbors.shape:
        raise ValueError(f"neighbors must have the shape of rows, {rows.shape}; received {neighbors.shape}")
    share = uniform(_key(_check_seed(seed)), (tf.shape(rows)[0], 1), 0.0, largest_share)
    return rows + share * (neighbors - rows)


def permutation(seed, number):
    """Return the integers from 0 to ``number - 1`` in an order that depends on ``seed`` alone."""
    return tf.argsort(uniform(_key(_check_seed(seed)), (number,)))


def beta(seed, concentration):
    """Return one number drawn from Beta(concentration, concentration), a float32 scalar, for a whole concentration.

    It is the median of ``2 concentration - 1`` uniform numbers.
    """
    return tf.sort(uniform(_key(_check_seed(seed)), (2 * concentration - 1,)))[concentration - 1]


VIEWS = {
    "simclr": simclr_view,
    "nnm_strong": nnm_strong_view,
    "ruc_weak": ruc_weak_view,
    "ruc_strong": ruc_strong_view,
    "vector_weak": vector_weak_view,
    "vector_strong": vector_strong_view,
}


@tf.function
def _simclr(images, seed, smallest_area, flip, jitter):
    geometry, colour = _split(_key(seed), 2)
    planes = _random_crops(tf.transpose(_unit(images), (0, 3, 1, 2)), geometry, smallest_area, flip)
    strengths = tuple(jitter * strength for strength in image_ops.JITTER)
    return tf.transpose(image_ops.colour_jitter(planes, colour, strengths=strengths), (0, 2, 3, 1))


@tf.function
def _ruc_weak(images, seed, flip):
    planes = _random_crops(tf.transpose(_unit(images), (0, 3, 1, 2)), _key(seed), flip=flip)
    return tf.transpose(planes, (0, 2, 3, 1))


@tf.function
def _nnm_strong(images, seed, padding, largest_cutout, flip):
    flips, shifts, *draws, square = _split(_key(seed), 7)
    n_images, (height, width) = tf.shape(images)[0], images.shape[1:3]
    flipped = tf.where(uniform(flips, (n_images,)) < 0.5, -1.0, 1.0) if flip else tf.ones(n_images)
    room = tf.constant([[width], [height]], tf.float32) * padding
    shift = tf.round(uniform(shifts, (2, n_images), -1.0) * tf.floor(room))
    levels = affine(_unit(images) * 255.0, (flipped, 0.0, 0.0, 1.0), tf.unstack(shift))
    for draw in draws:
        choices, part = choose_operations(draw, n_images)
        levels = apply_operations(levels, choices, magnitudes_of(NNM_RANGES, choices, part))
    return image_ops.cutout(levels / 255.0, square, 1, max(1, round(largest_cutout * min(height, width))))


@tf.function
def _ruc_strong(images, seed, cutout, flip):
    geometry, square, *draws = _split(_key(seed), 4)
    n_images, (height, width) = tf.shape(images)[0], images.shape[1:3]
    planes = _random_crops(tf.transpose(_unit(images), (0, 3, 1, 2)), geometry, flip=flip)
    levels = tf.transpose(planes, (0, 2, 3, 1)) * 255.0
    for draw in draws:
        choose, skip = _split(draw, 2)
        choices, part = choose_operations(choose, n_images)
        choices = tf.where(uniform(skip, (n_images,)) < 0.5, choices, 0)  # 0 is the identity
        levels = apply_operations(levels, choices, magnitudes_of(RUC_RANGES, choices, tf.round(part)))
    side = min(cutout, round(min(height, width) / 2))
    return image_ops.cutout(levels / 255.0, square, side, side)


@tf.function
def _vector(rows, seed, noise, dropout):
    drop, add = _split(_key(seed), 2)
    kept = tf.cast(uniform(drop, tf.shape(rows)) >= dropout, tf.float32) / (1.0 - dropout)
    return rows * kept + noise * tf.random.stateless_normal(tf.shape(rows), add, alg="philox")


def _random_crops(planes, seed, smallest_area=0.2, flip=True):
    crop, turn = _split(seed, 2)
    n_images, (height, width) = tf.shape(planes)[0], planes.shape[2:]
    crops = image_ops.draw_crops(crop, n_images, height, width, smallest_area)
    flips = tf.round(uniform(turn, (n_images,))) if flip else tf.zeros(n_images)
    cropped = image_ops.crop_and_flip(planes, crops, flips)
    return tf.clip_by_value(cropped, 0.0, 1.0)  # weights that add up to 1 but for rounding


def _unit(images):
    """Return images as float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else tf.cast(images, tf.float32)


def _split(seed, number):
    return tf.unstack(tf.random.experimental.stateless_split(seed, number))


def _key(seed):
    """Fold integers (k,) into one seed (2,) of TensorFlow's stateless generators."""
    key = tf.zeros(2, tf.int64)
    for part in tf.unstack(seed):
        key = tf.random.experimental.stateless_fold_in(key, part)
    return key


def _check_seed(seed):
    seed = tf.convert_to_tensor(np.asarray(seed) if not tf.is_tensor(seed) else seed)
    if seed.dtype not in (tf.int32, tf.int64) or seed.shape.rank != 1 or seed.shape[0] < 1:
        raise ValueError(f"seed must be integers such as (seed, epoch, step); received {seed}")
    return tf.cast(seed, tf.int64)


def _check_images(images):
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must have the shape (n, height, width, 1 or 3); received {images.shape}")
    if images.dtype != tf.uint8 and not images.dtype.is_floating:
        raise TypeError(f"images must be uint8, or floating from 0 to 1; received {images.dtype.name}")
    return images


def _check_vectors(name, rows):
    rows = tf.cast(tf.convert_to_tensor(rows), tf.float32)
    if rows.shape.rank != 2:
        raise ValueError(f"{name} must have the shape (n, n_features); received {rows.shape}")
    return rows
