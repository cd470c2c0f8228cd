"""The report's drawings, from the numbers in ``history.jsonl`` and ``exhibits.json``."""

import numpy as np

from experiments.svg import (
    LETTER,
    MARGIN,
    WIDTH,
    circle,
    colour,
    counted,
    drawing,
    legend,
    line,
    percent_grid,
    polyline,
    rect,
    shorten,
    tags,
    text,
)

_DASHES = ("none", "6 3", "2 3", "8 3 2 3")
BARS = 24
FEW = 25  # so many classes or clusters have their names and numbers written into a table of confusion


def rounds_chart(series, n_rounds, shaded=None):
    """Shares by round, counted from 1.

    Parameters
    ----------
    series : list of (str, list of float or None)
        Name and, for each round, a share from 0 to 1.
    n_rounds : int
    shaded : int, optional
        First round with pseudo-labels, counted from 0.

    Returns
    -------
    chart : str
        HTML: the drawing and its legend.
    """
    left, right, top, bottom = MARGIN, WIDTH - 12, 12, 190

    def at(index, share=0.0):
        x = (left + right) / 2 if n_rounds == 1 else left + 14 + (right - left - 28) * index / (n_rounds - 1)
        return x, bottom - (bottom - top) * share

    body = []
    if shaded is not None:
        start = left if shaded == 0 else (at(shaded)[0] + at(shaded - 1)[0]) / 2
        body.append(rect("shade", start, top, right - start, bottom - top))
    body += percent_grid(left, right, top, bottom)
    step = max(1, int(np.ceil(n_rounds / 10)))
    body += [text(at(i)[0], bottom + 15, i + 1, "middle") for i in range(0, n_rounds, step)]
    body.append(text((left + right) / 2, bottom + 30, "round", "middle"))
    for index, (name, values) in enumerate(series):
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        style = colour(index)
        body.append(polyline(f"line {style}", [at(*pair) for pair in known], stroke_dasharray=_DASHES[index % 4]))
        body += [circle(f"dot {style}", *at(i, v), 3.4, f"{name}, round {i + 1}: {100 * v:.1f} %") for i, v in known]
    entries = [(colour(index), name) for index, (name, _) in enumerate(series)]
    entries += [("shade", "trained with pseudo-labels")] if shaded is not None else []
    return drawing(bottom + 36, body, "Shares by round") + legend(entries)


def size_bars(sizes, sure, names, tells_sure=True, limit=BARS):
    """Rows of each cluster, the largest first, and how many of them are sure, where the method tells."""
    order = [int(c) for c in np.argsort(-np.asarray(sizes), kind="stable")[:limit]]
    shown = {cluster: shorten(names[cluster], 16) for cluster in order}
    largest, left, right = max(*sizes, 1), 14 + LETTER * max(map(len, shown.values())), WIDTH - 48
    body = []
    for index, cluster in enumerate(order):
        y = 6 + 18 * index
        whole, part = ((right - left) * value / largest for value in (sizes[cluster], sure[cluster]))
        hint = f"{names[cluster]}: {counted(sizes[cluster], 'row')}" + (
            f", {sure[cluster]:,} sure" if tells_sure else ""
        )
        body.append(text(left - 6, y + 10, shown[cluster], "end"))
        body += [rect("pale", left, y, whole, 13, hint), rect("fill c0", left, y, part, 13, hint)]
        body.append(text(left + whole + 5, y + 10, f"{sizes[cluster]:,}"))
    drawn = drawing(10 + 18 * len(order), body, "Rows of each cluster")
    return drawn + legend([("c0", "sure: with a pseudo-label"), ("pale", "unsure")]) if tells_sure else drawn


def confidence_bars(counts, tells_sure=True):
    """Histogram of the confidence, sure rows, where the method tells, below unsure ones."""
    left, right, top, bottom = 52, WIDTH - 12, 12, 170
    sure, unsure = (np.asarray(counts[name]) for name in ("sure", "unsure"))
    n_bins, largest = len(sure), max(int((sure + unsure).max()), 1)
    width, unit = (right - left) / n_bins, (bottom - top) / largest
    body = [line("axis", (left, bottom), (right, bottom))]
    body += [text(left - 5, y + 4, f"{value:,}", "end") for y, value in ((bottom, 0), (top, largest))]
    for k, (low, high) in enumerate(zip(sure, unsure, strict=True)):
        hint = f"{100 * k / n_bins:.0f} to {100 * (k + 1) / n_bins:.0f} %: "
        hint += f"{counted(low, 'sure row')}, {high:,} unsure" if tells_sure else counted(low, "row")
        x, y = left + k * width + 1, bottom - low * unit
        body.append(rect("fill c0", x, y, width - 2, low * unit, hint))
        body.append(rect("pale", x, y - high * unit, width - 2, high * unit, hint))
    body += _confidence_axis(left, right, bottom)
    drawn = drawing(bottom + 36, body, "Rows by confidence")
    return drawn + legend([("c0", "sure"), ("pale", "unsure")]) if tells_sure else drawn


