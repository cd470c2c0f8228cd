"""Find and load the data sets of the folder ``datasets/``, each a file that is loaded by its path.

The folder is no package on purpose: one named ``datasets`` would hide a well-known library of that name.
"""

import importlib.util
import inspect
import sys
from pathlib import Path

from sklearn.utils import Bunch

from experiments.signatures import nearest

FOLDER = Path(__file__).resolve().parent.parent / "datasets"


def available():
    """Names of the data sets, sorted.

    Returns
    -------
    names : list of str
    """
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def load_module(name):
    """The module ``datasets/<name>.py``.

    Parameters
    ----------
    name : str
        One of `available`.

    Returns
    -------
    module : module
        Loaded once a process.

    Raises
    ------
    ValueError
        If there is no such data set; the nearest name is given.
    """
    if name not in available():
        raise ValueError(f"unknown data set {name!r}{_hint(name, available())}; there are {', '.join(available())}")
    key = f"experiments._data_set_{name}"
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[key] = module
    return sys.modules[key]


def load(name, data_home=None, **options):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `available`.
    data_home : path-like, default=None
        Folder of the raw files; see `experiments.data_home.data_home`.
    **options : object
        Keyword arguments of that data set's ``load_data``; all of them know ``subset`` and ``subset_seed``.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``X`` (an array) or ``texts`` (a list), ``y`` (class numbers or None), ``split`` (0 train, 1 test, or None),
        ``class_names`` (or None), ``rows``, ``name``, ``description``, ``source``, ``licence``.

    Raises
    ------
    ValueError
        If the data set or an option is unknown, or the data is malformed.
    DataUnavailable
        If the data is neither cached nor obtainable.
    """
    load_data = load_module(name).load_data
    parameters = inspect.signature(load_data).parameters
    valid = [parameter for parameter in parameters if parameter != "data_home"]
    for option in options:
        if option not in valid:
            hint = _hint(option, valid)
            raise ValueError(f"unknown option {option!r} for data set {name!r}{hint}; it takes {', '.join(valid)}")
    missing = [key for key in valid if parameters[key].default is inspect.Parameter.empty and key not in options]
    if missing:
        raise ValueError(f"data set {name!r} needs the option {missing[0]!r}; it takes {', '.join(valid)}")
    bunch = load_data(data_home, **options)
    if not isinstance(bunch, Bunch):
        wanted, kind = "the Bunch of experiments.bunch.make_bunch", type(bunch).__name__
        raise TypeError(f"load_data of {FOLDER.name}/{name}.py must return {wanted}, received {kind}")
    return bunch


def _hint(name, valid):
    return nearest(name, valid).rstrip(".")
