"""Checks of an ensemble and of rows; every error names the argument, what was expected and what was received."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from kingdra_cluster.checks import (
    Integral,
    Real,
    check_checkpoint_dir,
    check_choice,
    check_flag,
    check_number,
    check_numbers,
    check_sequence,
    check_verbose,
)
from kingdra_cluster.labellers import LABELLERS
from kingdra_cluster.spaces import as_slices


def check_ensemble(ensemble):
    """Raise on the first argument of a `KingdraCluster` that is of the wrong type or out of range."""
    counts = ("n_members", "n_rounds", "threads_per_member")
    if isinstance(ensemble.n_clusters, str):
        check_choice("n_clusters", ensemble.n_clusters, ["auto"], other="an integer of at least 1")
    else:
        check_number("n_clusters", ensemble.n_clusters, Integral, 1)
    check_numbers(ensemble, dict.fromkeys(counts, (Integral, 1)))
    check_verbose(ensemble.verbose)
    for name in ("epochs_first_round", "epochs_per_round"):
        check_number(name, getattr(ensemble, name), Integral, 1, none=True)
    check_number("low_agreement", ensemble.low_agreement, Integral, 0)
    check_number("high_agreement", ensemble.high_agreement, Integral, 0, maximum=ensemble.n_members - 1, none=True)
    check_number("start_votes", ensemble.start_votes, Integral, 0)
    check_number("confidence_threshold", ensemble.confidence_threshold, Real, 0, maximum=1)
    for name in ("tol", "mi_weight_later", "start_balance"):
        check_number(name, getattr(ensemble, name), Real, 0, none=True)
    check_choice("labeller", ensemble.labeller, LABELLERS)
    check_choice("start", ensemble.start, ["communities"], none=True)
    check_choice("scale", ensemble.scale, ["rms"], none=True)
    check_flag("shared_mapping", ensemble.shared_mapping)
    prior = getattr(ensemble.mode, "prior", "uniform")
    if ensemble.n_clusters == "auto" and not isinstance(prior, str):
        raise ValueError(
            f'prior must be "uniform" where n_clusters="auto": no shares are known yet; received {prior!r}'
        )
    n_spaces = len(as_slices(ensemble.spaces) or [None])
    if ensemble.n_members < n_spaces:
        found = f"n_members={ensemble.n_members}"
        raise ValueError(f"n_members must be at least the number of spaces, {n_spaces}; received {found}")
    if ensemble.n_jobs is not None and (isinstance(ensemble.n_jobs, bool) or not isinstance(ensemble.n_jobs, Integral)):
        raise TypeError(f"n_jobs must be an integer or None; received n_jobs={ensemble.n_jobs!r}")
    if ensemble.n_jobs == 0:
        raise ValueError("n_jobs must be a number of processes, or -1 for one a core; received n_jobs=0")
    check_checkpoint_dir(ensemble.checkpoint_dir)
    callbacks = ensemble.callbacks
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
