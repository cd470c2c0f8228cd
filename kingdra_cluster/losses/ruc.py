"""The targets and the three terms of RUC, robust learning from a clustering that is partly wrong.

A batch has a mask of its clean rows, so that all clean, all noisy and anything between have one shape; a mean over
no rows is 0.
"""

from keras import ops


def sharpen(probabilities, temperature=0.5):
    """Raise probabilities (..., n_clusters) to the power ``1 / temperature`` and let each row sum to 1 again.

    Examples
    --------
    >>> import numpy as np
    >>> sharpen(np.array([[0.5, 0.3, 0.2]])).numpy().round(4).tolist()
    [[0.6579, 0.2368, 0.1053]]
    """
    largest = ops.max(probabilities, axis=-1, keepdims=True)
    powers = ops.power(probabilities / largest, 1.0 / temperature)  # the largest is 1: they never all underflow
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def co_refine(labels, helper_probabilities, weight, temperature=0.5):
    """Targets of clean rows: the label, corrected by the other network as far as that is sure.

    Parameters
    ----------
    labels : tensor of shape (batch, n_clusters)
        One-hot.
    helper_probabilities : tensor of shape (batch, n_clusters)
        The other network's answer for the rows as they are.
    weight : tensor of shape (batch,)
        From 0, the label alone, to 1, the other network alone.
    temperature : float, default=0.5

    Returns
    -------
    tensor of shape (batch, n_clusters)
        Rows sum to 1.

    References
    ----------
    Park et al., "Improving unsupervised image clustering with robust learning", CVPR 2021, equation 4.
    """
    weight = ops.expand_dims(weight, -1)
    return sharpen((1.0 - weight) * labels + weight * helper_probabilities, temperature)


def co_guess(answers, temperature=0.5):
    """Targets of noisy rows: the sharpened mean of several answers (batch, n_clusters) for them.

    References
    ----------
    Park et al., CVPR 2021, equation 5.
    """
    return sharpen(sum(answers) / len(answers), temperature)


def masked_mean(values, mask):
    """Mean of the values (batch,) where the mask (batch,) is 1; 0, without gradient, where it is 1 nowhere."""
    mask = ops.cast(mask, values.dtype)
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)


def soft_cross_entropy(logits, targets, mask):
    """Mean over the masked rows of the cross-entropy with soft targets.

    Parameters
    ----------
    logits, targets : tensors of shape (batch, n_clusters)
        No gradient flows into the targets.
    mask : tensor of shape (batch,)
        1 for the rows that count, 0 for the rest.

    Returns
    -------
    scalar tensor
        In nats.
    """
    entropy = -ops.sum(ops.stop_gradient(targets) * ops.log_softmax(logits, axis=-1), axis=-1)
    return masked_mean(entropy, mask)


def squared_error(logits, targets, mask):
    """Mean over the masked rows and all clusters of ``(p - t)^2``; arguments of `soft_cross_entropy`.

    Returns
    -------
    scalar tensor
        In [0, 2 / n_clusters].
    """
    distance = ops.square(ops.exp(ops.log_softmax(logits, axis=-1)) - ops.stop_gradient(targets))
    return masked_mean(ops.mean(distance, axis=-1), mask)


def label_smoothed_cross_entropy(logits, labels, mask, smoothing=0.5):
    """Cross-entropy with ``1 - smoothing`` on the label and the rest spread evenly over the other clusters.

    Parameters
    ----------
    logits : tensor of shape (batch, n_clusters)
    labels : tensor of shape (batch, n_clusters)
        One-hot.
    mask : tensor of shape (batch,)
    smoothing : float, default=0.5

    Returns
    -------
    scalar tensor
        With ``smoothing`` 0.5 at least ``ln 2 + ln(n_clusters - 1) / 2``.
    """
    others = max(logits.shape[-1] - 1, 1)
    targets = (1.0 - smoothing) * labels + smoothing / others * (1.0 - labels)
    return soft_cross_entropy(logits, targets, mask)


def ramp(epoch, length=200.0):
    """Share of its final weight that the noisy part has: ``epoch / length``, at least 0.1 and at most 1.

    Parameters
    ----------
    epoch : tensor or float
        Epochs trained so far, fractions of one included.
    length : float, default=200.0
    """
    return ops.clip(ops.convert_to_tensor(epoch, "float32") / length, 0.1, 1.0)
