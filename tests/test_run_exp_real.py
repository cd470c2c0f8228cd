"""run_exp with the real estimator, as small as can be: a run, predictions, a published file, a kill and a resume."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from test_run_exp import DIGITS, TINY, read_labels

from experiments.cli import main
from experiments.run_folder import HistoryWriter
from experiments.signatures import ROOT
from kingdra_cluster.persistence import read_json


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A run of the real estimator, as small as can be."""
    folder = tmp_path_factory.mktemp("real")
    mode = {"name": "ladder", "hidden_units": [16]} | {"denoising_cost": [1000, 1, 0.1]}
    cluster = TINY | {"n_rounds": 2, "verbose": 0, "mode": mode}
    (folder / "tiny.json").write_text(json.dumps(DIGITS | {"cluster": cluster}), encoding="utf-8")
    assert main([str(folder / "tiny.json"), "--output", str(folder / "run")]) == 0
    return folder


@pytest.mark.filterwarnings("default")
def test_real_run_on_digits(real):
    metrics = read_json(real / "run" / "seed_0" / "metrics.json")
    assert metrics["rounds"] == 2
    assert metrics["member_epochs"] == 4
    assert 0.1 <= metrics["kingdra"]["acc"] <= 1
    assert metrics["peak_rss_mb"] > 100
    assert 0 <= metrics["ece"] <= 1
    assert [path.name for path in (real / "run" / "seed_0" / "checkpoints").iterdir()] == ["run.json"]


@pytest.mark.filterwarnings("default")
def test_predict_gives_the_labels_of_the_run(real, tmp_path, capsys):
    from PIL import Image
    from sklearn.datasets import load_digits

    from experiments.datasets import load

    seed = real / "run" / "seed_0"
    bunch = load("digits", images=True, subset=90)
    np.save(tmp_path / "items.npy", bunch.X)
    assert main(["predict", str(seed), "--array", str(tmp_path / "items.npy"), "--out", str(tmp_path / "out.csv")]) == 0
    with open(tmp_path / "out.csv", newline="") as file:
        predicted = [row["label"] for row in csv.DictReader(file)]
    assert predicted == [row["label"] for row in read_labels(seed)]
    (tmp_path / "images").mkdir()
    Image.fromarray(load_digits().images[0].astype("uint8")).save(tmp_path / "images" / "zero.png")
    capsys.readouterr()
    assert main(["predict", str(seed), "--images", str(tmp_path / "images")]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header == "row,label,confidence,file"
    assert line.endswith("zero.png")


@pytest.mark.parametrize("setting", ["cluster.n_clusters=0", "cluster.mode.noise_std=-1"])
def test_a_value_out_of_range_leaves_no_folder(tmp_path, capsys, setting):
    (tmp_path / "tiny.json").write_text(json.dumps(DIGITS), encoding="utf-8")
    assert main([str(tmp_path / "tiny.json"), "--set", setting, "--output", str(tmp_path / "run")]) == 2
    name = setting.split("=")[0].split(".")[-1]
    assert f"{name} must be" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("default")
def test_published_file_runs_unmodified(tmp_path, capsys):
    (tmp_path / "toy").mkdir()
    rng = np.random.default_rng(0)
    for name, array in (("X", rng.normal(size=(64, 6)).astype("float32")), ("Y", np.arange(64) % 3)):
        np.save(tmp_path / "toy" / f"{name}.npy", array)
    flat = {"training_path": "toy/X.npy", "n_class": 3, "fc_layer_sizes": [8, 8, 3]}
    flat |= {"ground_truth_path": "toy/Y.npy", "n_iter": 1, "n_en": 2, "high_th": 1}
    flat |= {"n_epochs_per_iter0": 1, "n_epochs_per_iter": 1, "low_th": 0, "med_th": 4, "thresh": 0, "batch_size": 32}
    (tmp_path / "toy.json").write_text(json.dumps(flat))
    assert main([str(tmp_path / "toy.json"), "--output", str(tmp_path / "run")]) == 0
    assert "Kingdra" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_labels(tmp_path):
    cluster = TINY | {"n_rounds": 4, "epochs_first_round": 8, "mode": {"name": "ladder", "hidden_units": [64, 64]}}
    (tmp_path / "tiny.json").write_text(json.dumps(DIGITS | {"cluster": cluster}), encoding="utf-8")
    command = [sys.executable, "run_exp.py", str(tmp_path / "tiny.json"), "--output"]
    subprocess.run([*command, str(tmp_path / "whole")], cwd=ROOT, check=True, capture_output=True)
    killed = tmp_path / "killed" / "seed_0" / "history.jsonl"
    process = subprocess.Popen([*command, str(tmp_path / "killed")], cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (killed.exists() and killed.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed.parent / "metrics.json").exists()
    subprocess.run([*command, str(tmp_path / "killed"), "--resume"], cwd=ROOT, check=True, capture_output=True)
    whole = tmp_path / "whole" / "seed_0"
    assert (killed.parent / "labels.csv").read_bytes() == (whole / "labels.csv").read_bytes()
    lines = [HistoryWriter(folder / "history.jsonl").read() for folder in (whole, killed.parent)]
    assert [line["round"] for line in lines[1]] == [0, 1, 2, 3]
    assert [line["acc"] for line in lines[0]] == [line.get("acc") for line in lines[1]]
