import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs

from kingdra_cluster import KingdraCluster, LadderIM, teaching
from kingdra_cluster.parallel import ThisProcess
from kingdra_cluster.spaces import as_slices, check_spaces, columns
from kingdra_cluster.teaching import starting_sets
from kingdra_cluster.unsup_metrics import ACC

X = np.arange(12.0).reshape(3, 4)


def test_members_are_dealt_the_spaces_in_turn():
    for spaces in ([slice(0, 1), slice(1, 4)], [(0, 1), (1, 4)], [slice(None, 1), [1, 4]]):
        for member, width in enumerate([1, 3, 1, 3, 1]):
            assert columns(X, spaces, member).shape == (3, width)
            assert columns(sparse.csr_matrix(X), spaces, member).shape == (3, width)
    assert columns(X, None, 3) is X
    assert np.shares_memory(columns(X, [(1, 3)], 0), X)


@pytest.mark.parametrize(
    ("spaces", "error", "message"),
    [
        ("all", TypeError, "spaces must be a list of slices"),
        ([], TypeError, "spaces must be a list of slices"),
        ([3], TypeError, "slice.start, stop. or a pair"),
        ([slice(0, 4, 2)], TypeError, "slice.start, stop. or a pair"),
        ([slice(1, None)], TypeError, "slice.start, stop. or a pair"),
        ([(0, 1.5)], TypeError, "slice.start, stop. or a pair"),
        ([(2, 2)], ValueError, "0 <= start < stop"),
        ([(-1, 2)], ValueError, "0 <= start < stop"),
    ],
)
def test_what_is_no_space_is_refused_before_any_work(spaces, error, message):
    with pytest.raises(error, match=message):
        as_slices(spaces)
    with pytest.raises(error, match=message):
        KingdraCluster(spaces=spaces).fit(np.zeros((2, 2)))


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="within the 4 columns of X"):
        check_spaces([(0, 2), (2, 5)], 4)


@pytest.fixture(scope="module")
def fitted():
    """Two spaces of very different units, each enough to find the clusters."""
    first, y = make_blobs(240, centers=3, cluster_std=0.5, random_state=1)
    rows = np.hstack([first, 1000 * first @ [[1.0, 0.5, 0.2], [-0.3, 1.0, 0.4]]])
    mode = LadderIM(hidden_units=(16,), batch_size=32, learning_rate=0.02, ladder_weight=0.01)
    options = {"n_members": 3, "n_rounds": 2, "epochs_first_round": 12, "epochs_per_round": 2, "start_votes": 4}
    spaces = [slice(0, 2), slice(2, 5)]
    return KingdraCluster(3, mode=mode, spaces=spaces, random_state=0, **options).fit(rows), rows, y


def test_an_ensemble_over_two_spaces_needs_no_common_one(fitted):
    model, rows, y = fitted
    assert ACC(y, model.labels_) > 0.95
    assert [member.input_shape[1] for member in model.members_] == [2, 3, 2]
    assert len(model.scale_) == 2
    assert model.scale_[1] > 100 * model.scale_[0]
    np.testing.assert_array_equal(model.predict(rows), model.labels_)
    np.testing.assert_allclose(model.predict_proba(rows), model.probabilities_, rtol=1e-6)


def test_starts_in_different_spaces_need_not_agree_for_little_balance():
    """Either space has its own three groups, far apart and unlike in size."""
    sizes = [[0, 0]] * 300 + [[30, 0]] * 90 + [[0, 30]] * 90
    noise = np.random.default_rng(0).normal(size=(2, 480, 2))
    parts = [sizes + noise[0], np.random.default_rng(1).permutation(sizes) + noise[1]]
    settings = KingdraCluster(3, spaces=[(0, 2), (2, 4)], n_members=4, start_votes=4)
    assert starting_sets(settings, np.hstack(parts), 0, ThisProcess())[2] == 0.5


def test_members_of_one_space_see_different_numbers_of_neighbours_and_each_space_says_how_uneven_it_is(monkeypatch):
    asked = []

    def watched(function, place):
        def call(lists, n_clusters, *, member, seed, **options):
            asked.append((place, lists.shape[1], int(lists[0, 0]), member))
            return function(lists, n_clusters, member=member, seed=seed, **options)

        return call

    for name in ("member_starts", "member_unevenness"):
        monkeypatch.setattr(teaching, name, watched(getattr(teaching, name), name))
    rows = np.random.default_rng(0).normal(size=(60, 4))
    starting_sets(KingdraCluster(3, spaces=[(0, 2), (2, 4)], n_members=10, start_votes=10), rows, 0, ThisProcess())
    for name, members in (("member_unevenness", range(4)), ("member_starts", range(5))):
        found = [entry for entry in asked if entry[0] == name]
        for first in {entry[2] for entry in found}:
            assert [entry[3] for entry in found if entry[2] == first][: len(members)] == list(members)


def test_the_number_of_clusters_is_that_of_the_space_with_the_most_stable_ones():
    groups = make_blobs(120, centers=3, cluster_std=0.1, random_state=1)[0]
    noise = np.random.default_rng(0).normal(size=(120, 30))
    mode = LadderIM(hidden_units=(4,), batch_size=60)
    options = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 1, "random_state": 0, "start_balance": 0.7}
    for parts, spaces in (((noise, groups), [(0, 30), (30, 32)]), ((groups, noise), [(0, 2), (2, 32)])):
        model = KingdraCluster("auto", mode=mode, spaces=spaces, **options).fit(np.hstack(parts))
        assert model.n_clusters_ == model.cluster_count_.n_clusters == 3


def test_it_comes_back_from_its_folder(fitted, tmp_path):
    model, rows, _ = fitted
    model.save(tmp_path / "model")
    loaded = KingdraCluster.load(tmp_path / "model")
    assert as_slices(loaded.spaces) == model.spaces
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
