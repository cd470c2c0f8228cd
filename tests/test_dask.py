"""Members on a Dask cluster: rows are sent once, workers may die, the bits are those of one process."""

import os
import signal
import threading

import numpy as np
import pytest
from joblib import delayed, parallel_config
from scipy import sparse

from kingdra_cluster import dask_members
from kingdra_cluster.dask_members import DaskMembers
from kingdra_cluster.parallel import member_workers
from tests.deadly_members import same_fit
from tests.test_resume import make
from tests.worker_calls import describe, double, fail

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # distributed leaves a socket open where the port of a worker's dashboard is taken
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LARGE = np.ones((1000, 300))
OPTIONS = {"n_members": 3, "n_rounds": 3, "start": "communities", "labeller": "consensus", "epochs_first_round": 2}


@pytest.fixture(scope="module")
def here():
    """A cluster of two workers in threads of this process: quick to start."""
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(**options) as client:
        yield client


@pytest.fixture
def workers(here):
    with parallel_config("dask"), member_workers(1, 1) as workers:
        yield workers


@pytest.fixture
def scattered(workers, monkeypatch):
    """What is scattered, one entry a time."""
    seen, scatter = [], workers.client.scatter
    monkeypatch.setattr(workers.client, "scatter", lambda X, **options: seen.append(X) or scatter(X, **options))
    return seen


def test_inside_a_dask_cluster_its_workers_are_used_whatever_n_jobs(workers):
    assert isinstance(workers, DaskMembers)


def test_results_come_in_the_order_of_the_calls(workers):
    assert workers(delayed(double)(value) for value in range(7)) == [0, 2, 4, 6, 8, 10, 12]
    assert workers([]) == []


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_large_rows_are_sent_once_for_all_calls_and_rounds(workers, scattered, kind):
    X = kind(LARGE)
    for _ in range(2):
        seen = workers(delayed(describe)(X, factor=factor) for factor in (1, 2, 3))
        assert [total for _, total, _ in seen] == [300_000.0, 600_000.0, 900_000.0]
    assert [rows is X for rows in scattered] == [True]


def test_rows_in_a_file_that_the_workers_see_are_not_sent(workers, scattered, tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", LARGE)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert workers([delayed(describe)(X)])[0][:2] == ("SharedRows", 300_000.0)
    assert scattered == []
    monkeypatch.setattr(dask_members, "_files", lambda place: [(str(tmp_path / "X.npy"), 1, 1)])  # another file there
    assert workers([delayed(describe)(X[1:])])[0][:2] != ("SharedRows", 299_700.0)
    assert len(scattered) == 1


def test_rows_are_sent_again_when_all_that_held_them_died(workers, scattered, monkeypatch):
    gather, failures = workers.client.gather, [distributed.client.FutureCancelledError("X", "lost dependencies")]
    monkeypatch.setattr(workers.client, "gather", lambda futures: _raise(failures) or gather(futures))
    assert workers([delayed(describe)(LARGE)])[0][1] == 300_000.0
    assert len(scattered) == 2
    failures += [distributed.client.FutureCancelledError("X", "lost dependencies")] * 3
    with pytest.raises(distributed.client.FutureCancelledError):
        workers([delayed(describe)(LARGE)])


def _raise(failures):
    if failures:
        raise failures.pop()


def test_an_error_in_a_call_is_raised_here(workers):
    with pytest.raises(FloatingPointError, match="no number"):
        workers([delayed(fail)(1)])


# Whole fits in processes


@pytest.fixture(scope="module")
def rows():
    groups = np.repeat(np.eye(3, 100), 600, axis=0) * 4
    return groups + np.random.default_rng(0).normal(scale=0.3, size=(1800, 100))


@pytest.fixture(scope="module")
def expected(rows):
    return make(**OPTIONS).fit(rows)


def fit_on_cluster(n_workers, rows, callback=None):
    """Fit on processes of this machine; ``callback(pids)`` is called after the first round."""
    options = {"n_workers": n_workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client, parallel_config("dask"):
        pids = list(client.run(os.getpid).values())

        def after_round(estimator, record):
            if callback is not None and record["round"] == 0:
                callback(pids)

        return make(**OPTIONS, callbacks=[after_round]).fit(rows)


def kill_soon(pids):
    threading.Timer(0.3, os.kill, (pids[0], signal.SIGKILL)).start()


@pytest.mark.slow
def test_a_cluster_gives_the_bits_of_one_process_also_when_a_worker_is_killed(rows, expected):
    model = fit_on_cluster(2, rows, kill_soon)
    same_fit(model, expected)
    assert model.history_[0]["workers_peak_mb"] > 200
    assert expected.history_[0]["workers_peak_mb"] == 0


@pytest.mark.slow
def test_the_only_worker_may_be_killed(rows, expected):
    same_fit(fit_on_cluster(1, rows, kill_soon), expected)
