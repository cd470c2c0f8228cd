"""Contract of the files in configs/: each is complete, says what to expect and passes every check."""

import json

import pytest

from experiments import config as configuration
from experiments.signatures import ROOT

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
