"""Views: the same seed the same view, each row its own parameters, any size, grey or in colour."""

import numpy as np
import pytest
import tensorflow as tf

from kingdra_cluster import NNM, RUC, SelfLabel, augment
from kingdra_cluster.augment import (
    VIEWS,
    neighbor_mixup,
    nnm_strong_view,
    ruc_strong_view,
    ruc_weak_view,
    simclr_view,
    vector_view,
    view_at_distance,
)

IMAGE_VIEWS = [name for name in VIEWS if not name.startswith("vector")]
each_view = pytest.mark.parametrize("name", VIEWS)
each_image_view = pytest.mark.parametrize("name", IMAGE_VIEWS)


def images(n=8, height=32, width=32, channels=3):
    return np.random.default_rng(5).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def rows_for(name, n=8):
    return images(n) if name in IMAGE_VIEWS else np.random.default_rng(5).normal(size=(n, 40)).astype("float32")


@each_view
def test_a_view_depends_on_its_seed_alone(name):
    rows, view = rows_for(name), VIEWS[name]
    first = view(rows, (1, 2, 3)).numpy()
    assert first.shape == rows.shape
    assert first.dtype == np.float32
    others = [view(rows, seed).numpy() for seed in ((1, 2, 4), (1, 3, 2), (2, 2, 3), (1, 2, 3, 1), (0, 0, 0))]
    np.testing.assert_array_equal(view(rows, (1, 2, 3)), first)
    np.testing.assert_array_equal(view(rows, tf.constant([1, 2, 3])), first)
    np.testing.assert_array_equal(tf.function(view)(tf.constant(rows), tf.constant([1, 2, 3])), first)
    assert all(np.abs(other - first).max() > 0.01 for other in others)


@each_view
def test_a_view_can_be_part_of_a_graph_for_any_size_of_batch(name):
    rows, view = rows_for(name), VIEWS[name]
    shape = tf.TensorSpec([None, *rows.shape[1:]], rows.dtype)
    graph = tf.function(view, input_signature=[shape, tf.TensorSpec([3], tf.int32)])
    for n in (8, 3):
        found = graph(rows[:n], tf.constant([1, 2, 3]))
        np.testing.assert_allclose(found, view(rows[:n], (1, 2, 3)), atol=1e-5)


@each_view
def test_rows_of_one_batch_get_parameters_of_their_own(name):
    row = rows_for(name)[:1]
    views = VIEWS[name](np.repeat(row, 12, axis=0), (0, 0, 0)).numpy()
    assert len(np.unique(views.reshape(12, -1), axis=0)) >= 11


@pytest.mark.usefixtures("eager")
@each_image_view
@pytest.mark.parametrize("shape", [(1, 96, 96, 3), (3, 28, 28, 1), (2, 8, 8, 1), (2, 20, 45, 3), (2, 1, 1, 3)])
def test_images_of_any_size_grey_or_in_colour(name, shape):
    batch = images(*shape)
    found = VIEWS[name](batch, (0, 1, 2)).numpy()
    assert found.shape == shape
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(VIEWS[name](batch / 255.0, (0, 1, 2)), found, atol=0.005)


@each_image_view
def test_one_call_a_batch_costs_no_new_trace(name):
    graph = {"simclr": "_simclr", "ruc_weak": "_ruc_weak", "ruc_strong": "_ruc_strong", "nnm_strong": "_nnm_strong"}
    function = getattr(augment, graph[name])
    VIEWS[name](images(), (0, 0, 0))
    before = function.experimental_get_tracing_count()
    for step in range(3):
        VIEWS[name](images(), (0, 7, step))
    assert function.experimental_get_tracing_count() == before


def test_a_view_shows_the_picture_most_of_the_time():
    """Views of one image are nearer to each other than to views of another."""
    yes, no = np.zeros((2, 50, 32, 32, 3), np.uint8)
    yes[:, 8:24, 8:24, 0] = 220
    no[:, 8:24, 8:24, 2] = 220
    for name in IMAGE_VIEWS:
        red, blue = (VIEWS[name](batch, (0, 0, 0)).numpy().mean(axis=(0, 1, 2)) for batch in (yes, no))
        assert red[0] > red[2]
        assert blue[2] > blue[0]


@pytest.mark.parametrize("view", [simclr_view, ruc_weak_view, nnm_strong_view, ruc_strong_view])
def test_no_image_is_mirrored_where_that_is_asked_for(view):
    ramps = np.tile(np.linspace(20, 235, 32).astype(np.uint8)[:, None], (400, 32, 1, 1))  # brighter to the right
    options = {"padding": 0.0} if view is nnm_strong_view else {}
    fell = {}
    for flip in (True, False):
        seen = view(ramps, (0, 0, 0), flip=flip, **options).numpy()[..., 0]
        weights = np.linspace(-1, 1, 32)
        fell[flip] = np.mean((seen.mean(axis=1) * weights).sum(axis=1) < 0)
    assert 0.3 < fell[True] < 0.6
    assert fell[False] < 0.25  # some operations turn bright into dark


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("flip", [True, False])
def test_the_modes_mirror_images_as_they_are_told(flip, monkeypatch):
    told = []
    for name in ("nnm_strong_view", "ruc_weak_view", "ruc_strong_view"):

        def note(images, seed, *, flip, name=name, **_):
            told.append((name, flip))
            return tf.cast(images, tf.float32) / 255.0

        monkeypatch.setattr(augment, name, note)
    rows = images(40, 8, 8, 1)
    options = {"flip": flip, "batch_size": 20, "n_epochs": 1, "random_state": 0}
    backbone = {"name": "convnet", "widths": [2, 2]}
    matched = NNM(3, backbone=backbone, n_heads=1, n_neighbors=3, **options).fit(rows)
    SelfLabel(3, classifier=matched.classifier_, threshold=0.0, **options).fit(rows)
    assert set(told) == {("nnm_strong_view", flip)}
    RUC(3, backbone=backbone, **options).fit(rows, np.arange(40) % 3)
    assert set(told[1:]) == {(name, flip) for name in ("nnm_strong_view", "ruc_weak_view", "ruc_strong_view")}


