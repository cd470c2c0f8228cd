"""Contract of the files in configs/: each is complete, says what to expect and passes every check."""

import json

import pytest

from experiments import config as configuration
from experiments.signatures import ROOT
from experiments.stages import check_stages

PATHS = sorted((ROOT / "configs").glob("*.json"))
PUBLISHED = {"mnist", "stl10", "cifar10", "reuters", "20news"}
FEATURES = {"cifar10_features", "20news_features", "reuters_r8_features"}
NAMES = {*PUBLISHED, *FEATURES, "digits", "fashion_mnist", "reuters_r8"}


def short(path):
    return path.stem.removeprefix("kingdra_ladder_im_")


def test_all_experiments_are_there():
    assert {short(path) for path in PATHS} >= NAMES


@pytest.mark.parametrize("path", PATHS, ids=short)
def test_configuration_is_valid_and_says_what_to_expect(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    config, notes = configuration.load(path)
    check_stages(config, files=False)
    assert notes == []
    assert config["name"] == path.stem
    assert raw["data"]["name"]
    assert len(raw["about"]) > 80
    assert "Time" in raw["about"]
    assert raw["seeds"]
    assert raw["cluster"]["n_clusters"] > 1


@pytest.mark.parametrize("path", [p for p in PATHS if short(p) in NAMES], ids=short)
def test_published_schedules_run_to_their_end(path):
    config, _ = configuration.load(path)
    published = short(path) in PUBLISHED
    assert ("Published: ACC" in config["about"]) == published
    assert (config["cluster"]["tol"] is None) == published
    assert (config["cluster"]["labeller"] == "published") == published
    assert (config["cluster"]["start"] is None) == published


@pytest.mark.parametrize(
    ("name", "cluster", "mode"),
    [
        ("mnist", {"n_rounds": 50, "confidence_threshold": 0.9}, {"noise_std": 0.3, "mi_weight": 0.1}),
        ("stl10", {"n_rounds": 30, "epochs_per_round": 6, "mi_weight_later": 0}, {"noise_std": 1, "mi_weight": 0.2}),
        ("cifar10", {"epochs_first_round": 1, "mi_weight_later": 0.5}, {"learning_rate": 0.02, "kl_weight": 0}),
        ("reuters", {"low_agreement": 2, "high_agreement": 8, "epochs_per_round": 6}, {"noise_std": 3}),
        ("20news", {"n_clusters": 20, "n_rounds": 10, "confidence_threshold": 0}, {"noise_std": 0.3}),
    ],
)
def test_published_settings(name, cluster, mode):
    config, _ = configuration.load(ROOT / "configs" / f"kingdra_ladder_im_{name}.json")
    assert cluster.items() <= config["cluster"].items()
    assert mode.items() <= config["cluster"]["mode"].items()
    assert config["cluster"]["mode"]["normalize_logits"] == (name in ("stl10", "cifar10"))
    assert config["cluster"]["shared_mapping"] == (name != "cifar10")


MATCHING = [path for path in PATHS if path.stem.split("_")[0] in ("simclr", "scan", "nnm", "selflabel")]


def test_every_stage_of_matching_has_its_experiments():
    stages = ("simclr", "scan", "nnm", "selflabel")
    published = {f"{stage}_{data}" for stage in stages for data in ("cifar10", "cifar20", "stl10")}
    small = {"nnm_digits", "nnm_fashion_mnist_small", "simclr_nnm_mnist_small", "nnm_cifar10_features", "nnm_20news"}
    assert {path.stem for path in MATCHING} >= published | small | {"nnm_imagenet10", "scan_digits"}


@pytest.mark.parametrize("path", [path for path in MATCHING if "_digits_no_" in path.stem], ids=short)
def test_an_ablation_differs_in_one_key(path):
    whole, without = (json.loads(p.read_text(encoding="utf-8")) for p in (path.with_stem("nnm_digits"), path))
    without["cluster"].pop(path.stem.removeprefix("nnm_digits_no_"))
    assert without["cluster"] == whole["cluster"]
    assert (without["data"], without["seeds"]) == (whole["data"], whole["seeds"])


@pytest.mark.parametrize(
    "path", [p for p in MATCHING if p.stem.endswith(("cifar10", "cifar20", "net10", "stl10"))], ids=short
)
def test_published_settings_of_matching(path):
    config, _ = configuration.load(path)
    pretext, cluster = config["pretext"], config["cluster"]
    expected = {"temperature": 0.1, "learning_rate": 0.4, "momentum": 0.9, "weight_decay": 1e-4, "batch_size": 512}
    expected |= {"n_epochs": 500, "hidden_units": 512, "n_outputs": 128}
    assert expected.items() <= pretext.items()
    assert pretext["backbone"] == {"name": "resnet18", "stem": "cifar" if "cifar" in path.stem else "stl"}
    if cluster["name"] == "kmeans":
        return
    batch = {"nnm_imagenet10": 128}.get(path.stem, 500 if "cifar20" in path.stem else 200)
    expected = {"learning_rate": 1e-4, "weight_decay": 1e-4, "n_epochs": 100, "n_neighbors": 20, "entropy_weight": 5}
    expected |= {"batch_size": batch, "n_heads": 1 if path.stem == "nnm_imagenet10" else 3, "backbone": "pretext"}
    assert expected.items() <= cluster.items()
    assert {cluster[term] for term in ("local", "class_level", "global_level")} == {path.stem.startswith("nnm")}
    assert ("refine" in config) == path.stem.startswith("selflabel")


@pytest.mark.parametrize(
    ("name", "refine"),
    [
        ("cifar10", {"noisy_weight": 25, "relabel_threshold": 0.99, "batch_size": 250}),
        ("cifar20", {"noisy_weight": 100, "relabel_threshold": [0.9, 0.92, 0.94, 0.96, 0.98], "batch_size": 250}),
        ("stl10", {"noisy_weight": 50, "relabel_threshold": [0.9, 0.92, 0.94, 0.96, 0.98], "batch_size": 100}),
    ],
)
def test_published_settings_of_the_refinement(name, refine):
    config, _ = configuration.load(ROOT / "configs" / f"ruc_{name}.json")
    shared = {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "n_epochs": 200, "ramp_epochs": 200}
    shared |= {"confidence_threshold": 0.99, "n_neighbors": 100, "split": "hybrid", "backbone": "cluster"}
    assert (shared | refine).items() <= config["refine"].items()
    assert config["cluster"]["name"] == config["refine"]["embeddings"]["mode"] == "checkpoint"
    assert "Published: ACC" in config["about"]


@pytest.mark.parametrize("name", ["cifar100", "imagenet50"])
def test_settings_that_are_not_published_say_so(name):
    config, _ = configuration.load(ROOT / "configs" / f"ruc_{name}.json")
    assert "settings are not published" in config["about"]
