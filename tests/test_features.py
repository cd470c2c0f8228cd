"""Features: raw items to rows, saved and reloaded to the same numbers."""

import json
import os
import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import Bunch

from experiments import pretrained
from experiments.features import FEATURES, load_features, make_features

TEXTS = [
    "The cat sat on the mat, and the cat slept.",
    "A dog barked at the cat 漢字!",
    "",
    "Dogs and cats: größer oder kleiner?",
    "completely different words here",
]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
SMALL = {"weights": None, "size": 32}


@pytest.fixture(autouse=True, scope="module")
def _one_network():
    """Build the network of each size once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "build_resnet50", lru_cache(pretrained.build_resnet50))
        yield


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KINGDRA_CACHE", str(tmp_path / "cache"))


def dense(X):
    return X.toarray() if sp.issparse(X) else np.asarray(X)


# the contract


@pytest.mark.parametrize("kind", FEATURES)
def test_every_kind_has_a_name_a_docstring_and_keeps_its_arguments(kind):
    features = make_features(kind)
    assert features.kind == kind
    assert type(features).__doc__
    options = features.get_options()
    assert make_features(kind, **options).get_options() == options
    assert json.loads(json.dumps(options)) == options
    for name in options:
        assert name in type(features).__doc__
    with pytest.raises(ValueError, match=f"features of kind '{kind}' must be fitted first"):
        features.transform(TEXTS if kind == "tfidf" else IMAGES)
    with pytest.raises(ValueError, match="must be fitted first"):
        features.save("nowhere")


@pytest.mark.parametrize(
    ("kind", "options", "items"),
    [
        ("none", {}, RNG.random((5, 3))),
        ("none", {}, IMAGES),
        ("none", {}, sp.random(6, 4, density=0.5, format="csr", random_state=0)),
        ("flatten", {}, IMAGES),
        ("flatten", {"divide_by": 255}, IMAGES),
        ("standardize", {}, RNG.random((5, 3)) * [1, 1e6, 0]),
        ("standardize", {}, IMAGES),
        ("tfidf", {}, TEXTS),
        ("tfidf", {"stop_words": "english", "max_features": 5}, TEXTS),
        ("tfidf", {"stop_words": ["cat"], "sublinear_tf": True, "scale": "sqrt", "min_df": 1, "max_df": 0.9}, TEXTS),
        ("resnet50", SMALL, IMAGES),
    ],
)
def test_reloaded_features_give_the_same_numbers(tmp_path, kind, options, items):
    features = make_features(kind, **options)
    X = features.fit_transform(items)
    features.save(tmp_path / "features")
    assert all(path.suffix in (".json", ".npz") for path in (tmp_path / "features").iterdir())
    reloaded = load_features(tmp_path / "features")
    assert reloaded.get_options() == features.get_options()
    for again in (features, reloaded):
        Y = again.transform(items)
        assert Y.dtype == X.dtype
        np.testing.assert_array_equal(dense(Y), dense(X))
    for i in range(X.shape[0]):  # in any company
        np.testing.assert_array_equal(dense(reloaded.transform(items[i : i + 1])), dense(X[i : i + 1]))


@pytest.mark.parametrize(("kind", "items"), [("none", {"X": IMAGES}), ("tfidf", {"texts": TEXTS})])
def test_a_bunch_gives_the_rows_of_its_items(kind, items):
    bunch = Bunch(y=None, **items)
    X = make_features(kind).fit_transform(bunch)
    np.testing.assert_array_equal(dense(X), dense(make_features(kind).fit_transform(next(iter(items.values())))))


def test_unknown_kinds_and_options_name_the_nearest():
    with pytest.raises(ValueError, match=r"unknown features 'tfdif'.*'tfidf'"):
        make_features("tfdif")
    with pytest.raises(ValueError, match=r"unknown option 'max_feature' for features 'tfidf'.*'max_features'"):
        make_features("tfidf", max_feature=5)
    with pytest.raises(ValueError, match="unknown option 'size' for features 'none'.*known: none"):
        make_features(size=3)
    assert make_features().kind == make_features("none").kind == "none"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("tfidf", {"scale": "cbrt"}, 'scale must be None or "sqrt", received'),
        ("tfidf", {"stop_words": "german"}, 'stop_words must be None, "english" or a list'),
        ("tfidf", {"max_features": -3}, "max_features must be an integer of at least 1, or None; received"),
        ("tfidf", {"max_df": 1.5}, "max_df must be a finite number of at least 0 and at most 1; received"),
        ("tfidf", {"min_df": 0}, "min_df must be a finite number of at least 1; received"),
        ("resnet50", {"seed": -1}, "seed must be an integer of at least 0"),
        (
            "flatten",
            {"divide_by": 0},
            "divide_by must be a finite number of more than 0, or None; received",
        ),
        ("resnet50", {"size": 31}, "size must be an integer of at least 32; received size=31"),
        ("resnet50", {"weights": "coco"}, 'weights must be None or "imagenet", received'),
        ("resnet50", {"batch_size": 0}, "batch_size must be an integer of at least 1"),
    ],
)
def test_bad_values_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        make_features(kind, **options)


@pytest.mark.parametrize(
    ("kind", "items", "message"),
    [
        ("none", TEXTS, "need numeric rows; use 'tfidf' for texts"),
        ("flatten", Bunch(texts=TEXTS), "need numeric rows; use 'tfidf' for texts"),
        ("none", np.zeros(3), r"need an array of shape \(n, ...\), received \(3,\)"),
        ("standardize", sp.eye(3, format="csr"), "features of kind 'standardize' need dense rows, received a sparse"),
        ("tfidf", Bunch(X=IMAGES), "need a list of texts; use 'flatten' or 'none'"),
        ("tfidf", "one text", "need a list of texts"),
        ("tfidf", ["a", None], "need texts, received NoneType at row 1"),
        ("tfidf", ["", "?"], "no tf-idf of 2 texts"),
        ("resnet50", np.zeros((3, 4)), r"need images \(n, h, w\[, 1 or 3\]\), received \(3, 4\)"),
        ("resnet50", np.zeros((3, 4, 4, 2)), "need images"),
        ("resnet50", np.ones((3, 4, 4, 3)), "need values 0 to 255"),
    ],
)
def test_items_of_another_sort_are_refused(kind, items, message):
    with pytest.raises(ValueError, match=message):
        make_features(kind).fit_transform(items)


def test_a_damaged_description_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_features(tmp_path)
    for content in ("{", "[]", "{}"):
        (tmp_path / "features.json").write_text(content)
        with pytest.raises(ValueError, match=r"features\.json is not a description of features"):
            load_features(tmp_path)


def test_importing_does_not_import_tensorflow():
    code = "import sys, experiments.features, experiments.datasets; sys.exit('tensorflow' in sys.modules)"
    root = os.path.dirname(os.path.dirname(__file__))
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# kinds


def test_flat_rows_are_a_view_in_the_same_dtype(tmp_path):
    X = make_features("flatten").fit_transform(IMAGES)
    assert X.shape == (6, 60)
    assert X.dtype == np.uint8
    assert np.shares_memory(X, IMAGES)
    flat = RNG.random((4, 3))
    assert make_features("flatten").fit_transform(flat) is flat
    np.save(tmp_path / "x.npy", IMAGES)
    mapped = make_features("flatten").fit_transform(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert isinstance(mapped, np.memmap)


def test_division_gives_float32():
    X = make_features("flatten", divide_by=255).fit_transform(IMAGES)
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, IMAGES.reshape(6, -1) / 255, rtol=1e-6)
    sparse = sp.csr_matrix(np.eye(3))
    assert make_features("flatten", divide_by=2).fit_transform(sparse).sum() == 1.5


def test_standardized_columns_have_mean_0_and_deviation_1_and_constant_ones_are_0():
    X = np.column_stack([RNG.random(50), 1.6e9 + RNG.random(50), 1e-9 * RNG.random(50), np.full(50, 0.1)])
    rows = make_features("standardize").fit_transform(X)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.mean(axis=0, dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(rows.std(axis=0, dtype=float), [1, 1, 1, 0], atol=1e-6)


def test_grey_images_get_an_axis_of_channels_without_a_copy():
    grey, features = IMAGES[..., 0].copy(), make_features("none")
    X = features.fit_transform(grey)
    assert X.shape == (6, 4, 5, 1)
    assert np.shares_memory(X, grey)
    assert features.transform(grey[:2]).shape == (2, 4, 5, 1)


@pytest.mark.parametrize("kind", ["none", "flatten", "standardize"])
def test_rows_of_another_shape_are_refused(kind):
    features = make_features(kind)
    features.fit_transform(IMAGES)
    with pytest.raises(ValueError, match=r"the shape \(4, 5, 3\) seen in fit, received \(5, 4, 3\)"):
        features.transform(IMAGES.swapaxes(1, 2))


def test_tfidf_is_scikit_learn_s():
    X = make_features("tfidf", max_features=6, stop_words="english", sublinear_tf=True).fit_transform(TEXTS)
    vectorizer = TfidfVectorizer(max_features=6, stop_words="english", sublinear_tf=True)
    np.testing.assert_allclose(X.toarray(), vectorizer.fit_transform(TEXTS).toarray(), atol=1e-6)
    assert X.dtype == np.float32
    assert X.format == "csr"


def test_the_scaled_rows_have_root_mean_square_one():
    features = make_features("tfidf", scale="sqrt")
    X = features.fit_transform([text for text in TEXTS if text]).toarray()
    np.testing.assert_allclose(np.sqrt((X**2).mean(axis=1)), 1, rtol=1e-6)
    assert X.shape[1] == len(features.get_feature_names_out())


def test_a_text_without_known_words_is_a_row_of_zeros():
    features = make_features("tfidf")
    features.fit_transform(TEXTS)
    assert features.transform(["", "unheard-of"]).nnz == 0
