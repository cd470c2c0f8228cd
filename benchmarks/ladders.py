"""The ladders that `benchmarks/step.py` compares, each in a process of its own, an epoch at a time."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402

BATCH = 64


class Clock(keras.callbacks.Callback):
    """Processor and wall time of an epoch from the end of its first call on."""

    def on_epoch_begin(self, epoch, logs=None):
        """Forget the epoch before."""
        self.first = None

    def on_train_batch_end(self, batch, logs=None):
        """Note the times at the end of a call, which is one step or several."""
        self.last = (batch, time.process_time(), time.perf_counter())
        self.first = self.first or self.last

    def per_step(self):
        """Return processor and wall milliseconds a step."""
        steps, processor, wall = (last - first for first, last in zip(self.first, self.last, strict=True))
        return 1e3 * processor / steps, 1e3 * wall / steps


def make_epoch(name, sizes, steps, labelled):
    """Return ``epoch(callbacks)`` of a ladder.

    Its name is "plain" or "literal" (Keras alone; the latter draws noise for the clean pass too, times 0) or a
    ``matmul_precision`` of this package.
    """
    rng, n = np.random.default_rng(0), steps * BATCH
    X = rng.normal(size=(n, sizes[0])).astype(np.float32)
    rows, targets = rng.integers(0, n, n), np.eye(sizes[-1], dtype=np.float32)[rng.integers(0, sizes[-1], n)]
    if name in ("plain", "literal"):
        import tensorflow as tf

        from benchmarks.plain_ladder import PlainLadder

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        network = PlainLadder(sizes, draw_always=name == "literal")
        network.compile(keras.optimizers.Adam(0.002))
        arrays = {"unlabelled": X, "labelled": X[rows]} if labelled else {"unlabelled": X}
        data, options = (arrays, targets if labelled else None), {"batch_size": BATCH, "shuffle": True}
    else:
        from kingdra_cluster import LadderIM
        from kingdra_cluster.batches import feed
        from kingdra_cluster.members import claim_threads

        claim_threads(1)
        mode = LadderIM(sizes[-1], hidden_units=sizes[1:-1], batch_size=BATCH, matmul_precision=name)
        network = mode.make_network(sizes[:1], 0)
        data = (feed(mode.make_batches(X, seed=(0, 0), scale=1.0, labelled=(rows, targets) if labelled else None)),)
        options = {"shuffle": False}
    return lambda callbacks: network.fit(*data, **options, verbose=0, callbacks=callbacks)


def parts_of_a_step(epoch, steps):
    """Return the milliseconds a step that each kernel takes, from TensorFlow's profiler."""
    from benchmarks.kernel_times import kernel_seconds

    with kernel_seconds() as kernels:
        epoch([])
    return {name: 1e3 * seconds / steps for name, seconds in kernels.items()}


def _serve(pipe, name, sizes, steps, labelled):
    epoch, clock = make_epoch(name, sizes, steps, labelled), Clock()
    while (wish := pipe.recv()) is not None:
        if wish == "turn":
            epoch([clock])
            pipe.send(clock.per_step())
        else:
            pipe.send(parts_of_a_step(epoch, steps))


class Ladder:
    """A ladder in its own process.

    Parameters
    ----------
    name : str
        As for `make_epoch`.
    sizes : tuple of int
        Features, hidden units, clusters.
    steps : int
        Steps an epoch.
    labelled : bool
        Whether a labelled batch goes with each.
    """

    def __init__(self, name, sizes, steps, labelled):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, sizes, steps, labelled), daemon=True)
        self._process.start()
        theirs.close()  # so that a process that dies is an error here, not a wait

    def turn(self):
        """Train an epoch; return processor and wall milliseconds a step."""
        self._pipe.send("turn")
        return self._pipe.recv()

    def parts(self):
        """Return the milliseconds a step of each kernel."""
        self._pipe.send("parts")
        return self._pipe.recv()

    def close(self):
        """End the process."""
        self._pipe.send(None)
        self._process.join(30)
