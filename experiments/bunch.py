"""What every data set returns, checked and cut to a subset in one place."""

import numpy as np
from sklearn.utils import Bunch


def make_bunch(
    name, *, X=None, texts=None, y=None, split=None, class_names=None, subset=None, subset_seed=0, rowwise=None, **about
):
    """Check a data set's parts against each other and put them together.

    Parameters
    ----------
    name : str
        Name of the data set.
    X : array or sparse matrix of shape (n, ...), default=None
        Numeric rows; exactly one of `X` and `texts` is given.
    texts : list of str, default=None
        Texts, one a row.
    y : array-like of shape (n,), default=None
        Class numbers into `class_names`.
    split : array-like of shape (n,), default=None
        0 for a training row, 1 for a test row.
    class_names : sequence of str, default=None
        Names of the classes.
    subset, subset_seed : int, default=None, 0
        Number of rows to keep and the seed of that draw; see `subset_rows`.
    rowwise : dict of str to sequence, default=None
        Further entries with one value a row.
    **about : object
        Further entries, kept as they are; ``description``, ``source`` and ``licence`` (str) must be among them.

    Returns
    -------
    bunch : Bunch
        The parts, plus ``rows``: the position of each row in the whole data set, int64 of shape (n,).

    Raises
    ------
    ValueError
        If parts differ in their number of rows, it is less than two, or a class number has no name.
    """
    if (X is None) == (texts is None) or not {"description", "source", "licence"} <= set(about):
        raise ValueError(f"data set {name!r} must have exactly one of X and texts, a description, source and licence")
    key, items = ("X", X) if texts is None else ("texts", texts)
    n = items.shape[0] if hasattr(items, "shape") else len(items)
    if n < 2:
        raise ValueError(f"data set {name!r} must have at least 2 rows, received {n}")
    rows = subset_rows(n, subset, subset_seed)
    class_names = None if class_names is None else [str(class_name) for class_name in class_names]
    parts = {
        "y": None if y is None else np.asarray(y, dtype=np.int64),
        "split": None if split is None else np.asarray(split, dtype=np.uint8),
        **(rowwise or {}),
    }
    _check_parts(name, n, parts, class_names)
    parts = {part: take(values, rows) for part, values in parts.items()}
    parts[key] = take(items, rows)
    rows = np.arange(n) if rows is None else rows
    return Bunch(name=name, class_names=class_names, rows=rows, **parts, **about)


def subset_rows(n, subset, seed=0):
    """Sorted positions of a random subset of rows.

    Parameters
    ----------
    n : int
        Number of rows.
    subset : int or None
        Rows to draw without replacement; None means all.
    seed : int, default=0
        Seed of the draw: equal arguments give equal rows.

    Returns
    -------
    rows : ndarray of shape (subset,), int64, or None
        None when all rows are kept.

    Raises
    ------
    ValueError
        If `subset` is no integer from 2 to `n`.
    """
    if subset is None:
        return None
    if isinstance(subset, bool) or not isinstance(subset, int | np.integer) or not 2 <= subset <= n:
        raise ValueError(
            f"subset must be an integer from 2 to the {n} rows of the data set, or None; received {subset!r}"
        )
    return np.sort(np.random.default_rng(seed).choice(n, size=int(subset), replace=False))


def take(items, rows):
    """Rows of an array, sparse matrix or list; all of them, uncopied, when `rows` is None."""
    if rows is None or items is None:
        return items
    return [items[i] for i in rows] if isinstance(items, list | tuple) else items[rows]


def encode_labels(labels):
    """Number labels by their sorted distinct values.

    Parameters
    ----------
    labels : array-like of shape (n,)
        Names or numbers.

    Returns
    -------
    y : ndarray of shape (n,), int64
        Class numbers.
    class_names : list of str
        Name of each class.

    Examples
    --------
    >>> encode_labels(["ship", "car", "ship"])
    (array([1, 0, 1]), ['car', 'ship'])
    """
    names, y = np.unique(np.asarray(labels), return_inverse=True)
    return y.reshape(-1).astype(np.int64), [str(name) for name in names]


def _check_parts(name, n, parts, class_names):
    """Every part has n values, and every class number a name."""
    for part, values in parts.items():
        if values is not None and len(values) != n:
            raise ValueError(
                f"data set {name!r}: {part} must have one value for each of {n} rows, received {len(values)}"
            )
    y, k = parts["y"], None if class_names is None else len(class_names)
    if y is not None and (y.ndim != 1 or y.min() < 0 or (k is not None and y.max() >= k)):
        expected = "class numbers from 0" if k is None else f"class numbers from 0 to {k - 1}"
        raise ValueError(f"data set {name!r}: y must be {expected}, one a row; received {y.min()} to {y.max()}")
