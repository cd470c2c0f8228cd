import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kingdra_cluster import KingdraCluster, LadderIM
from kingdra_cluster.checkpoints import Checkpoints, fit_identity
from kingdra_cluster.persistence import replacing

IDENTITY = {"data": "abc", "seed": 3, "n_members": 2, "mode hidden_units": [8], "tol": None}


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def finish_round(checkpoints, index, **progress):
    for member in range(2):
        path = checkpoints.member_path(index, member)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("state")
    checkpoints.save_round(index, {"history": [index], "reused": False, **progress}, {"labels": np.full(3, index)})


def test_an_empty_folder_has_no_round(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new" / "folder", IDENTITY)
    assert checkpoints.last_round() is None
    assert json.loads((tmp_path / "new" / "folder" / "run.json").read_text()) == IDENTITY


def test_the_last_finished_round_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 0, reused=False)
    finish_round(checkpoints, 1, reused=True)
    checkpoints.member_path(2, 0).parent.mkdir()
    checkpoints.member_path(2, 0).write_text("state of a round in progress")
    checkpoints.close()
    index, progress, arrays = Checkpoints(tmp_path, dict(IDENTITY)).last_round()
    assert (index, progress) == (1, {"history": [1], "reused": True})
    np.testing.assert_array_equal(arrays["labels"], [1, 1, 1])


def test_a_relative_folder_stays_where_it_was_when_the_working_directory_changes(tmp_path, monkeypatch):
    """Worker processes, too, stand where they were started."""
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("state", {})
    assert checkpoints.member_path(0, 0) == tmp_path / "state" / "round_0000" / "member_000.npz"
    checkpoints.close()


def test_finished_rounds_are_pruned_and_the_one_in_progress_is_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    for index in range(3):
        finish_round(checkpoints, index)
    checkpoints.member_path(3, 1).parent.mkdir()
    checkpoints.member_path(3, 1).write_text("state")
    finish_round(checkpoints, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round_0002", "round_0003", "run.json"]


def test_a_round_that_was_being_pruned_when_the_fit_was_killed_is_pruned_by_the_next(tmp_path):
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        finish_round(checkpoints, 1)
        for left in ("round_0000", "round_0002"):
            (tmp_path / left).mkdir()
            (tmp_path / left / "member_001.npz").write_text("state")
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        assert checkpoints.last_round()[0] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round_0001", "round_0002", "run.json"]


def test_a_round_without_its_last_file_is_not_finished(tmp_path):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 0)
    (tmp_path / "round_0001").mkdir()
    for name in ("member_000.npz", "round.npz"):
        (tmp_path / "round_0001" / name).write_bytes(b"")
    assert checkpoints.last_round()[0] == 0


def test_rounds_are_counted_as_numbers_not_as_words(tmp_path):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 9)
    finish_round(checkpoints, 10)
    assert checkpoints.last_round()[0] == 10
    assert checkpoints.member_path(7, 3).parts[-2:] == ("round_0007", "member_003.npz")


@pytest.mark.parametrize(
    ("key", "value"), [("data", "xyz"), ("seed", 4), ("mode hidden_units", [8, 8]), ("tol", 0.1), ("new", 1)]
)
def test_another_fit_is_told_what_differs_and_changes_nothing(tmp_path, key, value):
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        finish_round(checkpoints, 0)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f"belongs to another fit: {key} was .* and is {value!r}".replace("[", r"\[")):
        Checkpoints(tmp_path, IDENTITY | {key: value})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\x80\x81"])
