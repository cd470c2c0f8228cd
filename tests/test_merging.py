"""Pieces become clusters: against brute force, and what the information and its balance mean."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import sparse

from kingdra_cluster import merging
from kingdra_cluster.graphs import links_between
from kingdra_cluster.merging import merge_pieces, neighbor_information, piece_unevenness


def random_links(n, seed, share=0.6):
    rng = np.random.default_rng(seed)
    links = rng.integers(1, 30, (n, n)) * (rng.random((n, n)) < share).astype(float)
    links = np.triu(links, 1) + np.triu(links, 1).T
    return links + np.diag(2.0 * rng.integers(20, 60, n))


def of_clusters(links, names):
    """Weight between every two clusters, by a loop over the pieces."""
    found = np.zeros((max(names) + 1, max(names) + 1))
    for (i, a), (j, b) in product(enumerate(names), repeat=2):
        found[a, b] += links[i, j]
    return found


@pytest.mark.parametrize("balance", [0.0, 0.4, 1.0])
def test_the_information_is_that_of_entropies(balance):
    joint = random_links(5, 0) / random_links(5, 0).sum()
    one = joint.sum(axis=1)
    entropy = -sum(p * np.log(p) for p in one)
    remaining = -sum(joint[i, j] * np.log(joint[i, j] / one[i]) for i, j in product(range(5), repeat=2) if joint[i, j])
    assert neighbor_information(17 * joint, balance) == pytest.approx(balance * entropy - remaining)


def test_mutual_information_of_unrelated_ends_is_nothing():
    sizes = np.array([0.5, 0.3, 0.2])
    assert neighbor_information(np.outer(sizes, sizes)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_unevenness_is_a_divergence_over_a_share(seed):
    links = random_links(6, seed)
    sizes = links.sum(axis=1) / links.sum()
    divergence = sum(p * np.log(p * 6) for p in sizes)
    leak = sum(links[i, j] for i, j in product(range(6), repeat=2) if i != j) / links.sum()
    assert piece_unevenness(links, 6) == pytest.approx(divergence / leak)


@pytest.mark.parametrize(
    ("links", "expected"),
    [(np.eye(5), 0.0), (np.diag([50.0, 1, 1]), 3.0), (np.ones((4, 4)), 0.0), (np.eye(1), 0.0), (np.zeros((0, 0)), 0.0)],
)
def test_unevenness_of_extremes(links, expected):
    assert piece_unevenness(links, len(links)) == expected


@pytest.mark.parametrize("seed", range(4))
def test_unevenness_is_that_of_the_best_merger(seed):
    links = random_links(12, seed)
    joint = links / links.sum()
    mergers = [merging._moved(joint, merging._united(joint, 4, balance), 0.5) for balance in (0.4, 0.7, 1.0)]
    best = max((of_clusters(links, names) for names in mergers), key=lambda found: neighbor_information(found, 0.5))
    assert piece_unevenness(links, 4) == piece_unevenness(best, 4)


def test_links_between_groups_are_sums_over_edges():
    edges = sparse.csr_matrix(random_links(9, 0))
    labels = np.array([0, 1, 2, 0, 1, -1, 0, -1, 1])
    expected = [[edges[np.ix_(labels == a, labels == b)].sum() for b in range(3)] for a in range(3)]
    np.testing.assert_allclose(links_between(edges, labels).toarray(), expected)


@pytest.mark.parametrize("balance", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_pair_that_loses_least_is_united_first(balance, seed):
    links = random_links(11, seed)
    groups = [[piece] for piece in range(11)]

    def information(groups):
        names = [next(name for name, group in enumerate(groups) if piece in group) for piece in range(11)]
        return neighbor_information(of_clusters(links, names), balance)

    while len(groups) > 4:
        options = []
        for a, b in combinations(groups, 2):
            united = [group for group in groups if group not in (a, b)] + [a + b]
            linked = any(links[i, j] for i, j in product(a, b))
            options.append((information(united) if linked else -np.inf, united))
        groups = max(options, key=lambda option: option[0])[1]
    names = merging._united(links / links.sum(), 4, balance)
    found = {frozenset(np.flatnonzero(names == name).tolist()) for name in range(4)}
    assert found == {frozenset(group) for group in groups}


@pytest.mark.parametrize("balance", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_piece_gains_by_moving(balance, seed):
    links = random_links(14, seed, share=0.4)
    united = merging._united(links / links.sum(), 4, balance)
    names = merge_pieces(links, 4, balance)
    assert sorted(set(names)) == [0, 1, 2, 3]
    best = neighbor_information(of_clusters(links, names), balance)
    assert best >= neighbor_information(of_clusters(links, united), balance) - 1e-12
    for piece, name in product(range(14), range(4)):
        moved = names.copy()
        moved[piece] = name
        if len(set(moved)) == 4:
            assert neighbor_information(of_clusters(links, moved), balance) <= best + 1e-9


def test_what_is_apart_is_united_last():
    links = np.kron(np.eye(3), np.ones((2, 2))) + np.diag([50.0, 50.0, 2.0, 2.0, 2.0, 2.0])
    names = merge_pieces(links, 3, 0.7)
    np.testing.assert_array_equal(names[::2], names[1::2])
    assert len(set(names)) == 3
    assert len(set(merge_pieces(links, 2, 0.7))) == 2
    assert set(merge_pieces(links, 1, 0.7)) == {0}
    assert sorted(merge_pieces(links, 6, 0.7)) == list(range(6))


def test_more_balance_makes_sizes_more_alike():
    links = random_links(60, 1, share=0.3)
    spread = [np.std(np.bincount(merge_pieces(links, 6, balance))) for balance in (0.1, 1.0)]
    assert spread[0] > 4 * spread[1]
