"""MNIST: 70,000 handwritten digits of 28 x 28, the 60,000 training rows first."""

import numpy as np

from experiments.data_home import official_file
from experiments.raw_files import read_arrays
from experiments.sources import npz_remedy, published_images

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"  # the file of keras.datasets.mnist
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
ARRAYS = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"  # array_checksum(X, y)
SHAPE = (70000, 28, 28)


def load_data(data_home=None, *, subset=None, subset_seed=0):
    """Load MNIST.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``mnist.npz``; downloaded (11 MB) to it if it isn't there.
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
        "mnist",
        data_home,
        fetch,
        shape=SHAPE,
        checksum=ARRAYS,
        description="70,000 handwritten digits of 28 x 28, grey values 0 to 255",
        source=URL,
        licence="CC BY-SA 3.0 (Yann LeCun and Corinna Cortes)",
        subset=subset,
        subset_seed=subset_seed,
    )


def fetch(home):
    """Arrays of the publisher's file, training rows first."""
    remedy = npz_remedy("mnist", home, SHAPE)
    raw = read_arrays(official_file(home, "mnist_keras.npz", [URL], sha256=SHA256, remedy=remedy))
    return {
        "X": np.concatenate([raw["x_train"], raw["x_test"]]),
        "y": np.concatenate([raw["y_train"], raw["y_test"]]),
        "split": np.repeat(np.uint8([0, 1]), [len(raw["y_train"]), len(raw["y_test"])]),
        "classes": [str(digit) for digit in range(10)],
    }
