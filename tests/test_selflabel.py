"""Self-labelling: a step against the loss, what it puts right, what it keeps and refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from kingdra_cluster import LadderIM, PseudoLabelWarning, SelfLabel
from kingdra_cluster.losses import self_labelling
from kingdra_cluster.modes.selflabel_network import SelfLabelNetwork
from kingdra_cluster.unsup_metrics import ACC

pytestmark = pytest.mark.usefixtures("eager")
KERNEL = 3 * np.eye(4, 3)
TRUTH = np.repeat([0, 1, 2], 30)
TINY = {"batch_size": 30, "n_epochs": 3, "random_state": 0}


def make_classifier(kernel=KERNEL, shape=(4,)):
    """Raw rows in, probabilities out; by default it tells the blobs apart, the surer the larger the kernel."""
    flat = [keras.layers.Flatten()] if len(shape) > 1 else []
    dense = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input(shape), keras.layers.Rescaling(0.5), *flat, dense])
    model.set_weights([np.asarray(kernel, dtype="float32"), np.zeros(3, "float32")])
    return model


def refine(X, classifier=None, **changes):
    return SelfLabel(3, classifier=make_classifier() if classifier is None else classifier, **{**TINY, **changes}).fit(
        X
    )


def test_a_step_is_the_loss_of_the_rows_and_of_their_views(blobs):
    def view(rows, seed):
        return rows + 0.25

    network = make_classifier()
    network.layers[-1].activation = keras.activations.linear
    options = {"scale": 2.0, "threshold": 0.9, "class_balancing": True, "weight_decay": 0.2, "seed": 0}
    harness = SelfLabelNetwork(network, strong_view=view, **options)
    harness.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    x = (blobs / 2).astype("float32")
    with tf.GradientTape() as tape:
        output = harness.call({"x": x}, training=True)
        loss = harness.compute_loss(y_pred=output)
    kernel = network.get_weights()[0]
    weak, strong = x @ kernel, (x + 0.25) @ kernel
    expected = float(self_labelling(weak, strong, 0.9)) + 0.1 * np.square(kernel).sum()
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    gradient = tape.gradient(loss, network.trainable_weights[0].value)
    harness.weight_decay = 0.0
    with tf.GradientTape() as tape:
        loss = harness.compute_loss(y_pred=harness.call({"x": x}, training=True))
    plain = tape.gradient(loss, network.trainable_weights[0].value)
    np.testing.assert_allclose(gradient - plain, 0.2 * kernel, atol=1e-5)  # PyTorch's: a part of the gradient


def test_unsure_rows_follow_the_sure_ones_and_clusters_keep_their_names(blobs):
    tilted = 2.5 * np.eye(4, 3) + np.array([0, 1.6, 0])  # draws some rows of every cluster to the second
    start = make_classifier(tilted)
    assert np.mean(np.asarray(start(blobs)).max(axis=1) > 0.9) < 1
    model = refine(blobs, start, threshold=0.9, n_epochs=20, learning_rate=0.02)
    np.testing.assert_array_equal(model.labels_, TRUTH)
    assert ACC(TRUTH, model.labels_) == 1
    assert model.history_[-1]["sure_share"] > model.history_[0]["sure_share"]
    assert set(model.history_[0]) == {"loss", "self_labelling", "decay", "sure_share"}
    np.testing.assert_array_equal(start.get_weights()[0], tilted.astype("float32"))  # the given one is left alone


def test_the_same_seed_the_same_bits_sparse_rows_and_after_loading(blobs, tmp_path):
    model = refine(blobs)
    np.testing.assert_array_equal(refine(sparse.csr_matrix(blobs)).probabilities_, model.probabilities_)
    assert np.any(refine(blobs, random_state=1).probabilities_ != model.probabilities_)
    np.testing.assert_array_equal(model.predict_proba(blobs[7:8]), model.probabilities_[7:8])
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(SelfLabel.load(tmp_path / "model").predict_proba(blobs), model.probabilities_)


def test_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 4, 4, 1), dtype=np.uint8)
    start = make_classifier(np.random.default_rng(1).normal(size=(16, 3)) / 50, (4, 4, 1))
    model = refine(images, start, threshold=0.4, n_epochs=1)
    assert model.scale_ == 255
    np.testing.assert_array_equal(model.predict(images), model.labels_)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_images_of_another_type_than_the_classifiers_are_refused(scale):
    images = np.random.default_rng(0).integers(0, 255, (40, 4, 4, 1), dtype=np.uint8)
    fitting, other = (images, images / 255) if scale == 255 else (images / 255, images)
    layers = [keras.layers.Rescaling(1 / scale, name="scale"), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    start = keras.Sequential([keras.Input((4, 4, 1)), *layers])
    refine(fitting, start, threshold=0.1, n_epochs=1)
    with pytest.raises(ValueError, match="X must be uint8" if scale == 255 else "X must lie between 0 and 1"):
        refine(other, start, threshold=0.1, n_epochs=1)


def test_nothing_sure_is_told_and_changes_next_to_nothing(blobs):
    start = make_classifier(np.zeros((4, 3)))
    with pytest.warns(PseudoLabelWarning, match=r"no row was ever sure at threshold=0\.99"):
        model = refine(blobs, start)
    np.testing.assert_allclose(model.probabilities_, 1 / 3, atol=1e-6)


def test_identical_rows_and_a_ragged_last_batch_give_no_nan():
    model = refine(np.full((31, 4), 2.0), make_classifier(np.eye(4, 3) * 9 + np.array([5, 0, 0])), threshold=0.5)
    assert np.isfinite(model.probabilities_).all()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"classifier": "nnm"}, TypeError, "classifier must be a keras.Model.* received str"),
        ({"threshold": 1.5}, ValueError, "threshold must be .* at most 1"),
        ({"class_balancing": 1}, TypeError, "class_balancing must be True or False"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be .* more than 0"),
        ({"feature_dropout": 1}, ValueError, "feature_dropout must be .* at most 0.99"),
    ],
)
def test_parameters_out_of_range_are_named(blobs, changes, error, words):
    with pytest.raises(error, match=words):
        refine(blobs, **changes)


def test_a_classifier_that_does_not_fit_is_refused(blobs):
    with pytest.raises(ValueError, match=r"classifier must return n_clusters=4 probabilities; it returns \(None, 3\)"):
        SelfLabel(4, classifier=make_classifier()).fit(blobs)
    with pytest.raises(ValueError, match=r"X must have rows of shape \(4,\); received \(3,\)"):
        refine(blobs[:, :3])
    linear = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="last layer of classifier must be one with softmax"):
        refine(blobs, linear)
    with pytest.raises(TypeError, match="classifier must be a functional model; received Sequential"):
        refine(blobs, keras.Sequential())


def test_a_classifier_of_one_cluster_is_taken(blobs):
    start = LadderIM(1, hidden_units=(4,), n_epochs=1, random_state=0).fit(blobs).classifier_
    model = SelfLabel(1, classifier=start, **TINY).fit(blobs)
    np.testing.assert_allclose(model.probabilities_, 1, rtol=1e-6)
    sparsemax = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "sparsemax")])
    with pytest.raises(ValueError, match="last layer of classifier must be one with softmax"):
        refine(blobs, sparsemax)
