"""Flat configuration files of the published code, as the documented table of settings gives them."""

import json

import numpy as np
import pytest

from experiments import config as configuration
from experiments import published

BLANK = {"training_path": "X.npy", "ground_truth_path": "Y.npy", "n_class": 10, "n_en": 10}
SETTINGS = {
    "mnist": {"n_iter": 50, "n_epochs_per_iter0": 5, "n_epochs_per_iter": 5, "low_th": 1, "high_th": 9, "thresh": 0.9},
    "stl10": {
        "n_iter": 30,
        "n_epochs_per_iter0": 6,
        "n_epochs_per_iter": 6,
        "thresh": 0,
        "noise_std": 1,
        "mi_loss_w_init": 0.2,
        "mi_loss_w_it2": 0,
        "last_layer_bn": True,
    },
    "cifar10": {
        "n_iter": 30,
        "n_epochs_per_iter0": 1,
        "n_epochs_per_iter": 1,
        "thresh": 0,
        "noise_std": 0.3,
        "mi_loss_w_init": 1,
        "mi_loss_w_it2": 0.5,
        "ladder_loss_w_init": 1,
        "noise_kl_w_init": 0,
        "lr": 0.02,
        "last_layer_bn": True,
        "ens_common_mapping": False,
    },
    "reuters": {
        "n_class": 4,
        "n_iter": 10,
        "n_epochs_per_iter0": 5,
        "n_epochs_per_iter": 6,
        "low_th": 2,
        "high_th": 8,
        "thresh": 0,
        "noise_std": 3,
        "mi_loss_w_init": 0.2,
        "fc_layer_sizes": [1200, 1200, 4],
    },
    "20news": {
        "n_class": 20,
        "n_iter": 10,
        "n_epochs_per_iter0": 5,
        "n_epochs_per_iter": 5,
        "thresh": 0,
        "noise_std": 0.3,
        "mi_loss_w_init": 0.2,
        "fc_layer_sizes": [1200, 1200, 20],
        "med_th": 4,
    },
}


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", generator.normal(size=(60, 12)).astype("float32"))
    np.save(tmp_path / "Y.npy", np.arange(60) % 10)
    return tmp_path


def read(folder, content, overrides=()):
    path = folder / "flat.json"
    path.write_text(json.dumps(content))
    return configuration.load(path, overrides, folders=[folder])


@pytest.mark.parametrize("name", SETTINGS)
def test_published_settings_equal_the_configuration_of_the_same_name(folder, name):
    flat, _ = read(folder, BLANK | SETTINGS[name])
    ours, _ = configuration.load(configuration.ROOT / "configs" / f"kingdra_ladder_im_{name}.json")
    assert flat["cluster"]["scale"] is None
    assert flat["cluster"]["tol"] is None
    assert ours["cluster"]["tol"] is None
    for cluster in (flat["cluster"], ours["cluster"]):
        cluster.pop("scale")
        if cluster["high_agreement"] == cluster["n_members"] - 1:
            cluster["high_agreement"] = None
    assert flat["cluster"] == ours["cluster"]


def test_every_key_of_the_table_reaches_its_argument(folder):
    values = {"n_class": 7, "fc_layer_sizes": [9, 8, 7], "denoising_cost": [5, 4, 3, 2], "last_layer_bn": True}
    values |= {"ens_common_mapping": False, "high_th": 3}
    flat = {key: values.get(key, 2) for key in published.CLUSTER | published.MODE}
    result, notes = read(folder, flat | {"training_path": "X.npy"})
    assert notes == []
    for key, ours in published.CLUSTER.items():
        assert result["cluster"][ours] == values.get(key, 2), key
    expected = values | {"fc_layer_sizes": [9, 8]}
    for key, ours in published.MODE.items():
        assert result["cluster"]["mode"][ours] == expected.get(key, 2), key


def test_null_and_absence_mean_the_default(folder):
    absent, _ = read(folder, {"training_path": "X.npy"})
    null, _ = read(folder, {"training_path": "X.npy", "n_en": None, "mi_loss_w_it2": None})
    assert absent["cluster"] == null["cluster"]
    assert absent["cluster"]["n_members"] == 10


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"n_clas": 10}, "did you mean 'n_class'"),
        ({"fc_layer_sizes": [30, 4], "n_class": 10}, "n_class=10"),
        ({"fc_layer_sizes": 30}, "fc_layer_sizes"),
        ({"training_path": None}, "training_path"),
    ],
)
def test_what_is_not_valid_is_named(folder, extra, message):
    with pytest.raises(ValueError, match=message):
        read(folder, {"training_path": "X.npy"} | extra)


def test_keys_without_a_counterpart_are_noted(folder):
    _, notes = read(folder, BLANK | {"med_th": 4, "results_folder": "out"})
    assert len(notes) == 2
    assert "med_th" in notes[0]
    assert "results_folder" in notes[1]


def test_overrides_take_either_form(folder):
    result, _ = read(folder, BLANK, ["n_iter=3", "cluster.n_members=2"])
    assert (result["cluster"]["n_rounds"], result["cluster"]["n_members"]) == (3, 2)


def test_paths_are_looked_for_in_the_folders(folder):
    result, _ = read(folder, BLANK)
    assert result["data"]["path"] == str(folder / "X.npy")
    assert result["data"]["labels_path"] == str(folder / "Y.npy")
    assert published.locate("nowhere.npy", [folder]) == "nowhere.npy"
