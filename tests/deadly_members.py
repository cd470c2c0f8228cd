"""Members whose worker process dies while it trains them."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from kingdra_cluster import LadderIM
from kingdra_cluster.batches import RowBatches
from kingdra_cluster.members import train_member


class DeadlyBatches(RowBatches):
    """Kill the process in the middle of an epoch."""

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class DeadlyLadder(LadderIM):
    def make_batches(self, X, *, seed, scale, labelled=None):
        return DeadlyBatches(X, batch_size=self.batch_size, seed=seed, scale=scale, labelled=labelled)


def train_or_die_once(mode, X, *, target, **options):
    """`train_member`, but the first worker of member 1 is killed while it trains in round 1."""
    calls = Path(target).parents[1] / "calls"
    calls.mkdir(exist_ok=True)
    name = f"{Path(target).parent.name}-{Path(target).stem}"
    if name == "round_0001-member_001" and not list(calls.glob(f"{name}-*")):
        mode = DeadlyLadder(**mode.get_params())
    (calls / f"{name}-{time.monotonic_ns()}").touch()
    return train_member(mode, X, target=target, **options)


def same_fit(first, second):
    """Raise unless two fitted estimators agree to the bit."""
    for name in ("labels_", "probabilities_", "pseudo_labels_", "mappings_"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