def test_a_damaged_description_is_an_error(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.json|checkpoint_dir"):
        Checkpoints(tmp_path, IDENTITY)
    assert (tmp_path / "run.json").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content"), [("round.json", b"{ damaged"), ("round.json", b'{"history": []}'), ("round.npz", b"{ damaged")]
)
def test_a_damaged_round_is_an_error(tmp_path, name, content):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 0)
    (tmp_path / "round_0000" / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        checkpoints.last_round()


def test_a_full_disk_leaves_the_finished_round(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 0)

    def full_disk(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        finish_round(checkpoints, 1)
    monkeypatch.undo()
    assert checkpoints.last_round()[0] == 0
    assert checkpoints.member_path(0, 1).is_file()
    assert not [path.name for path in tmp_path.rglob(".*")]


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files")
def test_a_disk_that_fills_up_in_the_middle_of_a_file_is_named_and_leaves_the_finished_round(tmp_path):
    """The system itself refuses to write on, as it does when a disk is full."""
    import resource
    import signal

    checkpoints = Checkpoints(tmp_path, IDENTITY)
    finish_round(checkpoints, 0)
    before = contents(tmp_path)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*round_0001.round\.npz"):
            checkpoints.save_round(1, {"history": []}, {"labels": np.zeros(10**6)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert contents(tmp_path) == before
    assert checkpoints.last_round()[0] == 0


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        finish_round(checkpoints, 0)
    with replacing(tmp_path / "x.npz") as unfinished:
        left = [tmp_path / unfinished.name, tmp_path / "round_0000" / unfinished.name]
    for path in left:
        path.write_text("half a st")
    (tmp_path / ".mine").write_text("")
    before = contents(tmp_path)
    Checkpoints(tmp_path, IDENTITY).close()
    assert before.keys() - contents(tmp_path).keys() == {str(path.relative_to(tmp_path)) for path in left}


def test_rounds_without_a_description_are_refused(tmp_path):
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        finish_round(checkpoints, 0)
    (tmp_path / "run.json").unlink()
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"holds rounds of a fit but no run\.json"):
        Checkpoints(tmp_path, IDENTITY)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="locks")
def test_a_folder_in_use_is_refused_until_its_user_has_gone(tmp_path):
    with closing(Checkpoints(tmp_path, IDENTITY)):
        before = contents(tmp_path)
        with pytest.raises(RuntimeError, match=r"checkpoint_dir=.* is in use by another fit"):
            Checkpoints(tmp_path, IDENTITY)
        assert contents(tmp_path) == before
    Checkpoints(tmp_path, IDENTITY).close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_user_of_a_folder_keeps_nobody_out(tmp_path):
    code = "import sys, time; from kingdra_cluster.checkpoints import Checkpoints; c = Checkpoints(sys.argv[1], {}); "
    code += "print('ready', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(RuntimeError, match="in use"):
            Checkpoints(tmp_path, {})
        process.kill()
    Checkpoints(tmp_path, {}).close()


def test_a_member_written_on_another_machine_is_an_error_that_says_so(tmp_path):
    with closing(Checkpoints(tmp_path, IDENTITY)) as checkpoints:
        finish_round(checkpoints, 0)
        checkpoints.check_members(0, 2)
        with pytest.raises(FileNotFoundError, match=r"member_002\.npz was written on another machine"):
            checkpoints.check_members(0, 3)


def test_without_a_folder_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    checkpoints = Checkpoints(None, IDENTITY)
    finish_round(checkpoints, 0)
    assert checkpoints.last_round()[0] == 0
    assert list(tmp_path.iterdir())
    checkpoints.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_the_users_stays(tmp_path):
    checkpoints = Checkpoints(tmp_path / "mine", IDENTITY)
    finish_round(checkpoints, 0)
    checkpoints.close()
    assert (tmp_path / "mine" / "round_0000" / "round.json").is_file()


def identity_of(X=None, seed=0, mode=None, **arguments):
    X = np.arange(12.0).reshape(6, 2) if X is None else X
    return fit_identity(KingdraCluster(**arguments), mode or LadderIM(), X, seed)


def test_what_changes_the_result_changes_the_identity():
    base = identity_of()
    assert base == identity_of()
    json.dumps(base, allow_nan=False)
    for changed in (
        identity_of(X=np.ones((6, 2))),
        identity_of(X=np.arange(12.0, dtype="float32").reshape(6, 2)),
        identity_of(seed=1),
        identity_of(mode=LadderIM(noise_std=0.4)),
        identity_of(mode=LadderIM(hidden_units=(1200, 1201))),
        identity_of(n_members=3),
        identity_of(high_agreement=4),
        identity_of(tol=None),
        identity_of(threads_per_member=2),
        identity_of(shared_mapping=True),
        identity_of(mi_weight_later=0.1),
    ):
        assert len([key for key in base if base[key] != changed[key]]) == 1


def test_what_changes_no_bit_does_not_change_the_identity():
    free = {"n_jobs": 2, "verbose": 1, "callbacks": [print], "checkpoint_dir": "elsewhere"}
    assert identity_of(**free) == identity_of()


def test_the_identity_names_the_versions_and_flags_on_which_bits_depend(monkeypatch):
    usual = identity_of()
    assert {"version of tensorflow", "version of keras", "version of faiss", "version of kingdra_cluster"} <= set(usual)
    assert not {"version of joblib", "version of networkx"} & set(usual)
    monkeypatch.setenv("XLA_FLAGS", "--of_another_run")
    changed = identity_of()
    assert [key for key in usual if usual[key] != changed[key]] == ["flags"]
