from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from kingdra_cluster import KingdraCluster, starts
from kingdra_cluster.consensus import find_consensus
from kingdra_cluster.labellers import LABELLERS
from kingdra_cluster.parallel import ThisProcess
from kingdra_cluster.pseudo_labels import name_buckets
from kingdra_cluster.rounds import RoundState, epochs_of_round, has_settled, sure_in_all_rounds
from kingdra_cluster.similarity_graph import SimilarityGraph
from kingdra_cluster.starts import community_starts, neighbor_lists
from kingdra_cluster.teaching import BucketMemory, labelled_set, later_sets, starting_sets, with_voters
from tests.oracles import synthetic_ensemble


def outputs_of(member_labels, n_clusters, sureness=0.9):
    """Probabilities whose argmax are given labels."""
    rest = (1 - sureness) / max(1, n_clusters - 1)
    outputs = np.full((*member_labels.shape, n_clusters), rest, dtype="float32")
    np.put_along_axis(outputs, member_labels[..., None].astype(int), sureness, axis=2)
    return list(outputs)


# The aligned ensemble


@pytest.mark.parametrize("seed", range(5))
def test_members_with_other_names_are_aligned_before_they_are_averaged(seed):
    classes, labels = synthetic_ensemble(300, n_members=5, n_clusters=4, error_rate=0.1, seed=seed)
    consensus = find_consensus(outputs_of(labels, 4), labels)
    found = consensus.probabilities.argmax(axis=1)
    table = np.zeros((4, 4))
    np.add.at(table, (classes, found), 1)
    assert table.max(axis=1).sum() / 300 > 0.95
    np.testing.assert_allclose(consensus.probabilities.sum(axis=1), 1, rtol=1e-5)
    mean = np.zeros((300, 4))
    for output, mapping in zip(outputs_of(labels, 4), consensus.mappings, strict=True):
        for cluster in range(4):
            mean[:, mapping[cluster]] += output[:, cluster] / 5
    np.testing.assert_allclose(consensus.probabilities, mean, rtol=1e-5)


def test_clusters_keep_the_names_that_they_had():
    classes, labels = synthetic_ensemble(300, n_members=5, n_clusters=4, error_rate=0.1, seed=0)
    for names in ([0, 1, 2, 3], [3, 0, 2, 1], [1, 2, 3, 0]):
        previous = np.array(names)[classes]
        consensus = find_consensus(outputs_of(labels, 4), labels, previous)
        assert np.mean(consensus.probabilities.argmax(axis=1) == previous) > 0.95
        assert np.sort(consensus.mappings).tolist() == [[0, 1, 2, 3]] * 5


def test_agreement_is_the_mean_share_of_rows_in_aligned_names():
    labels = np.array([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 0]])
    assert find_consensus(outputs_of(labels, 2), labels).agreement == pytest.approx((1 + 0.75 + 0.75) / 3)
    assert find_consensus(outputs_of(labels[:1], 2), labels[:1]).agreement == 1


# Which buckets the next round learns from


def test_usable_buckets_are_taken_even_if_earlier_ones_were_larger():
    memory = BucketMemory(2)
    large, small = np.array([0, 0, 1, 1, -1]), np.array([0, 1, -1, -1, -1])
    memory.update(large)
    assert (memory.buckets is large, memory.reused) == (True, False)
    memory.update(small)
    assert (memory.buckets is small, memory.best is large, memory.reused) == (True, True, False)


def test_an_unusable_set_brings_back_the_best_so_far():
    memory = BucketMemory(2)
    small, large, unusable = np.array([0, 1, -1, 0]), np.array([0, 1, 0, 1]), np.array([0, 0, 0, -1])
    for found in (small, large, small, unusable):
        memory.update(found)
    assert (memory.buckets is large, memory.reused) == (True, True)
    memory.update(small)
    assert (memory.buckets is small, memory.reused) == (True, False)


def test_of_equally_good_sets_the_later_one_is_remembered():
    memory = BucketMemory(2)
    first, second = np.array([0, 1, -1]), np.array([-1, 0, 1])
    memory.update(first)
    memory.update(second)
    assert memory.best is second


def test_without_any_usable_set_there_are_no_labels():
    memory = BucketMemory(3)
    memory.update(np.array([0, 1, -1]))
    assert memory.buckets is None
    assert memory.best is None
    memory.update(np.array([-1, -1, -1]))
    assert memory.buckets is None


# What the members are taught


BUCKETS = np.array([0, 0, -1, 1, 2, -1, 2, 2, 1, -1])
MEMBERS = np.array([[1, 1, 0, 2, 0, 0, 0, 0, 2, 1], [2, 2, 2, 1, 0, 0, 0, 0, 1, 1], [0, 0, 2, 1, 2, 0, 2, 2, 1, 1]])


