"""Rows that can be clustered, but not to much purpose, are told of."""

import warnings

import numpy as np
import pytest

from experiments.data_warnings import warn_of_units, warn_of_wordless
from experiments.features import make_features

RNG = np.random.default_rng(0)


def test_texts_without_a_known_word_are_counted():
    features = make_features("tfidf")
    features.fit_transform(["a cat", "the dog", "dog and cat"])
    with pytest.warns(UserWarning, match="2 of 3 texts hold no known word"):
        wordless = warn_of_wordless(features, features.transform(["", "my cat", "unheard-of"]))
    assert wordless.tolist() == [True, False, True]
    assert not warn_of_wordless(features, features.transform(["cat", "dog"])).any()
    assert not warn_of_wordless(make_features("none"), np.zeros((2, 3))).any()


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ([1, 1000, 1], "column 'c1' holds 100 % of the variance.*--set data.features=standardize"),
        ([1e3, 1e3] + [1] * 18, r"2 of 20 columns \('c[01]', 'c[01]'\) hold 100 % of the variance"),
    ],
)
def test_columns_that_hold_nearly_all_of_the_variance_are_named(scales, message):
    X = RNG.normal(size=(200, len(scales))) * scales
    with pytest.warns(UserWarning, match=message):
        warn_of_units(X, [f"c{i}" for i in range(len(scales))])


@pytest.mark.parametrize(
    ("scales", "named"), [([1, 2, 1], True), ([1, 1000, 1], False), ([1, 1000], True), ([0, 0, 0], True)]
)
def test_columns_alike_or_without_names_are_not(scales, named):
    X = RNG.normal(size=(200, len(scales))) * scales
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_units(X, [f"c{i}" for i in range(len(scales))] if named else None)
        rows = make_features("standardize").fit_transform(X * [1000, *[1] * (len(scales) - 1)])
        warn_of_units(rows, [f"c{i}" for i in range(len(scales))])
