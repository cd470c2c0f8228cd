"""How good a clustering is, measured with true classes after the fact, and two scores that need none.

Nothing in the library is trained or chosen by the true classes; these functions are for reports and experiments.
Cluster names carry no meaning, so accuracies are taken after the one-to-one matching of clusters and classes that
makes them largest (Hungarian assignment).
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from kingdra_cluster.checks import check_integer, check_probabilities


def match_clusters(y_true, y_pred):
    """Pairs of a cluster and its class, one to one, that put the most rows right.

    Parameters
    ----------
    y_true, y_pred : array-like of int or str, shape (n_rows,)
        Classes and clusters under any names; they need not be equally many.

    Returns
    -------
    ndarray, shape (n_pairs, 2)
        (cluster, class) in ascending order of cluster; as many as there are clusters or classes, whichever are fewer.
        Of data type object if one kind is a number and the other is not.

    Raises
    ------
    ValueError
        If the arguments are empty, not one-dimensional, of unequal length or contain NaN.

    Examples
    --------
    >>> match_clusters([0, 0, 0, 1, 1, 2], [2, 2, 1, 0, 0, 1]).tolist()
    [[0, 1], [1, 2], [2, 0]]
    """
    classes, clusters, table = _contingency(y_true, y_pred)
    row, column = linear_sum_assignment(table, maximize=True)
    pairs = np.empty((row.size, 2), dtype=_common_type(clusters, classes))
    pairs[:, 0], pairs[:, 1] = clusters[row], classes[column]
    return pairs


def ACC(y_true, y_pred):  # noqa: N802
    """Clustering accuracy: share of rows whose cluster is matched to their class, in [0, 1].

    Parameters as in :func:`match_clusters`.  Rows of a cluster that is left without a class count as wrong; the
    accuracy is at least 1 / max(number of classes, number of clusters).

    Examples
    --------
    >>> round(ACC([0, 0, 0, 1, 1, 2], [2, 2, 1, 0, 0, 1]), 6)
    0.833333
    """
    table = _contingency(y_true, y_pred)[2]
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def NMI(y_true, y_pred):  # noqa: N802
    """Mutual information over the arithmetic mean of the two entropies, in [0, 1]; see :func:`match_clusters`."""
    y_true, y_pred = _check_pair(y_true, y_pred)
    return float(normalized_mutual_info_score(y_true, y_pred, average_method="arithmetic"))


def ARI(y_true, y_pred):  # noqa: N802
    """Adjusted Rand index, at most 1 and 0 for chance agreement; parameters as in :func:`match_clusters`."""
    return float(adjusted_rand_score(*_check_pair(y_true, y_pred)))


def purity(y_true, y_pred):
    """Share of rows that are in the most frequent class of their cluster, in (0, 1]; see :func:`match_clusters`.

    It grows with the number of clusters: 1 if every row is a cluster of its own.
    """
    table = _contingency(y_true, y_pred)[2]
    return float(table.max(axis=1).sum() / table.sum())


def top_k_accuracy(y_true, probabilities, k=5):
    """Share of rows whose class is matched to one of their `k` most probable clusters.

    Parameters
    ----------
    y_true : array-like of int or str, shape (n_rows,)
    probabilities : array-like of float, shape (n_rows, n_clusters)
        The most probable cluster of each row decides the matching.
    k : int
        From 1; all clusters are taken if there are no more than `k`.

    Returns
    -------
    float
        In [0, 1].
    """
    k = check_integer("k", k, 1)
    true_class, class_of_cluster, probabilities = match_columns(y_true, probabilities)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((class_of_cluster[best] == true_class[:, None]).any(axis=1).mean())


def ECE(y_true, probabilities, n_bins=15):  # noqa: N802
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal width.

    The confidence of a row is its largest probability; it is right if that cluster is matched to the row's class.
    Bins hold confidences in (lower, upper].  Each bin weighs as many as its rows.

    Parameters
    ----------
    y_true : array-like of int or str, shape (n_rows,)
    probabilities : array-like of float, shape (n_rows, n_clusters)
    n_bins : int

    Returns
    -------
    float
        In [0, 1]; 0 is best.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks.  ICML 2017.
    """
    n_bins = check_integer("n_bins", n_bins, 1)
    true_class, class_of_cluster, probabilities = match_columns(y_true, probabilities)
    right = class_of_cluster[probabilities.argmax(axis=1)] == true_class
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence, side="left")
    excess = np.bincount(bins, weights=confidence - right)  # rows times (mean confidence - accuracy), by bin
    return float(np.abs(excess).sum() / right.size)


