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
        ("data.subset=true", "data (digits): subset has to be an integer of at least 1; got True"),
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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.path=5", "data (arrays): path has to be a text, or a list of texts; got 5."),
        ("data.path=[1]", "data (arrays): path has to be a text, or a list of texts; got [1]."),
        ("data.label_column=true", "data (arrays): label_column has to be a name, a number or null; got True."),
        ("data.key=3", "data (arrays): key has to be a text; got 3."),
        ("data.labels_path=3", "data (arrays): labels_path has to be a text or null; got 3."),
    ],
)
def test_options_of_the_data_have_to_be_of_their_kind(tmp_path, capsys, setting, message):
    (tmp_path / "own.json").write_text('{"data": {"name": "arrays", "path": "x.csv", "label_column": 0}}')
    assert main([str(tmp_path / "own.json"), "--set", setting, "--dry-run"]) == 2
    assert message in capsys.readouterr().err


def test_an_output_that_cannot_be_is_refused_before_any_data_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("experiments.datasets.load", lambda *_, **__: pytest.fail("data was loaded"))
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        assert main([DIGITS_CONFIG, "--output", str(folder)]) == 2
        assert f"--output must be a folder, received {folder}: {tmp_path / 'file'} is a file" in capsys.readouterr().err
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main([DIGITS_CONFIG, "--output", str(tmp_path / "run")]) == 2
    assert f"received {tmp_path / 'run'}: {tmp_path} cannot be written" in capsys.readouterr().err
