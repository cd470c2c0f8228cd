"""Saved folders of both estimators: every bit comes back, and nothing wrong is accepted."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from kingdra_cluster import KingdraCluster, LadderIM
from kingdra_cluster.modes import MODES
from kingdra_cluster.saving import jsonable

pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]


def ladder(**arguments):
    return LadderIM(3, **{"hidden_units": (8,), "n_epochs": 1, "random_state": 0} | arguments)


def kingdra(**arguments):
    defaults = {"mode": LadderIM(hidden_units=(8,), noise_std=0.7), "n_members": 2, "n_rounds": 2, "random_state": 0}
    defaults |= {
        "epochs_first_round": 1,
        "epochs_per_round": 1,
        "confidence_threshold": 0.0,
        "start": None,
        "labeller": "published",
    }
    return KingdraCluster(3, **defaults | arguments)


@pytest.fixture(scope="module")
def fitted(blobs):
    """Both, not compiled; read only."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield {make: make().fit(blobs) for make in (ladder, kingdra)}
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module", params=[ladder, kingdra], ids=["LadderIM", "KingdraCluster"])
def model(request, fitted):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield fitted[request.param]
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_every_bit_comes_back(model, saved, blobs):
    loaded = type(model).load(saved)
    np.testing.assert_array_equal(loaded.predict_proba(blobs), model.probabilities_)
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(loaded, name), value, err_msg=name)
            assert getattr(loaded, name).dtype == value.dtype
        elif name.endswith("_"):
            assert hasattr(loaded, name), name
    assert loaded.history_ == model.history_
    assert (loaded.scale_, loaded.n_features_in_) == (model.scale_, model.n_features_in_)


def test_arguments_come_back(model, saved):
    loaded = type(model).load(saved)
    decided_by_the_ensemble = {"mode", "mode__n_clusters"}
    for name, value in model.get_params().items():
        if name not in decided_by_the_ensemble:
            np.testing.assert_array_equal(loaded.get_params()[name], value, err_msg=name)


def test_loaded_estimators_can_be_fitted_and_saved_again(model, saved, blobs, tmp_path):
    loaded = type(model).load(saved)
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(loaded.fit(blobs).probabilities_, model.probabilities_)


def test_pickles_and_copies_answer_alike(model, blobs):
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(again.predict_proba(blobs), model.probabilities_)


def test_the_folder_holds_no_pickle(saved):
    names = {path.name for path in saved.rglob("*")}
    assert {Path(name).suffix for name in names} == {".json", ".npz", ".keras"}
    for path in saved.glob("*.npz"):
        np.load(path, allow_pickle=False).close()
    json.loads((saved / "estimator.json").read_text(encoding="utf-8"))


def test_classifiers_load_without_this_package(fitted, blobs, tmp_path):
    np.save(tmp_path / "X.npy", blobs)
    code = (
        "import sys, keras, numpy as np\n"
        "for name in sys.argv[2:]:\n"
        "    p = keras.saving.load_model(name).predict(np.load(sys.argv[1]).astype('float32'), verbose=0)\n"
        "    assert p.shape == (90, 3) and np.allclose(p.sum(1), 1, atol=1e-5), p\n"
        "assert not [name for name in sys.modules if name.startswith('kingdra')]"
    )
    classifiers = []
    for make, model in fitted.items():
        model.save(tmp_path / make.__name__)
        classifiers.append(str(sorted((tmp_path / make.__name__).glob("*.keras"))[0]))
    subprocess.run([sys.executable, "-c", code, "X.npy", *classifiers], check=True, cwd=tmp_path, timeout=120)


def test_the_graph_comes_back(saved, model):
    if isinstance(model, LadderIM):
        pytest.skip("an ensemble's attribute")
    graph, loaded = model.similarity_graph_, KingdraCluster.load(saved).similarity_graph_
    assert graph.n_tuples > 2
    np.testing.assert_array_equal(loaded.labels, graph.labels)
    np.testing.assert_array_equal(loaded.takes_part, graph.takes_part)
    np.testing.assert_array_equal(loaded.tuple_buckets, graph.tuple_buckets)
    assert loaded.explain(0, 1) == graph.explain(0, 1)