def test_the_size_of_cutout_and_padding_can_be_set():
    white = np.full((100, 32, 32, 3), 255, np.uint8)
    for size, side in ((96, 16), (28, 14)):  # RUC's is as large on every image, if that is not more than half of it
        large = np.full((60, size, size, 3), 255, np.uint8)
        differ = ruc_strong_view(large, (0, 0, 0)).numpy() != ruc_strong_view(large, (0, 0, 0), cutout=8).numpy()
        assert differ.any(axis=3).sum(axis=(1, 2)).max() == side**2 - 8**2
    no_border = nnm_strong_view(white, (0, 0, 0), padding=0.0).numpy()
    border = nnm_strong_view(white, (0, 0, 0), padding=0.25).numpy()
    assert np.mean(border == 0) > np.mean(no_border == 0) + 0.05


# Vectors


def test_noise_and_dropout_of_vectors_have_the_size_asked_for():
    rows = np.ones((400, 500), "float32")
    dropped = vector_view(rows, (0, 0, 0), noise=0.0, dropout=0.3).numpy()
    assert np.mean(dropped == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.7], rtol=1e-6)
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    noisy = vector_view(rows, (0, 0, 0), noise=0.2, dropout=0.0).numpy()
    assert noisy.std() == pytest.approx(0.2, abs=0.005)
    assert noisy.mean() == pytest.approx(1, abs=0.005)
    np.testing.assert_array_equal(vector_view(rows, (0, 0, 0), noise=0.0, dropout=0.0), rows)


@pytest.mark.parametrize("distance", [0.1, 1.0])
def test_a_view_at_a_distance_is_there_half_by_noise_half_by_dropped_features(distance):
    rows = np.ones((400, 500), "float32")
    away = view_at_distance(rows, (0, 0, 0), distance).numpy() - rows
    assert np.sqrt(np.square(away).mean()) == pytest.approx(distance, rel=0.02)
    assert view_at_distance(0 * rows, (0, 0, 0), distance).numpy().std() == pytest.approx(distance / 2**0.5, rel=0.02)
    np.testing.assert_array_equal(view_at_distance(rows, (0, 0, 0), 0.0), rows)


def test_the_strong_view_of_vectors_leaves_the_row_further_than_the_weak():
    rows = rows_for("vector_weak", 200)
    away = [np.square(VIEWS[name](rows, (0, 0, 0)) - rows).mean() for name in ("vector_weak", "vector_strong")]
    assert 2 * away[0] < away[1]


def test_mixup_stays_between_the_row_and_its_neighbour():
    rows, neighbours = np.zeros((500, 3)), np.ones((500, 3))
    mixed = neighbor_mixup(rows, neighbours, (0, 0, 0), largest_share=0.4).numpy()
    np.testing.assert_array_equal(np.ptp(mixed, axis=1), 0)
    assert 0 <= mixed.min() < 0.01
    assert 0.39 < mixed.max() < 0.4
    np.testing.assert_array_equal(neighbor_mixup(rows, neighbours, (0, 0, 0), largest_share=0.4), mixed)


@pytest.mark.parametrize("concentration", [1, 4])
def test_beta_and_permutations(concentration):
    draws = np.array([augment.beta((0, step), concentration) for step in range(1000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.02)
    assert draws.var() == pytest.approx(1 / (4 * (2 * concentration + 1)), rel=0.1)
    assert augment.beta((0, 5), concentration) == draws[5]
    orders = [augment.permutation((0, step), 6).numpy().tolist() for step in range(60)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert {order[0] for order in orders} == set(range(6))


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.zeros((8, 8, 3)), (0, 0, 0)), ValueError, r"images must have the shape .* received \(8, 8, 3\)"),
        ((np.zeros((2, 8, 8, 2)), (0, 0, 0)), ValueError, "1 or 3"),
        ((np.zeros((0, 8, 8, 3)), (0, 0, 0)), ValueError, "images must have the shape"),
        ((np.zeros((2, 8, 8, 3), int), (0, 0, 0)), TypeError, "images must be uint8, or floating .* int64"),
        ((np.zeros((2, 8, 8, 3)), (0.5, 0, 0)), ValueError, "seed must be integers"),
        ((np.zeros((2, 8, 8, 3)), 3), ValueError, "seed must be integers"),
    ],
)
def test_images_and_seeds_of_the_wrong_kind_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        simclr_view(*arguments)


def test_vectors_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"rows must have the shape \(n, n_features\)"):
        vector_view(np.zeros((2, 3, 4)), (0, 0, 0), noise=0.1, dropout=0.1)
    with pytest.raises(ValueError, match="neighbors must have the shape of rows"):
        neighbor_mixup(np.zeros((2, 3)), np.zeros((2, 4)), (0, 0, 0))
