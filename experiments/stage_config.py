"""The stages of a configuration: ``pretext``, ``cluster`` and ``refine``, checked against signatures, nothing imported.

A pretext learns features of the items.  The stages after it see those features, unless their ``backbone`` is one for
items: ``"pretext"`` (the pretext's own network, trained on), a convolutional network or an imported checkpoint.
"""

from experiments.signatures import ROOT, arguments, backbones, check_names, modes, named, nearest, parameters

PACKAGE, HERE = ROOT / "kingdra_cluster", ROOT / "experiments"
OWN_STAGES = HERE / "own_stages.py"
KINGDRA = "kingdra"
SEEDS = "the seeds of a run are the list 'seeds', or --seeds"
CHECKPOINTS = "checkpoints go to the run's folder"
N_CLUSTERS = "it is cluster.n_clusters"
STAGE_OWNED = {"random_state": SEEDS, "checkpoint_dir": CHECKPOINTS}
CLUSTER_OWNED = STAGE_OWNED | {
    "callbacks": "a configuration holds no functions",
    "refine": "refinement is a section of its own, beside 'cluster'",
}
MODE_OWNED = STAGE_OWNED | {
    "n_clusters": N_CLUSTERS,
    "scale": "it is cluster.scale",
    "verbose": "it is cluster.verbose",
    "n_epochs": "the rounds are cluster.epochs_first_round and cluster.epochs_per_round long",
}
REFINE_OWNED = STAGE_OWNED | {"n_clusters": N_CLUSTERS, "classifier": "it is that of the stage 'cluster'"}
BACKBONE_OWNED = {"input_shape": "it is that of the data", "seed": SEEDS}
WITHOUT_NETWORK = (KINGDRA, "kmeans", "labels")


def pretexts():
    """File and class of each pretext, by name."""
    return modes("PRETEXTS") | {"checkpoint": (OWN_STAGES, "ImportedFeatures")}


def clusterers():
    """File and class of each clustering that stands alone, by name."""
    own = {"kmeans": "KMeansClustering", "labels": "LabelsOfAFile", "checkpoint": "ImportedClustering"}
    kingdra = {KINGDRA: (PACKAGE / "kingdra_cluster.py", "KingdraCluster")}
    return kingdra | modes() | {name: (OWN_STAGES, cls) for name, cls in own.items()}


def refiners():
    """File and class of each refinement, by name."""
    return modes("REFINERS")


def stages(config):
    """Check the stages of a configuration and fill in every default.

    Parameters
    ----------
    config : dict
        What the file says.

    Returns
    -------
    stages : dict
        ``cluster`` and, where they are given, ``pretext`` and ``refine``.

    Raises
    ------
    ValueError
        If a key or a value is not valid; the message names the nearest valid key.
    """
    found, has_pretext = {}, config.get("pretext") is not None
    if has_pretext:
        found["pretext"] = _stage(config["pretext"], "pretext", "mode", pretexts(), STAGE_OWNED)
    found["cluster"] = _cluster(config.get("cluster", {}), has_pretext)
    if config.get("refine") is not None:
        section = config["refine"]
        section = {"mode": "ruc", **section} if isinstance(section, dict) else section
        found["refine"] = _stage(section, "refine", "mode", refiners(), REFINE_OWNED)
        _check_refinement(found["refine"], found["cluster"], has_pretext)
    return found


def is_kingdra(section):
    """Whether the ``cluster`` section is one of `KingdraCluster`."""
    return section.get("name", KINGDRA) == KINGDRA


def stage_names(config):
    """Names of the stages of a complete configuration, in order: of Kingdra that of its members' mode."""
    cluster = config["cluster"]
    names = [cluster["mode"]["name"] if is_kingdra(cluster) else cluster["name"]]
    if "pretext" in config:
        names.insert(0, config["pretext"]["mode"])
    return names + [config["refine"]["mode"]] if "refine" in config else names


def sees_items(section, config):
    """Whether a stage of a complete configuration sees the items themselves, not the features of a pretext."""
    backbone = section.get("backbone")
    if backbone == "cluster":
        return sees_items(config["cluster"], config)
    name = backbone.get("name") if isinstance(backbone, dict) else backbone
    return "pretext" not in config or name not in (None, "mlp")


