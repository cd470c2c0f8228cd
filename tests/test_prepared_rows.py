"""Units and offsets of the rows that are searched for neighbours."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kingdra_cluster.neighbors import nearest_neighbors


@pytest.mark.parametrize(
    ("offset", "spread"),
    [([1.2e9, 0, 0], [0, 1, 1]), ([1.7e9, 1.7e9, 1.7e9], [1, 1, 1]), ([1e8, 1e8, 1e8], [1e-3, 1e-3, 1e-3])],
)
def test_a_columns_offset_does_not_matter(offset, spread):
    X = offset + spread * np.random.default_rng(0).standard_normal((300, 3))
    centred = X - np.mean(X, axis=0)
    expected = np.argsort(cdist(centred, centred) + np.diag(np.full(300, np.inf)), axis=1)[:, :5]
    np.testing.assert_array_equal(nearest_neighbors(X, 5, metric="euclidean"), expected)


def test_entries_too_large_to_be_squared_are_refused():
    with pytest.raises(ValueError, match="X must have entries of at most 1e"):
        nearest_neighbors(np.array([[1.5e308], [1e308], [0.0]]), 1, metric="euclidean")
