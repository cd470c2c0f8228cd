"""How many clusters there are, from the communities that come back when some of the rows are left out."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_array

from kingdra_cluster.checks import check_integer
from kingdra_cluster.communities import communities, smallest_size
from kingdra_cluster.graphs import neighbor_graph
from kingdra_cluster.starts import NEIGHBORS, neighbor_lists

RESOLUTIONS = tuple(float(f"{resolution:.3g}") for resolution in np.geomspace(0.03, 6.0, 16))
SAMPLES = 6
MANY_ROWS = 20_000  # of more rows a sample is counted
SHARE = 0.5  # of the rows go into each sample's graph
FEW_ROWS = 500  # are left in a sample where that is possible, but never more than
MOST = 0.8  # of the rows: samples of all rows would agree about anything
FEWEST = 5  # rows a community on average: smaller ones are chance
STABLE = 0.5  # adjusted Rand index of two samples below which there is nothing to be counted
NEARLY = 0.85  # of the best stability counts as well: the finer of such partitions is meant


class ClusterCount(NamedTuple):
    """An estimate of the number of clusters, and what it was made from.

    Attributes
    ----------
    n_clusters : int
        1 if no partition is stable.
    interval : tuple (int, int)
        Least and greatest number over the samples at the resolutions beside the chosen one that are nearly as stable.
    resolutions : (r,) float
    counts : (r, n_samples) int
        Communities of each sample of rows at each resolution, leftovers not counted.
    stability : (r,) float
        Mean adjusted Rand index of the communities of two samples, on the rows that they share.
    """

    n_clusters: int
    interval: tuple
    resolutions: np.ndarray
    counts: np.ndarray
    stability: np.ndarray

    @classmethod
    def restored(cls, saved):
        """Return the estimate whose ``_asdict()`` went through JSON, or None for None."""
        if saved is None:
            return None
        arrays = {name: np.array(saved[name]) for name in ("resolutions", "counts", "stability")}
        return cls(saved["n_clusters"], tuple(saved["interval"]), **arrays)


def estimate_n_clusters(X, *, seed=0):
    """Estimate the number of clusters of the rows of X.

    Six random parts of the rows (halves, where there are many) are cut into communities of the graph of nearest
    neighbours at resolutions from coarse to fine.  Where two of them agree on the rows that they share, the partition
    is in the data; where they don't, it is in the sample.  Of the resolutions whose stability is a peak, and at least
    85 % of the highest, the finest is taken.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
        Images are read as rows of pixels.
    seed : int
        At least 0.

    Returns
    -------
    ClusterCount

    Raises
    ------
    ValueError
        If X is no numeric array of rows.

    Notes
    -----
    Samples are larger where there are few rows (four fifths at most), and there are never more clusters than distinct
    rows.  Of rows without any groups, with few columns, the estimate can be far above 1.  Coarse and fine groupings of
    the same data can both be stable, as topics and their subtopics are: the number is a suggestion, the interval shows
    how firm it is.  Modularity cannot see clusters that are small beside the number of all edges (its resolution
    limit).

    References
    ----------
    Lange, Roth, Braun, Buhmann, "Stability-based validation of clustering solutions", Neural Computation 16, 2004.
    Fortunato, Barthelemy, "Resolution limit in community detection", PNAS 104, 2007.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> X, _ = make_blobs(600, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> estimate_n_clusters(X).n_clusters
    3
    """
    X = check_array(X, accept_sparse="csr", allow_nd=True)
    seed = check_integer("seed", seed, 0)
    rows, lists = neighbor_lists(X, 1, seed, most=MANY_ROWS)
    samples = [_half_graph(lists, NEIGHBORS[m % len(NEIGHBORS)], [seed, m]) for m in range(SAMPLES)]
    counts = np.zeros((len(RESOLUTIONS), SAMPLES), dtype=int)
    stability = np.zeros(len(RESOLUTIONS))
    for index, resolution in enumerate(RESOLUTIONS):
        labels = np.full((SAMPLES, len(lists)), -1)
        for m, (places, graph) in enumerate(samples):
            labels[m, places] = communities(graph, resolution, seed=[seed, m, index])
            sizes = np.bincount(labels[m, places])
            counts[index, m] = np.count_nonzero(sizes >= smallest_size(sizes))
        if FEWEST * np.median(counts[index]) <= len(samples[0][0]):
            stability[index] = np.mean([_agreement(a, b) for a, b in combinations(labels, 2)])
    found = _choose(np.array(RESOLUTIONS), counts, stability)
    most = _distinct(X, rows, found.interval[1])
    return found._replace(
        n_clusters=min(found.n_clusters, most), interval=tuple(min(bound, most) for bound in found.interval)
    )


def most_stable(found):
    """Return the one of several estimates whose partitions, into more than one cluster, are the most stable.

    Parameters
    ----------
    found : sequence of ClusterCount
    """
    return max(found, key=lambda count: _candidates(count.counts, count.stability).max())


def _candidates(counts, stability):
    """Stability (r,) of the resolutions that may be chosen, else 0."""
    return np.where((np.round(np.median(counts, axis=1)) > 1) & (stability >= STABLE), stability, 0.0)


def _distinct(X, rows, enough):
    """Return how many different rows there are among some of X, or ``enough`` if there are no fewer."""
    seen = set()
    for row in rows:
        seen.add((X[[row]].toarray() if sparse.issparse(X) else X[row]).tobytes())
        if len(seen) >= enough:
            break
    return len(seen)


def _half_graph(neighbors, n_neighbors, seed):
    """Return the places (s,) of half of the rows, ascending, and the graph (s, s) of their neighbours among these."""
    n = len(neighbors)
    size = max(1, round(max(SHARE, min(MOST, FEW_ROWS / n)) * n))
    kept = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    places = np.full(n, -1)
    places[kept] = np.arange(size)
    lists = np.where(neighbors[kept] >= 0, places[neighbors[kept]], -1)
    seen = lists >= 0
    return kept, neighbor_graph(np.where(seen & (np.cumsum(seen, axis=1) <= n_neighbors), lists, -1))


def _agreement(a, b):
    both = (a >= 0) & (b >= 0)
    return adjusted_rand_score(a[both], b[both]) if both.any() else 0.0


def _choose(resolutions, counts, stability):
    """Return the estimate for the finest of the highest peaks of stability."""
    typical = np.round(np.median(counts, axis=1)).astype(int)
    candidate = _candidates(counts, stability)
    if not candidate.any():
        return ClusterCount(1, (1, 1), resolutions, counts, stability)
    sides = np.concatenate([[0.0], candidate, [0.0]])
    peak = (candidate >= sides[:-2]) & (candidate >= sides[2:]) & (candidate >= NEARLY * candidate.max())
    chosen = int(np.flatnonzero(peak).max())
    first, last = chosen, chosen
    while first > 0 and candidate[first - 1] >= candidate[chosen] - 0.05:
        first -= 1
    while last < len(candidate) - 1 and candidate[last + 1] >= candidate[chosen] - 0.05:
        last += 1
    near = counts[first : last + 1]
    return ClusterCount(int(typical[chosen]), (int(near.min()), int(near.max())), resolutions, counts, stability)
