"""Names of the published code: Kingdra's flat configuration files, and RUC's arguments in a section ``refine``.

Written from the published settings alone.  One table translates; a key that is neither in the table nor
close to one of its keys belongs to something that has no counterpart here (names, folders for output) and is noted.
"""

import difflib
from pathlib import Path

CLUSTER = {
    "n_class": "n_clusters",
    "n_en": "n_members",
    "n_iter": "n_rounds",
    "n_epochs_per_iter0": "epochs_first_round",
    "n_epochs_per_iter": "epochs_per_round",
    "low_th": "low_agreement",
    "high_th": "high_agreement",
    "thresh": "confidence_threshold",
    "ens_common_mapping": "shared_mapping",
    "mi_loss_w_it2": "mi_weight_later",
}
MODE = {
    "fc_layer_sizes": "hidden_units",
    "mi_loss_w_init": "mi_weight",
    "ladder_loss_w_init": "ladder_weight",
    "noise_kl_w_init": "kl_weight",
    "mi_mu_w_init": "marginal_weight",
    "lr": "learning_rate",
    "last_layer_bn": "normalize_logits",
    "denoising_cost": "denoising_cost",
    "noise_std": "noise_std",
    "batch_size": "batch_size",
}
DEFAULTS = {
    "n_rounds": 40,
    "start": None,
    "epochs_first_round": 5,
    "epochs_per_round": 5,
    "labeller": "published",
    "confidence_threshold": 0.9,
    "shared_mapping": True,
    "mi_weight_later": None,
    "scale": None,
    "tol": None,
}  # of the published code, where this package's are others
HIDDEN_UNITS = [1200, 1200]  # of the published code
DATA = {"training_path": "path", "ground_truth_path": "labels_path"}
REFINE = {"lr": "learning_rate", "epochs": "n_epochs", "s_thr": "confidence_threshold", "n_num": "n_neighbors"}
UNREAD = {"med_th": "nothing reads it, in the published code either"}
KNOWN = CLUSTER | MODE | DATA | UNREAD
TYPO = 0.8  # similarity above which an unknown key is taken for a misspelt one


def is_flat(config):
    """Return whether a configuration is of the published kind: keys of the table and no section."""
    return not {"data", "cluster"} & config.keys() and bool(KNOWN.keys() & config.keys())


def translate(config, folders=()):
    """Translate a published configuration.

    Parameters
    ----------
    config : dict
        Flat; null means the default.
    folders : sequence of path-like
        Where relative paths are looked for, in order.

    Returns
    -------
    config : dict
        In this package's form, with the published defaults for what is not given; the published code had no ``scale``
        and no ``tol``.
    notes : list of str
        A line for each key without effect.

    Raises
    ------
    ValueError
        If a key seems misspelt, ``training_path`` is missing, or ``fc_layer_sizes`` does not end with ``n_class``.
    """
    notes = [note for key in config for note in _note(key)]
    given = {key: value for key, value in config.items() if value is not None and key in KNOWN}
    if "training_path" not in given:
        raise ValueError("a published configuration needs training_path, the file with the rows")
    layers = given.get("fc_layer_sizes")
    if layers is not None:
        if not isinstance(layers, list) or len(layers) < 2:
            raise ValueError(f"fc_layer_sizes must list hidden layers and then the clusters; got {layers!r}")
        if given.setdefault("n_class", layers[-1]) != layers[-1]:
            raise ValueError(f"the last of fc_layer_sizes must be n_class={given['n_class']}; got {layers[-1]}")
        given["fc_layer_sizes"] = layers[:-1]
    data = {ours: locate(given[key], folders) for key, ours in DATA.items() if key in given}
    cluster = {ours: given[key] for key, ours in CLUSTER.items() if key in given}
    mode = {"hidden_units": HIDDEN_UNITS} | {ours: given[key] for key, ours in MODE.items() if key in given}
    cluster = DEFAULTS | cluster | {"mode": {"name": "ladder", **mode}}
    return {"data": {"name": "arrays", **data, "features": {"kind": "flatten"}}, "cluster": cluster}, notes


def rename_refinement(config):
    """Put what a section ``refine`` says in RUC's published names into ours, in place.

    ``lr``, ``epochs``, ``s_thr`` and ``n_num`` have other names here; ``seed`` is the list of seeds; ``o_model``, the
    checkpoint that is refined, is the stage ``cluster``; ``e_model``, the checkpoint in whose space neighbours are
    sought, is ``refine.embeddings``.

    Parameters
    ----------
    config : dict
        With sections; anything else than RUC is left alone.
    """
    refine, cluster = config.get("refine"), config.get("cluster", {})
    if not isinstance(refine, dict) or refine.get("mode", "ruc") != "ruc" or not isinstance(cluster, dict):
        return
    for theirs, ours in REFINE.items():
        if theirs in refine:
            refine[ours] = refine.pop(theirs)
    if "seed" in refine:
        config["seeds"] = [refine.pop("seed")]
    imported = cluster if cluster.get("name") == "checkpoint" else {}
    if "o_model" in refine:
        kept = imported or {key: cluster[key] for key in ("n_clusters",) if key in cluster}
        config["cluster"] = imported = {**kept, "name": "checkpoint", "path": refine.pop("o_model")}
    if "e_model" in refine:
        images = {key: imported[key] for key in ("stem", "mean", "std") if key in imported}
        refine["embeddings"] = {"mode": "checkpoint", "path": refine.pop("e_model"), **images}


def locate(path, folders):
    """Return the first place where a relative path exists, or the path as it is."""
    for folder in folders:
        if not Path(path).is_absolute() and (Path(folder) / path).is_file():
            return str(Path(folder) / path)
    return str(path)


def _note(key):
    """Yield what to say of a key without effect; raise if it looks like a misspelt one."""
    if key in UNREAD:
        yield f"{key} has no effect: {UNREAD[key]}"
    elif key not in KNOWN:
        near = difflib.get_close_matches(key, KNOWN, n=1, cutoff=TYPO)
        if near:
            raise ValueError(f"a published configuration has no key {key!r} (did you mean {near[0]!r}?)")
        yield f"{key} has no effect: it has no counterpart here"
