"""Label tuples: one label from each member of an ensemble, a tuple a row of data.

Rows with equal tuples are indistinguishable to the ensemble, so the similarity graph works on the distinct tuples and
their counts.  A set of tuples is an integer array (n_members, n_tuples): a column each, fast to compare by member.
"""

import math
from itertools import combinations

import numpy as np

BLOCK = 1 << 20  # comparisons held at once when many tuples are compared with many
REGROUPING_COST = 150  # one regrouping of the tuples takes as long as this many label comparisons a tuple


def smallest_type(labels):
    """Copy of non-negative `labels` in the smallest unsigned type that holds them: comparing bytes is fast."""
    return labels.astype(np.min_scalar_type(labels.max(initial=0)), copy=False)


def row_keys(labels):
    """Keys (n,), int64, equal where columns of `labels` (m, n) are equal and in their lexicographic order.

    The labels are the digits of a number of mixed radix.  Before it would leave 63 bits, the digits so far are
    replaced by their rank, which is below n.
    """
    keys, span = np.zeros(labels.shape[1], dtype=np.int64), 1
    for column in labels:
        radix = int(column.max(initial=0)) + 1
        if span * radix >= 2**63:
            order, starts = group(keys)
            keys[order] = np.repeat(np.arange(starts.size), np.diff(starts, append=order.size))
            span = starts.size
        keys *= radix
        keys += column
        span *= radix
    return keys


def group(keys):
    """Indices (n,) that sort non-negative int64 `keys` (n,), and where in that order each group of equals starts.

    Where key and index fit in 63 bits together they are sorted as one number: 3 times faster than an argsort.
    """
    shift = keys.size.bit_length()
    if int(keys.max(initial=0)) < 2 ** (63 - shift):
        keys = keys << shift
        keys |= np.arange(keys.size)
        keys.sort()
        order = keys & (2**shift - 1)
        keys >>= shift
    else:
        order = np.argsort(keys)
        keys = keys[order]
    return order, np.flatnonzero(np.r_[np.ones(min(keys.size, 1), dtype=bool), keys[1:] != keys[:-1]])


def count_tuples(labels, counts=None):
    """Count the distinct label tuples of some rows.

    Parameters
    ----------
    labels : array of int, shape (m, n)
        Non-negative.
    counts : (n,) array of int, optional
        How often each column occurs; None is once.

    Returns
    -------
    tuples : array of unsigned int, shape (m, s)
        The distinct columns in the order in which they first occur.
    counts : (s,) int64
    """
    order, starts = group(row_keys(labels))
    first = np.minimum.reduceat(order, starts) if starts.size else order
    if counts is None:
        totals = np.diff(starts, append=order.size)
    else:
        totals = np.add.reduceat(counts[order], starts, dtype=np.int64) if starts.size else starts
    by_first = np.argsort(first)
    return smallest_type(labels[:, first[by_first]]), totals[by_first]


def merge_counts(parts):
    """Merge the counted tuples of consecutive shards of rows: exactly what counting all the rows at once gives.

    Parameters
    ----------
    parts : iterable of tuples (tuples, counts)
        From `count_tuples`, or from this function, in the order of the rows.

    Returns
    -------
    tuples, counts
        As of `count_tuples`.  `SimilarityGraph(tuples, counts=counts)` is the graph of all the rows.

    Examples
    --------
    >>> shards = np.array([[0, 1, 1], [0, 2, 2]]), np.array([[1, 0], [2, 1]])
    >>> tuples, counts = merge_counts(count_tuples(labels) for labels in shards)
    >>> tuples.tolist(), counts.tolist()
    ([[0, 1, 0], [0, 2, 1]], [1, 3, 1])
    """
    tuples, counts = zip(*parts, strict=True)
    return count_tuples(np.concatenate(tuples, axis=1), np.concatenate(counts))


def find_tuples(tuples, labels):
    """Return which of the distinct `tuples` (m, s) each column of `labels` (m, n) is: (n,) int, -1 = none of them."""
    n_tuples = tuples.shape[1]
    order, starts = group(row_keys(np.concatenate([tuples, labels], axis=1)))
    first = np.minimum.reduceat(order, starts) if starts.size else order
    found = np.empty(order.size, dtype=np.int64)
    found[order] = np.repeat(np.where(first < n_tuples, first, -1), np.diff(starts, append=order.size))
    return found[n_tuples:]


def agreement(tuples, others):
    """In how many members the label tuples agree: columns of `tuples` (m, ...) and `others` (m, ...), broadcast."""
    shape = np.broadcast_shapes(tuples.shape[1:], others.shape[1:])
    total = np.zeros(shape, dtype=np.min_scalar_type(len(tuples)))
    for labels, other_labels in zip(tuples, others, strict=True):
        total += labels == other_labels
    return total


def neighbour_counts(tuples, counts, radius):
    """Rows that differ from each tuple in at most `radius` members, by the cheaper of two exact ways: shape (s,)."""
    n_members, n_tuples = tuples.shape
    if radius <= 0 or n_tuples == 0:
        return counts.copy()
    if radius >= n_members:
        return np.full(n_tuples, counts.sum())
    regroupings = sum(math.comb(n_members, left_out) for left_out in range(1, radius + 1))
    if regroupings * REGROUPING_COST < n_tuples * n_members:
        return _neighbour_counts_by_regrouping(tuples, counts, radius)
    totals = np.empty(n_tuples, dtype=np.int64)
    step = max(1, BLOCK // n_tuples)
    for start in range(0, n_tuples, step):
        agree = agreement(tuples[:, None, :], tuples[:, start : start + step, None])
        totals[start : start + step] = (agree >= n_members - radius) @ counts
    return totals


def _neighbour_counts_by_regrouping(tuples, counts, radius):
    """The same by inclusion and exclusion: group again with every choice of up to `radius` members left out.

    A tuple at distance d is met whenever the d members in which it differs are among the j left out, and so in
    comb(m - d, j - d) of the groupings with j left out.  From j = 0 upwards this gives the rows at each distance.
    """
    n_members = len(tuples)
    at_distance = [counts.astype(np.int64)]
    for left_out in range(1, radius + 1):
        met = np.zeros(counts.size, dtype=np.int64)
        for kept in combinations(range(n_members), n_members - left_out):
            order, starts = group(row_keys(tuples[list(kept)]))
            totals = np.add.reduceat(counts[order], starts, dtype=np.int64) if starts.size else starts
            met[order] += np.repeat(totals, np.diff(starts, append=order.size))
        for distance, rows in enumerate(at_distance):
            met -= math.comb(n_members - distance, left_out - distance) * rows
        at_distance.append(met)
    return sum(at_distance)
