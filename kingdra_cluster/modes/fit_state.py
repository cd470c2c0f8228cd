"""The state of one fit in one file, so that a killed fit goes on where it was and ends with the same bits."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from sklearn.utils import check_random_state

from kingdra_cluster.modes.base import LARGEST_SEED
from kingdra_cluster.persistence import (
    bits_depend_on,
    data_hash,
    lock_folder,
    read_arrays,
    remove_unfinished,
    unlock_folder,
    write_arrays,
)
from kingdra_cluster.saving import jsonable

FREE_ARGUMENTS = {"checkpoint_dir", "random_state", "verbose"}
FILE = "fit.npz"


def fit_identity(estimator, seed, network, **data):
    """Return what a state must share with a fit to be its own: arguments, seed, versions, and hashes of its start.

    Parameters
    ----------
    estimator : BaseEstimator
    seed : int
        What ``random_state`` came to.
    network : keras.Model
        Untrained: of a backbone that is a model the arguments say nothing.
    **data : arrays or CSR matrices
        What is fitted, by name.
    """
    arguments = {name: value for name, value in estimator.get_params().items() if name not in FREE_ARGUMENTS}
    weights = np.concatenate([weight.ravel() for weight in network.get_weights()])
    return {
        "estimator": type(estimator).__name__,
        "seed": seed,
        **{name: jsonable(value) for name, value in arguments.items()},
        **{f"layers of {name}": _layers(value) for name, value in arguments.items() if isinstance(value, keras.Model)},
        **{name: data_hash(value) for name, value in {**data, "weights": weights}.items()},
        **bits_depend_on(),
    }


def _layers(model):
    """Return a hash of what a model's layers are, whatever their names, and of which of them are trained."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found.append(_layers(layer))
            continue
        found.append([type(layer).__name__, layer.trainable, _unnamed(layer.get_config())])
    described = json.dumps(found, sort_keys=True, default=lambda value: type(value).__name__)
    return hashlib.sha256(described.encode()).hexdigest()


def _unnamed(config):
    """Return a layer's configuration without its name, and those of layers inside."""
    if isinstance(config, dict):
        layer = "trainable" in config
        return {key: _unnamed(value) for key, value in config.items() if not (layer and key == "name")}
    return [_unnamed(value) for value in config] if isinstance(config, (list, tuple)) else config


def seed_of_fit(estimator):
    """Return the seed of a fit: drawn from ``random_state`` or, if that is None, that of the fit that is to go on."""
    begun = None if estimator.checkpoint_dir is None else Path(estimator.checkpoint_dir) / FILE
    if estimator.random_state is None and begun is not None and begun.is_file():
        return json.loads(str(read_arrays(begun, ["identity"])["identity"]))["seed"]
    return check_random_state(estimator.random_state).randint(LARGEST_SEED)


@contextmanager
def own_folder(folder):
    """Keep other fits out of a ``checkpoint_dir``, cleared of what killed ones left half written, while a block runs.

    Parameters
    ----------
    folder : path or None
        None does nothing.

    Raises
    ------
    RuntimeError
        If another fit is using it.
    """
    if folder is None:
        yield
        return
    handle = lock_folder(folder)
    try:
        remove_unfinished(folder)
        yield
    finally:
        unlock_folder(handle)


def save_fit(folder, identity, history, variables):
    """Write the state after an epoch over the one before, whole or not at all.

    Parameters
    ----------
    folder : path
    identity : dict
        See `fit_identity`.
    history : list of dict
        An entry an epoch.
    variables : list of keras.Variable
    """
    arrays = {f"variable_{index:04d}": np.asarray(variable) for index, variable in enumerate(variables)}
    words = {name: np.array(json.dumps(value)) for name, value in (("identity", identity), ("history", history))}
    write_arrays(Path(folder) / FILE, **words, **arrays)


def load_fit(folder, identity, variables):
    """Put the state of a fit's last finished epoch into its variables.

    Returns
    -------
    list of dict
        The history so far; empty, and nothing changed, if the folder holds no state.

    Raises
    ------
    ValueError
        If it holds the state of another fit, or a damaged one; the message names what differs.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return []
    arrays = read_arrays(path)
    found = json.loads(str(arrays["identity"]))
    for key in sorted(found.keys() | identity.keys()):
        if found.get(key) != identity.get(key):
            raise ValueError(
                f"checkpoint_dir={str(folder)!r} belongs to another fit: {key} was {found.get(key)!r} there "
                f"and is {identity.get(key)!r} here; give another folder or the same data and settings"
            )
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"variable_{index:04d}"])
    return json.loads(str(arrays["history"]))