def cluster_prototypes(probabilities, features, n_candidates=10):
    """A typical row of each cluster: among its most confident rows the one nearest their mean feature.

    Parameters
    ----------
    probabilities : array-like of float, shape (n_rows, n_clusters)
    features : array-like of float, shape (n_rows, n_features)
        The distance is Euclidean.
    n_candidates : int
        Number of most confident rows looked at; all rows if there are no more.

    Returns
    -------
    ndarray of int, shape (n_clusters,)
        Row indices.  Ties go to the more confident row, then to the lower index.
    """
    probabilities = check_probabilities(probabilities)
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != len(probabilities) or not np.isfinite(features).all():
        raise ValueError(f"features must be {len(probabilities)} rows of finite numbers, got shape {features.shape}.")
    n_candidates = check_integer("n_candidates", n_candidates, 1)
    candidates = np.argsort(-probabilities, axis=0, kind="stable")[:n_candidates].T
    away = features[candidates] - features[candidates].mean(axis=1, keepdims=True)
    nearest = (away**2).sum(axis=2).argmin(axis=1)
    return candidates[np.arange(len(candidates)), nearest]


def scan_consistency(probabilities, neighbors):
    """Mean of -log(p_i . p_j) over all rows i and their neighbours j, natural logarithm; small is good.

    Parameters
    ----------
    probabilities : array-like of float, shape (n_rows, n_clusters)
    neighbors : array-like of int, shape (n_rows, n_neighbors)
        Row indices.

    Returns
    -------
    float
        In [0, 100]: a logarithm below -100 counts as -100.  SCAN chooses epoch and head by the smallest
        ``scan_consistency - scan_entropy`` on held-out rows, without labels.
    """
    probabilities = check_probabilities(probabilities)
    neighbors = np.asarray(neighbors)
    n_rows = len(probabilities)
    if neighbors.ndim != 2 or len(neighbors) != n_rows or neighbors.size == 0 or neighbors.dtype.kind not in "iu":
        raise ValueError(f"neighbors must be integers of shape ({n_rows}, n_neighbors), got {neighbors.shape}.")
    if neighbors.min() < 0 or neighbors.max() >= n_rows:
        found = f"values from {neighbors.min()} to {neighbors.max()}"
        raise ValueError(f"neighbors must be row indices from 0 to {n_rows - 1}, got {found}.")
    same = np.stack([np.einsum("nk,nk->n", probabilities, probabilities[column]) for column in neighbors.T])
    return float(-np.log(np.maximum(same, np.exp(-100.0, dtype=np.float64))).mean(dtype=np.float64))


def scan_entropy(probabilities):
    """Entropy of the mean prediction, natural logarithm, in [0, log n_clusters]; large is balanced.

    Parameters
    ----------
    probabilities : array-like of float, shape (n_rows, n_clusters)
    """
    mean = check_probabilities(probabilities).mean(axis=0, dtype=np.float64)
    return float(-(mean * np.log(np.maximum(mean, 1e-8))).sum())


def _check_labels(name, labels):
    """Return `labels` as a one-dimensional array without NaN, or raise."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must have the shape (n_rows,) with at least one row, got {labels.shape}.")
    missing = [label for label in labels if label is None or label != label] if labels.dtype.kind == "O" else []
    if missing or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        raise ValueError(f"{name} must have a label for every row, got NaN, infinity or None among them.")
    return labels


def _check_pair(y_true, y_pred):
    y_true, y_pred = _check_labels("y_true", y_true), _check_labels("y_pred", y_pred)
    if y_true.size != y_pred.size:
        raise ValueError(f"y_true and y_pred must be equally long, got {y_true.size} and {y_pred.size} rows.")
    return y_true, y_pred


def _common_type(clusters, classes):
    """Data type that holds both kinds of names unchanged."""
    both_numbers = clusters.dtype.kind in "biuf" and classes.dtype.kind in "biuf"
    return np.result_type(clusters, classes) if both_numbers or clusters.dtype.kind == classes.dtype.kind else object


def _contingency(y_true, y_pred):
    """Sorted classes, sorted clusters, and the table (clusters, classes) of how many rows they share."""
    y_true, y_pred = _check_pair(y_true, y_pred)
    classes, true_class = np.unique(y_true, return_inverse=True)
    clusters, cluster = np.unique(y_pred, return_inverse=True)
    shape = (clusters.size, classes.size)
    return classes, clusters, np.bincount(cluster * shape[1] + true_class, minlength=shape[0] * shape[1]).reshape(shape)


def match_columns(y_true, probabilities):
    """Class index of each row, class index matched to each cluster (-1 = none), and the checked probabilities."""
    y_true, probabilities = _check_labels("y_true", y_true), check_probabilities(probabilities)
    if len(probabilities) != y_true.size:
        raise ValueError(f"probabilities must have as many rows as y_true, {y_true.size}, got {len(probabilities)}.")
    classes, true_class = np.unique(y_true, return_inverse=True)
    n_clusters = probabilities.shape[1]
    cells = probabilities.argmax(axis=1) * classes.size + true_class
    table = np.bincount(cells, minlength=n_clusters * classes.size).reshape(n_clusters, classes.size)
    row, column = linear_sum_assignment(table, maximize=True)
    class_of_cluster = np.full(n_clusters, -1)
    class_of_cluster[row] = column
    return true_class, class_of_cluster, probabilities
