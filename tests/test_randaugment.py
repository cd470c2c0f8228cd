"""Every operation against Pillow."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kingdra_cluster.randaugment import (
    NNM_RANGES,
    OPERATIONS,
    RUC_RANGES,
    apply_operations,
    choose_operations,
    magnitudes_of,
)
from tests.oracles import smooth_images


def to_pillow(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def from_pillow(picture):
    image = np.asarray(picture)
    return image[..., None] if image.ndim == 2 else image


def centred(xx, xy, yx, yy, x, y, size):
    """Pillow's coefficients of a map about the centre; its positions count from the corner of the first pixel."""
    cx, cy = size[0] / 2, size[1] / 2
    return xx, xy, cx + x - xx * cx - xy * cy, yx, yy, cy + y - yx * cx - yy * cy


def transform(picture, *coefficients):
    return picture.transform(picture.size, Image.Transform.AFFINE, centred(*coefficients, picture.size))


PILLOW = {
    "identity": (lambda p, m: p, (0.0, 1.0)),
    "autocontrast": (lambda p, m: ImageOps.autocontrast(p), (0.0, 1.0)),
    "equalize": (lambda p, m: ImageOps.equalize(p), (0.0, 1.0)),
    "rotate": (lambda p, m: p.rotate(m), (-30.0, 30.0)),
    "solarize": (lambda p, m: ImageOps.solarize(p, math.ceil(m)), (0.0, 256.0)),
    "colour": (lambda p, m: ImageEnhance.Color(p).enhance(m), (0.05, 1.8)),
    "contrast": (lambda p, m: ImageEnhance.Contrast(p).enhance(m), (0.05, 1.8)),
    "brightness": (lambda p, m: ImageEnhance.Brightness(p).enhance(m), (0.05, 1.8)),
    "sharpness": (lambda p, m: ImageEnhance.Sharpness(p).enhance(m), (0.05, 1.8)),
    "shear_x": (lambda p, m: transform(p, 1, m, 0, 1, 0, 0), (-0.1, 0.1)),
    "shear_y": (lambda p, m: transform(p, 1, 0, m, 1, 0, 0), (-0.1, 0.1)),
    "translate_x": (lambda p, m: transform(p, 1, 0, 0, 1, m * p.size[0], 0), (-0.3, 0.3)),
    "translate_y": (lambda p, m: transform(p, 1, 0, 0, 1, 0, m * p.size[1]), (-0.3, 0.3)),
    "posterize": (lambda p, m: ImageOps.posterize(p, int(m)), (4.0, 8.9)),
}
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def test_there_is_an_oracle_for_each_of_the_fourteen_operations():
    assert list(PILLOW) == list(OPERATIONS)
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_equals_pillow(name, channels):
    images = smooth_images(channels=channels)
    oracle, (low, high) = PILLOW[name]
    magnitudes = np.linspace(low, high, len(images)) + 0.0123
    expected = np.stack([from_pillow(oracle(to_pillow(image), m)) for image, m in zip(images, magnitudes, strict=True)])
    found = OPERATIONS[name](tf.cast(images, tf.float32), tf.constant(magnitudes, tf.float32)).numpy()
    away = np.abs(found - expected)
    if name in GEOMETRIC:  # a position may round to either of two pixels
        assert np.mean(away > 0) < 0.01
    elif name in ("identity", "equalize", "solarize", "posterize"):
        assert away.max() == 0
    else:  # Pillow cuts off what follows the point, at times twice
        assert away.max() <= 1.5


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_takes_no_images_single_pixels_and_flat_images(name):
    operation = OPERATIONS[name]
    assert operation(tf.zeros((0, 8, 8, 3)), tf.zeros(0)).shape == (0, 8, 8, 3)
    for shape in ((2, 1, 1, 3), (2, 2, 5, 1)):
        flat = operation(tf.fill(shape, 100.0), tf.constant([0.1, 0.9])).numpy()
        assert flat.shape == shape
        assert np.isfinite(flat).all()
        assert flat.min() >= 0
        assert flat.max() <= 255


def test_autocontrast_and_equalize_leave_a_flat_image_alone():
    flat = tf.fill((2, 6, 6, 3), 100.0)
    for name in ("autocontrast", "equalize"):
        np.testing.assert_array_equal(OPERATIONS[name](flat, tf.zeros(2)), flat)


def test_each_image_gets_the_operation_chosen_for_it():
    images = tf.cast(smooth_images(n=28), tf.float32)
    choices = np.random.default_rng(0).permutation(np.tile(np.arange(14), 2))
    magnitudes = np.random.default_rng(1).uniform(0.1, 0.9, 28).astype("float32")
    found = apply_operations(images, tf.constant(choices, tf.int32), tf.constant(magnitudes))
    for row, choice in enumerate(choices):
        operation = list(OPERATIONS.values())[choice]
        alone = operation(images[row : row + 1], tf.constant(magnitudes[row : row + 1]))[0]
        np.testing.assert_allclose(found[row], alone, atol=1e-3)


def test_nnm_ranges_are_those_of_the_paper():
    assert (
        set(NNM_RANGES)
        == set(RUC_RANGES)
        == set(OPERATIONS)
        - {
            "identity",
            "autocontrast",
            "equalize",
        }
    )
    choices, part = choose_operations(tf.constant([1, 2]), 14000)
    counts = np.bincount(choices, minlength=14)
    assert counts.min() > 850
    magnitudes = magnitudes_of(NNM_RANGES, choices, part).numpy()
    for place, name in enumerate(OPERATIONS):
        low, high = NNM_RANGES.get(name, (0, 0))
        mine = magnitudes[choices.numpy() == place]
        assert low <= mine.min() <= low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) <= mine.max() <= high
    bits = np.floor(magnitudes[choices.numpy() == list(OPERATIONS).index("posterize")])
    assert set(bits) == {4, 5, 6, 7, 8}
