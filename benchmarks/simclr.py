"""What SimCLR learns in a given time: neighbours of the same class, before and after, on a few thousand small images.

The number of epochs is what fits into the minutes, judged by a short fit.  Three spaces are compared: the pixels, the
features of the backbone before training (twice: with its normalisation as it begins, and with the moments of these
images; the better counts) and after it.  In each, over all rows:

* "vote": share of rows whose class most of their 20 nearest other rows have (cosine).
* "share": mean share of those 20 that have the row's class.

Prints a table and saves it, with every epoch's loss, as JSON.

    python benchmarks/simclr.py --data-home DIR [--smoke] [--images cifar10 fashion_mnist] [--rows 5000]
                                [--minutes 10] [--threads 2] [--seeds 0] [--output FILE.json]
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.reports import print_table, save_report  # noqa: E402
from experiments import datasets  # noqa: E402
from kingdra_cluster import SimCLR  # noqa: E402
from kingdra_cluster.backbones import make_backbone  # noqa: E402
from kingdra_cluster.members import claim_threads  # noqa: E402
from kingdra_cluster.modes.base import predict_rows  # noqa: E402
from kingdra_cluster.neighbors import nearest_neighbors, neighbor_accuracy, neighbor_votes  # noqa: E402

BACKBONE = {"name": "convnet", "widths": (32, 64, 128, 256)}
SETTINGS = {
    "fashion_mnist": {"smallest_area": 0.3, "jitter": 1.0},
    "mnist": {"smallest_area": 0.3, "flip": False},
    "cifar10": {},
    "digits": {"smallest_area": 0.3, "flip": False},
}
COMMON = {"backbone": BACKBONE, "batch_size": 256, "learning_rate": 0.2, "temperature": 0.2, "n_outputs": 64}
N_NEIGHBORS = 20
COLUMNS = ("images", "seed", "epochs", "minutes", "pixels", "untrained", "trained", "gain", "share before", "after")


def judge(features, y):
    """Both measures of one space, in percent."""
    neighbors = nearest_neighbors(features, N_NEIGHBORS)
    votes = neighbor_votes(neighbors, y, y.max() + 1).argmax(axis=1)
    return {"vote": 100 * float(np.mean(votes == y)), "share": 100 * float(neighbor_accuracy(neighbors, y))}


def load(name, n_rows, data_home):
    """Images (n, height, width, channels) and classes."""
    if name == "digits":
        bunch = datasets.load(name, data_home, images=True, subset=min(n_rows, 1797))
    else:
        bunch = datasets.load(name, data_home, subset=n_rows)
    images = bunch.X if bunch.X.ndim == 4 else bunch.X[..., None]
    return (images if images.dtype == np.uint8 else images / images.max()), np.asarray(bunch.y)


def measure(name, seed, options):
    """Numbers of one set of images and one seed."""
    images, y = load(name, options.rows, options.data_home)
    arguments = {**COMMON, **SETTINGS[name], "random_state": seed}
    start = SimCLR(**arguments, n_epochs=1)
    start.set_params(learning_rate=1e-30).fit(images[: 2 * start.batch_size])  # compiles, and learns nothing
    began = time.perf_counter()
    SimCLR(**arguments, n_epochs=2).fit(images)
    a_epoch = (time.perf_counter() - began) / 2
    n_epochs = options.epochs or max(2, int(60 * options.minutes / a_epoch))
    untrained = SimCLR(**arguments, n_epochs=1).set_params(learning_rate=1e-30)
    began = time.perf_counter()
    trained = SimCLR(**arguments, n_epochs=n_epochs, verbose=options.verbose).fit(images)
    minutes = (time.perf_counter() - began) / 60
    untrained.fit(images)
    initial = make_backbone(BACKBONE, images.shape[1:], seed)
    spaces = {
        "pixels": images.reshape(len(y), -1) / trained.scale_,
        "initial": predict_rows(initial, images / np.float32(trained.scale_)),
        "untrained": untrained.transform(images),
        "trained": trained.transform(images),
        "projected": trained.project(images),
    }
    line = {"images": name, "rows": len(y), "seed": seed, "epochs": n_epochs, "minutes": minutes}
    return line | {key: judge(space, y) for key, space in spaces.items()} | {"history": trained.history_}


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path, metavar="DIR", help="folder of the raw data")
    parser.add_argument("--smoke", action="store_true", help="400 digits, 2 epochs: seconds")
    parser.add_argument("--images", nargs="+", choices=list(SETTINGS), default=["cifar10"], metavar="NAME")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=10.0, help="of training; sets the number of epochs")
    parser.add_argument("--epochs", type=int, help="a number of epochs, whatever time they take")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--verbose", type=int, default=0)
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.images, options.rows, options.epochs = ["digits"], 400, 2
    claim_threads(options.threads)
    lines = []
    for name in options.images:
        for seed in options.seeds:
            lines.append(measure(name, seed, options))
            save_report(options.output, {"neighbors": N_NEIGHBORS, "threads": options.threads, "lines": lines})
    print(f"accuracy of {N_NEIGHBORS} nearest neighbours, %: votes in pixels, before and after; shares of the class")
    table = []
    for line in lines:
        pixels, *before, after = (line[space]["vote"] for space in ("pixels", "initial", "untrained", "trained"))
        shares = [line[space]["share"] for space in ("untrained", "trained")]
        head = [line[key] for key in ("images", "seed", "epochs", "minutes")]
        table.append([*head, pixels, max(before), after, after - max(before), *shares])
    print_table(COLUMNS, table)


if __name__ == "__main__":
    main()
