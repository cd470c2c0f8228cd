"""The user's own arrays: .npy (memory-mapped), .npz or .csv, with or without labels."""

import csv

import numpy as np
import scipy.sparse as sp

from experiments.bunch import encode_labels, make_bunch
from experiments.own_data import SOURCE, find, split_lines
from experiments.raw_files import load_npy, read_arrays

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
        ``X`` of shape (n, d) or (n, h, w[, c]) in the file's dtype; ``y``, ``split``, ``class_names`` or None.

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
    about = {"description": f"rows of {', '.join(map(str, names))}", **SOURCE}
    return make_bunch("arrays", **rows, **about, subset=subset, subset_seed=subset_seed)


def read_csv(path, label_column=None, n_features=None):
    """Numbers of a ``.csv`` or ``.tsv`` file, and its labels.

    Parameters
    ----------
    path : path-like
        The file.  A first line with a cell that is no number (in a column other than the labels') is a header; a first
        column that has no name in it is a table's index, as pandas writes it, and left out.
    label_column : str or int, default=None
        Name or number of the labels' column.
    n_features : int, default=None
        How many features there have to be, if that is known: a table of no more columns has no labels.

    Returns
    -------
    X : ndarray of shape (n, d), float64
    labels : ndarray of str of shape (n,) or None

    Raises
    ------
    ValueError
        If the column isn't there or a cell is no number; row and column are named.
    """
    delimiter = "\t" if str(path).lower().endswith(".tsv") else ","
    with open(path, newline="", encoding="utf-8-sig") as file:
        first = next(csv.reader(file, delimiter=delimiter), [])
    given = list(range(len(first)))[_has_index(first) :]
    label = _column(path, first, label_column) if n_features is None or len(given) > n_features else None
    columns = [i for i in given if i != label]
    if not columns:
        raise ValueError(f"{path} must have a column of numbers, received {first}")
    by_name = label is not None and isinstance(label_column, str)
    words = [first[i] for i in columns if first[i].strip() and not _is_number(first[i])]
    header = bool(words) or by_name or len(given) < len(first)
    options = {"delimiter": delimiter, "skiprows": int(header), "quotechar": '"', "comments": None, "ndmin": 2}
    try:
        with open(path, encoding="utf-8-sig") as file:
            X = np.loadtxt(file, usecols=columns, **options)
        if label is None:
            return X, None
        with open(path, encoding="utf-8-sig") as file:
            labels = np.loadtxt(file, usecols=[label], dtype=str, **options)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} must hold numbers in every column but the labels': {error}") from error
    return X, labels[:, 0]


def _read_all(names, data_home, *options):
    """Rows of all files side by side, and whatever else the first file that has it says about them."""
    if not names:
        raise ValueError("path must name at least one file, received an empty list")
    read = [_read(find(name, data_home), *options) for name in names]
    parts = {part: next((r[part] for r in read if r.get(part) is not None), None) for part in ("y", "split", "classes")}
    parts["X"], parts["spaces"] = _join([r["X"] for r in read], names)
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
        X, labels = read_csv(path, label_column)
        return {"X": X, "y": labels}
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


def _column(path, first, label_column):
    if label_column is None:
        return None
    if isinstance(label_column, str) and label_column in first:
        return first.index(label_column)
    if isinstance(label_column, int) and 0 <= label_column < len(first):
        return label_column
    raise ValueError(f"label_column must be a column of {path}: {first} or 0 to {len(first) - 1}; got {label_column!r}")


def _has_index(first):
    """Whether the cells of the first line name all columns but the first; numbers do so only as pandas counts."""
    others = first[1:]
    names = not all(map(_is_number, others)) or others == [str(i) for i in range(len(others))]
    return bool(others) and not first[0].strip() and names


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True
