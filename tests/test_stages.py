"""Stages of one configuration: what is accepted, what each sees, what is kept and not repeated."""

import json
import re
import shutil

import numpy as np
import pytest
from test_run_exp import DIGITS, TINY, read_labels

from experiments import config as configuration
from experiments import run as running
from experiments import stage_config, stages
from experiments.cli import main
from experiments.signatures import ROOT, backbones
from kingdra_cluster.persistence import read_json

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
RUC = {"mode": "ruc", "hidden_units": [8], "n_epochs": 2, "batch_size": 30, "verbose": 0}
IMAGES = DIGITS["data"] | {"features": "none"}
KMEANS = {"name": "kmeans", "n_clusters": 10}
SMALL_NNM = {"name": "nnm", "n_clusters": 10, "n_epochs": 1, "n_heads": 1, "batch_size": 30, "verbose": 0}


@pytest.fixture
def tiny_pretext(monkeypatch):
    known = stage_config.pretexts() | {"tiny": (ROOT / "tests" / "fake_pretext.py", "TinyPretext")}
    monkeypatch.setattr(stage_config, "pretexts", lambda: known)


@pytest.fixture
def undrawn(monkeypatch):
    """No pictures and no report, which take longer than a tiny run."""
    for name in ("_draw", "_draw_scores", "write_exhibits", "write_report"):
        monkeypatch.setattr(running, name, lambda *_: None)


def resolve(**sections):
    return configuration.resolve({**DIGITS, **sections}, "x")


def run(tmp_path, *arguments, **sections):
    path = tmp_path / "chain.json"
    path.write_text(json.dumps(DIGITS | sections), encoding="utf-8")
    assert main([str(path), "--output", str(tmp_path / "run"), *arguments]) == 0
    return tmp_path / "run" / "seed_0"


# What a configuration may say


def test_stages_are_completed_and_resolve_to_themselves(tiny_pretext):
    config = resolve(pretext="tiny", cluster=KMEANS, refine={"learning_rate": 0.1})
    assert list(config) == ["name", "about", "data", "pretext", "cluster", "refine", "seeds"]
    assert config["pretext"] == {"mode": "tiny", "n_features": 6, "verbose": 1}
    assert config["cluster"] == KMEANS
    assert config["refine"]["mode"] == "ruc"
    assert config["refine"]["hidden_units"] == [256, 256]
    assert config["refine"]["embeddings"] is None
    assert configuration.resolve(config, "x") == config
    assert not {"pretext", "refine"} & {*resolve()}
    assert "name" not in resolve(cluster={"name": "kingdra"})["cluster"]


def test_the_backbones_of_a_configuration_are_those_of_the_package():
    from kingdra_cluster.backbones import BACKBONES

    own = {name: function for name, function in BACKBONES.items() if not name[:1].isupper()}
    assert backbones().keys() == own.keys()
    for name, (file, function) in backbones().items():
        assert own[name].__name__ == function
        assert own[name].__module__.endswith(f"backbones.{file.stem}")


def test_backbones_are_completed():
    mode = {"name": "nnm", "backbone": {"name": "mlp", "hidden_units": [4]}}
    assert resolve(cluster={"mode": mode})["cluster"]["mode"]["backbone"] == {"name": "mlp", "hidden_units": [4]}
    found = resolve(cluster={**SMALL_NNM, "backbone": {"name": "resnet18"}})["cluster"]["backbone"]
    assert found == {"name": "resnet18", "stem": "cifar"}
    imported = {"name": "checkpoint", "path": "a.pth.tar", "mean": [0.5, 0.5, 0.5]}
    found = resolve(cluster={**SMALL_NNM, "backbone": imported})["cluster"]["backbone"]
    assert found == {"stem": "cifar", "key": None, "std": None, **imported}
    assert resolve(cluster={**SMALL_NNM, "backbone": {"name": "MobileNetV2"}})["cluster"]["backbone"]["weights"] is None


