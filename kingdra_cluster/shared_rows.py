"""X for other processes: where its entries lie on disk, instead of the entries.

Every process then maps the same pages of memory, read-only: X travels once, and is held once, for all workers.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from kingdra_cluster.persistence import naming

SHARED_BYTES = 2**20  # larger arrays travel by their place on disk


class StoredArray(NamedTuple):
    """Where an array lies: what `numpy.memmap` needs to map it."""

    path: str
    dtype: str
    shape: tuple
    offset: int
    order: str


class SharedRows(NamedTuple):
    """Rows in files: one array, or the three of a CSR matrix or array, whose class in `scipy.sparse` is ``kind``."""

    kind: str
    shape: tuple
    parts: tuple


def is_large(argument):
    """Return whether an argument is an array or CSR matrix that should not travel with every call."""
    entries = argument.data if sparse.issparse(argument) else argument
    return isinstance(entries, np.ndarray) and entries.nbytes >= SHARED_BYTES


def share_rows(X, folder):
    """Return X by its place on disk; what is not memory-mapped from a file already is written to ``folder``.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
    folder : path
        Must stay as long as anybody reads the rows.

    Returns
    -------
    SharedRows
    """
    parts = [_stored(array) or _write(array, Path(folder) / f"{name}.npy") for name, array in _arrays(X).items()]
    return SharedRows(_kind(X), X.shape, tuple(parts))


def stored_rows(X):
    """Return X by its place on disk if all of it is memory-mapped from files, else None; nothing is written."""
    parts = [_stored(array) for array in _arrays(X).values()]
    return None if None in parts else SharedRows(_kind(X), X.shape, tuple(parts))


def open_rows(shared):
    """Return the rows of a `SharedRows` as read-only maps of its files; nothing is read before it is used."""
    arrays = [_map(*part) for part in shared.parts]
    if shared.kind == "dense":
        return arrays[0]
    return getattr(sparse, shared.kind)(tuple(arrays), shape=shared.shape, copy=False)


def opened(argument):
    """Return the rows of a `SharedRows`; anything else as it is."""
    return open_rows(argument) if isinstance(argument, SharedRows) else argument


def _map(path, dtype, shape, offset, order):
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, order)


def _kind(X):
    return type(X).__name__ if sparse.issparse(X) else "dense"


def _arrays(X):
    return {name: getattr(X, name) for name in ("data", "indices", "indptr")} if sparse.issparse(X) else {"X": X}


def _stored(array):
    """Return where an array lies on disk, or None if it lies in memory only."""
    mapped = _mapped_from_file(array)
    if mapped is None or not array.flags.forc:
        return None
    path = str(Path(mapped.filename).absolute())
    offset = mapped.offset + array.ctypes.data - mapped.ctypes.data
    return StoredArray(path, array.dtype.str, array.shape, offset, "C" if array.flags.c_contiguous else "F")


def _write(array, path):
    with naming(path):
        np.save(path, array, allow_pickle=False)
    return _stored(np.load(path, mmap_mode="r", allow_pickle=False))


def _mapped_from_file(array):
    """Return the `numpy.memmap` whose memory ``array`` shows, if its file holds the same bytes; else None."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and not isinstance(array.base, np.ndarray):
            return array if array.filename is not None and array.mode != "c" else None
        array = array.base
    return None
