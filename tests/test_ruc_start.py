"""Where RUC starts: the vote of the neighbours, on rows as they are."""

import keras
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from kingdra_cluster import RUC
from kingdra_cluster.clean_split import metric_split
from kingdra_cluster.modes.ruc_start import clean_rows, features_of


def test_the_vote_reaches_no_further_than_a_part_of_a_cluster():
    rng = np.random.default_rng(0)
    for n_rows, n_clusters, expected in ((900, 3, 60), (9000, 3, 100), (10, 3, 1)):
        rows, labels = rng.normal(size=(n_rows, 5)), rng.integers(0, n_clusters, n_rows)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        start = np.eye(n_clusters)[labels]
        voted = metric_split(rows, labels, expected)
        np.testing.assert_array_equal(clean_rows(RUC(n_clusters), start, 3 * rows), voted)
        np.testing.assert_array_equal(clean_rows(RUC(n_clusters), start, sparse.csr_matrix(rows)), voted)


def test_the_vote_on_the_rows_themselves_neither_copies_nor_fills_them(monkeypatch):
    X = sparse.random(300, 5000, density=0.01, format="csr", random_state=0)
    fill = sparse.csr_matrix.toarray

    def refuse(matrix, *arguments, **options):
        assert matrix.shape[1] != 5000, "made dense"
        return fill(matrix, *arguments, **options)

    monkeypatch.setattr(sparse.csr_matrix, "toarray", refuse)
    assert features_of(X, None, 1.0) is X
    assert clean_rows(RUC(3), np.eye(3)[np.arange(300) % 3], X).shape == (300,)
    images = np.zeros((5, 4, 4, 3), np.uint8)
    assert np.shares_memory(features_of(images, "resnet18", 255.0), images)


def test_features_of_a_trained_backbone_are_those_of_the_scaled_rows():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    backbone = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])
    expected = keras.ops.convert_to_numpy(backbone(images.astype(np.float32) / 255)).reshape(5, -1)
    np.testing.assert_allclose(features_of(images, backbone, 255.0), expected, atol=1e-5)


def test_pseudo_labels_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"pseudo_labels must have the shape \(6,\), got \(5,\)"):
        clean_rows(RUC(3, split="cores"), np.eye(3)[[0, 1, 2] * 2], pseudo_labels=[0, 1, 2, -1, 0])


def test_fit_predict_refines_the_clustering_that_it_is_given():
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 3
    refiner = RUC(3, n_epochs=1, hidden_units=(4,), batch_size=10, random_state=0)
    np.testing.assert_array_equal(refiner.fit_predict(X, y), clone(refiner).fit(X, y).labels_)
    assert not np.array_equal(refiner.probabilities_, clone(refiner).fit(X).probabilities_)
