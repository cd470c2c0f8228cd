"""One member's share of a round: a function of its arguments alone, run here, in a worker process or on a cluster."""

import json
import os
import socket
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from sklearn.base import clone

from kingdra_cluster.batches import RowBatches, feed
from kingdra_cluster.forward import set_weights
from kingdra_cluster.modes.base import ClusteringMode, check_loss, hidden_network, predict_rows, trained_probabilities
from kingdra_cluster.persistence import read_arrays, write_arrays
from kingdra_cluster.processes import peak_mb
from kingdra_cluster.saving import jsonable
from kingdra_cluster.shared_rows import opened
from kingdra_cluster.spaces import principal_components
from kingdra_cluster.starts import community_starts, unevenness

_one_at_a_time = threading.RLock()  # a Dask worker runs its calls in threads, which share the network and TensorFlow


class MemberResult(NamedTuple):
    """What a member hands back.

    Where its state lies, its answer for every row, the means of its loss terms, and in which process it was made (of
    which machine, with which number) that has so far needed how much memory.
    """

    path: str
    probabilities: np.ndarray
    losses: dict
    process: tuple = ()
    peak_mb: float = 0.0


def workers_peak_mb(results):
    """Return the sum of the largest resident memories of all processes but this one that made some results."""
    peaks = {}
    for result in results:
        peaks[result.process] = max(result.peak_mb, peaks.get(result.process, 0.0))
    return round(sum(peak for process, peak in peaks.items() if process != _this_process()), 1)


def _this_process():
    """Return what tells this process from all others: the machine's name and the process's number."""
    return socket.gethostname(), os.getpid()


def member_starts(neighbors, n_clusters, **options):
    """`community_starts` of lists of neighbours that may be `SharedRows`, in the smallest signed type."""
    starts = community_starts(opened(neighbors), n_clusters, **options)
    return starts.astype(np.min_scalar_type(-n_clusters))


def member_unevenness(neighbors, n_clusters, **options):
    """`unevenness` of lists of neighbours that may be `SharedRows`."""
    return unevenness(opened(neighbors), n_clusters, **options)


def member_features(mode, X, *, path, scale, threads, n_components):
    """Return what a trained member makes of every row on the way to its answer.

    Parameters
    ----------
    mode : ClusteringMode
        Its hyper-parameters.
    X : array or CSR matrix of shape (n, n_features), or SharedRows
    path : path
        Its state.
    scale : float
        Divides X.
    threads : int
        TensorFlow's threads an operation.
    n_components : int

    Returns
    -------
    float32 array of shape (n, at most n_components), or None
        `principal_components` of what its last dense layer reads; None if it has no such layer.
    """
    rows = opened(X)
    with _one_at_a_time:
        require_threads(threads)
        network = hidden_network(member_classifier(mode, path, tuple(rows.shape[1:]), scale))
        features = None if network is None else predict_rows(network, rows)
    return None if features is None else principal_components(features, n_components)


