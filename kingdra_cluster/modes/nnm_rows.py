"""Which rows nearest-neighbour matching trains on and judges by, and which lie near which."""

import numpy as np
from scipy import sparse

from kingdra_cluster.neighbors import nearest_neighbors
from kingdra_cluster.persistence import data_hash
from kingdra_cluster.prepared_rows import SomeRows

FEW_ROWS = 2000  # with fewer, none is held out
HELD_OUT = 0.1
_LAST_MINED = {}


def mined_neighbors(X, n_neighbors, metric):
    """Return the nearest other rows of every row of X, (n, at most n_neighbors) int; those of the last X are kept.

    The members of an ensemble are trained one after the other on the same rows: each process searches them once.
    """
    key = (data_hash(X), n_neighbors, metric)
    if key not in _LAST_MINED:
        found = neighbors_among(X, np.arange(X.shape[0]), n_neighbors, metric)
        _LAST_MINED.clear()
        _LAST_MINED[key] = found
    return _LAST_MINED[key]


def neighbors_among(X, rows, n_neighbors, metric):
    """Return the neighbours of every row of X among some of its rows.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
        Images are compared as rows of pixels.
    rows : (m,) int
        Ascending.  None of them is its own neighbour.
    n_neighbors : int
        At most; with few rows all others.
    metric : {"cosine", "euclidean", "hellinger"}

    Returns
    -------
    (n, n_neighbors) intp
        Rows of X, nearest first.
    """
    flat = X if sparse.issparse(X) else np.asarray(X).reshape(X.shape[0], -1)
    others = np.setdiff1d(np.arange(X.shape[0]), rows)
    inside = flat if others.size == 0 else SomeRows.of(flat, rows)
    n_neighbors = min(n_neighbors, len(rows) - 1)
    found = np.empty((X.shape[0], n_neighbors), dtype=np.intp)
    found[rows] = rows[nearest_neighbors(inside, n_neighbors, metric=metric)]
    if others.size:
        found[others] = rows[nearest_neighbors(inside, n_neighbors, metric=metric, queries=SomeRows.of(flat, others))]
    return found


def check_neighbors(neighbors, n_rows):
    """Return the user's neighbours as an array, or raise unless they are rows of X, some for each."""
    neighbors = np.asarray(neighbors)
    if neighbors.ndim != 2 or len(neighbors) != n_rows or neighbors.shape[1] == 0 or neighbors.dtype.kind not in "iu":
        raise ValueError(
            f"neighbors must be integers of the shape ({n_rows}, n_neighbors); got {neighbors.dtype}, {neighbors.shape}"
        )
    if neighbors.min() < 0 or neighbors.max() >= n_rows:
        found = f"values from {neighbors.min()} to {neighbors.max()}"
        raise ValueError(f"neighbors must be rows of X, from 0 to {n_rows - 1}; got {found}")
    return neighbors.astype(np.intp, copy=False)


def split_rows(n_rows, held_out, seed):
    """Return the rows to train on and the rows to judge by, both ascending."""
    rows = np.arange(n_rows)
    if held_out is None:
        if n_rows < FEW_ROWS:
            return rows, rows
        held_out = np.random.default_rng([seed, 1]).choice(n_rows, int(HELD_OUT * n_rows), replace=False)
    judged = np.unique(held_out)
    whole = judged.size > 0 and judged.dtype.kind in "iu" and judged[0] >= 0 and judged[-1] < n_rows
    if not whole or judged.size > n_rows - 2:
        raise ValueError(f"held_out must be some of the rows 0 to {n_rows - 1}, all but 2 at most; got {held_out!r}")
    judged = judged.astype(np.intp)
    return np.setdiff1d(rows, judged), judged
