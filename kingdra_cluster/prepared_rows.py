"""Rows of a matrix made ready, block by block, for nearest-neighbour search by inner products."""

import numpy as np
from scipy import sparse

METRICS = ("cosine", "euclidean", "hellinger")
LARGEST = 1e300  # sums and powers of two beyond it overflow
BLOCK_ENTRIES = 2**24  # entries of a block of rows: 64 MB in float32
_DENSER_IS_DENSE = 0.1  # share of entries above which products of sparse blocks are slower than dense ones


class SomeRows:
    """Some rows of a dense matrix, read from it when they are asked for: a memory-mapped one is not copied.

    Parameters
    ----------
    X : array of shape (n, n_features)
    rows : (m,) int
        Its rows, in the order that they are to have.
    """

    def __init__(self, X, rows):
        self.X, self.rows = X, rows
        self.shape, self.dtype, self.ndim = (len(rows), *X.shape[1:]), X.dtype, X.ndim

    def __getitem__(self, key):
        return self.X[self.rows[key]]

    @classmethod
    def of(cls, X, rows):
        """Return these rows of a matrix: of a sparse one a copy, which is small."""
        return X[rows] if sparse.issparse(X) else cls(X, rows)


class PreparedRows:
    """Rows of X shifted and scaled so that a score of two of them ranks like the metric; X itself is never copied.

    Under "cosine" every row is divided by its length (a row of zeros stays as it is) and the score is the inner
    product; "hellinger" is that of the rows' square roots.  Under "euclidean" the mean row is subtracted, all is
    divided by the largest length, and the score is ``q . c - |c|^2 / 2``, which is ``(|q|^2 - |q - c|^2) / 2``.
    None changes the order of the neighbours; all keep float32 products accurate and finite, whatever the offset and
    unit of X.

    Parameters
    ----------
    X : array, SomeRows or CSR matrix of shape (n, n_features)
    metric : {"cosine", "euclidean", "hellinger"}
    name : str
        The argument's name, for messages.
    like : PreparedRows, optional
        Shift and scale as these rows were, to be held against them.

    Attributes
    ----------
    norms : (n,) float64
        Lengths of the prepared rows.
    half_squares : (n,) float64 or None
        What a row's inner product is more than its score: ``|c|^2 / 2``; None but under "euclidean".

    Raises
    ------
    ValueError
        If X is not a finite numeric matrix, or has negative entries under "hellinger".
    """

    def __init__(self, X, metric, name="X", like=None):
        self.X = _check_matrix(X, name)
        self.metric, (self.n_rows, self.n_features) = metric, self.X.shape
        if like is not None and like.n_features != self.n_features:
            raise ValueError(f"{name} must have the {like.n_features} columns of X, got {self.n_features}.")
        self.is_sparse = sparse.issparse(self.X)
        self._product_is_sparse = self.is_sparse and self.X.nnz < _DENSER_IS_DENSE * self.n_rows * self.n_features
        self.working = np.result_type(self.X.dtype, np.float32)
        largest = self._largest_entry(name)
        self.shift = 0.0 if like is None else like.shift
        if metric == "euclidean" and like is None and not self.is_sparse:
            self.shift = self._mean_on_grid()
        unit = _power_of_two(largest)  # keeps squares from overflow and underflow
        squares = self._squares(unit)
        if metric != "euclidean":
            norms = np.sqrt(unit) * np.sqrt(squares) if metric == "hellinger" else unit * np.sqrt(squares)
            is_zero = norms < np.finfo(self.working).tiny
            self.factor = np.divide(1.0, norms, out=np.zeros(self.n_rows), where=~is_zero)
            self.norms, self.half_squares = np.where(is_zero, 0.0, 1.0), None
        else:
            longest = unit * np.sqrt(squares.max(initial=0.0))
            self.factor = 1.0 / _power_of_two(longest) if like is None else like.factor
            self.half_squares = 0.5 * (unit * self.factor) ** 2 * squares
            self.norms = np.sqrt(2.0 * self.half_squares)

    def block(self, rows, dtype=np.float32):
        """Return the prepared rows of a slice or of an array of indices, dense or CSR."""
        chunk = self.X[rows]
        factor = self.factor if np.ndim(self.factor) == 0 else self.factor[rows]
        working = np.result_type(self.working, dtype)
        if self.is_sparse:
            factor = np.repeat(factor, np.diff(chunk.indptr)) if np.ndim(factor) else factor
            data = (self._rooted(chunk.data.astype(working)) * factor).astype(dtype)
            chunk = sparse.csr_matrix((data, chunk.indices, chunk.indptr), shape=chunk.shape)
            return chunk if self._product_is_sparse else chunk.toarray()
        if np.ndim(self.shift) == 0:
            shifted = self._rooted(chunk.astype(working))
        else:
            shifted = np.subtract(chunk, self.shift.astype(working))
        shifted *= factor[:, None].astype(working) if np.ndim(factor) else working.type(factor)
        return shifted.astype(dtype, copy=False)

    def _rooted(self, entries):
        """Square roots of a block's entries under "hellinger", else the entries."""
        return np.sqrt(entries, out=entries) if self.metric == "hellinger" else entries

    def block_rows(self, at_most):
        """Number of rows of a block that keeps to `BLOCK_ENTRIES`."""
        return max(16, min(at_most, BLOCK_ENTRIES // max(self.n_features, 1)))

    def _slices(self):
        step = self.block_rows(at_most=65536)
        return [slice(start, min(start + step, self.n_rows)) for start in range(0, self.n_rows, step)]

    def _largest_entry(self, name):
        """Return the largest absolute entry, having seen that all are finite and none too large."""
        largest = 0.0
        for rows in self._slices():
            entries = self.X[rows].data if self.is_sparse else self.X[rows]
            ends = [float(entries.max(initial=0)), float(entries.min(initial=0))]
            if not np.isfinite(ends).all():
                raise ValueError(f"{name} must be finite, got NaN or infinity in rows {rows.start} to {rows.stop - 1}.")
            if self.metric == "hellinger" and ends[1] < 0:
                raise ValueError(f"{name} must have no negative entries for metric='hellinger', got {ends[1]:.6g}.")
            largest = max(largest, ends[0], -ends[1])
        if largest > LARGEST:
            raise ValueError(f"{name} must have entries of at most {LARGEST:g} in size, got one of {largest:.3g}.")
        return largest

    def _mean_on_grid(self):
        """Return the mean row, every column in few bits of its range.

        Integers and what else is on a grid stay on one: ties are exact.  A column's offset costs the others no digits.
        """
        mean = np.zeros(self.n_features)
        low, high = np.full((2, self.n_features), [[np.inf], [-np.inf]])
        for rows in self._slices():
            mean += self.X[rows].sum(axis=0, dtype=np.float64) / self.n_rows
            low, high = np.minimum(low, self.X[rows].min(axis=0)), np.maximum(high, self.X[rows].max(axis=0))
        step = np.array([_power_of_two(reach) / 128 for reach in high - low])
        return np.where(high > low, np.rint(mean / step) * step, low).astype(self.working)

    def _squares(self, unit):
        """Return the squared lengths of the shifted rows, in squared units; of their square roots, in units."""
        squares = np.empty(self.n_rows)
        for rows in self._slices():
            chunk = self.X[rows]
            chunk = (chunk.astype(np.float64) if self.is_sparse else chunk - np.float64(self.shift)) / unit
            if self.metric == "hellinger":
                squares[rows] = np.asarray(chunk.sum(axis=1)).ravel()
            elif self.is_sparse:
                squares[rows] = np.asarray(chunk.multiply(chunk).sum(axis=1)).ravel()
            else:
                squares[rows] = np.einsum("ij,ij->i", chunk, chunk)
        return squares


def _power_of_two(value):
    """Return the power of two that is at least `value` (1 for 0): a divisor that rounds nothing."""
    return float(2.0 ** np.ceil(np.log2(value))) if value > 0 else 1.0


def _check_matrix(X, name):
    if not isinstance(X, SomeRows):
        X = X.tocsr() if sparse.issparse(X) else np.asanyarray(X)
    if X.ndim != 2:
        raise ValueError(f"{name} must have the shape (n, n_features), got {X.shape}.")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, got the data type {X.dtype}.")
    return X
