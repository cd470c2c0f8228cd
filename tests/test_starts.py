"""Communities and starts: against oracles, and what they are for."""

import time

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs, make_moons

from kingdra_cluster import starts
from kingdra_cluster.cluster_count import estimate_n_clusters
from kingdra_cluster.communities import cluster_graph, communities, modularity
from kingdra_cluster.graphs import neighbor_graph
from kingdra_cluster.neighbors import nearest_neighbors
from kingdra_cluster.starts import (
    COPIES,
    LIMIT,
    chosen_balance,
    community_starts,
    neighbor_lists,
    neighbor_metric,
    start_agreement,
    unevenness,
)
from kingdra_cluster.unsup_metrics import ACC

DIGITS = load_digits()


@pytest.fixture(scope="module")
def digits_lists():
    return neighbor_lists(DIGITS.data, 10)[1]


def acc(truth, labels):
    """ACC over the rows that have a label."""
    return ACC(truth[labels >= 0], labels[labels >= 0])


def random_graph(n, seed):
    rng = np.random.default_rng(seed)
    block = np.arange(n) % 3
    weights = rng.random((n, n)) * (rng.random((n, n)) < np.where(block[:, None] == block, 0.5, 0.1))
    return sparse.csr_matrix(np.triu(weights) + np.triu(weights, 1).T)


@pytest.mark.parametrize("resolution", [0.5, 1.0, 2.0])
def test_modularity_is_that_of_the_double_sum(resolution):
    graph, labels = random_graph(12, 0), np.arange(12) % 4
    weights = graph.toarray()
    degrees, total = weights.sum(axis=1), weights.sum()
    slow = sum(
        weights[i, j] / total - resolution * degrees[i] * degrees[j] / total**2
        for i in range(12)
        for j in range(12)
        if labels[i] == labels[j]
    )
    assert modularity(graph, labels, resolution) == pytest.approx(slow)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("resolution", [0.7, 1.5])
def test_no_single_row_gains_by_moving(seed, resolution):
    graph = random_graph(40, seed)
    labels = communities(graph, resolution, seed=seed)
    best = modularity(graph, labels, resolution)
    for row in range(40):
        for group in range(labels.max() + 2):  # one more: a community of its own
            moved = labels.copy()
            moved[row] = group
            if group <= labels.max():
                assert modularity(graph, np.unique(moved, return_inverse=True)[1], resolution) <= best + 1e-9


def test_communities_are_those_that_all_partitions_of_a_small_graph_say():
    graph = random_graph(7, 3)
    best = max(modularity(graph, np.array(labels)) for labels in _partitions(7))
    found = max(modularity(graph, communities(graph, seed=seed)) for seed in range(5))
    assert found == pytest.approx(best)


def _partitions(n):
    if n == 0:
        yield []
        return
    for rest in _partitions(n - 1):
        for group in range(max(rest, default=-1) + 2):
            yield [*rest, group]


