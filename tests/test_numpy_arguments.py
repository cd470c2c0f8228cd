"""NumPy's numbers as arguments are as good as those of Python, from ``fit`` to the saved folder."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

from kingdra_cluster import KingdraCluster, LadderIM
from tests.test_degenerate import MAKERS, X, both, make_kingdra, make_ladder

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
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]


def test_every_number_among_the_arguments_is_tried():
    others = {"mode", "start", "labeller", "spaces", "scale", "refine", "checkpoint_dir", "callbacks"}
    assert NUMBERS.keys() | others == KingdraCluster().get_params(deep=False).keys()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_numpy_is_fitted_and_saved_like_one_of_python(name, blobs, tmp_path):
    """All of one network, which is compiled once."""
    mode = LadderIM(hidden_units=(4,), batch_size=90)
    rounds = {"n_rounds": 2} if name == "epochs_per_round" else {}
    model = KingdraCluster(mode=mode, **{"n_clusters": 3} | PLAIN | rounds | {name: NUMBERS[name]})
    model.fit(blobs).save(tmp_path / "model")
    json.dumps(model.history_)
    assert model.get_params()[name] is NUMBERS[name]
    assert KingdraCluster.load(tmp_path / "model").get_params()[name] == NUMBERS[name].item()


# Of an estimator with few arguments of its own


@pytest.fixture(scope="module")
def fitted():
    """Each of both, fitted to X, not compiled; read only."""
    tf.config.run_functions_eagerly(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield {make: make(3).fit(X) for make in MAKERS.values()}
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
@both
@pytest.mark.parametrize("convert", [np.int64, np.int32])
def test_numpy_integers_are_integers(fitted, make, convert):
    np.testing.assert_array_equal(make(convert(3)).fit(X).probabilities_, fitted[make].probabilities_)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("hidden_units", np.array([8]), (8,)),
        ("hidden_units", [8], (8,)),
        ("hidden_units", (np.int64(8),), (8,)),
        ("denoising_cost", np.array([2.0, 1.0]), (2.0, 1.0)),
        ("noise_std", np.float32(0.5), 0.5),
        ("noise_std", 1, 1.0),
        ("batch_size", np.int64(16), 16),
        ("n_epochs", np.uint8(1), 1),
    ],
)
def test_numpy_arguments_of_the_mode_work_alone_and_in_the_ensemble(fitted, tmp_path, name, value, same):
    alone = make_ladder(**{name: value}).fit(X)
    default = getattr(fitted[make_ladder], name) == same
    expected = fitted[make_ladder] if default else make_ladder(**{name: same}).fit(X)
    np.testing.assert_array_equal(alone.probabilities_, expected.probabilities_)
    alone.save(tmp_path / "alone")
    LadderIM.load(tmp_path / "alone").fit(X)
    quick = {"n_members": 1, "n_rounds": 1, "start_balance": 0.7}
    together = make_kingdra(mode=LadderIM(**{"hidden_units": (8,), name: value}), **quick).fit(X)
    together.save(tmp_path / "together")
    np.testing.assert_array_equal(KingdraCluster.load(tmp_path / "together").predict(X), together.labels_)
