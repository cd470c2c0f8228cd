"""Fashion-MNIST: 70,000 images of clothes of 28 x 28, the 60,000 training rows first."""

import gzip
import zlib

import numpy as np

from experiments.data_home import official_file
from experiments.sources import npz_remedy, published_images

URLS = (  # the first is where keras.datasets.fashion_mnist gets the files, the second their makers' repository
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
ARRAYS = "2cbc59191665e1ba3f2494648f17edac5974f748ab89fb2ae05597d658161f54"  # array_checksum(X, y)
SHAPE = (70000, 28, 28)
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_data(data_home=None, *, subset=None, subset_seed=0):
    """Load Fashion-MNIST.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``fashion_mnist.npz``; made from the publisher's files (30 MB) if it isn't there.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` uint8 of shape (70000, 28, 28), ``y``, ``split``, ``class_names``.

    Raises
    ------
    DataUnavailable
        If the file is neither there nor obtainable.
    """
    return published_images(
        "fashion_mnist",
        data_home,
        fetch,
        shape=SHAPE,
        checksum=ARRAYS,
        description="70,000 images of clothes of 28 x 28, grey values 0 to 255",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT (Zalando SE)",
        subset=subset,
        subset_seed=subset_seed,
    )


def fetch(home):
    """Arrays of the publisher's four files, training rows first."""
    remedy = npz_remedy("fashion_mnist", home, SHAPE)
    parts = []
    for name, md5 in MD5.items():
        local = f"fashion-{name}"  # MNIST's own files have the same names
        path = official_file(home, local, [url + name for url in URLS], md5=md5, remedy=remedy)
        parts.append(read_idx(path))
    X, X_test, y, y_test = parts[0], parts[2], parts[1], parts[3]
    return {
        "X": np.concatenate([X, X_test]),
        "y": np.concatenate([y, y_test]),
        "split": np.repeat(np.uint8([0, 1]), [len(y), len(y_test)]),
        "classes": CLASSES,
    }


def read_idx(path):
    """Array of a gzipped IDX file of bytes.

    Parameters
    ----------
    path : path-like
        The file: 0, 0, 8 (unsigned bytes), the number of axes, their lengths (big-endian, 32 bits), the values.

    Returns
    -------
    array : ndarray, uint8

    Raises
    ------
    ValueError
        If the file is damaged or no IDX file of bytes.
    """
    try:
        with gzip.open(path) as file:
            raw = file.read()
        if raw[:3] != b"\0\0\x08":
            raise ValueError(f"expected the first bytes 0, 0, 8, received {list(raw[:3])}")
        shape = np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4).astype(int)
        return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
    except (ValueError, IndexError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a gzipped IDX file of bytes: {error}") from error
