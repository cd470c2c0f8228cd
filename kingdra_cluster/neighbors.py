"""The nearest rows of every row: exact, block by block, never n x n; and what is counted over them."""

import importlib.util

import numpy as np

from kingdra_cluster.block_search import block_search, settle
from kingdra_cluster.checks import check_integer, check_row_labels
from kingdra_cluster.prepared_rows import METRICS, PreparedRows

BACKENDS = ("auto", "numpy", "faiss")
MANY_ROWS = 200_000  # beyond, faiss, where it is installed, searches a graph of the rows: approximate, but fast


def nearest_neighbors(X, n_neighbors, *, metric="cosine", queries=None, backend="auto"):
    """Return the nearest other rows of every row, or the nearest rows of every row of another matrix.

    Parameters
    ----------
    X : array (memory-mapped too), SomeRows of one or CSR matrix of shape (n, n_features)
        Floating or integer; read block by block, never copied whole (by faiss only).
    n_neighbors : int
        At most n - 1; with `queries` at most n.
    metric : {"cosine", "euclidean", "hellinger"}, default="cosine"
        A row of zeros has the cosine 0 with every row.  "hellinger" is for rows without negative entries: the cosine
        of their square roots, which is the affinity of the distributions that the rows are in proportion to.
    queries : array or CSR matrix of shape (n_queries, n_features), optional
        Find the rows of X nearest to these instead; no row of X is left out then.
    backend : {"auto", "numpy", "faiss"}, default="auto"
        "numpy" is exact whatever the size.  "faiss" is exact up to 200,000 rows and no faster there; beyond, it
        searches an HNSW graph: most of the nearest rows, in a fraction of the time.  "auto" is "faiss" for more
        than 200,000 dense rows where it is installed, else "numpy".

    Returns
    -------
    (n or n_queries, n_neighbors) intp
        Indices of rows of X, nearest first.  A row is left out of its own neighbours by its index, so that its
        duplicates are found.  Of equally near rows the lower index comes first.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range, or X or `queries` is not finite.
    ImportError
        If faiss is asked for and not installed.

    Notes
    -----
    Products are taken in float32; what their rounding could have changed is settled in float64, so that neighbours
    and their order are those of float64 arithmetic.  Time n^2 n_features / 2 (every product serves both its rows),
    memory some 200 MB and twice the answer.  A row with more ties at its last neighbour than half of `n_neighbors`
    costs a float64 pass over all rows.

    Examples
    --------
    >>> nearest_neighbors([[0.0], [1.0], [3.0], [3.5]], 2, metric="euclidean")
    array([[1, 2],
           [0, 2],
           [3, 1],
           [2, 1]])
    """
    for name, value, choices in (("metric", metric, METRICS), ("backend", backend, BACKENDS)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    rows = PreparedRows(X, metric)
    asked = rows if queries is None else PreparedRows(queries, metric, "queries", like=rows)
    n_neighbors = check_integer("n_neighbors", n_neighbors, 1)
    n_others = rows.n_rows - (asked is rows)
    if n_neighbors > n_others:
        kind = "other rows" if asked is rows else "rows"
        raise ValueError(f"n_neighbors must be at most the number of {kind} of X, {n_others}, got {n_neighbors}.")
    found = np.empty((asked.n_rows, n_neighbors), dtype=np.intp)
    for start, indices in _search(_backend(backend, rows), rows, asked, n_neighbors):
        found[start : start + len(indices)] = indices
    return found


def _backend(backend, rows):
    """Return "numpy" or "faiss"."""
    if backend == "auto":
        many = rows.n_rows > MANY_ROWS and not rows.is_sparse
        return "faiss" if many and importlib.util.find_spec("faiss") else "numpy"
    if backend == "faiss" and rows.is_sparse:
        raise ValueError("X must be dense for backend='faiss', got a sparse matrix; backend='numpy' takes both.")
    return backend


def _search(backend, rows, queries, n_neighbors):
    """Yield the first query of a block and the block's neighbours: the one place that chooses how to search."""
    if backend == "faiss":
        from kingdra_cluster.faiss_search import flat_search, graph_search

        if rows.n_rows > MANY_ROWS:
            yield from graph_search(rows, queries, n_neighbors)
            return
        find = flat_search
    else:
        find = block_search
    n_kept = min(n_neighbors + n_neighbors // 2 + 4, rows.n_rows - (queries is rows))
    for start, scores, indices in find(rows, queries, n_kept):
        yield start, settle(rows, queries, start, scores, indices, n_neighbors)


def neighbor_accuracy(neighbors, y):
    """Return the share of all neighbours that have their row's class: how well a space keeps classes together.

    Parameters
    ----------
    neighbors : (n, n_neighbors) int
        What `nearest_neighbors` returned.
    y : (n,) array
        Classes of any type.

    Returns
    -------
    float
        From 0 to 1.  A diagnostic for people who have classes; no model is chosen by it.

    Examples
    --------
    >>> neighbor_accuracy([[1], [0], [1]], ["a", "a", "b"])
    0.6666666666666666
    """
    y = np.asarray(y)
    neighbors = _check_neighbors(neighbors, y.shape)
    return float(np.mean(y[neighbors] == y[:, None]))


def neighbor_votes(neighbors, labels, n_clusters):
    """Count the labels among the neighbours of every row.

    Parameters
    ----------
    neighbors : (n_rows, n_neighbors) int
    labels : (n,) int
        From 0 to `n_clusters` - 1; -1 for a row that has no vote.
    n_clusters : int

    Returns
    -------
    (n_rows, n_clusters) int64

    Examples
    --------
    >>> neighbor_votes([[1, 2], [0, 2], [0, 1]], [0, 0, 2], 3)
    array([[1, 0, 1],
           [1, 0, 1],
           [2, 0, 0]])
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    labels = check_row_labels("labels", labels, n_clusters)
    votes = labels[_check_neighbors(neighbors, labels.shape, square=False)]
    cells = np.arange(len(votes))[:, None] * n_clusters + votes
    return np.bincount(cells[votes >= 0], minlength=len(votes) * n_clusters).reshape(len(votes), n_clusters)


def _check_neighbors(neighbors, shape, square=True):
    """Return `neighbors` as a matrix of indices into the (n,) classes or labels, or raise."""
    neighbors = np.asarray(neighbors)
    if neighbors.ndim != 2 or neighbors.dtype.kind not in "iu":
        raise ValueError(
            f"neighbors must be integers of the shape (n, n_neighbors), got {neighbors.dtype}, {neighbors.shape}."
        )
    if len(shape) != 1 or (square and len(neighbors) != shape[0]):
        raise ValueError(f"there must be one class or label a row, got the shape {shape} for {len(neighbors)} rows.")
    if neighbors.size and not 0 <= neighbors.min() <= neighbors.max() < shape[0]:
        found = f"values from {neighbors.min()} to {neighbors.max()}"
        raise ValueError(f"neighbors must be from 0 to {shape[0] - 1}, got {found}.")
    return neighbors
