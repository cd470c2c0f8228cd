"""The page of a run: what is on it for images, texts and vectors, with and without truth; that it is well formed."""

import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from fake_estimator import make_fake
from scipy import sparse

from experiments import exhibits, stages, svg
from experiments.cli import main
from experiments.cluster_cards import cluster_cards, picture
from experiments.report import write_report
from kingdra_cluster.persistence import read_json
from kingdra_cluster.similarity_graph import SimilarityGraph

TINY = {"n_members": 3, "n_rounds": 3, "epochs_first_round": 1, "epochs_per_round": 1, "tol": None}
WORDS = {0: "engine brake wheel", 1: "moon orbit rocket", 2: "goal match referee"}
VOID = {"meta", "img", "br", "wbr"}


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order; collects what it refers to."""

    def __init__(self, html):
        super().__init__()
        self.open, self.references, self.ids, self.images, self.words = [], [], set(), 0, []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert attributes.get("id") not in self.ids or attributes.get("id") is None
        self.ids.add(attributes.get("id"))
        self.references += [attributes[key] for key in ("src", "href") if key in attributes]
        self.images += tag == "img"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def run_fake(folder, config):
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "make_kingdra", make_fake)
        assert main([str(folder / "config.json"), "--output", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    data = {"name": "digits", "images": True, "subset": 120, "features": "flatten"}
    config = {"name": "a<b & c", "data": data, "cluster": TINY, "seeds": [0, 1]}
    return run_fake(tmp_path_factory.mktemp("images"), config)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    lines = [f"<script>alert({i})</script> the {WORDS[i % 3]} number {i}" for i in range(60)]
    (folder / "texts.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    data = {"name": "text_files", "path": str(folder / "texts.txt")}
    return run_fake(folder, {"data": data, "cluster": TINY | {"n_clusters": 3}})


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    rows = np.repeat(np.eye(3, 5), 30, axis=0) + np.random.default_rng(0).normal(scale=0.05, size=(90, 5))
    np.save(folder / "rows.npy", rows.astype("float32"))
    data = {"name": "arrays", "path": str(folder / "rows.npy")}
    return run_fake(folder, {"data": data, "cluster": TINY | {"n_clusters": 3}})


def read(run):
    html = (run / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert len(html) < 5_000_000
    for reference in page.references:
        assert reference.startswith("data:image/") or reference[1:] in page.ids, reference
    assert not re.search(r"https?://|@import|url\(|<script|\bnan\b", html)
    return " ".join(" ".join(page.words).split()), page


def test_a_labelled_image_run(images):
    words, page = read(images)
    assert "a<b & c" in words
    assert "Mean ± standard deviation of seeds 0, 1" in words
    for heading in (
        "Beside its baselines",
        "Round by round",
        "By cluster",
        "By class",
        "Cores of the similarity graph",
    ):
        assert heading in words
    for heading in (
        "Most doubtful rows",
        "How right, by how sure",
        "Where each class went",
        "Configuration",
        "Manifest",
    ):
        assert heading in words
    summary = read_json(images / "summary.json")
    for method in ("kmeans", "member_mean", "ensemble", "kingdra"):
        assert f"{100 * summary['mean'][method]['acc']:.1f} ± {100 * summary['std'][method]['acc']:.1f}" in words
    assert words.count("Cluster ") >= 10
    assert page.images > 10 * 10
    assert read_json(images / "seed_0" / "manifest.json")["data"]["sha256"] in words


def test_an_unlabelled_text_run_shows_words_and_texts_and_runs_no_code_of_theirs(texts):
    words, page = read(texts)
    assert "No true classes are known here" in words
    for heading in ("Beside its baselines", "By class", "Where each class went", "How right"):
        assert heading not in words
    cards = read_json(texts / "seed_0" / "exhibits.json")["clusters"]
    found = [{word for word, _ in card["words"][:3]} for card in cards]
    assert sorted(map(sorted, found)) == sorted(sorted(group.split()) for group in WORDS.values())
    assert "<script>alert(" in words
    assert page.images == 0


def test_a_vector_run_shows_unusual_columns(vectors):
    words, page = read(vectors)
    assert "Columns farthest from the mean" in words
    for card in read_json(vectors / "seed_0" / "exhibits.json")["clusters"]:
        name, away = card["columns"][0]
        assert name in {"column 0", "column 1", "column 2"}
        assert away > 1
    assert page.images == 0


def test_the_page_can_be_made_again_of_any_seed_and_without_data(images, tmp_path, capsys):
    run = shutil.copytree(images, tmp_path / "run")
    (run / "report.html").unlink()
    (run / "summary.json").unlink()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").read_bytes() == (images / "report.html").read_bytes()
    assert main(["report", str(run / "seed_1")]) == 0
    assert "Details are those of seed 1" in (run / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 2
    assert "has no finished seed" in capsys.readouterr().err


def test_a_method_that_tells_no_rows_to_be_sure_is_not_said_to_doubt_them_all(vectors, tmp_path):
    run = shutil.copytree(vectors, tmp_path / "run")
    marks = ("Hollow: unsure", "% sure", "share of sure rows", "how many of them are sure", "have a pseudo-label")
    assert all(mark in read(run)[0] for mark in marks)
    path = run / "seed_0" / "metrics.json"
    path.write_text(json.dumps({name: value for name, value in read_json(path).items() if name != "coverage"}))
    write_report(run)
    found = read(run)[0]
    assert not [mark for mark in marks if mark in found]
    assert "mean confidence" in found
    estimator, data = example(pseudo_labels_=None)
    found = exhibits.collect(estimator, data)
    assert sum(found["confidence"]["sure"]) == 80
    assert all(found["map"]["sure"])
    assert all(card["sure"] == card["rows"] for card in found["clusters"])


def test_missing_exhibits_are_made_from_data_and_model(vectors, tmp_path, monkeypatch):
    run = shutil.copytree(vectors, tmp_path / "run")
    (run / "seed_0" / "exhibits.json").unlink()
    assert write_report(run) is None
    fitted = make_fake(read_json(run / "seed_0" / "config.json")["cluster"], 0, None, [])
    fitted.fit(np.load(read_json(run / "seed_0" / "config.json")["data"]["path"]))
    monkeypatch.setattr(stages, "load_stage", lambda folder: fitted)
    assert main(["report", str(run)]) == 0
    assert (run / "seed_0" / "exhibits.json").read_bytes() == (vectors / "seed_0" / "exhibits.json").read_bytes()


def example(n=80, n_clusters=4, **changes):
    """A fitted estimator and its data, of plain numbers."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(n_clusters, 0.3), n)
    labels = probabilities.argmax(axis=1)
    estimator = {
        "labels_": labels,
        "probabilities_": probabilities,
        "pseudo_labels_": np.where(rng.random(n) < 0.6, labels, -1),
    }
    estimator["similarity_graph_"] = SimilarityGraph(np.stack([labels, labels, np.roll(labels, 1)]))
    data = dict.fromkeys(("truth", "class_names", "images", "texts", "filenames", "feature_names", "features"))
    data["X"] = rng.normal(size=(n, 3))
    for key, value in changes.items():
        (data if key in data else estimator)[key] = value
    return SimpleNamespace(**estimator), SimpleNamespace(**data)


