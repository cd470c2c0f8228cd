"""Classes of ImageNet, from the user's own copy of the ILSVRC folder: it may not be passed on."""

from pathlib import Path

import numpy as np

from experiments.bunch import make_bunch, subset_rows
from experiments.own_data import files_below, find

SPLITS = ("train", "val")
BELOW = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # where a split's folder lies, as the archives unpack
SUFFIXES = (".jpeg", ".jpg", ".png")


def load_data(data_home=None, *, path, classes, split="train", size=96, subset=None, subset_seed=0):
    """Load some classes of ImageNet, sorted by class as listed and by file name.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that a relative path is looked for in first; then the working directory.
    path : path-like
        The folder that holds ``train/<class>/*.JPEG``, directly or below ``ILSVRC/Data/CLS-LOC``.
    classes : list of str, or path-like
        Names of the classes' folders, such as "n02056570", in the order of the class numbers; or a text file of them,
        one a line (what follows the first word of a line is the class's name in words).
    split : {"train", "val"}, default="train"
        "val" needs its images in folders of classes, as "train" has them.
    size : int, default=96
        Side in pixels: the largest square in the middle of each image is resized to this.
    subset : int, default=None
        Number of images to draw; only those are read.  None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` uint8 of shape (n, size, size, 3), ``y``, ``class_names``, ``filenames``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or one of the classes has none.
    ValueError
        If an option is out of range, a folder has no images, or one cannot be read: it is named.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, received {split!r}")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a positive number of pixels, received {size!r}")
    folders, class_names = list_classes(classes, data_home)
    top = _split_folder(find(path, data_home), split)
    names, y = [], []
    for number, folder in enumerate(folders):
        if not (top / folder).is_dir():
            raise FileNotFoundError(f"classes: there is no folder {top / folder}")
        found = [Path(folder) / name for name in files_below(top / folder, SUFFIXES)]
        names, y = names + found, y + [number] * len(found)
    rows = subset_rows(len(names), subset, subset_seed)
    rows = np.arange(len(names)) if rows is None else rows
    bunch = make_bunch(
        "imagenet",
        X=read_squares([top / names[i] for i in rows], size),
        y=np.asarray(y)[rows],
        class_names=class_names,
        description=f"{len(rows)} images of {len(folders)} classes, ImageNet {split}",
        source="the user's own copy of ILSVRC, https://image-net.org",
        licence="research and education only, see https://image-net.org/download",
        rowwise={"filenames": [names[i].as_posix() for i in rows]},
    )
    bunch.rows = rows
    return bunch


def list_classes(classes, data_home=None):
    """Folders and names of the classes that the option ``classes`` stands for.

    Raises
    ------
    ValueError
        If there are none, or one is listed twice.
    """
    if isinstance(classes, str | Path):
        lines = find(classes, data_home, option="classes").read_text(encoding="utf-8").splitlines()
    else:
        lines = classes
    entries = [line.split(maxsplit=1) for line in lines if line.strip()]
    folders = [entry[0] for entry in entries]
    if not folders or len(set(folders)) < len(folders):
        raise ValueError(f"classes must be different names of folders, at least one; received {folders}")
    return folders, [entry[-1].strip() for entry in entries]


def _split_folder(folder, split):
    places = [folder / below / split for below in BELOW]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"path={str(folder)!r} holds no {split} folder; looked for {', '.join(map(str, places))}")


def read_squares(paths, size):
    """Images as squares: the largest in the middle of each, resized (bilinear, with anti-aliasing), uint8."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("reading images needs pillow: pip install pillow") from error
    images = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    for i, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                images[i] = np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"cannot read the image {path}: {error}") from error
    return images
