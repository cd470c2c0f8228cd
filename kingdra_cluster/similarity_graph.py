"""Similarity graph of an ensemble: which rows the members put together, and its dense cores (buckets).

How often two rows agree depends on their labels only, one label a member.  All the work is therefore done on the
distinct label tuples and their counts: grouping costs one sort of n keys, and nothing is ever n x n.
"""

import numbers
from typing import NamedTuple

import numpy as np

from kingdra_cluster.checks import check_integer, check_member_labels
from kingdra_cluster.label_tuples import BLOCK, agreement, group, neighbour_counts, row_keys, smallest_type

_MAX_RECHECKS = 32  # stale candidates examined one by one before all neighbour counts are refreshed


class Explanation(NamedTuple):
    """Why two rows are, or are not, joined: the answer of :meth:`SimilarityGraph.explain`.

    Attributes
    ----------
    agreement : int
        Number of members that give both rows the same label.
    members : tuple of int
        Those members.
    strong : bool
        Whether an edge joins the rows: both take part and `agreement` is above `high_agreement`.
    far_apart : bool
        Whether the rows may be in different buckets: `agreement` is at most `low_agreement`.
    unsure_rows : tuple of int
        Those of the two rows that take no part, because a member was not confident enough.
    """

    agreement: int
    members: tuple
    strong: bool
    far_apart: bool
    unsure_rows: tuple


