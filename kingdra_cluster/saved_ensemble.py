"""A fitted `KingdraCluster` as a folder."""

from pathlib import Path

import numpy as np

from kingdra_cluster.cluster_count import ClusterCount
from kingdra_cluster.modes import MODES, REFINERS, RUC
from kingdra_cluster.persistence import manifest
from kingdra_cluster.saving import DESCRIPTION, jsonable, load_folder, require, restored, save_folder
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.spaces import as_slices

ESTIMATORS = MODES | REFINERS  # that are restored where they are arguments
ARRAYS = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")
UNREFINED = ("ensemble_labels_", "ensemble_probabilities_")
FITTED = ("scale_", "spaces_", "n_clusters_", "n_features_in_", "history_")
GRAPH = ("labels", "takes_part", "tuple_buckets")
THRESHOLDS = ("low_agreement", "high_agreement", "confidence_threshold")


def save_ensemble(ensemble, folder):
    """Write a fitted ensemble as JSON, ``.npz`` and ``.keras`` files: its arguments, and apart what the fit made."""
    parameters = {name: _described(value) for name, value in ensemble.get_params(deep=False).items()}
    parts = {} if ensemble.refiner_ is None else {"refiner": ensemble.refiner_}
    graph = ensemble.similarity_graph_
    arrays = {name: getattr(ensemble, name) for name in (*ARRAYS, *(UNREFINED if parts else ()))}
    arrays |= {f"graph_{name}": getattr(graph, name) for name in GRAPH}
    if hasattr(ensemble, "feature_names_in_"):
        arrays["feature_names_in_"] = ensemble.feature_names_in_.astype(str)
    fitted = {name: jsonable(getattr(ensemble, name)) for name in FITTED}
    fitted["graph"] = {name: jsonable(getattr(graph, name)) for name in THRESHOLDS}
    count = ensemble.cluster_count_
    fitted["cluster_count_"] = None if count is None else jsonable(count._asdict())
    description = {"class": type(ensemble).__name__, "parameters": parameters, "fitted": fitted, "manifest": manifest()}
    models = {_member_name(index): member for index, member in enumerate(ensemble.members_)}
    save_folder(folder, description, arrays, models, parts)


def load_ensemble(cls, folder):
    """Return the ensemble of class ``cls`` that `save_ensemble` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If something is missing or damaged; the message names the file.
    """
    path = Path(folder) / DESCRIPTION
    names = {"arrays": (*ARRAYS, *(f"graph_{name}" for name in GRAPH)), "fitted": (*FITTED, "graph", "cluster_count_")}
    description, arrays, models = load_folder(folder, cls.__name__, **names)
    parameters, fitted = description["parameters"], description["fitted"]
    require(parameters, ("mode", "refine"), path)
    parameters |= {name: _restored(parameters[name], path) for name in ("mode", "refine")}
    loaded = restored(cls, parameters, path)
    members = [_member_name(index) for index in range(len(arrays["mappings_"]))]
    require(models, members, path)
    thresholds, count = fitted.pop("graph"), fitted["cluster_count_"]
    require(thresholds, THRESHOLDS, path)
    if count is not None:
        require(count, ClusterCount._fields, path)
    labels, takes_part, tuple_buckets = (arrays.pop(f"graph_{name}") for name in GRAPH)
    confidences = np.broadcast_to(takes_part.astype(np.float32), labels.shape)  # 1 where a row takes part, else 0
    vars(loaded).update(fitted, **{name: arrays[name.removeprefix("ensemble_")] for name in UNREFINED} | arrays)
    loaded.similarity_graph_ = SimilarityGraph(labels, confidences, **thresholds)
    loaded.similarity_graph_.tuple_buckets = tuple_buckets
    loaded.cluster_count_, loaded.spaces_ = ClusterCount.restored(count), as_slices(fitted["spaces_"])
    loaded.refiner_ = RUC.load(Path(folder) / "refiner") if "refiner" in description["parts"] else None
    loaded.members_ = [models[name] for name in members]
    return loaded


def _member_name(index):
    return f"member_{index:03d}"


def _described(value):
    """Return an argument as JSON can hold it: an estimator of this package by its name and its own arguments."""
    for name, kind in ESTIMATORS.items():
        if type(value) is kind:
            return {"name": name, **{key: jsonable(own) for key, own in value.get_params().items()}}
    return jsonable(value)


def _restored(value, path):
    """Return an argument that `_described` wrote to the file ``path``."""
    if not isinstance(value, dict):
        return value
    name, known = value.get("name"), sorted(ESTIMATORS)
    if name not in known:
        raise ValueError(f"{path} is damaged or of another version: a mode must be one of {known}; it says {name!r}")
    return restored(ESTIMATORS[name], {key: own for key, own in value.items() if key != "name"}, path)
