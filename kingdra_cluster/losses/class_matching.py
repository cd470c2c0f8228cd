"""Class-level contrast: does a cluster take the same rows of the batch in both answers?"""

from keras import ops

SMALLEST_LENGTH = 1e-12


def class_matching(anchor_probabilities, positive_probabilities):
    """Cross-entropy of each cluster's rows finding the same cluster's among all clusters' of the other answer.

    Parameters
    ----------
    anchor_probabilities, positive_probabilities : tensors of shape (..., batch, n_clusters)
        Rows sum to 1.

    Returns
    -------
    tensor of shape (...)
        Mean over clusters of ``-log softmax`` of the diagonal of ``A^T Q``, the columns of A and Q divided by their
        length over the batch (a column of zeros stays as it is); ``ln(1 + (K - 1) / e)`` for equal, balanced one-hot
        rows, ``ln K`` for uniform ones.

    References
    ----------
    Dang, Deng, Yang, Wei, Huang, "Nearest neighbor matching for deep clustering", CVPR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(class_matching(np.eye(10, dtype="float32"), np.eye(10, dtype="float32"))), 6)
    1.46115
    """
    columns = ops.swapaxes(_unit_columns(anchor_probabilities), -1, -2)
    similarity = ops.matmul(columns, _unit_columns(positive_probabilities))
    return ops.mean(ops.logsumexp(similarity, axis=-1) - ops.diagonal(similarity, axis1=-2, axis2=-1), axis=-1)


def _unit_columns(probabilities):
    squared = ops.sum(ops.square(probabilities), axis=-2, keepdims=True)
    return probabilities * ops.rsqrt(ops.maximum(squared, SMALLEST_LENGTH**2))
