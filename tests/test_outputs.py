"""A fitted ensemble given to others: DataFrames in and out, SavedModel and ONNX."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from kingdra_cluster import KingdraCluster, LadderIM

pandas = pytest.importorskip("pandas")

EXAMPLE = Path(__file__).parent.parent / "examples" / "label_service.py"
NAMES = ["length", "width", "height", "weight"]


@pytest.fixture(scope="module")
def table(blobs):
    return pandas.DataFrame(blobs, columns=NAMES, index=[f"r{i}" for i in range(90)])


@pytest.fixture(scope="module")
def model(table):
    mode = LadderIM(hidden_units=(8,), learning_rate=0.01, batch_size=45)
    options = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 60, "spaces": [(0, 3), (1, 4)], "random_state": 0}
    return KingdraCluster(3, mode=mode, **options).fit(table)


@pytest.fixture(scope="module")
def saved_model(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    model.export(folder)
    return folder


def test_names_of_columns_are_kept_and_checked(model, table, tmp_path):
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(model.predict_proba(table), model.probabilities_)
    with pytest.raises(ValueError, match="(?s)feature names.*same order"):
        model.predict(table[NAMES[::-1]])
    with pytest.raises(ValueError, match="(?s)unseen at fit time.*depth"):
        model.predict(table.rename(columns={"width": "depth"}))
    model.save(tmp_path / "model")
    loaded = KingdraCluster.load(tmp_path / "model")
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(table[NAMES[::-1]])


def test_labels_as_a_table(model, table):
    labels = model.to_dataframe(index=table.index)
    assert list(labels.columns) == ["label", "confidence", "sure", "pseudo_label"]
    assert labels.index.equals(table.index)
    np.testing.assert_array_equal(labels["label"], model.labels_)
    np.testing.assert_array_equal(labels["sure"], model.pseudo_labels_ >= 0)
    np.testing.assert_array_equal(labels["pseudo_label"].isna(), model.pseudo_labels_ < 0)
    known = labels["pseudo_label"].dropna()
    np.testing.assert_array_equal(known.astype(int), model.pseudo_labels_[model.pseudo_labels_ >= 0])
    np.testing.assert_allclose(labels["confidence"], model.probabilities_.max(axis=1))
    assert model.to_dataframe().index.equals(pandas.RangeIndex(90))


def test_nothing_is_handed_out_before_fit(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        KingdraCluster().to_dataframe()
    with pytest.raises(ValueError, match="not fitted"):
        KingdraCluster().export(tmp_path / "model")


def test_a_saved_model_gives_the_same_probabilities(model, saved_model, blobs, table):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    served = loaded.serve(blobs.astype("float32")).numpy()
    np.testing.assert_allclose(served, model.predict_proba(table), atol=1e-6)
    np.testing.assert_array_equal(served.argmax(axis=1), model.labels_)


def test_the_example_service_labels_rows_without_this_package(model, saved_model, blobs):
    source = EXAMPLE.read_text(encoding="utf-8")
    assert "import kingdra_cluster" not in source
    assert len(source.splitlines()) <= 40
    spec = importlib.util.spec_from_file_location("label_service", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    answers = example.load(saved_model)(blobs[:5].tolist())
    assert [answer["label"] for answer in answers] == model.labels_[:5].tolist()
    assert [answer["confidence"] for answer in answers] == pytest.approx(model.probabilities_[:5].max(axis=1), abs=1e-5)


def test_a_front_becomes_part_of_the_export(model, blobs):
    from kingdra_cluster.exporting import averaged_model

    start = keras.Input((2, 2))
    front = keras.Model(start, keras.layers.Flatten()(start))
    whole = averaged_model(model.members_, model.mappings_, model.spaces, 4, front)
    found = keras.ops.convert_to_numpy(whole(blobs.reshape(-1, 2, 2).astype("float32")))
    np.testing.assert_allclose(found, model.probabilities_, atol=1e-6)
    with pytest.raises(ValueError, match="front must end in rows of 5 columns"):
        averaged_model(model.members_, model.mappings_, None, 5, front)


def test_an_onnx_file_gives_the_same_probabilities(model, blobs, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    model.export(tmp_path / "model.onnx", format="onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    (found,) = session.run(None, {session.get_inputs()[0].name: blobs.astype("float32")})
    np.testing.assert_allclose(found, model.predict_proba(blobs), atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), model.labels_)


def test_wrong_exports_say_why(model, saved_model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="format must be one of .*received format='onxn'; the nearest is 'onnx'"):
        model.export(tmp_path / "model", format="onxn")
    with pytest.raises(FileExistsError, match="path must not exist yet"):
        model.export(saved_model)
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    with pytest.raises(ImportError, match="pip install onnx tf2onnx"):
        model.export(tmp_path / "model.onnx", format="onnx")
    assert not any(tmp_path.iterdir())


class Own(KingdraCluster):
    pass


class OwnMode(LadderIM):
    pass


def test_a_class_and_a_mode_of_ones_own_can_be_saved_again_and_again(blobs, tmp_path):
    mode = OwnMode(hidden_units=(8,))
    model = Own(3, mode=mode, n_members=1, n_rounds=1, epochs_first_round=1, random_state=0).fit(blobs)
    model.save(tmp_path / "once")
    loaded = Own.load(tmp_path / "once")
    assert loaded.mode is None
    loaded.save(tmp_path / "twice")
    np.testing.assert_array_equal(Own.load(tmp_path / "twice").predict(blobs), model.predict(blobs))


def test_a_fit_that_failed_answers_nothing(blobs):
    arguments = {"mode": LadderIM(hidden_units=(8,)), "n_members": 1, "n_rounds": 1, "epochs_first_round": 1}
    model = KingdraCluster(3, random_state=0, **arguments).fit(blobs)
    model.set_params(callbacks=[lambda *_: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        model.fit(blobs[:60])
    for call in (lambda: model.predict(blobs), lambda: model.save("never"), lambda: model.export("never")):
        with pytest.raises(NotFittedError):
            call()
    for changes, rows, message in (
        ({"n_clusters": 91}, blobs, "at least n_clusters=91 rows"),
        ({"callbacks": None, "n_clusters": 3}, np.full((9, 4), np.nan), "NaN"),
    ):
        model.set_params(callbacks=None, n_clusters=3).fit(blobs)
        with pytest.raises(ValueError, match=message):
            model.set_params(**changes).fit(rows)
        assert {name for name in vars(model) if name.endswith("_")} <= {"n_features_in_"}  # nothing of the fit before
    for call in (model.to_dataframe, lambda: model.export("never")):
        with pytest.raises(NotFittedError):
            call()
