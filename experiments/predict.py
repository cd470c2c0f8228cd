"""Label new items with a finished seed of a run: items to rows with the saved features, then to labels in a CSV."""

import csv
import io
import sys
from pathlib import Path

import numpy as np

from experiments.data_warnings import warn_of_wordless
from experiments.own_data import files_below
from experiments.run_folder import write_text
from kingdra_cluster.persistence import read_json

NEEDED = ("features", "config.json", "metrics.json")


def check_folder(folder):
    """Refuse a folder that holds no finished seed of a run.

    Parameters
    ----------
    folder : path-like
        Such as ``runs/<name>/seed_0``.

    Raises
    ------
    FileNotFoundError
        If the folder, its model or its features are missing; the message says what is there instead.
    """
    folder = Path(folder)
    seeds = sorted(path.name for path in folder.glob("seed_*"))
    if seeds:
        raise FileNotFoundError(f"{folder} is a whole run; name one of its seeds: {', '.join(seeds)}.")
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        lacking = " and no ".join(missing)
        raise FileNotFoundError(f"{folder} has no {lacking}: it holds no finished seed of a run.")
    if not any((folder / name).is_dir() for name in ("model", "refined")):
        raise FileNotFoundError(f"{folder} has no model folder: its clustering is a file of labels, or unfinished.")


def predict(folder, kind, source, out=None):
    """Label items and write ``row,label,confidence`` lines, for images and a folder's texts also their file names.

    The confidence of a text without any known word is left blank.

    Parameters
    ----------
    folder : path-like
        Folder of a finished seed.
    kind : {"texts", "images", "array"}
        What `source` holds.
    source : path-like
        File or folder of texts, folder of images or file of rows.
    out : path-like, optional
        CSV file to write; standard output by default.

    Returns
    -------
    labels : array of shape (n,)

    Raises
    ------
    FileNotFoundError
        If the run or the source isn't there.
    ValueError
        If the items are not of the kind that the model was trained on.
    """
    from experiments.features import load_features

    check_folder(folder)
    if not Path(source).exists():
        raise FileNotFoundError(f"--{kind}: there is no {source}.")
    features = load_features(Path(folder) / "features")
    about = read_json(Path(folder) / "manifest.json")["data"]
    items, names = READERS[kind](Path(source), about, read_json(Path(folder) / "config.json")["data"])
    from experiments.stages import load_stages

    rows = features.transform(items)
    wordless = warn_of_wordless(features, rows)
    stages = load_stages(folder, rows)
    probabilities = stages.answer.predict_proba(stages.rows(stages.last))
    labels, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "label", "confidence", *(["file"] if names else [])])
    for row, label in enumerate(labels):
        sure = "" if wordless[row] else f"{confidence[row]:.6f}"
        writer.writerow([row, label, sure, *([names[row]] if names else [])])
    if out is None:
        sys.stdout.write(buffer.getvalue())
    else:
        write_text(out, buffer.getvalue())
    return labels


def read_texts(path, about, section):
    """Texts of a file or folder, read as the run read its own; of a folder also the names of its files."""
    from experiments.datasets import load_module

    options = {key: section[key] for key in ("text_column", "encoding") if section.get(key)}
    texts, _, names = load_module("text_files").read_place(path, **options)
    if not texts:
        raise ValueError(f"{path} holds no text.")
    return texts, names


def read_images(path, about, section):
    """Images of a folder in the size and colours that the model was trained on, and their names."""
    from experiments.datasets import load_module

    item_shape = about["item_shape"]
    if len(item_shape) not in (2, 3):
        raise ValueError(f"--images: the model was trained on items of shape {tuple(item_shape)}, not on images.")
    module = load_module("image_folder")
    if not path.is_dir():
        raise ValueError(f"--images has to be a folder; {path} is a file.")
    names = [name.as_posix() for name in files_below(path, module.SUFFIXES)]
    colour = "rgb" if len(item_shape) == 3 and item_shape[2] == 3 else "grey"
    images = module.read_images([path / name for name in names], tuple(item_shape[:2]), colour)
    return images.reshape(len(names), *item_shape), names


def read_array(path, about, section):
    """Rows of a ``.npy`` file, of the array X of a ``.npz`` file, of a saved sparse matrix or of a table of numbers.

    The columns of a table with a header are found by their names, where the run's own had some.
    """
    from scipy import sparse

    from experiments.raw_files import load_npy, read_arrays
    from experiments.tables import read_table

    suffix = path.suffix.lower()
    if suffix == ".npy":
        return load_npy(path), None
    if suffix in (".csv", ".tsv"):
        return read_table(path, section.get("label_column"), _columns(about))[0], None
    if suffix != ".npz":
        raise ValueError(f"--array expects a .npy, .npz, .csv or .tsv file; got {path.name!r}.")
    arrays = read_arrays(path)
    if {"indptr", "indices", "data", "shape"} <= set(arrays):
        return sparse.csr_matrix(sparse.load_npz(path)), None
    key = section.get("key") or "X"
    if key not in arrays and len(arrays) != 1:
        raise ValueError(f"--array: {path} has to hold an array named {key!r}; it holds {', '.join(sorted(arrays))}.")
    return np.asarray(arrays[key] if key in arrays else next(iter(arrays.values()))), None


def _columns(about):
    """Names of the columns that the model was trained on, or how many there are where names don't tell them apart."""
    names, shape = about.get("feature_names") or [], about["item_shape"]
    return names if names and len(set(names)) == len(names) else (shape[0] if shape else None)


READERS = {"texts": read_texts, "images": read_images, "array": read_array}
