import numpy as np
import pytest

from benchmarks import labellers
from benchmarks.labellers import POLICIES, main, prepared, tables
from benchmarks.reports import with_runs_of
from kingdra_cluster import KingdraCluster


def test_policies_differ_from_the_default_in_arguments_of_the_estimator():
    usual = KingdraCluster().get_params()
    assert POLICIES["default"] == {}
    for policy in POLICIES.values():
        assert policy.keys() <= usual.keys()
        assert all(usual[name] != value for name, value in policy.items())


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning", "ignore::kingdra_cluster.PseudoLabelWarning")
def test_smoke_run_writes_files_that_become_tables_and_are_not_run_twice(tmp_path, capsys):
    command = ["run", "digits", "--smoke", "--seeds", "0", "1"]
    command += ["--policies", "default", "published rule", "--output", str(tmp_path)]
    assert main(command) == 0
    assert capsys.readouterr().out.count(" %") == 4
    assert main(command) == 0
    assert capsys.readouterr().out == ""
    page, report = tmp_path / "page.md", tmp_path / "report.json"
    assert main(["table", str(tmp_path), "--report", str(report), "--output", str(page)]) == 0
    text = page.read_text()
    assert text == tables(with_runs_of(report, [], ("data", "policy", "seed")))
    assert text.count("| digits | default | 2 |") == 1
    assert text.count("| digits | published rule | 2 |") == 1
    assert text.count("| digits | default | consensus |") == text.count("| digits | default | published |") == 1
    for path in [*tmp_path.glob("*--0.npz"), *tmp_path.glob("*published_rule--1.npz")]:
        path.unlink()
    assert main(["table", str(tmp_path), "--report", str(report), "--output", str(page)]) == 0
    assert page.read_text() == text  # the report still holds the runs whose files are gone
    assert main(["table", str(tmp_path), "--output", str(page)]) == 0
    assert "| digits | default | 1 |" in page.read_text()


def test_two_data_sets_side_by_side_are_two_spaces(tmp_path):
    digits = {"data": {"name": "digits", "subset": 90, "features": None}}
    X, truth, settings = prepared([digits, digits], None)
    assert settings == {"spaces": [(0, 64), (64, 128)]}
    alone, same, _ = prepared([digits], None)
    np.testing.assert_array_equal(X.toarray(), np.hstack([alone, alone]))
    np.testing.assert_array_equal(truth, same)
    np.savez(tmp_path / "half.npz", X=alone.astype(np.float16), y=truth)  # vectors are often kept in half precision
    half = {"data": {"name": "arrays", "path": "half.npz", "features": {"kind": "none"}}}
    X, *_ = prepared([half, digits], tmp_path)
    np.testing.assert_allclose(X.toarray(), np.hstack([alone, alone]), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="other rows or classes"):
        prepared([digits, {"data": {"name": "digits", "subset": 80, "features": None}}], None)


def test_an_empty_folder_is_an_error_in_one_line(tmp_path, capsys):
    assert main(["table", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: there are no files of runs in")
    with pytest.raises(SystemExit):
        main(["run", "digits", "--policies", "best", "--output", str(tmp_path)])


def test_the_page_says_what_the_last_round_costs_against_the_best():
    rounds = [[(0.5, 0.8), (0.9, 0.83)], [(0.6, 0.9), (0.8, 0.86)]]
    runs = [[{"agreement": agreement, "acc": acc} for agreement, acc in run] for run in rounds]
    said = labellers._criterion(runs)
    assert "higher in the last round than in the first in 100% of the runs" in said
    assert "best round in 50% of 2 runs, 4.0 less in the worst, 2.00 less on average" in said
