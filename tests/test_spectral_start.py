import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_moons

from kingdra_cluster.spectral_start import SAMPLE_ROWS, neighbor_graph, spectral_coordinates, spectral_start
from kingdra_cluster.unsup_metrics import ACC

DIGITS = load_digits()


def test_it_follows_the_density_where_k_means_cannot():
    X, y = make_moons(400, noise=0.05, random_state=0)
    rows, classes = spectral_start(X, 2)
    assert ACC(y[rows], classes) == 1.0
    assert ACC(y, KMeans(2, n_init=3, random_state=0).fit_predict(X)) < 0.9


def test_digits_come_out_better_than_with_k_means():
    kmeans = ACC(DIGITS.target, KMeans(10, n_init=3, random_state=0).fit_predict(DIGITS.data))
    found = [spectral_start(DIGITS.data, 10, member=member, n_members=4) for member in range(4)]
    assert np.mean([ACC(DIGITS.target[rows], classes) for rows, classes in found]) > kmeans + 0.03


def test_members_see_other_samples_and_the_seed_decides():
    first, again = (spectral_start(DIGITS.data, 10, member=1, n_members=3, seed=5) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other_member = spectral_start(DIGITS.data, 10, member=2, n_members=3, seed=5)
    other_seed = spectral_start(DIGITS.data, 10, member=1, n_members=3, seed=6)
    assert len(first[0]) == int(0.8 * 1797)
    assert np.all(np.diff(first[0]) > 0)
    for rows, _ in (other_member, other_seed):
        assert len(np.intersect1d(rows, first[0])) < len(rows)


def test_sparse_rows_and_images_are_read_like_dense_ones():
    X = DIGITS.data[:300]
    expected = spectral_start(X, 5, seed=1)
    for same in (sparse.csr_matrix(X), X.reshape(300, 8, 8, 1)):
        rows, classes = spectral_start(same, 5, seed=1)
        np.testing.assert_array_equal(rows, expected[0])
        assert ACC(expected[1], classes) > 0.99


def test_a_sample_is_bounded():
    X = np.random.default_rng(0).normal(size=(3 * SAMPLE_ROWS, 2)).astype("float32")
    assert len(spectral_start(X, 3)[0]) == SAMPLE_ROWS


def test_the_graph_is_symmetric_and_weighs_mutual_neighbours_double():
    graph = neighbor_graph(np.array([[1], [0], [1]])).toarray()
    np.testing.assert_array_equal(graph, [[0, 1, 0], [1, 0, 0.5], [0, 0.5, 0]])


@pytest.mark.parametrize("n", [30, 120])
def test_coordinates_span_the_leading_eigenvectors_of_the_regularised_graph(n):
    rng = np.random.default_rng(n)
    block = np.arange(n) % 4
    affinity = rng.random((n, n)) * (rng.random((n, n)) < np.where(block[:, None] == block, 0.6, 0.05))
    affinity = (affinity + affinity.T) / 2
    degrees = affinity.sum(axis=1)
    degrees = degrees + degrees.mean()
    values, vectors = np.linalg.eigh(affinity / np.sqrt(np.outer(degrees, degrees)))
    expected = vectors[:, np.argsort(-values)[:4]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = spectral_coordinates(sparse.csr_matrix(affinity), 4)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)  # signs and rotations are free


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
@pytest.mark.parametrize("n", [5, 12, 60])
def test_degenerate_rows(n, n_clusters):
    for X in (np.zeros((n, 3)), np.ones((n, 1)), np.eye(n), np.random.default_rng(0).normal(size=(n, 2))):
        for member in (0, 1):
            rows, classes = spectral_start(X, n_clusters, member=member, n_members=2)
            assert len(rows) == len(classes) > 0
            assert 0 <= classes.min() <= classes.max() < n_clusters


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_clusters must be an integer of at least 1 and at most 3, got 4"):
        spectral_start(np.eye(3), 4)
