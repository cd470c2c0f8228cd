import pickle
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kingdra_cluster import LadderIM
from kingdra_cluster.batches import chunks, dense_rows
from kingdra_cluster.modes import ladder
from kingdra_cluster.modes.base import PREDICT_ROWS, predict_rows


def tiny(n_clusters=3, **arguments):
    defaults = {"hidden_units": (8,), "n_epochs": 1, "batch_size": 32, "random_state": 0}
    return LadderIM(n_clusters, **defaults | arguments)


@pytest.fixture(scope="module")
def fitted(digits):
    """A mode trained on the digits as a user would, compiled."""
    return LadderIM(10, hidden_units=(32, 16), n_epochs=4, random_state=0).fit(digits)


@pytest.fixture(scope="module")
def few(digits):
    """Rows for fits of three steps."""
    return digits[:96]


@pytest.fixture(scope="module")
def of_few(few):
    """A mode trained on those, not compiled; read only."""
    tf.config.run_functions_eagerly(True)
    yield tiny(4).fit(few)
    tf.config.run_functions_eagerly(False)


def test_it_learns(fitted, digits):
    losses = [epoch["loss"] for epoch in fitted.history_]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert len(np.unique(fitted.labels_)) > 5
    assert fitted.scale_ == pytest.approx(np.sqrt(np.mean(digits**2)))
    assert fitted.n_features_in_ == 64


def test_it_finds_groups_that_anybody_can_tell_apart(blobs):
    mode = LadderIM(3, hidden_units=(16,), n_epochs=60, batch_size=32, random_state=1).fit(blobs)
    groups = mode.labels_.reshape(3, 30)
    assert (groups == groups[:, :1]).mean() > 0.95
    assert len(set(groups[:, 0])) == 3


# Prediction: a row's answer is its own


def test_probabilities_and_labels_are_those_of_the_training_rows(fitted, digits):
    assert fitted.probabilities_.shape == (300, 10)
    assert fitted.probabilities_.dtype == np.float32
    np.testing.assert_array_equal(fitted.predict_proba(digits), fitted.probabilities_)
    np.testing.assert_array_equal(fitted.predict(digits), fitted.labels_)
    np.testing.assert_array_equal(fitted.labels_, fitted.probabilities_.argmax(axis=1))
    np.testing.assert_allclose(fitted.probabilities_.sum(axis=1), 1, rtol=1e-5)


def test_single_rows_get_the_same_bits(fitted, digits):
    for row in (0, 1, 7, 31, 255, 256, 257, 299):
        np.testing.assert_array_equal(fitted.predict_proba(digits[row : row + 1])[0], fitted.probabilities_[row])


def test_order_and_company_change_no_bit(fitted, digits):
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(fitted.predict_proba(digits[order]), fitted.probabilities_[order])
    for part in (slice(3, 20), slice(17, 300), slice(0, 256), slice(None, None, 7)):
        np.testing.assert_array_equal(fitted.predict_proba(digits[part]), fitted.probabilities_[part])
    crowd = np.concatenate([1000 * digits[:100], digits[:5], np.zeros((200, 64))])
    np.testing.assert_array_equal(fitted.predict_proba(crowd)[100:105], fitted.probabilities_[:5])


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (17, 5), (784, 10)])
def test_bits_do_not_depend_on_the_position_at_any_size(shape):
    n_features, n_clusters = shape
    rng = np.random.default_rng(0)
    hidden = (300, 200) if n_features == 784 else (7,)
    classifier = LadderIM(n_clusters, hidden_units=hidden).make_classifier((n_features,), 2.0)
    classifier.set_weights([rng.normal(size=weight.shape) for weight in classifier.get_weights()])
    X = rng.normal(size=(PREDICT_ROWS + 9, n_features))
    together = predict_rows(classifier, X)
    for row in range(0, len(X), 13):
        np.testing.assert_array_equal(predict_rows(classifier, X[row : row + 1])[0], together[row])


@pytest.mark.parametrize("normalize_logits", [False, True])
def test_frozen_statistics_are_those_of_all_rows(eager, monkeypatch, digits, normalize_logits):
    monkeypatch.setattr(ladder, "chunks", lambda n_rows: chunks(n_rows, 37))  # several, the last one ragged
    mode = tiny(4, hidden_units=(12, 9), normalize_logits=normalize_logits)
    network = mode.make_network((64,), seed=1)
    network.fit(mode.make_batches(digits, seed=(1, 0), scale=5.0), epochs=1, verbose=0)
    for beta in network.beta:
        beta.assign(np.random.default_rng(0).normal(size=beta.shape))
    classifier = mode.make_classifier((64,), 5.0)
    classifier.set_weights(mode.freeze(network, digits, 5.0))
    rows = dense_rows(digits, slice(None), 5.0)
    full_batch = ops.softmax(network({"unlabelled": rows})["logits"][0])
    np.testing.assert_allclose(predict_rows(classifier, digits), full_batch, atol=1e-4)
    np.testing.assert_array_equal(predict_rows(classifier, digits).argmax(axis=1), np.argmax(full_batch, axis=1))


def test_the_classifier_is_made_of_stock_layers(fitted):
    assert {type(layer).__module__.split(".")[0] for layer in fitted.classifier_.layers} == {"keras"}
    assert fitted.classifier_.count_params() == 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10


