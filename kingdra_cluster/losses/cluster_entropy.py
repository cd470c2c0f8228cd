"""How evenly, or how near to known shares, the rows are spread over the clusters."""

import numpy as np
from keras import ops

SMALLEST_SHARE = 1e-8


def cluster_entropy(probabilities, prior=None):
    """Entropy of the clusters' shares; with a prior, how little the shares diverge from it.

    Parameters
    ----------
    probabilities : tensor of shape (..., batch, n_clusters)
        Rows sum to 1.
    prior : (n_clusters,) array, optional
        Expected shares, all positive, in any order: the largest cluster is compared with the largest share and so on,
        since clusters have no names.  None: equal shares.

    Returns
    -------
    tensor of shape (...)
        ``H(mean_b p)`` in nats, shares below 1e-8 counted as 1e-8.  With a prior ``ln K - KL(mean_b p || prior)``,
        which is the same for equal shares and largest, ``ln K``, where the shares are the prior's.

    Raises
    ------
    ValueError
        If `prior` is not one positive share a cluster, summing to 1.

    References
    ----------
    Van Gansbeke et al., "SCAN: learning to classify images without labels", ECCV 2020, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(cluster_entropy(np.eye(10, dtype="float32"))), 4)  # ln 10
    2.3026
    """
    shares = ops.maximum(ops.mean(probabilities, axis=-2), SMALLEST_SHARE)
    surprise = -ops.log(shares)
    if prior is not None:
        prior = np.sort(check_prior(prior, probabilities.shape[-1]))
        ranks = ops.argsort(ops.argsort(shares))
        surprise = surprise + ops.take(np.log(prior * len(prior)).astype("float32"), ranks)
    return ops.sum(shares * surprise, axis=-1)


def check_prior(prior, n_clusters):
    """Return `prior` as a float64 array of `n_clusters` positive shares that sum to 1, or raise `ValueError`."""
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (n_clusters,) or not np.all(shares > 0) or not np.isclose(shares.sum(), 1, rtol=1e-3):
        raise ValueError(
            f"prior must be one positive share for each of the {n_clusters} clusters, summing to 1; received {prior!r}"
        )
    return shares / shares.sum()
