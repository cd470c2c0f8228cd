"""The rounds of Kingdra: train the members, find where they agree, choose what to teach them next."""

import math
import time
import warnings
from typing import NamedTuple

import numpy as np
from joblib import delayed
from sklearn.base import clone

from kingdra_cluster.consensus import find_consensus, held_by_most
from kingdra_cluster.exceptions import PseudoLabelWarning
from kingdra_cluster.labellers import LABELLERS, PROPORTIONAL, TAUGHT
from kingdra_cluster.members import read_member, train_member, workers_peak_mb
from kingdra_cluster.progress import seconds_left
from kingdra_cluster.pseudo_labels import aligned_average, name_buckets, smallest_bucket
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.spaces import space_of
from kingdra_cluster.teaching import BucketMemory, later_sets, starting_sets
from kingdra_cluster.voters import learnt_voters

FIRST_ROUND = 500, 3  # steps and epochs at least, where they are left open: 5 epochs of 1,797 rows are 140 steps
LATER_ROUNDS = 250, 2
FEW_ROWS = 0.05  # a bucket this small a share of an even one is repeated more than twenty times


class RoundState(NamedTuple):
    """Everything that is known after a round."""

    history: list
    labels: np.ndarray
    probabilities: np.ndarray
    pseudo_labels: np.ndarray
    mappings: np.ndarray
    graph: SimilarityGraph
    memory: BucketMemory
    voters: np.ndarray | None = None


def similarity_graph(settings, member_labels, confidences):
    """Return the graph of the members' labels with the thresholds of ``settings`` (a `KingdraCluster`)."""
    return SimilarityGraph(
        member_labels,
        confidences,
        low_agreement=min(settings.low_agreement, settings.n_members - 1),
        high_agreement=settings.high_agreement,
        confidence_threshold=settings.confidence_threshold,
    )


def train_rounds(settings, mode, X, *, seed, scales, workers, checkpoints):
    """Train round after round, from the last checkpoint on, and yield the state after each.

    Parameters
    ----------
    settings : KingdraCluster
        Its arguments are read.
    mode : ClusteringMode
        The members' hyper-parameters.
    X : array or CSR matrix of shape (n, n_features)
    seed : int
    scales : list of float
        Divide the columns of each space; one for all of X where there are no spaces.
    workers : ThisProcess, MemberProcesses or DaskMembers
    checkpoints : Checkpoints

    Yields
    ------
    RoundState
        First the state of the last finished round, if there is one.
    """
    seeds = [int(np.random.SeedSequence([seed, m]).generate_state(1)[0]) for m in range(settings.n_members)]
    state = _restore(settings, checkpoints, X.shape[0], seeds)
    if state is not None:
        yield state
    index = 0 if state is None else len(state.history)
    while index < settings.n_rounds and not has_settled(state, settings.tol):
        began = time.perf_counter()
        taught, voters, balance = later_sets(settings, state), None, None
        if state is None:
            taught, voters, balance = starting_sets(settings, X, seed, workers)
        supervised = taught is not None and state is not None
        epochs = epochs_of_round(settings, supervised, X.shape[0], mode.batch_size)
        results = workers(
            delayed(train_member)(
                mode if taught is None else _taught_mode(mode, settings.mi_weight_later),
                X,
                source=checkpoints.member_path(index - 1, member) if index else None,
                target=checkpoints.member_path(index, member),
                labelled=None if taught is None else taught[member],
                epochs=epochs,
                seed=seeds[member],
                round_index=index,
                scale=scales[member % len(scales)],
                threads=settings.threads_per_member,
                space=space_of(settings.spaces, member),
            )
            for member in range(settings.n_members)
        )
        checkpoints.check_members(index, settings.n_members)
        state = _conclude(settings, state, results, supervised=supervised, epochs=epochs)
        _warn_of_buckets(state, settings)
        state.history[-1]["start_balance"] = balance
        learnt = None
        if len(state.history) < settings.n_rounds and not has_settled(state, settings.tol):
            paths = [checkpoints.member_path(index, member) for member in range(settings.n_members)]
            options = {"balance": state.history[0]["start_balance"], "seed": seed, "scales": scales, "workers": workers}
            learnt = learnt_voters(settings, mode, X, paths, **options)
        state.history[-1]["voters"] = "learnt" if learnt is not None else None if voters is None else "starts"
        state = state._replace(voters=voters if learnt is None else learnt)
        state.history[-1]["workers_peak_mb"] = workers_peak_mb(results)
        state.history[-1]["seconds"] = round(time.perf_counter() - began, 3)
        epochs = epochs_of_round(settings, state.memory.buckets is not None, X.shape[0], mode.batch_size)
        state.history[-1]["seconds_left"] = round(seconds_left(state.history, settings.n_rounds, epochs), 3)
        _save(state, checkpoints)
        index += 1
        yield state


