"""Consensus of an ensemble: which clusters of different members are the same, and which rows are sure of theirs."""

from itertools import combinations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from kingdra_cluster.checks import check_integer, check_member_labels

CORE_SHARE = 0.25  # of a cluster's rows are taught at least, however much the members disagree about them
BLOCK = 2**16  # tuples whose votes are counted at a time
DIGITS = 9  # to which shares of votes are compared


def meta_clusters(labels, n_clusters, counts=None):
    """Group the clusters of all members: those that share their rows are one cluster of the consensus.

    Average linkage on the Jaccard distance of the members' clusters, cut into `n_clusters` groups.  A member that
    splits a cluster puts both halves into one group, and a member that merges two has one cluster for them, which
    goes where more of it belongs: no member has to be matched one to one.

    Parameters
    ----------
    labels : array-like of int, shape (n_members, n_rows)
        Non-negative.
    n_clusters : int
    counts : (n_rows,) array, optional
        How often each column of `labels` occurs.

    Returns
    -------
    ndarray of float64, shape (n_groups, n_members, n_labels)
        Weight of each member's clusters in a group: 1 / (number of member clusters in it), or 0.  There are fewer
        groups than `n_clusters` only if the members have fewer clusters in all.

    References
    ----------
    Strehl, Ghosh, "Cluster ensembles: a knowledge reuse framework for combining multiple partitions", JMLR 2002.

    Examples
    --------
    >>> meta_clusters([[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 2, 2]], n_clusters=2).shape
    (2, 3, 3)
    """
    labels = check_member_labels(labels)
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    n_members, width = len(labels), int(labels.max()) + 1
    weights = np.ones(labels.shape[1]) if counts is None else np.asarray(counts, dtype=np.float64)
    shared = np.zeros((n_members, width, n_members, width))
    for i in range(n_members):
        sizes = np.bincount(labels[i], weights, minlength=width)
        shared[i, np.arange(width), i, np.arange(width)] = sizes
    for i, j in combinations(range(n_members), 2):
        cells = labels[i].astype(np.int64) * width + labels[j]
        table = np.bincount(cells, weights, minlength=width**2).reshape(width, width)
        shared[i, :, j], shared[j, :, i] = table, table.T
    shared = shared.reshape(n_members * width, n_members * width)
    used = np.flatnonzero(np.diag(shared))
    groups = _average_linkage(shared[np.ix_(used, used)], n_clusters)
    member_clusters = np.zeros((groups.max() + 1, n_members * width))
    member_clusters[groups, used] = 1.0
    member_clusters /= member_clusters.sum(axis=1, keepdims=True)
    return member_clusters.reshape(-1, n_members, width)


def consensus_labeller(graph, n_clusters):
    """Buckets of sure rows: in every cluster of the consensus the rows that most of its members hold.

    Every row goes to the group of member clusters (see `meta_clusters`) that holds it with the largest share of its
    clusters.  A cluster's bucket is filled from the surest rows down, all equally sure rows at once, until it has a
    quarter of the cluster's rows: every cluster has a bucket, however little the members agree.

    Parameters
    ----------
    graph : SimilarityGraph
        Its `tuple_buckets` are set.
    n_clusters : int

    Returns
    -------
    ndarray of int32, shape (n_rows,)
        Bucket of every row, largest cluster first; -1 = unlabelled.
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    graph.tuple_buckets = np.full(graph.n_tuples, -1, dtype=np.int32)
    if graph.n_tuples:
        counts = graph.counts.astype(np.float64)
        cluster, share = _votes(graph.tuples, meta_clusters(graph.tuples, n_clusters, counts))
        sizes = np.bincount(cluster, counts)
        for bucket, group in enumerate(np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]):
            inside = np.flatnonzero(cluster == group)
            order = inside[np.argsort(-share[inside], kind="stable")]
            enough = np.searchsorted(np.cumsum(counts[order]), CORE_SHARE * sizes[group])
            graph.tuple_buckets[inside[share[inside] >= share[order[enough]]]] = bucket
    return graph.row_buckets()


def _average_linkage(shared, n_clusters):
    """Group (n,) of each member cluster, from the number of rows (n, n) that every two of them share."""
    if len(shared) <= n_clusters:
        return np.arange(len(shared))
    sizes = np.diag(shared)
    distances = 1.0 - shared / (sizes[:, None] + sizes - shared)
    tree = linkage(squareform(distances, checks=False), "average")
    return fcluster(tree, n_clusters, "maxclust") - 1


def _votes(tuples, weights):
    """Group (n_tuples,) with the largest share of votes for each tuple (the lowest in ties), and that share."""
    members = np.arange(len(tuples))
    cluster, share = np.empty(tuples.shape[1], dtype=np.intp), np.empty(tuples.shape[1])
    for start in range(0, tuples.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        votes = sum(weights[:, member, tuples[member, block]] for member in members).round(DIGITS)
        cluster[block], share[block] = votes.argmax(axis=0), votes.max(axis=0)
    return cluster, share
