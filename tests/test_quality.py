"""The page of results says what the files of the runs say."""

import importlib.util
import json

import pytest
from fake_estimator import make_fake

from experiments import stages
from experiments.cli import main
from experiments.signatures import ROOT
from kingdra_cluster.persistence import read_json

spec = importlib.util.spec_from_file_location("quality", ROOT / "benchmarks" / "quality.py")
quality = importlib.util.module_from_spec(spec)
spec.loader.exec_module(quality)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    config = {"data": {"name": "digits", "subset": 80}, "cluster": {"n_members": 2, "n_rounds": 2}, "seeds": [0, 1]}
    (folder / "kingdra_ladder_im_digits.json").write_text(json.dumps(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "make_kingdra", make_fake)
        assert main([str(folder / "kingdra_ladder_im_digits.json"), "--output", str(folder / "run")]) == 0
    return [folder / "run"]


def test_page_holds_the_numbers_of_the_files(runs, tmp_path):
    assert quality.main([str(runs[0]), "--output", str(tmp_path / "results.md")]) == 0
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    summary = read_json(runs[0] / "summary.json")
    mean, std = summary["mean"], summary["std"]
    assert "## kingdra_ladder_im_digits" in text
    assert "80 rows drawn at random of 64 columns" in text
    assert "seeds 0, 1" in text
    assert "2 rounds, " in text
    for method in ("kmeans", "member_mean", "ensemble", "kingdra"):
        assert f"| {100 * mean[method]['acc']:.1f} ± {100 * std[method]['acc']:.1f} |" in text


def test_published_column_stands_beside_known_data(runs):
    summary = read_json(runs[0] / "summary.json") | {"data": "mnist"}
    config = read_json(runs[0] / "seed_0" / "config.json")
    lines = quality.section(summary, config)
    assert lines[-1].endswith("| 98.5 ± 0.4 |")


def test_commands_name_existing_configurations(capsys):
    assert quality.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(quality.REDUCED)
    for line in lines:
        assert (ROOT / line.split()[2]).is_file()


def test_reduced_settings_are_valid():
    for command in quality.commands().values():
        assert main([*command[2:], "--dry-run"]) == 0


def test_folder_without_a_finished_seed(tmp_path, capsys):
    assert quality.main([str(tmp_path)]) == 2
    assert "has no finished seed" in capsys.readouterr().err
