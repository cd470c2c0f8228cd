import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kingdra_cluster.label_tuples import agreement, group, neighbour_counts, row_keys, smallest_type
from tests.oracles import brute_force_agreement, synthetic_ensemble

quick = settings(deadline=None, derandomize=True, database=None, max_examples=200)


@quick
@given(st.integers(1, 12), st.integers(1, 80), st.sampled_from([1, 2, 5, 300, 2**20, 2**31]), st.integers(0, 2**32 - 1))
def test_keys_keep_equality_and_lexicographic_order(n_members, n_rows, n_labels, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_labels, (n_members, n_rows))[:, rng.integers(0, n_rows, n_rows)]
    keys = row_keys(labels)
    assert keys.dtype == np.int64
    expected = np.unique(labels, axis=1, return_inverse=True)[1]
    np.testing.assert_array_equal(np.unique(keys, return_inverse=True)[1], expected)


@quick
@given(st.lists(st.sampled_from([0, 1, 2, 2**40, 2**62]), max_size=50))
def test_groups_of_equal_keys(keys):
    keys = np.array(keys, dtype=np.int64)
    before = keys.copy()
    order, starts = group(keys)
    np.testing.assert_array_equal(keys, before)
    np.testing.assert_array_equal(np.sort(order), np.arange(keys.size))
    np.testing.assert_array_equal(keys[order], np.sort(keys))
    np.testing.assert_array_equal(keys[order][starts], np.unique(keys))


def test_agreement_broadcasts():
    left, right = synthetic_ensemble(30, 300)[1], synthetic_ensemble(20, 300, seed=1)[1]
    agree = agreement(left[:, None, :], right[:, :, None])
    np.testing.assert_array_equal(agree, (left[:, None, :] == right[:, :, None]).sum(axis=0))  # 300 needs two bytes


@pytest.mark.parametrize("cost", [0, 10**9], ids=["regrouping", "blocked"])
@pytest.mark.parametrize("radius", [0, 1, 2, 3, 4, 5])
def test_neighbour_counts_by_both_routes(monkeypatch, cost, radius):
    monkeypatch.setattr("kingdra_cluster.label_tuples.REGROUPING_COST", cost)
    monkeypatch.setattr("kingdra_cluster.label_tuples.BLOCK", 100)
    tuples, counts = np.unique(synthetic_ensemble(400, 5, 4, 0.4)[1], axis=1, return_counts=True)
    expected = (brute_force_agreement(tuples) >= 5 - radius) @ counts
    np.testing.assert_array_equal(neighbour_counts(tuples, counts, radius), expected)


def test_smallest_type_holds_the_labels():
    assert smallest_type(np.array([0, 255])).dtype == np.uint8
    assert smallest_type(np.array([0, 256])).dtype == np.uint16
    assert smallest_type(np.empty((3, 0), dtype=int)).dtype == np.uint8
