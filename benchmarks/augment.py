"""Speed of the views of `kingdra_cluster.augment`, and a contact sheet of each.

Prints a line for each recipe and size and saves the same numbers as JSON.  Images are tiles of the two photographs
that scikit-learn ships.  One TensorFlow thread; a call's processor time is the median of several, after the
first, which traces the graph.  With `--sheet FOLDER`, a PNG for each recipe: originals in the first column, then views.

    python benchmarks/augment.py [--smoke] [--output FILE.json] [--sheet FOLDER]
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from sklearn.datasets import load_sample_images  # noqa: E402

from kingdra_cluster.augment import VIEWS  # noqa: E402

SHAPES = {"32 px": (256, 32, 32, 3), "32 px grey": (256, 32, 32, 1), "96 px": (128, 96, 96, 3)}
VECTORS = {"2,000 features": (256, 2000)}


def sample_images(n, height, width, channels):
    """Tiles of two photographs, uint8 (n, height, width, channels): each a square cut anywhere, made small."""
    rng = np.random.default_rng(0)
    photographs, tiles = load_sample_images().images, []
    for number in range(n):
        photograph, side = photographs[number % 2], rng.integers(height, 300)
        top, left = (rng.integers(0, size - side) for size in photograph.shape[:2])
        tile = photograph[top : top + side, left : left + side]
        tiles.append(tf.image.resize(tile, (height, width), antialias=True).numpy())
    colours = np.array(tiles)
    return np.rint(colours if channels == 3 else colours.mean(axis=-1, keepdims=True)).astype(np.uint8)


def measure(name, size, rows, n_calls):
    """One line of the table: a dict."""
    view, seconds = VIEWS[name], []
    view(rows, (0, 0, 0))
    for step in range(n_calls):
        start = time.process_time()
        view(rows, (0, 1, step)).numpy()
        seconds.append(time.process_time() - start)
    per_second = len(rows) / float(np.median(seconds))
    return {"view": name, "size": size, "batch": len(rows), "rows_per_second": per_second}


def contact_sheet(name, path, n_rows=8, n_views=9):
    """Draw views of a few images, or of a few digits' pixels for the views of vectors."""
    images = sample_images(n_rows, 32, 32, 3)
    if name.startswith("vector"):
        images = images.mean(axis=-1, keepdims=True) / 255.0
        flat = images.reshape(n_rows, -1) / np.sqrt(np.mean(np.square(images)))
        views = [VIEWS[name](flat, (0, 0, step)).numpy().reshape(images.shape) for step in range(n_views)]
        columns = [flat.reshape(images.shape), *views]
    else:
        columns = [images / 255.0, *(VIEWS[name](images, (0, 0, step)).numpy() for step in range(n_views))]
    columns = np.pad(np.stack(columns, axis=1), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1)
    picture = columns.transpose(0, 2, 1, 3, 4).reshape(n_rows * 34, (n_views + 1) * 34, -1)
    figure = Figure(figsize=(8.5, 7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.squeeze(picture), cmap="gray", interpolation="nearest")
    axes.set(title=f"{name}: original, then {n_views} views", xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="32 px and few calls: a few seconds")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="draw the contact sheets here")
    options = parser.parse_args(arguments)
    for set_threads in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        getattr(tf.config.threading, set_threads)(1)
    n_calls = 3 if options.smoke else 30
    vectors = {size: np.random.default_rng(0).normal(size=shape).astype("float32") for size, shape in VECTORS.items()}
    shapes = dict(list(SHAPES.items())[: 1 if options.smoke else None])
    images = {size: sample_images(*shape) for size, shape in shapes.items()}

    print(f"{'view':15}{'size':>16}{'batch':>7}{'rows/s, one thread':>20}")
    lines = []
    for name in VIEWS:
        for size, rows in (vectors if name.startswith("vector") else images).items():
            lines.append(measure(name, size, rows, n_calls))
            print(f"{name:15}{size:>16}{len(rows):7}{lines[-1]['rows_per_second']:20,.0f}", flush=True)
        if options.sheet:
            contact_sheet(name, options.sheet / f"{name}.png")
    if options.output:
        machine = {"cpu_count": os.cpu_count(), "platform": platform.platform(), "tensorflow": tf.__version__}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"machine": machine, "lines": lines}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
