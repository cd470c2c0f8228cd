"""What is checked before any data is loaded, and what --dry-run prints."""

import json

import pytest

from experiments import config as configuration
from experiments.cli import main
from experiments.signatures import ROOT

DIGITS_CONFIG = str(ROOT / "configs" / "kingdra_ladder_im_digits.json")


def test_dry_run_prints_the_whole_configuration_and_writes_nothing(tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["--set", "cluster.n_rounds=7", "--seeds", "4", "5", "--n-jobs", "2", "--output", str(folder)]
    assert main([DIGITS_CONFIG, *arguments, "--dry-run"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["cluster"]["n_rounds"] == 7
    assert printed["cluster"]["n_jobs"] == 2
    assert printed["seeds"] == [4, 5]
    assert not folder.exists()
    assert configuration.resolve(printed, "x") == printed


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry", "real"])
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("cluster.mode.noise_std=-1", "noise_std must be a finite number of at least 0"),
        ("cluster.mode.hidden_units=[0]", "every entry of hidden_units must be an integer of at least 1"),
        ("cluster.mode.learning_rate=0", "learning_rate must be a finite number of more than 0"),
        ("cluster.mode.matmul_precision=float8", "matmul_precision must be one of"),
        ("cluster.mode.batch_size=0", "batch_size must be an integer of at least 2"),
        ("refine.split=none", "split must be one of"),
        ('refine.embeddings={"mode": "simclr", "n_outputs": 0}', "n_outputs must be an integer of at least 1"),
        ('data.features={"kind":"tfidf","max_features":-3}', "max_features must be an integer of at least 1, or None"),
    ],
)
def test_values_are_checked_before_any_data_is_loaded(tmp_path, monkeypatch, capsys, dry, setting, message):
    monkeypatch.setattr("experiments.datasets.load", lambda *_, **__: pytest.fail("data was loaded"))
    assert main([DIGITS_CONFIG, "--set", setting, "--output", str(tmp_path / "run"), *dry]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_a_dry_run_does_not_look_for_files(tmp_path, capsys):
    missing = ["cluster.name=checkpoint", "cluster.path=nowhere.tar", "refine.e_model=none.tar"]
    (tmp_path / "bare.json").write_text('{"data": "digits"}')
    assert main([str(tmp_path / "bare.json"), "--set", *missing, "--dry-run"]) == 0, capsys.readouterr().err
    assert main([str(tmp_path / "bare.json"), "--set", *missing]) == 2
    assert "not found" in capsys.readouterr().err
