"""Every data set keeps one contract, and what they share is in one place."""
# ruff: noqa: F811  (fixtures are imported by name)

import inspect

import numpy as np
import pytest
import scipy.sparse as sp
from dataset_files import NAMES, PUBLISHED, TEXT, home, no_network, write_raw  # noqa: F401  (fixtures)
from sklearn.utils import Bunch

from experiments.bunch import encode_labels, make_bunch, subset_rows
from experiments.data_home import DataUnavailable
from experiments.datasets import available, load, load_module

# the contract


def test_all_data_sets_are_there():
    assert set(NAMES) <= set(available())


@pytest.mark.parametrize("name", available())
def test_load_data_has_the_agreed_signature_and_docstrings(name):
    module = load_module(name)
    parameters = list(inspect.signature(module.load_data).parameters.values())
    assert parameters[0].name == "data_home"
    assert parameters[0].default is None
    assert all(parameter.kind == parameter.KEYWORD_ONLY for parameter in parameters[1:])
    assert {"subset", "subset_seed"} <= {parameter.name for parameter in parameters}
    assert module.__doc__
    for parameter in parameters:
        assert f"{parameter.name} :" in module.load_data.__doc__
    for section in ("Parameters", "Returns"):
        assert f"{section}\n    ---" in module.load_data.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_the_bunch_has_the_agreed_entries(name, home):
    bunch = load(name, home, **write_raw(home, name))
    assert isinstance(bunch, Bunch)
    assert bunch.name == name
    assert all(isinstance(bunch[key], str) and bunch[key] for key in ("description", "source", "licence"))
    assert ("texts" in bunch) == (name in TEXT)
    assert ("X" in bunch) != ("texts" in bunch)
    n = len(bunch.texts) if name in TEXT else bunch.X.shape[0]
    assert n >= 2
    assert bunch.rows.tolist() == list(range(n))
    for key in ("y", "split"):
        assert bunch[key] is None or bunch[key].shape == (n,)
    if bunch.y is not None:
        assert bunch.y.dtype.kind == "i"
        assert 0 <= bunch.y.min() <= bunch.y.max() < len(bunch.class_names)
        assert all(isinstance(class_name, str) for class_name in bunch.class_names)


@pytest.mark.parametrize("name", NAMES)
def test_a_subset_is_the_same_rows_every_time_in_their_order(name, home):
    options = write_raw(home, name)
    whole = load(name, home, **options)
    part, again = (load(name, home, subset=6, subset_seed=3, **options) for _ in range(2))
    other = load(name, home, subset=6, subset_seed=4, **options)
    assert len(part.rows) == 6
    assert (np.diff(part.rows) > 0).all()
    assert (part.rows == again.rows).all()
    assert not np.array_equal(part.rows, other.rows)
    key = "texts" if name in TEXT else "X"
    np.testing.assert_array_equal(np.asarray(part[key]), np.asarray(whole[key])[part.rows])
    if whole.y is not None:
        np.testing.assert_array_equal(part.y, whole.y[part.rows])
    for subset in (0, 1, 10**6, 2.5, True, "6"):
        with pytest.raises(ValueError, match="subset must be an integer from 2 to"):
            load(name, home, subset=subset, **options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_network_and_cache_one_error_says_what_to_do(name, home):
    with pytest.raises(DataUnavailable) as caught:
        load(name, home)
    message = str(caught.value)
    assert f"into {home}" in message
    assert f"Put {name}" in message
    assert "configs/kingdra_ladder_im_digits.json runs without it" in message
    assert ("text" in message) if name in TEXT else ("split 0/1" in message)
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "reuters"])
def test_a_cached_file_that_is_not_the_published_one_is_used_and_marked(name, home, caplog):
    write_raw(home, name)
    before = {path: path.read_bytes() for path in home.iterdir()}
    bunch = load(name, home)
    assert bunch.verified is False
    assert f"is not the published {name}" in caplog.text
    assert bunch.source.startswith("cached file")
    assert {path: path.read_bytes() for path in home.iterdir()} == before


def test_unknown_names_and_options_name_the_nearest():
    with pytest.raises(ValueError, match=r"unknown data set 'minst'.*'mnist'"):
        load("minst")
    with pytest.raises(ValueError, match=r"unknown option 'subst' for data set 'mnist'.*'subset'"):
        load("mnist", subst=3)
    with pytest.raises(ValueError, match="data set 'arrays' needs the option 'path'"):
        load("arrays")
    with pytest.raises(ValueError, match="unknown data set '../run_exp'"):
        load("../run_exp")


def test_nothing_is_importable_by_the_name_of_the_folder():
    import experiments.datasets

    assert not (experiments.datasets.FOLDER / "__init__.py").exists()
    assert load_module("digits") is load_module("digits")
    assert not any("_data_set" in name for name in available())


# one shared place for checks and subsets


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "exactly one of X and texts"),
        ({"X": np.eye(3), "texts": ["a"] * 3}, "exactly one of X and texts"),
        ({"X": np.ones((1, 3))}, "at least 2 rows, received 1"),
        ({"texts": []}, "at least 2 rows, received 0"),
        ({"X": np.eye(3), "y": [0, 1]}, "y must have one value for each of 3 rows, received 2"),
        ({"X": np.eye(3), "y": [0, 1, 5], "class_names": ["a", "b"]}, "from 0 to 1, one a row; received 0 to 5"),
        ({"X": np.eye(3), "y": [0, 1, -1]}, "class numbers from 0, one a row; received -1 to 1"),
        ({"X": np.eye(3), "rowwise": {"filenames": ["a"]}}, "filenames must have one value for each of 3 rows"),
    ],
)
def test_parts_must_fit(parts, message):
    with pytest.raises(ValueError, match=message):
        make_bunch("own", **parts, description="", source="", licence="")


def test_sparse_rows_are_cut_too():
    X = sp.random(20, 4, density=0.5, random_state=0, format="csr")
    bunch = make_bunch("own", X=X, description="", source="", licence="", subset=5)
    assert (X[bunch.rows] != bunch.X).nnz == 0
    assert subset_rows(9, None) is None


def test_labels_are_numbered_by_their_sorted_values():
    y, names = encode_labels([3, 1, 3])
    assert y.tolist() == [1, 0, 1]
    assert names == ["1", "3"]


def test_what_is_no_bunch_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(load_module("digits"), "load_data", lambda data_home=None: (np.zeros((3, 2)), None))
    with pytest.raises(
        TypeError, match=r"load_data of datasets/digits\.py must return the Bunch of .*make_bunch, received tuple"
    ):
        load("digits")
