"""Speed of a training step of the ladder through Keras ``fit``: this package against a plain Keras 3 ladder.

Each trains in a process of its own, on one TensorFlow thread, the same rows in batches of 64, in short epochs by turns,
so that whatever else the machine does slows all.  A figure is the median over the turns of the process's processor time
(all its threads) a step, without the first call of each epoch; a ratio is the median of the ratios within each turn.
"plain" and "literal" are `benchmarks/plain_ladder.py`; "float32" and "bfloat16" are `LadderIM`'s ``matmul_precision``.

The peak of matrix products (NumPy's or TensorFlow's, the faster) is measured in the same turns; a step's products need
12 P - 3 d h multiply-adds a row with labels and 9 P - 2 d h without, P = d h + h h + h K.  Where a step's time goes is
read from TensorFlow's profiler after the turns.

    python benchmarks/step.py [--units N] [--turns N] [--steps N] [--smoke] [--output FILE.json]
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.ladders import BATCH, Ladder  # noqa: E402
from benchmarks.reports import print_table, save_report  # noqa: E402
from kingdra_cluster.members import claim_threads  # noqa: E402

NAMES = ("plain", "literal", "float32", "bfloat16")
SHOWN = 12  # kernels shown by name
PARTS = {"matrix products": ("MatMul",), "Adam": ("ResourceApplyAdam",), "dispatch": ("dispatch",)}


def matrix_peak(size, dtype):
    """Return the rate of one square matrix product in GFLOP/s of processor time."""
    import tensorflow as tf

    left, right = np.random.default_rng(0).normal(size=(2, size, size)).astype(np.float32)
    a, b = tf.cast(left, dtype), tf.cast(right, dtype)
    ways = [lambda: tf.matmul(a, b)] + ([lambda: left @ right] if dtype == "float32" else [])
    best = 0.0
    for way in ways * 3:
        began = time.process_time()
        way()
        best = max(best, 2e-9 * size**3 / (time.process_time() - began))
    return best


def work(sizes, labelled):
    """Return the GFLOP of a step's matrix products."""
    products = sum(below * above for below, above in zip(sizes, sizes[1:], strict=False))
    first, passes = sizes[0] * sizes[1], 3 if labelled else 2
    return 2e-9 * BATCH * ((3 * passes + 3) * products - passes * first)


def group_parts(kernels):
    """Return the parts of a step, the largest kernels outside them, and the rest."""
    parts = {part: sum(kernels.get(name, 0.0) for name in names) for part, names in PARTS.items()}
    single = {name: ms for name, ms in kernels.items() if not any(name in names for names in PARTS.values())}
    largest = sorted(single, key=single.get, reverse=True)
    parts |= {f"kernel {name}": single[name] for name in largest[:SHOWN]}
    return parts | {"all other kernels": sum(single[name] for name in largest[SHOWN:])}


def measure(names, sizes, *, labelled, steps, turns, peak_size):
    """Return the figures of one kind of step as a dict."""
    ladders = {name: Ladder(name, sizes, steps, labelled) for name in names}
    times, peaks = {name: [] for name in names}, {"float32": [], "bfloat16": []}
    for turn in range(turns + 1):
        for name, ladder in ladders.items():
            figures = ladder.turn()
            if turn:  # the first compiles and does not count
                times[name].append(figures)
        for dtype, found in peaks.items():
            found.append(matrix_peak(peak_size, dtype))
    peaks = {dtype: float(np.median(found)) for dtype, found in peaks.items()}
    report = {"labelled": labelled, "sizes": sizes, "gflop_a_step": work(sizes, labelled), "peak_gflops": peaks}
    report["ladders"] = {}
    plain = np.array(times["plain"])[:, 0]
    for name, found in times.items():
        processor, wall = np.array(found).T
        gflops = 1e3 * report["gflop_a_step"] / float(np.median(processor))
        report["ladders"][name] = {
            "processor_ms": float(np.median(processor)),
            "wall_ms": float(np.median(wall)),
            "rate_against_plain": float(np.median(plain / processor)),
            "gflops": gflops,
            "share_of_float32_peak": gflops / peaks["float32"],
            "turns_ms": processor.tolist(),
            "parts_ms": group_parts(ladders[name].parts()),
        }
        ladders[name].close()
    return report


def show(report):
    """Print one kind of step."""
    peaks = report["peak_gflops"]
    kind = "with pseudo-labels" if report["labelled"] else "without labels"
    print(f"Step {kind}, batch {BATCH}, {'-'.join(map(str, report['sizes']))}: {report['gflop_a_step']:.2f} GFLOP")
    print(f"matrix peak of a thread: {peaks['float32']:.0f} GFLOP/s float32, {peaks['bfloat16']:.0f} bfloat16")
    names = ("processor_ms", "wall_ms", "rate_against_plain", "gflops", "share_of_float32_peak")
    lines = [[ladder, *(figures[name] for name in names)] for ladder, figures in report["ladders"].items()]
    print_table(["ladder", "processor ms", "wall ms", "rate / plain", "GFLOP/s", "of peak"], lines)
    parts = {ladder: figures["parts_ms"] for ladder, figures in report["ladders"].items()}
    keys = list(dict.fromkeys(key for found in parts.values() for key in found))
    print_table(["ms a step", *parts], [[key, *(found.get(key) for found in parts.values())] for key in keys])


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a tiny network: a few seconds")
    parser.add_argument("--units", type=int, default=1200, metavar="N", help="of a hidden layer (default 1200)")
    parser.add_argument("--turns", type=int, default=7, metavar="N", help="epochs of each ladder (default 7)")
    parser.add_argument("--steps", type=int, default=96, metavar="N", help="steps an epoch (default 96)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    if not claim_threads(1):
        raise RuntimeError("TensorFlow already runs with more than one thread in this process")
    sizes, names, kinds = (784, options.units, options.units, 10), NAMES, (True, False)
    amount = {"steps": options.steps, "turns": options.turns, "peak_size": 1024}
    if options.smoke:
        sizes, names, kinds = (16, 24, 24, 3), ("plain", "float32"), (True,)
        amount = {"steps": 48, "turns": 1, "peak_size": 64}
    reports = []
    for labelled in kinds:
        reports.append(measure(names, sizes, labelled=labelled, **amount))
        show(reports[-1])
    save_report(options.output, {"batch_size": BATCH, "threads": 1, "steps": reports})


if __name__ == "__main__":
    main()
