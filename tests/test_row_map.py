"""The report's map: what the last hidden layer makes of the rows that the network sees."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy.special import softmax

from experiments.exhibits import hidden_layer
from experiments.stages import Stages
from kingdra_cluster import NNM, KingdraCluster, LadderIM

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
ROWS = np.arange(0, 90, 4)
KINGDRA = {"cluster": {"name": "kingdra", "mode": {"name": "ladder"}}}
SMALL = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 1, "random_state": 0}


def shown(config, items, **fitted):
    return Stages(config, items, fitted).shown


@pytest.mark.parametrize("spaces", [None, [(0, 2), (2, 4)]])
def test_the_medoid_member_sees_its_own_columns(blobs, spaces):
    model = KingdraCluster(3, mode=LadderIM(hidden_units=(7,), batch_size=30), spaces=spaces, **SMALL).fit(blobs)
    hidden = hidden_layer(shown(KINGDRA, blobs, cluster=model), blobs, ROWS)
    assert hidden.shape == (len(ROWS), 7)
    assert np.ptp(hidden) > 0


def test_members_on_a_pretext_see_its_features(blobs):
    features = np.tanh(blobs @ np.ones((4, 6)))
    pretext = SimpleNamespace(transform=lambda rows: features[: len(rows)])
    model = KingdraCluster(3, mode=LadderIM(hidden_units=(7,), batch_size=30), **SMALL).fit(features)
    seen = shown({"pretext": {"mode": "simclr"}, **KINGDRA}, blobs, pretext=pretext, cluster=model)
    np.testing.assert_array_equal(seen.seen, features)
    assert hidden_layer(seen, blobs, ROWS).shape == (len(ROWS), 7)


def test_a_single_network_has_one_too(blobs):
    model = NNM(3, backbone={"name": "mlp", "hidden_units": (9,)}, n_epochs=1, n_heads=2, batch_size=30).fit(blobs)
    seen = shown({"cluster": {"name": "nnm"}}, blobs, cluster=model)
    assert seen.pseudo_labels_ is None, "it does not say which rows are sure"
    found = hidden_layer(seen, blobs, ROWS)
    assert found.shape == (len(ROWS), 9)
    kernel, bias = model.classifier_.layers[-1].get_weights()
    np.testing.assert_allclose(softmax(found @ kernel + bias, axis=1), model.probabilities_[ROWS], rtol=1e-4, atol=1e-6)


def test_without_a_hidden_layer_the_rows_themselves_are_shown(blobs):
    linear = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(0.5), keras.layers.Dense(3, "softmax")])
    assert hidden_layer(SimpleNamespace(classifier_=linear), blobs, ROWS) is None
    assert hidden_layer(SimpleNamespace(classifier_=None), blobs, ROWS) is None
