"""The two formats of raw data, written atomically and read without pickle.

``<name>.npz`` holds `X`, `y` (class numbers), `split` (0 train, 1 test) and `classes` (names), a row each;
``<name>.jsonl.gz`` holds one object a line with `text`, `label` (a name) and `split` ("train" or "test").
"""

import gzip
import hashlib
import json
import zlib
from pathlib import Path

import numpy as np

from kingdra_cluster import persistence

NPZ_KEYS = ("X", "y", "split", "classes")
TEXT_KEYS = ("text", "label", "split")
SPLITS = ("train", "test")


def write_npz(path, *, compress=True, **arrays):
    """Write arrays to an ``.npz`` file, atomically.

    Parameters
    ----------
    path : path-like
        The file; missing folders are made.
    compress : bool, default=True
        Whether to deflate the arrays.
    **arrays : array-like
        Arrays by name; none of dtype object.

    Raises
    ------
    ValueError
        If an array has dtype object, which only pickle could store.
    """
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    for key, value in arrays.items():
        if value.dtype.hasobject:
            raise ValueError(f"{key} must be numeric or text, received dtype {value.dtype}")
    with persistence.replacing(path) as temporary, open(temporary, "wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **arrays)


def read_npz(path):
    """Read and validate a data set's ``.npz`` file.

    Parameters
    ----------
    path : path-like
        A file with the keys ``X``, ``y``, ``split``, ``classes``; others are left alone.

    Returns
    -------
    arrays : dict
        ``X`` of shape (n, ...), ``y`` and ``split`` of shape (n,), ``classes`` of shape (k,).

    Raises
    ------
    ValueError
        If the file is damaged, a key is missing, the lengths differ or a class number has no name.
    """
    arrays = read_arrays(path, NPZ_KEYS)
    n, k = len(arrays["X"]), len(arrays["classes"])
    for key in ("y", "split"):
        if arrays[key].shape != (n,) or arrays[key].dtype.kind not in "iu":
            found = f"shape {arrays[key].shape}, dtype {arrays[key].dtype}"
            raise ValueError(f"{path}: {key} must be ({n},) integers, one for each row of X, received {found}")
    if n and not 0 <= arrays["y"].min() <= arrays["y"].max() < k:
        found = f"{arrays['y'].min()} to {arrays['y'].max()}"
        raise ValueError(f"{path}: y must number the {k} classes from 0, received {found}")
    return arrays


def read_arrays(path, keys=None):
    """Arrays of an ``.npz`` file, by name.

    Parameters
    ----------
    path : path-like
        The file.
    keys : sequence of str, default=None
        The arrays wanted, each required; None means all.

    Returns
    -------
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is damaged, holds pickled objects or lacks a key.
    """
    arrays = persistence.read_arrays(path, keys)
    missing = [key for key in keys or () if key not in arrays]
    if missing:
        found = sorted(persistence.read_arrays(path))
        raise ValueError(f"{path} must have the keys {list(keys)}; it lacks {missing}, received {found}")
    return dict(arrays)


def write_jsonl_gz(path, texts, labels, splits):
    """Write texts to a ``.jsonl.gz`` file, atomically; equal content gives equal bytes.

    Parameters
    ----------
    path : path-like
        The file.
    texts, labels, splits : sequence of str, one length
        One entry a row.
    """
    rows = zip(texts, labels, splits, strict=True)
    with (
        persistence.replacing(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file,
    ):
        for row in rows:
            line = dict(zip(TEXT_KEYS, map(str, row), strict=True))
            file.write(json.dumps(line, ensure_ascii=False).encode("utf-8") + b"\n")


def read_jsonl_gz(path):
    """Read and validate a text data set's ``.jsonl.gz`` file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    texts, labels, splits : list of str

    Raises
    ------
    ValueError
        If the file is damaged, or a line is no object with the string values `text`, `label` and `split`.
    """
    rows = [[row.get(key) for key in TEXT_KEYS] for row in read_json_lines(path)]
    for number, row in enumerate(rows, 1):
        if not all(isinstance(value, str) for value in row) or row[2] not in SPLITS:
            found = {key: str(value)[:20] for key, value in zip(TEXT_KEYS, row, strict=True)}
            raise ValueError(
                f"{path}, line {number}: text and label must be strings and split one of {SPLITS}, received {found}"
            )
    texts, labels, splits = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    return texts, labels, splits


def read_json_lines(path):
    """Objects of a ``.jsonl`` or ``.jsonl.gz`` file, one a line; blank lines and a byte order mark are passed over.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    rows : list of dict

    Raises
    ------
    ValueError
        If the file is damaged or a line is not a JSON object; the line is named.
    """
    rows, number = [], 0
    try:
        with (gzip.open if str(path).endswith(".gz") else open)(path, "rt", encoding="utf-8-sig") as file:
            for line in file:
                row = json.loads(line) if line.strip() else {}
                if not isinstance(row, dict):
                    raise ValueError(f"expected an object, received {line.strip()[:40]!r}")
                rows += [row] if line.strip() else []
                number += 1
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}, line {number + 1}: {error}") from error
    return rows


def array_checksum(*arrays):
    """SHA-256 of the bytes of arrays, one after the other: what the data sets pin, however a file was compressed."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(_bytes(array))
    return digest.hexdigest()


def load_npy(path, mmap=True):
    """An ``.npy`` array, memory-mapped where that can be done.

    Parameters
    ----------
    path : path-like
        The file.
    mmap : bool, default=True
        Whether to map the file read-only instead of reading it.

    Returns
    -------
    array : ndarray

    Raises
    ------
    ValueError
        If the file is damaged or holds pickled objects.
    """
    try:
        array = np.load(Path(path), mmap_mode="r" if mmap else None, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not an .npy file that can be read without pickle: {error}") from error
    return array


def _bytes(array):
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
