"""Rows of X as float32 batches: seeded order, dense, sparse or memory-mapped input, a labelled stream."""

import keras
import numpy as np
from scipy import sparse

CHUNK_ROWS = 4096
SMALLEST_SCALE = 1e-37  # its reciprocal still fits into float32


def dense_rows(X, rows, scale=1.0):
    """Return some rows of X as a new float32 array, divided by the input scale.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
        Any numeric type; memory-mapped arrays are read row by row, never whole.
    rows : slice or array of int
    scale : float, default=1.0

    Returns
    -------
    float32 array of shape (len(rows), ...)
    """
    selected = X[rows]
    dense = selected.toarray() if sparse.issparse(selected) else np.asarray(selected)
    dense = dense.astype(np.float32)
    if scale != 1.0:
        dense *= np.float32(1.0 / scale)
    return dense


def chunks(n_rows, size=CHUNK_ROWS):
    """Yield consecutive slices that cover ``n_rows`` rows."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def root_mean_square(X):
    """Return the root mean square over all entries of X, zeros included; 1.0 if every entry is 0."""
    total = 0.0
    for rows in chunks(X.shape[0]):
        selected = X[rows]
        entries = selected.data if sparse.issparse(selected) else np.asarray(selected)
        total += float(np.sum(np.square(entries, dtype=np.float64)))
    scale = float(np.sqrt(total / np.prod(X.shape, dtype=np.float64)))
    if 0 < scale < SMALLEST_SCALE:
        raise ValueError(f"X must have a root mean square of 0 or at least {SMALLEST_SCALE}; it is {scale:.3g}")
    return scale if scale > 0 else 1.0


class RowBatches(keras.utils.PyDataset):
    """Shuffled batches of X and, in supervised rounds, an equally large labelled batch beside each.

    The order is a function of (seed, epoch) alone.  A ragged last batch is dropped, since the moments of
    a batch of few rows mean little; with fewer rows than ``batch_size``, one batch holds them all.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, ...)
    batch_size : int
    seed : sequence of int
        Entropy of the order; the epoch is appended to it.
    scale : float, default=1.0
        Divides every entry.
    labelled : tuple (rows, targets), optional
        ``rows``, (n,) int: the labelled set as rows of X, with repetitions; ``targets``, (n, n_clusters) float32.
    rows : (m,) int, optional
        The rows to go through, where they are not all.
    """

    def __init__(self, X, *, batch_size, seed, scale=1.0, labelled=None, rows=None):
        super().__init__()
        self.X, self.scale, self.labelled = X, scale, labelled
        self.rows = np.arange(X.shape[0]) if rows is None else rows
        self.size = min(batch_size, len(self.rows))
        self.seed = tuple(seed)
        self.epoch = -1
        self.on_epoch_end()

    def on_epoch_end(self):
        """Draw the order of the next epoch."""
        self.epoch += 1
        generator = np.random.default_rng([*self.seed, self.epoch])
        self.order = self.rows[generator.permutation(len(self.rows))]
        if self.labelled is not None:
            self.labelled_order = generator.permutation(len(self.labelled[0]))

    def __len__(self):
        """Return the number of whole batches in an epoch."""
        return len(self.rows) // self.size

    def __getitem__(self, index):
        """Return batch ``index`` of the epoch: a dict of inputs and perhaps the targets of its labelled rows."""
        window = slice(index * self.size, (index + 1) * self.size)
        inputs = {"unlabelled": dense_rows(self.X, self.order[window], self.scale)}
        if self.labelled is None:
            return (inputs,)
        inputs["labelled"], targets = self.labelled_batch(window)
        return inputs, targets

    def labelled_batch(self, window):
        """Return the rows and targets of a slice of the epoch's labelled stream."""
        rows, targets = self.labelled
        chosen = self.labelled_order[window]
        return dense_rows(self.X, rows[chosen], self.scale), targets[chosen]


class IndexedRowBatches(RowBatches):
    """`RowBatches` whose batches say which rows of X they hold: ``{"rows": (batch,) int32, "x": (batch, ...)}``."""

    def __getitem__(self, index):
        """Return batch ``index`` of the epoch."""
        rows = self.order[index * self.size : (index + 1) * self.size]
        return ({"rows": rows.astype(np.int32), "x": dense_rows(self.X, rows, self.scale)},)
