"""Small communities become clusters: those for which a row's cluster says most about the clusters of its neighbours.

Draw an edge of the graph of neighbours at random, one end after the other: the two clusters at its ends are equal for
a good clustering, and as hard to guess beforehand as the number of clusters allows.  Mutual information measures both.
"""

import numpy as np
from scipy.sparse.csgraph import connected_components

SWEEPS = 20  # over all pieces, at most
APART = 1e3  # nats, more than any gain: groups without an edge between them are united last
UNEVEN, EVEN = 0.5, 1.0  # the balance for groups that differ much, and for even ones
FROM = (0.4, 0.7, 1.0)  # balances of the mergers that moves with that one start from, when unevenness is measured
LEAST_LEAK, MOST_UNEVEN = 0.01, 3.0  # so that one odd partition of several does not decide alone


def neighbor_information(links, balance=1.0):
    """Return how much a row's cluster says about the cluster of a neighbour.

    Parameters
    ----------
    links : (n_clusters, n_clusters) float
        Weight of the edges between every two clusters, symmetric; those inside a cluster count twice.
    balance : float, default=1.0
        Weight of the entropy of one of the two ends, so of like sizes.

    Returns
    -------
    float
        In nats: the mutual information of the clusters at both ends of an edge, for a balance of 1.  In general
        the entropy of the one end times ``balance``, less that of the other end where the first is known.

    Examples
    --------
    >>> float(neighbor_information(np.eye(4)) / np.log(2))
    2.0
    """
    joint = links / (links.sum() or 1.0)
    return float(_xlogx(joint).sum() - (1 + balance) * _xlogx(joint.sum(axis=1)).sum())


def merge_pieces(links, n_clusters, balance):
    """Unite groups until so many are left, so that `neighbor_information` is high.

    The two groups whose union loses least are united first.  Then single pieces go where the information gains most,
    until none gains.

    Parameters
    ----------
    links : (n_pieces, n_pieces) float
        Weight of the edges between every two pieces, symmetric; those inside a piece count twice.
    n_clusters : int
        At most n_pieces.
    balance : float

    Returns
    -------
    (n_pieces,) intp
        Cluster of every piece, from 0; no cluster is empty.

    References
    ----------
    Slonim, Tishby, "Agglomerative information bottleneck", NIPS 1999 (unions that lose least information).

    Examples
    --------
    >>> links = np.array([[9.0, 5.0, 0.0], [5.0, 9.0, 1.0], [0.0, 1.0, 9.0]])
    >>> merge_pieces(links, 2, balance=1.0).tolist()
    [0, 0, 1]
    """
    joint = links / (links.sum() or 1.0)
    return _moved(joint, _united(joint, n_clusters, balance), balance)


def piece_unevenness(links, n_clusters):
    """Return how far from even the sizes of clusters are, where little balance is asked for.

    Where clusters overlap, a merger that asks for little balance has large clusters because small ones were swallowed:
    only where few edges cross do the sizes say something about the data.

    Parameters
    ----------
    links : (n_pieces, n_pieces) float
        As for `merge_pieces`.
    n_clusters : int

    Returns
    -------
    float
        The divergence of the clusters' sizes, counted in ends of edges, from even ones, in nats, over the share of the
        edges that leave their cluster; from 0 to 3.  The clusters are the best by `neighbor_information`, with a
        balance of 0.5, of those that piecewise moves make of three mergers of the pieces.

    Examples
    --------
    >>> even, uneven = np.array([[4.0, 1.0], [1.0, 4.0]]), np.array([[9.0, 1.0], [1.0, 1.0]])
    >>> piece_unevenness(even, 2), round(piece_unevenness(uneven, 2), 2)
    (0.0, 1.46)
    """
    joint = links / (links.sum() or 1.0)
    options = []
    for balance in FROM if len(links) > n_clusters else ():
        names = _moved(joint, _united(joint, n_clusters, balance), UNEVEN)
        options.append(_between_clusters(joint, names, n_clusters))
    found = max(options, key=lambda clusters: neighbor_information(clusters, UNEVEN), default=joint)
    divergence = max(0.0, np.log(max(1, len(found))) + _xlogx(found.sum(axis=1)).sum())
    return float(min(MOST_UNEVEN, divergence / max(LEAST_LEAK, 1 - np.trace(found))))


