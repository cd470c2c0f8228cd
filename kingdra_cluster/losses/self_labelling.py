"""Learning from one's own sure answers: a weak view's label is the strong view's target."""

from keras import ops


def sure_labels(weak_logits, threshold=0.99):
    """Return the labels of the rows and which of them are sure, as targets that no gradient flows into.

    Parameters
    ----------
    weak_logits : tensor of shape (batch, n_clusters)
    threshold : float, default=0.99
        A row is sure if its largest probability is above this.

    Returns
    -------
    labels : int tensor of shape (batch,)
    is_sure : bool tensor of shape (batch,)
    """
    weak_logits = ops.stop_gradient(weak_logits)
    probabilities = ops.exp(ops.log_softmax(weak_logits, axis=-1))
    return ops.argmax(probabilities, axis=-1), ops.max(probabilities, axis=-1) > threshold


def self_labelling(weak_logits, strong_logits, threshold=0.99, class_balancing=True):
    """Cross-entropy of the strong views of sure rows against the labels of their weak views.

    Parameters
    ----------
    weak_logits, strong_logits : tensors of shape (batch, n_clusters)
        Of two views of the same rows; the gradient flows into the strong one's only.
    threshold : float, default=0.99
        See `sure_labels`.
    class_balancing : bool, default=True
        Weight each sure row by ``n_sure / (sure rows of its label)``, so that all labels count alike.

    Returns
    -------
    scalar tensor
        Weighted mean over the sure rows; 0 where there are none.

    References
    ----------
    Van Gansbeke et al., "SCAN: learning to classify images without labels", ECCV 2020, section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> weak, strong = 20 * np.eye(4, dtype="float32"), np.zeros((4, 4), "float32")
    >>> round(float(self_labelling(weak, strong)), 4), float(self_labelling(strong, weak))  # ln 4, none sure
    (1.3863, 0.0)
    """
    labels, is_sure = sure_labels(weak_logits, threshold)
    weights = ops.cast(is_sure, strong_logits.dtype)
    targets = ops.one_hot(labels, strong_logits.shape[-1], dtype=strong_logits.dtype)
    if class_balancing:
        counts = ops.sum(targets * weights[:, None], axis=0)
        weights = weights / ops.maximum(ops.take(counts, labels), 1)  # n_sure cancels out below
    errors = -ops.sum(targets * ops.log_softmax(strong_logits, axis=-1), axis=-1)
    return ops.sum(weights * errors) / ops.maximum(ops.sum(weights), 1e-6)
