"""Explicit seeds for every initial weight: Keras' own default ones come from Python's global generator."""

import numpy as np

LARGEST_SEED = np.iinfo(np.int32).max


def integer_seeds(seed):
    """Yield one integer seed after the other, the same ones for the same `seed`; None: other ones each time."""
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(LARGEST_SEED))
