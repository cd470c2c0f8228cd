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
from kingdra_cluster.spaces import each_space, principal_components, space_of

COMPONENTS = 20  # of the space that all members share, or as many as there are clusters: docs/kingdra.md


def find_voters(settings, mode, X, paths, history, *, seed, scales, workers):
    """Find who votes with the members on what is taught after a round.

    Parameters
    ----------
    settings, mode, X, paths, seed, scales, workers
        See `learnt_voters`.
    history : list of dict
        The records of the rounds so far: ``start_balance`` of the first is read.

    Returns
    -------
    voters : (n_voters, n) int, or None
        -1 where one has no opinion; None where the members vote alone.
    kind : "learnt", "starts" or None
        What they are.

    Notes
    -----
    Communities of what the members have learnt are asked if two of them put three quarters of the rows into the same
    cluster.  Where the groups are taken for uneven they are not: they cut the largest group in pieces.  More starts
    like the members' own vote after the first round instead.  Nobody does where nothing but the sure rows is taught,
    or where only a sample of the rows starts the members.
    """
    several = settings.n_rounds > 1 and settings.start_votes > 0
    if not (several and settings.start is not None and settings.labeller in TAUGHT and X.shape[0] <= starts.MANY_ROWS):
        return None, None
    balance = history[0]["start_balance"]
    if balance > UNEVEN:
        found = learnt_voters(settings, mode, X, paths, seed=seed, scales=scales, workers=workers)
        first = None if found is None else found[:: votes_of_each(settings)]
        if first is not None and starts.start_agreement(first, settings.n_clusters) >= starts.AGREED:
            return found, "learnt"
    if len(history) > 1 or votes_of_each(settings) == 1:
        return None, None
    lists, options = lists_of_spaces(settings, X, seed), {"balance": balance, "n_starts": votes_of_each(settings)}
    found = workers(calls_of_members(member_starts, settings, lists, settings.n_members, seed, **options))
    return np.concatenate([own[1:] for own in found]), "starts"  # the first is what the member was taught


def votes_of_each(settings):
    """Return how many communities vote for each member (int): as many for all of them, ``start_votes`` at least."""
    return math.ceil(settings.start_votes / settings.n_members)


def lists_of_spaces(settings, X, seed):
    """Return `neighbor_lists` of the rows, of every space that a member sees."""
    seen = each_space(X, settings.spaces)[: settings.n_members]
    return [starts.neighbor_lists(rows, settings.n_clusters, seed) for rows in seen]


def calls_of_members(function, settings, lists, n_members, seed, **options):
    """Return the calls that find something in the neighbours that each member sees: all numbers of them a space."""
    n_spaces = len(lists)
    return [
        delayed(function)(lists[m % n_spaces][1], settings.n_clusters, member=m // n_spaces, seed=seed, **options)
        for m in range(n_members)
    ]


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
    lists = [starts.neighbor_lists(principal_components(np.hstack(seen), n_components), settings.n_clusters, seed)]
    options = {"balance": EVEN, "n_starts": votes_of_each(settings)}
    return np.concatenate(workers(calls_of_members(member_starts, settings, lists, len(paths), seed, **options)))
