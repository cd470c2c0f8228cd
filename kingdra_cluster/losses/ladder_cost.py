"""What a ladder's decoder fails to restore, layer by layer."""

from keras import ops


def ladder_cost(clean, reconstructed, costs):
    """Weighted squared error between the clean pass and the decoder, one term a layer.

    Parameters
    ----------
    clean, reconstructed : sequences of tensors of shape (batch, units_l), l = 0 ... L
        Pre-activations of the clean pass (the input first) and the decoder's estimates of them.
        The gradient flows into both.
    costs : sequence of float
        Weight of each layer.

    Returns
    -------
    list of scalar tensors
        ``cost_l mean_b sum_j (zhat_lj - z_lj)^2 / units_l``; their sum is the ladder cost.

    References
    ----------
    Rasmus et al., "Semi-supervised learning with ladder networks", NIPS 2015, equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> zeros, twos = np.zeros((3, 5), "float32"), np.full((3, 5), 2, "float32")
    >>> [float(term) for term in ladder_cost([zeros], [twos], [10.0])]
    [40.0]
    """
    return [
        cost * mean_square(estimate - target)
        for cost, target, estimate in zip(costs, clean, reconstructed, strict=True)
    ]


@ops.custom_gradient
def mean_square(values):
    """Return the mean of the squares of all entries; its gradient is written out, one pass over the entries."""
    size = ops.cast(ops.size(values), values.dtype)

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        return upstream * (2.0 / size) * values

    return ops.sum(ops.square(values)) / size, gradient
