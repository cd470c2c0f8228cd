"""Graphs of rows as sparse matrices: joined to their nearest neighbours, and summed up by groups."""

import numpy as np
from scipy import sparse


def neighbor_graph(neighbors):
    """Return the symmetric graph of nearest neighbours.

    Parameters
    ----------
    neighbors : (n, n_neighbors) int
        Rows of lists of other rows; -1 fills a list that is short.

    Returns
    -------
    CSR matrix (n, n) of float64
        1 where both rows are among each other's neighbours, 1/2 where one is, else nothing.

    Examples
    --------
    >>> neighbor_graph(np.array([[1], [0], [1]])).toarray()
    array([[0. , 1. , 0. ],
           [1. , 0. , 0.5],
           [0. , 0.5, 0. ]])
    """
    n = len(neighbors)
    rows, places = np.nonzero(neighbors >= 0)
    directed = sparse.csr_matrix((np.full(len(rows), 0.5), (rows, neighbors[rows, places])), shape=(n, n))
    return (directed + directed.T).tocsr()


def links_between(graph, labels):
    """Return the weight of the edges between groups of rows.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        Symmetric, without negative entries.
    labels : (n,) int
        From 0; -1 where a row is in no group.

    Returns
    -------
    CSR matrix (n_groups, n_groups)
        Edges inside a group count twice.
    """
    inside = np.flatnonzero(labels >= 0)
    n_groups = int(labels.max()) + 1
    members = sparse.csr_matrix((np.ones(len(inside)), (inside, labels[inside])), shape=(len(labels), n_groups))
    return (members.T @ graph @ members).tocsr()
