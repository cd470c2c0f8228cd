"""Pictures of items: what they show, for any number of clusters, grey and in colour."""

import numpy as np
import pytest
from scipy import sparse

from experiments.item_figures import loss_terms, neighbors_of_rows, top_words, typical_images, words_of_clusters
from kingdra_cluster.unsup_metrics import cluster_prototypes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("n_clusters", "shape"), [(1, (5, 5)), (3, (6, 4, 1)), (23, (5, 5, 3))])
def test_the_typical_image_is_the_published_prototype(n_clusters, shape, tmp_path):
    images = RNG.integers(256, size=(60, *shape)).astype("uint8")
    probabilities, features = RNG.dirichlet(np.ones(n_clusters), 60), RNG.normal(size=(60, 4))
    figure = typical_images(images, probabilities, features, RNG.integers(n_clusters, size=60))
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == n_clusters
    for axes, row in zip(pictures, cluster_prototypes(probabilities, features), strict=True):
        shown, image = np.asarray(axes.images[0].get_array()), images[row].squeeze().astype(float)
        np.testing.assert_allclose(shown, (image - image.min()) / (image.max() - image.min()), atol=1e-6)
    figure.savefig(tmp_path / "figure.png")


def test_typical_images_have_the_names_of_their_classes():
    truth = np.repeat([0, 1], 10)
    probabilities = np.eye(2)[1 - truth] * 0.8 + 0.1
    figure = typical_images(RNG.random((20, 3, 3)), probabilities, probabilities, truth, ["cat", "dog"])
    assert [axes.get_title() for axes in figure.axes] == ["0: dog", "1: cat"]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_top_words_are_those_a_cluster_has_more_of_than_the_others(kind):
    X = np.array([[3.0, 1, 0, 2], [2, 1, 0, 2], [0, 1, 4, 2], [0, 2, 4, 2]])
    labels, words = np.array([0, 0, 2, 2]), ["apple", "bread", "cream", "the"]
    found = top_words(kind(X), labels, words, n_words=2)
    assert set(found) == {0, 2}
    assert [word for word, _ in found[0]] == ["apple", "the"]
    assert found[2][0] == ("cream", pytest.approx(4 - 2))
    figure = words_of_clusters(kind(X), labels, words, n_words=2)
    names = [[text.get_text() for text in axes.get_yticklabels()] for axes in figure.axes]
    assert names == [["apple", "the"], ["cream", "bread"]]
    assert figure.axes[1].get_title() == "cluster 2 (2 texts)"


def test_words_of_many_clusters_are_those_of_the_largest(tmp_path):
    labels = np.concatenate([np.arange(30), np.arange(5, 25)])
    figure = words_of_clusters(RNG.random((50, 6)), labels, list("abcdef"))
    assert [axes.get_title().split()[1] for axes in figure.axes if axes.get_title()] == [str(c) for c in range(5, 25)]
    figure.savefig(tmp_path / "figure.png")


def test_a_panel_a_term_of_the_loss_and_the_kept_epoch(tmp_path):
    history = [{"loss": 3.0 - k, "consistency": 2.0 - k, "score": -k, "head": 0, "clusters": 3} for k in range(4)]
    figure = loss_terms(history, best=3)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "consistency", "score"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [3, 2, 1, 0])
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xdata(), [4, 4])
    figure.savefig(tmp_path / "figure.png")
    rounds = loss_terms([{"round": 0, "losses": {"loss": 1.0}}, {"round": 1, "losses": {"loss": 0.5, "supervised": 2}}])
    assert [axes.get_xlabel() for axes in rounds.axes if axes.get_title()] == ["round", "round"]


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_neighbours_stand_beside_their_row_framed_by_class(channels, tmp_path):
    images = RNG.integers(256, size=(12, 5, 5, *channels)).astype("uint8")
    truth, neighbors = np.arange(12) % 2, (np.arange(12)[:, None] + [1, 2, 4]) % 12
    figure = neighbors_of_rows(images, neighbors, [3, 7], truth)
    colours = [patch.get_edgecolor()[:2] for patch in figure.axes[0].patches]
    assert len(set(colours)) == 2
    assert colours[1] == colours[2] == colours[4] != colours[0] == colours[3]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["3", "7"]
    assert not neighbors_of_rows(images, neighbors, [3]).axes[0].patches
    figure.savefig(tmp_path / "figure.png")
