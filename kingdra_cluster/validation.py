"""Checks of arguments and rows: every error names the argument, what was expected and what was received."""

import difflib
import os
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from kingdra_cluster.labellers import LABELLERS
from kingdra_cluster.spaces import as_slices


def check_number(name, value, kind, minimum=None, *, above=None, maximum=None):
    """Raise unless ``value`` is a number of the kind and range asked for.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
    kind : {Integral, Real}
    minimum, above, maximum : float, optional
        Closed lower, open lower and closed upper bound.

    Raises
    ------
    TypeError, ValueError
    """
    noun = "an integer" if kind is Integral else "a finite number"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {noun}; received {name}={value!r} of type {type(value).__name__}")
    bounds = [
        (minimum, np.greater_equal, "at least"),
        (above, np.greater, "more than"),
        (maximum, np.less_equal, "at most"),
    ]
    for bound, holds, words in bounds:
        if not np.isfinite(value) or (bound is not None and not holds(value, bound)):
            limit = f" of {words} {bound}" if bound is not None else ""
            raise ValueError(f"{name} must be {noun}{limit}; received {name}={value!r}")


def check_flag(name, value):
    """Raise ``TypeError`` unless ``value`` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; received {name}={value!r} of type {type(value).__name__}")


def check_choice(name, value, choices):
    """Raise ``ValueError`` unless ``value`` is one of the names in ``choices``; suggest the nearest."""
    if isinstance(value, str) and value in choices:
        return
    near = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise ValueError(f"{name} must be one of {sorted(choices)}; received {name}={value!r}{hint}")


def check_verbose(value):
    """Raise unless ``verbose`` is a flag or an integer of at least 0."""
    if not isinstance(value, bool):
        check_number("verbose", value, Integral, 0)


def check_numbers(estimator, ranges):
    """Check several of an estimator's arguments: ``ranges`` maps a name to the arguments of `check_number`."""
    for name, (kind, *minimum) in ranges.items():
        check_number(name, getattr(estimator, name), kind, *minimum)


def check_sequence(name, values, kind, minimum):
    """Raise unless ``values`` is a sequence of numbers, at least one, that `check_number` takes."""
    wanted = f"{name} must be a sequence of numbers, at least one; received {name}={values!r}"
    if not isinstance(values, (tuple, list, np.ndarray)):
        raise TypeError(wanted)
    if len(values) == 0:
        raise ValueError(wanted)
    for value in values:
        check_number(f"every entry of {name}", value, kind, minimum)


def check_ensemble(ensemble):
    """Raise on the first argument of a `KingdraCluster` that is of the wrong type or out of range."""
    counts = ("n_members", "n_rounds", "threads_per_member")
    if isinstance(ensemble.n_clusters, str):
        check_choice("n_clusters", ensemble.n_clusters, ["auto"])
    else:
        check_number("n_clusters", ensemble.n_clusters, Integral, 1)
    check_numbers(ensemble, dict.fromkeys(counts, (Integral, 1)))
    check_verbose(ensemble.verbose)
    for name in ("epochs_first_round", "epochs_per_round"):
        if getattr(ensemble, name) is not None:
            check_number(name, getattr(ensemble, name), Integral, 1)
    check_number("low_agreement", ensemble.low_agreement, Integral, 0)
    if ensemble.high_agreement is not None:
        check_number("high_agreement", ensemble.high_agreement, Integral, 0, maximum=ensemble.n_members - 1)
    check_number("start_votes", ensemble.start_votes, Integral, 0)
    check_number("confidence_threshold", ensemble.confidence_threshold, Real, 0, maximum=1)
    for name in ("tol", "mi_weight_later", "start_balance"):
        if getattr(ensemble, name) is not None:
            check_number(name, getattr(ensemble, name), Real, 0)
    check_choice("labeller", ensemble.labeller, LABELLERS)
    if ensemble.start is not None:
        check_choice("start", ensemble.start, ["communities"])
    if ensemble.scale is not None:
        check_choice("scale", ensemble.scale, ["rms"])
    check_flag("shared_mapping", ensemble.shared_mapping)
    as_slices(ensemble.spaces)
    if ensemble.n_jobs is not None and (isinstance(ensemble.n_jobs, bool) or not isinstance(ensemble.n_jobs, Integral)):
        raise TypeError(f"n_jobs must be an integer or None; received n_jobs={ensemble.n_jobs!r}")
    if ensemble.n_jobs == 0:
        raise ValueError("n_jobs must be a number of processes, or -1 for one a core; received n_jobs=0")
    folder, callbacks = ensemble.checkpoint_dir, ensemble.callbacks
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"checkpoint_dir must be a path or None; received checkpoint_dir={folder!r}")
    if folder == "":
        raise ValueError("checkpoint_dir must be the path of a folder or None; received checkpoint_dir=''")
    listed = callbacks is None or isinstance(callbacks, (list, tuple))
    if not listed or not all(callable(callback) for callback in callbacks or ()):
        raise TypeError(f"callbacks must be a list of callables or None; received callbacks={callbacks!r}")


def plain_numbers(arguments):
    """Return the dict ``arguments`` with NumPy's scalars as numbers of Python."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in arguments.items()}


def check_rows(estimator, X, *, reset, images=False):
    """Return X as the estimator takes it: a numeric matrix, dense or CSR, without NaN, never copied without need.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like or sparse matrix of shape (n, n_features)
    reset : bool
        Whether to learn the number (and names) of the features, which removes all results of an earlier fit, or to hold
        X against those learnt.
    images : bool, default=False
        Whether X may also have the shape (n, height, width, 1 or 3).

    Returns
    -------
    array or CSR matrix of the input's own numeric type
    """
    options = {"accept_sparse": "csr", "dtype": "numeric", "ensure_min_samples": 1 + reset, "allow_nd": images}
    if reset:
        for name in [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]:
            delattr(estimator, name)
    X = validate_data(estimator, X, reset=reset, **options)
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.ndim not in (2, 4) or (X.ndim == 4 and X.shape[3] not in (1, 3)):
        raise ValueError(f"X must have the shape (n, n_features) or (n, height, width, 1 or 3); received {X.shape}")
    largest = _largest_size(X)
    if largest > float(np.finfo(np.float32).max):
        raise ValueError(f"X must fit into float32, the networks' type; received an entry of size {largest:.3g}")
    n_clusters = getattr(estimator, "n_clusters", 1)
    if reset and n_clusters != "auto" and X.shape[0] < n_clusters:
        raise ValueError(f"X must have at least n_clusters={n_clusters} rows; received n_samples={X.shape[0]}")
    return X


def _largest_size(X):
    """Return the largest absolute value in X if its type reaches beyond float32, else 0; copies nothing."""
    entries = X.data if sparse.issparse(X) else X
    if entries.dtype.kind != "f" or entries.dtype.itemsize <= 4:
        return 0.0
    return max(float(entries.max(initial=0)), -float(entries.min(initial=0)))


__all__ = [
    "Integral",
    "Real",
    "check_choice",
    "check_ensemble",
    "check_flag",
    "check_number",
    "check_numbers",
    "check_rows",
    "check_sequence",
    "check_verbose",
    "plain_numbers",
]
