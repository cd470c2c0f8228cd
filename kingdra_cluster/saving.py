"""Saved estimators: a folder of JSON, plain arrays and ``.keras`` models, replaced whole; loading runs no code."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from kingdra_cluster.persistence import read_arrays, read_json, write_arrays, write_json

FORMAT = 2
DESCRIPTION = "estimator.json"


def jsonable(value):
    """Return an argument as JSON can hold it; what drives no prediction (a generator, callbacks) becomes null.

    So does a whole list of which an item cannot be held; an item that is None is no such item.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        items = [jsonable(item) for item in value]
        lost = any(kept is None and item is not None for item, kept in zip(value, items, strict=True))
        return None if lost else items
    if isinstance(value, dict):
        return {name: jsonable(item) for name, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, slice):
        return [jsonable(value.start or 0), jsonable(value.stop)]
    return value if isinstance(value, (int, float, str, bool, type(None))) else None


def save_folder(folder, description, arrays, models, parts=None):
    """Write an estimator's folder beside ``folder`` and move it there when it is whole.

    Parameters
    ----------
    folder : path
        Created, or replaced if it already holds a saved estimator, which is put back if the new one cannot be moved
        there.  A process that is killed between the two moves leaves it beside, as ``<folder>-replaced-...``.
    description : dict
        JSON-able; gets the format number.
    arrays : dict of arrays
    models : dict of keras.Model
        Saved as ``<name>.keras``.
    parts : dict of estimators, optional
        Saved as folders of their own, inside this one.

    Raises
    ------
    FileExistsError
        If ``folder`` exists and holds something else.
    ValueError
        If it is the working directory or above it: that cannot be moved away under the process.
    """
    given, folder, parts = folder, Path(folder).resolve(), parts or {}
    if folder in (Path.cwd(), *Path.cwd().parents):
        raise ValueError(f"folder must not be the working directory or above it; received {str(given)!r}")
    if folder.exists() and not (folder / DESCRIPTION).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"folder must be new, empty or a saved estimator; received {str(folder)!r}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        new, old = Path(scratch) / "new", folder.with_name(f"{folder.name}-replaced{Path(scratch).name[-9:]}")
        new.mkdir()
        for name, model in models.items():
            model.save(new / f"{name}.keras")
        for name, part in parts.items():
            part.save(new / name)
        write_arrays(new / "arrays.npz", **arrays)
        write_json(
            new / DESCRIPTION, {"format": FORMAT, "models": sorted(models), "parts": sorted(parts), **description}
        )
        try:
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        except BaseException:
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise
        if old.exists():
            shutil.rmtree(old)


def load_folder(folder, expected_class, *, arrays=(), fitted=(), models=()):
    """Read what `save_folder` wrote.

    Parameters
    ----------
    folder : path
    expected_class : str
    arrays, fitted, models : sequence of str
        Names that the folder's arrays, what it says was fitted, and its models must hold, among others.

    Returns
    -------
    description : dict
    arrays : dict of arrays
    models : dict of keras.Model

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no estimator, one of another class or format, or a damaged file.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        raise FileNotFoundError(f"folder must hold a saved estimator ({DESCRIPTION}); received {str(folder)!r}")
    path = folder / DESCRIPTION
    description = read_json(path, keys=("format", "class"))
    found = (description["class"], description["format"])
    if found != (expected_class, FORMAT):
        raise ValueError(f"{folder} must hold a {expected_class} of format {FORMAT}; it holds {found[0]} of {found[1]}")
    require(description, ("parameters", "fitted", "models", "parts"), path)
    require(description["fitted"], fitted, path)
    require(description["models"], models, path)
    stored = read_arrays(folder / "arrays.npz")
    require(stored, arrays, folder / "arrays.npz")
    return description, stored, {name: _read_network(folder, name) for name in description["models"]}


def _read_network(folder, name):
    if not re.fullmatch("[a-z_0-9]+", str(name)):
        raise ValueError(f"{folder / DESCRIPTION} is damaged: {name!r} is no name of a model")
    path = folder / f"{name}.keras"
    if not path.is_file():
        raise ValueError(f"{folder} is incomplete: {path.name} is missing")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ValueError(f"{path} is damaged or not a plain Keras model: {error}") from error


def require(found, names, path):
    """Raise ``ValueError``, which names the file, if one of the names is not among what was found in it."""
    for name in names:
        if not isinstance(found, (dict, list)) or name not in found:
            raise ValueError(f"{path} is damaged or of another version: {name!r} is missing")


def restored(cls, arguments, path):
    """Return an estimator with the arguments that were read from a file.

    Raises
    ------
    ValueError
        If they are not the arguments of that class; the message names the file.
    """
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(f"{path} is damaged or of another version: {error}") from error
