"""Where the members start from: communities of the graph of nearest neighbours, each member's of its own graph.

Networks that start from nothing find the clusters' balance before they find the clusters.  The communities of the
graph of neighbours follow the density of the rows instead and ask for little balance.  The neighbours are searched
once; the members see other numbers of them and find their communities in another order, so that they err differently.
"""

from hashlib import blake2b

import numpy as np
from scipy import sparse

from kingdra_cluster.checks import check_integer
from kingdra_cluster.communities import BALANCE, cluster_graph, graph_pieces
from kingdra_cluster.graphs import links_between, neighbor_graph
from kingdra_cluster.merging import EVEN, UNEVEN, neighbor_information, piece_unevenness
from kingdra_cluster.neighbors import nearest_neighbors
from kingdra_cluster.prepared_rows import SomeRows
from kingdra_cluster.pseudo_labels import align_members, mean_pairwise_agreement

MANY_ROWS = 100_000  # of more rows a sample starts the members: the time of the search grows with their square
NEIGHBORS = (7, 10, 15, 20)  # of one member after the other
COPIES = 3  # of a row of X at most, its own and every other's, are among a row's neighbours
BLOCK = 4096  # rows whose copies are dealt out at a time
LIMIT = 1.1  # of the mean unevenness, for groups of like sizes: docs/kingdra.md
AGREED = 0.75  # of the rows, by starts with little balance: where groups overlap these fall apart each in its own way
LOOKS, MANY_CLUSTERS = 5, 100  # partitions of one graph that unevenness is a mean of; of so many clusters one will do
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
        if that is less; -1 fills a list that is short.

    Notes
    -----
    Many equal rows would have nothing but each other for neighbours, and the graph would fall apart: at most three of
    a list are copies of the same row.  An empty row of sparse data has no neighbours and is nobody's, and rows without
    a column in common are no neighbours: all of them are equally far, and the first would be everybody's.
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
    metric, first, copy_of = neighbor_metric(X), *_distinct(X)
    several = np.bincount(copy_of).max() > COPIES
    places, searched = (first, SomeRows.of(X, first)) if several else (np.arange(len(rows)), X)
    n_neighbors = min(max(NEIGHBORS), len(places) - 1)
    lists = np.empty((len(places), 0), dtype=np.int32)
    if n_neighbors > 0:
        lists = nearest_neighbors(searched, n_neighbors, metric=metric).astype(np.int32)
    own = np.arange(len(places))
    if metric != "euclidean":
        entries = np.asarray(abs(X).sum(axis=1)).ravel() if sparse.issparse(X) else X.any(axis=1)
        empty = entries[places] == 0
        lists = np.where(empty[:, None] | empty[lists], -1, lists)
        own[empty] = -1
    if metric == "hellinger":
        lists = _in_common(searched, lists)
    return rows, _with_copies(np.column_stack([own, lists]), copy_of) if several else lists


def _in_common(X, lists):
    """Return the lists (m, k), nearest first, with -1 for the rows that share no column with the row itself."""
    lists, open_rows = lists.copy(), np.arange(len(lists))
    for place in reversed(range(lists.shape[1])):  # where one shares a column, all nearer ones do
        apart = []
        for rows in np.array_split(open_rows, max(1, len(open_rows) // BLOCK)):
            ours, theirs = X[rows].astype(bool), X[np.maximum(lists[rows, place], 0)].astype(bool)
            both = ours.multiply(theirs) if sparse.issparse(ours) else ours & theirs
            apart.append((np.asarray(both.sum(axis=1)).ravel() == 0) | (lists[rows, place] < 0))
        open_rows = open_rows[np.concatenate(apart)]
        lists[open_rows, place] = -1
    return lists


def _distinct(X):
    """Return the first (v,) of the rows of each kind, equal ones being of one kind, and the kind (m,) of every row."""
    kinds, first = {}, []
    copy_of = np.empty(X.shape[0], dtype=np.intp)
    for row in range(X.shape[0]):
        inside = slice(*X.indptr[row : row + 2]) if sparse.issparse(X) else None
        content = X[row].tobytes() if inside is None else X.indices[inside].tobytes() + X.data[inside].tobytes()
        copy_of[row] = kinds.setdefault(blake2b(content, digest_size=16).digest(), len(first))
        if copy_of[row] == len(first):
            first.append(row)
    return np.array(first), copy_of


def _with_copies(kinds, copy_of):
    """Lists (m, k) of rows from the lists (v, k + 1) of kinds, the own one first: up to three rows of each kind."""
    members, sizes = np.argsort(copy_of, kind="stable"), np.bincount(copy_of)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(copy_of), dtype=np.intp)
    rank[members] = np.arange(len(copy_of)) - np.repeat(starts, sizes)
    width = min(max(NEIGHBORS), len(copy_of) - 1)
    found = np.full((len(copy_of), width), -1, dtype=np.int32)
    turn = np.arange(COPIES)
    for start in range(0, len(copy_of), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(copy_of)))
        kind = kinds[copy_of[rows]][:, :, None]
        is_own = np.arange(kinds.shape[1])[:, None] == 0
        there = (kind >= 0) & (turn < sizes[kind] - is_own)
        chosen = members[starts[kind] + (rank[rows][:, None, None] + is_own + turn) % sizes[kind]]
        there, chosen = there.reshape(len(rows), -1), chosen.reshape(len(rows), -1)
        place = np.cumsum(there, axis=1) - 1
        row, column = np.nonzero(there & (place < width))
        found[rows[row], place[row, column]] = chosen[row, column]
    return found


