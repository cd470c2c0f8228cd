"""The benchmark of peers: separate processes, files that accumulate, failures that are shown, a table from files."""

import json
import sys

import numpy as np
import pytest

from benchmarks import peers, tables
from benchmarks.peer_methods import METHODS, OWN_NUMBER, clustpy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    arguments = ["run", "digits", "--smoke", "--seeds", "0", "1", "--output", str(folder)]
    assert peers.main([*arguments, "--methods", "k-means"]) == 0
    return folder


def result(folder, method="k-means", seed=0):
    return json.loads((folder / "digits" / f"{method}_{seed}.json").read_text(encoding="utf-8"))


def test_a_fit_leaves_scores_and_costs(folder):
    found = result(folder)
    assert found["rows"] == 200
    assert 0.5 < found["acc"] <= 1
    assert found["clusters"] == 10
    assert found["seconds"] > 0
    assert found["peak_rss_mb"] is None or found["peak_rss_mb"] > 20


def test_what_is_there_is_not_run_again(folder, monkeypatch):
    monkeypatch.setattr(peers, "run_one", lambda *_: pytest.fail("run again"))
    peers.main(["run", "digits", "--smoke", "--seeds", "0", "--methods", "k-means", "--output", str(folder)])


def test_a_peer_that_is_missing_is_in_the_table_with_its_reason(folder, monkeypatch):
    failed = {"failed": "ModuleNotFoundError: No module named 'clustpy'"}
    seen = []
    monkeypatch.setattr(peers, "run_one", lambda *arguments: seen.append(arguments) or failed)
    options = ["--smoke", "--seeds", "0", "--output", str(folder), "--python", "other"]
    peers.main(["run", "digits", "--methods", "DEC", "Kingdra", *options])
    assert [arguments[4] for arguments in seen] == ["other", sys.executable]
    peers.main(["table", str(folder), "--output", str(folder / "peers.md"), "--report", str(folder / "peers.json")])
    text = (folder / "peers.md").read_text(encoding="utf-8")
    assert "| DEC | failed: ModuleNotFoundError: No module named 'clustpy' | | | | | | |" in text
    acc = [100 * result(folder, seed=seed)["acc"] for seed in (0, 1)]
    assert f"| k-means | 0, 1 | {np.mean(acc):.1f} ± {np.std(acc, ddof=1):.1f} |" in text
    lines = tables.peers(json.loads((folder / "peers.json").read_text(encoding="utf-8")))[1]
    others = [None] * (len(tables.PEERS) - 1)
    assert lines == [["digits", 200, f"{np.mean(acc):.1f} ± {np.std(acc, ddof=1):.1f}", *others]]


def test_noise_counts_as_one_cluster_of_its_own(folder, monkeypatch):
    truth = np.arange(6) // 2

    def answer(command, **_):
        facts = json.dumps({"seconds": 1.0, "peak_rss_mb": None})
        np.savez(command[-1], labels=[4, 4, 7, 7, -1, -1], facts=facts)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(peers.subprocess, "run", answer)
    found = peers.run_one("UMAP + HDBSCAN", "rows", truth, 0, sys.executable, 1.0)
    assert (found["acc"], found["clusters"], found["noise"]) == (1.0, 2, pytest.approx(1 / 3))
    assert peers._line("DDC", [found | {"seed": 0}]) == "| DDC | 0 | 100.0 | 100.0 | 100.0 | 2 (its own) | 1.0 | - |"


def test_a_fit_that_takes_too_long_is_told_so(folder):
    found = peers.run_one("k-means", folder / "digits" / "rows.npz", np.arange(10), 0, sys.executable, 0.01)
    assert found == {"failed": "not finished after 0.01 seconds"}


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.parametrize("method", ["Gaussian mixture", "spectral"])
def test_methods_of_scikit_learn_label_every_row(method):
    X = np.repeat(np.eye(3, 4, dtype="float32"), 20, axis=0) + np.random.default_rng(0).normal(scale=0.05, size=(60, 4))
    labels = METHODS[method](X.astype("float32"), 3, 0)()
    assert len(np.unique(labels[:20])) == 1
    assert len(np.unique(labels)) == 3


def test_every_method_says_what_it_does():
    assert all(method.__doc__ for method in METHODS.values())
    assert set(OWN_NUMBER) < set(METHODS)
    assert "DEC" in clustpy("DEC").__doc__
