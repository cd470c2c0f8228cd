"""Consensus of an ensemble: common names, mean probabilities, and which rows are sure of their cluster."""

from typing import NamedTuple

import numpy as np

from kingdra_cluster.checks import check_integer
from kingdra_cluster.pseudo_labels import align_members, aligned_average, match_labels, mean_pairwise_agreement

CORE_SHARE = 0.25  # of a cluster's rows are sure at least, however much the members disagree about them
TAUGHT_SHARE = 0.9  # of a cluster's rows are taught at least, surest first: docs/kingdra.md measures others
BLOCK = 2**16  # tuples whose votes are counted at a time


class Consensus(NamedTuple):
    """The aligned ensemble: common name of every member's clusters, mean probabilities, agreement of the members."""

    mappings: np.ndarray
    probabilities: np.ndarray
    agreement: float


def find_consensus(outputs, member_labels, previous_labels=None):
    """Align the members, average them, and keep the names that the clusters had before.

    Parameters
    ----------
    outputs : sequence of arrays of shape (n, n_clusters)
        Probabilities of every member, in its own names.
    member_labels : (n_members, n) int
        Their labels.
    previous_labels : (n,) int, optional
        Consensus labels of the round before; the new names are matched with them.

    Returns
    -------
    Consensus
    """
    n_clusters = outputs[0].shape[1]
    mappings = align_members(member_labels, n_clusters)
    if previous_labels is not None:
        labels = aligned_average(outputs, mappings).argmax(axis=1)
        mappings = match_labels(previous_labels, labels, n_clusters)[mappings]
    agreement = mean_pairwise_agreement(np.take_along_axis(mappings, member_labels.astype(np.intp), axis=1))
    return Consensus(mappings, aligned_average(outputs, mappings), agreement)


def held_by_most(member_labels, mappings, labels):
    """Return for every row whether more than half of the members put it into its cluster.

    Parameters
    ----------
    member_labels : (n_members, n) int
        In the members' own names.
    mappings : (n_members, n_clusters) int
        Common name of each member's clusters.
    labels : (n,) int
        In common names.

    Returns
    -------
    (n,) bool
    """
    votes = np.zeros(len(labels), dtype=np.int32)
    for mapping, own in zip(mappings, member_labels, strict=True):
        votes += mapping[own] == labels
    return 2 * votes > len(member_labels)


def consensus_labeller(graph, n_clusters, share=CORE_SHARE):
    """Buckets of sure rows: in every cluster of the consensus the rows that most of its members hold.

    The members are aligned with each other, and every row goes to the cluster that most of them give it.  A cluster's
    bucket is filled from the surest rows down, all equally sure rows at once, until it has that share of the cluster's
    rows: every cluster has a bucket, however little the members agree.

    Parameters
    ----------
    graph : SimilarityGraph
        Its `tuple_buckets` are set.
    n_clusters : int
    share : float, default=0.25

    Returns
    -------
    ndarray of int32, shape (n_rows,)
        Bucket of every row, largest cluster first; -1 = unlabelled.
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    graph.tuple_buckets = np.full(graph.n_tuples, -1, dtype=np.int32)
    if graph.n_tuples:
        counts = graph.counts.astype(np.float64)
        width = max(n_clusters, int(graph.tuples.max()) + 1)
        cluster, votes = _votes(graph.tuples, align_members(graph.tuples, width, graph.counts))
        sizes = np.bincount(cluster, counts)
        for bucket, group in enumerate(np.argsort(-sizes, kind="stable")[: min(n_clusters, np.count_nonzero(sizes))]):
            inside = np.flatnonzero(cluster == group)
            order = inside[np.argsort(-votes[inside], kind="stable")]
            enough = np.searchsorted(np.cumsum(counts[order]), share * sizes[group])
            graph.tuple_buckets[inside[votes[inside] >= votes[order[enough]]]] = bucket
    return graph.row_buckets()


def _votes(tuples, mappings):
    """Cluster (n_tuples,) with most of the aligned members' votes (the lowest in ties), and their number."""
    cluster, votes = np.empty(tuples.shape[1], dtype=np.intp), np.empty(tuples.shape[1], dtype=np.intp)
    names = np.arange(mappings.shape[1])[:, None]
    for start in range(0, tuples.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        counts = sum(mapping[labels[block]] == names for mapping, labels in zip(mappings, tuples, strict=True))
        counts = np.asarray(counts, dtype=np.intp)
        cluster[block], votes[block] = counts.argmax(axis=0), counts.max(axis=0)
    return cluster, votes