def claim_threads(threads):
    """Give TensorFlow ``threads`` threads an operation in this process; return whether it has that number.

    TensorFlow takes a number of threads only before its first operation, and the last bits of its
    results depend on it.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    from tensorflow.config import threading

    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return threading.get_intra_op_parallelism_threads() == threads
    return True


def require_threads(threads):
    """Raise ``RuntimeError`` unless TensorFlow has, or can be given, ``threads`` threads an operation here."""
    if not claim_threads(threads):
        raise RuntimeError(f"TensorFlow already runs with another number of threads than threads_per_member={threads}")


def train_member(mode, X, *, source, target, labelled, epochs, seed, round_index, scale, threads, space=None):
    """Train one member for one round and let it label every row.

    Parameters
    ----------
    mode : ClusteringMode
        Hyper-parameters, not fitted.
    X : array or CSR matrix of shape (n, n_features), or SharedRows
    source : path or None
        The member's state after the last round; None starts afresh from ``seed``.
    target : path
        Where its new state goes.  If the file is there already, that is the answer: nothing is trained.
    labelled : tuple (rows, classes) or None
        Pseudo-labelled set as rows of X, shape (n,), and the member's own name of the class of each, shape (n,).
    epochs : int
    seed : int
        The member's own.
    round_index : int
    scale : float
        Divides X.
    threads : int
        TensorFlow's threads an operation.
    space : slice, optional
        The columns of X that the member sees; None is all.

    Returns
    -------
    MemberResult
    """
    if not Path(target).is_file():
        options = {"labelled": labelled, "epochs": epochs, "seed": seed, "round_index": round_index, "scale": scale}
        with _one_at_a_time:
            _train(mode, _columns(X, space), source, target, threads=threads, **options)
    result = read_member(target, (X.shape[0], mode.n_clusters), seed, round_index)
    return result._replace(process=_this_process(), peak_mb=peak_mb() or 0.0)


def read_member(path, shape, seed, round_index):
    """Read what a finished member handed back from its file.

    Parameters
    ----------
    path : path
    shape : tuple (n, n_clusters)
        Of its probabilities.
    seed, round_index : int
        Of the member and the round that the file must be of.

    Returns
    -------
    MemberResult

    Raises
    ------
    ValueError
        If the file is damaged, of another kind, or of another member, round or fit; the message names it.
    """
    arrays = read_arrays(path, ("whose", "probabilities", "loss_names", "loss_values"))
    found = (*arrays["whose"].tolist(), *arrays["probabilities"].shape)
    if found != (seed, round_index, *shape):
        raise ValueError(
            f"{path} is of another fit: its seed, round and shape of probabilities are {found[:2]} and {found[2:]}, "
            f"expected ({seed}, {round_index}) and {tuple(shape)}"
        )
    losses = dict(zip(arrays["loss_names"].tolist(), arrays["loss_values"].tolist(), strict=True))
    return MemberResult(str(path), arrays["probabilities"], losses)


def _columns(X, space):
    rows = opened(X)
    return rows if space is None else rows[:, space]


def _train(mode, X, source, target, *, labelled, epochs, seed, round_index, scale, threads):
    require_threads(threads)
    network = _network(type(mode), member_parameters(mode), tuple(X.shape[1:]))
    start = _fresh_state(mode, X.shape[1:], seed) if source is None else _read_state(source, seed)
    _assign(network, start, source)
    if labelled is not None:
        labelled = labelled[0], np.eye(mode.n_clusters, dtype=np.float32)[labelled[1]]
    batches = mode.make_batches(X, seed=(seed, round_index), scale=scale, labelled=labelled)
    joined = batches.join_epochs(epochs) if isinstance(batches, RowBatches) else epochs
    history = network.fit(feed(batches), epochs=joined, shuffle=False, verbose=0).history
    losses = {name: values[-1] for name, values in history.items() if labelled is not None or name != "supervised"}
    _store(target, network, mode, X, scale, losses, whose=np.array([seed, round_index]))


def member_classifier(mode, path, input_shape, scale):
    """Return the plain classifier of a member from its state file."""
    classifier = mode.make_classifier(input_shape, scale)
    set_weights(classifier, _numbered(read_arrays(path), "classifier"))
    return classifier


def _store(target, network, mode, X, scale, losses, whose):
    """Freeze the statistics, label every row and write state, classifier and answers as one file."""
    check_loss(losses["loss"])
    weights = mode.freeze(network, X, scale)
    classifier = mode.make_classifier(X.shape[1:], scale)
    set_weights(classifier, weights)
    arrays = {f"state_{index:03d}": array for index, array in enumerate(_state(network))}
    arrays |= {f"classifier_{index:03d}": array for index, array in enumerate(weights)}
    names, values = list(losses), list(losses.values())
    arrays |= {"whose": whose, "loss_names": names, "loss_values": np.array(values)}
    write_arrays(target, probabilities=trained_probabilities(classifier, X), **arrays)


def member_parameters(mode):
    """Return a mode's hyper-parameters, checked, as JSON, from which every process makes its network.

    Raises
    ------
    TypeError, ValueError
        If one is out of range or cannot be written down, such as a model, or if the mode's networks cannot be members.
    """
    if type(mode).freeze is ClusteringMode.freeze:
        found = type(mode).__name__
        raise TypeError(f"mode must be an estimator that makes members, such as LadderIM() or NNM(); received {found}")
    mode.check_parameters()
    given = mode.get_params()
    parameters = {name: jsonable(value) for name, value in given.items()}
    for name, value in parameters.items():
        if value is None and given[name] is not None:
            found = type(given[name]).__name__
            raise TypeError(f"{name} of a member's mode must be of plain numbers, words and lists; it is {found}")
    return json.dumps(parameters, sort_keys=True)


@lru_cache(maxsize=4)
def _network(mode_class, parameters, input_shape):
    """Return the compiled network of this process: tracing takes longer than many a round."""
    return mode_class(**json.loads(parameters)).make_network(input_shape, seed=0)


def _variables(network):
    return [*network.variables, *network.optimizer.variables]


def _state(network):
    return [variable.numpy() for variable in _variables(network)]


def _fresh_state(mode, input_shape, seed):
    return _state(clone(mode).make_network(input_shape, seed))


def _read_state(path, seed):
    arrays = read_arrays(path)
    if arrays["whose"][0] != seed:
        raise ValueError(f"{path} is of another member or fit: its seed is {arrays['whose'][0]}, expected {seed}")
    return _numbered(arrays, "state")


def _numbered(arrays, prefix):
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{prefix}_")]


def _assign(network, arrays, source):
    variables = _variables(network)
    if [tuple(v.shape) for v in variables] != [array.shape for array in arrays]:
        if source is None:
            raise ValueError("make_network must return a network whose optimizer is built: see ClusteringMode")
        raise ValueError(f"{source} holds the state of another network: its arrays differ in number or shape")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