def test_published_names_of_the_refinement_are_understood(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**DIGITS, "cluster": {"n_clusters": 7}, "refine": {"lr": 0.5, "learning_rate": 1}}))
    sets = ["refine.lr=0.1", "refine.momentum=0.5", "refine.weight_decay=0.1", "refine.epochs=3", "refine.batch_size=9"]
    sets += ["refine.s_thr=0.8", "refine.n_num=11", "refine.seed=4", "refine.o_model=o.tar", "refine.e_model=e.tar"]
    config, _ = configuration.load(path, sets)
    ours = {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.1, "n_epochs": 3, "batch_size": 9}
    assert {**ours, "confidence_threshold": 0.8, "n_neighbors": 11}.items() <= config["refine"].items()
    assert config["seeds"] == [4]
    assert {"name": "checkpoint", "n_clusters": 7, "path": "o.tar"}.items() <= config["cluster"].items()
    assert {"mode": "checkpoint", "path": "e.tar"}.items() <= config["refine"]["embeddings"].items()
    path.write_text(json.dumps(DIGITS))
    assert configuration.load(path, ["refine=ruc", "refine.lr=0.1"])[0]["refine"]["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"cluster": {"name": "kmean"}}, r"cluster: there is no clustering 'kmean' \(did you mean 'kmeans'\?\)"),
        ({"cluster": {"name": "kmeans", "n_members": 3}}, r"cluster \(kmeans\) has no key 'n_members'"),
        ({"cluster": {"name": "labels"}}, r"cluster \(labels\) needs the key 'path'"),
        ({"cluster": {**SMALL_NNM, "random_state": 1}}, "random_state cannot be set here; the seeds"),
        (
            {"cluster": {**SMALL_NNM, "backbone": "resnt18"}},
            r"there is no backbone 'resnt18' \(did you mean 'resnet1",
        ),
        ({"cluster": {**SMALL_NNM, "backbone": {"name": "mlp", "units": [3]}}}, r"did you mean 'hidden_units'"),
        ({"cluster": {**SMALL_NNM, "backbone": {"name": "mlp", "hidden_units": 3}}}, "hidden_units has to be a list"),
        ({"cluster": {**SMALL_NNM, "backbone": "pretext"}}, "backbone is 'pretext', but there is no stage 'pretext'"),
        ({"cluster": {**SMALL_NNM, "backbone": "cluster"}}, "backbone 'cluster' is for the stage 'refine'"),
        ({"cluster": {"mode": {"name": "nnm", "backbone": "pretext"}}}, "members start from no given network"),
        ({"refine": {"n_epoch": 3}}, r"refine \(ruc\) has no key 'n_epoch' \(did you mean 'n_epochs'\?\)"),
        ({"refine": {"n_clusters": 3}}, "n_clusters cannot be set here; it is cluster.n_clusters"),
        ({"refine": {"n_epochs": "x"}}, "n_epochs has to be an integer"),
        ({"refine": {"backbone": "cluster"}}, r"cluster \(kingdra\) gives no single network"),
        ({"refine": {"embeddings": "pretext"}}, "there is no stage 'pretext'"),
        ({"refine": {"embeddings": "pretxt"}}, r"there is no mode 'pretxt'"),
        ({"refine": {"split": "cores"}, "cluster": KMEANS}, "only Kingdra's graph has cores"),
        ({"refine": "selflabel", "cluster": KMEANS}, "starts from one network"),
        ({"refine": {"mode": "selflabel", "classifier": 1}}, "classifier cannot be set here"),
        ({"pretext": "simclear"}, "pretext: there is no mode 'simclear'"),
        ({"pretext": {"mode": "checkpoint"}}, r"pretext \(checkpoint\) needs the key 'path'"),
    ],
)
def test_what_is_not_valid_is_named(sections, message):
    with pytest.raises(ValueError, match=message):
        resolve(**sections)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"refine": {"learning_rate": 0}}, "learning_rate must be"),
        ({"refine": {"backbone": "ResNet5"}}, "the nearest is 'ResNet50'"),
        ({"refine": {"mode": "selflabel", "threshold": 2}, "cluster": SMALL_NNM}, "threshold must be"),
        ({"cluster": {"name": "labels", "path": "nowhere.csv"}}, "cluster.path='nowhere.csv' not found"),
        ({"cluster": {**SMALL_NNM, "backbone": {"name": "checkpoint", "path": "no.tar"}}}, "cluster.backbone.path="),
        (
            {"data": IMAGES, "cluster": KMEANS, "refine": "ruc"},
            "images .* want a backbone",
        ),
    ],
)
def test_values_are_checked_before_the_first_stage(tmp_path, capsys, monkeypatch, sections, message):
    if "checkpoint" in str(sections):
        pytest.importorskip("torch")
    monkeypatch.setattr(stages, "fit_stage", lambda *_: pytest.fail("a stage began"))
    (tmp_path / "c.json").write_text(json.dumps(DIGITS | {"cluster": TINY} | sections))
    assert main([str(tmp_path / "c.json"), "--output", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert re.search(message, err), err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


# What runs


def test_a_chain_of_three_leaves_every_stage_and_repeats_none(tmp_path, tiny_pretext, monkeypatch, capsys):
    seed = run(tmp_path, pretext={"mode": "tiny", "n_features": 5}, cluster=KMEANS, refine=RUC)
    assert {"pretext", "model", "refined", "stages.json", "labels.csv", "labels_unrefined.csv"} <= {
        path.name for path in seed.iterdir()
    }
    metrics = read_json(seed / "metrics.json")
    for method in ("kmeans", "cluster", "refined"):
        assert set(metrics[method]) == {"acc", "nmi", "ari"}
    assert {"ece", "refined_ece", "clean_at_start", "clean_at_end", "clusters"} <= set(metrics)
    assert set(metrics["stage_seconds"]) == {"pretext", "cluster", "refine"}
    assert metrics["seconds"] == pytest.approx(sum(metrics["stage_seconds"].values()))
    assert (seed / "figures" / "calibration.png").stat().st_size > 1000
    assert not (seed / "figures" / "rounds.png").exists()
    assert len((seed / "history_refine.jsonl").read_text().splitlines()) == 2
    out = capsys.readouterr().out
    assert "clustering" in out
    assert "refined" in out
    found = stages.load_stages(seed, np.zeros((2, 64)))
    assert found.rows("cluster").shape == found.rows("refine").shape == (2, 5)
    before = (seed / "labels.csv").read_bytes()
    (seed / "metrics.json").unlink()
    shutil.rmtree(seed / "refined")
    fitted = []
    whole = stages.fit_stage
    monkeypatch.setattr(stages, "fit_stage", lambda name, *rest: fitted.append(name) or whole(name, *rest))
    run(tmp_path, "--resume", pretext={"mode": "tiny", "n_features": 5}, cluster=KMEANS, refine=RUC)
    assert fitted == ["refine"]
    assert (seed / "labels.csv").read_bytes() == before


def test_a_clustering_and_a_refinement_go_on_from_the_pretexts_network(tmp_path, tiny_pretext, undrawn):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (60, 6, 6), dtype=np.uint8))
    data = {"name": "arrays", "path": str(tmp_path / "images.npy"), "features": "none"}
    matching = {**SMALL_NNM, "n_clusters": 3, "backbone": "pretext"}
    refine = {**RUC, "backbone": "cluster", "embeddings": "pretext", "n_epochs": 1}
    del refine["hidden_units"]
    seed = run(tmp_path, data=data, pretext="tiny", cluster=matching, refine=refine)
    found = stages.load_stages(seed, np.zeros((2, 6, 6), np.uint8))
    assert found.fitted["cluster"].classifier_.input_shape == (None, 6, 6, 1)
    assert found.fitted["refine"].classifier_.input_shape == (None, 6, 6, 1)
    np.save(tmp_path / "new.npy", np.zeros((3, 6, 6), np.uint8))
    assert main(["predict", str(seed), "--array", str(tmp_path / "new.npy"), "--out", str(tmp_path / "o.csv")]) == 0
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 4


