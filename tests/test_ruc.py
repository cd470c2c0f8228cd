"""RUC as an estimator: what it takes, what it refuses, what it gives back."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from sklearn.base import clone

from kingdra_cluster import RUC, CollapseWarning, PseudoLabelWarning
from kingdra_cluster.modes import fit_state, ruc
from kingdra_cluster.unsup_metrics import ACC, ECE

TINY = {"hidden_units": (16,), "batch_size": 90, "n_epochs": 4, "n_neighbors": 10, "random_state": 0}
TRUTH = np.repeat([0, 1, 2], 30)


@pytest.fixture(scope="module")
def noisy_labels():
    """The truth of `blobs`, a fifth of it wrong."""
    rng = np.random.default_rng(1)
    return np.where(rng.random(90) < 0.2, rng.integers(0, 3, 90), TRUTH)


def refine(X, y=None, n_clusters=3, clean=None, embeddings=None, **changes):
    return RUC(n_clusters, **{**TINY, **changes}).fit(X, y, clean=clean, embeddings=embeddings)


@pytest.fixture(scope="module")
def whole(blobs, noisy_labels):
    """A fit that nothing disturbed, not compiled; read only."""
    tf.config.run_functions_eagerly(True)
    yield refine(blobs, noisy_labels)
    tf.config.run_functions_eagerly(False)


def test_wrong_labels_are_put_right(blobs, noisy_labels):
    model = refine(blobs, noisy_labels, n_epochs=10)
    assert ACC(TRUTH, noisy_labels) < 0.9
    assert ACC(TRUTH, model.labels_) == 1
    np.testing.assert_array_equal(model.labels_, TRUTH)  # clusters keep their names
    assert not model.clean_start_[noisy_labels != TRUTH].any()
    assert model.clean_[model.clean_start_].all()
    assert set(model.history_[0]) == {"loss", "clean", "noisy", "strong", "decay", "clean_share"}
    assert len(model.history_) == 10


@pytest.mark.slow
def test_digits_become_better_and_better_calibrated():
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    labels = KMeans(10, n_init=10, random_state=0).fit_predict(X)
    model = RUC(random_state=0).fit(X, labels)
    assert ACC(y, model.labels_) >= ACC(y, labels) + 0.01
    assert ECE(y, model.probabilities_) < 0.15


@pytest.mark.usefixtures("eager")
def test_predictions_of_new_rows_single_rows_and_sparse_rows(blobs, noisy_labels, whole, tmp_path):
    model = whole
    np.testing.assert_array_equal(model.predict(blobs), model.labels_)
    np.testing.assert_array_equal(model.predict_proba(blobs[7:8]), model.probabilities_[7:8])
    np.testing.assert_allclose(model.probabilities_.sum(axis=1), 1, rtol=1e-5)
    by_rows = refine(sparse.csr_matrix(blobs), noisy_labels)
    np.testing.assert_array_equal(by_rows.probabilities_, model.probabilities_)
    np.testing.assert_array_equal(model.predict_proba(sparse.csr_matrix(blobs)), model.probabilities_)
    model.save(tmp_path / "ruc")
    loaded = RUC.load(tmp_path / "ruc")
    np.testing.assert_array_equal(loaded.predict_proba(blobs), model.probabilities_)
    np.testing.assert_array_equal(loaded.clean_, model.clean_)
    assert loaded.get_params() == {**model.get_params(), **{k: list(model.get_params()[k]) for k in PAIRS}}


PAIRS = ("hidden_units", "noise_std", "feature_dropout")


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")  # of a single epoch
def test_labels_and_sure_probabilities_are_the_same_clustering(blobs, noisy_labels):
    labels = refine(blobs, noisy_labels, n_epochs=1).probabilities_
    for same in (np.eye(3)[noisy_labels], noisy_labels.astype(float)):
        np.testing.assert_array_equal(refine(blobs, same, n_epochs=1).probabilities_, labels)
    assert np.any(refine(blobs, noisy_labels, n_epochs=1, random_state=1).probabilities_ != labels)
    cloned = clone(RUC(3, **{**TINY, "n_epochs": 1}))
    np.testing.assert_array_equal(cloned.fit(blobs, noisy_labels).probabilities_, labels)


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")  # of a single epoch
def test_without_a_clustering_it_starts_from_k_means(blobs):
    model = refine(blobs)
    assert ACC(TRUTH, model.labels_) == 1
    images = np.repeat(np.repeat(blobs.reshape(90, 2, 2, 1), 4, axis=1), 4, axis=2)
    images = (images - images.min()) / np.ptp(images)
    backbone = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(8, "relu")])
    assert refine(images, backbone=backbone, n_epochs=1).labels_.shape == (90,)


def test_splits_by_confidence_by_vote_and_by_the_users_mask(blobs, noisy_labels, monkeypatch):
    monkeypatch.setattr(RUC, "_train", lambda *_: None)  # rows are split before it
    monkeypatch.setattr(RUC, "_label", lambda self, _: setattr(self, "labels_", TRUTH))
    sure = np.where(np.arange(90) % 2 == 0, 0.999, 0.6)[:, None]
    probabilities = np.where(np.eye(3)[noisy_labels] == 1, sure, (1 - sure) / 2)
    by_confidence = refine(blobs, probabilities, split="confidence").clean_start_
    np.testing.assert_array_equal(by_confidence, np.arange(90) % 2 == 0)
    by_vote = refine(blobs, probabilities).clean_start_
    assert not by_vote[noisy_labels != TRUTH].any()
    both = refine(blobs, probabilities, split="hybrid").clean_start_
    np.testing.assert_array_equal(both, by_confidence & by_vote)
    mask = noisy_labels == TRUTH
    np.testing.assert_array_equal(refine(blobs, noisy_labels, clean=mask).clean_start_, mask)
    elsewhere = refine(blobs, noisy_labels, embeddings=7 * np.eye(3)[noisy_labels]).clean_start_
    assert elsewhere.all()


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")
@pytest.mark.parametrize("clean", [True, False])
def test_everything_clean_and_next_to_nothing(blobs, noisy_labels, clean):
    mask = np.full(90, clean)
    mask[0] = True
    model = refine(blobs, noisy_labels, clean=mask, n_epochs=2)
    assert np.isfinite(model.probabilities_).all()


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")  # of a single epoch
def test_nothing_confident_enough_is_told_and_half_is_believed(blobs, noisy_labels):
    flat = np.full((90, 3), 0.3) + 0.1 * np.eye(3)[noisy_labels]
    flat[:40] = 0.25 + 0.25 * np.eye(3)[noisy_labels[:40]]
    with pytest.warns(PseudoLabelWarning, match="no row is clean by split='confidence' with confidence_threshold=0.99"):
        model = refine(blobs, flat, split="confidence", n_epochs=1)
    assert model.clean_start_.sum() >= 40


@pytest.mark.usefixtures("eager")
def test_two_clusters_one_cluster_and_clusters_without_rows(blobs):
    assert set(refine(blobs, (TRUTH > 0).astype(int), 2).labels_) == {0, 1}
    assert refine(blobs, np.zeros(90, int), 1, n_epochs=1).probabilities_.tolist() == [[1.0]] * 90
    fewer = refine(blobs, TRUTH, 7, n_epochs=4)
    assert set(fewer.labels_) == {0, 1, 2}
    assert fewer.probabilities_.shape == (90, 7)


@pytest.mark.usefixtures("eager")
def test_a_cluster_that_dies_is_told(blobs):
    labels = TRUTH.copy()
    labels[5] = 3  # a single row, outvoted
    with pytest.warns(CollapseWarning, match=r"clusters \[3\] lost all their rows"):
        refine(blobs, labels, 4)


@pytest.mark.usefixtures("eager")
def test_images_with_a_backbone(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 2
    images[labels == 1, ..., 0] += 150
    convolution = keras.layers.Conv2D(8, 3, kernel_initializer=keras.initializers.HeNormal(seed=0))
    layers = [convolution, keras.layers.BatchNormalization(momentum=0.8), keras.layers.ReLU()]
    backbone = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.GlobalAveragePooling2D()])
    model = refine(images, labels, 2, backbone=backbone, batch_size=20, n_epochs=4)
    assert model.scale_ == 255
    assert ACC(labels, model.labels_) == 1
    with pytest.raises(ValueError, match=r"X must have rows of shape \(8, 8, 3\); received \(8, 9, 3\)"):
        model.predict(np.zeros((2, 8, 9, 3), np.uint8))
    model.save(tmp_path / "images")
    np.testing.assert_array_equal(RUC.load(tmp_path / "images").predict(images), model.labels_)
    with pytest.raises(ValueError, match="images want a backbone"):
        refine(images, labels, 2)


# A killed fit


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_killed_fit_goes_on_to_the_same_bits(blobs, noisy_labels, whole, tmp_path, monkeypatch, killed_after):
    saved = []

    def save_and_die(*arguments):
        fit_state.save_fit(*arguments)
        saved.append(arguments)
        if len(saved) == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(ruc, "save_fit", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        refine(blobs, noisy_labels, checkpoint_dir=tmp_path / "state")
    saved.clear()
    monkeypatch.setattr(ruc, "save_fit", lambda *arguments: saved.append(arguments))
    resumed = refine(blobs, noisy_labels, checkpoint_dir=tmp_path / "state", verbose=0)
    assert len(saved) == TINY["n_epochs"] - killed_after
    np.testing.assert_array_equal(resumed.probabilities_, whole.probabilities_)
    np.testing.assert_array_equal(resumed.clean_, whole.clean_)
    assert resumed.history_ == whole.history_


@pytest.mark.usefixtures("eager")
def test_the_state_of_another_fit_or_a_damaged_one_is_refused(blobs, noisy_labels, tmp_path):
    refine(blobs, noisy_labels, checkpoint_dir=tmp_path, n_epochs=1)
    for words, changes in {
        "seed was": {"random_state": 1},
        "n_epochs was 1 there and is 2 here": {"n_epochs": 2},
        "clean was": {"clean": np.ones(90, bool)},
    }.items():
        with pytest.raises(ValueError, match=f"belongs to another fit: {words}"):
            refine(blobs, noisy_labels, **{"checkpoint_dir": tmp_path, "n_epochs": 1, **changes})
    with pytest.raises(ValueError, match="belongs to another fit: X was"):
        refine(blobs[::-1], noisy_labels[::-1], checkpoint_dir=tmp_path, n_epochs=1)
    (tmp_path / "fit.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        refine(blobs, noisy_labels, checkpoint_dir=tmp_path, n_epochs=1)


def test_a_line_an_epoch(blobs, noisy_labels, capsys):
    refine(blobs, noisy_labels, batch_size=30, n_epochs=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "clean_share" in lines[0]


# Errors


def probabilities_with(value):
    probabilities = np.full((90, 3), 1 / 3)
    probabilities[4, 1] = value
    return probabilities


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (TRUTH[:89], r"y must have the shape \(90,\), got \(89,\)"),
        (TRUTH + 1, r"y must be from 0 to 2 \(n_clusters - 1\).* got values from 1 to 3"),
        (TRUTH - 1, "y must have a label from 0 to 2 for every row, got -1"),
        (np.eye(4)[TRUTH], r"y must have the shape \(90,\) for labels or \(90, 3\) for probabilities, got \(90, 4\)"),
        (probabilities_with(np.nan), "y, where it holds probabilities, must be from 0 to 1, got values from nan"),
        (7 * np.eye(3)[TRUTH], "y, where it holds probabilities, must be from 0 to 1, got values from 0.0 to 7.0"),
        (probabilities_with(0.9), "the rows of y must sum to 1, got sums from 1 to 1.567"),
    ],
)
def test_a_clustering_of_the_wrong_kind_is_refused(blobs, y, words):
    with pytest.raises(ValueError, match=words):
        refine(blobs, y)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"clean": np.ones(89, bool)}, r"clean must be 90 booleans, got \(89,\)"),
        ({"clean": np.ones(90)}, "clean must be 90 booleans, .* float64"),
        ({"clean": np.zeros(90, bool)}, "clean must be true for some rows"),
        ({"embeddings": np.ones((89, 2))}, r"embeddings must have the shape \(90, n_embedding\), got \(89, 2\)"),
        ({"embeddings": np.full((90, 2), np.nan)}, "embeddings must be finite"),
    ],
)
def test_masks_and_embeddings_of_the_wrong_kind_are_refused(blobs, arguments, words):
    with pytest.raises(ValueError, match=words):
        refine(blobs, TRUTH, **arguments)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"split": "hybird"}, ValueError, "split must be one of .*; the nearest is 'hybrid'"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a finite number of more than 0"),
        ({"relabel_threshold": 1.5}, ValueError, "relabel_threshold must be .* at most 1"),
        ({"relabel_threshold": (0.9, "x")}, TypeError, "every entry of relabel_threshold must be a finite number"),
        ({"noise_std": 0.1}, TypeError, "noise_std must be a pair"),
        ({"feature_dropout": (0.1, 1.0)}, ValueError, "every entry of feature_dropout must be .* at most 0.99"),
        ({"hidden_units": (0,)}, ValueError, "every entry of hidden_units"),
        ({"hidden_units": 64}, TypeError, "hidden_units must be a sequence of numbers, .* received hidden_units=64"),
        ({"backbone": "resnet81"}, ValueError, "backbone must be one of .*; the nearest is 'resnet18'"),
        ({"ramp_epochs": 0}, ValueError, "ramp_epochs must be an integer of at least 1"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be an integer of at least 1"),
        ({"n_epochs": 2.5}, TypeError, "n_epochs must be an integer"),
    ],
)
def test_parameters_out_of_range_are_named(blobs, parameters, error, words):
    with pytest.raises(error, match=words):
        refine(blobs, TRUTH, **parameters)


def test_thresholds_may_be_an_array():
    refiner = RUC(3, relabel_threshold=np.array([0.9, 0.95]))
    refiner.check_parameters()
    assert refiner.get_params()["relabel_threshold"].tolist() == [0.9, 0.95]


@pytest.mark.usefixtures("eager")
def test_a_diverged_training_is_told(blobs, noisy_labels):
    with pytest.raises(FloatingPointError, match="training diverged"):
        refine(blobs, noisy_labels, learning_rate=1e20)
