"""run_exp: folders, resume, errors and tables around a fake estimator."""

import csv
import json
import shutil

import numpy as np
import pytest
from fake_estimator import FakeKingdra, make_fake

from experiments import config as configuration
from experiments import stages
from experiments.cli import main
from experiments.run_folder import HistoryWriter, pending_seeds, summarize, table
from kingdra_cluster.persistence import read_json

DIGITS = {"data": {"name": "digits", "images": True, "subset": 90, "features": "flatten"}}
TINY = {"n_members": 2, "n_rounds": 3, "epochs_first_round": 1, "epochs_per_round": 1, "tol": None}
SMALL = DIGITS | {"cluster": TINY, "seeds": [0, 1]}


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL), encoding="utf-8")
    return path


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(stages, "make_kingdra", make_fake)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.json").write_text(json.dumps(SMALL), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "make_kingdra", make_fake)
        assert main([str(folder / "small.json"), "--output", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def finished(finished_once, tmp_path, fake):
    """A run of two finished seeds, to be changed at will."""
    return shutil.copytree(finished_once, tmp_path / "run")


def read_labels(folder):
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_every_file(finished):
    seed = finished / "seed_0"
    names = {path.name for path in seed.iterdir()}
    assert {"config.json", "manifest.json", "history.jsonl", "metrics.json", "labels.csv", "model", "features"} <= names
    pictures = {path.name for path in (seed / "figures").iterdir()}
    expected = {"rounds", "confusion", "cluster_sizes", "prototypes", "map", "confidence"}
    assert pictures == {f"{name}.png" for name in expected}
    assert (finished / "scores.png").stat().st_size > 1000
    assert read_json(seed / "config.json")["seeds"] == [0]
    manifest = read_json(seed / "manifest.json")
    assert manifest["seed"] == 0
    assert manifest["data"]["rows"] == 90
    assert len(manifest["data"]["sha256"]) == 64
    assert manifest["threads"] == {"per_member": 1, "n_jobs": None}
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["config"]["cluster"]["n_rounds"] == 3
    assert not list(finished.rglob(".unfinished*"))


def test_history_has_a_line_a_round_with_scores(finished):
    lines = [json.loads(line) for line in (finished / "seed_1" / "history.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [0, 1, 2]
    for line in lines:
        assert {"acc", "nmi", "ari", "purity", "coverage", "member_mean"} <= set(line)
        assert line["coverage"] == pytest.approx(line["pseudo_labelled"] / 90)


def test_metrics_compare_with_the_round_before_supervision(finished):
    metrics = read_json(finished / "seed_0" / "metrics.json")
    history = [json.loads(line) for line in (finished / "seed_0" / "history.jsonl").read_text().splitlines()]
    for method in ("kmeans", "member_mean", "ensemble", "kingdra"):
        assert set(metrics[method]) == {"acc", "nmi", "ari"}
    assert metrics["ensemble_round"] == 1
    assert metrics["ensemble"]["acc"] == history[1]["acc"]
    assert metrics["kingdra"]["acc"] == history[-1]["acc"]
    assert metrics["rounds"] == 3
    assert metrics["supervised_rounds"] == 1
    assert metrics["member_epochs"] == 6
    assert metrics["seconds"] == pytest.approx(1.5)
    assert metrics["rows"] == 90


def test_labels_have_blanks_where_unsure(finished):
    rows = read_labels(finished / "seed_0")
    assert list(rows[0]) == ["row", "label", "confidence", "pseudo_label", "class"]
    assert [int(row["row"]) for row in rows] == list(range(90))
    unsure = [row for row in rows if row["pseudo_label"] == ""]
    assert 0 < len(unsure) < 90
    assert all(row["pseudo_label"] in ("", row["label"]) for row in rows)
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)


def test_summary_is_the_mean_of_the_seeds(finished):
    summary = read_json(finished / "summary.json")
    values = [read_json(finished / f"seed_{seed}" / "metrics.json")["kingdra"]["acc"] for seed in (0, 1)]
    assert summary["seeds"] == [0, 1]
    assert summary["mean"]["kingdra"]["acc"] == pytest.approx(np.mean(values))
    assert summary["std"]["kingdra"]["acc"] == pytest.approx(np.std(values, ddof=1))
    assert "seed" not in summary["mean"]
    assert f"{100 * np.mean(values):.1f} ± " in table(summary)


def test_one_seed_has_no_deviation(finished):
    shutil.rmtree(finished / "seed_1")
    summary = summarize(finished)
    assert summary["std"]["kingdra"]["acc"] is None
    assert "±" not in table(summary)


def test_the_end_prints_a_table(config_path, tmp_path, fake, capsys):
    main([str(config_path), "--output", str(tmp_path / "run"), "--seeds", "3"])
    out = capsys.readouterr().out
    assert out.startswith("small: 90 x 64, 10 clusters, seeds [3]")
    for name in ("k-means", "mean member", "aligned ensemble", "Kingdra"):
        assert name in out
    assert "after round 2, the last without pseudo-labels" in out


def test_without_truth_there_is_everything_but_scores(tmp_path, fake, capsys):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(60, 4)).astype("float32"))
    config = {"data": {"name": "arrays", "path": str(tmp_path / "rows.npy")}, "cluster": TINY | {"n_clusters": 3}}
    (tmp_path / "own.json").write_text(json.dumps(config))
    assert main([str(tmp_path / "own.json"), "--output", str(tmp_path / "run")]) == 0
    metrics = read_json(tmp_path / "run" / "seed_0" / "metrics.json")
    assert not {"kmeans", "kingdra", "acc"} & set(metrics)
    assert {"agreement", "coverage", "clusters", "rounds", "seconds"} <= set(metrics)
    assert list(read_labels(tmp_path / "run" / "seed_0")[0]) == ["row", "label", "confidence", "pseudo_label"]
    assert not (tmp_path / "run" / "seed_0" / "figures" / "confusion.png").exists()
    assert not (tmp_path / "run" / "scores.png").exists()
    assert "ACC" not in capsys.readouterr().out


def test_an_existing_seed_needs_resume(finished, config_path, capsys):
    assert main([str(config_path), "--output", str(finished)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "go on with --resume, or give another folder with --output" in err
    assert len(err.splitlines()) == 1


def test_resume_skips_finished_seeds_and_adds_new_ones(finished, config_path):
    before = (finished / "seed_0" / "metrics.json").stat().st_mtime_ns
    (finished / "seed_1" / "metrics.json").unlink()
    shutil.rmtree(finished / "seed_1" / "model")
    assert main([str(config_path), "--output", str(finished), "--resume", "--seeds", "0", "1", "2"]) == 0
    assert (finished / "seed_0" / "metrics.json").stat().st_mtime_ns == before
    assert read_json(finished / "summary.json")["seeds"] == [0, 1, 2]
    assert len(read_json(finished / "seed_1" / "manifest.json")["earlier"]) == 1


def test_resume_with_another_configuration_names_the_keys(finished, config_path, capsys):
    arguments = ["--output", str(finished), "--resume", "--set", "cluster.n_rounds=9", "cluster.mode.noise_std=1"]
    assert main([str(config_path), *arguments]) == 2
    err = capsys.readouterr().err
    assert "cluster.n_rounds (3 there, 9 here)" in err
    assert "cluster.mode.noise_std (0.3 there, 1 here)" in err


def test_resume_on_other_data(tmp_path, fake, capsys):
    path, folder = tmp_path / "rows.npy", tmp_path / "run"
    config = {"data": {"name": "arrays", "path": str(path)}, "cluster": TINY | {"n_clusters": 2}}
    (tmp_path / "own.json").write_text(json.dumps(config))
    np.save(path, np.arange(80.0).reshape(20, 4))
    assert main([str(tmp_path / "own.json"), "--output", str(folder)]) == 0
    again = [str(tmp_path / "own.json"), "--output", str(folder), "--resume"]
    assert main(again) == 0
    assert "seed 0 is finished, kept" in capsys.readouterr().out
    np.save(path, np.arange(80.0).reshape(20, 4) + 1)
    for more in ([], ["--seeds", "0", "1"], ["--seeds", "1"]):
        assert main([*again, *more]) == 2
        err = capsys.readouterr().err
        assert "seed_0 was made from other data (sha256 differs); give another folder" in err
        assert len(err.splitlines()) == 1
        assert not (folder / "seed_1").exists()
    (folder / "seed_0" / "metrics.json").unlink()
    assert main(again) == 2
    assert "was started on other data" in capsys.readouterr().err


def test_history_survives_a_repeated_and_a_missing_round(tmp_path):
    writer = HistoryWriter(tmp_path / "history.jsonl", truth=np.arange(40) % 2)
    estimator = FakeKingdra(2, 4, 2, [writer], 0).fit(np.random.default_rng(0).normal(size=(40, 3)))
    whole = writer.read()
    writer(estimator, estimator.history_[3])
    assert writer.read() == whole
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in whole[:2]))
    writer(estimator, estimator.history_[3])
    assert [line["round"] for line in writer.read()] == [0, 1, 2, 3]
    assert "acc" not in writer.read()[2]
    assert writer.read()[3] == whole[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "cluster.n_rouds=3"], "did you mean 'n_rounds'"),
        (["--set", "data.subset=1"], "subset must be an integer"),
        (["--set", "data.name=arrays", "data.path=nowhere.npy"], "data (arrays) has no key 'images'"),
        (["--seeds", "1", "1"], "seeds has to be a list of different integers"),
        (["--data-home", __file__], "data_home must be a folder"),
    ],
)
def test_errors_are_one_line_and_status_2(config_path, tmp_path, capsys, arguments, message):
    assert main([str(config_path), "--output", str(tmp_path / "run"), *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_missing_data_says_what_to_do(tmp_path, capsys):
    config = {"data": {"name": "arrays", "path": "nowhere.npy"}}
    (tmp_path / "own.json").write_text(json.dumps(config))
    assert main([str(tmp_path / "own.json"), "--output", str(tmp_path / "run")]) == 2
    assert "nowhere.npy" in capsys.readouterr().err


def test_traceback_on_demand(config_path, capsys):
    assert main([str(config_path), "--set", "data.subset=1", "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interruption_says_how_to_go_on(config_path, tmp_path, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "make_kingdra", interrupted)
    assert main([str(config_path), "--output", str(tmp_path / "run")]) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().err


def test_pending_seeds_of_a_new_folder(tmp_path):
    config = configuration.resolve(DIGITS | {"seeds": [2, 0]}, "x")
    assert pending_seeds(tmp_path / "none", config, resume=False) == [2, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--texts", "a.txt"], "it holds no finished seed of a run"),
        (["--array", "a.npy"], "has no features and no config.json"),
    ],
)
def test_predict_needs_a_finished_seed(tmp_path, capsys, arguments, message):
    assert main(["predict", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_predict_names_the_seeds_of_a_run(finished, capsys):
    assert main(["predict", str(finished), "--array", "a.npy"]) == 2
    assert "name one of its seeds: seed_0, seed_1" in capsys.readouterr().err


def test_predict_refuses_texts_for_a_model_of_images(finished, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    assert main(["predict", str(finished / "seed_0"), "--texts", str(tmp_path / "texts.txt")]) == 2
    assert "numeric rows" in capsys.readouterr().err
