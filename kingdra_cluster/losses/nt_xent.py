"""Contrast of two views of a row against all other rows of the batch."""

from keras import ops

FAR = -1e9  # the logit of an anchor with itself


def nt_xent(anchors, positives, temperature=0.1):
    """Normalised temperature-scaled cross-entropy as published with SCAN: only first views are anchors.

    Parameters
    ----------
    anchors, positives : tensors of shape (batch, units)
        First and second views of the same rows, every vector of length 1.
    temperature : float, default=0.1

    Returns
    -------
    scalar tensor
        Mean over the anchors of ``-log softmax`` of the second view among all ``2 batch - 1`` other vectors;
        0 for a batch of one row, ``ln(2 batch - 1)`` where all vectors are equal.

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual representations",
    ICML 2020, equation 1 (which also takes second views as anchors).

    Examples
    --------
    >>> import numpy as np
    >>> round(float(nt_xent(np.ones((4, 1), "float32"), np.ones((4, 1), "float32"))), 4)  # ln 7
    1.9459
    """
    with_anchors = ops.matmul(anchors, ops.transpose(anchors)) / temperature
    with_positives = ops.matmul(anchors, ops.transpose(positives)) / temperature
    is_itself = ops.eye(ops.shape(anchors)[0], dtype="bool")
    with_anchors = ops.where(is_itself, ops.cast(FAR, with_anchors.dtype), with_anchors)
    logits = ops.concatenate([with_anchors, with_positives], axis=1)
    return ops.mean(ops.logsumexp(logits, axis=1) - ops.sum(anchors * positives, axis=1) / temperature)