@pytest.mark.parametrize("n_clusters", [1, 2, 70])
def test_exhibits_at_any_number_of_clusters(n_clusters):
    estimator, data = example(n_clusters=n_clusters, truth=np.arange(80) % 3)
    found = exhibits.collect(estimator, data)
    assert found == json.loads(json.dumps(found, allow_nan=False))
    assert sum(found["confidence"]["sure"]) + sum(found["confidence"]["unsure"]) == 80
    assert np.sum(found["counts"]) == 80
    assert ("confusion" in found) == (n_clusters <= 60)
    assert len(found["clusters"]) == min(40, len(np.unique(estimator.labels_)))


def test_doubtful_rows_are_those_of_the_smallest_margin():
    probabilities = np.tile([0.7, 0.2, 0.1], (80, 1))
    probabilities[5], probabilities[9] = [0.45, 0.1, 0.45], [0.3, 0.4, 0.3]
    estimator, data = example(probabilities_=probabilities, labels_=probabilities.argmax(axis=1))
    found = exhibits.collect(estimator, data)["doubtful"]
    assert [one["row"] for one in found[:2]] == [5, 9]
    assert found[0]["clusters"] == [[0, 0.45], [2, 0.45]]
    np.testing.assert_allclose(exhibits.margins(np.array([[0.5, 0.3, 0.2]])), [0.2])
    np.testing.assert_array_equal(exhibits.margins(np.ones((2, 1))), [1, 1])


def test_rivals_hold_the_largest_mean_probabilities():
    probabilities = np.repeat([[0.6, 0.3, 0.1, 0.0], [0.0, 0.0, 0.0, 1.0]], 40, axis=0)
    estimator, data = example(probabilities_=probabilities, labels_=probabilities.argmax(axis=1))
    cards = cluster_cards(data, estimator.labels_, probabilities, estimator.labels_ >= 0, np.ones(80))
    assert [card["rivals"] for card in cards] == [[[1, 0.3], [2, 0.1]], []]


def test_sparse_rows_have_the_cards_of_dense_ones():
    estimator, data = example()
    dense = exhibits.collect(estimator, data)["clusters"]
    data.X = sparse.csr_matrix(data.X)
    for one, other in zip(dense, exhibits.collect(estimator, data)["clusters"], strict=True):
        assert [name for name, _ in one["columns"]] == [name for name, _ in other["columns"]]


def test_named_columns_and_files():
    estimator, data = example(feature_names=["a", "b", "c"], filenames=[f"{i}.png" for i in range(80)])
    found = exhibits.collect(estimator, data)
    assert {name for name, _ in found["clusters"][0]["columns"]} <= {"a", "b", "c"}
    assert found["doubtful"][0]["file"] == f"{found['doubtful'][0]['row']}.png"


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 4), "png"), ((4, 4, 1), "png"), ((90, 120, 3), "jpeg"), ((32, 32, 3), "png")]
)
def test_pictures_are_small_and_keep_their_greys(shape, kind):
    import base64
    import io

    from PIL import Image

    images = np.zeros((2, *shape), dtype=np.uint8)
    images[1] = 200
    uri = picture(images, 1)
    assert uri.startswith(f"data:image/{kind};base64,")
    drawn = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert max(drawn.size) <= 64
    np.testing.assert_allclose(np.asarray(drawn), 200, atol=2)


def test_tags_never_cover_each_other():
    rng = np.random.default_rng(0)
    middles, half = 180 + rng.normal(scale=10, size=(20, 2)), np.tile([24.0, 8.0], (20, 1))
    places = svg.spread(middles, half, 360)
    for i in range(20):
        for j in range(i):
            assert (np.abs(places[i] - places[j]) >= half[i] + half[j]).any()
    assert (places - half).min() >= 0
    assert (places + half).max() <= 360


def test_text_in_drawings_is_escaped_and_shortened():
    assert svg.text(0, 0, "<b>") == '<text x="0.0" y="0.0" text-anchor="start" class="tick">&lt;b&gt;</text>'
    assert svg.shorten("abcdef", 4) == "abc…"
    assert svg.rect("fill", 0, 1, 2, 3, 'a "hint" <').endswith("<title>a &quot;hint&quot; &lt;</title></rect>")
