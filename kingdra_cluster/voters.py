"""Voters on what a later round teaches: communities of the rows as the trained members see them.

What the members were taught is wrong in some rows, and they learn it; but on the way from the rows to the answer they
lay rows of a kind together, and communities of that space put many of those errors right.
"""

import math

import numpy as np
from joblib import delayed

from kingdra_cluster import starts
from kingdra_cluster.labellers import TAUGHT
from kingdra_cluster.members import member_features, member_starts
from kingdra_cluster.merging import EVEN, UNEVEN
from kingdra_cluster.spaces import principal_components

HEARD = 5  # of so many communities of what is learnt one votes, the best for its member's graph: docs/kingdra.md
COMPONENTS = 20  # of the space that all members share, or as many as there are clusters: docs/kingdra.md


def are_asked(settings, n):
    """Return whether anybody votes with the members on what is taught after a round of n rows.

    Nobody does where nothing but the sure rows is taught, or where only a sample of the rows starts the members.
    """
    several = settings.n_rounds > 1 and settings.start_votes > 0
    return several and settings.start is not None and settings.labeller in TAUGHT and n <= starts.MANY_ROWS


def votes_of_each(settings):
    """Return how many communities vote for each member (int), 1 at least: ``start_votes`` at least for all of them."""
    return max(1, math.ceil(settings.start_votes / settings.n_members))


def learnt_voters(settings, mode, X, paths, *, balance, seed, scales, workers):
    """Find communities of the rows in what the members have learnt.

    Parameters
    ----------
    settings, mode, X, seed, scales, workers
        See `rounds.train_rounds`.
    paths : list of path
        Where the members' states lie.
    balance : float, or None
        Of the members' starts.

    Returns
    -------
    (n_voters, n) int, or None
        The best fifth of each member's, by `merging.neighbor_information`; -1 where one has no opinion.  None where
        such voters are not asked or not to be trusted: the members' networks have no dense layer, two of them put less
        than three quarters of the rows into the same cluster, the groups are taken for uneven (they cut the largest one
        in pieces), or the members see spaces of their own (starts in each say more than one space of all).
    """
    if not are_asked(settings, X.shape[0]) or balance <= UNEVEN or settings.spaces is not None:
        return None
    n_clusters, n_components = settings.n_clusters, max(COMPONENTS, settings.n_clusters)
    seen = workers(
        delayed(member_features)(
            mode,
            X,
            path=path,
            scale=scales[0],
            threads=settings.threads_per_member,
            n_components=n_components,
        )
        for path in paths
    )
    if any(features is None for features in seen):
        return None
    lists = starts.neighbor_lists(principal_components(np.hstack(seen), n_components), n_clusters, seed)[1]
    n_starts = votes_of_each(settings)
    options = {"balance": EVEN, "seed": seed, "n_starts": n_starts, "n_best": math.ceil(n_starts / HEARD)}
    found = workers(delayed(member_starts)(lists, n_clusters, member=m, **options) for m in range(len(paths)))
    agree = starts.start_agreement([own[0] for own in found], n_clusters) >= starts.AGREED
    return np.concatenate(found) if agree else None
