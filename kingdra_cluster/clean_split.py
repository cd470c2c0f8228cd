"""Which rows of a clustering to believe: masks of rows whose label is probably right, found without the truth."""

import numpy as np

from kingdra_cluster.checks import check_integer, check_probabilities, check_row_labels
from kingdra_cluster.unsup_metrics import match_clusters

BLOCK_ENTRIES = 2**24  # similarities held at a time: 64 MB of float32


def confidence_split(probabilities, threshold=0.99):
    """Rows whose largest probability is at least `threshold`.

    Parameters
    ----------
    probabilities : array-like of float, shape (n_rows, n_clusters)
    threshold : float
        In [0, 1].

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Raises
    ------
    TypeError, ValueError
        If `probabilities` is no matrix of numbers from 0 to 1, or `threshold` is out of range.

    Examples
    --------
    >>> confidence_split([[0.995, 0.005], [0.6, 0.4]]).tolist()
    [True, False]
    """
    probabilities = check_probabilities(probabilities)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {threshold!r}.")
    return probabilities.max(axis=1) >= threshold


def metric_split(embeddings, labels, n_neighbors=100):
    """Rows whose label no other label outnumbers among their nearest rows.

    Nearest are the `n_neighbors` rows of the largest inner product, the row itself taken like any other; found block
    by block, so that no (n_rows, n_rows) matrix is held.

    Parameters
    ----------
    embeddings : array-like of float, shape (n_rows, n_features)
        Of unit length for the cosine.
    labels : array-like of int, shape (n_rows,)
        Non-negative.
    n_neighbors : int
        All rows are taken if there are no more.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        A row whose label shares the first place counts as clean.

    Examples
    --------
    >>> metric_split([[1.0, 0], [1, 0.1], [0.9, 0], [0, 1], [0, 0.9]], [0, 0, 1, 1, 1], n_neighbors=3).tolist()
    [True, True, False, True, True]
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.size == 0 or embeddings.dtype.kind not in "fiub":
        found = f"shape {embeddings.shape}, data type {embeddings.dtype}"
        raise ValueError(f"embeddings must be numbers of shape (n_rows, n_features), got {found}.")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings must be finite, got NaN or infinity among them.")
    labels = _check_labels(labels, len(embeddings))
    n_rows, n_neighbors = labels.size, min(check_integer("n_neighbors", n_neighbors, 1), labels.size)
    embeddings = embeddings.astype(np.float32, copy=False)
    names, labels = np.unique(labels, return_inverse=True)
    clean, size = np.empty(n_rows, dtype=bool), max(1, BLOCK_ENTRIES // n_rows)
    for start in range(0, n_rows, size):
        similarity = embeddings[start : start + size] @ embeddings.T
        nearest = np.argpartition(similarity, n_rows - n_neighbors, axis=1)[:, n_rows - n_neighbors :]
        block = np.arange(len(similarity))
        cells = labels[nearest] + names.size * block[:, None]
        votes = np.bincount(cells.ravel(), minlength=block.size * names.size).reshape(block.size, names.size)
        clean[start : start + size] = votes[block, labels[start : start + size]] == votes.max(axis=1)
    return clean


def hybrid_split(probabilities, embeddings, threshold=0.99, n_neighbors=100):
    """Rows that are clean by `confidence_split` and, with their most probable labels, by `metric_split`."""
    confident = confidence_split(probabilities, threshold)
    return confident & metric_split(embeddings, np.argmax(probabilities, axis=1), n_neighbors)


def core_split(pseudo_labels, labels=None, embeddings=None, n_neighbors=100):
    """Rows in the dense cores of a similarity graph.

    Parameters
    ----------
    pseudo_labels : array-like of int, shape (n_rows,)
        Of `SimilarityGraph.buckets`: -1 where a row is in no bucket.
    labels : array-like of int, shape (n_rows,), optional
        The clustering to be refined, in the buckets' names: a row has to be in the bucket of its label.
    embeddings : array-like of float, shape (n_rows, n_features), optional
        A row has to be clean by `metric_split` as well, with `labels` or else, among the rows in buckets, with their
        buckets.
    n_neighbors : int

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Examples
    --------
    >>> core_split([0, -1, 1, 1], labels=[0, 0, 1, 0]).tolist()
    [True, False, True, False]
    """
    pseudo_labels = check_row_labels("pseudo_labels", pseudo_labels, np.iinfo(np.int32).max)
    clean = pseudo_labels >= 0
    if labels is not None:
        labels = _check_labels(labels, clean.size)
        clean &= pseudo_labels == labels
    if embeddings is not None and clean.any():
        voters = np.flatnonzero(pseudo_labels >= 0) if labels is None else np.arange(clean.size)
        embeddings = np.asarray(embeddings)
        if len(embeddings) != clean.size:
            raise ValueError(f"embeddings must have {clean.size} rows, one a label, got {len(embeddings)}.")
        clean[voters] &= metric_split(
            embeddings[voters], (pseudo_labels if labels is None else labels)[voters], n_neighbors
        )
    return clean


def split_quality(clean, labels, y_true):
    """Precision and coverage of a mask, measured with true classes after the fact.

    Parameters
    ----------
    clean : array-like of bool, shape (n_rows,)
    labels, y_true : array-like, shape (n_rows,)
        Clusters and classes under any names; matched one to one over all rows.

    Returns
    -------
    precision : float
        Share of clean rows whose label is matched to their class; NaN if none is clean.
    coverage : float
        Share of rows that are clean.
    """
    clean, labels, y_true = np.asarray(clean, dtype=bool), np.asarray(labels), np.asarray(y_true)
    class_of = dict(match_clusters(y_true, labels).tolist())
    right = np.array(
        [class_of.get(label) == true for label, true in zip(labels.tolist(), y_true.tolist(), strict=True)]
    )
    return float(right[clean].mean()) if clean.any() else float("nan"), float(clean.mean())


def _check_labels(labels, n_rows):
    labels = check_row_labels("labels", labels, np.iinfo(np.int32).max, n_rows)
    if labels.min() < 0:
        raise ValueError("labels must not be negative, got -1.")
    return labels
