"""From the labels of an ensemble to pseudo-labels: common names, agreement, and a balanced labelled set."""

from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from kingdra_cluster.checks import check_integer, check_member_labels, check_row_labels


def match_labels(reference, labels, n_clusters, weights=None):
    """New names for the clusters in `labels`, such that they agree with `reference` on as many rows as possible.

    One Hungarian assignment on the contingency table.  Among equally good answers (only without `weights`) the one
    that keeps most names is taken.

    Parameters
    ----------
    reference, labels : array-like of int, shape (n_rows,)
        From 0 to `n_clusters` - 1.  A row in which either is -1 is ignored.
    n_clusters : int
    weights : array-like of float, shape (n_rows,), optional
        Non-negative weight of each row.

    Returns
    -------
    ndarray of int, shape (n_clusters,)
        Permutation `mapping`: ``mapping[labels]`` is named like `reference`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, length or range.

    Examples
    --------
    >>> match_labels([0, 0, 1, 2], [1, 1, 2, 0], n_clusters=3).tolist()
    [2, 0, 1]
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    reference = check_row_labels("reference", reference, n_clusters)
    labels = check_row_labels("labels", labels, n_clusters, n_rows=reference.size)
    both = (reference >= 0) & (labels >= 0)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != labels.shape or not (np.isfinite(weights).all() and weights.min(initial=0) >= 0):
            raise ValueError(f"weights must be {labels.size} finite numbers, none negative, got {weights!r}.")
        weights = weights[both]
    table = _contingency(labels[both], reference[both], n_clusters, n_clusters, weights).astype(np.float64)
    return _assignment(table) if weights is None else linear_sum_assignment(table, maximize=True)[1]


def medoid_member(labels, counts=None):
    """Index of the member most like the others: highest mean adjusted Rand index with them, the lowest index in ties.

    Parameters
    ----------
    labels : array-like of int, shape (n_members, n_rows)
        Non-negative.  The names of a member's clusters don't matter.
    counts : (n_rows,) array of int, optional
        How often each row occurs.

    Returns
    -------
    int
        0 if there is one member.
    """
    labels = check_member_labels(labels)
    widths = [int(member.max()) + 1 for member in labels]
    likeness = np.zeros(len(labels))
    for i, j in combinations(range(len(labels)), 2):
        index = _adjusted_rand_index(_contingency(labels[i], labels[j], widths[i], widths[j], counts))
        likeness[[i, j]] += index
    return int(np.argmax(likeness.round(12)))


def align_members(labels, n_clusters, counts=None):
    """Mapping of every member's cluster names to those of the medoid member.

    Parameters
    ----------
    labels : array-like of int, shape (n_members, n_rows)
        From 0 to `n_clusters` - 1.
    n_clusters : int
    counts : (n_rows,) array of int, optional
        How often each row occurs.

    Returns
    -------
    ndarray of int, shape (n_members, n_clusters)
        A permutation a member; ``np.take_along_axis(mappings, labels, axis=1)`` are the aligned labels.
    """
    labels = check_member_labels(labels)
    labels = np.stack([check_row_labels("labels", member, n_clusters) for member in labels])
    reference = labels[medoid_member(labels, counts)]
    tables = (_contingency(member, reference, n_clusters, n_clusters, counts) for member in labels)
    return np.stack([_assignment(table) for table in tables])


def aligned_average(probabilities, mappings):
    """Mean of the members' class probabilities in their common names.

    Parameters
    ----------
    probabilities : ndarray, shape (n_members, n_rows, n_clusters), or iterable of ndarray (n_rows, n_clusters)
        Read one member at a time, so that they may come from files.
    mappings : array-like of int, shape (n_members, n_clusters)
        As returned by :func:`align_members`.

    Returns
    -------
    ndarray, shape (n_rows, n_clusters)
        float64 if the first member's are, else float32.
    """
    mappings = np.asarray(mappings)
    if mappings.ndim != 2 or mappings.size == 0 or not (np.sort(mappings) == np.arange(mappings.shape[1])).all():
        raise ValueError(f"mappings must be one permutation of the clusters for each member, got {mappings!r}.")
    total, n_read = None, 0
    for member in probabilities:
        member = np.asarray(member)
        if total is None:
            total = np.zeros(member.shape, dtype=np.result_type(member.dtype, np.float32))
        if member.ndim != 2 or member.shape != total.shape or member.shape[1] != mappings.shape[1]:
            expected = f"(n_rows, {mappings.shape[1]}), the same for all members"
            raise ValueError(f"probabilities of member {n_read} must have the shape {expected}, got {member.shape}.")
        if n_read < len(mappings):
            total += member[:, np.argsort(mappings[n_read])]
        n_read += 1
    if n_read != len(mappings):
        raise ValueError(f"probabilities must be of as many members as mappings, {len(mappings)}, got {n_read}.")
    return np.divide(total, n_read, out=total)


def mean_pairwise_agreement(aligned_labels):
    """Share of rows to which two members give the same label, mean over all pairs of members; 1.0 for one member.

    Parameters
    ----------
    aligned_labels : array-like of int, shape (n_members, n_rows)
        In common names, see :func:`align_members`.

    Returns
    -------
    float
        In [0, 1].
    """
    labels = check_member_labels(aligned_labels)
    shares = [np.count_nonzero(a == b) / labels.shape[1] for a, b in combinations(labels, 2)]
    return float(np.mean(shares)) if shares else 1.0


def name_buckets(buckets, member_labels, n_clusters):
    """Class of each bucket: the names by which one member calls the rows of the buckets, solved once for all rows.

    Parameters
    ----------
    buckets : array-like of int, shape (n_rows,)
        -1 = unlabelled.
    member_labels : array-like of int, shape (n_rows,)
        One member's own labels.
    n_clusters : int

    Returns
    -------
    ndarray of int, shape (n_clusters,)
        Permutation: ``names[buckets]`` are classes in the member's names (where `buckets` is not -1).
    """
    return match_labels(member_labels, buckets, n_clusters)


def smallest_bucket(buckets, n_clusters):
    """Number of rows in the smallest of `n_clusters` buckets; a set of buckets is usable if this is not 0."""
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    buckets = check_row_labels("buckets", buckets, n_clusters)
    return int(np.bincount(buckets[buckets >= 0], minlength=n_clusters).min())


def balanced_rows(buckets, n_clusters, n_rows):
    """Indices of a labelled set: one row from each bucket in turn, starting again in a bucket that is used up.

    Parameters
    ----------
    buckets : array-like of int, shape (n,)
        -1 = unlabelled.
    n_clusters : int
    n_rows : int
        Size of the labelled set.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Entry t is a row of bucket ``t % n_clusters``: the class counts differ by at most 1.

    Raises
    ------
    ValueError
        If a bucket is empty.
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    n_rows = check_integer("n_rows", n_rows, 0)
    buckets = check_row_labels("buckets", buckets, n_clusters)
    labelled = np.flatnonzero(buckets >= 0)
    sizes = np.bincount(buckets[labelled], minlength=n_clusters)
    if not sizes.all():
        empty = np.flatnonzero(sizes == 0).tolist()
        raise ValueError(f"buckets must give every one of the {n_clusters} clusters a row, but {empty} have none.")
    by_bucket = labelled[np.argsort(buckets[labelled], kind="stable")]
    turn, bucket = np.divmod(np.arange(n_rows), n_clusters)
    return by_bucket[(np.cumsum(sizes) - sizes)[bucket] + turn % sizes[bucket]]


