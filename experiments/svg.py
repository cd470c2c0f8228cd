"""Pieces of SVG as strings, without any colour: the page's light and dark styles decide.

Drawings are `WIDTH` units wide, about the pixels of a telephone: what can be read there can be read anywhere.
"""

from html import escape

import numpy as np

WIDTH = 360
MARGIN = 40  # left of a grid of percentages: room for "100%" in the wider of the usual fonts
LETTER = 7  # a letter of a name, in such a font
N_COLOURS = 8  # classes c0 ... c7 of the style sheet; they repeat


def drawing(height, body, title, width=WIDTH):
    """An SVG element from its parts, with a title for those who cannot see it."""
    opening = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    return f"{opening}<title>{escape(title)}</title>{''.join(body)}</svg>"


def element(tag, style, hint="", **attributes):
    """An element with numbers to a tenth, and a hint that appears under the pointer."""
    shown = {key.replace("_", "-"): f"{v:.1f}" if isinstance(v, float) else v for key, v in attributes.items()}
    written = "".join(f' {key}="{value}"' for key, value in shown.items())
    inside = f"<title>{escape(hint)}</title>" if hint else ""
    return f'<{tag} class="{style}"{written}>{inside}</{tag}>'


def rect(style, x, y, width, height, hint="", **attributes):
    """A rectangle."""
    return element("rect", style, hint, x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def circle(style, x, y, r, hint=""):
    """A circle."""
    return element("circle", style, hint, cx=float(x), cy=float(y), r=float(r))


def line(style, start, end, **attributes):
    """A straight line between two points."""
    (x1, y1), (x2, y2) = start, end
    return element("line", style, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def polyline(style, points, **attributes):
    """A line through points."""
    return element("polyline", style, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), **attributes)


def text(x, y, content, anchor="start", style="tick"):
    """A text; `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(str(content))}</text>'


def colour(index):
    """Class of the style sheet for a cluster, a line or a class."""
    return f"c{int(index) % N_COLOURS}"


def legend(entries):
    """Names beside swatches, as HTML to go below a drawing: (class, name) pairs."""
    items = "".join(f'<li><i class="{style}"></i>{escape(name)}</li>' for style, name in entries)
    return f'<ul class="legend">{items}</ul>'


def shorten(name, length):
    """A name with an ellipsis where it is longer than `length`."""
    name = str(name)
    return name if len(name) <= length else name[: length - 1] + "…"


def counted(number, noun):
    """A number and what it counts: ``"1 row"``, ``"1,200 rows"``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent_grid(left, right, top, bottom):
    """Horizontal lines at quarters, with their percentages on the left."""
    grid = []
    for share in (0, 25, 50, 75, 100):
        y = bottom - (bottom - top) * share / 100
        grid += [line("grid", (left, y), (right, y)), text(left - 5, y + 4, f"{share}" + "%" * (share == 100), "end")]
    return grid


def tags(points, groups, names, size, limit=40):
    """Name of each group at the middle of its points, pushed apart until none covers another; a line leads back.

    Parameters
    ----------
    points : array of shape (m, 2)
        In units of the drawing, a square of `size`.
    groups : array of int, shape (m,)
    names : mapping or sequence
        Name of each group.
    size : float
    limit : int
        With more groups than this there are no tags at all.

    Returns
    -------
    parts : list of str
    """
    found = np.unique(groups)
    if len(found) > limit:
        return []
    middles = np.array([np.median(points[groups == group], axis=0) for group in found])
    labels = [shorten(names[int(group)], 14) for group in found]
    half = np.array([[LETTER / 2 * len(label) + 6, 8] for label in labels])
    places, leads, boxes = spread(middles, half, size), [], []
    for place, middle, label, (w, h), group in zip(places, middles, labels, half, found, strict=True):
        if np.abs(place - middle).max() > 8:
            leads.append(line(f"lead {colour(group)}", place, middle))
        boxes.append(rect(f"tag {colour(group)}", place[0] - w, place[1] - h, 2 * w, 2 * h, rx=4))
        boxes.append(text(place[0], place[1] + 4, label, "middle", "tagged"))
    return leads + boxes


def spread(middles, half, size, steps=300):
    """Move boxes apart until none overlaps another, inside a square.

    Parameters
    ----------
    middles, half : arrays of shape (m, 2)
        Middles of the boxes and half their widths and heights.
    size : float
        Side of the square.
    steps : int
        Most rounds of moving.

    Returns
    -------
    places : array of shape (m, 2)
    """
    half = np.asarray(half, dtype=float)
    places = np.clip(np.array(middles, dtype=float), half + 1, size - half - 1)
    for _ in range(steps):
        moved = False
        for i in range(1, len(places)):
            for j in range(i):
                gap = places[i] - places[j]
                overlap = half[i] + half[j] + 2 - np.abs(gap)
                if (overlap > 0).all():
                    axis = int(np.argmin(overlap))
                    push = (overlap[axis] / 2 + 0.1) * (1 if gap[axis] >= 0 else -1)
                    places[i, axis] += push
                    places[j, axis] -= push
                    moved = True
        places = np.clip(places, half + 1, size - half - 1)
        if not moved:
            break
    return places
