"""The nearest other row of a batch."""

from keras import ops


def batch_nearest(features):
    """Return the position in the batch of every row's nearest other row, by Euclidean distance.

    Parameters
    ----------
    features : tensor of shape (batch, units)

    Returns
    -------
    int tensor of shape (batch,)
        A row is left out by its position, not by its rank, so that a duplicate is found; of equally near rows the
        first.  In a batch of one row, 0.  No gradient flows.

    Examples
    --------
    >>> import numpy as np
    >>> [int(row) for row in batch_nearest(np.array([[0.0], [1.0], [3.0], [3.0]], "float32"))]
    [1, 0, 3, 2]
    """
    features = ops.stop_gradient(features)
    centred = features - ops.mean(features, axis=0, keepdims=True)  # distances stay, products get smaller
    half_squares = 0.5 * ops.sum(ops.square(centred), axis=1)
    scores = ops.matmul(centred, ops.transpose(centred)) - half_squares[None, :]
    is_itself = ops.eye(ops.shape(features)[0], dtype="bool")
    return ops.argmax(ops.where(is_itself, ops.cast(float("-inf"), scores.dtype), scores), axis=1)
