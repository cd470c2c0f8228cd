"""Where the members of a round are trained: in this process, in worker processes, or on a cluster."""

import os
import tempfile
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue

from joblib import effective_n_jobs
from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor
from joblib.externals.loky.backend import resource_tracker
from joblib.parallel import get_active_backend

from kingdra_cluster.dask_members import DaskMembers
from kingdra_cluster.members import claim_threads
from kingdra_cluster.processes import end_with_parent
from kingdra_cluster.shared_rows import is_large, share_rows

ATTEMPTS = 3  # to train a member whose worker process dies
IDLE_SECONDS = 300  # until an unused worker ends
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

_idle_executors = []  # (threads, executor): a worker that has imported TensorFlow is worth keeping


def member_workers(n_jobs, threads):
    """Return what trains members, each with the same number of threads wherever it runs.

    It is a context manager, called with an iterable of `joblib.delayed` calls.  One job runs in this process if
    TensorFlow has, or can still be given, ``threads`` threads here; if not, in a worker process, because the last
    bits depend on the threads.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn; None means 1 unless inside ``joblib.parallel_config``.  On a Dask cluster all its workers
        take part, whatever ``n_jobs``.
    threads : int

    Returns
    -------
    ThisProcess, MemberProcesses or DaskMembers

    Raises
    ------
    ValueError
        For the threading backend (TensorFlow's global state is shared by threads) and for
        multiprocessing (TensorFlow does not survive a fork).
    """
    backend = get_active_backend()[0]
    name = type(backend).__name__
    if name == "DaskDistributedBackend":
        return DaskMembers(backend)
    n_workers = effective_n_jobs(n_jobs)
    if n_workers == 1:
        return ThisProcess() if claim_threads(threads) else MemberProcesses(1, threads)
    if name != "LokyBackend":
        raise ValueError(
            f"n_jobs={n_jobs} needs joblib's loky or dask backend; received {name}, TensorFlow can't run so"
        )
    return MemberProcesses(n_workers, threads)


class ThisProcess:
    """Makes calls here, one after the other."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Do nothing."""

    def __call__(self, calls):
        """Make all calls and return their results in order."""
        return [function(*arguments, **options) for function, arguments, options in calls]


class MemberProcesses:
    """Worker processes that fail alone: where one dies, another takes its place and repeats its call, no other one.

    joblib's own pool of processes ends as a whole with any of its workers.  Here each worker is a pool of its own.

    Parameters
    ----------
    n_processes : int
    threads : int
        Threads of numerical libraries in each, TensorFlow's aside.
    """

    def __init__(self, n_processes, threads):
        self.n_processes = n_processes
        self.threads = threads
        self._folder = None
        self._shared = []  # pairs of an array and its place on disk

    def __enter__(self):
        """Start, or take over, the worker processes."""
        self._stopping = False
        self._executors = [_take_executor(self.threads) for _ in range(self.n_processes)]
        self._free = SimpleQueue()
        for executor in self._executors:
            self._free.put(executor)
        return self

    def __exit__(self, kind, error, trace):
        """Keep the workers for the next fit, or end them at once after an error; remove what was written."""
        if kind is None:
            _idle_executors.extend((self.threads, executor) for executor in self._executors)
        else:
            self._stop()
        self._shared.clear()
        if self._folder is not None:
            self._folder.cleanup()
            resource_tracker.unregister(self._folder.name, "folder")
            self._folder = None

    def __call__(self, calls):
        """Make all calls and return their results in order.

        Parameters
        ----------
        calls : iterable of tuple (function, arguments, options)
            See `joblib.delayed`.  Large arrays and CSR matrices among the arguments (not the options) travel by their
            place on disk, to which they are written once.

        Raises
        ------
        RuntimeError
            If a worker process dies three times over the same call.
        """
        calls = [
            (function, [self._place(argument) for argument in arguments], options)
            for function, arguments, options in calls
        ]
        with ThreadPoolExecutor(self.n_processes) as dispatchers:
            waiting = [dispatchers.submit(self._run, *call) for call in calls]
            try:
                wait(waiting, return_when=FIRST_EXCEPTION)
                return [result.result() for result in waiting if result.done()]
            except BaseException:
                for result in waiting:
                    result.cancel()
                self._stop()
                raise

    def _run(self, function, arguments, options):
        for _ in range(ATTEMPTS):
            executor = self._free.get()
            try:
                return executor.submit(function, *arguments, **options).result()
            except BrokenProcessPool as error:
                death = error
                executor = self._replace(executor)
            finally:
                self._free.put(executor)
        raise RuntimeError(
            f"a worker process died {ATTEMPTS} times while it trained the same member, most often for lack of memory: "
            f"fewer n_jobs or a smaller batch_size may help; the last time: {' '.join(str(death).split())}"
        ) from death

    def _replace(self, broken):
        if self._stopping:
            raise RuntimeError("the workers were stopped")
        executor = _new_executor(self.threads)
        self._executors[self._executors.index(broken)] = executor
        return executor

    def _stop(self):
        """End all workers, busy or not."""
        self._stopping = True
        for executor in self._executors:  # loky's own way to kill its processes is not safe with threads
            for process in list((executor._processes or {}).values()):
                process.terminate()

    def _place(self, argument):
        """Return a large array or CSR matrix as its place on disk, anything else as it is."""
        if not is_large(argument):
            return argument
        for known, place in self._shared:
            if known is argument:
                return place
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="kingdra_cluster-")
            resource_tracker.register(self._folder.name, "folder")  # removed even if this process is killed
        folder = Path(self._folder.name) / str(len(self._shared))
        folder.mkdir()
        place = share_rows(argument, folder)
        self._shared.append((argument, place))
        return place


def _take_executor(threads):
    for entry in reversed(_idle_executors):
        if entry[0] == threads:
            _idle_executors.remove(entry)
            return entry[1]
    return _new_executor(threads)


def _new_executor(threads):
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    orphans = {"initializer": end_with_parent, "initargs": (os.getpid(),)}
    return ProcessPoolExecutor(max_workers=1, timeout=IDLE_SECONDS, env=environment, **orphans)
