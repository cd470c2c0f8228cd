"""The few numbers that the pictures need: a matched confusion table, a reliability curve, a map, the surest rows."""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment


def matched_confusion(truth, labels):
    """Confusion table with clusters ordered so that matches lie on the diagonal.

    Parameters
    ----------
    truth : array of shape (n,)
        Class numbers from 0.
    labels : array of shape (n,)
        Cluster numbers from 0.

    Returns
    -------
    table : array of shape (n_classes, n_clusters)
        Percent of each class, by cluster.
    order : array of shape (n_clusters,)
        Cluster of each column; clusters without a class come last.
    """
    counts, rows, columns = _match(truth, labels)
    rest = np.setdiff1d(np.arange(counts.shape[1]), columns)
    order = np.concatenate([columns[np.argsort(rows)], rest])
    return 100 * counts[:, order] / np.maximum(counts.sum(axis=1, keepdims=True), 1), order


def _match(truth, labels):
    counts = np.zeros((np.max(truth) + 1, np.max(labels) + 1))
    np.add.at(counts, (truth, labels), 1)
    return counts, *linear_sum_assignment(-counts)


def reliability(confidence, labels, truth, bins):
    """Mean confidence and accuracy (percent) of the rows in each bin that holds any."""
    counts, classes, clusters = _match(truth, labels)
    class_of = np.full(counts.shape[1], -1)
    class_of[clusters] = classes
    right = class_of[labels] == truth
    at = np.clip(np.digitize(confidence, bins[1:-1], right=True), 0, len(bins) - 2)
    counts = np.bincount(at, minlength=len(bins) - 1)
    filled = counts > 0
    mean = [np.bincount(at, weights=w, minlength=len(bins) - 1)[filled] / counts[filled] for w in (confidence, right)]
    return mean[0], 100 * mean[1]


def strongest_rows(labels, confidence, cluster, count):
    """Rows of a cluster, the most confident first, at most `count`."""
    rows = np.flatnonzero(labels == cluster)
    return rows[np.argsort(-confidence[rows], kind="stable")[:count]]


def mosaic(images, rows, n_columns):
    """One picture made of many: the images named by each list of rows side by side, the lists below each other.

    Parameters
    ----------
    images : array of shape (n, h, w) or (n, h, w, c)
        Grey or RGB, in any range of values.
    rows : list of array of int
        Images of each line; a line shorter than `n_columns` is filled up with white.
    n_columns : int
        Images a line.

    Returns
    -------
    picture : array of float in [0, 1]
    """
    chosen = np.asarray(images[np.concatenate(rows)], dtype=np.float32)
    if chosen.ndim == 4 and chosen.shape[3] != 3:
        chosen = chosen[..., 0]
    low, high = chosen.min(), chosen.max()
    chosen = (chosen - low) / max(high - low, 1e-12)
    height, width = chosen.shape[1:3]
    gap = max(1, height // 14)
    picture = np.ones((len(rows) * (height + gap), n_columns * (width + gap), *chosen.shape[3:]), dtype=np.float32)
    items = iter(chosen)
    for line, members in enumerate(rows):
        for column in range(len(members)):
            top, left = line * (height + gap), column * (width + gap)
            picture[top : top + height, left : left + width] = next(items)
    return picture


def embed(X, n_rows, seed):
    """Sample of the rows in two dimensions: t-SNE of principal components, or these alone for few rows or columns.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, ...)
        Rows; images are flattened.
    n_rows : int
        Largest size of the sample.
    seed : int
        Seed of the sample and of the embedding.

    Returns
    -------
    points : array of shape (m, 2)
    rows : array of shape (m,)
        Which rows were drawn.
    method : str
        ``"t-SNE"`` or ``"PCA"``.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(X.shape[0], min(n_rows, X.shape[0]), replace=False))
    sample = X[rows].toarray() if sparse.issparse(X) else np.asarray(X[rows])
    sample = sample.reshape(len(rows), -1).astype(np.float32)
    components = min(30, *sample.shape)
    sample -= sample.mean(axis=0)
    if components < 3 or len(rows) < 100:
        left, scale, _ = np.linalg.svd(sample, full_matrices=False)
        points = np.zeros((len(rows), 2), dtype=np.float32)
        points[:, : min(2, components)] = (left * scale)[:, :2]
        return points, rows, "PCA"
    reduced = PCA(components, svd_solver="randomized", random_state=seed).fit_transform(sample)
    with threadpool_limits(1, user_api="openmp"):  # its many short loops lose more by waiting than threads gain
        points = TSNE(perplexity=30, init="pca", max_iter=500, random_state=seed).fit_transform(reduced)
    return points, rows, "t-SNE"
