"""Checkpoints in the published layout: names and shapes from the golden files, weights from a seed."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"


def make_arrays(shapes, seed=0):
    """Arrays by tensor name, the same on every machine: what the outputs of golden file `shapes` were computed with."""
    return dict(_arrays(shapes, seed))


@lru_cache
def _arrays(shapes, seed):
    """Return them, drawn once and read-only."""
    shapes = json.loads((GOLDEN / shapes).read_text())
    rng, arrays = np.random.default_rng(seed), {}
    for tensor in sorted(shapes):
        shape, kind = tuple(shapes[tensor]), tensor.split(".")[-1]
        if kind == "num_batches_tracked":
            array = np.zeros(shape, np.int64)
        elif kind == "running_var":
            array = 0.5 + rng.random(shape)
        elif len(shape) == 4:
            array = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif len(shape) == 2:
            array = rng.normal(size=shape) / np.sqrt(shape[1])
        elif kind == "weight":
            array = 1 + 0.1 * rng.normal(size=shape)
        else:
            array = 0.1 * rng.normal(size=shape)
        arrays[tensor] = array if array.dtype.kind == "i" else array.astype(np.float32)
        arrays[tensor].flags.writeable = False
    return arrays


def load_golden(outputs):
    """Images (channels last), features, outputs and the seed of the weights of golden file `outputs`."""
    with np.load(GOLDEN / outputs, allow_pickle=False) as file:
        size, batch = int(file["image_size"]), int(file["batch"])
        images = np.random.default_rng(int(file["images_seed"])).normal(size=(batch, 3, size, size))
        images = images.astype(np.float32).transpose(0, 2, 3, 1)
        return images, file["features"], file["outputs"], int(file["weights_seed"])
