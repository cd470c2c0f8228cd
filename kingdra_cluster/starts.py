"""Where the members start from: communities of the graph of nearest neighbours, each member's of its own graph.

Networks that start from nothing find the clusters' balance before they find the clusters.  The communities of the
graph of neighbours follow the density of the rows instead and ask for little balance.  The neighbours are searched
once; the members see other numbers of them and find their communities in another order, so that they err differently.
"""

import numpy as np
from scipy import sparse

from kingdra_cluster.checks import check_integer
from kingdra_cluster.communities import BALANCE, cluster_graph, neighbor_graph
from kingdra_cluster.neighbors import nearest_neighbors

MANY_ROWS = 100_000  # of more rows a sample starts the members: the time of the search grows with their square
NEIGHBORS = (7, 10, 15, 20)  # of one member after the other
VOTES = 100  # at least, by starts like the members' own, on what is taught next: docs/kingdra.md measures others
SPARSE = 2 / 3  # of the entries are zero: counts of words, strokes on an empty page


def neighbor_lists(X, n_clusters, seed=0, *, most=None):
    """Find the neighbours from which all members start.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
        Images are read as rows of pixels.
    n_clusters : int
        At most n.
    seed : int
        Drives the sample of too many rows.
    most : int, optional
        Of more rows a sample of so many is searched; 100,000 if None.

    Returns
    -------
    rows : (m,) int
        The rows that were searched, ascending: all up to ``most``.
    neighbors : (m, k) int32
        Neighbours of each among them, nearest first (see `neighbor_metric`), as places in ``rows``; k is 20, or m - 1
        if that is less.
    """
    n = X.shape[0]
    check_integer("n_clusters", n_clusters, 1, n)
    rows = np.arange(n)
    most = MANY_ROWS if most is None else most
    if n > most:
        rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
        X = X[rows]
    if not sparse.issparse(X):
        X = np.asarray(X).reshape(len(rows), -1)
    n_neighbors = min(max(NEIGHBORS), len(rows) - 1)
    if n_neighbors == 0:
        return rows, np.empty((1, 0), dtype=np.int32)
    return rows, nearest_neighbors(X, n_neighbors, metric=neighbor_metric(X)).astype(np.int32)


def neighbor_metric(X):
    """Return "cosine" if more than two thirds of the entries of X, an array or CSR matrix, are zero, else "euclidean".

    The length of a row of counts says how much there is, not what: an empty row is nearer, by Euclid, to most texts
    than any text is.
    """
    filled = np.count_nonzero(X.data) if sparse.issparse(X) else np.count_nonzero(X)
    return "cosine" if filled < (1 - SPARSE) * np.prod(X.shape, dtype=float) else "euclidean"


def community_starts(neighbors, n_clusters, *, balance=BALANCE, member=0, seed=0, n_starts=1):
    """Cluster the rows that one member starts from.

    Parameters
    ----------
    neighbors : (m, k) int
        Of `neighbor_lists`.
    n_clusters : int
    balance : float, default=0.7
        See `cluster_graph`.
    member : int
        Decides how many neighbours it sees and, with the seed, in which order rows join communities.
    seed : int
    n_starts : int, default=1
        The member starts from the first; the others, of the same graph, have a vote in what is taught next.

    Returns
    -------
    (n_starts, m) int
        The cluster of each row, from 0, the largest first; -1 for stray rows.  There can be fewer than `n_clusters`.

    Examples
    --------
    >>> X = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> (classes,) = community_starts(neighbor_lists(X, 2)[1], 2)
    >>> len(set(classes[:20])), len(set(classes[20:])), classes[0] != classes[-1]
    (1, 1, np.True_)
    """
    graph = neighbor_graph(neighbors[:, : NEIGHBORS[member % len(NEIGHBORS)]])
    return cluster_graph(graph, n_clusters, balance=balance, seed=[seed, member], n_times=n_starts)
