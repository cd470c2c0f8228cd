"""Any mode as a member: what it knows from round to round is in its file alone."""

import keras
import numpy as np
import pytest

from kingdra_cluster import NNM, members
from kingdra_cluster.modes import MODES

SMALL = {"n_clusters": 3, "batch_size": 32, "hidden_units": (8,), "backbone": {"name": "mlp", "hidden_units": (8,)}}


@pytest.fixture(params=MODES)
def train(request, blobs, tmp_path):
    """Train a member for a round and return where its state lies and its answers."""
    mode = MODES[request.param]()
    mode.set_params(**{name: value for name, value in SMALL.items() if name in mode.get_params()})
    labelled = np.arange(90), np.repeat([0, 1, 2], 30)

    def call(name, source, seed=1, round_index=1):
        options = {"labelled": labelled, "epochs": 1, "scale": 1.0, "threads": 1, "round_index": round_index}
        return members.train_member(mode, blobs, source=source, target=tmp_path / f"{name}.npz", seed=seed, **options)

    return call


@pytest.mark.usefixtures("eager")
def test_a_member_goes_on_in_a_new_process_as_it_would_have_in_the_old_one(train):
    source = train("a", None, round_index=0).path
    first = train("b", source)
    train("other", None, seed=2)  # shares the compiled network
    again = train("c", source)
    members._network.cache_clear()  # as in a process that was started after a kill
    anew = train("d", source)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    np.testing.assert_array_equal(anew.probabilities, first.probabilities)


def test_a_member_cannot_have_a_model_for_a_backbone(blobs, tmp_path):
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "relu")])
    with pytest.raises(TypeError, match="backbone of a member's mode must be of plain numbers.* it is Sequential"):
        members.train_member(
            NNM(3, backbone=backbone), blobs, source=None, target=tmp_path / "a.npz", labelled=None, epochs=1,
            seed=0, round_index=0, scale=1.0, threads=1,
        )  # fmt: skip
