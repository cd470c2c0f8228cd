"""The user's own images: a folder, with classes as sub-folders if there are any."""

import numpy as np

from experiments.bunch import encode_labels, make_bunch, subset_rows
from experiments.own_data import SOURCE, files_below, find, folder_labels

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
COLOURS = {"rgb": "RGB", "grey": "L"}
SIXTEEN_BITS = ("PNG", "PPM")  # formats whose widest greys have 16 bits, also where pillow gives them 32
NAMED = 3  # so many of the images that cannot be read


def load_data(data_home=None, *, path, size=32, colour="rgb", labels=None, subset=None, subset_seed=0):
    """Load a folder of images, sub-folders included, sorted by relative path.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that a relative path is looked for in first; then the working directory.
    path : path-like
        The folder.
    size : int or (int, int), default=32
        Height and width in pixels that every image is resized to.
    colour : {"rgb", "grey"}, default="rgb"
        Three channels or one.
    labels : None or "folders", default=None
        "folders": the first sub-folder of an image is its class.
    subset : int, default=None
        Number of images to draw; only those are read.  None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` uint8 of shape (n, h, w, 3) or (n, h, w), ``y`` and ``class_names`` or None, ``filenames``.

    Raises
    ------
    FileNotFoundError
        If the folder isn't there.
    ValueError
        If it has no images, or some cannot be read: the first are named.
    """
    folder = find(path, data_home)
    if not folder.is_dir():
        raise ValueError(f"path must be a folder of images, received the file {folder}")
    if colour not in COLOURS:
        raise ValueError(f"colour must be one of {sorted(COLOURS)}, received {colour!r}")
    names = files_below(folder, SUFFIXES)
    found = folder_labels(names, labels, folder)
    y, class_names = (None, None) if found is None else encode_labels(found)
    rows = subset_rows(len(names), subset, subset_seed)
    kept = np.arange(len(names)) if rows is None else rows
    bunch = make_bunch(
        "image_folder",
        X=read_images([folder / names[i] for i in kept], size, colour),
        y=None if y is None else y[kept],
        class_names=class_names,
        description=f"{len(kept)} images of {folder.name}",
        rowwise={"filenames": [names[i].as_posix() for i in kept]},
        **SOURCE,
    )
    bunch.rows = kept
    return bunch


def read_images(paths, size=32, colour="rgb"):
    """Read images and resize them (bilinear, with anti-aliasing), turned as their EXIF data says.

    Greys of 16 bits become greys of 8.

    Parameters
    ----------
    paths : list of path-like
        The files.
    size : int or (int, int), default=32
        Height and width in pixels.
    colour : {"rgb", "grey"}, default="rgb"
        Three channels or one.

    Returns
    -------
    images : ndarray of shape (n, h, w, 3) or (n, h, w), uint8

    Raises
    ------
    ValueError
        If `size` is not positive or files cannot be read.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("reading images needs pillow: pip install pillow") from error
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"size must be positive, received {size!r}")
    channels = (3,) if colour == "rgb" else ()
    images, bad = np.empty((len(paths), height, width, *channels), dtype=np.uint8), []
    for i, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                image = _eight_bits(ImageOps.exif_transpose(image), image.format)
                image = image.convert("RGBA") if "transparency" in image.info else image
                image = image.convert(COLOURS[colour])
                images[i] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            bad.append(f"{path} ({error})")
    if bad:
        named = "; ".join(bad[:NAMED]) + "; ..." * (len(bad) > NAMED)
        raise ValueError(f"{len(bad)} of {len(paths)} images cannot be read; mend or remove them: {named}")
    return images


def _eight_bits(image, form):
    """The image, greys of 16 bits as ones of 8, where pillow would clip; without a known white it is refused."""
    if image.mode.startswith("I;16") or (image.mode == "I" and form in SIXTEEN_BITS):
        from PIL import Image

        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise ValueError(f"its pixels are {kind}, mode {image.mode!r}; save it with 8 or 16 bits a pixel")
    return image
