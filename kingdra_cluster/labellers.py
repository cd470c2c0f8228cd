"""Rules that find the sure rows of a similarity graph."""

from kingdra_cluster.consensus import consensus_labeller


def published_labeller(graph, n_clusters):
    """Buckets of `graph` by the published rule, see :meth:`SimilarityGraph.buckets`: shape (n_rows,), -1 = none."""
    return graph.buckets(n_clusters)


LABELLERS = {"consensus": consensus_labeller, "published": published_labeller}
"""Functions of (SimilarityGraph, n_clusters) that return buckets (n_rows,), -1 = none.

A better rule is a function of that signature and a line here.
"""

PROPORTIONAL = {"consensus"}
"""Labellers whose buckets are taught with the shares that they have, and need not all have rows; others as published:
as many rows of each bucket, and nothing while one of them is empty.
"""
