"""Crop, colour and cutout against Pillow, or against a slow loop where Pillow has none."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kingdra_cluster import image_ops
from tests.oracles import smooth_images

SEED = np.array([3, 4])


# Crop and flip


def test_a_crop_equals_pillows_bilinear_resize_of_a_box():
    images = smooth_images(height=18, width=26, channels=1)[..., 0].astype("float32")
    crops = image_ops.draw_crops(SEED, len(images), 18, 26, 0.2)
    flips = tf.constant([0.0, 1, 0, 1, 1, 0])
    found = image_ops.crop_and_flip(tf.constant(images[:, None]), crops, flips)[:, 0]
    for image, crop, flip, mine in zip(images, crops.numpy().T, flips.numpy(), found, strict=True):
        top, left, height, width = crop.astype(float)
        box = (left, top, min(left + width, 26), min(top + height, 18))
        expected = np.asarray(Image.fromarray(image).resize((26, 18), Image.Resampling.BILINEAR, box=box))
        np.testing.assert_allclose(mine, expected[:, ::-1] if flip else expected, atol=0.02)


def test_the_whole_image_as_a_crop_is_the_image():
    planes = tf.constant(smooth_images().transpose(0, 3, 1, 2).astype("float32"))
    whole = tf.constant([[0.0], [0], [20], [24]]) * tf.ones((4, 6))
    np.testing.assert_allclose(image_ops.crop_and_flip(planes, whole, tf.zeros(6)), planes, atol=1e-3)
    np.testing.assert_allclose(image_ops.crop_and_flip(planes, whole, tf.ones(6)), planes[..., ::-1], atol=1e-3)


@pytest.mark.parametrize("size", [(32, 32), (96, 96), (32, 64), (10, 100), (1, 1)])
def test_crops_lie_inside_and_have_the_area_and_aspect_asked_for(size):
    height, width = size
    top, left, crop_height, crop_width = image_ops.draw_crops(SEED, 4000, height, width, 0.2).numpy()
    assert min(top.min(), left.min()) >= 0
    assert (top + crop_height).max() <= height * 1.0001
    assert (left + crop_width).max() <= width * 1.0001
    area = crop_height * crop_width / (height * width)
    if height == width:
        assert area.min() >= 0.199
        assert area.mean() == pytest.approx(0.6, abs=0.02)
        aspect = crop_width / crop_height
        assert np.all((aspect <= 1.34) | (area > 0.6))
        assert np.all((aspect >= 0.74) | (area > 0.6))


# Colour


def slow_jitter(image, factors, order):
    """Colour changes of one image (h, w, c) pixel by pixel, in float64, without clipping."""
    weights = image_ops.LUMA[image.shape[-1]]
    image = image.astype(float)
    for turn in order:
        grey = sum(w * image[..., k] for k, w in enumerate(weights))[..., None]
        if turn == 0:
            image = image * (1 + factors[0])
        elif turn == 1:
            image = grey.mean() + (1 + factors[1]) * (image - grey.mean())
        elif turn == 2:
            image = grey + (1 + factors[2]) * (image - grey)
        elif image.shape[-1] == 3:
            y, i, q = np.einsum("dc,hwc->dhw", np.array(image_ops.YIQ), image)
            turned = (i + 1j * q) * np.exp(2j * np.pi * factors[3])
            image = np.einsum("cd,dhw->hwc", np.linalg.inv(image_ops.YIQ), np.stack([y, turned.real, turned.imag]))
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_changes_equal_the_slow_loop_in_every_order(channels):
    images = smooth_images(n=24, channels=channels) / 255.0
    orders = np.stack([np.random.default_rng(seed).permutation(4) for seed in range(24)])
    factors = np.random.default_rng(0).uniform(-0.4, 0.4, (4, 24)) * np.array([[1], [1], [1], [0.25]])
    pixels = images.reshape(24, -1, channels).transpose(0, 2, 1)
    matrix, offset = image_ops.colour_matrix(
        tf.constant(factors, tf.float32), tf.constant(orders), tf.constant(pixels.mean(axis=2), tf.float32)
    )
    found = (matrix.numpy() @ pixels + offset.numpy()).transpose(0, 2, 1).reshape(images.shape)
    for row in range(24):
        np.testing.assert_allclose(found[row], slow_jitter(images[row], factors[:, row], orders[row]), atol=1e-5)


def jitter_matrix(factors, mean=(0.5, 0.5, 0.5)):
    order = tf.range(4)[None]
    return [
        part.numpy()[0] for part in image_ops.colour_matrix(tf.constant(factors)[:, None], order, tf.constant([mean]))
    ]


@pytest.mark.parametrize("turn", [-0.1, -0.05, 0.0, 0.03, 0.1, 1.0])
def test_the_turn_of_the_hue_keeps_grey_and_brightness_and_is_near_the_hue_of_hsv(turn):
    matrix, offset = jitter_matrix([0.0, 0.0, 0.0, turn])
    np.testing.assert_allclose(matrix @ [0.3, 0.3, 0.3], [0.3] * 3, atol=1e-5)
    colour = np.array([0.6, 0.4, 0.35])
    turned = matrix @ colour
    assert turned @ image_ops.LUMA[3] == pytest.approx(colour @ image_ops.LUMA[3], abs=1e-5)
    assert offset == 0
    if turn in (0.0, 1.0):
        np.testing.assert_allclose(turned, colour, atol=1e-5)
    else:
        moved = (colorsys.rgb_to_hsv(*turned)[0] - colorsys.rgb_to_hsv(*colour)[0] + 0.5) % 1 - 0.5
        assert abs(abs(moved) - abs(turn)) < 0.05


def test_jitter_touches_as_many_images_as_asked_for():
    planes = tf.constant(np.tile(smooth_images(1, 8, 8) / 255.0, (2000, 1, 1, 1)).transpose(0, 3, 1, 2), tf.float32)
    found = image_ops.colour_jitter(planes, SEED).numpy()
    unchanged = np.abs(found - planes).max(axis=(1, 2, 3)) < 1e-5
    grey = np.ptp(found, axis=1).max(axis=(1, 2)) < 1e-5
    assert unchanged.mean() == pytest.approx(0.2 * 0.8, abs=0.03)
    assert grey.mean() == pytest.approx(0.2, abs=0.03)
    assert found.min() >= 0
    assert found.max() <= 1


# Cutout


def test_a_cutout_is_one_square_of_the_images_mean_colour():
    images = np.random.default_rng(0).uniform(size=(300, 32, 32, 3)).astype("float32")
    found = image_ops.cutout(tf.constant(images), SEED, 1, 16).numpy()
    sides = []
    for before, after in zip(images, found, strict=True):
        hidden = np.any(before != after, axis=-1)
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        assert hidden.sum() == len(rows) * len(columns) <= 256
        assert np.all(np.diff(rows) == 1)
        assert np.all(np.diff(columns) == 1)
        np.testing.assert_allclose(after[hidden], np.tile(before.mean(axis=(0, 1)), (hidden.sum(), 1)), atol=1e-5)
        if rows[0] > 0 and rows[-1] < 31 and columns[0] > 0 and columns[-1] < 31:
            assert len(rows) == len(columns)
            sides.append(len(rows))
    assert set(sides) <= set(range(1, 17))
    assert len(set(sides)) > 12
    fixed = image_ops.cutout(tf.constant(images), SEED, 16, 16).numpy()
    assert np.any(fixed != images, axis=-1).sum(axis=(1, 2)).max() == 256
