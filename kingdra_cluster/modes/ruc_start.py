"""Where RUC starts: its arguments, a clustering as probabilities, and the rows of it to believe."""

import warnings

import keras
import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans

from kingdra_cluster.checks import check_probabilities, check_row_labels
from kingdra_cluster.clean_split import confidence_split, core_split
from kingdra_cluster.exceptions import PseudoLabelWarning
from kingdra_cluster.modes.base import predict_rows
from kingdra_cluster.neighbors import nearest_neighbors, neighbor_votes
from kingdra_cluster.validation import Real, check_number

MOST_NEIGHBORS = 100
VOTED, CONFIDENT, CORES = ("metric", "hybrid", "voted_cores"), ("confidence", "hybrid"), ("cores", "voted_cores")
SPLITS = ("metric", "confidence", "hybrid", "cores", "voted_cores")


def check_pair(name, pair, maximum=None):
    """Raise unless ``pair`` holds two numbers from 0 to ``maximum``, for the weak and the strong view."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{name} must be a pair, for the weak and the strong view; received {name}={pair!r}")
    for value in pair:
        check_number(name, value, Real, 0, maximum=maximum, of=pair)


def starting_point(X, y, n_clusters, seed):
    """Return the clustering that is to be refined, as probabilities.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
    y : array-like of shape (n,) or (n, n_clusters), or None
        Labels, probabilities, or None for k-means of the rows.
    n_clusters : int
    seed : int
        Of k-means.

    Returns
    -------
    float32 array of shape (n, n_clusters)
    """
    n_rows = X.shape[0]
    if y is None:
        rows = X if sparse.issparse(X) else np.reshape(X, (n_rows, -1))
        y = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(rows)
    y = np.asarray(y)
    if y.ndim == 1:
        whole = y.dtype.kind == "f" and np.isfinite(y).all() and np.all(y == np.rint(y))
        labels = check_row_labels("y", y.astype(np.int64) if whole else y, n_clusters, n_rows)
        if labels.min() < 0:
            raise ValueError(f"y must have a label from 0 to {n_clusters - 1} for every row, got -1 among them.")
        return np.eye(n_clusters, dtype=np.float32)[labels]
    if y.shape != (n_rows, n_clusters):
        expected = f"({n_rows},) for labels or ({n_rows}, {n_clusters}) for probabilities"
        raise ValueError(f"y must have the shape {expected}, got {y.shape}.")
    probabilities = check_probabilities(y, "y, where it holds probabilities,")
    sums = probabilities.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-3:
        raise ValueError(f"the rows of y must sum to 1, got sums from {sums.min():.4g} to {sums.max():.4g}.")
    return probabilities.astype(np.float32)


def features_of(X, backbone, scale):
    """Return what the vote compares, (n, n_embedding): features of a backbone that is a model, or else X itself."""
    if not isinstance(backbone, keras.Model):
        return X if sparse.issparse(X) else X.reshape(X.shape[0], -1)
    return predict_rows(backbone, X, scale).reshape(X.shape[0], -1)


def clean_rows(settings, start, embeddings=None, clean=None, pseudo_labels=None):
    """Return the mask of rows to believe at first.

    Parameters
    ----------
    settings : RUC
        Its ``split``, ``confidence_threshold`` and ``n_neighbors``.
    start : array of shape (n, n_clusters)
    embeddings : array-like or CSR matrix of shape (n, n_embedding), optional
        Compared by cosine; a split that asks the neighbours wants it.
    clean : array-like of shape (n,), optional
        The user's own mask, instead of a split.
    pseudo_labels : array-like of shape (n,), optional
        Of a graph, -1 where it has none; a split by cores wants it.

    Returns
    -------
    bool array of shape (n,)

    Raises
    ------
    ValueError
        If an argument has the wrong shape, or the user's mask is empty.

    Warns
    -----
    PseudoLabelWarning
        If the split finds no row; the surer half is believed then.
    """
    if clean is not None:
        return _check_mask(clean, len(start))
    labels, split = start.argmax(axis=1), settings.split
    found = np.ones(len(start), dtype=bool)
    if split in CORES:
        if pseudo_labels is None:
            raise ValueError(f"split={split!r} wants pseudo_labels of a graph, such as KingdraCluster's.")
        check_row_labels("pseudo_labels", pseudo_labels, np.iinfo(np.int32).max, len(start))
        found &= core_split(pseudo_labels, labels)
    if split in CONFIDENT:
        found &= confidence_split(start, settings.confidence_threshold)
    if split in VOTED:
        found &= _voted(settings, labels, embeddings)
    if found.any():
        return found
    warnings.warn(
        f"no row is clean by split={split!r} with confidence_threshold={settings.confidence_threshold}: the surer half "
        "of the rows is believed instead",
        PseudoLabelWarning,
        stacklevel=3,
    )
    return start.max(axis=1) >= np.median(start.max(axis=1))


def _voted(settings, labels, embeddings):
    """Return where no label outnumbers the row's own in the vote of the row and its neighbours."""
    embeddings = _check_embeddings(embeddings, len(labels))
    fifth = max(1, min(MOST_NEIGHBORS, len(labels) // (5 * settings.n_clusters)))
    voters = min(fifth if settings.n_neighbors is None else settings.n_neighbors, len(labels))
    if voters == 1:
        return np.ones(len(labels), dtype=bool)
    votes = neighbor_votes(nearest_neighbors(embeddings, voters - 1), labels, settings.n_clusters)
    rows = np.arange(len(labels))
    votes[rows, labels] += 1
    return votes[rows, labels] == votes.max(axis=1)


def _check_embeddings(embeddings, n_rows):
    embeddings = embeddings if sparse.issparse(embeddings) else np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[0] != n_rows or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must have the shape ({n_rows}, n_embedding), got {embeddings.shape}.")
    if embeddings.dtype.kind not in "fiub":
        raise TypeError(f"embeddings must be numbers, got the data type {embeddings.dtype}.")
    entries = embeddings.data if sparse.issparse(embeddings) else embeddings
    if not np.isfinite([entries.min(initial=0), entries.max(initial=0)]).all():
        raise ValueError("embeddings must be finite, got NaN or infinity among them.")
    return embeddings


def _check_mask(clean, n_rows):
    clean = np.asarray(clean)
    if clean.shape != (n_rows,) or clean.dtype != bool:
        raise ValueError(f"clean must be {n_rows} booleans, got {clean.shape} of {clean.dtype}.")
    if not clean.any():
        raise ValueError("clean must be true for some rows, got none: nothing says what the clusters are.")
    return clean