class SimilarityGraph:
    """Graph of the rows of a data set in which an edge says that the members of an ensemble agree.

    Two rows are joined if more than `high_agreement` members give both the same label, and *far apart* if at most
    `low_agreement` members do.  Each member is compared with itself only, so names need no alignment.

    Parameters
    ----------
    labels : array-like of int, shape (n_members, n_rows)
        Label of every row according to every member, from 0 to 2**31 - 1.  Kept as it is: int8 or uint8 is smallest.
    confidences : array-like of float, shape (n_members, n_rows), optional
        Largest class probability of every row.  None: every row takes part, whatever `confidence_threshold`.
    low_agreement, high_agreement : int
        Numbers of members, from -1 to `n_members`; `high_agreement=None` means `n_members - 1`, that is, an edge
        needs all members.  With `n_members` no two rows are joined and every row is a node of its own.
    confidence_threshold : float, in [0, 1]
        A row takes part only if every member's confidence in it is above this.
    counts : array-like of int, shape (n_rows,), optional
        How often each row occurs, 1 by default.  With the distinct tuples of many shards of rows and their counts (see
        `label_tuples.merge_counts`) this is the graph of all of them, however many; answers are by distinct tuple.

    Attributes
    ----------
    labels : ndarray of int, shape (n_members, n_rows)
    takes_part : ndarray of bool, shape (n_rows,)
    n_members, n_rows, n_tuples : int
    tuples : ndarray of int, shape (n_members, n_tuples)
        Distinct label tuples of the rows that take part, one a column, in lexicographic order.
    counts, first_rows : ndarray of int, shape (n_tuples,)
        Number of rows with each tuple, repetitions counted, and the lowest index among them.
    tuple_buckets : ndarray of int, shape (n_tuples,)
        Bucket of each tuple after the last call of :meth:`buckets`; -1 = none.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    References
    ----------
    Gupta, Ramjee, Kwatra, Sivathanu, "Unsupervised clustering using pseudo-semi-supervised learning", ICLR 2020.

    Examples
    --------
    >>> graph = SimilarityGraph([[0, 0, 0, 1, 1, 2, 0, 2], [2, 2, 2, 0, 0, 1, 0, 1], [1, 1, 1, 2, 2, 0, 2, 1]])
    >>> graph.buckets(n_clusters=3).tolist()
    [0, 0, 0, 1, 1, 2, -1, -1]
    """

    def __init__(
        self,
        labels,
        confidences=None,
        *,
        low_agreement=1,
        high_agreement=None,
        confidence_threshold=0.0,
        counts=None,
    ):
        self.labels = check_member_labels(labels)
        self.n_members, self.n_rows = self.labels.shape
        self.low_agreement = check_integer("low_agreement", low_agreement, -1, self.n_members)
        high_agreement = self.n_members - 1 if high_agreement is None else high_agreement
        self.high_agreement = check_integer("high_agreement", high_agreement, -1, self.n_members)
        self.confidence_threshold = confidence_threshold
        self.takes_part = _rows_that_take_part(confidences, self.labels.shape, confidence_threshold)

        everybody = self.takes_part.all()
        labels = self.labels if everybody else self.labels[:, self.takes_part]
        rows_apart = self.high_agreement == self.n_members
        order, starts = group(np.arange(labels.shape[1]) if rows_apart else row_keys(labels))
        if not everybody:
            order = np.flatnonzero(self.takes_part)[order]
        index_type = np.int32 if self.n_rows < 2**31 else np.int64
        self._rows_by_tuple = order.astype(index_type)
        self._columns = np.diff(starts, append=order.size).astype(index_type)  # of each tuple
        self.counts = self._columns
        if counts is not None:
            counts = _check_counts(counts, self.n_rows, rows_apart)
            self.counts = np.add.reduceat(counts[order], starts, dtype=np.int64) if starts.size else starts
        self.first_rows = np.minimum.reduceat(self._rows_by_tuple, starts) if starts.size else self._rows_by_tuple
        self.tuples = smallest_type(self.labels.take(self.first_rows, axis=1))
        self.n_tuples = self.counts.size
        self.tuple_buckets = np.full(self.n_tuples, -1, dtype=np.int32)

    def buckets(self, n_clusters):
        """Disjoint dense cores of the graph by the published rule, largest neighbourhood first.

        Up to `n_clusters` times, among the rows still in play: the row with the most neighbours (itself counted, the
        lowest index wins ties) and those neighbours are the next bucket; then all rows leave play that agree in more
        than `low_agreement` members with any row of the bucket.

        The paper compares with the centre of the bucket only; this is the published code's rule, which made the
        published numbers.  The confidence threshold is applied to both ends of an edge (the code tests one end).

        Parameters
        ----------
        n_clusters : int
            Largest number of buckets.  There are fewer when nobody is left in play.

        Returns
        -------
        ndarray of int32, shape (n_rows,)
            Bucket of every row, numbered in the order of selection; -1 = unlabelled.
        """
        n_clusters = check_integer("n_clusters", n_clusters, 1)
        radius = self.n_members - self.high_agreement - 1
        tuples, counts, first_rows = self.tuples, self.counts, self.first_rows
        index = np.arange(self.n_tuples, dtype=counts.dtype)
        bounds = neighbour_counts(tuples, counts, radius)
        self.tuple_buckets = np.full(self.n_tuples, -1, dtype=np.int32)
        for bucket in range(n_clusters):
            if index.size == 0:
                break
            core, agree = _largest_neighbourhood(tuples, counts, first_rows, bounds, radius)
            self.tuple_buckets[index[core]] = bucket
            stays = ~_leaves(tuples, core, agree, self.low_agreement, radius)
            tuples, counts, first_rows = tuples[:, stays], counts[stays], first_rows[stays]
            index, bounds = index[stays], bounds[stays]
        return self.row_buckets()

    def row_buckets(self):
        """Bucket (n_rows,) int32 of every row, from `tuple_buckets`; -1 = none."""
        row_buckets = np.full(self.n_rows, -1, dtype=np.int32)
        row_buckets[self._rows_by_tuple] = np.repeat(self.tuple_buckets, self._columns)
        return row_buckets

    def explain(self, i, j):
        """Which members put rows `i` and `j` together, and what follows; see :class:`Explanation`."""
        i = check_integer("i", i, 0, self.n_rows - 1)
        j = check_integer("j", j, 0, self.n_rows - 1)
        members = tuple(np.flatnonzero(self.labels[:, i] == self.labels[:, j]).tolist())
        agree = len(members)
        unsure_rows = tuple(row for row in sorted({i, j}) if not self.takes_part[row])
        strong = agree > self.high_agreement and not unsure_rows
        return Explanation(agree, members, strong, agree <= self.low_agreement, unsure_rows)

    def to_networkx(self, max_nodes=500):
        """Audit view of the graph on label tuples, for drawing, exporting and checking by eye.

        Parameters
        ----------
        max_nodes : int or None
            Only the most frequent tuples are kept, so that there are at most ``max_nodes**2 / 2`` edges; None keeps
            all.  The graph's attributes ``omitted_tuples`` and ``omitted_rows`` say what was left out.

        Returns
        -------
        networkx.Graph
            A node for each tuple, named by its column in `tuples`, with ``labels`` (one a member), ``count`` (rows),
            ``first_row`` and ``bucket`` (of the last call of :meth:`buckets`; -1 = none).  An edge for each pair of
            tuples that are not far apart, with ``agreement`` (members) and ``strong`` (whether it joins their rows).
            The edges between rows of equal labels, which are inside a node, are not shown.
        """
        import networkx

        limit = self.n_tuples if max_nodes is None else check_integer("max_nodes", max_nodes, 1)
        nodes = np.sort(np.argsort(-self.counts, kind="stable")[:limit])
        shown_rows = int(self.counts[nodes].sum())
        graph = networkx.Graph(
            low_agreement=self.low_agreement,
            high_agreement=self.high_agreement,
            omitted_tuples=self.n_tuples - nodes.size,
            omitted_rows=int(self.counts.sum()) - shown_rows,
        )
        columns = (self.tuples[:, nodes].T, self.counts[nodes], self.first_rows[nodes], self.tuple_buckets[nodes])
        for node, labels, count, first_row, bucket in zip(nodes.tolist(), *(c.tolist() for c in columns), strict=True):
            graph.add_node(node, labels=tuple(labels), count=count, first_row=first_row, bucket=bucket)
        for position, node in enumerate(nodes.tolist()):
            others = nodes[position + 1 :]
            agreements = agreement(self.tuples[:, others], self.tuples[:, node])
            for other, agree in zip(others.tolist(), agreements.tolist(), strict=True):
                if agree > self.low_agreement:
                    graph.add_edge(node, other, agreement=agree, strong=agree > self.high_agreement)
        return graph


