"""Functions that worker processes import without TensorFlow: some of them die."""

import os
import signal
import time
from pathlib import Path


def double(value):
    return 2 * value


def describe(rows, factor=1):
    """What a worker sees of an argument."""
    from kingdra_cluster.shared_rows import SharedRows, open_rows

    kind = type(rows).__name__
    if isinstance(rows, SharedRows):
        rows = open_rows(rows)
    return kind, float(factor * rows.sum()), os.getpid()


def die_once(folder, value):
    """Kill this process at the first call with a value, note every call."""
    first = not list(Path(folder).glob(f"{value}-*"))
    (Path(folder) / f"{value}-{time.monotonic_ns()}").touch()
    if value == 1 and first:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return value, os.environ["OMP_NUM_THREADS"]


def die(folder):
    (Path(folder) / str(time.monotonic_ns())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def fail(value):
    if value == 1:
        raise FloatingPointError("no number")
    time.sleep(60)
