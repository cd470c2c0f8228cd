"""Nearest rows from products of blocks of rows: float32 first, float64 where rounding could matter."""

import numpy as np

BLOCK_ROWS = 2048
_NARROW = 256
_UNIT = np.finfo(np.float32).eps / 2
_LOW_BITS = np.int64(0xFFFFFFFF)


def block_search(rows, queries, n_kept):
    """Yield the rows that score highest, a block of queries at a time.

    Parameters
    ----------
    rows, queries : PreparedRows
        Where they are the same object no row is found for itself, and every product serves two queries.
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
    search = _search_within(rows, n_kept) if queries is rows else _search_between(rows, queries, n_kept)
    for start, best in search:
        best.sort(axis=1)
        yield start, *_unpack(best[:, ::-1])


def _search_between(rows, queries, n_kept):
    """Yield the first query of each block and the keys of its best rows."""
    for asked in _blocks(queries, n_kept):
        block = queries.block(asked)
        best = _no_keys(block.shape[0], n_kept)
        for own in _blocks(rows, n_kept):
            scores = _scores(rows, own, _products(block, rows.block(own)))
            best = _keep_best(best, scores, own.start)
        yield asked.start, best


def _search_within(rows, n_kept):
    """Yield the first row of each block and the keys of its best other rows."""
    best, blocks = _no_keys(rows.n_rows, n_kept), _blocks(rows, n_kept)
    for own in blocks:  # near the diagonal first: whatever comes later meets a threshold
        block = rows.block(own)
        scores = _scores(rows, own, _products(block, block))
        np.fill_diagonal(scores, -np.inf)
        best[own] = _keep_best(best[own], scores, own.start)
    for number, own in enumerate(blocks):
        block = rows.block(own)
        for other in blocks[number + 1 :]:
            products = _products(block, rows.block(other))
            best[own] = _keep_best(best[own], _scores(rows, other, products), other.start)
            best[other] = _keep_best(best[other], _scores(rows, own, products.T), own.start)
        yield own.start, best[own]


def _blocks(rows, n_kept):
    step = rows.block_rows(at_most=max(16, min(BLOCK_ROWS, 2**22 // n_kept)))
    return [slice(start, min(start + step, rows.n_rows)) for start in range(0, rows.n_rows, step)]


def _products(block, others):
    products = block @ others.T
    return products if isinstance(products, np.ndarray) else products.toarray()


def _scores(rows, which, products):
    """Return the scores of queries with the rows of a slice, given their products."""
    return products if rows.half_squares is None else products - rows.half_squares[which].astype(products.dtype)


def _no_keys(n_queries, n_kept):
    return np.full((n_queries, n_kept), _keys(np.full(1, -np.inf, dtype=np.float32), 0))


def _keep_best(best, scores, first):
    """Return the keys of the best rows so far.

    Parameters
    ----------
    best : (n_queries, n_kept) int64
        Keys; minus infinity's where nothing was found yet.
    scores : (n_queries, width) float32
        Of row ``first`` and those after it; may be a transposed view.
    first : int
    """
    n_queries, width = scores.shape
    above = scores > _unpack(best.min(axis=1))[0][:, None]
    if above.flags.c_contiguous:
        query, column = np.divmod(np.flatnonzero(above), width)
    else:
        column, query = np.divmod(np.flatnonzero(above.T), n_queries)
        order = np.argsort(query, kind="stable")
        query, column = query[order], column[order]
    counts = np.bincount(query, minlength=n_queries)
    widest = counts.max()
    if 4 * widest <= width:
        candidates = np.full((n_queries, widest), best.min())
        position = np.arange(query.size) - np.repeat(np.cumsum(counts) - counts, counts)
        candidates[query, position] = _keys(scores[query, column], column + first)
    elif width <= _NARROW:
        candidates = _keys(scores, np.arange(first, first + width))
    else:  # too many to pick out: no threshold yet, or rows in a bad order
        best = _keep_best(best, scores[:, : width // 2], first)
        return _keep_best(best, scores[:, width // 2 :], first + width // 2)
    n_kept = best.shape[1]
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
    undecided = np.zeros(len(scores), dtype=bool)
    unsure = np.flatnonzero((gaps <= 2 * error[:, None]).any(axis=1))
    step = max(1, rows.block_rows(at_most=BLOCK_ROWS) // scores.shape[1])
    for first in range(0, len(unsure), step):
        which = unsure[first : first + step]
        exact = _exact_scores(rows, queries, which + start, indices[which])
        order = np.lexsort((indices[which], -exact), axis=1)[:, :n_neighbors]
        found[which] = np.take_along_axis(indices[which], order, axis=1)
        last = np.take_along_axis(exact, order[:, -1:], axis=1)[:, 0]
        if not is_all:
            undecided[which] = last <= scores[which, -1] + error[which]
    again = np.flatnonzero(undecided)
    found[again] = _search_exactly(rows, queries, again + start, n_neighbors)
    return found


def _rounding(rows, norms, scores):
    """Bound the rounding errors of float32 scores, one a query, for all rows that could be near it.

    The errors of a product's d roundings add up like a random walk; 2 sqrt(d) of them are hardly ever reached.
    """
    walk = 2 * np.sqrt(rows.n_features)
    if rows.half_squares is None:
        return _UNIT * (walk + 4) * norms
    reach = norms + np.sqrt(np.maximum(norms**2 - 2.0 * scores[:, -1], 0.0))  # no neighbour is longer than that
    return _UNIT * (walk * norms + 4 * reach) * reach


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
        parts = [slice(first, first + width) for first in range(0, rows.n_rows, width)]
        scores = np.hstack([_scores(rows, part, _products(block, rows.block(part, np.float64))) for part in parts])
        if rows is queries:
            scores[np.arange(len(asked)), asked] = -np.inf
        lowest = np.partition(scores, -n_neighbors, axis=1)[:, -n_neighbors]
        for line, (own, low) in enumerate(zip(scores, lowest, strict=True)):
            candidates = np.flatnonzero(own >= low)
            order = np.argsort(-own[candidates], kind="stable")[:n_neighbors]
            found[start + line] = candidates[order]
    return found
