"""What tells one cluster from the others: typical images, words and texts or columns, doubtful rows, rival clusters."""

import base64
import io

import numpy as np
from scipy import sparse

from experiments.figure_data import strongest_rows

CARDS = 40  # the largest clusters get one
TYPICAL, DOUBTFUL, WORDS, COLUMNS, RIVALS, SNIPPET = 12, 6, 8, 5, 3, 220
SIDE = 64  # larger images are shown smaller


def cluster_cards(data, labels, probabilities, sure, margin):
    """A dictionary a cluster, the largest first, at most `CARDS`; empty clusters get none.

    Parameters
    ----------
    data : experiments.run.Prepared
    labels : array of shape (n,)
    probabilities : array of shape (n, n_clusters)
    sure : array of bool, shape (n,)
        Whether a row has a pseudo-label.
    margin : array of shape (n,)
        Distance of the two largest probabilities.

    Returns
    -------
    cards : list of dict
        ``cluster``, ``rows``, ``sure``, ``confidence``, ``rivals`` (cluster and mean probability), ``doubtful`` rows,
        and ``images``, ``words`` and ``texts``, or ``columns``, by what the items are.
    """
    n_clusters = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=n_clusters)
    chosen = [int(c) for c in np.argsort(-sizes, kind="stable")[:CARDS] if sizes[c]]
    confidence = probabilities.max(axis=1)
    distinctive = _distinctive(data, labels)
    cards = []
    for cluster in chosen:
        rows = np.flatnonzero(labels == cluster)
        card = {"cluster": cluster, "rows": len(rows), "sure": int(sure[rows].sum())}
        card["confidence"] = round(float(confidence[rows].mean()), 4)
        card["rivals"] = _rivals(probabilities[rows].mean(axis=0), cluster)
        doubtful = rows[np.argsort(margin[rows], kind="stable")[:DOUBTFUL]]
        card["doubtful"] = describe_rows(data, doubtful, probabilities)
        cards.append({**card, **distinctive(cluster, rows, confidence)})
    return cards


def describe_rows(data, rows, probabilities):
    """Row numbers with their two likeliest clusters and, by kind, a picture, a text or a file name each."""
    described = []
    for row in np.asarray(rows).tolist():
        best = np.argsort(-probabilities[row], kind="stable")[:2]
        item = {"row": row, "clusters": [[int(c), round(float(probabilities[row, c]), 4)] for c in best]}
        if data.images is not None:
            item["image"] = picture(data.images, row)
        if data.texts is not None:
            item["text"] = snippet(data.texts[row])
        if data.truth is not None:
            item["class"] = int(data.truth[row])
        if data.filenames is not None:
            item["file"] = str(data.filenames[row])
        described.append(item)
    return described


def snippet(text):
    """The beginning of a text on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= SNIPPET else line[: SNIPPET - 1].rstrip() + "…"


def picture(images, row):
    """One image as a data URI, at most `SIDE` pixels wide and high: PNG for small or grey ones, JPEG for photos."""
    from PIL import Image

    low, high = grey_range(images)
    pixels = np.asarray(images[row], dtype=np.float32)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] != 3 else pixels
    pixels = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)
    image = Image.fromarray((255 * pixels).round().astype(np.uint8))
    image.thumbnail((SIDE, SIDE))
    kind = "jpeg" if image.mode == "RGB" and max(image.size) > 40 else "png"
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 82} if kind == "jpeg" else {"optimize": True}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def grey_range(images, n_rows=500):
    """What is black and what is white: 0 and 255 for bytes, else the ends of the first images' values."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    return float(np.min(images[:n_rows])), float(np.max(images[:n_rows]))


def _rivals(mean, cluster):
    """The clusters that get most of what this one's rows leave over."""
    others = [int(c) for c in np.argsort(-mean, kind="stable") if c != cluster and mean[c] >= 0.005]
    return [[other, round(float(mean[other]), 4)] for other in others[:RIVALS]]


def _distinctive(data, labels):
    """Return the function ``(cluster, rows, confidence) -> dict`` that suits the kind of the items."""
    if data.images is not None:
        return lambda cluster, rows, confidence: _typical_images(data, labels, confidence, cluster)
    X = data.X if sparse.issparse(data.X) else np.asarray(data.X).reshape(data.X.shape[0], -1)
    mean = np.asarray(X.mean(axis=0), dtype=np.float64).ravel()
    if data.texts is not None:
        words = _words(data.features)
        return lambda cluster, rows, confidence: _typical_texts(data.texts, X, mean, words, rows)
    spread = _deviation(X, mean)
    return lambda cluster, rows, confidence: {"columns": _unusual_columns(X, mean, spread, rows, data.feature_names)}


def _typical_images(data, labels, confidence, cluster):
    rows = strongest_rows(labels, confidence, cluster, TYPICAL)
    return {"images": [{"row": row, "image": picture(data.images, row)} for row in rows.tolist()]}


def _words(features):
    names = getattr(features, "get_feature_names_out", None)
    return None if names is None else names()


def _typical_texts(texts, X, mean, words, rows):
    """Words that are more frequent here than elsewhere, and the texts nearest to the middle of the cluster."""
    centre = np.asarray(X[rows].mean(axis=0), dtype=np.float64).ravel()
    lengths = np.sqrt(_squares(X[rows]))
    near = np.asarray(X[rows] @ centre).ravel() / np.maximum(lengths, 1e-12)
    chosen = rows[np.argsort(-near, kind="stable")[:3]]
    typical = {"texts": [{"row": int(row), "text": snippet(texts[row])} for row in chosen]}
    if words is not None:
        more = centre - mean
        best = [i for i in np.argsort(-more, kind="stable")[:WORDS] if more[i] > 0]
        typical["words"] = [[str(words[i]), round(float(more[i] / more[best[0]]), 3)] for i in best]
    return typical


def _squares(X):
    return np.asarray(X.multiply(X).sum(axis=1)).ravel() if sparse.issparse(X) else np.square(X).sum(axis=1)


def _deviation(X, mean):
    """Standard deviation of each column."""
    if sparse.issparse(X):
        return np.sqrt(np.maximum(np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2, 0))
    return np.std(X, axis=0, dtype=np.float64)


def _unusual_columns(X, mean, spread, rows, names):
    """Columns whose mean in the cluster is most standard deviations away from the mean of all rows."""
    centre = np.asarray(X[rows].mean(axis=0), dtype=np.float64).ravel()
    away = np.divide(centre - mean, spread, out=np.zeros_like(mean), where=spread > 0)
    best = np.argsort(-np.abs(away), kind="stable")[:COLUMNS]
    return [[f"column {i}" if names is None else str(names[i]), round(float(away[i]), 3)] for i in best]
