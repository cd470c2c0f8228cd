"""Do a row and its neighbour get the same answer?"""

from keras import ops

SMALLEST = 1e-37  # a float32 that is not yet denormal
LOG_OF_NOTHING = -100.0


def neighbor_consistency(anchor_probabilities, positive_probabilities):
    """Mean negative logarithm of the probability that both get the same cluster.

    Parameters
    ----------
    anchor_probabilities, positive_probabilities : tensors of shape (..., batch, n_clusters)
        Rows sum to 1.

    Returns
    -------
    tensor of shape (...)
        ``mean_b -log(p_b . q_b)``, an entry being 100 where ``p . q`` is next to 0; 0 only for equal one-hot rows.

    References
    ----------
    Van Gansbeke, Vandenhende, Georgoulis, Proesmans, Van Gool, "SCAN: learning to classify images without labels",
    ECCV 2020, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(neighbor_consistency(np.full((3, 10), 0.1, "float32"), np.eye(3, 10, dtype="float32"))), 4)  # ln 10
    2.3026
    """
    agreement = ops.sum(anchor_probabilities * positive_probabilities, axis=-1)
    logs = ops.log(ops.maximum(agreement, SMALLEST))
    return -ops.mean(ops.where(agreement > SMALLEST, logs, LOG_OF_NOTHING), axis=-1)