def reliability_chart(table):
    """Accuracy by confidence; the area of a dot says how many rows."""
    left, right, top, bottom = MARGIN, WIDTH - 12, 12, 250
    body = [*percent_grid(left, right, top, bottom), line("guide", (left, bottom), (right, top))]
    most, points, dots = max(table["rows"]), [], []
    for sure, accuracy, rows in zip(table["confidence"], table["accuracy"], table["rows"], strict=True):
        points.append((left + (right - left) * sure, bottom - (bottom - top) * accuracy))
        hint = f"{counted(rows, 'row')}: {100 * sure:.1f} % sure, {100 * accuracy:.1f} % right"
        dots.append(circle("dot c2", *points[-1], 3 + 6 * np.sqrt(rows / most), hint))
    body += [polyline("line c2", points), *dots, *_confidence_axis(left, right, bottom)]
    entries = [("c2", "share of these rows that is right"), ("guide", "as right as sure")]
    return drawing(bottom + 36, body, "Accuracy by confidence") + legend(entries)


def scatter(points, groups, names, filled=None):
    """Points of a map, each group in its colour with its name at its middle; hollow where not `filled`."""
    groups = np.asarray(groups)
    xy = 10 + (WIDTH - 20) * np.asarray(points, dtype=float)
    filled = np.ones(len(groups), dtype=bool) if filled is None else np.asarray(filled, dtype=bool)
    body = []
    for group in np.unique(groups):
        mine = groups == group
        for style, rows in (("dot", mine & filled), ("ring", mine & ~filled)):
            dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in xy[rows])
            body.append(f'<g class="{style} {colour(group)}">{dots}</g>')
    return drawing(WIDTH, body + tags(xy, groups, names, WIDTH), "Map of the rows")


def core_drawing(graph):
    """The similarity graph's label tuples: circles as large as their rows, lines where members agree."""
    xy = 18 + (WIDTH - 36) * np.asarray(graph["points"], dtype=float)
    counts, clusters, members = np.asarray(graph["counts"]), np.asarray(graph["clusters"]), graph["n_members"]
    body = [
        line("edge", xy[a], xy[b], stroke_opacity=f"{0.7 * (agree / members) ** 2:.2f}")
        for a, b, agree in graph["edges"]
    ]
    for place, rows, core, cluster in zip(xy, counts, graph["cores"], clusters, strict=True):
        where = f"sure rows of cluster {cluster}" if core >= 0 else "not sure"
        hint = f"{counted(rows, 'row')} with the same label from each of {members} members: {where}"
        style = f"dot {colour(cluster)}" if core >= 0 else "hollow"
        body.append(circle(style, *place, 2.5 + 11 * np.sqrt(rows / counts.max()), hint))
    largest = [max(np.flatnonzero(clusters == c), key=counts.__getitem__) for c in np.unique(clusters)]
    names = {int(c): str(c) for c in clusters}
    return drawing(WIDTH, body + tags(xy[largest], clusters[largest], names, WIDTH), "Similarity graph")


def confusion_matrix(table, order, classes):
    """Share of each class that went to each cluster, as shaded cells."""
    n_columns, few = len(order), max(len(table), len(order)) <= FEW
    names = [shorten(name, 15) for name in classes]
    cell, left, top = (26, 16 + LETTER * max(map(len, names)), 22) if few else (11, 8, 8)
    width, height = left + cell * n_columns + 6, top + cell * len(table) + 22
    body = []
    for i, row in enumerate(table):
        y = top + cell * i
        body += [text(left - 6, y + 17, names[i], "end")] if few else []
        for j, share in enumerate(row):
            x, hint = left + cell * j, f"{share:.1f} % of class {classes[i]} in cluster {order[j]}"
            opacity = f"{0.05 + 0.9 * share / 100:.3f}"
            body.append(rect("fill c0", x, y, cell - 1, cell - 1, hint, fill_opacity=opacity))
            if few and share >= 1:
                body.append(text(x + cell / 2, y + 17, f"{share:.0f}", "middle", "dark" if share > 60 else "cell"))
    body += [text(left + cell * (j + 0.5), top - 7, c, "middle") for j, c in enumerate(order)] if few else []
    body.append(text(8, height - 7, "clusters, in the order of their classes"))
    width = max(width, WIDTH)
    least, most = (0 if width <= WIDTH else min(width, 760)), 1.5 * width
    drawn = drawing(height, body, "Classes by cluster", width)
    return f'<div style="min-width:{least}px;max-width:{most:.0f}px">{drawn}</div>'


def _confidence_axis(left, right, bottom):
    ends = ((left, "start", "0"), ((left + right) / 2, "middle", "50"), (right, "end", "100 %"))
    ticks = [text(x, bottom + 15, value, anchor) for x, anchor, value in ends]
    return [*ticks, text((left + right) / 2, bottom + 30, "confidence: largest probability", "middle")]
