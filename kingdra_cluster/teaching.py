"""What a round teaches the members: which buckets, and under which names."""

import numpy as np
from joblib import delayed

from kingdra_cluster.label_tuples import smallest_type
from kingdra_cluster.labellers import PROPORTIONAL, TAUGHT
from kingdra_cluster.members import member_starts, member_unevenness
from kingdra_cluster.merging import UNEVEN
from kingdra_cluster.pseudo_labels import balanced_rows, match_labels, name_buckets, proportional_rows, smallest_bucket
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.spaces import each_space
from kingdra_cluster.starts import NEIGHBORS, chosen_balance, neighbor_lists, start_agreement
from kingdra_cluster.voters import are_asked, votes_of_each


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


def starting_sets(settings, X, seed, workers):
    """Find what the members start from, and more starts like theirs that may vote on what is taught next.

    Parameters
    ----------
    settings : KingdraCluster
        Its arguments are read.
    X : array or CSR matrix of shape (n, n_features)
    seed : int
    workers : ThisProcess, MemberProcesses or DaskMembers

    Returns
    -------
    sets : list of (rows, classes), or None
        A labelled set for each member; None if the first round is unsupervised.
    voters : (n_voters, n) int, or None
        -1 where one has no opinion.  None where none will be asked (`voters.are_asked`).
    balance : float, or None
        How much the starts prefer like sizes: as asked for, or as `unevenness` and `start_agreement` say.
    """
    if settings.start is None:
        return None, None, None
    n = X.shape[0]
    lists = [neighbor_lists(rows, settings.n_clusters, seed) for rows in each_space(X, settings.spaces)]
    n_starts = votes_of_each(settings) if are_asked(settings, n) else 1
    starts, balance = _starts_of_all(settings, lists, seed, n_starts, workers)
    sets = []
    for member, (classes, *_) in enumerate(starts):
        rows = lists[member % len(lists)][0][classes >= 0]
        sets.append(compact_set(np.resize(rows, n), np.resize(classes[classes >= 0], n)))
    return sets, np.concatenate([classes[1:] for classes in starts]) if n_starts > 1 else None, balance


def _starts_of_all(settings, lists, seed, n_starts, workers):
    """Starts (n_starts, m) of every member, from the lists of neighbours in its space, and the balance they are of."""
    n_spaces = len(lists)

    def calls(function, n_members, **options):
        options |= {"seed": seed}
        return [  # the members of every space see all numbers of neighbours
            delayed(function)(lists[m % n_spaces][1], settings.n_clusters, member=m // n_spaces, **options)
            for m in range(n_members)
        ]

    def with_balance(balance):
        return workers(calls(member_starts, settings.n_members, balance=balance, n_starts=n_starts))

    if settings.start_balance is not None:
        return with_balance(settings.start_balance), settings.start_balance
    found = workers(calls(member_unevenness, min(len(NEIGHBORS) * n_spaces, settings.n_members)))
    starts = with_balance(chosen_balance(found))
    if chosen_balance(found) != UNEVEN:
        return starts, chosen_balance(found)
    first = [own[0] for own in starts]
    of_spaces = [first[space::n_spaces] for space in range(n_spaces)]  # whose rows may be others
    balance = chosen_balance(found, np.mean([start_agreement(of_one, settings.n_clusters) for of_one in of_spaces]))
    return (starts if balance == UNEVEN else with_balance(balance)), balance


def later_sets(settings, state):
    """Return each member's labelled set (rows, classes) after a round, or None if there is nothing to teach.

    Parameters
    ----------
    settings : KingdraCluster
    state : RoundState or None
    """
    if state is None or state.memory.buckets is None:
        return None
    buckets = state.memory.buckets
    if settings.labeller in TAUGHT and not state.memory.reused:
        graph = state.graph if state.voters is None else with_voters(state, settings.n_clusters)
        taught = np.where(state.graph.takes_part, TAUGHT[settings.labeller](graph, settings.n_clusters), -1)
        buckets = taught if np.any(taught >= 0) else buckets
    rows, classes = labelled_set(
        buckets,
        state.graph.labels,
        settings.n_clusters,
        shared_mapping=settings.shared_mapping,
        balanced=settings.labeller not in PROPORTIONAL,
    )
    return [compact_set(rows, names) for names in classes]


def with_voters(state, n_clusters):
    """Return the graph of the members' labels after a round and of the voters'; these follow where they have none."""
    opinions = []
    for voter in state.voters:
        names = match_labels(voter, state.labels, n_clusters)  # of the consensus, as the voter calls them
        opinions.append(np.where(voter < 0, names[state.labels], voter))
    return SimilarityGraph(np.concatenate([state.graph.labels, smallest_type(np.stack(opinions))]))


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
