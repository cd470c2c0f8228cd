"""Who votes on what a later round teaches: communities of what the members have learnt."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from kingdra_cluster import KingdraCluster, LadderIM, starts
from kingdra_cluster.members import member_features
from kingdra_cluster.modes.base import hidden_network, predict_rows
from kingdra_cluster.parallel import ThisProcess
from kingdra_cluster.spaces import principal_components
from kingdra_cluster.teaching import starting_sets
from kingdra_cluster.unsup_metrics import ACC
from kingdra_cluster.voters import learnt_voters, votes_of_each

X, CLASSES = make_blobs(120, centers=3, n_features=4, cluster_std=1.0, random_state=0)
MODE = LadderIM(hidden_units=(16, 8), batch_size=40, learning_rate=0.02)
SHORT = {"mode": MODE, "n_members": 2, "epochs_first_round": 6, "epochs_per_round": 1, "start_votes": 6}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """An ensemble after one round, and where its members lie."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    folder = tmp_path_factory.mktemp("state")
    yield KingdraCluster(3, n_rounds=1, checkpoint_dir=folder, random_state=0, **SHORT).fit(X), folder
    tf.config.run_functions_eagerly(False)


def paths(folder):
    return sorted((folder / "round_0000").glob("member_*.npz"))


# What the members have learnt


def test_the_network_up_to_the_last_dense_layer(fitted):
    member = fitted[0].members_[0]
    hidden = hidden_network(member)
    *_, weights, bias = member.get_weights()
    seen = predict_rows(hidden, X)
    assert seen.shape == (120, 8)
    logits = seen @ weights + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_rows(member, X), expected, rtol=1e-4, atol=1e-6)


def test_a_linear_classifier_has_read_the_rows_and_others_nothing():
    rows = keras.Input((4,))
    seen = predict_rows(hidden_network(keras.Model(rows, keras.layers.Dense(3)(rows))), X)
    np.testing.assert_array_equal(seen, X.astype(np.float32))
    assert hidden_network(keras.Model(rows, keras.layers.Softmax()(rows))) is None


def test_features_are_components_of_the_hidden_layer(fitted):
    model, folder = fitted
    mode = model._with_clusters(3)._member_mode()
    for member, path in enumerate(paths(folder)):
        found = member_features(mode, X, path=path, scale=model.scale_, threads=1, n_components=2)
        hidden = predict_rows(hidden_network(model.members_[member]), X)
        expected = PCA(2).fit_transform(hidden.astype(np.float64)) / np.sqrt(hidden.var(axis=0).sum())
        signs = np.sign(np.sum(found * expected, axis=0))
        np.testing.assert_allclose(found, expected * signs, atol=1e-4)


def test_components_have_length_one_together_and_do_not_depend_on_threads():
    rows = np.random.default_rng(0).normal(size=(2000, 300)).astype(np.float32) * np.linspace(5, 1, 300)
    whole = principal_components(rows, 300)
    assert np.sum(whole.astype(np.float64) ** 2) / len(rows) == pytest.approx(1, rel=1e-4)
    with threadpool_limits(limits=2):
        two = principal_components(rows, 20)
    assert two.shape == (2000, 20)
    np.testing.assert_array_equal(two, principal_components(rows, 20))
    np.testing.assert_array_equal(principal_components(np.ones((5, 3)), 2), np.zeros((5, 2)))
    assert principal_components(rows[:3], 20).shape == (3, 3)


# The votes


def test_each_member_has_its_share_of_the_votes():
    for votes, members, each in ((100, 10, 10), (100, 3, 34), (0, 3, 1), (1, 4, 1)):
        assert votes_of_each(SimpleNamespace(start_votes=votes, n_members=members)) == each


def asked(model, folder, balance=0.7, **arguments):
    """`learnt_voters` of a fitted ensemble with other arguments."""
    settings = model._with_clusters(3)
    vars(settings).update({"n_rounds": 2} | arguments)
    options = {"balance": balance, "seed": 0, "scales": [model.scale_], "workers": ThisProcess()}
    return learnt_voters(settings, settings._member_mode(), X, paths(folder), **options)