def _rows_that_take_part(confidences, shape, threshold):
    """Mask (n_rows,) of the rows in which every member's confidence is above `threshold`."""
    if not isinstance(threshold, numbers.Real) or not 0 <= threshold <= 1:
        raise ValueError(f"confidence_threshold must be a number from 0 to 1, got {threshold!r}.")
    takes_part = np.ones(shape[1], dtype=bool)
    if confidences is None:
        return takes_part
    confidences = np.asarray(confidences)
    if confidences.shape != shape:
        raise ValueError(f"confidences must have the shape of labels, {shape}, got {confidences.shape}.")
    if confidences.dtype.kind not in "fiu":
        raise TypeError(f"confidences must be real numbers, got the data type {confidences.dtype}.")
    smallest, largest = confidences.min(), confidences.max()
    if not (smallest >= 0 and largest <= 1 + 1e-3):
        raise ValueError(f"confidences must be probabilities, got values from {smallest} to {largest}.")
    for row_confidences in confidences:
        takes_part &= row_confidences > float(threshold)
    return takes_part


def _check_counts(counts, n_rows, rows_apart):
    """Return how often each row occurs as an array of integers."""
    counts = np.asarray(counts)
    if counts.shape != (n_rows,) or counts.dtype.kind not in "iu" or counts.min() < 1:
        raise ValueError(f"counts must be {n_rows} integers of at least 1, one a column of labels, got {counts!r}.")
    if rows_apart:
        raise ValueError("counts need high_agreement below the number of members: above it equal rows are not joined.")
    return counts


def _largest_neighbourhood(tuples, counts, first_rows, bounds, radius):
    """Mask (s,) of the tuples in the next bucket, and the agreement (s,) of every tuple with its centre.

    `bounds` are neighbour counts of an earlier moment.  Counts only fall as rows leave play, so a candidate whose
    fresh count still equals its bound, the largest of all, is the centre; otherwise its bound is lowered, in place.
    """
    least = len(tuples) - radius
    for attempt in range(_MAX_RECHECKS + 1):
        candidates = np.flatnonzero(bounds == bounds.max())
        centre = candidates[np.argmin(first_rows[candidates])]
        agree = agreement(tuples, tuples[:, centre])
        core = agree >= least
        core[centre] = True
        fresh = counts[core].sum()
        if fresh == bounds[centre]:
            break
        bounds[centre] = fresh
        if attempt == _MAX_RECHECKS - 1:
            bounds[:] = neighbour_counts(tuples, counts, radius)
    return core, agree


def _leaves(tuples, core, agree_with_centre, low_agreement, radius):
    """Mask (s,) of the tuples that agree in more than `low_agreement` members with any tuple of the bucket `core`.

    No tuple of the bucket differs from its centre in more than `radius` members, so it can agree with another tuple
    at most in `radius` members more than the centre does: only tuples within that reach are compared.
    """
    leaves = core | (agree_with_centre > low_agreement)
    if radius <= 0 or low_agreement >= len(tuples):
        return leaves
    within_reach = np.flatnonzero(~leaves & (agree_with_centre.astype(np.int64) + radius > low_agreement))
    bucket = tuples[:, core]
    start = 0
    while within_reach.size and start < bucket.shape[1]:
        block = bucket[:, start : start + max(1, BLOCK // within_reach.size)]
        start += block.shape[1]
        close = (agreement(tuples[:, None, within_reach], block[:, :, None]) > low_agreement).any(axis=0)
        leaves[within_reach[close]] = True
        within_reach = within_reach[~close]
    return leaves
