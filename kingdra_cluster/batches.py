"""Rows of X as float32 batches: seeded order, dense, sparse or memory-mapped input, a labelled stream."""

import weakref

import keras
import numpy as np
from scipy import sparse

CHUNK_ROWS = 4096
STEPS_AN_EPOCH = 256
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
    total, largest = 0.0, 0.0  # whose square may be too small for a number
    for rows in chunks(X.shape[0]):
        selected = X[rows]
        entries = selected.data if sparse.issparse(selected) else np.asarray(selected)
        total += float(np.sum(np.square(entries, dtype=np.float64)))
        largest = max(largest, float(entries.max(initial=0)), -float(entries.min(initial=0)))
    scale = float(np.sqrt(total / np.prod(X.shape, dtype=np.float64)))
    if largest > 0 and scale < SMALLEST_SCALE:
        found = f"it is {scale:.3g}, the largest entry {largest:.3g}"
        raise ValueError(f"X must have a root mean square of 0 or at least {SMALLEST_SCALE}; {found}")
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
        self.passes = 1
        self.epoch = -1
        self.on_epoch_end()

    def join_epochs(self, epochs):
        """Make one epoch of ``fit`` of several passes, so that it has `STEPS_AN_EPOCH` steps at most where it can.

        An epoch costs ``fit`` as much time as tens of small steps.  The batches and their order stay the same.

        Parameters
        ----------
        epochs : int
            Passes over the rows that are wanted.

        Returns
        -------
        int
            Number of epochs to ask of ``fit``: a divisor of ``epochs``.
        """
        steps = len(self) // self.passes
        self.passes = max(
            d for d in range(1, epochs + 1) if epochs % d == 0 and (d == 1 or d * steps <= STEPS_AN_EPOCH)
        )
        return epochs // self.passes

    def on_epoch_end(self):
        """Go on to the next epoch."""
        self.epoch += 1
        self._draw(0)

    def __len__(self):
        """Return the number of whole batches in an epoch."""
        return self.passes * (len(self.rows) // self.size)

    def __getitem__(self, index):
        """Return batch ``index`` of the epoch: a dict of inputs and perhaps the targets of its labelled rows."""
        window = self._window(index)
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

    def _draw(self, number):
        """Draw the orders of a pass of this epoch."""
        self.drawn = number
        generator = np.random.default_rng([*self.seed, self.epoch * self.passes + number])
        self.order = self.rows[generator.permutation(len(self.rows))]
        if self.labelled is not None:
            self.labelled_order = generator.permutation(len(self.labelled[0]))

    def _window(self, index):
        """Return where batch ``index`` of the epoch lies in the order of its pass, and see that this is drawn."""
        number, step = divmod(index, len(self) // self.passes)
        if number != self.drawn:
            self._draw(number)
        return slice(step * self.size, (step + 1) * self.size)


class IndexedRowBatches(RowBatches):
    """`RowBatches` whose batches say which rows of X they hold: ``{"rows": (batch,) int32, "x": (batch, ...)}``."""

    def __getitem__(self, index):
        """Return batch ``index`` of the epoch."""
        rows = self.order[self._window(index)]
        return ({"rows": rows.astype(np.int32), "x": dense_rows(self.X, rows, self.scale)},)


def feed(batches):
    """Return what ``fit`` is to be given for some `RowBatches`: on TensorFlow a dataset of batches of known shape.

    Keras would feed them through ``tf.data``'s generators.  On Python 3.11 these make malloc return every large block
    to the system at once, for the whole process: 2,000 page faults a step, a tenth of a step at 784-1200-1200-10.

    Parameters
    ----------
    batches : keras.utils.PyDataset
        What is no `RowBatches` is returned as it is.

    Returns
    -------
    tf.data.Dataset or the batches themselves
        Every pass over the dataset is the next epoch.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(batches, RowBatches):
        return batches
    import tensorflow as tf

    example = batches[0]
    parts = tf.nest.flatten(example)
    of_batches = weakref.ref(batches)  # TensorFlow never forgets a Python function that a dataset calls
    first_pass = True

    def load(index):
        nonlocal first_pass
        if index == 0 and not first_pass:
            of_batches().on_epoch_end()
        first_pass = False
        return tf.nest.flatten(of_batches()[int(index)])

    def load_tensors(index):
        loaded = tf.numpy_function(load, [index], [part.dtype for part in parts])
        shaped = [tf.ensure_shape(tensor, part.shape) for tensor, part in zip(loaded, parts, strict=True)]
        return tf.nest.pack_sequence_as(example, shaped)

    dataset = tf.data.Dataset.range(len(batches)).map(load_tensors).prefetch(2)
    dataset.batches = batches
    return dataset


def feed_shuffled(batches):
    """Return `feed` of `RowBatches` from their second epoch on, where ``fit`` begins if it is given the batches.

    TensorFlow would keep those, and X, as long as the process lives.
    """
    batches.on_epoch_end()
    return feed(batches)
