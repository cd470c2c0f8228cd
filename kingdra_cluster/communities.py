"""Communities of a graph of nearest neighbours: groups of rows with more edges inside than chance would give.

Modularity compares the edges inside a group with what a graph of the same degrees has at random, times a resolution:
a higher one makes more and smaller groups.  It follows the density of the rows, and the number of groups
follows from the graph instead of being forced upon it.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from kingdra_cluster.checks import check_integer
from kingdra_cluster.graphs import links_between
from kingdra_cluster.merging import merge_pieces

CHUNKS = 8  # rows are moved an eighth at a time: each eighth sees where the ones before it went
SWEEPS = 20  # over all rows, at most
SETTLED = 1e-3  # a sweep that moves a smaller share of the rows is the last
LOWEST, FIRST, HIGHEST = 0.001, 0.5, 20.0  # resolutions that are tried, and a fifth of very many communities
TRIES = 10
PIECES, MOST_PIECES = 8, 500  # are merged to one cluster; as many at most in all, for time and memory
NEAR = 1.2  # times as many will do
BALANCE = 0.7  # docs/kingdra.md measures others
SMALL = 0.2  # communities of a smaller share of an even one are leftovers, not clusters
STRAY = 0.05  # of an even cluster: rows linked to fewer others than this are no piece of any


def modularity(graph, labels, resolution=1.0):
    """Return the modularity of a partition.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        Symmetric, without negative entries.
    labels : (n,) int
        From 0.
    resolution : float

    Returns
    -------
    float
        Share of the edges' weight that lies inside groups, less `resolution` times what it is at random.

    References
    ----------
    Newman, Girvan, "Finding and evaluating community structure in networks", Physical Review E 69, 2004.
    Reichardt, Bornholdt, "Statistical mechanics of community detection", Physical Review E 74, 2006.
    """
    links = links_between(graph, labels).toarray()
    volumes = links.sum(axis=1)
    return float(np.trace(links) / volumes.sum() - resolution * np.sum((volumes / volumes.sum()) ** 2))


def communities(graph, resolution=1.0, *, seed=0):
    """Partition a graph so that its modularity is high.

    Rows move to the neighbouring group that gains most, groups become the nodes of a smaller graph, and so on until
    nothing moves; on the way back every level's nodes move once more.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        Symmetric, without negative entries.
    resolution : float
        Positive; higher makes more communities.
    seed : int or numpy Generator
        Drives the order in which rows move.

    Returns
    -------
    (n,) intp
        Communities from 0.  Rows without edges are communities of their own.

    References
    ----------
    Blondel, Guillaume, Lambiotte, Lefebvre, "Fast unfolding of communities in large networks", Journal of Statistical
    Mechanics, 2008.  Rotta, Noack, "Multilevel local search algorithms for modularity clustering", Journal of
    Experimental Algorithmics 16, 2011 (the moves on the way back).

    Examples
    --------
    >>> from kingdra_cluster.graphs import neighbor_graph
    >>> pairs = neighbor_graph(np.array([[1], [0], [3], [2]]))
    >>> communities(pairs).tolist()
    [0, 0, 1, 1]
    """
    generator = np.random.default_rng(seed)
    graphs, groups = [graph], []
    while True:
        n = graphs[-1].shape[0]
        labels = _moved(graphs[-1], np.arange(n), resolution, generator)
        if len(np.unique(labels)) == n:
            break
        groups.append(np.unique(labels, return_inverse=True)[1])
        graphs.append(links_between(graphs[-1], groups[-1]))
    labels = np.arange(graphs[-1].shape[0])
    for level, group in zip(graphs[-2::-1], groups[::-1], strict=True):
        labels = _moved(level, labels[group], resolution, generator)
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def graph_pieces(graph, n_clusters, *, seed=0, n_times=1):
    """Partition a graph into pieces of clusters, once or several times.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        Symmetric, without negative entries.
    n_clusters : int
    seed : int or numpy Generator
    n_times : int, default=1
        Partitions that differ by the order in which rows move.  The first takes longest: it looks for resolutions.

    Returns
    -------
    pieces : list of (n,) intp
        From 0, eight for each cluster, or as many as the graph has; -1 for rows that hang, with a few others, on none.
    resolution : float
        That has `n_clusters` communities.

    Notes
    -----
    Resolutions are found by bisection of their logarithm, once.
    """
    n_clusters, generator = check_integer("n_clusters", n_clusters, 1), np.random.default_rng(seed)
    whole, resolution = _communities_kept(graph, n_clusters, n_clusters, FIRST, generator)
    few, stray = min(PIECES * n_clusters, MOST_PIECES), _is_stray(graph, n_clusters)
    in_pieces = few >= 2 * n_clusters and whole.max() + 1 >= n_clusters
    fine, found = resolution * few / n_clusters, []
    for tries in [TRIES] + [1] * (check_integer("n_times", n_times, 1) - 1):
        labels = whole
        if in_pieces:
            pieces, fine = _communities_kept(graph, few, int(NEAR * few), fine, generator, tries)
            pieces = _numbered(np.where(stray, -1, pieces))
            labels = pieces if pieces.max() + 1 > n_clusters else whole
        elif found:
            labels = _communities_kept(graph, n_clusters, n_clusters, resolution, generator, 1)[0]
        too_many = np.argsort(-np.bincount(labels[labels >= 0]), kind="stable")[max(MOST_PIECES, n_clusters) :]
        found.append(_numbered(np.where(np.isin(labels, too_many), -1, labels)))
    return found, resolution


def cluster_graph(graph, n_clusters, *, balance=BALANCE, seed=0, n_times=1):
    """Partition a graph into a given number of communities, once or several times.

    Parameters
    ----------
    graph, n_clusters, seed, n_times
        See `graph_pieces`.
    balance : float, default=0.7
        How much clusters of like sizes are preferred when pieces are merged: see `merging.neighbor_information`.

    Returns
    -------
    (n_times, n) intp
        From 0 to ``n_clusters - 1``, the largest community first, or fewer if the graph has no more; -1 for rows that
        hang, with a few others, on no community.

    Notes
    -----
    Communities at the resolution that has `n_clusters` of them may hold two clusters, and halve a third, and no row's
    move undoes that.  So eight times as many pieces are made, and merged so that a row's cluster says most about
    those of its neighbours; then rows move once more.
    """
    pieces, resolution = graph_pieces(graph, n_clusters, seed=seed, n_times=n_times)
    found = []
    for labels in pieces:
        if labels.max() + 1 > n_clusters:
            labels = _merged(graph, labels, n_clusters, resolution, balance)
        order = np.argsort(-np.bincount(labels[labels >= 0]), kind="stable")
        found.append(np.append(np.argsort(order), -1)[labels])
    return np.stack(found)


def _communities_kept(graph, n_wanted, most, first, generator, tries=TRIES):
    """Communities, without leftovers, at a resolution that has `n_wanted` to `most` of them, the next higher number,
    or as many as there are; and that resolution, tried from the `first` on.
    """
    highest = max(HIGHEST, n_wanted / 5)
    low, high, resolution = np.log(LOWEST), np.log(highest), np.log(min(first, highest))
    best = None
    for _ in range(tries):
        labels = communities(graph, np.exp(resolution), seed=generator)
        sizes = np.bincount(labels)
        large = np.count_nonzero(sizes >= smallest_size(sizes))
        if best is None or (best[0] < large if best[0] < n_wanted else n_wanted <= large <= best[0]):
            best = large, labels, resolution, sizes
        if n_wanted <= large <= most:
            break
        low, high = (resolution, high) if large < n_wanted else (low, resolution)
        resolution = (low + high) / 2
    _, labels, resolution, sizes = best
    return _without_leftovers(graph, labels, sizes < smallest_size(sizes)), np.exp(resolution)


def smallest_size(sizes):
    """Return the number of rows below which a community is a leftover: a fifth of an even one of those that are not.

    Parameters
    ----------
    sizes : (n_communities,) int

    Examples
    --------
    >>> smallest_size([100, 90, 80, 3, 1])
    18.0
    """
    kept = np.asarray(sizes)
    while kept.min() < SMALL * kept.mean():
        kept = kept[kept >= SMALL * kept.mean()]
    return float(SMALL * kept.mean())


def _moved(graph, labels, resolution, generator):
    """Labels (n,) after rows moved, an eighth of them at a time, to the neighbouring group that gains most."""
    degrees, loops = np.asarray(graph.sum(axis=1)).ravel(), graph.diagonal()
    n, n_groups, total = len(labels), int(labels.max()) + 1, degrees.sum()
    labels, volumes = labels.copy(), np.bincount(labels, degrees, minlength=n_groups)
    for _ in range(SWEEPS if total > 0 else 0):
        n_moved = 0
        for rows in np.array_split(generator.permutation(n), min(CHUNKS, n)):
            part, own, cost = graph[rows], labels[rows], resolution * degrees[rows] / total
            links = sparse.csr_matrix((part.data, labels[part.indices], part.indptr), shape=(len(rows), n_groups))
            links.sum_duplicates()
            owner = np.repeat(np.arange(len(rows)), np.diff(links.indptr))
            inside = links.indices == own[owner]
            weights = links.data - np.where(inside, loops[rows][owner], 0.0)
            others = volumes[links.indices] - np.where(inside, degrees[rows][owner], 0.0)
            gains = weights - cost[owner] * others
            stay = -cost * (volumes[own] - degrees[rows])
            stay[owner[inside]] = gains[inside]
            best, target = _best(gains, links, owner, own)
            moving = np.flatnonzero((best > stay + 1e-12 * total) & (target != own))
            weight = degrees[rows[moving]]
            volumes += np.bincount(target[moving], weight, n_groups) - np.bincount(own[moving], weight, n_groups)
            labels[rows[moving]] = target[moving]
            n_moved += len(moving)
        if n_moved <= SETTLED * n:
            break
    return labels


def _best(gains, links, owner, own):
    """Largest gain of each row (-inf without an edge) and the first group that has it (its own without an edge)."""
    best, target = np.full(len(own), -np.inf), own.copy()
    filled = np.diff(links.indptr) > 0
    if filled.any():
        best[filled] = np.maximum.reduceat(gains, links.indptr[:-1][filled])
    where = np.flatnonzero(gains == best[owner])[::-1]
    target[owner[where]] = links.indices[where]
    return best, target


def _without_leftovers(graph, labels, is_leftover):
    """Give the rows of leftovers to the group that holds most of their edges, -1 where none does; number anew."""
    if is_leftover.all():
        return labels
    labels = np.where(is_leftover[labels], -1, labels)
    while (labels < 0).any():
        loose = np.flatnonzero(labels < 0)
        kept = np.flatnonzero(labels >= 0)
        shape = (len(labels), len(is_leftover))
        members = sparse.csr_matrix((np.ones(len(kept)), (kept, labels[kept])), shape=shape)
        links = (graph[loose] @ members).tocsr()
        owner = np.repeat(np.arange(len(loose)), np.diff(links.indptr))
        best, target = _best(links.data, links, owner, np.full(len(loose), -1))
        if not (best > 0).any():
            break
        labels[loose[best > 0]] = target[best > 0]
    return _numbered(labels)


def _is_stray(graph, n_clusters):
    """Whether each row (n,) belongs to a part of the graph, without edges to others, too small for a cluster."""
    part = connected_components(graph, directed=False)[1]
    return np.bincount(part)[part] < STRAY * len(part) / n_clusters


def _numbered(labels):
    """Labels from 0 without gaps; -1 stays."""
    return np.where(labels >= 0, np.searchsorted(np.unique(labels[labels >= 0]), labels), -1)


def _merged(graph, pieces, n_clusters, resolution, balance):
    """Merge pieces until so many are left, then let rows move once more."""
    merged = np.append(merge_pieces(links_between(graph, pieces).toarray(), n_clusters, balance), -1)[pieces]
    moved = _moved(graph, np.where(merged < 0, n_clusters, merged), resolution, np.random.default_rng(0))
    return np.where(merged < 0, -1, moved)
