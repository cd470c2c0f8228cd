"""Pictures of items: what they show, for any number of clusters, grey and in colour."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from experiments import run as running
from experiments.cli import main
from experiments.item_figures import (
    draw_losses,
    loss_terms,
    neighbors_of_rows,
    top_words,
    typical_images,
    words_of_clusters,
)
from experiments.prototypes import visualize
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
    figure = neighbors_of_rows(images, [3, 7], neighbors[[3, 7]], truth)
    colours = [patch.get_edgecolor()[:2] for patch in figure.axes[0].patches]
    assert len(set(colours)) == 2
    assert colours[1] == colours[2] == colours[4] != colours[0] == colours[3]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["3", "7"]
    assert not neighbors_of_rows(images, [3], neighbors[[3]]).axes[0].patches
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize("n_rows", [5, 60])
def test_what_is_typical_of_a_run_is_written_down_and_drawn(n_rows, tmp_path):
    images, truth = RNG.integers(256, size=(n_rows, 5, 5)).astype("uint8"), np.arange(n_rows) % 3
    probabilities = RNG.dirichlet(np.ones(3), n_rows)
    paths = visualize(tmp_path, probabilities, images, images=images, truth=truth, class_names=list("abc"))
    assert [path.name for path in paths] == ["prototypes.json", "typical.png", "neighbors.png"]
    expected = cluster_prototypes(probabilities, images.reshape(n_rows, -1).astype("float32"))
    written = json.loads(paths[0].read_text(encoding="utf-8"))
    assert written == {str(cluster): row for cluster, row in enumerate(expected.tolist())}
    texts = sparse.csr_matrix(RNG.random((n_rows, 4)))
    paths = visualize(tmp_path, probabilities, texts, words=list("wxyz"))
    assert [path.name for path in paths] == ["prototypes.json", "words.png"]
    assert all(path.stat().st_size > 20 for path in paths)


def test_losses_of_the_stages_that_kept_them(tmp_path):
    fitted = SimpleNamespace(history_=[{"loss": 2.0, "head": 0}, {"loss": 1.0, "head": 1}], best_epoch_=1)
    without = SimpleNamespace(history_=[])
    rounds = SimpleNamespace(history_=[{"round": 0, "losses": {}}])
    paths = draw_losses(tmp_path / "figures", {"pretext": without, "cluster": fitted, "refine": rounds})
    assert [path.name for path in paths] == ["loss_cluster.png"]
    assert paths[0].stat().st_size > 1000


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_a_run_shows_its_prototypes_on_demand_and_afterwards(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(running, "_draw", lambda *_: None)
    monkeypatch.setattr(running, "write_report", lambda *_: None)
    monkeypatch.setenv("KINGDRA_CACHE", str(tmp_path / "cache"))
    data = {"name": "digits", "images": True, "subset": 90, "features": "flatten"}
    if kind == "texts":
        (tmp_path / "own.txt").write_text("cats purr\ndogs bark\n" * 20)
        data = {"name": "text_files", "path": str(tmp_path / "own.txt"), "features": "tfidf"}
    config = {"data": data, "cluster": {"name": "kmeans", "n_clusters": 2}, "seeds": [0]}
    (tmp_path / "small.json").write_text(json.dumps(config))
    command = [str(tmp_path / "small.json"), "--output", str(tmp_path / "run")]
    assert main(command) == 0
    figures = tmp_path / "run" / "seed_0" / "figures"
    assert not figures.exists()
    assert main([*command, "--resume", "--visualize_prototypes"]) == 0
    expected = {"typical.png", "neighbors.png"} if kind == "images" else {"words.png"}
    assert {path.name for path in figures.iterdir()} == expected
    assert str(tmp_path / "run" / "seed_0" / "prototypes.json") in capsys.readouterr().out