# Input


def test_storage_changes_no_bit(eager, few, of_few, tmp_path):
    np.save(tmp_path / "X.npy", few)
    columns = sparse.csc_matrix(few)
    variants = [
        sparse.csr_matrix(few),
        sparse.csr_array(few),
        columns,
        few.tolist(),
        np.asfortranarray(few),
    ]
    for X in [*variants, np.load(tmp_path / "X.npy", mmap_mode="r")]:
        mode = tiny(4).fit(X)
        np.testing.assert_array_equal(mode.probabilities_, of_few.probabilities_)
        np.testing.assert_array_equal(of_few.predict_proba(X), of_few.probabilities_)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint8", "int64", "bool"])
def test_numeric_types_agree(eager, few, of_few, dtype):
    X = (few > 8) if dtype == "bool" else few  # whole numbers from 0 to 16: exact in every type
    expected = tiny(4).fit(X.astype(float)) if dtype == "bool" else of_few
    mode = tiny(4).fit(X.astype(dtype))
    assert mode.scale_ == pytest.approx(expected.scale_, rel=1e-12)
    np.testing.assert_array_equal(mode.probabilities_, expected.probabilities_)


def test_fit_changes_neither_its_rows_nor_its_arguments(eager, few):
    X, mode = few.copy(), tiny(4)
    before = {name: repr(value) for name, value in mode.get_params().items()}
    mode.fit(X)
    np.testing.assert_array_equal(X, few)
    assert {name: repr(value) for name, value in mode.get_params().items()} == before


def test_the_answer_does_not_depend_on_the_unit_of_the_input(eager, few, of_few):
    base, larger = of_few, tiny(4).fit(few * 1024)
    assert larger.scale_ == pytest.approx(1024 * base.scale_)
    np.testing.assert_allclose(larger.probabilities_, base.probabilities_, atol=1e-3)
    assert tiny(4, scale=None).fit(few).scale_ == 1


# Seeds


def test_one_seed_gives_the_same_bits_whatever_the_global_seeds(fitted, digits):
    keras.utils.set_random_seed(99)
    again = clone(fitted).fit(digits)
    np.testing.assert_array_equal(again.probabilities_, fitted.probabilities_)
    assert again.history_ == fitted.history_


def test_fit_leaves_the_global_generators_alone(eager, few):
    def state():
        return random.random(), np.random.get_state()[1].tolist()  # noqa: NPY002

    keras.utils.set_random_seed(5)
    expected = state()
    keras.utils.set_random_seed(5)
    tiny(4).fit(few)
    assert state() == expected


def test_seeds_matter(eager, few, of_few):
    second = tiny(4, random_state=1).fit(few).probabilities_
    assert np.abs(of_few.probabilities_ - second).max() > 0.01
    state = np.random.RandomState(0)
    mode = tiny(4, random_state=state)
    assert np.abs(mode.fit(few).probabilities_ - mode.fit(few).probabilities_).max() > 0.01


# Saving


def test_save_and_load_keep_every_bit(fitted, digits, tmp_path):
    fitted.save(tmp_path / "mode")
    loaded = LadderIM.load(tmp_path / "mode")
    np.testing.assert_array_equal(loaded.predict_proba(digits), fitted.probabilities_)
    np.testing.assert_array_equal(loaded.labels_, fitted.labels_)
    assert (loaded.scale_, loaded.history_, loaded.n_features_in_) == (fitted.scale_, fitted.history_, 64)
    for name, value in fitted.get_params().items():
        np.testing.assert_array_equal(getattr(loaded, name), value, err_msg=name)
    assert {path.name for path in (tmp_path / "mode").iterdir()} == {"arrays.npz", "classifier.keras", "estimator.json"}


def test_pickle_keeps_every_bit(fitted, digits):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(digits), fitted.probabilities_)


def test_feature_names_survive_saving(eager, blobs, tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(blobs, columns=["w", "x", "y", "z"])
    tiny().fit(table).save(tmp_path / "mode")
    loaded = LadderIM.load(tmp_path / "mode")
    assert loaded.feature_names_in_.tolist() == ["w", "x", "y", "z"]
    loaded.predict(table)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(table[["z", "w", "x", "y"]])


def test_unfitted_modes_say_so(tmp_path, blobs):
    for call in (lambda: tiny().predict(blobs), lambda: tiny().save(tmp_path / "mode")):
        with pytest.raises(NotFittedError):
            call()
    assert not (tmp_path / "mode").exists()


def test_weights_that_are_no_numbers_after_the_last_step_are_noticed(blobs):
    mode = tiny(learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="diverged.*learning_rate"):
        mode.fit(blobs[:60])
    with pytest.raises(NotFittedError):
        mode.predict(blobs)


def test_entries_of_a_sparse_matrix_that_come_in_parts_are_added(eager, blobs):
    X = sparse.csr_matrix(np.abs(blobs))
    halves = sparse.csr_matrix((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)
    assert tiny().fit(halves).scale_ == pytest.approx(tiny().fit(X).scale_)
    assert halves.nnz == 2 * X.nnz


def test_verbose_may_be_a_flag(eager, blobs, capsys):
    tiny(verbose=True).fit(blobs)
    assert "loss" in capsys.readouterr().out
