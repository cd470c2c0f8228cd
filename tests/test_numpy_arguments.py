"""NumPy's numbers as arguments are as good as those of Python, from ``fit`` to the saved folder."""

import json

import numpy as np
import pytest

from kingdra_cluster import KingdraCluster, LadderIM

NUMBERS = {
    "n_clusters": np.int64(3),
    "n_members": np.int64(2),
    "n_rounds": np.int64(2),
    "start_balance": np.float32(0.5),
    "start_votes": np.int64(2),
    "epochs_first_round": np.int64(1),
    "epochs_per_round": np.int64(1),
    "low_agreement": np.int64(1),
    "high_agreement": np.int64(1),
    "confidence_threshold": np.float32(0.0),
    "shared_mapping": np.bool_(True),
    "mi_weight_later": np.float32(0.0),
    "tol": np.float32(1e-3),
    "n_jobs": np.int64(1),
    "threads_per_member": np.int64(1),
    "random_state": np.int64(0),
    "verbose": np.int64(1),
}
PLAIN = {
    "n_members": 2,
    "n_rounds": 1,
    "start_votes": 2,
    "epochs_first_round": 1,
    "epochs_per_round": 1,
    "start_balance": 0.5,
    "random_state": 0,
}

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]


def test_every_number_among_the_arguments_is_tried():
    others = {"mode", "start", "labeller", "spaces", "scale", "refine", "checkpoint_dir", "callbacks"}
    assert NUMBERS.keys() | others == KingdraCluster().get_params(deep=False).keys()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_numpy_is_fitted_and_saved_like_one_of_python(name, blobs, tmp_path):
    mode = LadderIM(hidden_units=(4,), batch_size=90)
    rounds = {"n_rounds": 2} if name == "epochs_per_round" else {}
    model = KingdraCluster(mode=mode, **{"n_clusters": 3} | PLAIN | rounds | {name: NUMBERS[name]})
    model.fit(blobs).save(tmp_path / "model")
    json.dumps(model.history_)
    assert model.get_params()[name] is NUMBERS[name]
    assert KingdraCluster.load(tmp_path / "model").get_params()[name] == NUMBERS[name].item()
