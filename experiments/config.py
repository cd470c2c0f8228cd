"""Configurations: read, override, check and complete, before anything heavy is imported.

A section holds the keyword arguments of one callable, so the signatures of those callables are the schema; there is no
second list of keys to keep in step.
"""

import inspect
import json
from pathlib import Path

from experiments import published, stage_config
from experiments.signatures import REQUIRED, ROOT, arguments, check_names, named, nearest, parameters

SECTIONS = ("name", "about", "data", "pretext", "cluster", "refine", "seeds")
VERBOSE = ("pretext.verbose", "cluster.verbose", "refine.verbose")
SHORT_FOR = {"features": "kind", "pretext": "mode", "refine": "mode"}  # what a text instead of an object says
OF_KIND = {  # of the data's options, which have no estimator to check them before any data is loaded
    "path": (str, "a text, or a list of texts"),
    "labels_path": (str | None, "a text or null"),
    "text_column": (str, "a text"),
    "label_column": (str | int | None, "a name, a number or null"),
    "key": (str, "a text"),
    "labels_key": (str, "a text"),
    "encoding": (str, "a text"),
}
NOT_COMPARED = ("name", "about", "seeds", "cluster.n_jobs", *VERBOSE)  # these change no number of a run


def load(path, overrides=(), folders=()):
    """Read a configuration, in this package's form or the published one, and check all of it.

    Parameters
    ----------
    path : path-like
        A JSON file.
    overrides : sequence of str
        ``"a.b=value"`` items, applied in order; values are JSON, or strings where they are not.
    folders : sequence of path-like
        Where the relative paths of a published configuration are looked for.

    Returns
    -------
    config : dict
        Complete configuration: defaults filled in, ready to be written as JSON.
    notes : list of str
        What the reader should know about keys without effect.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no JSON object, or a key or a value is not valid.
    """
    path = Path(path)
    config, notes = _read(path), []
    pairs = [parse_override(item) for item in overrides]
    if published.is_flat(config):
        flat_pairs = [pair for pair in pairs if len(pair[0]) == 1 and pair[0][0] not in SECTIONS]
        pairs = [pair for pair in pairs if pair not in flat_pairs]
        config.update({keys[0]: value for keys, value in flat_pairs})
        config, notes = published.translate(config, folders)
    published.rename_refinement(config)
    for keys, value in pairs:
        override(config, keys, value)
        published.rename_refinement(config)
    return resolve(config, path.stem), notes


def parse_override(item):
    """Split ``"a.b=value"`` into its keys and its value: JSON where it parses, a string where it doesn't."""
    name, sign, text = item.partition("=")
    keys = tuple(name.split("."))
    if not sign or not all(keys):
        raise ValueError(f"--set expects a.b=value; got {item!r}.")
    try:
        return keys, json.loads(text)
    except json.JSONDecodeError:
        return keys, text


def override(config, keys, value):
    """Set one value of a nested configuration in place; ``"mode": "ladder"`` opens into ``{"name": "ladder"}``."""
    section = config
    for depth, key in enumerate(keys[:-1]):
        child = section.setdefault(key, {})
        if isinstance(child, str):
            child = section[key] = {SHORT_FOR.get(key, "name"): child}
        if not isinstance(child, dict):
            parent = ".".join(keys[: depth + 1])
            raise ValueError(f"--set {'.'.join(keys)}: {parent} is {child!r}, which holds no keys.")
        section = child
    section[keys[-1]] = value


