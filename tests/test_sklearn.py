"""Everything that scikit-learn asks of a clusterer or a transformer."""

import pytest
from sklearn.base import clone, is_clusterer
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from kingdra_cluster import NNM, RUC, KingdraCluster, LadderIM, SimCLR

TINY = {"hidden_units": (8,), "batch_size": 256, "learning_rate": 0.02, "mi_weight": 1.0}
LADDER = LadderIM(4, n_epochs=1, **TINY)
KINGDRA = KingdraCluster(
    4, mode=LadderIM(**TINY), n_members=1, n_rounds=1, epochs_first_round=1, confidence_threshold=0, start_balance=0.7
)

SMALL_MLP = {"name": "mlp", "hidden_units": (8,)}
MATCHING = NNM(4, backbone=SMALL_MLP, metric="euclidean", n_heads=1, batch_size=256, learning_rate=0.02, n_epochs=1)
PRETEXT = SimCLR(backbone=SMALL_MLP, hidden_units=8, n_outputs=4, batch_size=50, n_epochs=1)
REFINEMENT = RUC(4, hidden_units=(8,), batch_size=256, n_epochs=1, n_neighbors=5)
NOT_A_CLUSTERING = dict.fromkeys(  # their y has more labels than they set n_clusters to, or is no clustering at all
    (
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_fit2d_1feature",
        "check_fit2d_predict1d",
    ),
    "y is the clustering to refine",
)

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]


def expected_failures(estimator):
    return NOT_A_CLUSTERING if isinstance(estimator, RUC) else {}


@parametrize_with_checks([LADDER, KINGDRA, MATCHING, PRETEXT, REFINEMENT], expected_failed_checks=expected_failures)
def test_checks_of_scikit_learn(estimator, check):
    if check.func.__name__ == "check_clustering":  # wants three blobs to be found, not only an answer
        name = "epochs_first_round" if isinstance(estimator, KingdraCluster) else "n_epochs"
        estimator.set_params(**{name: {NNM: 3, RUC: 2}.get(type(estimator), 6)})
    check(estimator)


def test_they_are_clusterers_that_take_sparse_rows():
    for estimator in (LADDER, KINGDRA):
        assert is_clusterer(estimator)
        assert estimator.__sklearn_tags__().input_tags.sparse


def test_arguments_of_a_mode_are_reached_through_the_ensemble():
    model = clone(KINGDRA)
    assert model.get_params()["mode__hidden_units"] == (8,)
    model.set_params(mode__noise_std=0.7, n_rounds=3)
    assert (model.mode.noise_std, model.n_rounds) == (0.7, 3)
    assert KINGDRA.mode.noise_std == 0.3
    with pytest.raises(ValueError, match="Invalid parameter 'noise'"):
        model.set_params(mode__noise=1)


def test_clones_share_arguments_and_nothing_learnt(blobs):
    model = clone(KINGDRA).set_params(random_state=0).fit(blobs)
    again = clone(model)
    assert not [name for name in vars(again) if name.endswith("_")]
    assert again.mode is not model.mode
    assert repr(again) == repr(model)
    assert not [name for name in vars(model.mode) if name.endswith("_")]  # the given mode is left as it was


def test_pipelines_and_grids(blobs):
    pipeline = make_pipeline(MinMaxScaler(), clone(KINGDRA).set_params(random_state=0))
    for parameters in ParameterGrid({"kingdracluster__mode__noise_std": [0.0, 1.0]}):
        labels = clone(pipeline).set_params(**parameters).fit_predict(blobs)
        assert labels.shape == (90,)
    for argument in ("mode__noise_std", "n_members"):
        assert f"kingdracluster__{argument}" in pipeline.get_params()


def test_fit_predict_is_the_labels(blobs):
    for estimator in (LADDER, KINGDRA):
        model = clone(estimator).set_params(random_state=0)
        assert (model.fit_predict(blobs) == model.labels_).all()
