"""What a callable accepts, read from its source without importing it.

A configuration is checked against the signatures of the estimator, its modes and the data loaders.  Importing those
costs seconds (TensorFlow); parsing their files costs milliseconds, and an unknown key stops the run at once.
"""

import ast
import difflib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = object()  # the default of a parameter that has none
COMPUTED = object()  # the default of a parameter whose default is not a literal


def parameters(path, name):
    """Parameters of a function, or of the constructor of a class.

    Parameters
    ----------
    path : path-like
        A Python file.
    name : str
        A function or a class at the top level of that file.

    Returns
    -------
    parameters : dict of str to object
        Default by parameter name, in order; `REQUIRED` where there is none and `COMPUTED` where it is no literal.
        ``self``, ``*args`` and ``**kwargs`` are left out.

    Raises
    ------
    ValueError
        If the file has no such function or class.
    """
    for node in _parse(path).body:
        if getattr(node, "name", None) == name:
            if isinstance(node, ast.ClassDef):
                node = next((n for n in node.body if getattr(n, "name", None) == "__init__"), None)
            if node is None:
                return {}
            found = _defaults(node.args)
            found.pop("self", None)
            return found
    raise ValueError(f"{Path(path).name} has no function or class named {name!r}")


def modes(table="MODES"):
    """The training modes of the package: a dictionary of ``modes/__init__.py``, unexecuted.

    Parameters
    ----------
    table : {"MODES", "PRETEXTS", "REFINERS"}, default="MODES"

    Returns
    -------
    modes : dict of str to (Path, str)
        The file and the class of each mode, by the mode's name.
    """
    return _table("modes", table)


def backbones():
    """The package's own backbones: a dictionary of ``backbones/__init__.py``, unexecuted; without keras.applications.

    Returns
    -------
    backbones : dict of str to (Path, str)
        The file and the function of each backbone, by its name.
    """
    return _table("backbones", "BACKBONES")


def _table(package, table):
    """File and name of what each entry of a dictionary in a package's ``__init__.py`` is imported from."""
    init = ROOT / "kingdra_cluster" / package / "__init__.py"
    tree = _parse(init)
    origins = {
        alias.asname or alias.name: node.module.rpartition(".")[2]
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    entries = next((_names(node) for node in tree.body if _assigns(node, table)), {})
    return {name: (init.parent / f"{origins[entry]}.py", entry) for name, entry in entries.items()}


def nearest(name, valid):
    """Most similar of the valid names, ready to stand in an error message ("" when nothing comes near)."""
    match = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def check_names(given, valid, where):
    """Refuse the first name that is not valid, naming the nearest valid one.

    Parameters
    ----------
    given : iterable of str
        Names to check.
    valid : collection of str
        Names allowed.
    where : str
        What the names belong to; it opens the message.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    for name in given:
        if name not in valid:
            known = ", ".join(sorted(valid)) or "none"
            raise ValueError(f"{where} has no key {name!r}{nearest(name, valid)}. Known: {known}.")


def named(section, where, key="name"):
    """Options of a section that says by `key` whose they are; a text is short for an object with that key alone."""
    section = {key: section} if isinstance(section, str) else section
    if not isinstance(section, dict) or not isinstance(section.get(key), str):
        raise ValueError(f'{where} has to be a name or an object with a "{key}"; got {section!r}.')
    return dict(section)


def arguments(given, accepted, where, owned=None, kinds=True):
    """Keyword arguments, checked against a signature and completed with its defaults.

    Parameters
    ----------
    given : dict
        Arguments by name.
    accepted : dict
        Result of `parameters`.
    where : str
        What the arguments belong to; it opens every message.
    owned : dict of str to str, optional
        Parameters that the experiment sets itself, each with the sentence that says so.
    kinds : bool, default=True
        Whether a value has to be of its default's kind.

    Returns
    -------
    arguments : dict
        Values as JSON has them, in the order of the signature.
    """
    for name in owned or {}:
        if name in given:
            raise ValueError(f"{where}: {name} cannot be set here; {owned[name]}.")
    accepted = {name: default for name, default in accepted.items() if name not in (owned or {})}
    check_names(given, accepted, where)
    for name, default in accepted.items():
        if default is REQUIRED and name not in given:
            raise ValueError(f"{where} needs the key {name!r}.")
        if kinds and name in given:
            _check_kind(given[name], default, f"{where}: {name}")
    values = {name: given.get(name, default) for name, default in accepted.items()}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v is not COMPUTED}


def _check_kind(value, default, where):
    """Refuse a value whose kind cannot fit the default's; None fits a default that is a float, a text or None.

    A list of numbers fits a float, and "auto" an integer: some arguments take either, and estimators refuse what they
    don't take.
    """
    number = _is_number(value)
    numbers = isinstance(value, list) and all(map(_is_number, value))
    expected, fits = {
        bool: ("true or false", isinstance(value, bool)),
        int: ("an integer", (isinstance(value, int) and number) or value == "auto"),
        float: ("a number", number or numbers or value is None),
        str: ("a text or a number", isinstance(value, str) or number or value is None),
        tuple: ("a list", isinstance(value, list)),
    }.get(type(default), ("anything", True))
    if not fits:
        raise ValueError(f"{where} has to be {expected} (default {default!r}); got {value!r}.")


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse(path):
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _defaults(args):
    positional = [arg.arg for arg in args.posonlyargs + args.args]
    nodes = dict.fromkeys(positional, REQUIRED)
    nodes.update(zip(reversed(positional), reversed(args.defaults), strict=False))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        nodes[arg.arg] = REQUIRED if default is None else default
    return {name: node if node is REQUIRED else _literal(node) for name, node in nodes.items()}


def _literal(node):
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


def _assigns(node, name):
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return isinstance(node, ast.Assign | ast.AnnAssign) and any(getattr(t, "id", None) == name for t in targets)


def _names(node):
    entries = zip(node.value.keys, node.value.values, strict=True)
    return {key.value: value.id for key, value in entries if key is not None}  # None: another dictionary, unpacked