def resolve(config, name):
    """Check a configuration in this package's form and fill in every default.

    Parameters
    ----------
    config : dict
        What the file says.
    name : str
        Name of the run where the file gives none.

    Returns
    -------
    config : dict
        New dictionary with the keys ``name``, ``about``, ``data``, ``pretext`` (if given), ``cluster``, ``refine`` (if
        given) and ``seeds``.

    Raises
    ------
    ValueError
        If a key or a value is not valid; the message names the nearest valid key.
    """
    check_names(config, SECTIONS, "the configuration")
    for key in ("name", "about"):
        if not isinstance(config.get(key, ""), str):
            raise ValueError(f"{key} has to be a text; got {config[key]!r}.")
    found = config.get("name", name)
    if found != Path(found).name or found in ("", "..") or "\\" in found:  # Path(".").name is ""
        raise ValueError(f"name has to be one of a folder in runs/, without slashes; got {found!r}.")
    if "data" not in config:
        raise ValueError('the configuration has no section "data"; the least is {"data": {"name": "digits"}}.')
    return {
        "name": found,
        "about": config.get("about", ""),
        "data": _data(config["data"]),
        **stage_config.stages(config),
        "seeds": check_seeds(config.get("seeds", [0])),
    }


def check_seeds(seeds):
    """List of different non-negative integers, from a list or from one integer."""
    seeds = seeds if isinstance(seeds, list) else [seeds]
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds)
    if not seeds or not whole or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds has to be a list of different integers, none negative; got {seeds!r}.")
    return seeds


def differences(old, new):
    """Keys in which two complete configurations differ, as lines; keys that change no number are passed over."""
    old, new = _flatten(old), _flatten(new)
    keys = [key for key in {**old, **new} if key not in NOT_COMPARED and old.get(key) != new.get(key)]
    return [f"{key} ({old.get(key)!r} there, {new.get(key)!r} here)" for key in keys]


def _read(path):
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else ROOT / "configs"
        known = {p.name for p in folder.glob("*.json")}
        raise FileNotFoundError(f"there is no configuration file {path}{nearest(path.name, known)}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} has to hold a JSON object; it holds a {type(config).__name__}.")
    return config


def _data(section):
    options = named(section, "data")
    name, features = options.pop("name"), options.pop("features", None)
    loaders = {path.stem: path for path in (ROOT / "datasets").glob("*.py")}
    if name not in loaders:
        raise ValueError(f"there is no data set {name!r}{nearest(name, loaders)}. Known: {', '.join(sorted(loaders))}.")
    accepted = parameters(loaders[name], "load_data")
    accepted.pop("data_home", None)
    check_names(options, {"name", "features", *accepted}, f"data ({name})")
    result = {"name": name, **arguments(options, accepted, f"data ({name})", kinds=False)}
    for key, lowest, otherwise in (("subset", 1, (None,)), ("subset_seed", 0, ())):
        value = result.get(key, lowest)
        if value not in otherwise and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
            raise ValueError(f"data ({name}): {key} has to be an integer of at least {lowest}; got {value!r}.")
    for key, (kinds, expected) in OF_KIND.items():
        value = result.get(key)
        parts = value if key == "path" and isinstance(value, list) else [value]
        if key in options and not all(isinstance(one, kinds) and not isinstance(one, bool) for one in parts):
            raise ValueError(f"data ({name}): {key} has to be {expected}; got {value!r}.")
    return {**result, "features": _features(features)}


def _features(section):
    if section is None:
        return None  # chosen when the items are known: see experiments.run.prepare
    from experiments.features import FEATURES

    options = named(section, "data.features", "kind")
    kind = options.pop("kind")
    if kind not in FEATURES:
        hint = nearest(kind, FEATURES)
        raise ValueError(f"data.features: there is no kind {kind!r}{hint}. Known: {', '.join(FEATURES)}.")
    accepted = {
        name: REQUIRED if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(FEATURES[kind]).parameters.items()
    }
    found = arguments(options, accepted, f"data.features ({kind})", kinds=False)
    try:
        FEATURES[kind](**found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data.features ({kind}): {error}") from error
    return {"kind": kind, **found}


def _flatten(config, prefix=""):
    flat = {}
    for key, value in config.items():
        nested = isinstance(value, dict)
        flat.update(_flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat
