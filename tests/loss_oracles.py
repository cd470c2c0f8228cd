"""The matching losses written as loops, in float64, from their formulas."""

import math

import numpy as np


def softmax(logits):
    """Probabilities of rows of logits, float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def dot(first, second):
    """Sum of the products of two vectors' entries."""
    return sum(float(a) * float(b) for a, b in zip(first, second, strict=True))


def slow_nt_xent(first, second, temperature):
    """Each first view among all vectors but itself."""
    total, batch = 0.0, len(first)
    for i in range(batch):
        others = [first[j] for j in range(batch) if j != i] + list(second)
        exponentials = [math.exp(dot(first[i], other) / temperature) for other in others]
        total -= math.log(math.exp(dot(first[i], second[i]) / temperature) / sum(exponentials))
    return total / batch


def slow_consistency(anchors, positives):
    """Mean of -log p . q."""
    return -sum(math.log(dot(p, q)) for p, q in zip(anchors, positives, strict=True)) / len(anchors)


def slow_entropy(probabilities, prior=None):
    """Entropy of the mean row, or what it diverges from a prior by, both in order of size, counted from ln K."""
    n_clusters = len(probabilities[0])
    shares = [sum(row[k] for row in probabilities) / len(probabilities) for k in range(n_clusters)]
    if prior is None:
        return -sum(p * math.log(p) for p in shares)
    return math.log(n_clusters) - sum(p * math.log(p / q) for p, q in zip(sorted(shares), sorted(prior), strict=True))


def slow_class_matching(anchors, positives):
    """Each cluster's column among all columns of the other answer."""
    n_clusters = len(anchors[0])
    columns = [[np.asarray(rows)[:, k] for k in range(n_clusters)] for rows in (anchors, positives)]
    first, second = ([c / max(math.sqrt(dot(c, c)), 1e-12) for c in side] for side in columns)
    total = 0.0
    for k in range(n_clusters):
        total -= dot(first[k], second[k]) - math.log(sum(math.exp(dot(first[k], other)) for other in second))
    return total / n_clusters


def slow_batch_nearest(features):
    """Nearest other row of each row."""
    nearest = []
    for i, row in enumerate(features):
        distances = {j: dot(row - other, row - other) for j, other in enumerate(features) if j != i}
        nearest.append(min(distances, key=distances.get, default=0))
    return nearest


def slow_self_labelling(weak_logits, strong_logits, threshold, class_balancing):
    """Weighted cross-entropy of the sure rows."""
    weak, strong = softmax(weak_logits), softmax(strong_logits)
    sure = [i for i in range(len(weak)) if weak[i].max() > threshold]
    labels = {i: int(weak[i].argmax()) for i in sure}
    total = weights = 0.0
    for i in sure:
        same = sum(labels[j] == labels[i] for j in sure)
        weight = len(sure) / same if class_balancing else 1.0
        total -= weight * math.log(strong[i][labels[i]])
        weights += weight
    return total / weights if sure else 0.0
