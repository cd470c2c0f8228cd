"""The stages of one seed, one after the other: pretext, clustering, refinement; each is saved when it is finished.

A stage that is finished is loaded instead, so that a resumed seed goes on with the first that is not.
"""

import importlib
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from experiments import stage_config
from experiments.run_folder import write_json
from experiments.signatures import ROOT, parameters
from experiments.stage_config import is_kingdra, sees_items
from experiments.stage_parts import UNSEARCHED, backbone_of, classifier_of, locate
from kingdra_cluster.persistence import read_json
from kingdra_cluster.saving import DESCRIPTION

FOLDERS = {"pretext": "pretext", "cluster": "model", "refine": "refined"}  # within a seed's


class Stages:
    """The fitted stages of a seed.

    Parameters
    ----------
    config : dict
        Complete configuration.
    items : array or sparse matrix of shape (n, ...)
        What the features made of the data.
    fitted : dict of str to estimator
        ``"pretext"``, ``"cluster"`` and ``"refine"``, as far as they go.

    Attributes
    ----------
    seconds : dict of str to float
        What each stage took; of a resumed one the last part.
    """

    def __init__(self, config, items, fitted=None):
        self.config = config
        self.items = items[..., None] if items.ndim == 3 else items  # grey images with their channel
        self.fitted = {} if fitted is None else fitted
        self.seconds = {}
        self._features = None

    @property
    def features(self):
        """What the pretext makes of the items, (n, n_features)."""
        if self._features is None:
            self._features = self.fitted["pretext"].transform(self.items)
        return self._features

    def rows(self, name):
        """What a stage sees: the items, or the pretext's features."""
        return self.items if name == "pretext" or sees_items(self.config[name], self.config) else self.features

    @property
    def last(self):
        """Name of the last stage: ``"refine"``, or ``"cluster"``."""
        return "refine" if "refine" in self.fitted else "cluster"

    @property
    def answer(self):
        """The estimator whose labels count."""
        return self.fitted[self.last]

    @property
    def shown(self):
        """What a report shows: the answer that counts, and the networks, graph and rows behind it."""
        found = {name: getattr(self.answer, name) for name in ("labels_", "probabilities_")}
        found["pseudo_labels_"] = self.pseudo_labels
        cluster = self.fitted["cluster"]
        kept = ("similarity_graph_", "members_", "spaces_", "classifier_")
        found |= {name: getattr(cluster, name) for name in kept if hasattr(cluster, name)}
        found["seen"] = self.rows("cluster")
        return SimpleNamespace(**found)

    @property
    def pseudo_labels(self):
        """The label of the sure rows, by Kingdra's graph or else the refinement, else -1; None if neither tells."""
        cluster = self.fitted["cluster"]
        if hasattr(cluster, "pseudo_labels_"):
            return np.asarray(cluster.pseudo_labels_)
        sure = getattr(self.answer, "clean_", None)
        return None if sure is None else np.where(sure, self.answer.labels_, -1)


def run_stages(config, items, seed, folder, *, callbacks=(), data_home=None):
    """Fit, or load, every stage of a seed.

    Parameters
    ----------
    config : dict
        Complete configuration.
    items : array or sparse matrix of shape (n, ...)
    seed : int
    folder : path-like
        Of the seed.  Gets the folders of `FOLDERS`, and the seconds of each stage in ``stages.json``.
    callbacks : sequence of callables
        For Kingdra's rounds.
    data_home : path-like, optional
        Where the relative paths of a stage are looked for.

    Returns
    -------
    Stages
    """
    stages, folder = Stages(config, items), Path(folder)
    if "refine" in config and is_kingdra(config["cluster"]):
        from kingdra_cluster.members import claim_threads

        claim_threads(config["cluster"]["threads_per_member"])  # also where members are trained in other processes
    for name in ("pretext", "cluster", "refine"):
        if name not in config:
            continue
        target, times = folder / FOLDERS[name], folder / "stages.json"
        stages.seconds = read_json(times) if times.exists() else {}
        if name in stages.seconds and (target / DESCRIPTION).is_file():
            stages.fitted[name] = load_stage(target)
            continue
        began = time.perf_counter()
        stages.fitted[name] = fit_stage(name, stages, seed, folder, callbacks, data_home)
        stages.fitted[name].save(target)
        stages.seconds[name] = round(time.perf_counter() - began, 3)
        write_json(times, stages.seconds)
    return stages


def load_stages(folder, items):
    """The stages of a finished seed, for other items.

    Parameters
    ----------
    folder : path-like
        Of the seed.
    items : array or sparse matrix of shape (n, ...)

    Returns
    -------
    Stages
    """
    found = {name: load_stage(Path(folder) / sub) for name, sub in FOLDERS.items() if (Path(folder) / sub).is_dir()}
    return Stages(read_json(Path(folder) / "config.json"), items, found)


