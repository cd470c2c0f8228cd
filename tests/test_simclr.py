"""SimCLR: a step against the formula, PyTorch's weight decay, what it learns, keeps, resumes and refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kingdra_cluster import NNM, SimCLR
from kingdra_cluster.augment import simclr_view
from kingdra_cluster.losses import nt_xent
from kingdra_cluster.modes import fit_state, simclr
from kingdra_cluster.modes.simclr_network import SimCLRNetwork, make_projection
from kingdra_cluster.neighbors import nearest_neighbors, neighbor_accuracy

pytestmark = pytest.mark.usefixtures("eager")
MLP = {"name": "mlp", "hidden_units": (8,)}
TINY = {"backbone": MLP, "hidden_units": 6, "n_outputs": 4, "batch_size": 30, "n_epochs": 3, "learning_rate": 0.05}


def learn(X, **changes):
    return SimCLR(**{**TINY, "random_state": 0, **changes}).fit(X)


def pictures(n=40, channels=1, seed=0):
    """Bars that lie or stand, somewhere."""
    images = np.zeros((n, 12, 12, channels), np.uint8)
    places = np.random.default_rng(seed).integers(2, 9, n)
    for image, place, lies in zip(images, places, np.arange(n) % 2, strict=True):
        image[(place, slice(None)) if lies else (slice(None), place)] = 250
    return images


# A step


def shift(rows, seed):
    """A view that tells the two apart and knows the step."""
    return rows + 0.5 * tf.cast(seed[-1], "float32") + 0.25 * tf.cast(seed[1], "float32")


def make_network(weight_decay=0.0, seed=0):
    inputs = keras.Input((4,))
    initializer = keras.initializers.HeNormal(seed=1)
    outputs = keras.layers.Dense(5, use_bias=False, kernel_initializer=initializer)(inputs)
    backbone = keras.Model(inputs, outputs)
    projection = make_projection(5, 6, 3, seed=2)
    options = {"view": shift, "temperature": 0.5, "weight_decay": weight_decay, "seed": seed}
    return SimCLRNetwork(backbone, projection, **options)


def test_the_loss_contrasts_two_views_through_both_networks():
    network, rows = make_network(), np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    network.compile(keras.optimizers.SGD(0.1, 0.9), jit_compile=False)
    output = network.call({"unlabelled": rows}, training=True)
    kernel, hidden, bias, last, shift_of_last = network.get_weights()[:5]

    def slow(views):
        projected = np.maximum(views @ kernel @ hidden + bias, 0) @ last + shift_of_last
        return projected / np.linalg.norm(projected, axis=1, keepdims=True)

    np.testing.assert_allclose(output["first"], slow(rows), atol=1e-5)
    np.testing.assert_allclose(output["second"], slow(rows + 0.5), atol=1e-5)
    expected = float(nt_xent(slow(rows), slow(rows + 0.5), 0.5))
    assert float(network.compute_loss(y_pred=output)) == pytest.approx(expected, rel=1e-5)


def test_weight_decay_and_momentum_are_those_of_pytorch():
    """``g = grad + decay * w; v = momentum * v + g; w -= rate * v``, for biases too; the loop is PyTorch's text."""
    decay, rate, momentum = 0.3, 0.1, 0.9
    rows = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    trained, free = make_network(decay), make_network(0.0)
    trained.compile(keras.optimizers.SGD(rate, momentum), jit_compile=False)
    free.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    weights = [w.copy() for w in trained.get_weights()[:5]]
    velocity = [np.zeros_like(w) for w in weights]
    for _ in range(3):
        for variable, value in zip(free.trainable_variables, weights, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            loss = free.compute_loss(y_pred=free.call({"unlabelled": rows}, training=True))
        gradients = tape.gradient(loss, [v.value for v in free.trainable_variables])
        for k, gradient in enumerate(gradients):
            velocity[k] = momentum * velocity[k] + gradient.numpy() + decay * weights[k]
            weights[k] = weights[k] - rate * velocity[k]
        trained.train_on_batch({"unlabelled": rows})
        free.optimizer.iterations.assign(trained.optimizer.iterations)  # the views' step
    for found, expected in zip(trained.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_rate_falls_as_a_cosine_to_a_thousandth(blobs):
    network = SimCLR(**{**TINY, "learning_rate": 0.4}).make_network((4,), seed=0, n_steps=100)
    rates = []
    for step in (0, 50, 100):
        network.optimizer.iterations.assign(step)
        rates.append(float(network.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.4, 0.2002, 4e-4], rtol=1e-4)


def test_the_projection_head_has_no_batch_normalisation_and_the_published_size():
    head = make_projection(512, 512, 128, seed=0)
    assert [type(layer).__name__ for layer in head.layers] == ["Dense", "ReLU", "Dense", "UnitNormalization"]
    assert head.count_params() == 512 * 512 + 512 + 512 * 128 + 128
    np.testing.assert_allclose(np.linalg.norm(head(np.ones((2, 512))), axis=1), 1, rtol=1e-5)


# Training


def test_images_of_one_kind_come_to_lie_together():
    images, kinds = pictures(), np.arange(40) % 2
    options = {"backbone": {"name": "convnet", "widths": (8, 16)}, "n_epochs": 40, "batch_size": 40, "temperature": 0.5}
    model = learn(images, **options, learning_rate=0.1, smallest_area=0.6, flip=False)
    assert model.history_[-1]["contrast"] < model.history_[0]["contrast"] - 0.3

    def accuracy(features):
        return neighbor_accuracy(nearest_neighbors(features, 3), kinds)

    assert accuracy(model.transform(images)) > 0.9
    assert accuracy(model.project(images)) > 0.9
    assert accuracy(images.reshape(40, -1)) < 0.9


@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_grey_and_colour_of_any_scale(channels):
    images = pictures(30, channels)
    model = learn(images, backbone={"name": "convnet", "widths": (4, 6)}, n_epochs=1)
    assert model.scale_ == 255
    assert model.transform(images).shape == (30, 6)
    np.testing.assert_allclose(np.linalg.norm(model.project(images), axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="X must be uint8 or lie between 0 and 255"):
        model.transform(images / 255)
    unit = learn((images / 255).astype("float32"), backbone={"name": "convnet", "widths": (4, 6)}, n_epochs=1)
    np.testing.assert_allclose(unit.project(images / 255.0), model.project(images), atol=1e-4)
    with pytest.raises(ValueError, match="X must lie between 0 and 1"):
        unit.transform(images)
    with pytest.raises(ValueError, match="images of the fit did; received float32 from 0 to 250"):
        unit.transform(images.astype("float32"))


def test_features_have_names_and_come_as_a_table(blobs, tmp_path):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(NotFittedError):
        SimCLR().get_feature_names_out()
    table = pandas.DataFrame(blobs, columns=list("abcd"), index=[f"r{row}" for row in range(90)])
    model = learn(table, n_epochs=1)
    names = [f"simclr{feature}" for feature in range(8)]
    assert model.get_feature_names_out().tolist() == names
    features, projected = model.transform(table), model.project(table)
    model.save(tmp_path / "model")
    for fitted in (model, SimCLR.load(tmp_path / "model")):
        found = fitted.set_output(transform="pandas").transform(table)
        assert (list(found.columns), list(found.index)) == (names, list(table.index))
        np.testing.assert_array_equal(found, features)
        np.testing.assert_array_equal(fitted.project(table), projected)


def test_the_backbone_goes_on_into_matching(blobs):
    model = learn(blobs)
    matched = NNM(3, backbone=model.backbone_, n_epochs=1, batch_size=30, n_neighbors=5, random_state=0).fit(blobs)
    assert matched.scale_ == model.scale_
    neighbors = nearest_neighbors(model.project(blobs), 5)
    assert neighbor_accuracy(neighbors, np.repeat([0, 1, 2], 30)) == 1
    np.testing.assert_allclose(model.backbone_(blobs / model.scale_), model.transform(blobs), rtol=1e-4, atol=1e-6)


def test_the_same_seed_the_same_bits_sparse_rows_and_after_loading(blobs, tmp_path):
    model = learn(blobs)
    features = model.transform(blobs)
    keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(learn(sparse.csr_matrix(blobs)).transform(sparse.csr_matrix(blobs)), features)
    assert np.any(learn(blobs, random_state=1).transform(blobs) != features)
    np.testing.assert_array_equal(model.transform(blobs[7:8]), features[7:8])
    model.save(tmp_path / "model")
    loaded = SimCLR.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(blobs), features)
    np.testing.assert_array_equal(loaded.project(blobs), model.project(blobs))
    assert loaded.history_ == model.history_
    np.testing.assert_array_equal(clone(loaded).set_params(random_state=0).fit(blobs).transform(blobs), features)


def test_a_killed_fit_goes_on_to_the_same_bits(blobs, tmp_path, monkeypatch):
    whole = learn(blobs)
    saved = []

    def save_and_die(*arguments):
        fit_state.save_fit(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(simclr, "save_fit", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        learn(blobs, checkpoint_dir=tmp_path)
    monkeypatch.setattr(simclr, "save_fit", lambda *arguments: saved.append(arguments))
    resumed = learn(blobs, checkpoint_dir=tmp_path)
    assert len(saved) == 2
    np.testing.assert_array_equal(resumed.project(blobs), whole.project(blobs))
    assert resumed.history_ == whole.history_
    with pytest.raises(ValueError, match="belongs to another fit: learning_rate was 0.05 there and is 0.1 here"):
        learn(blobs, learning_rate=0.1, checkpoint_dir=tmp_path)


def test_a_fit_that_failed_answers_nothing(blobs, tmp_path):
    model = SimCLR(**TINY)
    for _ in ("first", "again"):
        with pytest.raises(FloatingPointError, match="training diverged"):
            model.set_params(learning_rate=1e30).fit(blobs)
        for call in (lambda: model.transform(blobs), lambda: model.project(blobs), lambda: model.save(tmp_path / "no")):
            with pytest.raises(NotFittedError):
                call()
        model.set_params(learning_rate=0.05, verbose=True).fit(blobs).transform(blobs)


# Views and arguments


def test_views_without_flip_with_large_crops_and_no_jitter():
    arrow = np.zeros((200, 16, 16, 3), "float32")
    arrow[:, :, 11:] = 0.6
    flipped = simclr_view(arrow, (0, 0), smallest_area=0.9, jitter=0.0).numpy()
    kept = simclr_view(arrow, (0, 0), smallest_area=0.9, jitter=0.0, flip=False).numpy()
    sides = kept[:, :, 0].mean(axis=(1, 2)) - kept[:, :, -1].mean(axis=(1, 2))
    assert (sides < 0).all()
    assert 60 < np.sum(flipped[:, :, 0].mean(axis=(1, 2)) > flipped[:, :, -1].mean(axis=(1, 2))) < 140
    assert kept.max() <= 0.6 + 1e-6
    assert simclr_view(arrow, (0, 0)).numpy().max() > 0.7


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.full((31, 3), 5.0), np.zeros((4, 6, 6, 1), np.uint8)])
def test_identical_rows_and_odd_batches_give_sound_features(rows):
    backbone = MLP if rows.ndim == 2 else {"name": "convnet", "widths": (4,)}
    model = learn(rows, backbone=backbone, n_epochs=2)
    assert np.isfinite(model.project(rows)).all()
    assert np.isfinite([list(record.values()) for record in model.history_]).all()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a finite number of more than 0"),
        ({"smallest_area": 1.5}, ValueError, "smallest_area must be .* at most 1"),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer of at least 2"),
        ({"flip": 1}, TypeError, "flip must be True or False"),
        ({"scale": "max"}, ValueError, "scale must be one of"),
        ({"backbone": "convnett"}, ValueError, "the nearest is 'convnet'"),
    ],
)
def test_parameters_out_of_range_are_named(blobs, parameters, error, words):
    with pytest.raises(error, match=words):
        learn(blobs, **parameters)


def test_rows_of_another_shape_and_a_diverged_training_are_told(blobs):
    images = pictures(30)
    model = learn(images, backbone={"name": "convnet", "widths": (4,)}, n_epochs=1)
    with pytest.raises(ValueError, match=r"rows of shape \(12, 12, 1\); received \(12, 11, 1\)"):
        model.transform(images[:, :, :11])
    with pytest.raises(FloatingPointError, match="training diverged"):
        learn(blobs, learning_rate=1e30)