def proportional_rows(buckets, n_rows):
    """Indices of a labelled set: the rows of all buckets in turn, starting again when they are used up.

    Parameters
    ----------
    buckets : array-like of int, shape (n,)
        -1 = unlabelled.
    n_rows : int
        Size of the labelled set.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        The buckets have the shares that they have of the labelled rows.

    Raises
    ------
    ValueError
        If no row is labelled.
    """
    labelled = np.flatnonzero(np.asarray(buckets) >= 0)
    if labelled.size == 0:
        raise ValueError("buckets must give at least one row a label, but all are -1.")
    return np.resize(labelled, check_integer("n_rows", n_rows, 0))


def _assignment(table):
    """Hungarian assignment on a table of counts; of equally good ones that which keeps most names."""
    ties = np.eye(len(table)) / (len(table) + 1)  # less than one row in all
    return linear_sum_assignment(table + ties, maximize=True)[1]


def _contingency(row_labels, column_labels, n_rows, n_columns, weights=None):
    """Table (n_rows, n_columns): how often, or with which weight, each pair of labels occurs together."""
    cells = row_labels.astype(np.int64) * n_columns
    cells += column_labels
    return np.bincount(cells, weights, minlength=n_rows * n_columns).reshape(n_rows, n_columns)


def _adjusted_rand_index(table):
    """Adjusted Rand index of two clusterings from their contingency table of counts."""

    def pairs(counts):
        counts = counts.astype(np.float64)
        return (counts * (counts - 1) / 2).sum()

    together, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    all_pairs = pairs(table.sum(keepdims=True))
    expected = rows * columns / all_pairs if all_pairs else 0.0
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else (together - expected) / (largest - expected)
