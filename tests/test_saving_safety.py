"""Saving and loading where something is wrong: nothing is lost, nothing foreign is read, every message says what."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from kingdra_cluster import RUC, KingdraCluster, LadderIM, SimCLR
from kingdra_cluster.persistence import read_arrays, write_arrays

pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]


@pytest.fixture(scope="module")
def model(blobs):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield LadderIM(3, hidden_units=(8,), n_epochs=1, random_state=0).fit(blobs)
    tf.config.run_functions_eagerly(False)


def kingdra(**arguments):
    options = {"n_members": 2, "n_rounds": 2, "start_votes": 2, "epochs_first_round": 1, "epochs_per_round": 1}
    return KingdraCluster(3, mode=LadderIM(hidden_units=(8,)), random_state=0, **options | arguments)


@pytest.fixture(scope="module")
def ensemble(blobs):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield kingdra(n_rounds=1).fit(blobs)
    tf.config.run_functions_eagerly(False)


# Arguments that change after the fit


@pytest.mark.parametrize(
    "arguments",
    [
        {"spaces": [(0, 3), (1, 4)], "labeller": "published", "high_agreement": 0},
        {"refine": RUC(hidden_units=(8,), n_epochs=1)},
    ],
    ids=["spaces", "refine"],
)
@pytest.mark.parametrize("other", ["nonsense", None], ids=repr)
def test_what_a_fitted_ensemble_answers_does_not_depend_on_its_arguments(arguments, other, blobs, tmp_path, eager):
    model = kingdra(**arguments).fit(blobs)
    probabilities, graph = model.predict_proba(blobs), model.similarity_graph_
    model.set_params(**dict.fromkeys(model.get_params(deep=False), other))
    model.save(tmp_path / "model")
    loaded = KingdraCluster.load(tmp_path / "model")
    for again in (model, loaded):
        np.testing.assert_array_equal(again.predict_proba(blobs), probabilities)
        np.testing.assert_array_equal(again.predict(blobs), probabilities.argmax(axis=1))
        assert set(again.get_params(deep=False).values()) == {other}
        assert again.similarity_graph_.explain(0, 1) == graph.explain(0, 1)
        np.testing.assert_array_equal(again.similarity_graph_.tuple_buckets, graph.tuple_buckets)
        exported = averaged_of(again)
        np.testing.assert_allclose(exported(blobs.astype("float32")), probabilities, atol=1e-6)


def averaged_of(model):
    """What `KingdraCluster.export` writes."""
    written = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kingdra_cluster.exporting.export_model", lambda whole, *_: written.append(whole))
        model.export("nowhere")
    return written[0]


# Replacing a saved model


@pytest.mark.parametrize("error", [OSError(28, "no space left on device"), KeyboardInterrupt()], ids=repr)
def test_the_old_model_is_put_back_if_the_new_one_cannot_be_moved(model, blobs, tmp_path, monkeypatch, error):
    rename = Path.rename

    def second_fails(path, target):
        if path.name == "new":
            raise error
        return rename(path, target)

    model.save(tmp_path / "model")
    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(type(error)):
        model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    np.testing.assert_array_equal(LadderIM.load(tmp_path / "model").predict(blobs), model.labels_)


def test_what_stops_between_the_moves_leaves_the_old_model_beside(model, blobs, tmp_path, monkeypatch):
    rename = Path.rename

    def only_the_first(path, target):
        if path.name != "model":
            raise SystemExit
        return rename(path, target)

    model.save(tmp_path / "model")
    monkeypatch.setattr(Path, "rename", only_the_first)
    with pytest.raises(SystemExit):
        model.save(tmp_path / "model")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("model-replaced-")
    np.testing.assert_array_equal(LadderIM.load(left).predict(blobs), model.labels_)


@pytest.mark.parametrize("place", [".", "", "..", "../model"])
def test_the_working_directory_is_refused(model, tmp_path, monkeypatch, place):
    model.save(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    with pytest.raises(ValueError, match=f"folder must not be the working directory or above it; received '{place}'"):
        model.save(place)
    LadderIM.load(tmp_path / "model")


def test_a_link_to_a_saved_model_stays_a_link(model, tmp_path):
    model.save(tmp_path / "model")
    (tmp_path / "latest").symlink_to("model")
    model.save(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "model"]


# Folders that somebody damaged


def change(folder, edit):
    """Edit the description of a saved model."""
    description = json.loads((folder / "estimator.json").read_text())
    edit(description)
    (folder / "estimator.json").write_text(json.dumps(description))


DAMAGES = {
    "parameters": (lambda d: d.pop("parameters"), "'parameters' is missing"),
    "mode": (lambda d: d["parameters"].pop("mode"), "'mode' is missing"),
    "unknown mode": (lambda d: d["parameters"]["mode"].update(name="zzz"), "a mode must be one of .*it says 'zzz'"),
    "argument of the mode": (lambda d: d["parameters"]["mode"].update(zzz=1), "zzz"),
    "argument": (lambda d: d["parameters"].update(zzz=1), "zzz"),
    "fitted": (lambda d: d.update(fitted=[]), "'scale_' is missing"),
    "scale": (lambda d: d["fitted"].pop("scale_"), "'scale_' is missing"),
    "graph": (lambda d: d["fitted"]["graph"].pop("low_agreement"), "'low_agreement' is missing"),
    "count": (lambda d: d["fitted"].update(cluster_count_={}), "'n_clusters' is missing"),
    "member": (lambda d: d["models"].pop(), "'member_001' is missing"),
    "other folder": (lambda d: d.update(models=["../other/member_000", "member_001"]), "is no name of a model"),
    "number": (lambda d: d.update(models=[3.5, "member_001"]), "3.5 is no name of a model"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_is_refused_by_the_name_of_what_is_wrong(ensemble, tmp_path, damage):
    edit, message = DAMAGES[damage]
    ensemble.save(tmp_path / "other")
    ensemble.save(tmp_path / "model")
    change(tmp_path / "model", edit)
    with pytest.raises(ValueError, match=rf"model/estimator\.json is damaged.*{message}"):
        KingdraCluster.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["labels_", "mappings_", "graph_labels", "graph_takes_part", "graph_tuple_buckets"])
def test_a_missing_array_is_named(ensemble, tmp_path, name):
    ensemble.save(tmp_path / "model")
    path = tmp_path / "model" / "arrays.npz"
    with np.load(path) as stored:
        kept = {key: stored[key] for key in stored.files if key != name}
    np.savez(path, **kept)
    with pytest.raises(ValueError, match=rf"arrays\.npz is damaged.*{name!r} is missing"):
        KingdraCluster.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["classifier", "scale_", "labels_"])
def test_a_damaged_mode_is_refused_by_name(model, tmp_path, name):
    model.save(tmp_path / "model")
    change(tmp_path / "model", lambda d: d["models"].clear() if name == "classifier" else d["fitted"].pop(name, None))
    if name == "labels_":
        np.savez(tmp_path / "model" / "arrays.npz", probabilities_=model.probabilities_)
    with pytest.raises(ValueError, match=f"{name!r} is missing"):
        LadderIM.load(tmp_path / "model")


def test_a_damaged_pretext_is_refused_by_name(blobs, tmp_path, eager):
    backbone = {"name": "mlp", "hidden_units": (8,)}
    SimCLR(backbone=backbone, hidden_units=8, batch_size=45, n_epochs=1, random_state=0).fit(blobs).save(tmp_path)
    change(tmp_path, lambda d: d["models"].remove("projection"))
    with pytest.raises(ValueError, match="'projection' is missing"):
        SimCLR.load(tmp_path)


def test_an_array_that_is_taken_out_of_a_file_is_named_where_it_is_missing(tmp_path):
    write_arrays(tmp_path / "x.npz", a=np.zeros(2))
    arrays = read_arrays(tmp_path / "x.npz")
    assert arrays.pop("a").shape == (2,)
    with pytest.raises(ValueError, match=r"x\.npz is of another kind: it holds no array 'a'"):
        arrays.pop("a")


def test_the_keras_that_is_asked_for_lets_no_model_read_other_files():
    setup = (Path(__file__).parent.parent / "setup.py").read_text(encoding="utf-8")
    floor = re.search(r'"keras>=([\d.]+)"', setup).group(1)
    assert tuple(map(int, floor.split("."))) >= (3, 13, 2)
