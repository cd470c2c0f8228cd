"""Nearest-neighbour matching as an estimator and as a member: what it learns, keeps, resumes and refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from sklearn.base import clone

from kingdra_cluster import NNM, KingdraCluster
from kingdra_cluster.members import train_member
from kingdra_cluster.modes import fit_state, nnm
from kingdra_cluster.modes.nnm_batches import NeighborBatches
from kingdra_cluster.modes.nnm_network import spread
from kingdra_cluster.unsup_metrics import ACC

TRUTH = np.repeat([0, 1, 2], 30)
MLP = {"name": "mlp", "hidden_units": (8,)}
TINY = {"backbone": MLP, "n_heads": 3, "n_neighbors": 5, "batch_size": 30, "n_epochs": 3, "random_state": 0}
SCAN = dict.fromkeys(("local", "class_level", "global_level"), False)


def cluster(X, n_clusters=3, neighbors=None, held_out=None, **changes):
    return NNM(n_clusters, **{**TINY, **changes}).fit(X, neighbors=neighbors, held_out=held_out)


@pytest.fixture(scope="module")
def whole(blobs):
    """A fit that nothing disturbed, not compiled; read only."""
    tf.config.run_functions_eagerly(True)
    yield cluster(blobs)
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("terms", [{}, SCAN], ids=["nnm", "scan"])
def test_clusters_are_found(blobs, terms):
    model = cluster(blobs, n_epochs=30, learning_rate=0.01, **terms)
    assert ACC(TRUTH, model.labels_) == 1
    matching = set() if terms else {"class_matching", "global_matching"}
    expected = {"loss", "consistency", "entropy", "decay", "score", "head", "clusters"}
    assert set(model.history_[0]) == expected | matching
    assert len(model.history_) == 30
    parts = {"consistency", "entropy", "decay"} | matching
    assert sum(model.history_[3][part] for part in parts) == pytest.approx(model.history_[3]["loss"], rel=1e-4)


@pytest.mark.slow
def test_digits_are_clustered_better_than_by_k_means():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    model = NNM(backbone={"name": "mlp", "hidden_units": (256, 256)}, n_epochs=20, random_state=0).fit(X)
    assert ACC(y, model.labels_) > 0.8


@pytest.mark.usefixtures("eager")
def test_the_epoch_and_head_of_the_lowest_score_are_kept(blobs, monkeypatch):
    scores = iter([[3.0, 2.0, 9.0], [5.0, 4.0, 1.0], [7.0, 7.0, 7.0]])
    seen = []

    def judge(network, *_):
        seen.append([network.head_weights(head) for head in range(3)])
        return np.array(next(scores)), [3, 3, 3]

    monkeypatch.setattr(nnm, "judge_heads", judge)
    model = cluster(blobs)
    assert (model.best_epoch_, model.best_head_) == (1, 2)
    assert [record["head"] for record in model.history_] == [1, 2, 0]
    for kept, expected in zip(model.classifier_.get_weights(), seen[1][2], strict=True):
        np.testing.assert_array_equal(kept, expected)


@pytest.mark.usefixtures("eager")
def test_predictions_of_new_single_and_sparse_rows_and_after_loading(blobs, whole, tmp_path):
    model = whole
    np.testing.assert_array_equal(model.predict(blobs), model.labels_)
    np.testing.assert_array_equal(model.predict_proba(blobs[::-1])[::-1], model.probabilities_)
    np.testing.assert_array_equal(model.predict_proba(blobs[7:8]), model.probabilities_[7:8])
    by_rows = cluster(sparse.csr_matrix(blobs))
    np.testing.assert_array_equal(by_rows.probabilities_, model.probabilities_)
    model.save(tmp_path / "nnm")
    loaded = NNM.load(tmp_path / "nnm")
    np.testing.assert_array_equal(loaded.predict_proba(blobs), model.probabilities_)
    assert (loaded.best_epoch_, loaded.best_head_) == (model.best_epoch_, model.best_head_)
    assert loaded.backbone == {"name": "mlp", "hidden_units": [8]}
    np.testing.assert_array_equal(clone(loaded).fit(blobs).probabilities_, model.probabilities_)


@pytest.mark.usefixtures("eager")
def test_the_same_seed_gives_the_same_bits_whatever_ran_before(blobs, whole):
    keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(cluster(blobs).probabilities_, whole.probabilities_)
    assert np.any(cluster(blobs, random_state=1).probabilities_ != whole.probabilities_)


@pytest.mark.usefixtures("eager")
def test_neighbours_and_held_out_rows_of_the_users(blobs, whole):
    rows = np.arange(90)
    neighbors = 30 * (rows // 30)[:, None] + (rows[:, None] + [1, 2, 3]) % 30
    given = cluster(blobs, neighbors=neighbors)
    assert np.any(given.probabilities_ != whole.probabilities_)
    changed = blobs.copy()
    changed[::9] = 0.1  # 10 of 90 rows, not trained on: mined neighbours are of the others
    held_out = rows[::9]
    first, second = (cluster(X, held_out=held_out, scale=None, n_epochs=1) for X in (blobs, changed))
    assert {**first.history_[0], "score": 0, "head": 0, "clusters": 0} == {
        **second.history_[0], "score": 0, "head": 0, "clusters": 0
    }  # fmt: skip
    assert first.history_[0]["score"] != second.history_[0]["score"]
    unseen = NeighborBatches(
        blobs, neighbors, n_heads=1, n_clusters=3, with_global=False, batch_size=30, seed=(0,),
        rows=np.setdiff1d(rows, held_out),
    )  # fmt: skip
    for _ in range(5):
        fed = np.concatenate([unseen[index][0]["neighbor"] for index in range(len(unseen))])
        assert not (fed[:, None] == blobs[held_out].astype("float32")).all(axis=2).any()
        unseen.on_epoch_end()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("float32", 1)])
def test_images_and_a_backbone_of_the_users(dtype, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (40, 8, 8, channels), dtype=np.uint8)
    images[::2, ..., 0] += 150
    images = images if dtype == "uint8" else (images / 255).astype(dtype)
    convolution = keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=0))
    layers = [convolution, keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D()]
    backbone = keras.Sequential([keras.Input((8, 8, channels)), *layers])
    before = backbone.get_weights()
    model = cluster(images, 2, backbone=backbone, n_epochs=1)
    assert model.scale_ == (255 if dtype == "uint8" else 1)
    np.testing.assert_array_equal(model.predict(images), model.labels_)
    np.testing.assert_array_equal(before[0], backbone.get_weights()[0])
    assert np.any(model.classifier_.get_weights()[0] != before[0])
    with pytest.raises(
        ValueError, match=rf"X must have rows of shape \(8, 8, {channels}\); received \(8, 9, {channels}\)"
    ):
        model.predict(np.zeros((2, 8, 9, channels), dtype))
    with pytest.raises(ValueError, match="backbone must take rows of shape"):
        cluster(images[:, :7], 2, backbone=backbone)
    if dtype == "uint8":
        with pytest.raises(ValueError, match="X must be uint8 or lie between 0 and 255, .* float64 from 0"):
            model.predict(images / 255)
        np.testing.assert_array_equal(model.predict(images.astype("float32")), model.labels_)
        model.predict(np.zeros((1, 8, 8, channels)))  # black is black
    else:
        with pytest.raises(ValueError, match="X must lie between 0 and 1, .* received uint8"):
            model.predict((images * 255).astype("uint8"))


# A killed fit


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_fit_goes_on_to_the_same_bits(blobs, whole, tmp_path, monkeypatch, killed_after):
    saved = []

    def save_and_die(*arguments):
        fit_state.save_fit(*arguments)
        saved.append(arguments)
        if len(saved) == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(nnm, "save_fit", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        cluster(blobs, checkpoint_dir=tmp_path)
    saved.clear()
    monkeypatch.setattr(nnm, "save_fit", lambda *arguments: saved.append(arguments))
    resumed = cluster(blobs, checkpoint_dir=tmp_path)
    assert len(saved) == TINY["n_epochs"] - killed_after
    np.testing.assert_array_equal(resumed.probabilities_, whole.probabilities_)
    assert resumed.history_ == whole.history_
    with pytest.raises(ValueError, match="belongs to another fit: X was"):
        cluster(blobs[::-1], checkpoint_dir=tmp_path)


# Inside KingdraCluster


@pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning")
def test_an_ensemble_of_members_finds_the_clusters_and_is_saved(blobs, tmp_path):
    mode = NNM(**{**TINY, "n_heads": 2, "learning_rate": 0.01})
    options = {"n_members": 2, "n_rounds": 2, "epochs_first_round": 8, "epochs_per_round": 4, "start_votes": 4}
    model = KingdraCluster(3, mode=mode, random_state=0, **options).fit(blobs)
    assert ACC(TRUTH, model.labels_) == 1
    assert model.history_[1]["supervised"]
    assert model.history_[1]["losses"]["supervised"] > 0
    model.save(tmp_path / "ensemble")
    np.testing.assert_array_equal(KingdraCluster.load(tmp_path / "ensemble").predict(blobs), model.labels_)


@pytest.mark.usefixtures("eager")
def test_a_member_is_a_function_of_its_arguments(blobs, tmp_path):
    def train(name, **changes):
        arguments = {"source": None, "labelled": None, "epochs": 2, "seed": 5, "round_index": 0} | changes
        return train_member(NNM(3, **TINY), blobs, target=tmp_path / name, scale=2.0, threads=1, **arguments)

    first = train("a.npz")
    train("other.npz", seed=6, labelled=(np.arange(90), TRUTH))
    np.testing.assert_array_equal(train("b.npz").probabilities, first.probabilities)
    assert np.any(train("c.npz", seed=6).probabilities != first.probabilities)
    taught = [train(f"{k}.npz", source=first.path, round_index=1, labelled=(np.arange(90), TRUTH)) for k in range(2)]
    np.testing.assert_array_equal(taught[0].probabilities, taught[1].probabilities)
    assert taught[0].losses == taught[1].losses
    assert "supervised" in taught[0].losses
    assert "supervised" not in first.losses


# At the edge


RNG = np.random.default_rng(0)
SOUND = {
    "two rows": (RNG.normal(size=(2, 4)), 2),
    "as many clusters as rows": (RNG.normal(size=(20, 4)), 20),
    "a ragged last batch of one row": (RNG.normal(size=(31, 4)), 3),
    "one cluster": (RNG.normal(size=(40, 4)), 1),
    "one feature": (RNG.normal(size=(40, 1)), 2),
    "identical rows": (np.full((40, 4), -3.0), 3),
    "all zero": (np.zeros((40, 4)), 3),
    "all zero and sparse": (sparse.csr_matrix((40, 4)), 3),
    "large entries": (RNG.normal(size=(40, 4)) * 1e30, 3),
    "small entries": (RNG.normal(size=(40, 4)) * 1e-30, 3),
    "integers": (RNG.integers(0, 255, (40, 4)), 3),
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", SOUND)
def test_odd_rows_give_sound_results(name):
    rows, n_clusters = SOUND[name]
    model = cluster(rows, n_clusters, n_epochs=2)
    probabilities = model.predict_proba(rows)
    assert probabilities.shape == (rows.shape[0], n_clusters)
    assert np.isfinite(probabilities).all()
    assert np.isfinite([record["score"] for record in model.history_]).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


@pytest.mark.usefixtures("eager")
def test_dead_clusters_are_counted_and_no_nan(blobs):
    model = cluster(blobs, 40, entropy_weight=0.0, n_epochs=4, learning_rate=0.05)
    assert model.history_[model.best_epoch_]["clusters"] == len(set(model.labels_)) < 40
    assert np.isfinite(model.probabilities_).all()


@pytest.mark.usefixtures("eager")
def test_two_thousand_clusters(blobs):
    X = np.repeat(blobs, 23, axis=0) + np.random.default_rng(0).normal(size=(2070, 4))
    model = cluster(X, 2000, n_epochs=1, batch_size=2000, n_heads=1)
    assert model.probabilities_.shape == (2070, 2000)
    assert np.isfinite(model.probabilities_).all()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"n_heads": 0}, ValueError, "n_heads must be an integer of at least 1"),
        ({"n_neighbors": 2.0}, TypeError, "n_neighbors must be an integer"),
        ({"metric": "cosin"}, ValueError, "metric must be one of .*; the nearest is 'cosine'"),
        ({"local": 1}, TypeError, "local must be True or False"),
        ({"view_distance": -1}, ValueError, "view_distance must be .* at least 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a finite number of more than 0"),
        ({"backbone": "mpl"}, ValueError, "backbone must be one of .*; the nearest is 'mlp'"),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer of at least 2"),
    ],
)
def test_parameters_out_of_range_are_named(blobs, parameters, error, words):
    with pytest.raises(error, match=words):
        cluster(blobs, **parameters)


@pytest.mark.usefixtures("eager")
def test_a_diverged_training_is_told(blobs):
    with pytest.raises(FloatingPointError, match="training diverged"):
        cluster(blobs, learning_rate=1e30)


@pytest.mark.usefixtures("eager")
def test_a_line_an_epoch(blobs, capsys):
    cluster(blobs, n_epochs=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "score" in lines[0]


def test_views_lie_as_far_from_a_row_as_its_neighbours_do():
    x = np.zeros((200, 4), "float32")
    seen = []
    network = NNM(3, **{**TINY, **SCAN, "view_distance": 0.5}).make_network((4,), 0)
    network.backbone = lambda rows, training: seen.append(np.asarray(rows)) or np.zeros((200, 8), "float32")
    for apart in (0.0, 1.0, 4.0):
        assert float(spread(x, x + apart)) == pytest.approx(apart)
        network.call({"x": x, "neighbor": x + apart}, training=False)
    sizes = [np.sqrt(np.mean(np.square(views))) for views in seen[::2]]
    expected = np.array([0, 0.5, 2]) / np.sqrt(2)  # of rows of zeros only the noise shows: half of the square
    np.testing.assert_allclose(sizes, expected, rtol=0.1)