def test_the_graph_is_symmetric_and_weighs_mutual_neighbours_double():
    graph = neighbor_graph(np.array([[1, -1], [0, 2], [1, -1]])).toarray()
    np.testing.assert_array_equal(graph, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize("n", [400, 1500])
def test_moons_are_followed_where_k_means_cannot(n):
    X, y = make_moons(n, noise=0.05, random_state=0)
    lists = neighbor_lists(X, 2)[1]
    for member in range(4):
        assert acc(y, community_starts(lists, 2, member=member)[0]) > 0.98
    assert ACC(y, KMeans(2, n_init=3, random_state=0).fit_predict(X)) < 0.9


def test_digits_come_out_better_than_with_k_means(digits_lists):
    kmeans = ACC(DIGITS.target, KMeans(10, n_init=3, random_state=0).fit_predict(DIGITS.data))
    found = [community_starts(digits_lists, 10, member=member)[0] for member in range(4)]
    assert np.mean([acc(DIGITS.target, classes) for classes in found]) > kmeans + 0.1


def test_sizes_may_differ_much():
    X, y = make_blobs([600, 60, 60], centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    assert acc(y, community_starts(neighbor_lists(X, 3)[1], 3)[0]) > 0.98


def test_far_groups_are_whole_however_much_their_sizes_differ():
    X, y = make_blobs([1000, 300, 100, 40], centers=[[0, 0], [9, 0], [0, 9], [9, 9]], random_state=0)
    labels = cluster_graph(neighbor_graph(nearest_neighbors(X, 10, metric="euclidean")), 4)[0]
    assert ACC(y, labels) > 0.99


def test_balance_asks_for_like_sizes(digits_lists):
    spread = []
    for balance in (0.1, 1.0):
        sizes = np.bincount(cluster_graph(neighbor_graph(digits_lists), 5, balance=balance)[0], minlength=5)
        spread.append(sizes.max() / sizes.min())
    assert spread[1] < spread[0]


def test_unevenness_tells_groups_of_like_sizes_from_others(digits_lists):
    chosen = np.concatenate([np.flatnonzero(DIGITS.target == digit)[: 170 - 17 * digit] for digit in range(10)])
    lists = neighbor_lists(DIGITS.data[chosen], 10)[1]
    even, uneven = ([unevenness(near, 10, member=member) for member in range(2)] for near in (digits_lists, lists))
    assert np.mean(even) < 0.8 * LIMIT < 1.2 * LIMIT < np.mean(uneven)
    assert (chosen_balance(even), chosen_balance(uneven)) == (0.7, 0.5)


def test_agreement_counts_rows_of_known_clusters_under_any_names():
    one = np.array([0, 0, 1, 1, 2, 2, -1, 0])
    other = np.array([2, 2, 0, 0, 1, 0, 1, -1])  # the same but for one of six rows
    assert start_agreement([one, other], 3) == 5 / 6
    assert start_agreement([one, other, one], 3) == (5 / 6 + 1 + 5 / 6) / 3
    assert start_agreement([np.full(8, -1), one], 3) == 0.0, "no row is known to both"


def test_very_many_clusters_are_found_too():
    X = np.random.default_rng(0).random((4000, 3))
    graph = neighbor_graph(neighbor_lists(X, 400)[1][:, :7])
    sizes = np.bincount(cluster_graph(graph, 400)[0])
    assert len(sizes) == 400
    assert sizes.max() < 60


def test_members_err_differently_and_the_seed_decides(digits_lists):
    classes, again = (community_starts(digits_lists, 10, member=1, seed=5) for _ in range(2))
    np.testing.assert_array_equal(classes, again)
    assert np.mean(classes >= 0) > 0.95
    for options in ({"member": 2, "seed": 5}, {"member": 1, "seed": 6}):
        others = community_starts(digits_lists, 10, **options)[0]
        both = (classes[0] >= 0) & (others >= 0)
        assert 0.5 < ACC(classes[0, both], others[both]) < 1
        assert both.mean() > 0.9


def test_more_starts_leave_the_first_as_it_is_and_err_differently(digits_lists):
    first, *others = community_starts(digits_lists, 10, member=2, n_starts=4)
    np.testing.assert_array_equal(first, community_starts(digits_lists, 10, member=2)[0])
    assert len({labels.tobytes() for labels in (first, *others)}) >= 3
    for labels in others:
        assert set(labels) <= set(range(-1, 10))
        assert acc(DIGITS.target, labels) > 0.85


def test_sparse_rows_and_images_are_read_like_dense_ones():
    X = DIGITS.data[:300]
    expected = neighbor_lists(X, 5)[1]
    for same in (sparse.csr_matrix(X), X.reshape(300, 8, 8, 1)):
        np.testing.assert_array_equal(neighbor_lists(same, 5)[1], expected)


def test_of_very_many_rows_a_sample_is_searched(monkeypatch):
    monkeypatch.setattr(starts, "MANY_ROWS", 200)
    rows, neighbors = neighbor_lists(DIGITS.data, 10, seed=3)
    assert len(rows) == len(neighbors) == 200
    np.testing.assert_array_equal(
        neighbors, nearest_neighbors(DIGITS.data[rows], max(starts.NEIGHBORS), metric="euclidean")
    )


def test_empty_texts_do_not_become_everybodys_neighbours():
    rng = np.random.default_rng(0)
    topics = np.repeat([0, 1], 150)
    words = rng.random((300, 60)) < np.where((np.arange(60) < 30) == (topics[:, None] == 0), 0.12, 0.01)
    words[::30] = False
    X = words / np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-9)
    filled = words.any(axis=1)
    for rows in (X, sparse.csr_matrix(X)):
        neighbors = neighbor_lists(rows, 2)[1]
        assert np.mean(filled[neighbors[filled][:, :5]]) > 0.99
        assert acc(topics[filled], community_starts(neighbors, 2)[0, filled]) > 0.9
    dense = DIGITS.data[:50]
    kinds = [X, -X, dense, sparse.csr_matrix(dense)]
    assert [neighbor_metric(kind) for kind in kinds] == ["hellinger", "cosine", "euclidean", "euclidean"]


def test_rows_with_many_copies_do_not_take_the_graph_apart():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=1500)
    X = np.rint(np.array([(0, 0), (20, 0), (0, 20)])[y] + 0.7 * rng.standard_normal((1500, 2)))
    assert len(np.unique(X, axis=0)) < 100
    for rows in (X, sparse.csr_matrix(X)):
        neighbors = neighbor_lists(rows, 3)[1]
        for member in range(2):
            assert ACC(y, community_starts(neighbors, 3, member=member)[0]) == 1
    assert estimate_n_clusters(X).n_clusters == 3
    habits = rng.choice([0.1, 0.9], size=(3, 9))
    answers = (rng.random((1500, 9)) < habits[y]).astype(np.uint8)
    assert acc(y, community_starts(neighbor_lists(answers, 3)[1], 3)[0]) > 0.9


