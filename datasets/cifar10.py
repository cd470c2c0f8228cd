"""CIFAR-10: 60,000 colour images of 32 x 32 in 10 classes, the 50,000 training rows first."""

import io

import numpy as np

from experiments.cifar import LICENCE, PAGE, SHAPE, fetch_cifar
from experiments.data_home import cache_home, cached_file, file_digest
from experiments.data_home import data_home as resolve_home
from experiments.raw_files import read_arrays
from experiments.sources import published_images

ARCHIVE, MD5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
JPEG_FILE = "cifar10_jpeg.npz"
ABOUT = {"description": "60,000 colour images of 32 x 32 in 10 classes", "source": PAGE + "cifar.html"}
JPEG_ABOUT = {
    "description": "CIFAR-10 after JPEG compression: not the original pixels",
    "source": f"{JPEG_FILE}, a re-encoding of {PAGE}cifar.html",
}


def load_data(data_home=None, *, subset=None, subset_seed=0):
    """Load CIFAR-10.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``cifar10.npz``.  If it isn't there, ``cifar10_jpeg.npz`` (a JPEG stream `jpeg` with its `offsets`,
        `y`, `split`, `classes`) is decoded into the cache home, and ``bunch.description`` says so; with neither, the
        publisher's binary archive (170 MB) is downloaded.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` uint8 of shape (60000, 32, 32, 3), ``y``, ``split``, ``class_names``.

    Raises
    ------
    DataUnavailable
        If the data is neither there nor obtainable.
    """
    home, stem, fetch, about = resolve_home(data_home), "cifar10", fetch_binary, ABOUT
    jpeg = cached_file(home, JPEG_FILE)
    if jpeg is not None and cached_file(home, "cifar10.npz") is None:
        home, stem, about = cache_home(), f"cifar10_from_jpeg_{file_digest(jpeg)[:12]}", JPEG_ABOUT

        def fetch(_):
            return decode_jpeg(jpeg)

    rows = {"subset": subset, "subset_seed": subset_seed}
    return published_images("cifar10", home, fetch, shape=SHAPE, stem=stem, licence=LICENCE, **about, **rows)


def fetch_binary(home):
    """Arrays of the publisher's archive, training rows first."""
    train = [f"data_batch_{i}.bin" for i in range(1, 6)]
    return fetch_cifar(home, "cifar10", ARCHIVE, MD5, train=train, test=["test_batch.bin"], names="batches.meta.txt")


def decode_jpeg(path):
    """Arrays of a file of concatenated JPEG images.

    Parameters
    ----------
    path : path-like
        An ``.npz`` with `jpeg` (bytes), `offsets` (n + 1), `y`, `split`, `classes`.

    Returns
    -------
    arrays : dict
        ``X`` uint8 of shape (n, h, w, 3), ``y``, ``split``, ``classes``.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"decoding {path} needs pillow: pip install pillow") from error
    raw = read_arrays(path, ("jpeg", "offsets", "y", "split", "classes"))
    data, offsets = raw.pop("jpeg").tobytes(), raw.pop("offsets")
    spans = zip(offsets[:-1], offsets[1:], strict=True)
    images = [np.asarray(Image.open(io.BytesIO(data[start:end])).convert("RGB")) for start, end in spans]
    return {"X": np.stack(images), **raw}
