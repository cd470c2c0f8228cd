"""Nearest rows by faiss, whose index keeps a float32 copy of the prepared rows."""

import faiss
import numpy as np

from kingdra_cluster.block_search import BLOCK_ROWS

_LINKS = 32  # of a row in the HNSW graph
_BUILD_BREADTH, _SEARCH_BREADTH = 100, 128  # rows looked at: recall against time


def flat_search(rows, queries, n_kept):
    """Yield the rows that score highest, as `block_search` does, from an index that looks at every row."""
    index = faiss.IndexFlat(rows.n_features, _metric(rows))
    for start, values, indices in _run(index, rows, queries, n_kept):
        if rows.half_squares is not None:  # squared distances
            half_squares = queries.half_squares[start : start + len(values), None]
            values = (half_squares - 0.5 * values).astype(np.float32)
        yield start, values, indices


def graph_search(rows, queries, n_neighbors):
    """Yield, a block at a time, its first query and most of its nearest rows, nearest first: an HNSW graph.

    Raises
    ------
    RuntimeError
        If the graph has no way to enough rows (many duplicates).
    """
    index = faiss.IndexHNSWFlat(rows.n_features, _LINKS, _metric(rows))
    index.hnsw.efConstruction = _BUILD_BREADTH
    index.hnsw.efSearch = max(_SEARCH_BREADTH, 2 * n_neighbors)
    for start, _, indices in _run(index, rows, queries, n_neighbors):
        if indices.min() < 0:
            raise RuntimeError(f"faiss reached fewer than {n_neighbors} rows from a row; backend='numpy' finds all.")
        yield start, indices


def _metric(rows):
    return faiss.METRIC_INNER_PRODUCT if rows.half_squares is None else faiss.METRIC_L2


def _run(index, rows, queries, n_kept):
    """Fill the index and search it block by block; yield values and indices without the queries themselves."""
    for start in range(0, rows.n_rows, BLOCK_ROWS):
        index.add(rows.block(slice(start, start + BLOCK_ROWS)))
    for start in range(0, queries.n_rows, BLOCK_ROWS):
        block = queries.block(slice(start, start + BLOCK_ROWS))
        values, indices = index.search(block, n_kept + (queries is rows))
        if queries is rows:
            values, indices = _without_self(values, indices, np.arange(start, start + len(block)))
        yield start, values, indices.astype(np.intp)


def _without_self(values, indices, own):
    """Leave out each line's own index, or the last one where it is not among them (enough duplicates are)."""
    leave = indices == own[:, None]
    leave[:, -1] |= ~leave.any(axis=1)
    shape = (len(indices), indices.shape[1] - 1)
    return values[~leave].reshape(shape), indices[~leave].reshape(shape)