def _between_clusters(joint, names, n_clusters):
    """Sum (n_clusters, n_clusters) of the links between the pieces of clusters, the same whatever the threads."""
    pairs = n_clusters * names[:, None] + names
    return np.bincount(pairs.ravel(), joint.ravel(), n_clusters**2).reshape(n_clusters, n_clusters)


def _xlogx(x):
    return x * np.log(np.where(x > 0, x, 1.0))


def _union(x, y):
    """What it adds to the sum of x log x to replace x and y by their sum."""
    return _xlogx(x + y) - _xlogx(x) - _xlogx(y)


def _pair_terms(joint, balance, i):
    """Gain (n_groups,) of uniting group i with each other, less `2 _union(...)` summed over all columns."""
    row, inside, sizes = joint[i], np.diag(joint), joint.sum(axis=1)
    own = inside[i]
    ends = _xlogx(inside + own + 2 * row) - _xlogx(inside) - _xlogx(own) - 2 * _xlogx(row)
    return ends - 2 * (_union(inside, row) + _union(row, own)) - (1 + balance) * _union(sizes, sizes[i])


def _add_column(total, column, sign):
    """Add what one column adds to the gain of every pair; only those that both are linked to it have any."""
    linked = np.flatnonzero(column)
    total[np.ix_(linked, linked)] += sign * 2 * _union(column[linked][:, None], column[linked])


def _united(joint, n_clusters, balance):
    """Cluster (n_pieces,) of every piece after greedy unions."""
    joint, n = joint.copy(), len(joint)
    names, alive, columns = np.arange(n), np.ones(n, dtype=bool), np.zeros((n, n))
    for column in joint:
        _add_column(columns, column, 1)
    pairs = np.stack([_pair_terms(joint, balance, i) for i in range(n)])
    for _ in range(n - n_clusters):
        gains = np.where(joint > 0, 0.0, -APART) + columns + pairs
        gains[~alive] = gains[:, ~alive] = -np.inf
        np.fill_diagonal(gains, -np.inf)
        i, j = np.unravel_index(gains.argmax(), gains.shape)
        for gone in (i, j):
            _add_column(columns, joint[gone], -1)
        joint[i] += joint[j]
        joint[:, i] += joint[:, j]
        joint[j] = joint[:, j] = 0.0
        alive[j], names[names == j] = False, i
        _add_column(columns, joint[i], 1)
        columns[i] = columns[:, i] = 2 * _union(joint, joint[i]).sum(axis=1)
        pairs[i] = pairs[:, i] = _pair_terms(joint, balance, i)
    return np.searchsorted(np.flatnonzero(alive), names)


def _moved(joint, names, balance):
    """Cluster (n_pieces,) of every piece after pieces moved, one by one, to the cluster that gains most.

    Clusters that no path of edges leads to take none.
    """
    part = connected_components(joint, directed=False)[1]
    names, n_clusters = names.copy(), int(names.max()) + 1
    clusters = _between_clusters(joint, names, n_clusters)
    for _ in range(SWEEPS):
        n_moved = 0
        for piece, own in enumerate(names):
            if np.count_nonzero(names == own) == 1:
                continue
            links, inside = np.bincount(names, joint[piece], n_clusters), joint[piece, piece]
            links[own] -= inside
            rest = _with(clusters, own, -links, -inside)
            apart = np.block([[rest, links[:, None]], [links, inside]])
            gains = 2 * _union(apart, apart[-1]).sum(axis=1) + _pair_terms(apart, balance, -1)
            near = np.isin(np.arange(n_clusters), names[part == part[piece]])
            best = int(np.where(near, gains[:-1], -np.inf).argmax())
            if gains[best] > gains[own] + 1e-12:
                names[piece], clusters = best, _with(rest, best, links, inside)
                n_moved += 1
        if n_moved == 0:
            break
    return names


def _with(clusters, own, links, inside):
    """Weights between clusters after one of them gained a piece's links to all and its inside."""
    changed = clusters.copy()
    changed[own] += links
    changed[:, own] += links
    changed[own, own] += inside
    return changed
