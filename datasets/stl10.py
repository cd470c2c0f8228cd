"""STL-10: 13,000 labelled colour images of 96 x 96 in 10 classes, and 100,000 without labels."""

import logging
import tarfile

import numpy as np

from experiments.data_home import DataUnavailable, cached_file, official_file, writable_home
from experiments.data_home import data_home as resolve_home
from experiments.raw_files import load_npy
from experiments.sources import npz_remedy, published_images
from kingdra_cluster.persistence import replacing

URL = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
MD5 = "91f7769df0f17e558f3565bffb0c7dfb"
SHAPE = (13000, 96, 96, 3)
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
LABELLED = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
UNLABELLED_FILE = "stl10_unlabelled.npy"
IMAGE_BYTES = 3 * 96 * 96

logger = logging.getLogger(__name__)


def load_data(data_home=None, *, unlabelled=False, subset=None, subset_seed=0):
    """Load STL-10, the 5,000 training rows first, then the 8,000 test rows.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``stl10.npz``; made from the publisher's archive (2.6 GB) if it isn't there.
    unlabelled : bool, default=False
        Whether the 100,000 unlabelled images are wanted too, for pretext training: ``bunch.X_unlabelled``, from
        ``stl10_unlabelled.npy`` (2.8 GB), memory-mapped.
    subset : int, default=None
        Number of labelled rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` uint8 of shape (13000, 96, 96, 3), ``y``, ``split``, ``class_names``.

    Raises
    ------
    DataUnavailable
        If the data is neither there nor obtainable.
    """
    extra = {"X_unlabelled": load_unlabelled(resolve_home(data_home))} if unlabelled else {}
    return published_images(
        "stl10",
        data_home,
        fetch,
        shape=SHAPE,
        description="13,000 colour images of 96 x 96 in 10 classes",
        source=URL,
        licence="none stated; images from ImageNet, for research, citing Coates, Lee and Ng (AISTATS 2011)",
        subset=subset,
        subset_seed=subset_seed,
        **extra,
    )


def fetch(home):
    """Labelled arrays of the publisher's archive, training rows first."""
    parts = {}
    for name, file in _members(_archive(home), LABELLED):
        logger.info("reading %s", name)
        parts[name] = np.frombuffer(file.read(), dtype=np.uint8)
    X, X_test = parse_images(parts["train_X.bin"]), parse_images(parts["test_X.bin"])
    y = np.concatenate([parts["train_y.bin"], parts["test_y.bin"]]) - np.uint8(1)  # numbered from 1 in the files
    split = np.repeat(np.uint8([0, 1]), [len(X), len(X_test)])
    return {"X": np.concatenate([X, X_test]), "y": y, "split": split, "classes": CLASSES}


def parse_images(raw):
    """Images of STL-10's binary format: colour planes one after the other, each stored column by column.

    Parameters
    ----------
    raw : ndarray of shape (n * 27648,), uint8
        The bytes of a file.

    Returns
    -------
    images : ndarray of shape (n, 96, 96, 3), uint8
        Rows, columns, colours.

    Raises
    ------
    ValueError
        If the length is no multiple of an image's.
    """
    if not len(raw) or len(raw) % IMAGE_BYTES:
        raise ValueError(f"STL-10 images must be {IMAGE_BYTES} bytes each, received {len(raw)} bytes")
    return np.ascontiguousarray(raw.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1))


def load_unlabelled(home):
    """The unlabelled images, memory-mapped, written on first use."""
    path = cached_file(home, UNLABELLED_FILE)
    if path is None:
        path = writable_home(home) / UNLABELLED_FILE
        for _, file in _members(_archive(home), ["unlabeled_X.bin"]):
            _write_unlabelled(file, path)
    return load_npy(path)


def _write_unlabelled(file, path, chunk=2000):
    n = file.seek(0, 2) // IMAGE_BYTES
    file.seek(0)
    with replacing(path) as temporary:
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(n, *SHAPE[1:]))
        for start in range(0, n, chunk):
            raw = np.frombuffer(file.read(min(chunk, n - start) * IMAGE_BYTES), dtype=np.uint8)
            images[start : start + chunk] = parse_images(raw)
        images.flush()
        del images  # so that the file can be renamed on Windows


def _archive(home):
    remedy = npz_remedy("stl10", home, SHAPE)
    return official_file(home, "stl10_binary.tar.gz", [URL], md5=MD5, remedy=remedy)


def _members(path, names):
    """Yield name and open file of the archive's members, in the archive's order; all of them must be there."""
    wanted = set(names)
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in wanted:
                    wanted.remove(name)
                    yield name, archive.extractfile(member)
    except (tarfile.TarError, EOFError) as error:
        raise DataUnavailable(f"{path} cannot be read: {error}", "Delete it to download it again") from error
    if wanted:
        raise DataUnavailable(f"{path} lacks {', '.join(sorted(wanted))}", "Delete it to download it again")
