"""Saving and loading where something is wrong: nothing is lost, nothing foreign is read, every message says what."""

from pathlib import Path

import numpy as np
import pytest

from kingdra_cluster import LadderIM

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
