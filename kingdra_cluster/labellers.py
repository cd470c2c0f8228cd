"""Rules that find the sure rows of a similarity graph."""

from copy import copy

from kingdra_cluster.consensus import TAUGHT_SHARE, consensus_labeller


def published_labeller(graph, n_clusters):
    """Buckets of `graph` by the published rule, see :meth:`SimilarityGraph.buckets`: shape (n_rows,), -1 = none."""
    return graph.buckets(n_clusters)


def taught_by_consensus(graph, n_clusters):
    """Buckets of the rows that the consensus teaches: most of every cluster, where it is sure of them or not.

    Members that are taught the sure rows alone keep their own opinion of the others, and their average is no better
    than before.  The marks of the graph stay those of the sure rows.
    """
    return consensus_labeller(copy(graph), n_clusters, TAUGHT_SHARE)


LABELLERS = {"consensus": consensus_labeller, "cores": consensus_labeller, "published": published_labeller}
"""Functions of (SimilarityGraph, n_clusters) that return buckets (n_rows,), -1 = none.

A better rule is a function of that signature and a line here.
"""

TAUGHT = {"consensus": taught_by_consensus}
"""For labellers that teach more than their sure rows: the rule that finds what is taught."""

PROPORTIONAL = {"consensus", "cores"}
"""Labellers whose buckets are taught with the shares that they have, and need not all have rows; others as published:
as many rows of each bucket, and nothing while one of them is empty.
"""