def fit_stage(name, stages, seed, folder, callbacks, data_home):
    """One fitted stage, given those before it."""
    section = stages.config[name]
    if name == "cluster" and is_kingdra(section):
        return make_kingdra(section, seed, folder / "checkpoints", list(callbacks)).fit(stages.rows(name))
    rows = stages.rows(name)
    estimator = make_stage(name, stages.config, seed, data_home, stages.fitted, input_shape=rows.shape[1:])
    if "checkpoint_dir" in estimator.get_params(deep=False):
        estimator.set_params(checkpoint_dir=folder / "checkpoints" / name)
    if section.get("mode") != "ruc":
        return estimator.fit(rows)
    cluster, embeddings = stages.fitted["cluster"], section["embeddings"]
    if embeddings is not None:
        embeddings = _embeddings(embeddings, stages, data_home)
    start = np.clip(cluster.probabilities_, 0.0, 1.0)  # a mean of float32 may round to more
    return estimator.fit(rows, start, embeddings=embeddings, pseudo_labels=getattr(cluster, "pseudo_labels_", None))


def make_kingdra(section, seed, checkpoint_dir, callbacks):
    """Estimator of a ``cluster`` section that names no other clustering."""
    from kingdra_cluster import KingdraCluster
    from kingdra_cluster.modes import MODES

    mode = _options(section["mode"])
    mode = MODES[mode.pop("name")](**mode)
    options = {**_options(section), "mode": mode}
    return KingdraCluster(**options, random_state=seed, checkpoint_dir=checkpoint_dir, callbacks=callbacks)


def make_stage(name, config, seed, data_home=None, fitted=None, input_shape=None):
    """Estimator of one stage, Kingdra's aside.

    Parameters
    ----------
    name : {"pretext", "cluster", "refine"}
    config : dict
        Complete configuration.
    seed : int
    data_home : path-like, optional
    fitted : dict of str to estimator, optional
        The stages before; None for an estimator that is only to check its arguments.
    input_shape : tuple of int, optional
        Of a row that the stage sees.
    """
    tables = {"pretext": stage_config.pretexts, "cluster": stage_config.clusterers, "refine": stage_config.refiners}
    options = _options(config[name])
    where = tables[name]()[options.pop("name" if name == "cluster" else "mode")]
    accepted = parameters(*where)
    options.pop("embeddings", None)
    locate(options, data_home, name, torch=where[1].startswith("Imported"))
    if name == "refine":
        options["n_clusters"] = _number_of_clusters(config, fitted)
    if "backbone" in options:
        options["backbone"] = backbone_of(options["backbone"], fitted, input_shape, data_home, name)
    if "classifier" in accepted:
        options["classifier"] = classifier_of(options["n_clusters"], fitted)
    if "random_state" in accepted:
        options["random_state"] = seed
    return _load_class(*where)(**options)


def _number_of_clusters(config, fitted):
    """Of the clustering; before "auto" is known, any."""
    given = config["cluster"]["n_clusters"]
    if given != "auto":
        return given
    return fitted["cluster"].n_clusters_ if fitted else 2


def check_stages(config, data_home=None, *, files=True):
    """Raise on the first argument of any stage that is out of range and, unless told otherwise, on a missing file."""
    data_home = data_home if files else UNSEARCHED
    embeddings = config.get("refine", {}).get("embeddings")
    if isinstance(embeddings, dict):
        check_stages({"pretext": embeddings}, data_home, files=files)
    for name in ("pretext", "cluster", "refine"):
        if name not in config:
            continue
        if name == "cluster" and is_kingdra(config[name]):
            make_kingdra(config[name], 0, None, None).check_parameters()
        else:
            estimator = make_stage(name, config, 0, data_home)
            if hasattr(estimator, "check_parameters"):
                estimator.check_parameters()


def load_stage(folder):
    """A saved estimator of any stage."""
    cls = read_json(Path(folder) / DESCRIPTION)["class"]
    tables = (stage_config.pretexts(), stage_config.clusterers(), stage_config.refiners())
    known = {found[1]: found for table in tables for found in table.values()}
    if cls not in known:
        raise ValueError(f"{folder} holds a {cls!r}, which is no stage. Known: {', '.join(sorted(known))}.")
    return _load_class(*known[cls]).load(folder)


def _embeddings(section, stages, data_home):
    if section == "pretext":
        return stages.features
    found = make_stage("pretext", {"pretext": section}, 0, data_home, {}, stages.items.shape[1:])
    return found.fit(stages.items).transform(stages.items)


def _options(section):
    return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}


def _load_class(path, name):
    module = ".".join(Path(path).relative_to(ROOT).with_suffix("").parts)
    return getattr(importlib.import_module(module), name)
