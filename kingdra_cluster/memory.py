"""How much memory a process has needed."""

import sys

MB = 10**6


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
