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


def modes(package=ROOT / "kingdra_cluster"):
    """The training modes of the package: the ``MODES`` dictionary of ``modes/__init__.py``, unexecuted.

    Returns
    -------
    modes : dict of str to (Path, str)
        The file and the class of each mode, by the mode's name.
    """
    init = Path(package) / "modes" / "__init__.py"
    tree = _parse(init)
    origins = {
        alias.asname or alias.name: node.module.rpartition(".")[2]
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    classes = next((_names(node) for node in tree.body if _assigns(node, "MODES")), {})
    return {name: (init.parent / f"{origins[cls]}.py", cls) for name, cls in classes.items()}


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
    return {key.value: value.id for key, value in zip(node.value.keys, node.value.values, strict=True)}
