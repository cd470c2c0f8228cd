import numpy as np
import pytest

from kingdra_cluster.checks import (
    Integral,
    Real,
    check_choice,
    check_integer,
    check_member_labels,
    check_number,
    check_row_labels,
    check_sequence,
)


@pytest.mark.parametrize("value", [2, np.int8(2), np.uint64(2)])
def test_integers_of_any_kind_become_int(value):
    assert type(check_integer("n", value, 1)) is int
    assert check_integer("n", value, 2, 2) == 2


def test_integers_out_of_range_are_named():
    with pytest.raises(ValueError, match="^n must be an integer of at least 1 and at most 3; received n=4$"):
        check_integer("n", 4, 1, 3)
    with pytest.raises(TypeError, match="^n must be an integer of at least 1; received n='x' of type str$"):
        check_integer("n", "x", 1)


def test_none_is_named_where_it_is_allowed():
    check_number("tol", None, Real, 0, none=True)
    check_choice("start", None, ["communities"], none=True)
    with pytest.raises(TypeError, match="^tol must be a finite number of at least 0, or None; received tol='a'"):
        check_number("tol", "a", Real, 0, none=True)
    with pytest.raises(ValueError, match=r"^start must be one of \['communities'\] or None; received start='kmeans'$"):
        check_choice("start", "kmeans", ["communities"], none=True)
    with pytest.raises(TypeError, match="^tol must be a finite number of at least 0; received tol=None"):
        check_number("tol", None, Real, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf"), -1, 10**400 - 10**401])
def test_numbers_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match="^x must be a finite number of more than 0; received x="):
        check_number("x", value, Real, above=0)


def test_a_name_is_suggested_only_where_one_is_near():
    with pytest.raises(ValueError, match="received labeller='publishd'; the nearest is 'published'$"):
        check_choice("labeller", "publishd", ["published", "communities"])
    with pytest.raises(ValueError, match="received labeller='xyz'$"):
        check_choice("labeller", "xyz", ["published", "communities"])


def test_an_entry_is_shown_with_its_sequence():
    check_sequence("hidden_units", np.array([3, 4]), Integral, 1)
    message = r"^every entry of hidden_units must be an integer of at least 1; received hidden_units=\(8, 0\)$"
    with pytest.raises(ValueError, match=message):
        check_sequence("hidden_units", (8, 0), Integral, 1)
    with pytest.raises(TypeError, match="must be a sequence of numbers"):
        check_sequence("hidden_units", np.array(3), Integral, 1)


def test_member_labels_are_not_copied():
    labels = np.zeros((2, 3), dtype=np.uint8)
    assert check_member_labels(labels) is labels
    assert check_member_labels(labels.astype(np.uint64)).dtype == np.int64


def test_row_labels_may_be_missing():
    assert check_row_labels("y", np.array([-1, 1], np.int8), 2).dtype == np.int64
    with pytest.raises(ValueError, match=r"^y must be from 0 to 1 \(n_clusters - 1\), or -1 for none"):
        check_row_labels("y", [0, 2], 2)
