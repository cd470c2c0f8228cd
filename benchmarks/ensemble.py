"""Speed and memory of an ensemble: members x workers, and a model of the time checked against other sizes.

Random rows; a round without pseudo-labels of ladders d-1200-1200-10, batch 64, one epoch, one thread a member.  All
workloads run by turns, so that whatever else the machine does slows all; the first turn, which imports and compiles,
does not count.  Seconds are the median over the turns; "speed-up" is the median of the ratios to one process within
each turn; "cores" is the processor time of the trainings over the wall-clock time of the round: as many as workers is
full, more would be threads that compete.  The bits of all ways must be the same.  The peak of the main process is of
all its turns: it trains, too.

The model is seconds = ceil(members / workers) rows (a + b P(d)) c, with P = d h + h h + h K and c = 1 for one worker.
Its three constants come from three of the workloads; the others check it.

    python benchmarks/ensemble.py [--turns N] [--dask] [--smoke] [--output FILE.json]
"""

import argparse
import contextlib
import math
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
from joblib import delayed, parallel_config  # noqa: E402

from benchmarks.reports import print_table, save_report  # noqa: E402
from kingdra_cluster import LadderIM  # noqa: E402
from kingdra_cluster.members import claim_threads, train_member, workers_peak_mb  # noqa: E402
from kingdra_cluster.parallel import member_workers  # noqa: E402
from kingdra_cluster.processes import peak_mb  # noqa: E402

WORKLOADS = [  # rows, features, members, workers; the first three give the model its constants
    (4096, 784, 4, 1),
    (4096, 2000, 4, 1),
    (4096, 784, 4, 2),
    (4096, 784, 2, 1),
    (4096, 784, 2, 2),
    (8192, 784, 4, 1),
    (8192, 784, 4, 2),
    (4096, 2000, 4, 2),
]
SMOKE = [(128, 8, 2, 1), (128, 16, 2, 1), (128, 8, 2, 2), (256, 8, 2, 2)]
HEAD = ["rows", "features", "members", "workers", "seconds", "speed-up", "cores", "workers' peak MB", "model seconds"]


def train(mode, X, **options):
    """Train a member; return also the processor time that it took, all threads together."""
    began = time.process_time()
    result = train_member(mode, X, **options)
    return result, time.process_time() - began


def run(mode, X, members, workers):
    """Train a round; return wall-clock seconds, processor seconds, the workers' peak and the answers."""
    options = {"source": None, "labelled": None, "epochs": 1, "round_index": 0, "scale": 1.0, "threads": 1}
    with tempfile.TemporaryDirectory() as folder, workers:
        began = time.perf_counter()
        made = workers(
            delayed(train)(mode, X, target=Path(folder) / f"{member}.npz", seed=member, **options)
            for member in range(members)
        )
        wall = time.perf_counter() - began
    results = [result for result, _ in made]
    answers = np.stack([result.probabilities for result in results])
    return wall, sum(processor for _, processor in made), workers_peak_mb(results), answers


def measure(workloads, hidden_units, turns, ways):
    """Return a dict a workload and way; ``ways`` maps a name to a function of the number of workers."""
    mode = LadderIM(10, hidden_units=hidden_units)
    lines, expected = {}, {}
    for turn in range(turns + 1):
        for workload in workloads:
            rows, features, members, n_workers = workload
            X = np.random.default_rng(features).normal(size=(rows, features)).astype(np.float32)
            for way, make_workers in ways.items():
                if way == "dask" and n_workers == 1:
                    continue
                wall, processor, peak, answers = run(mode, X, members, make_workers(n_workers))
                if not np.array_equal(expected.setdefault(workload[:3], answers), answers):
                    raise AssertionError(f"{way}, {workload}: the bits differ from those of one process")
                line = lines.setdefault((way, *workload), {"walls": [], "processors": [], "workers_peak_mb": 0.0})
                if turn:  # the first imports and compiles
                    line["walls"].append(wall)
                    line["processors"].append(processor)
                line["workers_peak_mb"] = max(line["workers_peak_mb"], peak)
    for (_, *workload), line in lines.items():
        alone = lines.get(("loky", *workload[:3], 1))
        line["seconds"] = float(np.median(line["walls"]))
        line["cores"] = float(np.median(np.divide(line["processors"], line["walls"])))
        line["speed_up"] = float(np.median(np.divide(alone["walls"], line["walls"]))) if alone else None
    names = ("way", "rows", "features", "members", "workers")
    return [dict(zip(names, key, strict=True)) | line for key, line in lines.items()]


def add_model(lines, workloads, hidden_units):
    """Fit the model to the first three workloads, add what it says to every line, and return its constants."""
    first, wide, two = (next(x for x in lines if _key(x) == workload) for workload in workloads[:3])
    products = {line["features"]: _products(line["features"], hidden_units) for line in lines}
    a_row = [line["seconds"] / (line["members"] * line["rows"]) for line in (first, wide)]
    b = (a_row[1] - a_row[0]) / (products[wide["features"]] - products[first["features"]])
    a = a_row[0] - b * products[first["features"]]
    c = two["seconds"] / (math.ceil(two["members"] / two["workers"]) * two["rows"] * a_row[0])
    for line in lines:
        waves = math.ceil(line["members"] / line["workers"])
        line["model_seconds"] = waves * line["rows"] * (a + b * products[line["features"]])
        line["model_seconds"] *= c if line["workers"] > 1 else 1.0
    return {"seconds_a_row": a, "seconds_a_row_and_product": b, "slowdown_of_two_workers": c}


def _key(line):
    return tuple(line[name] for name in ("rows", "features", "members", "workers"))


def _products(features, hidden_units):
    sizes = (features, *hidden_units, 10)
    return sum(below * above for below, above in zip(sizes, sizes[1:], strict=False))


@contextlib.contextmanager
def dask_way(n_workers):
    """Yield the way of a Dask cluster of processes on this machine."""
    from distributed import Client, LocalCluster

    def make_workers(_):
        with parallel_config("dask"):
            return member_workers(None, 1)

    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster):
        yield make_workers


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a tiny network: a few seconds")
    parser.add_argument("--turns", type=int, metavar="N", help="default 3")
    parser.add_argument("--dask", action="store_true", help="also on a Dask cluster of two processes")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    if not claim_threads(1):
        raise RuntimeError("TensorFlow already runs with more than one thread in this process")
    workloads, hidden_units = (SMOKE, (8,)) if options.smoke else (WORKLOADS, (1200, 1200))
    with contextlib.ExitStack() as stack:
        ways = {"loky": lambda n_workers: member_workers(n_workers, 1)}
        if options.dask:
            ways["dask"] = stack.enter_context(dask_way(2))
        lines = measure(workloads, hidden_units, options.turns or (1 if options.smoke else 3), ways)
    model = add_model(lines, workloads, hidden_units)
    names = ("rows", "features", "members", "workers", "seconds", "speed_up", "cores", "workers_peak_mb")
    print_table(["way", *HEAD], [[x["way"], *(x[name] for name in names), x["model_seconds"]] for x in lines])
    print(f"peak of the main process: {peak_mb()} MB")
    print("model: " + ", ".join(f"{name} {value:.3g}" for name, value in model.items()))
    report = {"hidden_units": hidden_units, "parent_peak_mb": peak_mb(), "model": model, "lines": lines}
    save_report(options.output, report)


if __name__ == "__main__":
    main()
