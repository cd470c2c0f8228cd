"""Input and arguments at the edge: a clear error at once, or a sound result."""

import re

import keras
import numpy as np
import pytest
from scipy import sparse

from kingdra_cluster import NNM, RUC, KingdraCluster, LadderIM, SelfLabel, SimCLR
from kingdra_cluster.batches import CHUNK_ROWS
from kingdra_cluster.modes.base import check_image_type

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))


def make_ladder(n_clusters=3, **arguments):
    return LadderIM(n_clusters, **{"hidden_units": (8,), "n_epochs": 1, "random_state": 0} | arguments)


def make_kingdra(n_clusters=3, **arguments):
    short = {"n_members": 2, "n_rounds": 2, "start_votes": 4, "epochs_first_round": 1, "epochs_per_round": 1}
    arguments = short | arguments
    mode = arguments.pop("mode", LadderIM(hidden_units=(8,)))
    return KingdraCluster(n_clusters, mode=mode, **{"random_state": 0} | arguments)


MAKERS = {"LadderIM": make_ladder, "KingdraCluster": make_kingdra}
both = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def with_zero_row():
    return np.concatenate([X, np.zeros((1, 4))])


SOUND = {
    "two rows": (X[:2], 2),
    "as many clusters as rows": (X[:20], 20),
    "fewer rows than a batch": (X[:9], 3),
    "one more row than a batch": (RNG.normal(size=(65, 4)), 3),
    "one cluster": (X, 1),
    "one feature": (X[:, :1], 2),
    "one constant feature": (np.ones((30, 1)), 2),
    "constant columns": (np.where([True, False, True, False], X, 7.0), 3),
    "all rows equal": (np.full((40, 4), -3.0), 3),
    "all zero": (np.zeros((40, 4)), 3),
    "all zero and sparse": (sparse.csr_matrix((40, 4)), 3),
    "an all-zero row": (with_zero_row(), 3),
    "an all-zero sparse row": (sparse.csr_matrix(with_zero_row()), 3),
    "duplicates": (np.repeat(X[:3], 15, axis=0), 3),
    "an outlier": (np.concatenate([X, np.full((1, 4), 1e6)]), 3),
    "large entries": (X * 1e30, 3),
    "small entries": (X * 1e-30, 3),
    "more features than rows": (RNG.normal(size=(8, 300)), 3),
    "extreme integers": (np.array([[-(2**63), 2**63 - 1]] * 10, dtype="int64"), 2),
}


@both
@pytest.mark.parametrize("name", SOUND)
def test_odd_rows_give_sound_results(make, name):
    rows, n_clusters = SOUND[name]
    estimator = make(n_clusters).fit(rows)
    probabilities = estimator.predict_proba(rows)
    assert probabilities.shape == (rows.shape[0], n_clusters)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(estimator.predict(rows), estimator.labels_)
    assert set(estimator.labels_) <= set(range(n_clusters))


@both
def test_equal_rows_get_equal_labels(make):
    rows = np.repeat(X[:5], 8, axis=0)
    labels = make(3).fit(rows).labels_.reshape(5, 8)
    assert (labels == labels[:, :1]).all()


def test_more_clusters_than_a_byte_holds():
    rows = np.random.default_rng(0).normal(size=(150, 3))
    estimator = make_kingdra(130, n_rounds=1).fit(rows)
    assert estimator.probabilities_.shape == (150, 130)
    assert np.sort(estimator.mappings_).tolist() == [list(range(130))] * 2
    np.testing.assert_array_equal(estimator.predict(rows), estimator.labels_)


