"""Checks of arguments that several modules share; each error names the argument, what was expected and what came."""

import numbers

import numpy as np


def check_integer(name, value, low, high=None):
    """Return `value` as an int, or raise an error that names it unless ``low <= value <= high`` (None: no limit)."""
    expected = f"{name} must be an integer of at least {low}" + ("" if high is None else f" and at most {high}")
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{expected}, got {value!r} of type {type(value).__name__}.")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{expected}, got {value}.")
    return int(value)


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
