"""A fitted `KingdraCluster` as a folder."""

import numpy as np

from kingdra_cluster.modes import MODES
from kingdra_cluster.persistence import manifest
from kingdra_cluster.rounds import find_buckets, similarity_graph
from kingdra_cluster.saving import jsonable, load_folder, save_folder

ARRAYS = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")
FITTED = ("scale_", "n_clusters_", "n_features_in_", "history_")


def save_ensemble(ensemble, mode, folder):
    """Write a fitted ensemble and its members' ``mode`` to a folder of JSON, ``.npz`` and ``.keras`` files."""
    parameters = {name: jsonable(value) for name, value in ensemble.get_params(deep=False).items()}
    names = [name for name, known in MODES.items() if known is type(mode)]
    mode_parameters = {name: jsonable(value) for name, value in mode.get_params().items()}
    parameters["mode"] = {"name": names[0], **mode_parameters} if names else None
    graph = ensemble.similarity_graph_
    arrays = {name: getattr(ensemble, name) for name in ARRAYS}
    arrays |= {"member_labels": graph.labels, "takes_part": graph.takes_part}
    if hasattr(ensemble, "feature_names_in_"):
        arrays["feature_names_in_"] = ensemble.feature_names_in_.astype(str)
    fitted = {name: getattr(ensemble, name) for name in FITTED}
    description = {"class": "KingdraCluster", "parameters": parameters, "fitted": fitted, "manifest": manifest()}
    models = {f"member_{index:03d}": member for index, member in enumerate(ensemble.members_)}
    save_folder(folder, description, arrays, models)


def load_ensemble(cls, folder):
    """Return the ensemble of class ``cls`` that `save_ensemble` wrote."""
    description, arrays, models = load_folder(folder, cls.__name__)
    parameters = description["parameters"]
    if parameters["mode"] is not None:
        mode_name = parameters["mode"].pop("name")
        parameters["mode"] = MODES[mode_name](**parameters["mode"])
    loaded = cls(**parameters)
    labels, takes_part = arrays.pop("member_labels"), arrays.pop("takes_part")
    vars(loaded).update(description["fitted"], **arrays, members_=[models[name] for name in sorted(models)])
    confidences = np.broadcast_to(takes_part.astype(np.float32), labels.shape)  # 1 where a row takes part, else 0
    loaded.similarity_graph_ = similarity_graph(loaded, labels, confidences)
    find_buckets(loaded, loaded.similarity_graph_, loaded.n_clusters_)
    return loaded