def test_the_labelled_set_is_balanced_and_made_of_bucket_rows():
    rows, classes = labelled_set(BUCKETS, MEMBERS, 3, shared_mapping=True, balanced=True)
    assert len(rows) == len(BUCKETS)
    assert sorted(np.bincount(BUCKETS[rows]).tolist()) == [3, 3, 4]
    assert classes.shape == (3, 10)


def test_shared_names_are_those_of_the_last_member():
    rows, classes = labelled_set(BUCKETS, MEMBERS, 3, shared_mapping=True, balanced=True)
    for member in range(3):
        np.testing.assert_array_equal(classes[member], MEMBERS[-1][rows])


def test_own_names_are_those_of_each_member():
    rows, classes = labelled_set(BUCKETS, MEMBERS, 3, shared_mapping=False, balanced=True)
    for member in range(3):
        np.testing.assert_array_equal(classes[member], MEMBERS[member][rows])
    assert (classes[0] != classes[1]).any()


def test_a_member_that_errs_is_taught_its_majority_name():
    wrong = MEMBERS.copy()
    wrong[0, 7] = 1  # one row of bucket 2
    rows, classes = labelled_set(BUCKETS, wrong, 3, shared_mapping=False, balanced=True)
    np.testing.assert_array_equal(classes[0], MEMBERS[0][rows])
    np.testing.assert_array_equal(name_buckets(BUCKETS, wrong[0], 3), [1, 2, 0])


@pytest.mark.parametrize(("labeller", "least", "most"), [("cores", 0.25, 0.85), ("consensus", 0.9, 1.0)])
def test_consensus_teaches_more_than_the_sure_rows_and_cores_does_not(labeller, least, most):
    labels = synthetic_ensemble(300, n_members=5, n_clusters=4, error_rate=0.25, seed=1)[1]
    graph, memory = SimilarityGraph(labels), BucketMemory(4, complete=False)
    sure = LABELLERS[labeller](graph, 4)
    memory.update(sure)
    settings = SimpleNamespace(labeller=labeller, n_clusters=4, shared_mapping=False)
    rows = later_sets(settings, RoundState(*[None] * 5, graph, memory))[0][0]
    assert set(np.flatnonzero(sure >= 0)) <= set(rows)
    assert least <= len(set(rows)) / 300 <= most
    assert (labeller == "cores") == (set(np.flatnonzero(sure >= 0)) == set(rows))


def test_more_voters_decide_what_is_taught():
    truth = np.repeat([0, 1, 2], 40)
    members = np.stack([np.where(np.arange(120) < 20, 1, truth)] * 3)  # all err in the same 20 rows
    voters = np.stack([(truth + shift) % 3 for shift in (0, 1, 2, 1, 2)])  # in names of their own
    voters[:, 100:] = -1
    voters[0, :10] = -1
    graph, memory = SimilarityGraph(members), BucketMemory(3, complete=False)
    memory.update(LABELLERS["consensus"](graph, 3))
    settings = SimpleNamespace(labeller="consensus", n_clusters=3, shared_mapping=False)
    state = RoundState(None, members[0], *[None] * 3, graph, memory)
    for known, expected in ((state, members[0]), (state._replace(voters=voters), truth)):
        for rows, classes in later_sets(settings, known):
            assert len(set(rows)) == 120
            np.testing.assert_array_equal(classes, expected[rows])
    joined = with_voters(state._replace(voters=voters), 3)
    np.testing.assert_array_equal(joined.labels[:3], members)
    np.testing.assert_array_equal(joined.labels[3:, 100:], np.array([[2, 0, 1, 0, 1]]).T.repeat(20, axis=1))
    np.testing.assert_array_equal(joined.labels[3:, 10:100], voters[:, 10:100])


def test_the_sure_rows_are_taught_where_the_voters_leave_none_that_takes_part():
    """Voters rank all rows: those that every member is confident of need not be among the first nine tenths."""
    members = np.zeros((2, 40), dtype=int)
    members[:, 20:] = 1
    members[0, [0, 20]] = 1, 0  # the only rows that take part are those that the members disagree about
    confidences = np.full((2, 40), 0.3)
    confidences[:, [0, 20]] = 0.9
    graph = SimilarityGraph(members, confidences, confidence_threshold=0.5)
    memory = BucketMemory(2, complete=False)
    memory.update(LABELLERS["consensus"](graph, 2))
    settings = SimpleNamespace(labeller="consensus", n_clusters=2, shared_mapping=False)
    state = RoundState(None, members[1], *[None] * 3, graph, memory, members[[1, 1, 1]])
    for rows, _ in later_sets(settings, state):
        assert set(rows) <= {0, 20}


