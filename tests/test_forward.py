"""Answers without training: the same through a graph, in blocks, and freed with their network."""

import gc
import weakref

import keras
import numpy as np
import pytest

from kingdra_cluster import NNM, RUC, SelfLabel, SimCLR
from kingdra_cluster import forward as module
from kingdra_cluster.backbones import convnet
from kingdra_cluster.batches import RowBatches
from kingdra_cluster.forward import forward, rows_at_once
from kingdra_cluster.modes.base import predict_rows

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
MLP = {"name": "mlp", "hidden_units": (5,)}
SHORT = {"batch_size": 10, "n_epochs": 2, "random_state": 0}


def test_images_go_through_one_graph_in_blocks_whose_number_does_not_matter(monkeypatch):
    images = np.random.default_rng(0).random((70, 8, 8, 3), dtype=np.float32)
    network = convnet((8, 8, 3), seed=0)
    whole = predict_rows(network, images)
    np.testing.assert_allclose(whole, keras.ops.convert_to_numpy(network(images, training=False)), atol=1e-5)
    assert forward(network, (8, 8, 3)) is forward(network, (8, 8, 3))
    np.testing.assert_array_equal(predict_rows(network, images[5:6]), whole[5:6])
    monkeypatch.setattr(module, "IMAGE_ENTRIES", 8 * 8 * 3 * 20)
    np.testing.assert_allclose(predict_rows(network, images), whole, atol=1e-5)


def test_large_images_make_small_blocks():
    assert rows_at_once((784,), 256) == rows_at_once((28, 28), 256) == 256
    assert rows_at_once((96, 96, 3), 256) == 37
    assert rows_at_once((2000, 2000, 3), 256) == 1


def test_a_graph_dies_with_its_network():
    network = convnet((8, 8, 1), seed=0)
    predict_rows(network, np.zeros((2, 8, 8, 1), "float32"))
    watched = weakref.ref(network)
    del network
    gc.collect()
    assert watched() is None


@pytest.mark.parametrize(
    "fit",
    [
        lambda: NNM(3, backbone=MLP, n_heads=2, **SHORT).fit(X),
        lambda: RUC(3, hidden_units=(5,), **SHORT).fit(X),
        lambda: SimCLR(backbone=MLP, **SHORT).fit(X),
        lambda: SelfLabel(
            3, classifier=keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")]), **SHORT
        ).fit(X),
    ],
    ids=["NNM", "RUC", "SimCLR", "SelfLabel"],
)
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning")
def test_a_fit_leaves_no_batches_behind(fit):
    """TensorFlow never forgets a generator: the batches, and with them X, would stay as long as the process."""
    model = fit()
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, RowBatches) and thing.X.shape == X.shape]
    assert model.n_features_in_ == 6
