"""Worker processes: one dies alone, large rows travel by their place on disk, the bits are the same everywhere."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from joblib import delayed
from scipy import sparse

from kingdra_cluster import parallel, rounds, shared_rows
from kingdra_cluster.parallel import MemberProcesses
from kingdra_cluster.shared_rows import _mapped_from_file, open_rows, share_rows
from tests.deadly_members import same_fit, train_or_die_once
from tests.test_resume import make
from tests.worker_calls import describe, die, die_once, double, fail

pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


def test_results_come_in_the_order_of_the_calls():
    with MemberProcesses(2, 1) as workers:
        assert workers(delayed(double)(value) for value in range(7)) == [0, 2, 4, 6, 8, 10, 12]
        assert workers([]) == []


def test_workers_outlive_a_fit():
    pids = []
    for _ in range(2):
        with MemberProcesses(1, 1) as workers:
            pids.append(workers([delayed(os.getpid)()])[0])
    assert pids[0] == pids[1] != os.getpid()


@posix
def test_a_worker_that_dies_is_replaced_and_only_its_call_repeated(tmp_path):
    with MemberProcesses(2, 3) as workers:
        assert workers(delayed(die_once)(tmp_path, value) for value in range(4)) == [(v, "3") for v in range(4)]
        assert len(workers._executors) == 2
    calls = sorted(path.name.split("-")[0] for path in tmp_path.iterdir())
    assert calls == ["0", "1", "1", "2", "3"]


@posix
def test_a_call_that_kills_every_worker_is_given_up(tmp_path):
    with pytest.raises(RuntimeError, match=r"died 3 times.*memory.*SIGKILL"), MemberProcesses(2, 1) as workers:
        workers([delayed(die)(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_ends_all_workers_at_once():
    began = time.monotonic()
    with pytest.raises(FloatingPointError, match="no number"), MemberProcesses(2, 1) as workers:
        workers(delayed(fail)(value) for value in range(4))
    assert time.monotonic() - began < 45
    assert not any(executor._flags.broken for _, executor in parallel._idle_executors)


@posix
def test_workers_end_with_a_parent_that_is_killed():
    code = (
        "import os, time; from joblib import delayed; from kingdra_cluster.parallel import MemberProcesses\n"
        "with MemberProcesses(1, 1) as workers:\n"
        "    print(workers([delayed(os.getpid)()])[0], flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.kill()
    deadline = time.monotonic() + 60
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(worker)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout


# Rows


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_large_rows_travel_once_by_their_place(kind):
    X = kind(np.ones((1000, 300)))
    with MemberProcesses(2, 1) as workers:
        seen = workers(delayed(describe)(X, factor=factor) for factor in (1, 2, 3))
        folder = workers._folder.name
        assert len(os.listdir(folder)) == 1
        seen += workers([delayed(describe)(X)])
        assert len(os.listdir(folder)) == 1
    assert [(kind, total) for kind, total, _ in seen] == [("SharedRows", 300_000.0 * f) for f in (1, 2, 3, 1)]
    assert not os.path.exists(folder)


def test_small_rows_are_sent():
    with MemberProcesses(1, 1) as workers:
        assert workers([delayed(describe)(np.ones(5))])[0][:2] == ("ndarray", 5.0)
        assert workers._folder is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("window", [slice(None), slice(3, 9), slice(0, 0)])
def test_memory_mapped_rows_are_not_written_again(tmp_path, order, window):
    np.save(tmp_path / "X.npy", np.asarray(np.arange(60.0).reshape(12, 5), order=order))
    X = np.asarray(np.load(tmp_path / "X.npy", mmap_mode="r")[window])  # as scikit-learn's checks hand it on
    (tmp_path / "scratch").mkdir()
    opened = open_rows(share_rows(X, tmp_path / "scratch"))
    np.testing.assert_array_equal(opened, X)
    written = list((tmp_path / "scratch").iterdir())
    assert bool(written) == (order == "F" and window == slice(3, 9))  # rows of a Fortran array lie apart


def test_a_private_map_is_written_because_its_file_differs(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((4, 2)))
    X = np.load(tmp_path / "X.npy", mmap_mode="c")
    X[0] = 7
    np.testing.assert_array_equal(open_rows(share_rows(X, tmp_path / "..")), X)


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array"])
def test_sparse_rows_come_back_as_they_were(tmp_path, kind):
    X = getattr(sparse, kind)(sparse.random(40, 30, density=0.1, format="csr", random_state=0, dtype="float32"))
    opened = open_rows(share_rows(X, tmp_path))
    assert type(opened) is type(X)
    assert opened.dtype == X.dtype
    np.testing.assert_array_equal(opened.toarray(), X.toarray())
    assert all(_mapped_from_file(part) is not None for part in (opened.data, opened.indices, opened.indptr))


def test_shared_rows_are_read_only(tmp_path):
    opened = open_rows(share_rows(np.ones((3, 2)), tmp_path))
    with pytest.raises(ValueError, match="read-only"):
        opened[0] = 1


# Whole fits


@posix
def test_a_worker_killed_in_a_fit_costs_one_training_and_changes_no_bit(blobs, tmp_path, monkeypatch):
    expected = make(n_rounds=3).fit(blobs)
    monkeypatch.setattr(rounds, "train_member", train_or_die_once)
    same_fit(make(tmp_path, n_rounds=3, n_jobs=2).fit(blobs), expected)
    calls = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "calls").iterdir())
    rounds_of_two = [f"round_000{r}-member_00{m}" for r in range(3) for m in range(2)]
    assert calls == sorted([*rounds_of_two, "round_0001-member_001"])


def test_large_and_sparse_rows_give_the_same_bits_in_processes(tmp_path):
    X = sparse.random(3000, 200, density=0.5, format="csr", random_state=0, dtype="float32") + sparse.csr_matrix(
        np.repeat(np.eye(3, 200, dtype="float32"), 1000, axis=0) * 4
    )
    np.save(tmp_path / "X.npy", X.toarray())
    assert X.data.nbytes > shared_rows.SHARED_BYTES
    options = {"n_rounds": 1, "epochs_first_round": 1, "mode__batch_size": 256}
    here = make().set_params(**options).fit(X)
    for rows in (X, np.load(tmp_path / "X.npy", mmap_mode="r")):
        same_fit(make(n_jobs=2).set_params(**options).fit(rows), here)
