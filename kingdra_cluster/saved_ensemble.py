"""A fitted `KingdraCluster` as a folder."""

from pathlib import Path

import numpy as np

from kingdra_cluster.cluster_count import ClusterCount
from kingdra_cluster.modes import MODES, RUC
from kingdra_cluster.persistence import manifest
from kingdra_cluster.rounds import find_buckets, similarity_graph
from kingdra_cluster.saving import jsonable, load_folder, save_folder

ARRAYS = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")
UNREFINED = ("ensemble_labels_", "ensemble_probabilities_")
FITTED = ("scale_", "n_clusters_", "n_features_in_", "history_")


def save_ensemble(ensemble, mode, folder):
    """Write a fitted ensemble and its members' ``mode``, unless it is None, as JSON, ``.npz`` and ``.keras`` files."""
    parameters = {name: jsonable(value) for name, value in ensemble.get_params(deep=False).items()}
    name = {known: name for name, known in MODES.items()}.get(type(mode))
    values = {} if name is None else {key: jsonable(value) for key, value in mode.get_params().items()}
    parameters["mode"] = None if name is None else {"name": name, **values}
    parts = {}
    if ensemble.refiner_ is not None:
        parts["refiner"] = ensemble.refiner_
        parameters["refine"] = {name: jsonable(value) for name, value in ensemble.refine.get_params().items()}
    graph = ensemble.similarity_graph_
    arrays = {name: getattr(ensemble, name) for name in (*ARRAYS, *(UNREFINED if parts else ()))}
    arrays |= {"member_labels": graph.labels, "takes_part": graph.takes_part}
    if hasattr(ensemble, "feature_names_in_"):
        arrays["feature_names_in_"] = ensemble.feature_names_in_.astype(str)
    fitted = {name: getattr(ensemble, name) for name in FITTED}
    if ensemble.cluster_count_ is not None:
        fitted["cluster_count_"] = {name: jsonable(value) for name, value in ensemble.cluster_count_._asdict().items()}
    description = {"class": type(ensemble).__name__, "parameters": parameters, "fitted": fitted, "manifest": manifest()}
    models = {f"member_{index:03d}": member for index, member in enumerate(ensemble.members_)}
    save_folder(folder, description, arrays, models, parts)


def load_ensemble(cls, folder):
    """Return the ensemble of class ``cls`` that `save_ensemble` wrote."""
    description, arrays, models = load_folder(folder, cls.__name__)
    parameters = description["parameters"]
    if parameters["mode"] is not None:
        mode_name = parameters["mode"].pop("name")
        parameters["mode"] = MODES[mode_name](**parameters["mode"])
    refiner = None
    if parameters["refine"] is not None:
        parameters["refine"], refiner = RUC(**parameters["refine"]), RUC.load(Path(folder) / "refiner")
    loaded = cls(**parameters)
    labels, takes_part = arrays.pop("member_labels"), arrays.pop("takes_part")
    members = [models[name] for name in sorted(models)]
    unrefined = {name: arrays[name.removeprefix("ensemble_")] for name in UNREFINED}
    vars(loaded).update(description["fitted"], refiner_=refiner, members_=members, **unrefined | arrays)
    loaded.cluster_count_ = ClusterCount.restored(description["fitted"].get("cluster_count_"))
    confidences = np.broadcast_to(takes_part.astype(np.float32), labels.shape)  # 1 where a row takes part, else 0
    loaded.similarity_graph_ = similarity_graph(loaded, labels, confidences)
    find_buckets(loaded, loaded.similarity_graph_, loaded.n_clusters_)
    return loaded