def test_a_mode_of_the_users_own_is_not_restored_but_predicts(blobs, tmp_path, eager):
    class Own(LadderIM):
        pass

    model = kingdra(mode=Own(hidden_units=(8,))).fit(blobs)
    assert Own not in MODES.values()
    model.save(tmp_path / "model")
    loaded = KingdraCluster.load(tmp_path / "model")
    assert loaded.mode is None
    np.testing.assert_array_equal(loaded.predict(blobs), model.labels_)


# Where it is saved


def test_saving_again_replaces_the_whole_folder(model, saved, blobs):
    (saved / "left_over.txt").write_text("old")
    (saved / "zzz.keras").write_text("old")
    model.save(saved)
    assert not (saved / "left_over.txt").exists()
    np.testing.assert_array_equal(type(model).load(saved).predict(blobs), model.labels_)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", ["a folder of the user's", "a file"])
def test_what_is_not_a_saved_estimator_is_left_alone(model, tmp_path, kind):
    place = tmp_path / "precious"
    if kind == "a file":
        place.write_text("precious")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="folder must be new, empty or a saved estimator"):
        model.save(place)
    assert (place if kind == "a file" else place / "thesis.txt").read_text() == "precious"


def test_a_failing_save_leaves_the_old_folder(model, saved, blobs, monkeypatch):
    def full_disk(*args, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr("kingdra_cluster.saving.write_arrays", full_disk)
    with pytest.raises(OSError, match="no space left"):
        model.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    np.testing.assert_array_equal(type(model).load(saved).predict(blobs), model.labels_)


def test_unfitted_estimators_are_not_saved(tmp_path, blobs):
    for estimator in (ladder(), kingdra()):
        with pytest.raises(NotFittedError):
            estimator.save(tmp_path / "model")
        with pytest.raises(NotFittedError):
            estimator.predict(blobs)
    assert not (tmp_path / "model").exists()


# What is refused


@pytest.mark.parametrize("name", ["missing", "empty", "foreign"])
def test_a_folder_without_an_estimator_is_called_so(model, tmp_path, name):
    if name != "missing":
        (tmp_path / name).mkdir()
    if name == "foreign":
        (tmp_path / name / "notes.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=f"must hold a saved estimator .*{name}"):
        type(model).load(tmp_path / name)


def test_the_other_class_is_refused_by_name(model, saved):
    other = LadderIM if isinstance(model, KingdraCluster) else KingdraCluster
    with pytest.raises(ValueError, match=f"must hold a {other.__name__} .* it holds {type(model).__name__}"):
        other.load(saved)


def test_another_format_is_refused(model, saved):
    description = json.loads((saved / "estimator.json").read_text())
    (saved / "estimator.json").write_text(json.dumps(description | {"format": 99}))
    with pytest.raises(ValueError, match="format 2; it holds .* of 99"):
        type(model).load(saved)


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["estimator.json", "arrays.npz", "*.keras"])
def test_truncated_files_are_refused_by_name(model, saved, name, kept):
    path = sorted(saved.glob(name))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        type(model).load(saved)


@pytest.mark.parametrize("name", ["arrays.npz", "*.keras"])
def test_missing_files_are_refused_by_name(model, saved, name):
    path = sorted(saved.glob(name))[-1]
    path.unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=path.stem):
        type(model).load(saved)


@pytest.mark.parametrize("content", ["[]", "3", '{"class": "NAME", "format": 1}'])
def test_json_of_another_kind_is_refused_by_name(model, saved, content):
    (saved / "estimator.json").write_text(content.replace("NAME", type(model).__name__))
    with pytest.raises(ValueError, match="estimator.json|must hold a"):
        type(model).load(saved)


def test_a_classifier_with_code_in_it_is_refused(model, saved):
    path = sorted(saved.glob("*.keras"))[0]
    unsafe = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)])
    unsafe.save(path)
    with pytest.raises(ValueError, match=f"{path.name} is damaged or not a plain Keras model"):
        type(model).load(saved)


# JSON


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((8, 16), [8, 16]),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.array([8, 16]), [8, 16]),
        ((np.int64(8),), [8]),
        (None, None),
        (True, True),
        ("rms", "rms"),
        (print, None),
        ([print], None),
        ([1, None], [1, None]),
        ([1, None, print], None),
        ([[print], None], None),
        (np.random.default_rng(0), None),
    ],
)
def test_jsonable(value, expected):
    found = jsonable(value)
    assert found == expected
    json.dumps(found)
