"""What a round teaches the members: which buckets, and under which names."""

import numpy as np

from kingdra_cluster.label_tuples import smallest_type
from kingdra_cluster.pseudo_labels import balanced_rows, name_buckets, proportional_rows, smallest_bucket


class BucketMemory:
    """The buckets that the next round learns from: its own if every bucket has rows, else the best so far.

    Parameters
    ----------
    n_clusters : int
    best : (n,) int, optional
        The best buckets of earlier rounds.
    complete : bool, default=True
        Whether a usable set needs a row in every bucket, as published; if not, any labelled row will do.

    Attributes
    ----------
    buckets : (n,) int or None
        Buckets in play, -1 where a row has none; None until there has been a usable set.
    reused : bool
        Whether they come from an earlier round.
    """

    def __init__(self, n_clusters, best=None, complete=True):
        self.n_clusters, self.complete = n_clusters, complete
        self.best = best
        self.buckets = None
        self.reused = False

    def update(self, found):
        """Take note of the buckets that the labeller found in this round."""
        size = smallest_bucket(found, self.n_clusters)
        usable = size > 0 if self.complete else bool(np.any(found >= 0))
        self.reused = not usable
        if usable and (self.best is None or size >= smallest_bucket(self.best, self.n_clusters)):
            self.best = found
        self.buckets = self.best if self.reused else found


def labelled_set(buckets, member_labels, n_clusters, *, shared_mapping, balanced):
    """Turn buckets into what each member is taught.

    Parameters
    ----------
    buckets : (n,) int
        -1 where a row has none; every bucket has a row.
    member_labels : (n_members, n) int
    n_clusters : int
    shared_mapping : bool
        Name the buckets once, as the last member does, for all; or for each member as it does.
    balanced : bool
        As many rows of each bucket, as published; or each bucket with the share of rows that it has.

    Returns
    -------
    rows : (n,) int
        The labelled set, rows of X with repetitions.
    classes : (n_members, n) int
        The class of each of them, in the names that the member is to use.
    """
    n_rows = len(buckets)
    rows = balanced_rows(buckets, n_clusters, n_rows) if balanced else proportional_rows(buckets, n_rows)
    namers = member_labels[-1:] if shared_mapping else member_labels
    names = np.stack([name_buckets(buckets, labels, n_clusters) for labels in namers])
    classes = names[:, buckets[rows]]
    return rows, np.broadcast_to(classes, (len(member_labels), len(rows)))


def compact_set(rows, classes):
    """Return a labelled set in the smallest types that hold it: it travels to every member in every round."""
    return rows.astype(np.int32 if rows.max(initial=0) < 2**31 else np.int64), smallest_type(classes)
