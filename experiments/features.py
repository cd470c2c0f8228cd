"""What turns raw items into the rows of X.  It is part of the model: saved beside it, without pickle.

Every kind is a small class: ``fit_transform(items)``, ``transform(items)``, ``save(folder)``; `load_features` reads any
of them back.  Items are a data set's Bunch, a list of texts or an array.
"""

import inspect
import json
from pathlib import Path

import numpy as np
from scipy import sparse

from experiments.feature_base import ARRAYS_FILE, DESCRIPTION_FILE, Features, check_item_shape, numeric_items
from experiments.pretrained import ResNet50
from experiments.raw_files import read_arrays
from experiments.signatures import nearest
from experiments.tfidf import Tfidf
from kingdra_cluster.checks import Real, check_number


class Identity(Features):
    """Rows as they are: for feature matrices, and for images that go into a convolutional network.

    Greyscale images (n, height, width) get the axis of channels that such a network wants.

    Examples
    --------
    >>> Identity().fit_transform(np.eye(2)).shape
    (2, 2)
    """

    kind = "none"

    def fit_transform(self, items):
        """Remember the shape of a row and return the rows.

        Parameters
        ----------
        items : Bunch, array or sparse matrix of shape (n, ...)
            Numeric rows.

        Returns
        -------
        X : array or sparse matrix of shape (n, ...)
            The same numbers, not copied.
        """
        X = numeric_items(items, self.kind)
        self.state = {"item_shape": list(X.shape[1:])}
        return self.transform(X)

    def transform(self, items):
        """Return rows of the shape seen when fitting, not copied."""
        self._check_fitted()
        X = check_item_shape(numeric_items(items, self.kind), self.state["item_shape"])
        return X[..., None] if len(X.shape) == 3 else X


class Flatten(Identity):
    """Images or other arrays as flat rows, in their own dtype and without a copy.

    Parameters
    ----------
    divide_by : float, default=None
        Divide by this, in float32 (255 puts pixels between 0 and 1).  None leaves the numbers alone: the models scale
        their input themselves.

    Examples
    --------
    >>> Flatten().fit_transform(np.zeros((5, 28, 28), "uint8")).shape
    (5, 784)
    """

    kind = "flatten"

    def __init__(self, divide_by=None):
        super().__init__()
        check_number("divide_by", divide_by, Real, above=0, none=True)
        self.divide_by = divide_by

    def transform(self, items):
        """Return rows of shape (n, d)."""
        X = super().transform(items)
        X = X.reshape(X.shape[0], -1) if len(X.shape) > 2 else X
        return X if self.divide_by is None else X.astype(np.float32) / np.float32(self.divide_by)


class Standardize(Flatten):
    """Flat rows whose columns have mean 0 and standard deviation 1: for tables whose columns have different units.

    Examples
    --------
    >>> Standardize().fit_transform(np.array([[0, 1000], [2, 3000]])).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    kind = "standardize"

    def __init__(self):
        super().__init__()

    def fit_transform(self, items):
        """Learn mean and standard deviation of each column and return the rows.

        Parameters
        ----------
        items : Bunch or array of shape (n, ...)
            Dense numeric rows.

        Returns
        -------
        X : ndarray of shape (n, d), float32
            Columns that do not vary are 0.
        """
        self.state = {"item_shape": list(numeric_items(items, self.kind).shape[1:])}
        X = self._flat(items)
        mean, spread = np.mean(X, axis=0, dtype=np.float64), np.std(X, axis=0, dtype=np.float64)
        varies = spread > 100 * np.finfo(float).eps * np.abs(mean)  # more than rounding
        self.arrays = {"mean": mean, "scale": np.where(varies, spread, 1.0)}
        return self.transform(items)

    def transform(self, items):
        """Return rows of shape (n, d), measured by the mean and deviation of those seen when fitting."""
        return ((self._flat(items) - self.arrays["mean"]) / self.arrays["scale"]).astype(np.float32)

    def _flat(self, items):
        X = super().transform(items)
        if sparse.issparse(X):
            raise ValueError(f"features of kind {self.kind!r} need dense rows, received a sparse matrix; use 'none'")
        return X


FEATURES = {"none": Identity, "flatten": Flatten, "standardize": Standardize, "tfidf": Tfidf, "resnet50": ResNet50}


def make_features(kind=None, **options):
    """Build features by name.

    Parameters
    ----------
    kind : str, default=None
        One of `FEATURES`; None is "none".
    **options : object
        Constructor arguments of that kind.

    Returns
    -------
    features : Features

    Raises
    ------
    ValueError
        If the kind or an option is unknown; the nearest name is given.
    """
    kind = "none" if kind is None else kind
    if kind not in FEATURES:
        raise ValueError(f"unknown features {kind!r}{nearest(kind, FEATURES)}; there are {', '.join(FEATURES)}")
    valid = list(inspect.signature(FEATURES[kind]).parameters)
    for option in options:
        if option not in valid:
            hint, known = nearest(option, valid), ", ".join(valid) or "none"
            raise ValueError(f"unknown option {option!r} for features {kind!r}{hint}; known: {known}")
    return FEATURES[kind](**options)


def load_features(folder):
    """Read features that `save` wrote.

    Parameters
    ----------
    folder : path-like
        The folder.

    Returns
    -------
    features : Features
        Transforms exactly as the saved ones.

    Raises
    ------
    FileNotFoundError
        If the folder has no ``features.json``.
    ValueError
        If it is damaged.
    """
    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        kind, options, state = (description[key] for key in ("kind", "options", "state"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / DESCRIPTION_FILE} is not a description of features: {error!r}") from error
    features = make_features(kind, **options)
    features.state = state
    features.arrays = read_arrays(folder / ARRAYS_FILE) if (folder / ARRAYS_FILE).is_file() else {}
    features._restore()
    return features
