"""The folder in which a mode keeps the state of its fit: whose it is, and that nobody else uses it."""

import os

import keras
import numpy as np
import pytest

from kingdra_cluster import NNM, RUC, SimCLR
from kingdra_cluster.modes.fit_state import own_folder

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
]
TINY = {"batch_size": 30, "n_epochs": 1, "random_state": 0}
ROWS = np.arange(90)[:, None]
MODES = {
    "simclr": lambda X, **options: SimCLR(hidden_units=6, **{**TINY, **options}).fit(X),
    "nnm": lambda X, **options: NNM(3, n_heads=2, **{**TINY, **options}).fit(X, neighbors=(ROWS + [1, 2]) % 90),
    "ruc": lambda X, **options: RUC(3, **{**TINY, **options}).fit(X, np.repeat([0, 1, 2], 30)),
}
each_mode = pytest.mark.parametrize("fit", MODES.values(), ids=MODES)


def backbone(seed, activation="relu", rate=0.1):
    dense = keras.layers.Dense(8, activation, kernel_initializer=keras.initializers.HeNormal(seed=seed))
    return keras.Sequential([keras.Input((4,)), keras.Sequential([keras.layers.Dropout(rate)]), dense])


@each_mode
def test_a_backbone_of_other_weights_is_another_fit(fit, blobs, tmp_path):
    fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)
    fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="belongs to another fit: (layers of backbone|weights) was"):
        fit(blobs, backbone=backbone(1), checkpoint_dir=tmp_path)


@each_mode
@pytest.mark.parametrize("options", [{"activation": "tanh"}, {"rate": 0.2}])
def test_a_backbone_of_other_layers_with_the_same_weights_is_another_fit(fit, blobs, tmp_path, options):
    fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="belongs to another fit: layers of backbone was"):
        fit(blobs, backbone=backbone(0, **options), checkpoint_dir=tmp_path)


@each_mode
def test_without_a_seed_a_fit_goes_on_with_the_one_it_began_with(fit, blobs, tmp_path):
    losses = [fit(blobs, random_state=None, checkpoint_dir=tmp_path / folder).history_[-1]["loss"] for folder in "aab"]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.skipif(os.name != "posix", reason="locks")
@each_mode
def test_a_folder_in_use_is_refused_until_its_user_has_gone(fit, blobs, tmp_path):
    with own_folder(tmp_path), pytest.raises(RuntimeError, match=r"checkpoint_dir=.* is in use by another fit"):
        fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)
    with pytest.raises(FloatingPointError):
        fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path, learning_rate=1e30)
    fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)


@each_mode
def test_what_a_kill_left_half_written_is_removed_and_nothing_else(fit, blobs, tmp_path):
    half, mine, other = tmp_path / ".unfinished-x.npz", tmp_path / ".mine", tmp_path / "other" / ".unfinished-y.npz"
    other.parent.mkdir()
    for path in (half, mine, other):
        path.write_text("")
    fit(blobs, backbone=backbone(0), checkpoint_dir=tmp_path)
    assert not half.exists()
    assert mine.exists()
    assert other.exists()  # perhaps of a fit that runs