def test_of_each_row_so_many_copies_are_in_a_list_and_never_the_row_itself():
    X = np.repeat([0.0, 1.0, 5.0, 20.0], [40, 2, 1, 30])[:, None]
    rows, lists = neighbor_lists(X, 2)
    assert len(rows) == len(lists) == 73
    for row, others in enumerate(lists):
        others = others[others >= 0]
        values, counts = np.unique(X[others], return_counts=True)
        assert row not in others
        assert len(set(others)) == len(others)
        same = np.count_nonzero(X[row] == X) - 1
        expected = {float(v): min(COPIES, same if v == X[row, 0] else np.count_nonzero(v == X)) for v in (0, 1, 5, 20)}
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {v: n for v, n in expected.items() if n}
    assert len(set(lists[:40, :3].ravel())) == 40, "every copy is somebody's neighbour"


def test_empty_rows_of_sparse_data_have_no_neighbours_and_are_nobodys():
    rng = np.random.default_rng(0)
    topics = np.repeat([0, 1], 200)
    own = (np.arange(80) < 40) == (topics[:, None] == 0)
    X = np.where(own & (rng.random((400, 80)) < 0.2), rng.random((400, 80)), 0)
    X[:60] = 0
    for rows in (X, sparse.csr_matrix(X)):
        lists = neighbor_lists(rows, 2)[1]
        assert (lists[:60] == -1).all()
        assert lists[60:].max() >= 60
        assert not np.isin(lists, np.arange(60)).any()
        labels = community_starts(lists, 2)[0]
        assert (labels[:60] == -1).all()
        assert acc(topics, labels) == 1


def test_very_many_small_groups_are_clustered_in_time():
    graph = sparse.kron(sparse.eye(3000), np.ones((4, 4)) - np.eye(4), format="csr")
    began = time.process_time()
    labels = cluster_graph(graph, 5)[0]
    assert set(labels) == {-1, 0, 1, 2, 3, 4}
    assert np.count_nonzero(labels >= 0) == 4 * 500
    assert time.process_time() - began < 60


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 5, 12, 60])
def test_degenerate_rows(n, n_clusters):
    if n_clusters > n:
        with pytest.raises(ValueError, match="n_clusters must be an integer of at least 1 and at most 1; received"):
            neighbor_lists(np.eye(n), n_clusters)
        return
    for X in (np.zeros((n, 3)), np.ones((n, 1)), np.eye(n), np.random.default_rng(0).normal(size=(n, 2))):
        for member in (0, 1):
            classes = community_starts(neighbor_lists(X, n_clusters)[1], n_clusters, member=member, n_starts=2)
            assert classes.shape == (2, n)
            assert np.all(classes.max(axis=1) >= 0)
            assert -1 <= classes.min() <= classes.max() < n_clusters


def test_the_largest_cluster_comes_first_and_strays_are_left_out():
    pairs = [[i, i + 1 if i % 2 == 0 else i - 1] for i in range(2)]  # a stray pair
    ring = [[2 + (i + 1) % 40, 2 + (i + 2) % 40] for i in range(40)]
    other = [[42 + (i + 1) % 60, 42 + (i + 2) % 60] for i in range(60)]
    graph = neighbor_graph(np.array([[p[1], -1] for p in pairs] + ring + other))
    for labels in cluster_graph(graph, 2, n_times=3):
        assert labels[:2].tolist() == [-1, -1]
        assert set(labels[2:42]) == {1}
        assert set(labels[42:]) == {0}


@pytest.mark.parametrize("sparse_rows", [True, False])
def test_rows_without_a_word_in_common_are_no_neighbours(sparse_rows):
    rng = np.random.default_rng(0)
    X, groups = np.zeros((120, 200), dtype=np.uint8), np.arange(120) % 10
    for row, group in zip(X, groups, strict=True):
        row[20 * group + rng.choice(20, 6, replace=False)] = 16  # whose square no byte holds
    rows, lists = neighbor_lists(sparse.csr_matrix(X) if sparse_rows else X, 10)
    shared = (X.astype(int) @ X.T.astype(int)) > 0
    seen = lists >= 0
    assert shared[np.nonzero(seen)[0], lists[seen]].all()
    assert seen.sum(axis=1).tolist() == np.minimum(shared.sum(axis=1) - 1, 20).tolist()
    found = community_starts(lists, 10, member=3)[0]
    assert ACC(groups[found >= 0], found[found >= 0]) == 1
