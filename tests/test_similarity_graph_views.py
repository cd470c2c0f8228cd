"""What a graph says about itself (attributes, `explain`, networkx), and its errors."""

import doctest

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kingdra_cluster import similarity_graph
from kingdra_cluster.similarity_graph import SimilarityGraph
from tests.oracles import brute_force_agreement, synthetic_ensemble

quick = settings(deadline=None, derandomize=True, database=None, max_examples=200)
seeds = st.integers(0, 2**32 - 1)


def digits(*members):
    return np.array([[int(digit) for digit in member] for member in members])


# Attributes and views


def test_attributes_describe_the_distinct_tuples():
    labels = digits("0100", "2122", "1011")
    graph = SimilarityGraph(labels)
    assert (graph.n_members, graph.n_rows, graph.n_tuples) == (3, 4, 2)
    assert graph.tuples.T.tolist() == [[0, 2, 1], [1, 1, 0]]
    assert graph.counts.tolist() == [3, 1]
    assert graph.first_rows.tolist() == [0, 1]
    assert graph.tuple_buckets.tolist() == [-1, -1]
    graph.buckets(1)
    assert graph.tuple_buckets.tolist() == [0, -1]
    assert (graph.low_agreement, graph.high_agreement) == (1, 2)


@quick
@given(seeds, st.integers(1, 7), st.integers(1, 60), st.integers(1, 6))
def test_tuples_are_those_of_numpy_unique(seed, n_members, n_rows, n_clusters):
    labels = synthetic_ensemble(n_rows, n_members, n_clusters, 0.3, seed)[1]
    graph = SimilarityGraph(labels)
    tuples, first_rows, counts = np.unique(labels, axis=1, return_index=True, return_counts=True)
    np.testing.assert_array_equal(graph.tuples, tuples)
    np.testing.assert_array_equal(graph.first_rows, first_rows)
    np.testing.assert_array_equal(graph.counts, counts)


def test_explain_says_which_members_put_two_rows_together():
    graph = SimilarityGraph(digits("001", "221", "102"), [[1, 1, 0.1]] * 3, confidence_threshold=0.5, high_agreement=1)
    assert graph.explain(0, 1) == (2, (0, 1), True, False, ())
    assert graph.explain(1, 2) == (0, (), False, True, (2,))
    assert graph.explain(2, 2) == (3, (0, 1, 2), False, False, (2,))
    assert graph.explain(np.int64(0), 0).members == (0, 1, 2)


@quick
@given(seeds, st.integers(-1, 5), st.integers(-1, 5))
def test_explain_equals_the_matrix(seed, low, high):
    labels = synthetic_ensemble(20, 5, 3, 0.4, seed)[1]
    graph = SimilarityGraph(labels, low_agreement=low, high_agreement=high)
    i, j = np.random.default_rng(seed).integers(0, 20, 2)
    agree = brute_force_agreement(labels)[i, j]
    told = graph.explain(i, j)
    assert (told.agreement, len(told.members)) == (agree, agree)
    assert (told.strong, told.far_apart) == (agree > high, agree <= low)


def test_networkx_view_equals_the_matrix_on_tuples():
    labels = synthetic_ensemble(300, 6, 3, 0.3)[1]
    similarity = SimilarityGraph(labels, low_agreement=2, high_agreement=4)
    buckets = similarity.buckets(3)
    graph = similarity.to_networkx(max_nodes=None)
    assert isinstance(graph, networkx.Graph)
    assert graph.number_of_nodes() == similarity.n_tuples
    assert sum(nx_count for _, nx_count in graph.nodes(data="count")) == 300
    agree = brute_force_agreement(similarity.tuples)
    expected = {(i, j) for i, j in np.argwhere(np.triu(agree > 2, k=1)).tolist()}
    assert {tuple(sorted(edge)) for edge in graph.edges} == expected
    for i, j, told in graph.edges(data=True):
        assert (told["agreement"], told["strong"]) == (agree[i, j], agree[i, j] > 4)
    for _, told in graph.nodes(data=True):
        assert told["labels"] == tuple(labels[:, told["first_row"]].tolist())
        assert told["bucket"] == buckets[told["first_row"]]
        assert all(type(value) is int for value in (told["count"], told["bucket"], told["first_row"]))


