"""Pictures of one run: PNG files drawn from labels, probabilities and history.  Nothing here computes a result.

Colours are Okabe and Ito's, told apart by colour-blind readers; where there are more clusters than colours they repeat,
and numbers in the picture say which is which.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.figure_data import embed, matched_confusion, mosaic, reliability, strongest_rows

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, "#F0E442", "#000000")
GREY, LIGHT = "#555555", "#BBBBBB"
MARKERS = "o^sDvP*X"
NAMED = 40  # up to so many clusters each gets its tick, row or number
DPI = 130


def draw_all(
    folder,
    *,
    history,
    labels,
    probabilities,
    pseudo_labels,
    X,
    truth=None,
    class_names=None,
    images=None,
    count=None,
    seed=0,
):
    """Draw every picture that the data allows.

    Parameters
    ----------
    folder : path-like
        Where the PNG files go; made if missing.
    history : list of dict
        One record a round: ``round``, ``agreement``, ``pseudo_labelled``, ``supervised`` and, where known, ``acc``
        and ``purity``; without any there is no picture of rounds.
    labels : array of shape (n,)
        Cluster of each row.
    probabilities : array of shape (n, n_clusters)
        Probabilities of the clusters.
    pseudo_labels : array of shape (n,), or None
        Pseudo-label of each row, -1 where it has none; None of a method that does not say which rows are sure.
    X : array or sparse matrix of shape (n, d)
        What was clustered; a sample of it is drawn as a map.
    truth : array of shape (n,), optional
        Class numbers.
    class_names : sequence of str, optional
        Name of each class.
    images : array of shape (n, h, w) or (n, h, w, c), optional
        The items, where they are images.
    count : ClusterCount, optional
        The estimate of the number of clusters.
    seed : int, default=0
        Seed of the map's sample.

    Returns
    -------
    paths : list of Path
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    confidence = np.max(probabilities, axis=1)
    sure = None if pseudo_labels is None else np.asarray(pseudo_labels) >= 0
    n_clusters = np.shape(probabilities)[1]
    figures = {"rounds": rounds(history, len(labels))} if history else {}
    figures |= {
        "cluster_sizes": cluster_sizes(labels, sure, n_clusters),
        "confidence": confidences(confidence, sure, labels, truth),
        "map": map_2d(X, labels, seed),
    }
    if truth is not None:
        figures["confusion"] = confusion(truth, labels, class_names)
    if count is not None:
        figures["cluster_count"] = cluster_count(count)
    if images is not None:
        figures["prototypes"] = prototypes(images, labels, confidence)
    return [_save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def rounds(history, n_rows):
    """Agreement, coverage and, where known, accuracy and purity by round, counted from 1 as in the printed lines."""
    figure, axes = _axes(6.4, 4.0)
    x = [record["round"] + 1 for record in history]
    series = (
        ("agreement of members", BLUE, "o", [record.get("agreement") for record in history]),
        ("rows with a pseudo-label", ORANGE, "s", [record.get("pseudo_labelled", 0) / n_rows for record in history]),
        ("purity of pseudo-labels", PURPLE, "D", [record.get("purity") for record in history]),
        ("accuracy (ACC)", GREEN, "^", [record.get("acc") for record in history]),
    )
    for name, colour, marker, values in series:
        if any(value is not None for value in values):
            y = [np.nan if value is None else 100 * value for value in values]
            axes.plot(x, y, color=colour, marker=marker, label=name, linewidth=1.8, markersize=5)
    supervised = [record["round"] + 1 for record in history if record.get("supervised")]
    if supervised:
        axes.axvspan(supervised[0] - 0.5, x[-1] + 0.5, color="#F2F2F2", zorder=0, label="trained with pseudo-labels")
    axes.set(title="Agreement and pseudo-labels by round", xlabel="round", ylabel="share (%)", ylim=(0, 103))
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return figure


def cluster_count(count):
    """Stability of the communities and their number by resolution, and what was chosen, of a `ClusterCount`."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(count.resolutions, 100 * count.stability, color=BLUE, marker="o", markersize=4)
    upper.set(title=f"Estimated number of clusters: {count.n_clusters}", ylabel="stability (%)", ylim=(0, 103))
    least, most = count.counts.min(axis=1), count.counts.max(axis=1)
    lower.fill_between(count.resolutions, least, most, color=LIGHT, linewidth=0, label="range over six samples")
    lower.plot(count.resolutions, np.median(count.counts, axis=1), color=ORANGE, marker="s", markersize=4)
    lower.axhspan(*count.interval, color=SKY, alpha=0.3, linewidth=0, label="interval")
    lower.axhline(count.n_clusters, color=BLUE, linewidth=1.2, label="estimate")
    lower.set(xscale="log", xlabel="resolution (coarse to fine)", ylabel="communities", ylim=(0, 4 * count.interval[1]))
    lower.legend(frameon=False, fontsize=8)
    for axes in (upper, lower):
        _plain(axes)
    return figure


def confusion(truth, labels, class_names=None):
    """Classes against matched clusters, in percent of each class."""
    table, order = matched_confusion(truth, labels)
    n_classes, n_columns = table.shape
    few = max(n_classes, n_columns) <= 25
    figure, axes = _axes(*((4.2 + 0.32 * n_columns, 3.0 + 0.28 * n_classes) if few else (7.5, 6.5)))
    image = axes.imshow(table, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    figure.colorbar(image, ax=axes, label="share of the class (%)", fraction=0.04, pad=0.02)
    axes.set(title="Classes and the clusters matched to them", xlabel="cluster (matched order)", ylabel="class")
    axes.grid(visible=False)
    if few:
        names = [str(i) for i in range(n_classes)] if class_names is None else [_short(name) for name in class_names]
        axes.set_yticks(range(n_classes), names, fontsize=8)
        axes.set_xticks(range(n_columns), [str(c) for c in order], fontsize=8)
        for i, j in np.argwhere(table >= 1):
            colour = "black" if table[i, j] > 55 else "white"
            axes.text(j, i, f"{table[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    return figure


def cluster_sizes(labels, sure, n_clusters):
    """Rows in each cluster, largest first, and how many of them carry a pseudo-label unless ``sure`` is None."""
    sizes = np.bincount(labels, minlength=n_clusters)
    labelled = sizes if sure is None else np.bincount(labels[sure], minlength=n_clusters)
    order = np.argsort(-sizes, kind="stable")
    figure, axes = _axes(min(10.0, max(6.4, 2.0 + 0.24 * n_clusters)), 3.8)
    x = np.arange(n_clusters)
    width = 0.8 if n_clusters <= NAMED else 1.0
    axes.bar(x, labelled[order], width, color=BLUE, label="with a pseudo-label")
    axes.bar(x, (sizes - labelled)[order], width, bottom=labelled[order], color=LIGHT, label="unsure")
    if n_clusters <= NAMED:
        axes.set_xticks(x, [str(c) for c in order], fontsize=8)
    where = "cluster, largest first" if n_clusters <= NAMED else "rank of the cluster, largest first"
    which = "cluster" if n_clusters == 1 else f"{n_clusters} clusters"
    axes.set(title=f"Size of the {which} ({np.sum(sizes == 0)} empty)", xlabel=where, ylabel="rows")
    axes.grid(visible=False, axis="x")
    if sure is not None:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return figure


def confidences(confidence, sure, labels, truth=None):
    """Histogram of confidence and, where the truth is known, the accuracy at each confidence."""
    figure = Figure(figsize=(6.4 if truth is None else 9.0, 3.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, 1 if truth is None else 2))
    confidence, bins = np.clip(confidence, 0, 1), np.linspace(0, 1, 21)  # float32 may round to more than 1
    if sure is None:
        panels[0].hist(confidence, bins, color=BLUE)
    else:
        names = ["with a pseudo-label", "unsure"]
        panels[0].hist([confidence[sure], confidence[~sure]], bins, stacked=True, color=[BLUE, LIGHT], label=names)
        panels[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    panels[0].set(title="How sure the answer is", xlabel="confidence (largest probability)", ylabel="rows")
    panels[0].set_xlim(0, 1)
    if truth is not None:
        middle, accuracy = reliability(confidence, labels, truth, bins)
        panels[1].plot([0, 1], [0, 100], color=GREY, linestyle="--", linewidth=1, label="as sure as right")
        panels[1].plot(middle, accuracy, color=GREEN, marker="o", label="rows of that confidence")
        panels[1].set(title="How right it is", xlabel="confidence (largest probability)", ylabel="accuracy (%)")
        panels[1].set(xlim=(0, 1), ylim=(0, 103))
        panels[1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    for axes in panels:
        _plain(axes)
    return figure


def map_2d(X, labels, seed=0, n_rows=1000):
    """Rows in two dimensions (a sample of at most `n_rows`), coloured by cluster."""
    points, rows, method = embed(X, n_rows, seed)
    figure, axes = _axes(6.6, 5.8)
    shown = np.unique(labels[rows])
    for k, cluster in enumerate(shown):
        mine = points[labels[rows] == cluster]
        style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k // len(COLOURS) % len(MARKERS)]}
        axes.scatter(*mine.T, s=9, alpha=0.6, linewidths=0, **style)
        if len(shown) <= NAMED:
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": style["color"], "alpha": 0.85}
            axes.text(*np.median(mine, axis=0), str(cluster), ha="center", va="center", fontsize=8, bbox=box)
    repeat = "; colours repeat" if len(shown) > len(COLOURS) else ""
    axes.set(title=f"{len(rows):,} rows by cluster ({method}{repeat})", xticks=[], yticks=[])
    axes.set(xlabel=f"{method} 1 (no unit)", ylabel=f"{method} 2 (no unit)")
    return figure


def prototypes(images, labels, confidence, n_columns=10, n_clusters=20):
    """The surest images of each cluster, a row a cluster; of more than `n_clusters` clusters the largest."""
    clusters, sizes = np.unique(labels, return_counts=True)
    largest = np.sort(clusters[np.argsort(-sizes, kind="stable")[:n_clusters]])
    picture = mosaic(images, [strongest_rows(labels, confidence, cluster, n_columns) for cluster in largest], n_columns)
    figure, axes = _axes(0.62 * n_columns + 0.8, 0.62 * len(largest) + 0.7)
    axes.imshow(picture, cmap="gray", interpolation="nearest", aspect="auto")
    height = picture.shape[0] / len(largest)
    axes.set_yticks((np.arange(len(largest)) + 0.5) * height - 0.5, [str(c) for c in largest])
    of_all = f" ({len(largest)} largest of {len(clusters)} clusters)" if len(clusters) > len(largest) else ""
    axes.set(title=f"Surest images of each cluster{of_all}", xticks=[], ylabel="cluster", xlabel="surest first")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def scores(metrics, path):
    """Draw the scores of several seeds: a dot a seed, a bar at the mean, a panel a score.

    Parameters
    ----------
    metrics : dict of str to list of dict
        For each method its ``{"acc", "nmi", "ari"}`` dictionaries, one a seed.
    path : path-like
        The PNG file.
    """
    figure = Figure(figsize=(9.0, 0.9 + 0.5 * len(metrics)), layout="constrained")
    for axes, score in zip(figure.subplots(1, 3, sharey=True), ("acc", "nmi", "ari"), strict=True):
        for y, values in enumerate(metrics.values()):
            found = [100 * value[score] for value in values]
            axes.barh(y, np.mean(found), color=SKY if y == len(metrics) - 1 else LIGHT, height=0.6)
            axes.plot(found, [y] * len(found), "o", color="black", markersize=4)
            axes.text(120, y, f"{np.mean(found):.1f}", va="center", ha="right", fontsize=8)
        axes.set(title=score.upper(), xlabel="%", xlim=(0, 120), xticks=range(0, 101, 25))
        axes.set_yticks(range(len(metrics)), list(metrics))
        _plain(axes)
        axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    return _save(figure, Path(path))


def _axes(width, height):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes):
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)


def _short(name, length=24):
    return str(name) if len(str(name)) <= length else str(name)[: length - 1] + "…"


def _save(figure, path):
    temporary = path.with_suffix(".part.png")
    figure.savefig(temporary, dpi=DPI)
    temporary.replace(path)
    return path
