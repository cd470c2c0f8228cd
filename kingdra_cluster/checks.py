"""Checks of arguments that several modules share; each error names the argument, what was expected and what came."""

import difflib
import math
import operator
import os
from numbers import Integral, Real

import numpy as np


def check_number(name, value, kind, minimum=None, *, above=None, maximum=None, none=False, of=None):
    """Raise unless ``value`` is a number of the kind and range asked for.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
    kind : {Integral, Real}
    minimum, above, maximum : float, optional
        Closed lower, open lower and closed upper bound.
    none : bool, default=False
        Whether None is allowed too.
    of : sequence, optional
        The argument that ``value`` is an entry of, for the message.

    Raises
    ------
    TypeError, ValueError
    """
    if none and value is None:
        return
    bounds = [(minimum, operator.ge, "at least"), (above, operator.gt, "more than"), (maximum, operator.le, "at most")]
    bounds = [bound for bound in bounds if bound[0] is not None]
    wanted = "an integer" if kind is Integral else "a finite number"
    wanted += " of " * bool(bounds) + " and ".join(f"{words} {bound}" for bound, _, words in bounds)
    entry, received = ("", value) if of is None else ("every entry of ", of)
    message = f"{entry}{name} must be {wanted}{', or None' * none}; received {name}={received!r}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
        raise TypeError(f"{message} of type {type(value).__name__}" if of is None else message)
    finite = isinstance(value, Integral) or math.isfinite(value)
    if not finite or not all(holds(value, bound) for bound, holds, _ in bounds):
        raise ValueError(message)


def check_integer(name, value, minimum, maximum=None):
    """Return `value` as an int, or raise as `check_number` does."""
    check_number(name, value, Integral, minimum, maximum=maximum)
    return int(value)


def check_numbers(estimator, ranges):
    """Check several of an estimator's arguments: ``ranges`` maps a name to the arguments of `check_number`."""
    for name, (kind, *minimum) in ranges.items():
        check_number(name, getattr(estimator, name), kind, *minimum)


def check_sequence(name, values, kind, minimum=None, *, maximum=None):
    """Raise unless ``values`` is a sequence of numbers, at least one, that `check_number` takes."""
    wanted = f"{name} must be a sequence of numbers, at least one; received {name}={values!r}"
    if not isinstance(values, (tuple, list, np.ndarray)) or np.ndim(values) == 0:
        raise TypeError(wanted)
    if len(values) == 0:
        raise ValueError(wanted)
    for value in values:
        check_number(name, value, kind, minimum, maximum=maximum, of=values)


def check_flag(name, value):
    """Raise ``TypeError`` unless ``value`` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; received {name}={value!r} of type {type(value).__name__}")


def check_verbose(value):
    """Raise unless ``verbose`` is a flag or an integer of at least 0."""
    if not isinstance(value, bool):
        check_number("verbose", value, Integral, 0)


def check_choice(name, value, choices, *, none=False, other=""):
    """Raise ``ValueError`` unless ``value`` is one of the names in ``choices``; suggest the nearest if one is near.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
    choices : collection of str
    none : bool, default=False
        Whether None is allowed too.
    other : str, optional
        What else is allowed, in words; the caller has looked for it.
    """
    if (isinstance(value, str) and value in choices) or (none and value is None):
        return
    near = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0.5)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    besides = "".join(f" or {words}" for words in (other, "None" * none) if words)
    raise ValueError(f"{name} must be one of {sorted(choices)}{besides}; received {name}={value!r}{hint}")


def check_checkpoint_dir(folder):
    """Raise unless it is the path of a folder, which need not be there yet, or None."""
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"checkpoint_dir must be a path or None; received checkpoint_dir={folder!r}")
    if folder is not None and os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(f"checkpoint_dir must be a folder; received the file checkpoint_dir={str(folder)!r}")
    if folder == "":
        raise ValueError("checkpoint_dir must be the path of a folder or None; received checkpoint_dir=''")


def check_member_labels(labels):
    """Return `labels` as an array of signed or small unsigned integers, shape (n_members, n_rows), or raise."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"labels must have the shape (n_members, n_rows), none of them 0, got {labels.shape}.")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got the data type {labels.dtype}.")
    smallest, largest = labels.min(), labels.max()
    if smallest < 0 or largest >= 2**31:
        raise ValueError(f"labels must be from 0 to 2**31 - 1, got values from {smallest} to {largest}.")
    return labels if labels.dtype.itemsize < 8 else labels.astype(np.int64, copy=False)


def check_row_labels(name, labels, n_clusters, n_rows=None):
    """Return `labels` as an int64 array (n_rows,) of values from -1 to `n_clusters` - 1, or raise."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or (n_rows is not None and labels.size != n_rows):
        expected = "(n_rows,)" if n_rows is None else f"({n_rows},)"
        raise ValueError(f"{name} must have the shape {expected}, got {labels.shape}.")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got the data type {labels.dtype}.")
    if labels.size and (labels.min() < -1 or labels.max() >= n_clusters):
        found = f"values from {labels.min()} to {labels.max()}"
        raise ValueError(f"{name} must be from 0 to {n_clusters - 1} (n_clusters - 1), or -1 for none, got {found}.")
    return labels.astype(np.int64, copy=False)


def check_probabilities(probabilities, name="probabilities"):
    """Return `probabilities` as a floating array (n_rows, n_clusters) of numbers from 0 to 1, or raise."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(f"{name} must have the shape (n_rows, n_clusters), got {probabilities.shape}.")
    if probabilities.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, got the data type {probabilities.dtype}.")
    probabilities = probabilities.astype(np.result_type(probabilities.dtype, np.float32), copy=False)
    smallest, largest = probabilities.min(), probabilities.max()
    if not (smallest >= 0 and largest <= 1 + 1e-3):
        raise ValueError(f"{name} must be from 0 to 1, got values from {smallest} to {largest}.")
    return probabilities


__all__ = [
    "Integral",
    "Real",
    "check_choice",
    "check_flag",
    "check_integer",
    "check_member_labels",
    "check_number",
    "check_numbers",
    "check_probabilities",
    "check_row_labels",
    "check_sequence",
    "check_verbose",
]