def neighbor_metric(X):
    """Return the metric by which neighbours of the rows of X, an array or CSR matrix, are searched.

    "hellinger" if more than two thirds of the entries are zero and none is negative, "cosine" if some are negative,
    else "euclidean".

    Notes
    -----
    The length of a row of counts says how much there is, not what: an empty row is nearer, by Euclid, to most texts
    than any text is.  And how often a word comes back in a text says less than that it is there at all: square roots
    weigh so (docs/kingdra.md).
    """
    entries = X.data if sparse.issparse(X) else X
    if np.count_nonzero(entries) >= (1 - SPARSE) * np.prod(X.shape, dtype=float):
        return "euclidean"
    return "cosine" if entries.min(initial=0) < 0 else "hellinger"


def community_starts(neighbors, n_clusters, *, balance=BALANCE, member=0, seed=0, n_starts=1, n_best=None):
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
    n_best : int, optional
        Of the starts return so many only, in which a row's cluster says most about its neighbours' clusters: see
        `merging.neighbor_information`.

    Returns
    -------
    (n_starts or n_best, m) int
        The cluster of each row, from 0, the largest first; -1 for stray rows.  There can be fewer than `n_clusters`.

    Examples
    --------
    >>> X = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> (classes,) = community_starts(neighbor_lists(X, 2)[1], 2)
    >>> len(set(classes[:20])), len(set(classes[20:])), classes[0] != classes[-1]
    (1, 1, np.True_)
    """
    graph = member_graph(neighbors, member)
    found = cluster_graph(graph, n_clusters, balance=balance, seed=[seed, member], n_times=n_starts)
    if n_best is None:
        return found
    information = [neighbor_information(links_between(graph, labels).toarray(), balance) for labels in found]
    return found[np.sort(np.argsort(-np.array(information), kind="stable")[:n_best])]


def member_graph(neighbors, member):
    """Return the graph (m, m) that one member's communities are of: it sees the nearest 7, 10, 15 or 20 neighbours."""
    return neighbor_graph(neighbors[:, : NEIGHBORS[member % len(NEIGHBORS)]])


def unevenness(neighbors, n_clusters, *, member=0, seed=0):
    """Return how far from even the sizes of the groups are, beside how much they overlap, as one member sees it.

    Parameters
    ----------
    neighbors, n_clusters, member, seed
        See `community_starts`.

    Returns
    -------
    float
        The mean of `merging.piece_unevenness` over five partitions of its graph, or fewer for more than 20 clusters.

    Examples
    --------
    >>> X = np.repeat([[0.0], [9.0]], [10, 70], axis=0) + np.linspace(0, 1, 80)[:, None]
    >>> unevenness(neighbor_lists(X, 2)[1], 2)
    3.0
    """
    graph = member_graph(neighbors, member)
    looks = max(1, min(LOOKS, MANY_CLUSTERS // n_clusters))
    several, _ = graph_pieces(graph, n_clusters, seed=[seed, member], n_times=looks)
    return float(np.mean([piece_unevenness(links_between(graph, own).toarray(), n_clusters) for own in several]))


def chosen_balance(found, agreement=1.0):
    """Return the balance for groups of unknown sizes: `docs/kingdra.md` says how often it is right.

    Parameters
    ----------
    found : sequence of float
        What `unevenness` is for several members.
    agreement : float, default=1.0
        What `start_agreement` is for starts with a balance of 0.5, once there are some.

    Returns
    -------
    float
        0.7 if the unevenness is at most 1.1 on average; else 0.5, or 1 if the agreement is less than 0.75: the clusters
        overlap too much for their sizes to be seen.

    Examples
    --------
    >>> chosen_balance([0.2, 0.4]), chosen_balance([1.9, 2.5]), chosen_balance([1.9, 2.5], agreement=0.6)
    (0.7, 0.5, 1.0)
    """
    if np.mean(found) <= LIMIT:
        return BALANCE
    return UNEVEN if agreement >= AGREED else EVEN


def start_agreement(starts, n_clusters):
    """Return the share of rows that two members' starts put into the same cluster, mean over all pairs of members.

    Parameters
    ----------
    starts : (n_members, m) int
        -1 where one has no opinion: rows without all opinions do not count.
    n_clusters : int

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> start_agreement(np.array([[0, 0, 1, 1, 1], [1, 1, 0, 1, -1]]), 2)
    0.75
    """
    known = np.asarray(starts)[:, np.all(np.asarray(starts) >= 0, axis=0)].astype(np.intp)
    if known.size == 0:
        return 0.0
    return mean_pairwise_agreement(np.take_along_axis(align_members(known, n_clusters), known, axis=1))
