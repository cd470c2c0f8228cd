"""What a clustering is compared with: k-means on the same rows, the mean member, the ensemble without the graph."""

import numpy as np

SCORES = ("acc", "nmi", "ari")


def scores(truth, labels):
    """ACC, NMI and ARI of a clustering.

    Parameters
    ----------
    truth : array of shape (n,)
        Class numbers.
    labels : array of shape (n,)
        Cluster numbers.

    Returns
    -------
    scores : dict of str to float
        Keys ``acc``, ``nmi`` and ``ari``.
    """
    from kingdra_cluster.unsup_metrics import ACC, ARI, NMI

    return {"acc": float(ACC(truth, labels)), "nmi": float(NMI(truth, labels)), "ari": float(ARI(truth, labels))}


def mean_scores(truth, members):
    """Mean score over the rows of a (n_members, n) matrix of labels."""
    each = [scores(truth, labels) for labels in members]
    return {score: float(np.mean([one[score] for one in each])) for score in SCORES}


def kmeans_labels(X, n_clusters, seed):
    """Labels of scikit-learn's k-means, the best of 10 starts, on the rows that Kingdra sees.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, ...)
        Rows; images are flattened.
    n_clusters : int
        Number of clusters.
    seed : int
        Seed of the starts.

    Returns
    -------
    labels : array of shape (n,)
    """
    from sklearn.cluster import KMeans

    rows = X.astype(np.float32) if hasattr(X, "indptr") else np.asarray(X, dtype=np.float32).reshape(X.shape[0], -1)
    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(rows)
