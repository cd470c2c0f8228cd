"""Whether a clustering is as right as it is sure, measured with true classes after the fact.

As in `unsup_metrics.ECE`: the confidence of a row is its largest probability, clusters are matched to classes one to
one so that most rows are right, and a row is right if its most probable cluster is matched to its class.
"""

import numpy as np

from kingdra_cluster.checks import check_integer
from kingdra_cluster.unsup_metrics import match_columns

SMALLEST_PROBABILITY = 1e-12  # in logarithms


def calibration_table(y_true, probabilities, n_bins=15, *, equal_counts=False):
    """Confidence and accuracy by bins of confidence: what a reliability diagram shows.

    Parameters
    ----------
    y_true : array-like of int or str, shape (n_rows,)
        Classes under any names.
    probabilities : array-like of float, shape (n_rows, n_clusters)
    n_bins : int
        From 1.
    equal_counts : bool, default=False
        Bins of equal width between 0 and 1, or bins that hold equally many rows.  Rows of one confidence stay in one
        bin, so that ties make bins unequal, and fewer.

    Returns
    -------
    dict of ndarray, shape (n_bins,)
        ``lower`` and ``upper`` bound of each bin, which holds confidences in (lower, upper]; ``rows``, how many;
        their mean ``confidence`` and ``accuracy``, NaN where there are none.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, length or range.

    Examples
    --------
    >>> table = calibration_table([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.2, 0.8]], n_bins=2)
    >>> table["rows"].tolist(), table["accuracy"].tolist()
    ([0, 4], [nan, 0.75])
    """
    n_bins = check_integer("n_bins", n_bins, 1)
    true_class, class_of_cluster, probabilities = match_columns(y_true, probabilities)
    right = class_of_cluster[probabilities.argmax(axis=1)] == true_class
    confidence = probabilities.max(axis=1).astype(np.float64)
    if equal_counts:
        parts = np.arange(1, n_bins) / n_bins
        inner = np.unique(np.quantile(confidence, parts, method="inverted_cdf"))
        inner = inner[inner < confidence.max()]
    else:
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
    bins = np.searchsorted(inner, confidence, side="left")
    rows = np.bincount(bins, minlength=inner.size + 1)
    sums = [np.bincount(bins, weights=values, minlength=rows.size) for values in (confidence, right)]
    means = [np.divide(values, rows, out=np.full(rows.size, np.nan), where=rows > 0) for values in sums]
    edges = np.concatenate([[0.0], inner, [1.0]])
    return {"lower": edges[:-1], "upper": edges[1:], "rows": rows, "confidence": means[0], "accuracy": means[1]}


def MCE(y_true, probabilities, n_bins=15):  # noqa: N802
    """Maximum calibration error: the largest distance of confidence and accuracy over bins of equal width.

    Parameters
    ----------
    y_true : array-like of int or str, shape (n_rows,)
    probabilities : array-like of float, shape (n_rows, n_clusters)
    n_bins : int

    Returns
    -------
    float
        In [0, 1]; 0 is best.  A bin of few rows counts as much as any.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks.  ICML 2017.
    """
    table = calibration_table(y_true, probabilities, n_bins)
    return float(np.nanmax(np.abs(table["confidence"] - table["accuracy"])))


def adaptive_ECE(y_true, probabilities, n_bins=15):  # noqa: N802
    """Expected calibration error over bins of equally many rows; parameters and range as for :func:`MCE`.

    References
    ----------
    Nixon, Dusenberry, Zhang, Jerfel, Tran: Measuring calibration in deep learning.  CVPR workshops 2019.
    """
    table = calibration_table(y_true, probabilities, n_bins, equal_counts=True)
    distance = np.abs(table["confidence"] - table["accuracy"])
    return float(np.average(distance, weights=table["rows"]))


def brier_score(y_true, probabilities):
    """Mean over rows of the squared distance between the probabilities and the one-hot true class.

    Parameters
    ----------
    y_true : array-like of int or str, shape (n_rows,)
    probabilities : array-like of float, shape (n_rows, n_clusters)
        A row of a class that has no cluster has probability 0 for it.

    Returns
    -------
    float
        In [0, 2]; 0 is best.

    References
    ----------
    Brier: Verification of forecasts expressed in terms of probability.  Monthly Weather Review 78, 1950.
    """
    probabilities, own = _own_probabilities(y_true, probabilities)
    return float((np.square(probabilities, dtype=np.float64).sum(axis=1) - 2 * own + 1).mean())


def negative_log_likelihood(y_true, probabilities):
    """Mean of -log of the probability of the true class, natural logarithm; parameters as for :func:`brier_score`.

    Returns
    -------
    float
        From 0, which is best, to 27.6: a probability below 1e-12 counts as 1e-12.
    """
    _, own = _own_probabilities(y_true, probabilities)
    return float(-np.log(np.clip(own, SMALLEST_PROBABILITY, 1.0)).mean())


def _own_probabilities(y_true, probabilities):
    """Return the checked probabilities and each row's probability of the cluster matched to its class, 0 if none."""
    true_class, class_of_cluster, probabilities = match_columns(y_true, probabilities)
    cluster_of_class = np.full(true_class.max() + 1, -1)
    matched = np.flatnonzero(class_of_cluster >= 0)
    cluster_of_class[class_of_cluster[matched]] = matched
    cluster = cluster_of_class[true_class]
    own = probabilities[np.arange(cluster.size), cluster].astype(np.float64)
    return probabilities, np.where(cluster >= 0, own, 0.0)
