"""What a report shows of one seed, as numbers and small pictures: computed once, kept in ``exhibits.json``.

The page is then a matter of strings, and can be made again without data, model or TensorFlow.
"""

import numpy as np

from experiments.cluster_cards import cluster_cards, describe_rows
from experiments.figure_data import embed, matched_confusion
from experiments.run_folder import write_json

FORMAT = 1
MAP_ROWS, GRAPH_NODES, DOUBTFUL_ROWS = 1200, 70, 12
LARGEST_CONFUSION = 60  # classes or clusters beyond which a confusion table is no longer read


def collect(estimator, data, seed=0):
    """Everything that a report shows of a finished seed beside its history, metrics and configuration.

    Parameters
    ----------
    estimator : KingdraCluster
        Fitted, or what has its attributes.  ``labels_``, ``probabilities_``, ``pseudo_labels_`` (or None) are read and,
        where it has them, ``similarity_graph_``, ``members_``, ``spaces_``, ``classifier_`` and ``seen``, the networks'
        rows.
    data : experiments.run.Prepared
        What was clustered; everything but ``X`` may be None.
    seed : int, default=0
        Seed of the samples and layouts.

    Returns
    -------
    exhibits : dict
        JSON-able.  Nothing in it was chosen by ``data.truth``.
    """
    labels, probabilities = np.asarray(estimator.labels_), np.asarray(estimator.probabilities_)
    n_clusters, sure = probabilities.shape[1], np.ones(len(labels), dtype=bool)  # all alike, unless it tells which
    if estimator.pseudo_labels_ is not None:
        sure = np.asarray(estimator.pseudo_labels_) >= 0
    match, names = match_classes(data, labels, n_clusters)
    confidence = probabilities.max(axis=1)
    margin = margins(probabilities)
    order = np.argsort(margin, kind="stable")[:DOUBTFUL_ROWS]
    exhibits = {
        "format": FORMAT,
        "n_rows": len(labels),
        "n_clusters": n_clusters,
        "kind": kind_of_items(data),
        "photos": data.images is not None and min(data.images.shape[1:3]) > 40,
        "confidence": histogram(confidence, sure),
        "map": row_map(estimator, data, labels, sure, seed),
        "graph": core_graph(estimator, labels, seed),
        "clusters": cluster_cards(data, labels, probabilities, sure, margin),
        "doubtful": describe_rows(data, order, probabilities),
        "classes": names,
        "match": match,
    }
    if data.truth is not None:
        exhibits |= judged(data.truth, labels, probabilities, sure, names)
    return exhibits


def write_exhibits(path, estimator, data, seed=0):
    """Write `collect`'s answer as JSON."""
    write_json(path, collect(estimator, data, seed), indent=None)


def margins(probabilities):
    """How far the largest probability of each row is above the second, shape (n,); small where a row is doubtful."""
    if probabilities.shape[1] == 1:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def kind_of_items(data):
    """Whether the items are ``"images"``, ``"texts"`` or plain ``"vectors"``."""
    return "images" if data.images is not None else "texts" if data.texts is not None else "vectors"


def match_classes(data, labels, n_clusters):
    """Class matched to each cluster (-1 = none), as a list, and the names of the classes; None twice without truth."""
    if data.truth is None:
        return None, None
    from kingdra_cluster.unsup_metrics import match_clusters

    count = int(np.max(data.truth)) + 1
    names = [str(i) for i in range(count)] if data.class_names is None else [str(name) for name in data.class_names]
    match = np.full(n_clusters, -1)
    clusters, classes = match_clusters(data.truth, labels).T
    match[clusters] = classes
    return match.tolist(), names


