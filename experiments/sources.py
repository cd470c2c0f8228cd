"""Published data sets: the cached raw file as it is, otherwise the publisher's, converted once and cached.

Checksums come in two kinds.  A *downloaded* file with a wrong checksum is an error and is not kept.  A *cached* raw
file is used as it is, because people put smaller or re-encoded copies there on purpose: if its arrays differ from the
published ones a warning is logged and ``bunch.verified`` is False, so that a run's record shows it.
"""

import logging
import tempfile
import warnings
from contextlib import contextmanager

import numpy as np

from experiments.bunch import encode_labels, make_bunch
from experiments.data_home import DataUnavailable, cached_file, writable_home
from experiments.data_home import data_home as resolve_home
from experiments.raw_files import array_checksum, read_jsonl_gz, read_npz, write_jsonl_gz, write_npz

logger = logging.getLogger(__name__)


def published_images(name, data_home, fetch, *, shape, checksum=None, source, stem=None, **about):
    """Load a published image set from its ``.npz`` file, made by `fetch` if there is none.

    Parameters
    ----------
    name : str
        Name of the data set.
    data_home : path-like or None
        Folder of the raw files.
    fetch : callable
        ``fetch(home)`` returns the arrays X, y, split and classes, or raises DataUnavailable.
    shape : tuple of int
        Published shape of X.
    checksum : str, default=None
        `array_checksum` of X and y, where one is known.
    source : str
        Where the data comes from.
    stem : str, default=name
        Name of the raw file without ``.npz``.
    **about : object
        Further arguments of `make_bunch`.

    Returns
    -------
    bunch : Bunch
        Its ``verified`` is True, False or, without a known checksum, None for the published shape.
    """
    home, filename = resolve_home(data_home), f"{stem or name}.npz"
    path = cached_file(home, filename)
    if path is None:
        arrays = fetch(home)
        write_npz(writable_home(home) / filename, **arrays)
    else:
        arrays = _read(read_npz, path)
        source = f"cached file {filename} (published at {source})"
    verified = None if checksum is None else array_checksum(arrays["X"], arrays["y"].astype(np.uint8)) == checksum
    if arrays["X"].shape != shape:
        verified = False
    _report(name, filename, verified, f"shape {arrays['X'].shape}, published {shape}")
    classes = arrays.pop("classes")
    return make_bunch(name, **arrays, class_names=classes, source=source, verified=verified, **about)


def published_texts(name, data_home, fetch, *, counts, source, stem=None, **about):
    """Load a published text set from its ``.jsonl.gz`` file, made by `fetch` if there is none.

    Parameters
    ----------
    name : str
        Name of the data set.
    data_home : path-like or None
        Folder of the raw files.
    fetch : callable
        ``fetch(home)`` returns texts, label names and splits, or raises DataUnavailable.
    counts : collection of (int, int)
        Published numbers of training and test rows; more than one where several editions exist.
    source : str
        Where the data comes from.
    stem : str, default=name
        Name of the raw file without ``.jsonl.gz``.
    **about : object
        Further arguments of `make_bunch`.

    Returns
    -------
    bunch : Bunch
        Its ``verified`` says whether the numbers of rows are published ones.
    """
    home, filename = resolve_home(data_home), f"{stem or name}.jsonl.gz"
    path = cached_file(home, filename)
    if path is None:
        texts, labels, splits = fetch(home)
        write_jsonl_gz(writable_home(home) / filename, texts, labels, splits)
    else:
        texts, labels, splits = _read(read_jsonl_gz, path)
        source = f"cached file {filename} (published at {source})"
    found = (splits.count("train"), splits.count("test"))
    verified = found in counts
    _report(name, filename, verified, f"{found[0]} training and {found[1]} test rows")
    y, class_names = encode_labels(labels)
    parts = {"texts": texts, "y": y, "split": [split == "test" for split in splits], "class_names": class_names}
    return make_bunch(name, **parts, source=source, verified=verified, **about)


@contextmanager
def scikit_learn_folder(what, remedy):
    """Temporary folder for a download through scikit-learn, whose own cache would be pickles.

    Parameters
    ----------
    what : str
        What is downloaded, for the error message.
    remedy : str
        Which file to put where, for the error message.

    Raises
    ------
    DataUnavailable
        If the block raises an OSError.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Retry downloading")
            yield folder
    except OSError as error:
        raise DataUnavailable(f"could not download {what} through scikit-learn: {error}", remedy) from error


def npz_remedy(name, home, shape, dtype="uint8"):
    """Which array file to put where, for error messages."""
    return f"Put {name}.npz (X {dtype} {shape}, y class numbers, split 0/1, classes names) into {home}"


def texts_remedy(name, home):
    """Which text file to put where, for error messages."""
    return f'Put {name}.jsonl.gz (a line a text: {{"text": ..., "label": ..., "split": "train" or "test"}}) into {home}'


def _read(read, path):
    """Read a cached file; an error says how to get another."""
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{error}; mend it, or delete it to have it made of the published one again") from error


def _report(name, filename, verified, found):
    if verified is False:
        logger.warning("%s is not the published %s (%s): used as it is", filename, name, found)
