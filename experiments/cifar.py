"""CIFAR-10 and CIFAR-100 from the publisher's binary archives (the Python ones are pickles).

Source: https://www.cs.toronto.edu/~kriz/cifar.html, with the MD5 checksums given there.
"""

import tarfile

import numpy as np

from experiments.data_home import DataUnavailable, official_file
from experiments.sources import npz_remedy

PAGE = "https://www.cs.toronto.edu/~kriz/"
LICENCE = "none stated; for research, citing Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images"
SHAPE = (60000, 32, 32, 3)
PIXELS = 3 * 32 * 32


def fetch_cifar(home, name, archive, md5, *, train, test, label_bytes=1, label_byte=0, names):
    """Arrays of a CIFAR archive, the training rows first.

    Parameters
    ----------
    home : Path
        The data home.
    name : str
        Name of the data set, for messages.
    archive, md5 : str
        File name of the archive and its checksum.
    train, test : sequence of str
        Members with the training and the test records.
    label_bytes : int, default=1
        Label bytes at the head of each record.
    label_byte : int, default=0
        Which of them is the label.
    names : str
        Member that lists the class names, one a line.

    Returns
    -------
    arrays : dict
        ``X`` uint8 of shape (n, 32, 32, 3), ``y``, ``split``, ``classes``.

    Raises
    ------
    DataUnavailable
        If the archive can neither be found nor downloaded, or is not a CIFAR archive.
    """
    path = official_file(home, archive, [PAGE + archive], md5=md5, remedy=npz_remedy(name, home, SHAPE))
    members = _read_members(path, {*train, *test, names})
    X, y, split = [], [], []
    for number, files in enumerate((train, test)):
        for file in files:
            labels, images = parse_records(members[file], label_bytes)
            X.append(images)
            y.append(labels[:, label_byte])
            split.append(np.full(len(images), number, dtype=np.uint8))
    classes = members[names].decode("ascii").split()
    return {"X": np.concatenate(X), "y": np.concatenate(y), "split": np.concatenate(split), "classes": classes}


def parse_records(raw, label_bytes=1):
    """Split binary records into labels and images.

    Parameters
    ----------
    raw : bytes
        Records of `label_bytes` labels and 3072 pixels: red, green and blue planes, row by row.
    label_bytes : int, default=1
        Labels at the head of a record.

    Returns
    -------
    labels : ndarray of shape (n, label_bytes), uint8
    images : ndarray of shape (n, 32, 32, 3), uint8

    Raises
    ------
    ValueError
        If the length is no multiple of a record's.
    """
    size = label_bytes + PIXELS
    if not raw or len(raw) % size:
        raise ValueError(f"CIFAR records must be {size} bytes each, received {len(raw)} bytes")
    records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    images = records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return records[:, :label_bytes], np.ascontiguousarray(images)


def _read_members(path, wanted):
    """Contents of the wanted members, by base name."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in wanted and member.isfile():
                    found[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataUnavailable(f"{path} cannot be read: {error}", "Delete it to download it again") from error
    if missing := sorted(wanted - set(found)):
        raise DataUnavailable(f"{path} lacks {', '.join(missing)}", "Delete it to download it again")
    return found
