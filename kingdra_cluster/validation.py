"""Checks of arguments and rows: every error names the argument, what was expected and what was received."""

import difflib
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import validate_data


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
        (above, np.greater, "above"),
        (maximum, np.less_equal, "at most"),
    ]
    for bound, holds, words in bounds:
        if not np.isfinite(value) or (bound is not None and not holds(value, bound)):
            limit = f" {words} {bound}" if bound is not None else ""
            raise ValueError(f"{name} must be {noun}{limit}; received {name}={value!r}")


def check_choice(name, value, choices):
    """Raise ``ValueError`` unless ``value`` is one of the names in ``choices``; suggest the nearest."""
    if isinstance(value, str) and value in choices:
        return
    near = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise ValueError(f"{name} must be one of {sorted(choices)}; received {name}={value!r}{hint}")


def check_numbers(estimator, ranges):
    """Check several of an estimator's arguments: ``ranges`` maps a name to the arguments of `check_number`."""
    for name, (kind, *minimum) in ranges.items():
        check_number(name, getattr(estimator, name), kind, *minimum)


def check_rows(estimator, X, *, reset):
    """Return X as the estimator takes it: a numeric matrix, dense or CSR, without NaN, never copied without need.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like or sparse matrix of shape (n, n_features)
    reset : bool
        Whether to learn the number (and names) of the features, or to hold X against those learnt.

    Returns
    -------
    array or CSR matrix of the input's own numeric type
    """
    X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype="numeric", ensure_min_samples=1 + reset)
    n_clusters = estimator.n_clusters
    if reset and X.shape[0] < n_clusters:
        raise ValueError(f"X must have at least n_clusters={n_clusters} rows; received n_samples={X.shape[0]}")
    return X


__all__ = ["Integral", "Real", "check_choice", "check_number", "check_numbers", "check_rows"]
