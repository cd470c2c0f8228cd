"""X for other processes: where its entries lie on disk, instead of the entries.

Every process then maps the same pages of memory, read-only: X travels once, and is held once, for all workers.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from kingdra_cluster.persistence import naming


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
    if sparse.issparse(X):
        names = ("data", "indices", "indptr")
        return SharedRows(type(X).__name__, X.shape, tuple(_store(getattr(X, name), folder, name) for name in names))
    return SharedRows("dense", X.shape, (_store(X, folder, "X"),))


def open_rows(shared):
    """Return the rows of a `SharedRows` as read-only maps of its files; nothing is read before it is used."""
    arrays = [_map(*part) for part in shared.parts]
    if shared.kind == "dense":
        return arrays[0]
    return getattr(sparse, shared.kind)(tuple(arrays), shape=shared.shape, copy=False)


def _map(path, dtype, shape, offset, order):
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, order)


def _store(array, folder, name):
    """Return where ``array`` lies; write it if it lies in memory only."""
    mapped = _mapped_from_file(array)
    if mapped is None or not array.flags.forc:
        path = Path(folder) / f"{name}.npy"
        with naming(path):
            np.save(path, array, allow_pickle=False)
        array = mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    path = str(Path(mapped.filename).absolute())
    offset = mapped.offset + array.ctypes.data - mapped.ctypes.data
    return StoredArray(path, array.dtype.str, array.shape, offset, "C" if array.flags.c_contiguous else "F")


def _mapped_from_file(array):
    """Return the `numpy.memmap` whose memory ``array`` shows, if its file holds the same bytes; else None."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and not isinstance(array.base, np.ndarray):
            return array if array.filename is not None and array.mode != "c" else None
        array = array.base
    return None
