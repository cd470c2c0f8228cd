"""The clusterers that people use instead of ours, each a function of rows, a number of clusters and a seed.

This file runs in whatever environment has the peer: it imports NumPy and that peer only (ours: this package).

    PYTHON peer_methods.py METHOD ROWS.npz N_CLUSTERS SEED ANSWER.npz
"""

import contextlib
import json
import sys
import time

import numpy as np

COMPONENTS = 50  # of PCA, before a full-covariance mixture


def kmeans(X, n_clusters, seed):
    """scikit-learn's k-means, the best of 10 starts."""
    from sklearn.cluster import KMeans

    return lambda: KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)


def gaussian_mixture(X, n_clusters, seed):
    """scikit-learn's mixture with full covariances, on 50 principal components where there are more columns."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    def fit():
        rows = PCA(COMPONENTS, random_state=seed).fit_transform(X) if min(X.shape) > COMPONENTS else X
        return GaussianMixture(n_clusters, n_init=3, reg_covar=1e-4 * rows.var(), random_state=seed).fit_predict(rows)

    return fit


def spectral(X, n_clusters, seed):
    """scikit-learn's spectral clustering of the graph of 10 nearest neighbours."""
    from sklearn.cluster import SpectralClustering

    return lambda: SpectralClustering(n_clusters, affinity="nearest_neighbors", random_state=seed).fit_predict(X)


def umap_hdbscan(X, n_clusters, seed):
    """UMAP to 10 dimensions, then HDBSCAN with clusters of at least 1 %: its own number of clusters, and noise."""
    import umap
    from sklearn.cluster import HDBSCAN

    def fit():
        mapped = umap.UMAP(n_neighbors=30, min_dist=0.0, n_components=10, random_state=seed).fit_transform(X)
        return HDBSCAN(min_cluster_size=max(5, len(X) // 100), copy=True).fit_predict(mapped)

    return fit


def clustpy(name, takes_number=True, unit_range=False):
    """Return the method of one of ClustPy's deep clusterers, with its own defaults."""

    def method(X, n_clusters, seed):
        from clustpy import deep

        arguments = {"n_clusters": n_clusters} if takes_number else {}
        model = getattr(deep, name)(**arguments, random_state=np.random.RandomState(seed))
        scaled = (X - X.min()) / (X.max() - X.min()) if unit_range else (X - X.mean()) / X.std()
        return lambda: model.fit(scaled.astype(np.float32)).labels_

    scaling = "from 0 to 1" if unit_range else "to mean 0 and deviation 1"
    method.__doc__ = f"ClustPy's {name} with its own defaults, on X shifted and scaled {scaling} over all."
    return method


def kingdra(X, n_clusters, seed):
    """KingdraCluster with its defaults, in one process."""
    from kingdra_cluster import KingdraCluster

    return lambda: KingdraCluster(n_clusters, random_state=seed).fit(X).labels_


METHODS = {
    "k-means": kmeans,
    "Gaussian mixture": gaussian_mixture,
    "spectral": spectral,
    "UMAP + HDBSCAN": umap_hdbscan,
    "DEC": clustpy("DEC"),
    "IDEC": clustpy("IDEC"),
    "VaDE": clustpy("VaDE", unit_range=True),  # its likelihood asks for that
    "DDC": clustpy("DDC", takes_number=False),
    "Kingdra": kingdra,
}
OWN_NUMBER = ("UMAP + HDBSCAN", "DDC")  # not told how many clusters there are


def peak_rss_mb():
    """Largest resident memory of this process or of one of its children, in MB; None where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / unit


def main(method, rows, n_clusters, seed, answer):
    """Fit once; write labels, seconds of the fit (imports left out) and peak memory."""
    X = np.load(rows, allow_pickle=False)["X"]
    with contextlib.redirect_stdout(sys.stderr):
        fit = METHODS[method](X, int(n_clusters), int(seed))
        began = time.perf_counter()
        labels = fit()
    facts = {"seconds": time.perf_counter() - began, "peak_rss_mb": peak_rss_mb(), "python": sys.version.split()[0]}
    np.savez(answer, labels=np.asarray(labels), facts=json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