def test_kingdra_its_refinement_by_cores_and_attacks_on_both(tmp_path, capsys, undrawn):
    cluster = TINY | {"mode": {"name": "ladder", "hidden_units": [8]}, "verbose": 0, "n_rounds": 2}
    cluster |= {"start_votes": 4, "start_balance": 0.7}
    seed = run(tmp_path, cluster=cluster, refine={**RUC, "split": "cores", "n_epochs": 1})
    metrics = read_json(seed / "metrics.json")
    assert {"kingdra", "refined", "ensemble", "rounds"} <= set(metrics)
    assert 0 < metrics["clean_at_start"]["coverage"] <= metrics["coverage"]
    assert [path.name for path in (seed / "checkpoints").iterdir()] == ["run.json"]
    assert read_json(seed / "manifest.json")["threads"] == {"per_member": 1, "n_jobs": None}
    assert main(["attack", str(seed), "--sizes", "0.3", "0", "--attacks", "bim", "fgsm"]) == 0
    found = read_json(seed / "attack.json")
    assert found["sizes"] == [0, 0.3]
    assert found["rows"] == 90
    for title, method in (("before", "kingdra"), ("after", "refined")):
        for accuracies in found["accuracy"][title].values():
            assert accuracies[0] == pytest.approx(metrics[method]["acc"])
            assert accuracies[1] <= accuracies[0]
    assert (seed / "figures" / "attack.png").stat().st_size > 1000
    assert "before, fgsm" in capsys.readouterr().out


def test_labels_of_an_earlier_run_are_refined_and_self_labelling_goes_on(tmp_path, undrawn):
    seed = run(tmp_path, cluster=SMALL_NNM, refine={"mode": "selflabel", "threshold": 0.2, "n_epochs": 1, "verbose": 0})
    assert read_json(seed / "metrics.json")["refined"]["acc"] > 0
    assert json.loads((seed / "history.jsonl").read_text())["epoch"] == 0
    (tmp_path / "second").mkdir()
    labels = {"name": "labels", "path": str(seed / "labels.csv"), "n_clusters": 10}
    again = run(tmp_path / "second", cluster=labels, refine={**RUC, "n_epochs": 1})
    assert read_json(again / "metrics.json")["cluster"] == read_json(seed / "metrics.json")["refined"]
    (again / "labels_unrefined.csv").replace(again / "labels.csv")
    assert [line["label"] for line in read_labels(again)] == [line["label"] for line in read_labels(seed)]
    assert not (again / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "-1"], "--sizes not negative"),
        (["--rows", "0"], "--rows has to be positive"),
        ([], "it holds no finished seed of a run"),
    ],
)
def test_an_attack_needs_a_finished_seed_and_sizes(tmp_path, capsys, arguments, message):
    if arguments:
        for name in ("features", "model", "config.json", "metrics.json"):
            (tmp_path / name).mkdir()
    assert main(["attack", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
