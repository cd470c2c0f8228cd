"""Of the processes in which members are trained: how much memory one has needed, and when one ends."""

import os
import sys
import threading
import time

MB = 10**6
PARENT_SECONDS = 1.0  # between two looks at whether the parent lives


def peak_mb():
    """Return the largest resident memory of this process since it began, in MB of 10^6 bytes; None where unknown.

    It counts pages of files that are mapped, such as libraries and shared rows, in every process that has read them,
    so that the sum over processes is an upper bound.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # getrusage knows of the parent's memory, too
            peaks = [line.split()[1] for line in status if line.startswith("VmHWM:")]
        return round(int(peaks[0]) * 1024 / MB, 1)
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB, 1)


def end_with_parent(parent):
    """End this process soon after its parent, the process of that number, has gone: nobody waits for its work then."""

    def watch():
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True).start()
