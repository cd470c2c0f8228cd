"""An estimator with the attributes that KingdraCluster has after a round, in milliseconds."""

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans

from kingdra_cluster.similarity_graph import SimilarityGraph


class FakeKingdra:
    """Members are k-means runs; their labels are right more often from round to round."""

    def __init__(self, n_clusters, n_rounds, n_members, callbacks, seed):
        self.n_clusters, self.n_rounds, self.n_members = n_clusters, n_rounds, n_members
        self.callbacks, self.seed = callbacks, seed

    def check_parameters(self):
        pass

    def fit(self, X):
        rng = np.random.default_rng(self.seed)
        labels = KMeans(self.n_clusters, n_init=1, random_state=self.seed).fit_predict(
            X.toarray() if sparse.issparse(X) else np.asarray(X, float)
        )
        self.history_ = []
        for index in range(self.n_rounds):
            self.labels_ = labels
            sure = rng.random(len(labels)) < 0.2 + 0.2 * index
            self.pseudo_labels_ = np.where(sure, labels, -1)
            self.probabilities_ = np.full((len(labels), self.n_clusters), 0.1 / self.n_clusters)
            self.probabilities_[np.arange(len(labels)), labels] = 0.91
            self.similarity_graph_ = SimilarityGraph(np.stack([labels] * self.n_members))
            record = {"round": index, "supervised": index > 1, "epochs": 1, "changed": None, "losses": {}}
            record |= {"member_epochs": (index + 1) * self.n_members, "agreement": 0.5 + 0.1 * index}
            record |= {"pseudo_labelled": int(sure.sum()), "buckets": self.n_clusters, "clusters": self.n_clusters}
            record |= {
                "smallest_bucket": 3,
                "reused": False,
                "seconds": 0.5,
                "seconds_left": 0.0,
                "workers_peak_mb": 0.0,
                "start_balance": None,
            }
            self.history_.append(record)
            for callback in self.callbacks:
                callback(self, self.history_[-1])
        return self

    def save(self, folder):
        folder.mkdir(parents=True)
        np.save(folder / "centres.npy", np.zeros(3))


def make_fake(section, seed, checkpoint_dir, callbacks):
    """Stand-in for `experiments.stages.make_kingdra`."""
    return FakeKingdra(section["n_clusters"], section["n_rounds"], section["n_members"], callbacks, seed)
