"""CIFAR-20: 60,000 colour images of 32 x 32 in 20 groups of classes (CIFAR-100's coarse labels)."""

from experiments.cifar import LICENCE, PAGE, SHAPE, fetch_cifar
from experiments.sources import published_images

ARCHIVE, MD5 = "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"


def load_data(data_home=None, *, subset=None, subset_seed=0):
    """Load CIFAR-20, the 50,000 training rows first.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``cifar20.npz``; made from the publisher's binary archive (169 MB) if it isn't there.
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
    return published_images(
        "cifar20",
        data_home,
        fetch,
        shape=SHAPE,
        description="60,000 colour images of 32 x 32 in 20 groups of classes (CIFAR-100's coarse labels)",
        source=PAGE + "cifar.html",
        licence=LICENCE,
        subset=subset,
        subset_seed=subset_seed,
    )


def fetch(home):
    """Arrays of the publisher's archive, whose records open with the coarse and the fine label."""
    members = {"train": ["train.bin"], "test": ["test.bin"], "names": "coarse_label_names.txt"}
    return fetch_cifar(home, "cifar20", ARCHIVE, MD5, label_bytes=2, label_byte=0, **members)
