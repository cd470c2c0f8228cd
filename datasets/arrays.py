"""The user's own arrays: .npy (memory-mapped), .npz or .csv, with or without labels."""

import numpy as np
import scipy.sparse as sp

from experiments.bunch import encode_labels, make_bunch
from experiments.own_data import SOURCE, find, split_lines
from experiments.raw_files import load_npy, read_arrays
from experiments.tables import read_table

SUFFIXES = (".npy", ".npz", ".csv", ".tsv")


def load_data(
    data_home=None,
    *,
    path,
    key="X",
    labels_key="y",
    labels_path=None,
    label_column=None,
    mmap=True,
    subset=None,
    subset_seed=0,
):
    """Load rows from files of the user's.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that a relative path is looked for in first; then the working directory.
    path : path-like or list of path-like
        ``.npy``: the array.  ``.npz``: the array `key`, with ``split`` and ``classes`` if they are there, or a matrix
        of `scipy.sparse.save_npz`.  ``.csv``, ``.tsv``: numbers, with or without a header line.  Several files are
        joined column by column, and ``bunch.spaces`` lists their column ranges, which the configuration may repeat as
        ``cluster.spaces``.
    key : str, default="X"
        Array of an ``.npz`` file with the rows.
    labels_key : str, default="y"
        Array of an ``.npz`` file with the labels, if it is there.
    labels_path : path-like, default=None
        File with the labels: ``.npy``, ``.npz`` (array `labels_key`), or text with one a line.
    label_column : str or int, default=None
        Column of a ``.csv`` with the labels: a name of its header, or a number from 0; it is left out of X.
    mmap : bool, default=True
        Whether ``.npy`` files are memory-mapped instead of read.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` of shape (n, d) or (n, h, w[, c]) in the file's dtype; ``y``, ``split``, ``class_names`` or None, and
        ``feature_names``, those of a table's header, or None.

    Raises
    ------
    FileNotFoundError
        If a file isn't there.
    ValueError
        If a file cannot be read, is not numeric, or the numbers of rows differ.
    """
    names = list(path) if isinstance(path, list | tuple) else [path]
    parts = _read_all(names, data_home, key, labels_key, label_column, mmap)
    if labels_path is not None:
        parts |= {"y": _read_labels(find(labels_path, data_home, option="labels_path"), labels_key), "classes": None}
    y, class_names = parts["y"], parts["classes"]
    if y is not None and (class_names is None or np.asarray(y).dtype.kind not in "iu"):
        y, class_names = encode_labels(y)
    rows = {"X": parts["X"], "y": y, "split": parts["split"], "class_names": class_names, "spaces": parts["spaces"]}
    about = {"description": f"rows of {', '.join(map(str, names))}", "feature_names": parts["feature_names"], **SOURCE}
    return make_bunch("arrays", **rows, **about, subset=subset, subset_seed=subset_seed)


def _read_all(names, data_home, *options):
    """Rows of all files side by side, and whatever else the first file that has it says about them."""
    if not names:
        raise ValueError("path must name at least one file, received an empty list")
    read = [_read(find(name, data_home), *options) for name in names]
    parts = {part: next((r[part] for r in read if r.get(part) is not None), None) for part in ("y", "split", "classes")}
    parts["X"], parts["spaces"] = _join([r["X"] for r in read], names)
    named = [r.get("feature_names") for r in read]
    parts["feature_names"] = None if None in named else [name for found in named for name in found]
    return parts


def _read(path, key, labels_key, label_column, mmap):
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"X": load_npy(path, mmap)}
    if suffix == ".npz":
        arrays = read_arrays(path)
        if {"indptr", "indices", "data", "shape"} <= set(arrays):
            return {"X": sp.csr_matrix(sp.load_npz(path))}
        if key not in arrays:
            raise ValueError(f"{path} must have the array key={key!r}, received {sorted(arrays)}")
        return {"X": arrays[key], "y": arrays.get(labels_key), **{k: arrays.get(k) for k in ("split", "classes")}}
    if suffix in (".csv", ".tsv"):
        X, labels, names = read_table(path, label_column)
        return {"X": X, "y": labels, "feature_names": names}
    raise ValueError(f"path must end in one of {', '.join(SUFFIXES)}, received {path.name!r}")


def _read_labels(path, labels_key):
    if path.suffix.lower() == ".npy":
        return load_npy(path, mmap=False)
    if path.suffix.lower() == ".npz":
        return read_arrays(path, [labels_key])[labels_key]
    return np.array(split_lines(path.read_text(encoding="utf-8-sig")))


def _join(matrices, names):
    """One matrix of all, and the column range of each."""
    for X, name in zip(matrices, names, strict=True):
        if X.ndim < 2 or X.dtype.kind not in "fiub":
            raise ValueError(f"{name} must have numeric rows of shape (n, d), received {X.dtype} of shape {X.shape}")
    if len(matrices) == 1:
        return matrices[0], None
    if len({X.shape[0] for X in matrices}) > 1 or any(X.ndim != 2 for X in matrices):
        raise ValueError(
            f"files joined column by column must have as many rows, received {[X.shape for X in matrices]}"
        )
    ends = np.cumsum([X.shape[1] for X in matrices])
    spaces = [slice(int(end - X.shape[1]), int(end)) for X, end in zip(matrices, ends, strict=True)]
    return (sp.hstack(matrices, format="csr") if any(map(sp.issparse, matrices)) else np.hstack(matrices)), spaces
