"""What a user should hear about rows that can be clustered, but not to much purpose."""

import warnings

import numpy as np
from scipy import sparse

SHARE = 0.9  # of the variance: nearly all of it
FEW = 10  # columns are few where there are so many times as many; one always is


def warn_of_wordless(features, X):
    """Count the texts without a word that the features know: whatever cluster they get, nothing speaks for it.

    Parameters
    ----------
    features : experiments.features.Features
    X : array or sparse matrix of shape (n, ...)
        What they made of the items.

    Returns
    -------
    wordless : array of bool, shape (n,)
        No row of any features but those of words.
    """
    if features.kind != "tfidf":
        return np.zeros(X.shape[0], dtype=bool)
    wordless = np.diff(sparse.csr_matrix(X).indptr) == 0
    if wordless.any():
        found = f"{wordless.sum():,} of {len(wordless):,} texts hold no known word"
        warnings.warn(f"{found}: nothing speaks for the cluster they get", stacklevel=2)
    return wordless


def warn_of_units(X, names):
    """Name the few columns of a table that hold nearly all of its variance, as where their units differ.

    Parameters
    ----------
    X : array of shape (n, d)
    names : sequence of str, or None
        Names of the columns; without them, or with less than three, nothing is said.
    """
    if names is None or len(names) < 3 or X.ndim != 2 or X.shape[1] != len(names):
        return
    with np.errstate(invalid="ignore"):
        variance = np.var(X, axis=0, dtype=np.float64)  # what is not finite is refused later
    order = np.argsort(-variance, kind="stable")
    held = np.cumsum(variance[order]) / max(variance.sum(), np.finfo(float).tiny)
    count = int(np.searchsorted(held, SHARE)) + 1
    if count <= max(1, len(names) // FEW) and held[-1] > 0:
        listed = ", ".join(repr(names[i]) for i in order[: min(count, 3)]) + ", ..." * (count > 3)
        hold = f"column {listed} holds" if count == 1 else f"{count} of {len(names)} columns ({listed}) hold"
        advice = "if the columns have different units, give --set data.features=standardize"
        warnings.warn(
            f"{hold} {100 * held[count - 1]:.0f} % of the variance, so the others hardly count; {advice}", stacklevel=2
        )
