"""Where the members of a round are trained: in this process, in worker processes, or on a cluster."""

from joblib import Parallel, effective_n_jobs
from joblib.parallel import get_active_backend

from kingdra_cluster.members import claim_threads


def member_workers(n_jobs, threads):
    """Return the ``joblib.Parallel`` that trains members, each with the same number of threads wherever it runs.

    One job runs in this process if TensorFlow has, or can still be given, ``threads`` threads here;
    if not, in worker processes, one member at a time, because the last bits depend on the threads.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn; None means 1 unless inside ``joblib.parallel_config``.
    threads : int

    Raises
    ------
    ValueError
        For the threading backend (TensorFlow's global state is shared by threads) and for
        multiprocessing (TensorFlow does not survive a fork).
    """
    if effective_n_jobs(n_jobs) == 1:
        if claim_threads(threads):
            return Parallel(n_jobs=1)
        return Parallel(n_jobs=2, backend="loky", pre_dispatch=1, batch_size=1)
    backend = get_active_backend()[0]
    name = type(backend).__name__
    if getattr(backend, "uses_threads", False) or name == "MultiprocessingBackend":
        raise ValueError(
            f"n_jobs={n_jobs} needs joblib's loky or dask backend; received {name}, TensorFlow can't run so"
        )
    return Parallel(n_jobs=n_jobs)
