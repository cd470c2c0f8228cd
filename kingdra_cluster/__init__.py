"""Deep clustering by ensemble pseudo-labelling, on Keras 3.

The public names are imported when they are first used, so that the graph and the metrics work without TensorFlow.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "CollapseWarning": "exceptions",
    "KingdraCluster": "kingdra_cluster",
    "LadderIM": "modes",
    "MODES": "modes",
    "NNM": "modes",
    "PseudoLabelWarning": "exceptions",
    "RUC": "modes",
    "SelfLabel": "modes",
    "SimCLR": "modes",
    "SimilarityGraph": "similarity_graph",
    "estimate_n_clusters": "cluster_count",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'kingdra_cluster' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"kingdra_cluster.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
