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
from kingdra_cluster.spaces import principal_components, space_of

COMPONENTS = 20  # of the space that all members share, or as many as there are clusters: docs/kingdra.md


def are_asked(settings, n):
    """Return whether others than the members vote on what is taught after a round of n rows.

    They do not where nothing but the sure rows is taught, or where only a sample of the rows starts the members.
    """
    several = settings.n_rounds > 1 and settings.start_votes > 0
    return several and settings.start is not None and settings.labeller in TAUGHT and n <= starts.MANY_ROWS


def of_what_is_learnt(settings, balance, n):
    """Return whether communities of what the members have learnt are asked, or starts: where groups differ in size.

    There the members were taught the groups as starts with little balance found them, and communities of what
    they have learnt cut the largest group in pieces (docs/kingdra.md).
    """
    return are_asked(settings, n) and balance > UNEVEN


def votes_of_each(settings):
    """Return how many communities vote for each member (int): as many for all of them, ``start_votes`` at least."""
    return math.ceil(settings.start_votes / settings.n_members)


def learnt_voters(settings, mode, X, paths, *, seed, scales, workers):
    """Find communities of the rows in what the members have learnt.

    Parameters
    ----------
    settings : KingdraCluster
        Its arguments are read.
    mode : ClusteringMode
        The members' hyper-parameters.
    X : array or CSR matrix of shape (n, n_features)
    paths : list of path
        Where the members' states lie.
    seed : int
    scales : list of float
        Divide the columns of each space; one for all of X where there are no spaces.
    workers : ThisProcess, MemberProcesses or DaskMembers

    Returns
    -------
    (n_voters, n) int, or None
        -1 where one has no opinion.  None if the members' networks have no dense layer.
    """
    n_components = max(COMPONENTS, settings.n_clusters)
    seen = workers(
        delayed(member_features)(
            mode,
            X,
            path=path,
            scale=scales[member % len(scales)],
            threads=settings.threads_per_member,
            space=space_of(settings.spaces, member),
            n_components=n_components,
        )
        for member, path in enumerate(paths)
    )
    if any(features is None for features in seen):
        return None
    lists = starts.neighbor_lists(principal_components(np.hstack(seen), n_components), settings.n_clusters, seed)[1]
    options = {"balance": EVEN, "seed": seed, "n_starts": votes_of_each(settings)}
    calls = (
        delayed(member_starts)(lists, settings.n_clusters, member=member, **options) for member in range(len(paths))
    )
    return np.concatenate(workers(calls))
