"""Slow oracles, written from the formulas, that the fast code must equal."""

from itertools import permutations

import numpy as np
from scipy.ndimage import zoom


def brute_force_agreement(labels):
    """(n, n) number of members that give each pair of rows the same label."""
    labels = np.asarray(labels)
    agree = np.zeros((labels.shape[1], labels.shape[1]), dtype=int)
    for member in labels:
        agree += member[:, None] == member[None, :]
    return agree


def brute_force_buckets(labels, n_clusters, low, high, takes_part=None):
    """The published labelling rule on the full n x n agreement matrix."""
    agree = brute_force_agreement(labels)
    n_rows = len(agree)
    strong = agree > high
    np.fill_diagonal(strong, True)
    in_play = np.ones(n_rows, dtype=bool) if takes_part is None else takes_part.copy()
    buckets = np.full(n_rows, -1)
    for bucket in range(n_clusters):
        if not in_play.any():
            break
        n_neighbours = np.where(in_play, (strong & in_play).sum(axis=1), -1)
        members = strong[np.argmax(n_neighbours)] & in_play
        buckets[members] = bucket
        in_play &= ~members & ~(agree[members] > low).any(axis=0)
    return buckets


def best_permutation_score(reference, labels, n_clusters, weights=None):
    """Largest weight of rows that any renaming of `labels` can make equal to `reference`, by trying all of them."""
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights)
    both = (reference >= 0) & (labels >= 0)
    return max(
        weights[both & (np.asarray(names)[labels] == reference)].sum() for names in permutations(range(n_clusters))
    )


def round_robin(buckets, n_clusters, n_rows):
    """The balanced labelled set, one entry at a time."""
    rows_of = [np.flatnonzero(buckets == bucket) for bucket in range(n_clusters)]
    taken = [0] * n_clusters
    rows = []
    for entry in range(n_rows):
        bucket = entry % n_clusters
        rows.append(rows_of[bucket][taken[bucket] % len(rows_of[bucket])])
        taken[bucket] += 1
    return np.array(rows, dtype=int)


def calibration_error(confidence, right, n_bins):
    """ECE by a loop over the bins (lower, upper]."""
    total = 0.0
    for b in range(n_bins):
        inside = (confidence > b / n_bins) & (confidence <= (b + 1) / n_bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def synthetic_ensemble(n_rows, n_members=10, n_clusters=10, error_rate=0.15, seed=0):
    """True classes (n_rows,) and labels (n_members, n_rows): random errors, and every member's own names."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, n_clusters, n_rows)
    labels = np.empty((n_members, n_rows), dtype=np.min_scalar_type(n_clusters))
    for member in labels:
        wrong = rng.random(n_rows) < error_rate
        member[:] = rng.permutation(n_clusters)[np.where(wrong, rng.integers(0, n_clusters, n_rows), classes)]
    return classes, labels


def nearest_rows(X, n_neighbors, metric, queries=None):
    """Indices of the nearest rows by a loop, in float64; the lower index where rows are equally near."""
    if metric == "hellinger":
        X, queries = np.sqrt(X), None if queries is None else np.sqrt(queries)
    lengths = np.linalg.norm(X / np.abs(X).max(initial=1e-300), axis=1) * np.abs(X).max(initial=1e-300)
    found = []
    for row, query in enumerate(X if queries is None else queries):
        if metric == "euclidean":
            distances = np.square(X - query).sum(axis=1)
        else:
            both = lengths * np.linalg.norm(query)
            distances = -np.divide(X @ query, both, out=np.zeros(len(X)), where=both > 0)
        if queries is None:
            distances[row] = np.inf
        found.append(np.argsort(distances, kind="stable")[:n_neighbors])
    return np.array(found)


def smooth_images(n=6, height=20, width=24, channels=3, seed=0):
    """Random images with structure, uint8 (n, height, width, channels)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(scale=4, size=(n, height, width, channels))
    for image in images:
        for channel in np.moveaxis(image, -1, 0):
            channel += zoom(rng.integers(0, 256, (5, 6)).astype(float), (height / 5, width / 6), order=3)
    return np.clip(images, 0, 255).astype(np.uint8)
