"""Where a member starts from: a spectral clustering of the nearest-neighbour graph of its own sample of rows.

Networks that start from nothing find the clusters' balance before they find the clusters.  A normalised cut of the
graph of nearest neighbours is the other way round: it follows the density of the rows and asks for no balance.  Each
member cuts another sample, with other numbers of neighbours and eigenvectors, so that the members err differently.
"""

import warnings

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from kingdra_cluster.checks import check_integer
from kingdra_cluster.neighbors import nearest_neighbors

SAMPLE_ROWS = 4000  # at most: a cut of more rows costs more and was no better
SAMPLE_SHARE = 0.8  # at most, so that small data too gives every member another sample
NEIGHBORS = (7, 10, 15, 20)  # of one member after the other
FEW_ROWS = 50  # with fewer rows every member sees them all
TOLERANCE = 1e-4  # of the eigenvectors


def spectral_start(X, n_clusters, *, member=0, n_members=1, seed=0):
    """Cluster one member's sample of rows.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
        Images are read as rows of pixels.
    n_clusters : int
        At most n.
    member, n_members : int
        Which member of how many: the first uses ``n_clusters`` eigenvectors, the last twice as many.
    seed : int
        Drives the samples; members draw apart.

    Returns
    -------
    rows : (m,) int
        The sample as rows of X, ascending.
    classes : (m,) int
        The cluster of each, from 0 to ``n_clusters - 1``.

    Examples
    --------
    >>> X = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> rows, classes = spectral_start(X, 2)
    >>> len(set(classes[:20])), len(set(classes[20:])), classes[0] != classes[-1]
    (1, 1, np.True_)
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1, X.shape[0])
    generator = np.random.default_rng([seed, member])
    rows = _sample(generator, X.shape[0], n_clusters)
    if n_clusters == 1:
        return rows, np.zeros(len(rows), dtype=np.intp)
    sample = X[rows]
    if not sparse.issparse(sample):
        sample = np.asarray(sample).reshape(len(rows), -1)
    n_neighbors = min(NEIGHBORS[member % len(NEIGHBORS)], len(rows) - 1)
    width = n_clusters + round(n_clusters * member / max(n_members - 1, 1))
    cluster = KMeans(n_clusters, n_init=3, random_state=int(generator.integers(2**31)))
    with threadpool_limits(1), warnings.catch_warnings():  # one thread: the same bits in every process
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that are all alike have fewer clusters
        graph = neighbor_graph(nearest_neighbors(sample, n_neighbors, metric="euclidean"))
        coordinates = spectral_coordinates(graph, min(width, len(rows)))
        return rows, cluster.fit_predict(coordinates).astype(np.intp)


def neighbor_graph(neighbors):
    """Return the symmetric graph of nearest neighbours.

    Parameters
    ----------
    neighbors : (n, n_neighbors) int

    Returns
    -------
    CSR matrix (n, n) of float64
        1 where both rows are among each other's neighbours, 1/2 where one is, else nothing.
    """
    n, k = neighbors.shape
    ends = (np.repeat(np.arange(n), k), np.ravel(neighbors))
    directed = sparse.csr_matrix((np.full(n * k, 0.5), ends), shape=(n, n))
    return (directed + directed.T).tocsr()


def spectral_coordinates(graph, n_coordinates):
    """Return the rows of the leading eigenvectors of a graph's normalised adjacency, each of length 1.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        Symmetric, without negative entries.
    n_coordinates : int
        At most n.

    Returns
    -------
    (n, n_coordinates) float64

    Notes
    -----
    The mean degree is added to every degree, as if each row had faint edges to all others: without it, stray rows
    that hang on the graph by a thread make eigenvectors, and clusters, of their own.  The eigenvectors' rows are
    scaled to length 1.

    References
    ----------
    Ng, Jordan, Weiss, "On spectral clustering: analysis and an algorithm", NIPS 2001.
    Qin, Rohe, "Regularized spectral clustering under the degree-corrected stochastic blockmodel", NIPS 2013.
    """
    n = graph.shape[0]
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    roots = sparse.diags(1.0 / np.sqrt(degrees + degrees.mean()))
    normalised = (roots @ graph @ roots).tocsr()
    if n <= max(FEW_ROWS, 2 * n_coordinates + 1):
        vectors = eigh(normalised.toarray(), subset_by_index=[n - n_coordinates, n - 1])[1]
    else:
        start = np.random.default_rng(0).normal(size=n)  # not the vector of ones, which one eigenvector nearly is
        vectors = eigsh(normalised, k=n_coordinates, v0=start, tol=TOLERANCE)[1]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _sample(generator, n, n_clusters):
    """Return ascending indices of a member's rows, at least twice as many as clusters where there are as many."""
    size = n if n <= FEW_ROWS else int(min(SAMPLE_SHARE * n, SAMPLE_ROWS))
    size = min(n, max(size, 2 * n_clusters, FEW_ROWS))
    return np.sort(generator.choice(n, size=size, replace=False))
