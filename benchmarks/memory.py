"""Memory of a process and all that it started, with pages that several of them share counted once (Linux only)."""

import subprocess
import sys
import threading
from pathlib import Path

MB = 10**6
SECONDS = 0.25  # between two looks
IMPORTS = "import keras, tensorflow, kingdra_cluster; keras.ops.zeros(1); print('ready', flush=True); input()"


def family(process):
    """Return the numbers of a process and of its descendants."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has gone meanwhile
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def together_mb(processes):
    """Return the proportional set size of processes in MB: a page that k processes share counts 1/k in each."""
    total = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / MB


def imports_mb(n_processes):
    """Return what so many processes that have only imported this package and TensorFlow take together, in MB."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    root = Path(__file__).resolve().parents[1]
    started = [subprocess.Popen([sys.executable, "-c", IMPORTS], cwd=root, **pipes) for _ in range(n_processes)]
    try:
        for one in started:
            one.stdout.readline()
        return together_mb([one.pid for one in started])
    finally:
        for one in started:
            one.communicate(b"\n")


class PeakMemory:
    """Context in which the memory of this process and its descendants is looked at four times a second.

    Attributes
    ----------
    mb : float
        The largest sum that was seen.
    """

    def __init__(self, process):
        self.process, self.mb, self._over = process, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._over.wait(SECONDS):
            self.mb = max(self.mb, together_mb(family(self.process)))

    def __enter__(self):
        self.mb = together_mb(family(self.process))
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        self.mb = max(self.mb, together_mb(family(self.process)))