def test_voters_find_the_groups_that_the_members_have_learnt(fitted):
    found = asked(*fitted)
    assert found.shape == (2, 120), "one in five of each member's three"
    assert np.mean([ACC(CLASSES, own) for own in found]) > 0.9
    np.testing.assert_array_equal(found, asked(*fitted), "the same bits")


def test_the_best_starts_are_those_that_say_most_about_neighbours():
    lists = starts.neighbor_lists(load_digits().data, 10)[1]
    options = {"balance": 1.0, "member": 2, "n_starts": 6}
    found = starts.community_starts(lists, 10, **options)
    dense = starts.member_graph(lists, 2).toarray()
    information = []
    for labels in found:
        joint = np.array([[dense[np.ix_(labels == a, labels == b)].sum() for a in range(10)] for b in range(10)])
        joint /= joint.sum()
        chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        information.append(np.sum(joint[joint > 0] * np.log(joint[joint > 0] / chance[joint > 0])))
    best = starts.community_starts(lists, 10, n_best=2, **options)
    np.testing.assert_array_equal(best, found[np.sort(np.argsort(information)[-2:])])
    assert len(np.unique(np.round(information, 9))) > 2, "there is something to choose"


@pytest.mark.parametrize(
    "options",
    [
        {"n_rounds": 1},
        {"start_votes": 0},
        {"start": None, "balance": None},
        {"labeller": "cores"},
        {"balance": 0.5},
        {"spaces": [(0, 1), (1, 2)]},
    ],
)
def test_they_are_not_asked(fitted, options):
    """One round, no votes, nothing but sure rows taught, groups that are taken for uneven, or several spaces."""
    assert asked(*fitted, **options) is None


def test_they_are_not_asked_about_a_sample(fitted, monkeypatch):
    monkeypatch.setattr(starts, "MANY_ROWS", 119)
    assert asked(*fitted) is None


def test_they_are_not_heard_where_they_do_not_agree_or_a_member_has_no_dense_layer(fitted, monkeypatch):
    monkeypatch.setattr(starts, "AGREED", 1.1)
    assert asked(*fitted) is None
    monkeypatch.undo()
    monkeypatch.setattr("kingdra_cluster.members.hidden_network", lambda classifier: None)
    assert asked(*fitted) is None


def test_starts_are_voters_only_where_more_than_the_sure_rows_is_taught_and_all_rows_are_searched(monkeypatch):
    rows = np.concatenate([np.zeros((30, 2)), np.ones((30, 2))]) + np.random.default_rng(0).normal(size=(60, 2)) / 9
    for options, expected in (
        ({}, 8),
        ({"start_votes": 0}, None),
        ({"n_members": 6}, 6),
        ({"labeller": "cores"}, None),
        ({"n_rounds": 1}, None),
    ):
        settings = KingdraCluster(2, **{"n_members": 2, "start_votes": 10, **options})
        sets, found, _ = starting_sets(settings, rows, 0, ThisProcess())
        assert len(sets) == settings.n_members
        assert (None if found is None else found.shape) == (None if expected is None else (expected, 60))
    monkeypatch.setattr(starts, "MANY_ROWS", 50)
    assert starting_sets(KingdraCluster(2, n_members=2), rows, 0, ThisProcess())[1] is None
    assert starting_sets(KingdraCluster(2, start=None), rows, 0, ThisProcess()) == (None, None, None)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("balance", "agreed", "kinds"),
    [
        (0.7, 0.75, ["learnt", "learnt", None]),
        (0.5, 0.75, ["starts", None, None]),
        (0.7, 1.1, ["starts", None, None]),
    ],
)
def test_starts_vote_in_the_second_round_where_what_is_learnt_does_not(monkeypatch, balance, agreed, kinds):
    monkeypatch.setattr(starts, "AGREED", agreed)
    model = KingdraCluster(3, n_rounds=3, tol=None, start_balance=balance, random_state=0, **SHORT).fit(X)
    assert [record["voters"] for record in model.history_] == kinds


@pytest.mark.usefixtures("eager")
def test_one_member_is_asked_too():
    model = KingdraCluster(3, n_rounds=2, start_balance=0.7, random_state=0, **SHORT | {"n_members": 1}).fit(X)
    assert model.history_[0]["voters"] == "learnt"