def test_balance_of_the_starts_is_as_asked_for_or_as_the_sizes_say():
    even = make_blobs([100, 100, 100], 2, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0]
    uneven = make_blobs([500, 40, 40], 2, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0]
    options = {"n_members": 2, "start_votes": 6}
    for X, asked, expected in ((even, None, 0.7), (uneven, None, 0.5), (uneven, 0.8, 0.8), (even, 0.5, 0.5)):
        settings = KingdraCluster(3, start_balance=asked, **options)
        sets, voters, balance = starting_sets(settings, X, 0, ThisProcess())
        assert balance == expected
        for member, (rows, classes) in enumerate(sets):
            alone = community_starts(neighbor_lists(X, 3)[1], 3, member=member, balance=expected, n_starts=3)
            np.testing.assert_array_equal(classes[: len(X)], alone[0][rows[: len(X)]])
            np.testing.assert_array_equal(voters[2 * member : 2 * member + 2], alone[1:])


def test_little_balance_is_given_up_where_its_starts_do_not_agree(monkeypatch):
    uneven = make_blobs([500, 40, 40], 2, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0]
    lists = neighbor_lists(uneven, 3)[1]
    for needed, asked, expected in ((1.0, None, 0.5), (1.1, None, 1.0), (1.1, 0.5, 0.5)):
        monkeypatch.setattr(starts, "AGREED", needed)
        settings = KingdraCluster(3, start_balance=asked, n_members=2, start_votes=2)
        sets, _, balance = starting_sets(settings, uneven, 0, ThisProcess())
        assert balance == expected
        alone = community_starts(lists, 3, member=1, balance=expected)[0]
        np.testing.assert_array_equal(sets[1][1][: len(uneven)], alone[sets[1][0][: len(uneven)]])


# Which rows are sure


def test_a_row_is_sure_if_it_was_sure_in_every_round():
    buckets = np.array([0, 0, 1, 1, -1, -1, 2])
    before = np.array([3, -1, 3, 0, 1, -1, -1])
    assert sure_in_all_rounds(buckets, before).tolist() == [0, -1, 1, 1, -1, -1, 2], "bucket 2 keeps its only row"
    assert sure_in_all_rounds(buckets, np.full(7, -1)).tolist() == buckets.tolist()


# When to stop


def state_after(*changes):
    """A state whose rounds changed the given shares of labels; None = an unsupervised round."""
    history = [{"supervised": change is not None, "changed": 0.0 if change is None else change} for change in changes]
    return RoundState(history, *[None] * 6)


@pytest.mark.parametrize(
    ("changes", "tol", "settled"),
    [
        ((0.0, 0.0), 0.001, True),
        ((0.5, 0.001, 0.001), 0.001, True),
        ((0.001, 0.002), 0.001, False),
        ((0.002, 0.001), 0.001, False),
        ((0.0,), 0.001, False),
        ((None, 0.0), 0.001, False),
        ((None, None), 0.001, False),
        ((0.0, None), 0.001, False),
        ((None, 0.0, 0.0), 0.001, True),
        ((0.0, 0.0), None, False),
        ((0.0, 0.0), 0.0, True),
        ((0.001, 0.0), 0.0, False),
    ],
)
def test_two_quiet_supervised_rounds_in_a_row_end_the_fit(changes, tol, settled):
    assert has_settled(state_after(*changes), tol) is settled


def test_nothing_has_settled_before_the_first_round():
    assert not has_settled(None, 1.0)


def test_buckets_may_keep_their_shares():
    buckets = np.array([0, 0, 0, 1, -1, -1, -1, -1])
    members = np.array([[1, 1, 1, 0, 0, 0, 0, 0]])
    rows, classes = labelled_set(buckets, members, 2, shared_mapping=False, balanced=False)
    assert rows.tolist() == [0, 1, 2, 3] * 2
    assert classes.tolist() == [[1, 1, 1, 0] * 2]


# How long a round is


@pytest.mark.parametrize(
    ("given", "n_rows", "first", "later"),
    [
        ((None, None), 64, 500, 250),
        ((None, None), 1797, 18, 9),  # 28 steps an epoch
        ((None, None), 10, 500, 250),  # fewer rows than a batch: one step an epoch
        ((None, None), 70_000, 3, 2),
        ((7, None), 1797, 7, 9),
        ((None, 3), 1797, 18, 3),
    ],
)
def test_open_epochs_make_enough_steps(given, n_rows, first, later):
    settings = KingdraCluster(epochs_first_round=given[0], epochs_per_round=given[1])
    assert epochs_of_round(settings, False, n_rows, 64) == first
    assert epochs_of_round(settings, True, n_rows, 64) == later


def test_any_labelled_row_will_do_where_buckets_need_not_be_complete():
    memory = BucketMemory(3, complete=False)
    memory.update(np.array([0, 2, -1, -1]))
    assert not memory.reused
    assert memory.buckets.tolist() == [0, 2, -1, -1]
    memory.update(np.full(4, -1))
    assert memory.reused
    assert memory.buckets.tolist() == [0, 2, -1, -1]
