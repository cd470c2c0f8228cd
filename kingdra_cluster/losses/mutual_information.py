"""Mutual information between rows and their clusters, with its sign turned so that less is better."""

from keras import ops

LOG_EPSILON = 1e-16


def _entropy(probabilities):
    return -ops.sum(probabilities * ops.log(probabilities + LOG_EPSILON), axis=-1)


def mutual_information(logits, marginal_weight=4.0):
    """Mean entropy of the rows less the weighted entropy of the mean: sure rows, balanced clusters.

    Parameters
    ----------
    logits : tensor of shape (..., batch, n_clusters)
        Leading axes, if any, hold batches that stay apart.
    marginal_weight : float, default=4.0
        ``mu``, the weight of the entropy of the clusters' shares.

    Returns
    -------
    tensor of shape (...)
        ``mean_b H(p) - mu H(mean_b p)`` in nats; from ``-mu ln K`` (sure and balanced) to 0 for ``mu >= 1``.

    References
    ----------
    Krause, Perona, Gomes, "Discriminative clustering by regularized information maximization", NIPS 2010;
    Gupta, Ramjee, Kwatra, Sivathanu, "Unsupervised clustering using pseudo-semi-supervised learning", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(mutual_information(100.0 * np.eye(10, dtype="float32"))), 4)  # -4 ln 10
    -9.2103
    """
    probabilities = ops.exp(ops.log_softmax(logits, axis=-1))
    shares = ops.mean(probabilities, axis=-2)
    return ops.mean(_entropy(probabilities), axis=-1) - marginal_weight * _entropy(shares)