def judged(truth, labels, probabilities, sure, names):
    """What only the truth can tell: confusion, composition of the clusters, calibration."""
    from kingdra_cluster.calibration import calibration_table
    from kingdra_cluster.unsup_metrics import ECE

    table = calibration_table(truth, probabilities, 10)
    filled = table["rows"] > 0
    counts = np.zeros((probabilities.shape[1], len(names)), dtype=int)
    np.add.at(counts, (labels, truth), 1)
    calibration = {name: table[name][filled].round(5).tolist() for name in ("confidence", "accuracy", "rows")}
    found = {"counts": counts.tolist(), "calibration": {**calibration, "ece": float(ECE(truth, probabilities))}}
    if max(len(names), probabilities.shape[1]) <= LARGEST_CONFUSION:
        table, order = matched_confusion(truth, labels)
        found["confusion"] = {"table": table.round(2).tolist(), "order": order.tolist()}
    return found


def histogram(confidence, sure, n_bins=20):
    """Rows by confidence, those with a pseudo-label and those without."""
    confidence, edges = np.clip(confidence, 0, 1), np.linspace(0, 1, n_bins + 1)  # float32 may round to more than 1
    return {
        "sure": np.histogram(confidence[sure], edges)[0].tolist(),
        "unsure": np.histogram(confidence[~sure], edges)[0].tolist(),
    }


def row_map(estimator, data, labels, sure, seed):
    """A sample of the rows in two dimensions: what the last hidden layer of a network makes of them."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(labels), min(MAP_ROWS, len(labels)), replace=False))
    hidden = hidden_layer(estimator, data.X, rows)
    points, _, method = embed(data.X[rows] if hidden is None else hidden, len(rows), seed)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - low) / np.maximum(high - low, 1e-12)
    return {
        "of": "the rows themselves" if hidden is None else "the last hidden layer",
        "method": method,
        "points": points.round(4).tolist(),
        "labels": labels[rows].tolist(),
        "sure": sure[rows].tolist(),
        "truth": None if data.truth is None else np.asarray(data.truth)[rows].tolist(),
    }


def hidden_layer(estimator, X, rows):
    """Activations (m, width) that the last dense layer reads, of the medoid member or the only network; or None.

    The network sees ``estimator.seen``, a pretext's features say, or X.
    """
    seen = getattr(estimator, "seen", X)[rows]
    if getattr(estimator, "members_", None):
        from kingdra_cluster.pseudo_labels import medoid_member
        from kingdra_cluster.spaces import columns

        member = medoid_member(estimator.similarity_graph_.labels)
        network, seen = estimator.members_[member], columns(seen, getattr(estimator, "spaces_", None), member)
    elif getattr(estimator, "classifier_", None) is not None:
        network = estimator.classifier_
    else:
        return None
    from kingdra_cluster.modes.base import hidden_network, predict_rows

    hidden = hidden_network(network)
    return predict_rows(hidden, seen) if hidden is not None and hidden.weights else None


def core_graph(estimator, labels, seed):
    """The most frequent label tuples of the similarity graph, placed by networkx; None where there is no graph."""
    graph = getattr(estimator, "similarity_graph_", None)
    if graph is None or not graph.n_tuples:
        return None
    import networkx

    drawn = graph.to_networkx(max_nodes=GRAPH_NODES)
    for _, _, edge in drawn.edges(data=True):
        edge["pull"] = edge["agreement"] / graph.n_members
    places = networkx.spring_layout(drawn, weight="pull", seed=seed, iterations=80, k=1.6 / np.sqrt(len(drawn)))
    xy = np.array([places[node] for node in drawn])
    xy = (xy - xy.min(axis=0)) / np.maximum(np.ptp(xy, axis=0), 1e-12)
    at = {node: index for index, node in enumerate(drawn)}
    return {
        "n_members": graph.n_members,
        "tuples": graph.n_tuples,
        "omitted_rows": drawn.graph["omitted_rows"],
        "points": xy.round(4).tolist(),
        "counts": [count for _, count in drawn.nodes(data="count")],
        "cores": [bucket for _, bucket in drawn.nodes(data="bucket")],
        "clusters": labels[[row for _, row in drawn.nodes(data="first_row")]].tolist(),
        "edges": [[at[a], at[b], agree] for a, b, agree in drawn.edges(data="agreement")],
    }
