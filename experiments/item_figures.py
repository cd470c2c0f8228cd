"""Pictures of the items behind the numbers: prototypes, words, neighbours; and the terms of a loss by epoch."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import sparse

from experiments.figure_data import matched_confusion, mosaic
from experiments.figures import BLUE, GREEN, GREY, NAMED, VERMILION, _axes, _plain, _save, _short
from kingdra_cluster.unsup_metrics import cluster_prototypes

NOT_TERMS = ("head", "clusters", "epoch", "round", "seconds")  # what a history holds beside terms of a loss


def typical_images(images, probabilities, features, truth=None, class_names=None, n_columns=10):
    """One image a cluster: among its ten surest the one whose features are nearest their mean.

    Parameters
    ----------
    images : array of shape (n, h, w) or (n, h, w, c)
    probabilities : array of shape (n, n_clusters)
    features : array of shape (n, n_features)
    truth : array of shape (n,), optional
        Class numbers; a cluster is then named by the class that is matched to it.
    class_names : sequence of str, optional
    n_columns : int, default=10

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    rows = cluster_prototypes(probabilities, features)
    names = _matched_names(truth, np.argmax(probabilities, axis=1), len(rows), class_names)
    n_columns = min(n_columns, len(rows))
    n_lines = -(-len(rows) // n_columns)
    figure = Figure(figsize=(0.95 * n_columns + 0.4, 1.2 * n_lines + 0.5), layout="constrained")
    for axes in figure.subplots(n_lines, n_columns, squeeze=False).ravel():
        axes.set_axis_off()
    for axes, cluster, row, name in zip(figure.axes, range(len(rows)), rows, names, strict=False):
        axes.imshow(mosaic(images, [[row]], 1)[:-1, :-1], cmap="gray", interpolation="nearest")
        axes.set_title(f"{cluster}{name}", fontsize=7)
    figure.suptitle("A typical image of each cluster (its number; the class matched to it)", fontsize=9)
    return figure


def _matched_names(truth, labels, n_clusters, class_names):
    names = [""] * n_clusters
    if truth is not None:
        table, order = matched_confusion(truth, labels)
        for class_number, cluster in zip(range(table.shape[0]), order, strict=False):
            names[cluster] = f": {class_number if class_names is None else _short(class_names[class_number], 12)}"
    return names


def top_words(X, labels, words, n_words=8):
    """Words that a cluster's texts hold more of than all texts do.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, n_words_in_all)
        Such as tf-idf.
    labels : array of shape (n,)
    words : sequence of str
        Name of each column.
    n_words : int, default=8

    Returns
    -------
    words : dict of int to list of (str, float)
        By cluster: the words of the largest mean entry in the cluster less that in all texts, and this difference.
    """
    words, found = np.asarray(words), {}
    everywhere = np.asarray(X.mean(axis=0)).ravel()
    for cluster in np.unique(labels):
        more = np.asarray(X[np.flatnonzero(labels == cluster)].mean(axis=0)).ravel() - everywhere
        best = np.argsort(-more, kind="stable")[:n_words]
        found[int(cluster)] = [(str(words[k]), float(more[k])) for k in best]
    return found


def words_of_clusters(X, labels, words, n_words=8, n_clusters=20):
    """A panel a cluster (of more than `n_clusters` the largest): its `top_words`, as bars."""
    clusters, sizes = np.unique(labels, return_counts=True)
    largest = np.sort(clusters[np.argsort(-sizes, kind="stable")[:n_clusters]])
    found = top_words(X if sparse.issparse(X) else np.asarray(X), labels, words, n_words)
    n_columns = min(5, len(largest))
    n_lines = -(-len(largest) // n_columns)
    figure = Figure(figsize=(2.3 * n_columns, 0.6 + (0.4 + 0.17 * n_words) * n_lines), layout="constrained")
    for axes in figure.subplots(n_lines, n_columns, squeeze=False).ravel()[len(largest) :]:
        axes.set_axis_off()
    for axes, cluster in zip(figure.axes, largest, strict=False):
        names, more = zip(*found[int(cluster)], strict=True)
        axes.barh(range(len(names)), more, color=BLUE, height=0.7)
        axes.set_yticks(range(len(names)), [_short(name, 14) for name in names], fontsize=7)
        axes.set(title=f"cluster {cluster} ({np.sum(labels == cluster):,} texts)", xticks=[])
        axes.title.set_fontsize(8)
        axes.invert_yaxis()
        _plain(axes)
        axes.grid(visible=False)
    figure.suptitle("Words of each cluster: mean entry, less that of all texts (own scale in each panel)", fontsize=9)
    return figure


def loss_terms(history, best=None):
    """A panel a term of the loss, by epoch; of members inside `KingdraCluster`, by round.

    Parameters
    ----------
    history : list of dict
        ``history_`` of a mode, an entry an epoch; or of a `KingdraCluster`, whose entries hold ``losses``.
    best : int, optional
        Index of the epoch that is kept: it is marked.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    by_round = "losses" in history[0]
    records = [record["losses"] if by_round else record for record in history]
    found = {name: value for record in records for name, value in record.items()}
    names = [name for name, value in found.items() if name not in NOT_TERMS and isinstance(value, (int, float))]
    n_columns = min(3, len(names))
    n_lines = -(-len(names) // n_columns)
    figure = Figure(figsize=(3.2 * n_columns, 0.4 + 2.1 * n_lines), layout="constrained")
    for axes in figure.subplots(n_lines, n_columns, squeeze=False).ravel()[len(names) :]:
        axes.set_axis_off()
    x = np.arange(1, len(records) + 1)
    marker = "o" if len(records) <= NAMED else None
    for axes, name in zip(figure.axes, names, strict=False):
        values = [record.get(name, np.nan) for record in records]
        axes.plot(x, values, color=BLUE, marker=marker, markersize=3, linewidth=1.5)
        if best is not None:
            axes.axvline(x[best], color=GREY, linestyle="--", linewidth=1)
        axes.set(title=name.replace("_", " "), xlabel="round" if by_round else "epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain(axes)
    kept = "" if best is None else f"; epoch {best + 1}, dashed, is kept"
    figure.suptitle(f"Loss and its terms, weighted, in nats{kept}", fontsize=10)
    return figure


def draw_losses(folder, stages):
    """Draw ``loss_<stage>.png`` for each fitted stage (dict by name) that kept its losses; return the paths."""
    folder, paths = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    for name, estimator in stages.items():
        history = getattr(estimator, "history_", None) or [{}]
        if "loss" in history[0] or history[0].get("losses"):
            figure = loss_terms(history, getattr(estimator, "best_epoch_", None))
            paths.append(_save(figure, folder / f"loss_{name}.png"))
    return paths


def neighbors_of_rows(images, rows, neighbors, truth=None):
    """A line for each of some rows: its image, then its neighbours, nearest first.

    Parameters
    ----------
    images : array of shape (n, h, w) or (n, h, w, c)
    rows : sequence of m int
        Which rows to show.
    neighbors : array of shape (m, n_neighbors)
        Rows near each of them.
    truth : array of shape (n,), optional
        Classes; neighbours of another class than the row's get a red frame, those of its own a green one.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    rows, neighbors = np.asarray(rows), np.asarray(neighbors)
    shown = np.concatenate([rows[:, None], neighbors], axis=1)
    picture = mosaic(images, list(shown), shown.shape[1])
    figure, axes = _axes(0.6 * shown.shape[1] + 0.8, 0.6 * len(rows) + 0.7)
    axes.imshow(picture, cmap="gray", interpolation="nearest", aspect="auto")
    height, width = picture.shape[0] / len(rows), picture.shape[1] / shown.shape[1]
    if truth is not None:
        for (line, column), neighbor in np.ndenumerate(neighbors):
            colour = GREEN if truth[neighbor] == truth[rows[line]] else VERMILION
            corner = ((column + 1) * width - 0.5, line * height - 0.5)
            axes.add_patch(Rectangle(corner, width - 1.5, height - 1.5, fill=False, edgecolor=colour, linewidth=1.6))
    axes.set_yticks((np.arange(len(rows)) + 0.5) * height - 0.5, [str(row) for row in rows])
    frames = "" if truth is None else " (green: of the same class)"
    axes.set(title=f"Rows and their nearest neighbours{frames}", xticks=[], ylabel="row")
    axes.set_xlabel("the row, then its neighbours, nearest first")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