def _cluster(section, has_pretext):
    if not isinstance(section, dict):
        raise ValueError(f"cluster has to be an object of keyword arguments; got {section!r}.")
    if not is_kingdra(section):
        found = _stage(section, "cluster", "name", clusterers(), STAGE_OWNED)
        _check_backbone(found.get("backbone"), "cluster", has_pretext)
        return found
    accepted = parameters(*clusterers()[KINGDRA])
    usual = accepted.pop("mode")
    mode = section.get("mode", usual)
    mode = _mode({"name": usual, **mode} if isinstance(mode, dict) else mode)
    given = {key: value for key, value in section.items() if key not in ("mode", "name")}
    return {**arguments({"verbose": 1, **given}, accepted, "cluster", CLUSTER_OWNED), "mode": mode}


def _mode(section):
    options = named(section, "cluster.mode")
    name, known = options.pop("name"), modes()
    _check_known(name, known, "mode", "")
    accepted, where = parameters(*known[name]), f"cluster.mode ({name})"
    check_names(options, {"name", *accepted}, where)
    found = {"name": name, **_arguments(options, accepted, where, MODE_OWNED)}
    backbone = found.get("backbone")
    if backbone == "pretext" or (isinstance(backbone, dict) and backbone["name"] == "checkpoint"):
        raise ValueError(f"{where}: members start from no given network; without 'backbone' they see its features.")
    return found


def _stage(section, where, key, known, owned):
    """One stage: the arguments of the class that `key` names."""
    options = named(section, where, key)
    name = options.pop(key)
    _check_known(name, known, "clustering" if key == "name" else "mode", f"{where}: ")
    accepted = parameters(*known[name])
    if "verbose" in accepted:
        options = {"verbose": 1, **options}
    extra = {"embeddings": options.pop("embeddings", None)} if name == "ruc" else {}
    if extra and extra["embeddings"] not in (None, "pretext"):
        extra["embeddings"] = _stage(extra["embeddings"], f"{where}.embeddings", "mode", pretexts(), STAGE_OWNED)
    found = {key: name, **_arguments(options, accepted, f"{where} ({name})", owned)}
    return found | extra


def _arguments(options, accepted, where, owned):
    """Arguments of one class; a backbone may be an object."""
    options = dict(options)
    if isinstance(options.get("backbone"), dict):
        accepted = accepted | {"backbone": None}
        options["backbone"] = _backbone(options["backbone"], f"{where}: backbone")
    elif isinstance(options.get("backbone"), str):
        _backbone({"name": options["backbone"]}, f"{where}: backbone")
    return arguments(options, accepted, where, owned)


def _backbone(section, where):
    """A backbone's own arguments, by the signature of the function that builds it."""
    options = named(section, where)
    name = options.pop("name")
    if name in ("pretext", "cluster"):
        check_names(options, (), f"{where} ({name})")
        return name
    known = backbones()
    known["checkpoint"] = (OWN_STAGES, "imported_backbone")
    if name[:1].isupper():  # one of keras.applications, whose names are known once Keras is imported
        known[name] = (PACKAGE / "backbones" / "application.py", "application")
        options["name"] = name
    _check_known(name, {**known, "pretext": None, "cluster": None}, "backbone", f"{where}: ")
    return {"name": name, **arguments(options, parameters(*known[name]), f"{where} ({name})", BACKBONE_OWNED)}


def _check_refinement(refine, cluster, has_pretext):
    """Refuse a refinement that has nothing to start from."""
    name = cluster.get("name", KINGDRA)
    if refine["mode"] == "selflabel" and name in WITHOUT_NETWORK:
        raise ValueError(f"refine (selflabel) starts from one network; cluster ({name}) gives none.")
    backbone = refine.get("backbone")
    if backbone == "cluster" and name in WITHOUT_NETWORK:
        raise ValueError(f"refine: backbone is 'cluster', but cluster ({name}) gives no single network.")
    if refine.get("split") in ("cores", "voted_cores") and name != KINGDRA:
        raise ValueError(f"refine: split is {refine['split']!r}, but only Kingdra's graph has cores.")
    if backbone != "cluster":
        _check_backbone(backbone, "refine", has_pretext)
    if refine.get("embeddings") == "pretext" and not has_pretext:
        raise ValueError("refine: embeddings is 'pretext', but there is no stage 'pretext'.")


def _check_backbone(backbone, where, has_pretext):
    if backbone == "cluster":
        raise ValueError(f"{where}: backbone 'cluster' is for the stage 'refine'.")
    if backbone == "pretext" and not has_pretext:
        raise ValueError(f"{where}: backbone is 'pretext', but there is no stage 'pretext'.")


def _check_known(name, known, noun, where):
    if name not in known:
        raise ValueError(f"{where}there is no {noun} {name!r}{nearest(name, known)}. Known: {', '.join(known)}.")
