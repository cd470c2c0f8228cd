"""Where the time of a TensorFlow function goes, by kernel, from TensorFlow's own profiler."""

import collections
import contextlib
import statistics
import tempfile
from pathlib import Path


@contextlib.contextmanager
def kernel_seconds():
    """Profile the block; yields a Counter that afterwards holds each kernel's own seconds in the executor's threads.

    Of every operation the median of its executions counts, so that other processes' turns on the core do not.
    ``"dispatch"`` is what the executor spends between kernels.  Stays empty where this version of TensorFlow keeps
    its trace format elsewhere.
    """
    import tensorflow as tf

    found = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        try:
            yield found
        finally:
            tf.profiler.experimental.stop()
        for path in Path(folder).rglob("*.xplane.pb"):
            found.update(_read(path))


def _read(path):
    try:
        from tensorflow.tsl.profiler.protobuf import xplane_pb2
    except ImportError:
        return {}
    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    found = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            if line.name.startswith("tf_Compute"):
                for event, times in _own_seconds(plane, line).items():
                    name = event.split("#")[0].split(":")[-1]
                    name = "dispatch" if name in {"Process", "Start", "ExecutorDoneCallback"} else name
                    found[name.removeprefix("_Mkl")] += len(times) * statistics.median(times)
    return found


def _own_seconds(plane, line):
    """Seconds of every execution of each event, less those of the events inside it."""
    times, running = collections.defaultdict(list), []
    for event in sorted(line.events, key=lambda event: (event.offset_ps, -event.duration_ps)):
        name = plane.event_metadata[event.metadata_id].name
        while running and running[-1][1] <= event.offset_ps:
            running.pop()
        if running:
            times[running[-1][0]][running[-1][2]] -= event.duration_ps / 1e12
        times[name].append(event.duration_ps / 1e12)
        running.append((name, event.offset_ps + event.duration_ps, len(times[name]) - 1))
    return times