def epochs_of_round(settings, supervised, n_rows, batch_size):
    """Return the epochs of a round: as given, or enough of them, and of steps, for so many rows."""
    given, (steps, epochs) = settings.epochs_first_round, FIRST_ROUND
    if supervised:
        given, (steps, epochs) = settings.epochs_per_round, LATER_ROUNDS
    return max(epochs, math.ceil(steps / (n_rows // min(batch_size, n_rows)))) if given is None else given


def _taught_mode(mode, mi_weight):
    """Return the members' hyper-parameters in a round that teaches."""
    if mi_weight is None or "mi_weight" not in mode.get_params():
        return mode
    return clone(mode).set_params(mi_weight=mi_weight)


def has_settled(state, tol):
    """Return whether at most a share ``tol`` of the labels changed, in two supervised rounds in a row."""
    if state is None or tol is None or len(state.history) < 2:
        return False
    return all(record["supervised"] and record["changed"] <= tol for record in state.history[-2:])


def find_buckets(settings, graph, n_clusters):
    """Return the buckets of a graph by the labeller of ``settings``, and mark them in the graph."""
    return LABELLERS[settings.labeller](graph, n_clusters)


def sure_in_all_rounds(buckets, pseudo_labels):
    """Leave rows in their bucket that were sure in the round before, too.

    Members agree about all that they have been taught together, be it right or wrong: only what they agreed on before
    says something.

    Parameters
    ----------
    buckets : (n,) int
        Of this round; -1 = none.
    pseudo_labels : (n,) int
        Of the round before; -1 = unsure.

    Returns
    -------
    (n,) int
        A bucket that would lose all its rows keeps them.
    """
    kept = np.where(pseudo_labels >= 0, buckets, -1)
    return np.where(np.isin(buckets, np.setdiff1d(buckets, kept)), buckets, kept)


def _conclude(settings, previous, results, *, supervised, epochs):
    """Build the state after a round from what the members handed back."""
    n_clusters = settings.n_clusters
    outputs = [result.probabilities for result in results]
    member_labels = np.stack([output.argmax(axis=1) for output in outputs]).astype(np.min_scalar_type(n_clusters))
    graph = similarity_graph(settings, member_labels, np.stack([output.max(axis=1) for output in outputs]))
    consensus = find_consensus(outputs, member_labels, None if previous is None else previous.labels)
    labels = consensus.probabilities.argmax(axis=1)
    found = find_buckets(settings, graph, settings.n_clusters)
    if previous is not None and settings.labeller in TAUGHT:
        found = sure_in_all_rounds(found, previous.pseudo_labels)
    best = None if previous is None else previous.memory.best
    memory = BucketMemory(n_clusters, best, complete=settings.labeller not in PROPORTIONAL)
    memory.update(found)
    buckets = found if memory.buckets is None else memory.buckets
    names = name_buckets(buckets, labels, n_clusters)
    pseudo_labels = np.where(buckets >= 0, names[buckets], -1)
    if settings.labeller in TAUGHT:
        held = (pseudo_labels == labels) & held_by_most(member_labels, consensus.mappings, labels)
        pseudo_labels = np.where(held, pseudo_labels, -1)
    history = [] if previous is None else list(previous.history)
    trained = history[-1]["member_epochs"] if history else 0
    record = {
        "round": len(history),
        "supervised": supervised,
        "epochs": epochs,
        "member_epochs": trained + epochs * len(results),
        "agreement": float(consensus.agreement),
        "pseudo_labelled": int(np.sum(pseudo_labels >= 0)),
        "buckets": int(found.max()) + 1,
        "smallest_bucket": smallest_bucket(found, n_clusters),
        "reused": memory.reused and memory.buckets is not None,
        "changed": None if previous is None else float(np.mean(labels != previous.labels)),
        "clusters": len(np.unique(labels)),
        "losses": {name: float(np.mean([result.losses[name] for result in results])) for name in results[0].losses},
    }
    return RoundState(
        [*history, record], labels, consensus.probabilities, pseudo_labels, consensus.mappings, graph, memory
    )


def _warn_of_buckets(state, settings):
    """Say what the published rule's known failures look like here, and what helps."""
    record, n_clusters = state.history[-1], settings.n_clusters
    remedy = "train longer before the first graph (epochs_first_round), or lower high_agreement or confidence_threshold"
    if len(state.history) == settings.n_rounds:
        return
    if record["smallest_bucket"] == 0 and (settings.labeller not in PROPORTIONAL or record["pseudo_labelled"] == 0):
        consequence = "those of an earlier round are used" if record["reused"] else "the next round is unsupervised"
        warnings.warn(
            f"round {record['round']}: no usable set of pseudo-labels, only {record['buckets']} of {n_clusters} "
            f"buckets have rows, so {consequence}; {remedy}",
            PseudoLabelWarning,
            stacklevel=4,
        )
    elif (
        settings.labeller not in PROPORTIONAL and record["smallest_bucket"] < FEW_ROWS * len(state.labels) / n_clusters
    ):
        warnings.warn(
            f"round {record['round']}: the smallest bucket has {record['smallest_bucket']} rows, which the balanced "
            f"labelled set repeats until they are 1/{n_clusters} of it; {remedy}",
            PseudoLabelWarning,
            stacklevel=4,
        )


def _save(state, checkpoints):
    memory = state.memory
    optional = {"best": memory.best, "in_play": memory.buckets, "voters": state.voters}
    checkpoints.save_round(
        len(state.history) - 1,
        {"history": state.history, "reused": memory.reused},
        {
            "labels": state.labels,
            "pseudo_labels": state.pseudo_labels,
            "mappings": state.mappings,
            **{name: array for name, array in optional.items() if array is not None},
        },
    )


def _restore(settings, checkpoints, n_rows, seeds):
    """Return the state after the last finished round, or None."""
    saved = checkpoints.last_round()
    if saved is None:
        return None
    index, progress, arrays = saved
    outputs = [
        read_member(checkpoints.member_path(index, m), (n_rows, settings.n_clusters), seed, index).probabilities
        for m, seed in enumerate(seeds)
    ]
    member_labels = np.stack([output.argmax(axis=1) for output in outputs])
    member_labels = member_labels.astype(np.min_scalar_type(settings.n_clusters))
    graph = similarity_graph(settings, member_labels, np.stack([output.max(axis=1) for output in outputs]))
    find_buckets(settings, graph, settings.n_clusters)
    memory = BucketMemory(settings.n_clusters, arrays.get("best"), complete=settings.labeller not in PROPORTIONAL)
    memory.buckets, memory.reused = arrays.get("in_play"), progress["reused"]
    probabilities = aligned_average(outputs, arrays["mappings"])
    return RoundState(
        progress["history"],
        arrays["labels"],
        probabilities,
        arrays["pseudo_labels"],
        arrays["mappings"],
        graph,
        memory,
        arrays.get("voters"),
    )
