import numpy as np
import pytest
from scipy import sparse

from experiments import figures
from experiments.figure_data import embed, matched_confusion, mosaic, reliability, strongest_rows

PNG = b"\x89PNG"


def example(n_clusters, n=240, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_clusters
    labels = np.where(rng.random(n) < 0.2, rng.integers(n_clusters, size=n), (truth + 1) % n_clusters)
    probabilities = np.full((n, n_clusters), 1e-3)
    probabilities[np.arange(n), labels] = rng.uniform(0.3, 1, n)
    history = [
        {"round": r, "agreement": 0.5, "pseudo_labelled": r * 20, "supervised": r > 1, "acc": 0.6, "purity": None}
        for r in range(3)
    ]
    return {
        "history": history,
        "labels": labels,
        "probabilities": probabilities,
        "pseudo_labels": np.where(probabilities.max(axis=1) > 0.7, labels, -1),
        "X": rng.normal(size=(n, 6)),
        "truth": truth,
        "images": rng.integers(256, size=(n, 5, 5)).astype("uint8"),
    }


@pytest.mark.parametrize("n_clusters", [1, 2, 20, 200])
def test_all_pictures_at_any_number_of_clusters(tmp_path, n_clusters):
    paths = figures.draw_all(tmp_path / "figures", **example(n_clusters))
    names = {"rounds", "cluster_sizes", "confidence", "map", "confusion", "prototypes"}
    assert {path.stem for path in paths} == names
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {f"{name}.png" for name in names}
    for path in paths:
        assert path.read_bytes()[:4] == PNG
        assert 5_000 < path.stat().st_size < 1_000_000


def test_without_truth_and_images(tmp_path):
    content = example(3) | {"truth": None, "images": None}
    content["history"] = [{k: v for k, v in line.items() if k not in ("acc", "purity")} for line in content["history"]]
    paths = figures.draw_all(tmp_path, **content)
    assert {path.stem for path in paths} == {"rounds", "cluster_sizes", "confidence", "map"}


def test_nothing_sure_and_one_round(tmp_path):
    content = example(3)
    content |= {"pseudo_labels": np.full(240, -1), "history": content["history"][:1]}
    assert len(figures.draw_all(tmp_path, **content)) == 6


def test_where_nothing_tells_sure_rows_none_is_called_unsure(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: drawn.append(figure))
    figures.draw_all(tmp_path, **example(3) | {"pseudo_labels": None, "history": [], "truth": None})
    sizes, confidence = drawn[0].axes[0], drawn[1].axes[0]
    assert sizes.get_legend() is confidence.get_legend() is None
    assert sum(bar.get_height() for bar in confidence.patches) == 240
    assert [bar.get_height() for bar in sizes.patches[:3]] == sorted(np.bincount(example(3)["labels"]))[::-1]
    figures.draw_all(tmp_path, **example(3) | {"truth": None})
    assert drawn[-3].axes[0].get_legend() is not None


def test_axes_have_names_and_units():
    content = example(4)
    axes = figures.rounds(content["history"], 240).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("round", "share (%)")
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "accuracy (ACC)" in names
    assert "purity of pseudo-labels" not in names
    axes = figures.confusion(content["truth"], content["labels"], ["a", "b", "c", "d" * 40]).axes[0]
    assert axes.get_ylabel() == "class"
    assert len(axes.get_yticklabels()[3].get_text()) == 24
    axes = figures.cluster_sizes(content["labels"], content["pseudo_labels"] >= 0, 4).axes[0]
    assert axes.get_title() == "Size of the 4 clusters (0 empty)"


def test_matched_confusion_puts_matches_on_the_diagonal():
    truth = np.array([0, 0, 1, 1, 2, 2])
    labels = np.array([3, 3, 0, 0, 1, 2])
    table, order = matched_confusion(truth, labels)
    assert table.shape == (3, 4)
    assert sorted(order) == [0, 1, 2, 3]
    assert list(order[:2]) == [3, 0]
    assert np.diag(table).tolist() == [100, 100, 50]


def test_reliability_by_hand():
    confidence, labels, truth = np.array([0.95, 0.91, 0.2, 0.15]), np.array([1, 1, 0, 0]), np.array([0, 0, 1, 0])
    middle, accuracy = reliability(confidence, labels, truth, np.linspace(0, 1, 11))
    assert middle == pytest.approx([0.175, 0.93])
    assert accuracy == pytest.approx([50, 100])


def test_strongest_rows_are_sorted():
    confidence = np.array([0.2, 0.9, 0.5, 0.9])
    assert strongest_rows(np.array([0, 0, 0, 1]), confidence, 0, 2).tolist() == [1, 2]


@pytest.mark.parametrize("shape", [(4, 5, 5), (4, 5, 5, 1), (4, 5, 5, 3)])
def test_mosaic_places_images(shape):
    images = np.zeros(shape)
    images[3] = 7
    picture = mosaic(images, [np.array([0, 3]), np.array([1])], 2)
    assert picture.shape == (12, 12, *((3,) if shape[-1] == 3 else ()))
    assert picture[:5, 6:11].min() == 1
    assert picture[:5, :5].max() == 0
    assert picture[6:11, :5].max() == 0
    assert picture[6:, 6:].min() == 1  # no image: white


@pytest.mark.parametrize(
    ("X", "method"),
    [
        (np.ones((5, 1)), "PCA"),
        (np.eye(4), "PCA"),
        (sparse.random(150, 8, 0.5, format="csr", random_state=0), "t-SNE"),
        (np.random.default_rng(0).integers(9, size=(150, 3, 3)), "t-SNE"),
    ],
)
def test_embedding_of_any_rows(X, method):
    points, rows, used = embed(X, 120, seed=0)
    assert used == method
    assert points.shape == (min(120, X.shape[0]), 2)
    assert np.isfinite(points).all()
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(points, embed(X, 120, seed=0)[0])


def test_one_cluster_is_singular_and_keeps_rows_of_a_confidence_just_above_1():
    labels, sure = np.zeros(40, dtype=int), np.ones(40, dtype=bool)
    assert figures.cluster_sizes(labels, sure, 1).axes[0].get_title() == "Size of the cluster (0 empty)"
    drawn = figures.confidences(np.full(40, 1 + 1.2e-7), None, labels)
    assert sum(bar.get_height() for bar in drawn.axes[0].patches) == 40
