"""Who votes on what a later round teaches: communities of what the members have learnt."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from kingdra_cluster import KingdraCluster, LadderIM, starts
from kingdra_cluster.members import member_features
from kingdra_cluster.modes.base import hidden_network, predict_rows
from kingdra_cluster.parallel import ThisProcess
from kingdra_cluster.spaces import principal_components
from kingdra_cluster.starts import community_starts, neighbor_lists
from kingdra_cluster.unsup_metrics import ACC
from kingdra_cluster.voters import find_voters, learnt_voters, votes_of_each

X, CLASSES = make_blobs(120, centers=3, n_features=4, cluster_std=1.0, random_state=0)
MODE = LadderIM(hidden_units=(16, 8), batch_size=40, learning_rate=0.02)
SHORT = {"mode": MODE, "n_members": 2, "epochs_first_round": 6, "epochs_per_round": 1, "start_votes": 6}
EVEN_START = [{"start_balance": 0.7}]


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
    for votes, members, each in ((100, 10, 10), (100, 3, 34), (0, 3, 0), (1, 4, 1)):
        assert votes_of_each(SimpleNamespace(start_votes=votes, n_members=members)) == each


def asked(model, folder, **arguments):
    """`find_voters` or `learnt_voters` of a fitted ensemble with other arguments."""
    settings = model._with_clusters(3)
    vars(settings).update({"n_rounds": 2} | arguments)
    options = {"seed": 0, "scales": [model.scale_], "workers": ThisProcess()}
    return (settings, settings._member_mode(), X, paths(folder)), options


def test_voters_find_the_groups_that_the_members_have_learnt(fitted):
    arguments, options = asked(*fitted)
    found = learnt_voters(*arguments, **options)
    assert found.shape == (6, 120)
    assert np.mean([ACC(CLASSES, own) for own in found]) > 0.9
    np.testing.assert_array_equal(found, learnt_voters(*arguments, **options), "the same bits")


def test_starts_vote_after_the_first_round_where_groups_are_uneven_or_nothing_is_agreed_upon(fitted, monkeypatch):
    arguments, options = asked(*fitted)
    learnt = learnt_voters(*arguments, **options)
    lists = neighbor_lists(X, 3)[1]

    def more_starts(balance):
        several = [community_starts(lists, 3, member=member, balance=balance, n_starts=3) for member in range(2)]
        return np.concatenate([own[1:] for own in several])

    for needed, balance, rounds, kind, expected in (
        (0.75, 0.7, 1, "learnt", learnt),
        (0.75, 0.7, 2, "learnt", learnt),
        (0.75, 0.5, 1, "starts", more_starts(0.5)),
        (0.75, 0.5, 2, None, None),
        (1.1, 0.7, 1, "starts", more_starts(0.7)),
        (1.1, 0.7, 2, None, None),
    ):
        monkeypatch.setattr(starts, "AGREED", needed)
        found, whose = find_voters(*arguments, [{"start_balance": balance}] * rounds, **options)
        assert whose == kind
        np.testing.assert_array_equal(found, expected)


def test_starts_vote_where_a_member_has_no_dense_layer(fitted, monkeypatch):
    monkeypatch.setattr("kingdra_cluster.members.hidden_network", lambda classifier: None)
    arguments, options = asked(*fitted)
    assert learnt_voters(*arguments, **options) is None
    assert find_voters(*arguments, EVEN_START, **options)[1] == "starts"


@pytest.mark.parametrize(
    "options", [{"n_rounds": 1}, {"start_votes": 0}, {"start": None}, {"labeller": "cores"}, {"most": 119}]
)
def test_members_vote_alone(fitted, monkeypatch, options):
    """With one round, nobody else asked, nothing but sure rows taught, or a sample of the rows searched."""
    monkeypatch.setattr(starts, "MANY_ROWS", options.pop("most", 120))
    arguments, known = asked(*fitted, **options)
    assert find_voters(*arguments, EVEN_START, **known) == (None, None)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("balance", "kinds"), [(0.7, ["learnt", "learnt", None]), (0.5, ["starts", None, None])])
def test_they_are_asked_after_every_round_but_the_last(balance, kinds):
    model = KingdraCluster(3, n_rounds=3, tol=None, start_balance=balance, random_state=0, **SHORT).fit(X)
    assert [record["voters"] for record in model.history_] == kinds


@pytest.mark.usefixtures("eager")
def test_one_member_is_asked_too():
    model = KingdraCluster(3, n_rounds=2, start_balance=0.7, random_state=0, **SHORT | {"n_members": 1}).fit(X)
    assert model.history_[0]["voters"] == "learnt"
