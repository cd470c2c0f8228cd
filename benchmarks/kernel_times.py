"""Where the time of a TensorFlow function goes, by kernel, from TensorFlow's own profiler."""

import collections
import contextlib
import tempfile
from pathlib import Path


@contextlib.contextmanager
def kernel_seconds():
    """Profile the block; yields a Counter that afterwards holds each kernel's own seconds in the executor's threads.

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
                found.update(_own_seconds(plane, line))
    return found


def _own_seconds(plane, line):
    """Each kernel's seconds less those of the kernels inside it."""
    found, running = collections.Counter(), []
    for event in sorted(line.events, key=lambda event: (event.offset_ps, -event.duration_ps)):
        name = plane.event_metadata[event.metadata_id].name.split("#")[0].split(":")[-1]
        name = "dispatch" if name in {"Process", "Start", "ExecutorDoneCallback"} else name.removeprefix("_Mkl")
        while running and running[-1][1] <= event.offset_ps:
            running.pop()
        if running:
            found[running[-1][0]] -= event.duration_ps / 1e12
        found[name] += event.duration_ps / 1e12
        running.append((name, event.offset_ps + event.duration_ps))
    return found
