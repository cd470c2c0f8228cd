"""Configurations: read, override, check and complete, before anything heavy is imported.

A section holds the keyword arguments of one callable, so the signatures of those callables are the schema; there is no
second list of keys to keep in step.
"""

import inspect
import json
from pathlib import Path

from experiments import published
from experiments.signatures import COMPUTED, REQUIRED, ROOT, check_names, modes, nearest, parameters

SECTIONS = ("name", "about", "data", "pretext", "cluster", "refine", "seeds")
CLUSTER_OWNED = {
    "random_state": "the seeds of a run are the list 'seeds', or --seeds",
    "checkpoint_dir": "checkpoints go to the run's folder",
    "callbacks": "a configuration holds no functions",
    "refine": "refinement is a section of its own, beside 'cluster'",
}
MODE_OWNED = {
    "n_clusters": "it is cluster.n_clusters",
    "scale": "it is cluster.scale",
    "random_state": "the seeds of a run are the list 'seeds', or --seeds",
    "verbose": "it is cluster.verbose",
    "n_epochs": "the rounds are cluster.epochs_first_round and cluster.epochs_per_round long",
}
NOT_COMPARED = ("name", "about", "seeds", "cluster.n_jobs", "cluster.verbose")  # these change no number of a run


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
    for keys, value in pairs:
        override(config, keys, value)
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
            child = section[key] = {"kind" if key == "features" else "name": child}
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
        New dictionary with the keys ``name``, ``about``, ``data``, ``cluster`` and ``seeds``.

    Raises
    ------
    ValueError
        If a key or a value is not valid; the message names the nearest valid key.
    """
    check_names(config, SECTIONS, "the configuration")
    for section in ("pretext", "refine"):
        if config.get(section) is not None:
            _stage(config[section], section)
    for key in ("name", "about"):
        if not isinstance(config.get(key, ""), str):
            raise ValueError(f"{key} has to be a text; got {config[key]!r}.")
    if "data" not in config:
        raise ValueError('the configuration has no section "data"; the least is {"data": {"name": "digits"}}.')
    return {
        "name": config.get("name", name),
        "about": config.get("about", ""),
        "data": _data(config["data"]),
        "cluster": _cluster(config.get("cluster", {})),
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


def _named(section, where, key="name"):
    section = {key: section} if isinstance(section, str) else section
    if not isinstance(section, dict) or not isinstance(section.get(key), str):
        raise ValueError(f'{where} has to be a name or an object with a "{key}"; got {section!r}.')
    return dict(section)


def _data(section):
    options = _named(section, "data")
    name, features = options.pop("name"), options.pop("features", None)
    loaders = {path.stem: path for path in (ROOT / "datasets").glob("*.py")}
    if name not in loaders:
        raise ValueError(f"there is no data set {name!r}{nearest(name, loaders)}. Known: {', '.join(sorted(loaders))}.")
    accepted = parameters(loaders[name], "load_data")
    accepted.pop("data_home", None)
    check_names(options, {"name", "features", *accepted}, f"data ({name})")
    result = {"name": name, **arguments(options, accepted, f"data ({name})", kinds=False)}
    return {**result, "features": _features(features)}


def _features(section):
    if section is None:
        return None  # chosen when the items are known: see experiments.run.prepare
    from experiments.features import FEATURES

    options = _named(section, "data.features", "kind")
    kind = options.pop("kind")
    if kind not in FEATURES:
        hint = nearest(kind, FEATURES)
        raise ValueError(f"data.features: there is no kind {kind!r}{hint}. Known: {', '.join(FEATURES)}.")
    accepted = {
        name: REQUIRED if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(FEATURES[kind]).parameters.items()
    }
    return {"kind": kind, **arguments(options, accepted, f"data.features ({kind})", kinds=False)}


def _cluster(section):
    if not isinstance(section, dict):
        raise ValueError(f"cluster has to be an object of keyword arguments; got {section!r}.")
    accepted = parameters(ROOT / "kingdra_cluster" / "kingdra_cluster.py", "KingdraCluster")
    usual = accepted.pop("mode")
    mode = section.get("mode", usual)
    mode = _mode({"name": usual, **mode} if isinstance(mode, dict) else mode)
    given = {key: value for key, value in section.items() if key != "mode"}
    return {**arguments({"verbose": 1, **given}, accepted, "cluster", CLUSTER_OWNED), "mode": mode}


def _mode(section):
    options = _named(section, "cluster.mode")
    name, known = options.pop("name"), modes()
    if name not in known:
        raise ValueError(f"there is no mode {name!r}{nearest(name, known)}. Known: {', '.join(known)}.")
    accepted, where = parameters(*known[name]), f"cluster.mode ({name})"
    check_names(options, {"name", *accepted}, where)
    return {"name": name, **arguments(options, accepted, where, MODE_OWNED)}


def _stage(section, where):
    name = section.get("mode") if isinstance(section, dict) else section
    known = modes()
    if name not in known:
        raise ValueError(f"{where}: there is no mode {name!r}{nearest(name, known)}. Known: {', '.join(known)}.")
    raise ValueError(f"{where}: the mode {name!r} cannot be used as a stage beside 'cluster'; leave {where!r} out.")


def arguments(given, accepted, where, owned=None, kinds=True):
    """Keyword arguments, checked against a signature and completed with its defaults.

    Parameters
    ----------
    given : dict
        Arguments by name.
    accepted : dict
        Result of `experiments.signatures.parameters`.
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
    """Refuse a value whose kind cannot fit the default's; None fits a default that is a float, a text or None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    expected, fits = {
        bool: ("true or false", isinstance(value, bool)),
        int: ("an integer", isinstance(value, int) and number),
        float: ("a number", number or value is None),
        str: ("a text or a number", isinstance(value, str) or number or value is None),
        tuple: ("a list", isinstance(value, list)),
    }.get(type(default), ("anything", True))
    if not fits:
        raise ValueError(f"{where} has to be {expected} (default {default!r}); got {value!r}.")


def _flatten(config, prefix=""):
    flat = {}
    for key, value in config.items():
        nested = isinstance(value, dict)
        flat.update(_flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flat
