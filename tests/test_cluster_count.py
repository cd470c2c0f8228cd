"""The number of clusters, where it is known."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits, make_blobs

from kingdra_cluster.cluster_count import RESOLUTIONS, SAMPLES, _choose, estimate_n_clusters


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_groups_that_anybody_can_tell_apart_are_counted(n_clusters):
    X, _ = make_blobs(600, centers=n_clusters, n_features=6, center_box=(-30, 30), random_state=1)
    found = estimate_n_clusters(X)
    assert found.n_clusters == n_clusters
    assert found.interval[0] <= n_clusters <= found.interval[1]
    assert found.stability.max() == pytest.approx(1.0)
    assert found.counts.shape == (len(RESOLUTIONS), SAMPLES)


def test_noise_has_no_clusters():
    found = estimate_n_clusters(np.random.default_rng(0).normal(size=(1500, 8)))
    assert (found.n_clusters, found.interval) == (1, (1, 1))


def test_digits_are_about_ten():
    found = estimate_n_clusters(load_digits().data)
    assert 9 <= found.n_clusters <= 12
    assert found.interval[0] <= 10 <= found.interval[1]


@pytest.mark.parametrize("X", [np.zeros((30, 2)), np.zeros((300, 2)), np.eye(5), np.zeros((1, 1))])
def test_degenerate_rows(X):
    assert estimate_n_clusters(X).n_clusters == 1


@pytest.mark.parametrize("wrap", [np.asarray, csr_matrix, np.ndarray.tolist])
def test_no_more_clusters_than_distinct_rows(wrap):
    found = estimate_n_clusters(wrap(np.repeat(np.eye(3), 100, axis=0)))
    assert found.n_clusters == 3
    assert found.interval[1] <= 3


@pytest.mark.parametrize(
    ("X", "seed", "message"),
    [(np.zeros((0, 2)), 0, "0 sample"), ([["a"]], 0, "string"), (np.zeros((9, 2)), None, "seed")],
)
def test_bad_input_is_named(X, seed, message):
    with pytest.raises((TypeError, ValueError), match=message):
        estimate_n_clusters(X, seed=seed)


def test_the_finest_of_the_high_peaks_is_taken():
    stability = np.array([0.7, 0.95, 0.6, 0.88, 0.86, 0.3])
    counts = np.repeat([[2], [3], [5], [7], [8], [20]], 4, axis=1)
    found = _choose(np.arange(6.0), counts, stability)
    assert (found.n_clusters, found.interval) == (7, (7, 8))
    assert _choose(np.arange(6.0), counts, stability - np.array([0, 0, 0, 0.1, 0.1, 0])).n_clusters == 3
    assert _choose(np.arange(6.0), counts, stability / 4).n_clusters == 1
    assert _choose(np.arange(6.0), np.ones_like(counts), stability).n_clusters == 1
