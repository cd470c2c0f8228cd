"""Where the members start from: communities of the graph of nearest neighbours, each member's of its own rows.

Networks that start from nothing find the clusters' balance before they find the clusters.  The communities of the
graph of neighbours follow the density of the rows instead and ask for no balance.  The neighbours are searched once;
each member sees other rows of the graph and another number of neighbours, so that the members err differently.
"""

import numpy as np
from scipy import sparse

from kingdra_cluster.checks import check_integer
from kingdra_cluster.communities import cluster_graph, neighbor_graph
from kingdra_cluster.neighbors import nearest_neighbors

MANY_ROWS = 100_000  # of more rows a sample starts the members: the time of the search grows with their square
NEIGHBORS = (7, 10, 15, 20)  # of one member after the other
SHARE = 0.5  # of the rows go into each member's graph
FEW_ROWS = 500  # are not cut down any further


def community_starts(views, n_members, n_clusters, seed=0):
    """Cluster the rows that each member starts from.

    Parameters
    ----------
    views : list of arrays or CSR matrices of shape (n, ...)
        The feature spaces, dealt out to the members in turn.  Images are read as rows of pixels.
    n_members : int
    n_clusters : int
        At most n.
    seed : int
        Drives the rows that the members see.

    Returns
    -------
    list of tuples (rows, classes), both (m,) int
        For every member its rows, ascending, and the cluster of each, from 0; there can be fewer than `n_clusters`.

    Examples
    --------
    >>> X = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> [(rows, classes)] = community_starts([X], n_members=1, n_clusters=2)
    >>> len(set(classes[:20])), len(set(classes[20:])), classes[0] != classes[-1]
    (1, 1, np.True_)
    """
    n = views[0].shape[0]
    n_clusters = check_integer("n_clusters", n_clusters, 1, n)
    chosen = np.arange(n)
    if n > MANY_ROWS:
        chosen = np.sort(np.random.default_rng(seed).choice(n, MANY_ROWS, replace=False))
    lists = [_neighbors(view, chosen) for view in views[:n_members]]
    starts = []
    for member in range(n_members):
        generator = np.random.default_rng([seed, member])
        share = max(SHARE, min(1.0, FEW_ROWS / len(chosen)))
        kept = np.sort(generator.choice(len(chosen), max(n_clusters, round(share * len(chosen))), replace=False))
        graph = neighbor_graph(_among(lists[member % len(lists)], kept, NEIGHBORS[member % len(NEIGHBORS)]))
        classes = cluster_graph(graph, n_clusters, seed=generator)[0]
        starts.append((chosen[kept[classes >= 0]], classes[classes >= 0]))
    return starts


def _neighbors(view, chosen):
    """Neighbours (m, k) of the chosen rows among each other, as places in `chosen`."""
    rows = view if len(chosen) == view.shape[0] else view[chosen]
    if not sparse.issparse(rows):
        rows = np.asarray(rows).reshape(len(chosen), -1)
    n_neighbors = min(max(NEIGHBORS), len(chosen) - 1)
    if n_neighbors == 0:
        return np.empty((len(chosen), 0), dtype=np.intp)
    return nearest_neighbors(rows, n_neighbors, metric="euclidean")


def _among(neighbors, kept, n_neighbors):
    """The first `n_neighbors` of each kept row's neighbours that are kept too, as places in `kept`; -1 fills up."""
    places = np.full(len(neighbors), -1)
    places[kept] = np.arange(len(kept))
    lists = places[neighbors[kept]]
    seen = lists >= 0
    return np.where(seen & (np.cumsum(seen, axis=1) <= n_neighbors), lists, -1)
