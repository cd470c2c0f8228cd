"""How far a noisy pass leaves the clean pass's answer."""

from keras import ops


def noise_consistency(clean_logits, corrupted_logits):
    """Kullback-Leibler divergence of the corrupted answer from the clean one, which is held fixed.

    Parameters
    ----------
    clean_logits, corrupted_logits : tensors of shape (batch, n_clusters)

    Returns
    -------
    scalar tensor
        ``mean_b KL(stop_gradient(p_clean) || p_corrupted)`` in nats; 0 if and only if they agree.

    References
    ----------
    Gupta et al., "Unsupervised clustering using pseudo-semi-supervised learning", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[1.0, 2.0, 3.0]], dtype="float32")
    >>> float(noise_consistency(logits, logits))
    0.0
    """
    target = ops.stop_gradient(ops.log_softmax(clean_logits, axis=-1))
    corrupted = ops.log_softmax(corrupted_logits, axis=-1)
    return ops.mean(ops.sum(ops.exp(target) * (target - corrupted), axis=-1))
