"""The base of all features: options by name, saving without pickle, and what items may be."""

import inspect
import json
from pathlib import Path

import numpy as np

from experiments.raw_files import write_npz
from kingdra_cluster.persistence import replacing

DESCRIPTION_FILE, ARRAYS_FILE = "features.json", "features.npz"


class Features:
    """Base of all kinds: options by name, saving and loading.

    A kind stores its constructor's arguments under their own names and what it learned in ``state`` (JSON) and
    ``arrays`` (numbers).
    """

    kind = None

    def __init__(self):
        self.state = None
        self.arrays = {}

    def get_options(self):
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fit_transform(self, items):
        """Learn from items and return their rows."""
        raise NotImplementedError

    def transform(self, items):
        """Return the rows of items, exactly as after fitting."""
        raise NotImplementedError

    def save(self, folder):
        """Write what is needed to transform new items.

        Parameters
        ----------
        folder : path-like
            Folder that gets ``features.json`` and, where there are numbers, ``features.npz``; made if missing.

        Raises
        ------
        ValueError
            If nothing was fitted yet.
        """
        self._check_fitted()
        folder = Path(folder)
        if self.arrays:
            write_npz(folder / ARRAYS_FILE, **self.arrays)
        description = {"kind": self.kind, "options": self.get_options(), "state": self.state}
        with replacing(folder / DESCRIPTION_FILE) as temporary:
            temporary.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")

    def _check_fitted(self):
        if self.state is None:
            raise ValueError(f"features of kind {self.kind!r} must be fitted first: call fit_transform")

    def _restore(self):
        """Rebuild what `state` and `arrays` describe, after loading."""


def text_items(items, kind):
    """The list of texts in `items`, a Bunch or a list; anything else is refused by name."""
    texts = items.get("texts") if isinstance(items, dict) else items
    if texts is None or isinstance(texts, str) or not hasattr(texts, "__len__"):
        raise ValueError(f"features of kind {kind!r} need a list of texts; use 'flatten' or 'none' for arrays")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"features of kind {kind!r} need texts, received {type(text).__name__} at row {i}")
    return texts


def numeric_items(items, kind):
    """The numeric array in `items`, a Bunch or an array; anything else is refused by name."""
    X = items.get("X") if isinstance(items, dict) else items
    if X is None or isinstance(X, str) or (isinstance(X, list) and X and isinstance(X[0], str)):
        raise ValueError(f"features of kind {kind!r} need numeric rows; use 'tfidf' for texts")
    X = X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) < 2:
        raise ValueError(f"features of kind {kind!r} need an array of shape (n, ...), received {X.shape}")
    return X


def check_item_shape(X, item_shape):
    """Return X if its rows have the shape seen when fitting."""
    if tuple(X.shape[1:]) != tuple(item_shape):
        raise ValueError(f"items must have the shape {tuple(item_shape)} seen in fit, received {tuple(X.shape[1:])}")
    return X
