"""Feature spaces: the column slices of X over which the members of an ensemble are spread."""

from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits


def as_slices(spaces):
    """Return the spaces as slices; None stays None.

    Parameters
    ----------
    spaces : sequence of slice or of pairs (start, stop), or None

    Raises
    ------
    TypeError, ValueError
        If a space is neither, or not a range of columns that goes forward.
    """
    if spaces is None:
        return None
    if not isinstance(spaces, (list, tuple)) or not spaces:
        raise TypeError(f"spaces must be a list of slices of columns or None; received spaces={spaces!r}")
    return [_as_slice(space) for space in spaces]


def check_spaces(spaces, n_features):
    """Return the spaces as slices; ``ValueError`` unless all their columns are among the ``n_features`` of X."""
    slices = as_slices(spaces)
    for space in slices or ():
        if space.stop > n_features:
            raise ValueError(f"spaces must be within the {n_features} columns of X; received {space}")
    return slices


def columns(X, spaces, member):
    """Return the columns of X that a member sees: the spaces are dealt out in turn.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, n_features)
    spaces : sequence of slice or of pairs (start, stop), or None
        None: every member sees all of X.
    member : int

    Returns
    -------
    array (a view) or CSR matrix of shape (n, columns)
    """
    space = space_of(spaces, member)
    return X if space is None else X[:, space]


def each_space(X, spaces):
    """Return the columns of X of one space after the other, all of X as the only one where there are none."""
    return [columns(X, spaces, index) for index in range(len(spaces or [None]))]


def space_of(spaces, member):
    """Return the slice of columns that a member sees, None for all."""
    slices = as_slices(spaces)
    return None if slices is None else slices[member % len(slices)]


def principal_components(features, n_components):
    """Return the first principal components of rows whose distance from their mean is 1, as a root mean square.

    Parameters
    ----------
    features : array of shape (n, width)
    n_components : int

    Returns
    -------
    float32 array of shape (n, at most n_components)
        The same bits whatever the number of threads.
    """
    features = np.asarray(features, dtype=np.float32).reshape(len(features), -1)
    n_components = min(n_components, *features.shape)
    size = np.sqrt(np.sum([column.var(dtype=np.float64) for column in features.T]))  # at once: a copy in float64
    if size == 0:
        return np.zeros((len(features), n_components), dtype=np.float32)
    with threadpool_limits(limits=1):
        components = PCA(n_components, svd_solver="covariance_eigh").fit_transform(features)
    return (components / size).astype(np.float32)


def _as_slice(space):
    if isinstance(space, slice):
        space = (space.start or 0, space.stop) if space.step in (None, 1) else None
    whole = isinstance(space, (list, tuple)) and len(space) == 2
    if not whole or not all(isinstance(end, Integral) and not isinstance(end, bool) for end in space):
        raise TypeError(f"every entry of spaces must be slice(start, stop) or a pair of integers; received {space!r}")
    start, stop = space
    if not 0 <= start < stop:
        raise ValueError(f"every entry of spaces must have 0 <= start < stop; received ({start}, {stop})")
    return slice(int(start), int(stop))
