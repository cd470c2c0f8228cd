"""Nearest-neighbour matching: the pairs of a batch and the terms of the loss over them."""

from keras import ops

from kingdra_cluster.losses.class_matching import class_matching
from kingdra_cluster.losses.cluster_entropy import cluster_entropy
from kingdra_cluster.losses.neighbor_consistency import neighbor_consistency


def local_pairs(anchor_probabilities, neighbor_probabilities, augmented_probabilities, nearest):
    """Return anchors and positives: each row with its mined neighbour, its second view with its nearest in the batch.

    Parameters
    ----------
    anchor_probabilities, neighbor_probabilities, augmented_probabilities : tensors of shape (..., batch, n_clusters)
        Of a view of each row, of a view of one of its mined neighbours and of a second view of the row.
    nearest : int tensor of shape (batch,)
        Position of each row's nearest other row: see `batch_nearest`.

    Returns
    -------
    two tensors of shape (..., 2 batch, n_clusters)
    """
    anchors = ops.concatenate([anchor_probabilities, augmented_probabilities], axis=-2)
    matched = ops.take(anchor_probabilities, nearest, axis=-2)
    positives = ops.concatenate([neighbor_probabilities, matched], axis=-2)
    return anchors, positives


def nnm_terms(anchors, positives, global_nearest=None, prior=None):
    """Return the terms of nearest-neighbour matching, by name, unweighted.

    Parameters
    ----------
    anchors, positives : tensors of shape (..., pairs, n_clusters)
        Probabilities, as `local_pairs` returns them; axes before these two, such as one of heads, are kept.
    global_nearest : tensor of shape (..., batch, n_clusters), optional
        Probabilities of each row's nearest other row of the whole data set; ``pairs`` is a multiple of ``batch``.
    prior : (n_clusters,) array, optional
        See `cluster_entropy`.

    Returns
    -------
    dict of tensors of shape (...)
        ``consistency``, ``class_matching``, ``entropy`` (to be made large) and, given `global_nearest`,
        ``global_consistency`` and ``global_class_matching`` of anchors and positives both.

    References
    ----------
    Dang, Deng, Yang, Wei, Huang, "Nearest neighbor matching for deep clustering", CVPR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> uniform = np.full((6, 10), 0.1, dtype="float32")
    >>> {name: round(float(value), 4) for name, value in nnm_terms(uniform, uniform).items()}  # ln 10
    {'consistency': 2.3026, 'class_matching': 2.3026, 'entropy': 2.3026}
    """
    terms = {
        "consistency": neighbor_consistency(anchors, positives),
        "class_matching": class_matching(anchors, positives),
        "entropy": cluster_entropy(anchors, prior),
    }
    if global_nearest is not None:
        both = ops.concatenate([anchors, positives], axis=-2)
        times = ops.shape(both)[-2] // ops.shape(global_nearest)[-2]
        matched = ops.tile(global_nearest, (*[1] * (len(both.shape) - 2), times, 1))
        terms["global_consistency"] = neighbor_consistency(both, matched)
        terms["global_class_matching"] = class_matching(both, matched)
    return terms
