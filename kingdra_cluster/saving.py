"""Saved estimators: a folder of JSON, plain arrays and ``.keras`` models, replaced whole; loading runs no code."""

import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from kingdra_cluster.persistence import read_arrays, read_json, write_arrays, write_json

FORMAT = 1
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
    given, folder = folder, Path(folder).resolve()
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
        for name, part in (parts or {}).items():
            part.save(new / name)
        write_arrays(new / "arrays.npz", **arrays)
        write_json(new / DESCRIPTION, {"format": FORMAT, "models": sorted(models), **description})
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


def load_folder(folder, expected_class):
    """Read what `save_folder` wrote.

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
    description = read_json(folder / DESCRIPTION, keys=("format", "class", "parameters", "fitted", "models"))
    found = (description["class"], description["format"])
    if found != (expected_class, FORMAT):
        raise ValueError(f"{folder} must hold a {expected_class} of format {FORMAT}; it holds {found[0]} of {found[1]}")
    missing = [name for name in description["models"] if not (folder / f"{name}.keras").is_file()]
    if missing:
        raise ValueError(f"{folder} is incomplete: {missing[0]}.keras is missing")
    models = {}
    for name in description["models"]:
        path = folder / f"{name}.keras"
        try:
            models[name] = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise ValueError(f"{path} is damaged or not a plain Keras model: {error}") from error
    return description, read_arrays(folder / "arrays.npz"), models