REFUSED = {
    "NaN": (np.where(X > 2, np.nan, X), "NaN"),
    "infinity": (np.where(X > 2, np.inf, X), "infinity"),
    "sparse NaN": (sparse.csr_matrix(np.where(X > 2, np.nan, X)), "NaN"),
    "strings": ([["a", "b"]] * 9, "numeric"),
    "numbers as strings": ([["1", "2"]] * 9, "numeric"),
    "complex": (X.astype(complex), "Complex data not supported"),
    "a vector": (X[0], "Expected 2D array"),
    "images": (X.reshape(10, 2, 8), "dim 3"),
    "None": (None, "Expected 2D array"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "one row": (X[:1], "1 sample"),
    "fewer rows than clusters": (X[:2], "n_clusters=3 rows; received n_samples=2"),
    "beyond float32": (X * 1e39, "float32"),
    "squares beyond float64": (X * 1e200, "float32"),
}


@both
@pytest.mark.parametrize("name", REFUSED)
def test_unusable_rows_are_refused(make, name):
    rows, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make(3).fit(rows)


@both
def test_new_rows_are_checked_too(make):
    estimator = make(3).fit(X)
    for name, message in (("NaN", "NaN"), ("strings", "numeric"), ("a vector", "Expected 2D array")):
        with pytest.raises(ValueError, match=message):
            estimator.predict(REFUSED[name][0])
    with pytest.raises(ValueError, match="expecting 4 features"):
        estimator.predict(X[:, :3])
    with pytest.raises(ValueError, match="float32"):
        estimator.predict(X * 1e39)


NUMBERS = {
    "LadderIM": {
        "n_clusters n_epochs": (1, int),
        "batch_size": (2, int),
        "verbose": (0, int),
        "noise_std ladder_weight mi_weight kl_weight marginal_weight supervised_weight": (0, float),
    },
    "KingdraCluster": {
        "n_clusters n_members n_rounds epochs_first_round epochs_per_round threads_per_member": (1, int),
        "verbose low_agreement high_agreement": (0, int),
        "tol confidence_threshold mi_weight_later": (0, float),
    },
}


def bad_numbers():
    for owner, groups in NUMBERS.items():
        for names, (minimum, kind) in groups.items():
            for name in names.split():
                yield owner, name, minimum - 1, "at least"
                yield owner, name, float("nan"), "must be"
                yield owner, name, "3", "must be"
                if name != "verbose":  # a flag will do
                    yield owner, name, True, "must be"
                if kind is int:
                    yield owner, name, 2.5, "must be an integer"


OTHERS = [
    ("LadderIM", "learning_rate", 0, "more than 0"),
    ("LadderIM", "learning_rate", float("inf"), "finite number"),
    ("LadderIM", "hidden_units", (), "sequence"),
    ("LadderIM", "hidden_units", 8, "sequence"),
    ("LadderIM", "hidden_units", "8", "sequence"),
    ("LadderIM", "hidden_units", (8, 0), r"at least 1; received hidden_units=\(8, 0\)"),
    ("LadderIM", "hidden_units", (8.5,), "integer"),
    ("LadderIM", "denoising_cost", (), "sequence"),
    ("LadderIM", "denoising_cost", (1.0, -1.0), "at least 0"),
    ("LadderIM", "scale", "rmse", "nearest is 'rms'"),
    ("LadderIM", "normalize_logits", "no", "must be"),
    ("KingdraCluster", "scale", 2.0, "must be one of"),
    ("KingdraCluster", "mode", "lader", "nearest is 'ladder'"),
    ("KingdraCluster", "mode", LadderIM, r"or an estimator such as LadderIM\(\); received"),
    ("KingdraCluster", "labeller", "publishd", "nearest is 'published'"),
    ("KingdraCluster", "labeller", "xyz", "labeller='xyz'$"),
    ("KingdraCluster", "start", "kmeans", "or None; received start='kmeans'$"),
    ("KingdraCluster", "tol", "small", "or None"),
    ("KingdraCluster", "epochs_per_round", 0, "or None"),
    ("KingdraCluster", "high_agreement", 2, "at most 1, or None"),
    ("KingdraCluster", "confidence_threshold", 1.5, "at most 1"),
    ("KingdraCluster", "shared_mapping", "no", "must be"),
    ("KingdraCluster", "start_balance", -1.0, "at least 0"),
    ("KingdraCluster", "start_votes", -1, "at least 0"),
    ("KingdraCluster", "n_jobs", "two", "must be"),
    ("KingdraCluster", "n_jobs", 1.5, "must be"),
    ("KingdraCluster", "n_jobs", 0, "must be|no meaning"),
    ("KingdraCluster", "callbacks", 5, "must be"),
    ("KingdraCluster", "callbacks", [5], "must be"),
    ("KingdraCluster", "callbacks", print, "must be"),
    ("KingdraCluster", "checkpoint_dir", 3, "must be"),
    (
        "KingdraCluster",
        "spaces",
        [(0, 1)] * 9,
        "n_members must be at least the number of spaces, 9; received n_members=",
    ),
    ("KingdraCluster", "checkpoint_dir", __file__, "must be a folder; received the file"),
    ("KingdraCluster", "checkpoint_dir", "", "must be the path of a folder or None; received checkpoint_dir=''"),
]


@pytest.mark.parametrize(("owner", "name", "value", "message"), [*bad_numbers(), *OTHERS])
def test_bad_arguments_are_refused_by_name_before_any_work(monkeypatch, owner, name, value, message):
    monkeypatch.setattr(LadderIM, "make_network", lambda *_: pytest.fail("work began before the check"))
    with pytest.raises((TypeError, ValueError)) as caught:
        MAKERS[owner](**{name: value}).fit(X)
    assert name in str(caught.value)
    assert re.search(message, str(caught.value))


def test_shares_of_an_unknown_number_of_clusters_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("kingdra_cluster.kingdra_cluster.check_rows", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(ValueError, match=r'prior must be "uniform" where n_clusters="auto".*received \[0.2, 0.8\]'):
        KingdraCluster("auto", mode=NNM(prior=[0.2, 0.8])).fit(X)


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        (RUC(), TypeError, "mode must be an estimator that makes members.*received RUC"),
        (SelfLabel(NNM()), TypeError, "mode must be an estimator that makes members.*received SelfLabel"),
        (NNM(backbone="resnet999"), ValueError, "backbone must be one of"),
    ],
)
def test_modes_that_cannot_be_members_are_refused_before_any_work(monkeypatch, mode, error, words):
    monkeypatch.setattr("kingdra_cluster.kingdra_cluster.check_rows", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(error, match=words):
        make_kingdra(mode=mode).fit(X)


def test_members_cannot_share_a_model(monkeypatch):
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    monkeypatch.setattr("kingdra_cluster.kingdra_cluster.check_rows", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(TypeError, match="backbone of a member's mode must be of plain"):
        make_kingdra(mode=NNM(backbone=backbone)).fit(X)


def test_the_modes_arguments_are_checked_by_the_ensemble_too():
    with pytest.raises(ValueError, match="noise_std must be a finite number of at least 0; received noise_std=-1"):
        make_kingdra(mode=LadderIM(noise_std=-1)).fit(X)


@both
def test_training_that_diverges_says_so(make):
    mode = {"learning_rate": 1e30, "hidden_units": (8,)}
    estimator = make_ladder(**mode) if make is make_ladder else make_kingdra(mode=LadderIM(**mode))
    with pytest.raises(FloatingPointError, match="learning_rate"):
        estimator.fit(RNG.normal(size=(200, 4)))


@pytest.mark.parametrize(
    "images", [np.full((20, 8, 8, 1), 200.0), np.full((20, 8, 8, 1), -0.5), np.full((20, 8, 8, 3), 7)]
)
def test_images_out_of_range_are_refused(images):
    for make in (NNM, SimCLR):
        with pytest.raises(ValueError, match="X must be uint8 or lie between 0 and 1 where it holds images; received"):
            make(backbone="convnet", n_epochs=1).fit(images)


@pytest.mark.parametrize("value", [1.5, 255.0, -0.1])
@pytest.mark.parametrize("row", [0, -1])
def test_new_images_out_of_the_range_of_the_fit_are_refused_wherever_they_are(tmp_path, value, row):
    images = np.zeros((2 * CHUNK_ROWS + 3, 2, 2, 1), np.float32)
    check_image_type(images, 1.0)
    images[row, 1, 1] = value
    np.save(tmp_path / "images.npy", images)
    for rows in (images, np.load(tmp_path / "images.npy", mmap_mode="r")):
        with pytest.raises(ValueError, match=f"between 0 and 1, as the images of the fit did; received .*{value:g}"):
            check_image_type(rows, 1.0)


@pytest.mark.parametrize(
    "model", [make_ladder(), make_kingdra(), NNM(3), SimCLR(), RUC(3)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize(("policy", "floatx"), [("mixed_bfloat16", "float32"), ("float32", "float64")])
def test_another_precision_of_keras_is_refused(model, policy, floatx, monkeypatch):
    monkeypatch.setattr(keras.config, "floatx", lambda: floatx)
    monkeypatch.setattr(keras.config, "dtype_policy", lambda: keras.DTypePolicy(policy))
    with pytest.raises(
        ValueError, match=f"need Keras' dtype policy and floatx to be 'float32'; they are '{policy}' and"
    ):
        model.fit(X)
