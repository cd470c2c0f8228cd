import numpy as np
import pytest

from kingdra_cluster.checks import check_integer, check_member_labels, check_row_labels


@pytest.mark.parametrize("value", [2, np.int8(2), np.uint64(2)])
def test_integers_of_any_kind_become_int(value):
    assert type(check_integer("n", value, 1)) is int
    assert check_integer("n", value, 2, 2) == 2


def test_integers_out_of_range_are_named():
    with pytest.raises(ValueError, match="^n must be an integer of at least 1 and at most 3, got 4.$"):
        check_integer("n", 4, 1, 3)
    with pytest.raises(TypeError, match="^n must be an integer of at least 1, got 'x' of type str.$"):
        check_integer("n", "x", 1)


def test_member_labels_are_not_copied():
    labels = np.zeros((2, 3), dtype=np.uint8)
    assert check_member_labels(labels) is labels
    assert check_member_labels(labels.astype(np.uint64)).dtype == np.int64


def test_row_labels_may_be_missing():
    assert check_row_labels("y", np.array([-1, 1], np.int8), 2).dtype == np.int64
    with pytest.raises(ValueError, match=r"^y must be from 0 to 1 \(n_clusters - 1\), or -1 for none"):
        check_row_labels("y", [0, 2], 2)
