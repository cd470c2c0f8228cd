"""What a step of nearest-neighbour matching is fed: rows, a neighbour of each, and what the whole data set knows."""

import numpy as np

from kingdra_cluster.batches import RowBatches, dense_rows
from kingdra_cluster.modes.base import check_loss
from kingdra_cluster.neighbors import nearest_neighbors
from kingdra_cluster.pseudo_labels import match_labels


class NeighborBatches(RowBatches):
    """`RowBatches` with a neighbour beside each row, and for the global term the answers for its nearest row of all.

    A batch is ``{"x": (batch, ...), "neighbor": (batch, ...)}``, with the global term also ``"partner"``,
    (batch, n_heads, n_clusters), and ``"has_partner"``, (batch,): 0 until `refresh` was first called.  With a labelled
    set there are ``"labelled"`` rows and targets of shape (batch, n_heads, n_clusters).

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
    neighbors : (n, n_neighbors) int
        Of a row, itself and these, one is drawn an epoch; the row itself where that is none of ``rows``.
    n_heads, n_clusters : int
    with_global : bool
        Whether batches bring the nearest row's answers.
    **options
        Of `RowBatches`.
    """

    def __init__(self, X, neighbors, *, n_heads, n_clusters, with_global, **options):
        self.neighbors, self.with_global = neighbors, with_global
        self.partners, self.has_partners = None, 0.0
        if with_global:
            self.partners = np.zeros((X.shape[0], n_heads, n_clusters), dtype=np.float32)
        self.names = np.tile(np.arange(n_clusters), (n_heads, 1))
        super().__init__(X, **options)

    def join_epochs(self, epochs):
        """Return ``epochs``: none are joined, since the global table is refreshed between epochs of ``fit``."""
        return epochs

    def _draw(self, number):
        """Draw the order and the neighbours of a pass of this epoch."""
        super()._draw(number)
        generator = np.random.default_rng([*self.seed, self.epoch * self.passes + number, 1])
        drawn = generator.integers(self.neighbors.shape[1] + 1, size=self.X.shape[0])
        rows = np.arange(self.X.shape[0])
        beside = np.where(drawn == 0, rows, self.neighbors[rows, drawn - 1])
        self.beside = np.where(np.isin(beside, self.rows), beside, rows)

    def align(self, network):
        """Name the classes of the labelled set for every head as the head itself does."""
        if self.labelled is not None:
            rows, targets = self.labelled
            unique, place = np.unique(rows, return_inverse=True)
            found = network.answers(self.X, unique, self.scale)[1].argmax(axis=-1)[place]
            classes, n_clusters = targets.argmax(axis=1), targets.shape[1]
            self.names = np.stack([match_labels(labels, classes, n_clusters) for labels in found.T])

    def refresh(self, network):
        """Look up every row's nearest other row by the network's features, and note the network's answers for it."""
        if self.with_global:
            features, probabilities = network.answers(self.X, self.rows, self.scale)
            check_loss(np.sum(features, dtype=np.float64))  # nothing is near to a row of NaN
            nearest = nearest_neighbors(features, 1, metric="euclidean")[:, 0]
            self.partners[self.rows], self.has_partners = probabilities[nearest], 1.0

    def __getitem__(self, index):
        """Return batch ``index`` of the epoch: a dict of inputs and perhaps the targets of its labelled rows."""
        window = self._window(index)
        rows = self.order[window]
        inputs = {
            "x": dense_rows(self.X, rows, self.scale),
            "neighbor": dense_rows(self.X, self.beside[rows], self.scale),
        }
        if self.with_global:
            inputs["partner"] = self.partners[rows]
            inputs["has_partner"] = np.full(len(rows), self.has_partners, dtype=np.float32)
        if self.labelled is None:
            return (inputs,)
        inputs["labelled"], targets = self.labelled_batch(window)
        names = self.names[:, targets.argmax(axis=1)]
        return inputs, np.eye(targets.shape[1], dtype=np.float32)[names.T]