def test_networkx_view_is_bounded():
    similarity = SimilarityGraph(synthetic_ensemble(5000)[1])
    graph = similarity.to_networkx(max_nodes=20)
    assert graph.number_of_nodes() == 20
    assert set(graph.nodes) == set(np.argsort(-similarity.counts, kind="stable")[:20].tolist())
    assert graph.graph["omitted_tuples"] == similarity.n_tuples - 20
    assert graph.graph["omitted_rows"] == 5000 - sum(count for _, count in graph.nodes(data="count"))
    assert similarity.to_networkx().number_of_nodes() == 500


def test_input_is_left_alone():
    labels = synthetic_ensemble(200)[1]
    before = labels.copy()
    graph = SimilarityGraph(labels, high_agreement=8)
    first = graph.buckets(10)
    np.testing.assert_array_equal(graph.buckets(10), first)
    np.testing.assert_array_equal(labels, before)


def test_docstring_examples():
    assert doctest.testmod(similarity_graph).failed == 0


# Bad input


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1, 2], ValueError, r"labels must have the shape \(n_members, n_rows\).*\(3,\)"),
        (np.zeros((0, 5), int), ValueError, "none of them 0"),
        (np.zeros((5, 0), int), ValueError, "none of them 0"),
        ([[0.0, 1.0]], TypeError, "labels must be integers, got the data type float64"),
        ([["a", "b"]], TypeError, "labels must be integers"),
        ([[0, -1]], ValueError, "labels must be from 0 to .* got values from -1 to 0"),
        ([[0, 2**31]], ValueError, "got values from 0 to 2147483648"),
        (np.array([[0, 2**64 - 1]], dtype=np.uint64), ValueError, "got values from 0 to 18446744073709551615"),
    ],
)
def test_bad_labels(labels, error, message):
    with pytest.raises(error, match=message):
        SimilarityGraph(labels)


@pytest.mark.parametrize("name", ["low_agreement", "high_agreement"])
@pytest.mark.parametrize(
    ("value", "error"), [(3, ValueError), (-2, ValueError), (1.0, TypeError), ("1", TypeError), (True, TypeError)]
)
def test_bad_thresholds(name, value, error):
    message = f"{name} must be an integer of at least -1 and at most 2; received {name}=.?{value}"
    with pytest.raises(error, match=message):
        SimilarityGraph([[0, 1], [0, 1]], **{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "0.9", None])
def test_bad_confidence_threshold(value):
    with pytest.raises(ValueError, match="confidence_threshold must be a number from 0 to 1"):
        SimilarityGraph([[0, 1]], confidence_threshold=value)


@pytest.mark.parametrize(
    ("confidences", "error", "message"),
    [
        ([[0.5]], ValueError, r"the shape of labels, \(1, 2\), got \(1, 1\)"),
        ([[0.5, np.nan]], ValueError, "must be probabilities"),
        ([[0.5, np.inf]], ValueError, "must be probabilities, got values from 0.5 to inf"),
        ([[0.5, -0.1]], ValueError, "must be probabilities"),
        ([["a", "b"]], TypeError, "must be real numbers"),
    ],
)
def test_bad_confidences(confidences, error, message):
    with pytest.raises(error, match=message):
        SimilarityGraph([[0, 1]], confidences)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (2.0, TypeError), (None, TypeError)])
def test_bad_number_of_clusters(value, error):
    with pytest.raises(error, match="n_clusters must be an integer of at least 1"):
        SimilarityGraph([[0, 1]]).buckets(value)


@pytest.mark.parametrize("row", [-1, 2, 0.5])
def test_bad_row_to_explain(row):
    with pytest.raises((TypeError, ValueError), match="j must be an integer of at least 0 and at most 1"):
        SimilarityGraph([[0, 1]]).explain(0, row)


def test_bad_max_nodes():
    with pytest.raises(ValueError, match="max_nodes must be an integer of at least 1"):
        SimilarityGraph([[0, 1]]).to_networkx(max_nodes=0)
