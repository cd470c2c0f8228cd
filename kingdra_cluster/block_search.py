"""Nearest rows from products of blocks of rows: float32 first, float64 where rounding could matter."""

import numpy as np

BLOCK_ROWS = 2048
FIRST_BLOCK_ROWS = 256  # small, so that every later block meets a threshold
_UNIT = np.finfo(np.float32).eps / 2
_LOW_BITS = np.int64(0xFFFFFFFF)


def block_search(rows, queries, n_kept):
    """Yield the rows that score highest, a block of queries at a time.

    Parameters
    ----------
    rows, queries : PreparedRows
        Where they are the same object no row is found for itself.
    n_kept : int

    Yields
    ------
    start : int
        The first query of the block.
    scores : (block, n_kept) float32
        Highest first.
    indices : (block, n_kept) intp
        Of rows; the lower index first where scores are equal.
    """
    step = queries.block_rows(at_most=max(16, min(BLOCK_ROWS, 2**22 // n_kept)))
    for start in range(0, queries.n_rows, step):
        block = queries.block(slice(start, start + step))
        best = np.full((block.shape[0], n_kept), _keys(np.float32(-np.inf), 0))
        first, width = 0, FIRST_BLOCK_ROWS
        while first < rows.n_rows:
            width = rows.block_rows(at_most=min(2 * width, BLOCK_ROWS))
            scores = score(rows, block, slice(first, first + width))
            if queries is rows:
                leave_out_self(scores, np.arange(start, start + len(scores)), first)
            best = _keep_best(best, scores, first)
            first += width
        best.sort(axis=1)
        yield start, *_unpack(best[:, ::-1])


def score(rows, block, which, dtype=np.float32):
    """Return the scores of a prepared block of queries with the rows of a slice, shape (queries, rows)."""
    others = rows.block(which, dtype)
    scores = block @ others.T
    scores = scores if isinstance(scores, np.ndarray) else scores.toarray()
    if rows.half_squares is not None:
        scores -= rows.half_squares[which].astype(dtype)
    return scores


def leave_out_self(scores, indices, first):
    """Set the score of each query with itself, row `indices[i]`, to minus infinity; column 0 is row `first`."""
    columns = indices - first
    here = np.flatnonzero((columns >= 0) & (columns < scores.shape[1]))
    scores[here, columns[here]] = -np.inf


def _keep_best(best, scores, first):
    """Return the keys of the highest scores so far, the lowest of them in column 0."""
    n_kept, width = best.shape[1], scores.shape[1]
    threshold = _unpack(best.min(axis=1))[0]
    above = np.flatnonzero(scores > threshold[:, None])
    if not above.size:
        return best
    query, column = np.divmod(above, width)
    counts = np.bincount(query, minlength=len(best))
    widest = counts.max()
    if 4 * widest > width:  # no use in picking them out
        candidates = _keys(scores, np.arange(first, first + width))
    else:
        candidates = np.full((len(best), widest), best.min())
        position = np.arange(above.size) - np.repeat(np.cumsum(counts) - counts, counts)
        candidates[query, position] = _keys(scores.ravel()[above], column + first)
    return np.partition(np.concatenate([best, candidates], axis=1), -n_kept, axis=1)[:, -n_kept:]


def _keys(scores, indices):
    """Return int64 keys ordered by (score, lower index): sorting them sorts both, and no two are equal."""
    bits = (scores + np.float32(0.0)).view(np.int32).astype(np.int64)  # + 0.0: no negative zeros
    ordered = np.where(bits < 0, bits ^ np.int64(0x7FFFFFFF), bits)
    return (ordered << 32) | (_LOW_BITS - indices)


def _unpack(keys):
    """Return the scores (float32) and indices (intp) of keys."""
    ordered = (keys >> 32).astype(np.int32)
    bits = np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered)
    return bits.view(np.float32), (_LOW_BITS - (keys & _LOW_BITS)).astype(np.intp)


def settle(rows, queries, start, scores, indices, n_neighbors):
    """Return the nearest rows in their order, in float64 wherever float32 scores are too near each other to tell.

    Parameters
    ----------
    rows, queries : PreparedRows
    start : int
        The query of the first line of `scores`.
    scores, indices : (block, n_kept)
        Candidates, highest first, and all that score higher than the last of them.
    n_neighbors : int
        At most ``n_kept``.

    Returns
    -------
    (block, n_neighbors) intp
    """
    is_all = scores.shape[1] == rows.n_rows - (rows is queries)
    error = _rounding(rows, queries.norms[start : start + len(scores)], scores)
    gaps = -np.diff(scores[:, : n_neighbors + 1], axis=1)
    found = indices[:, :n_neighbors].copy()
    unsure = np.flatnonzero((gaps < 2 * error[:, None]).any(axis=1))
    step = max(1, rows.block_rows(at_most=BLOCK_ROWS) // scores.shape[1])
    for first in range(0, len(unsure), step):
        which = unsure[first : first + step]
        exact = _exact_scores(rows, queries, which + start, indices[which])
        order = np.lexsort((indices[which], -exact), axis=1)[:, :n_neighbors]
        found[which] = np.take_along_axis(indices[which], order, axis=1)
        last = np.take_along_axis(exact, order[:, -1:], axis=1)[:, 0]
        if not is_all:
            again = which[last <= scores[which, -1] + error[which]]
            found[again] = _search_exactly(rows, queries, again + start, n_neighbors)
    return found


def _rounding(rows, norms, scores):
    """Bound the rounding errors of float32 scores, one a query, for all rows that could be near it.

    Errors of a product's d roundings add up like a random walk: 4 sqrt(d) of them are not reached in practice.
    """
    reach = norms
    if rows.half_squares is not None:  # a neighbour is no longer than its query and the distance between them
        reach = norms + np.sqrt(np.maximum(norms**2 - 2.0 * scores[:, -1], 0.0))
    return _UNIT * (4 * np.sqrt(rows.n_features) + 8) * reach * np.maximum(norms, reach)


def _exact_scores(rows, queries, which, indices):
    """Return float64 scores of each of some queries with rows of its own, shape of `indices`."""
    block = queries.block(which, np.float64)
    others = rows.block(indices.ravel(), np.float64)
    if isinstance(block, np.ndarray):
        scores = np.einsum("ik,ijk->ij", block, others.reshape(*indices.shape, -1))
    else:
        own = np.repeat(np.arange(len(indices)), indices.shape[1])
        scores = np.asarray(block[own].multiply(others).sum(axis=1)).reshape(indices.shape)
    return scores if rows.half_squares is None else scores - rows.half_squares[indices]


def _search_exactly(rows, queries, which, n_neighbors):
    """Return the nearest rows of some queries by float64 products with all rows."""
    found = np.empty((len(which), n_neighbors), dtype=np.intp)
    step = max(1, 2**22 // rows.n_rows)
    width = rows.block_rows(at_most=BLOCK_ROWS)
    for start in range(0, len(which), step):
        asked = which[start : start + step]
        block = queries.block(asked, np.float64)
        firsts = range(0, rows.n_rows, width)
        scores = np.hstack([score(rows, block, slice(first, first + width), np.float64) for first in firsts])
        if rows is queries:
            leave_out_self(scores, asked, 0)
        lowest = np.partition(scores, -n_neighbors, axis=1)[:, -n_neighbors]
        for line, (own, low) in enumerate(zip(scores, lowest, strict=True)):
            candidates = np.flatnonzero(own >= low)
            order = np.argsort(-own[candidates], kind="stable")[:n_neighbors]
            found[start + line] = candidates[order]
    return found
