"""The loop with its defaults: a start from communities, the consensus labeller, names of each member's own."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons

from kingdra_cluster import KingdraCluster, LadderIM, rounds
from kingdra_cluster.teaching import later_sets
from kingdra_cluster.unsup_metrics import ACC

MOONS, CLASSES = make_moons(300, noise=0.06, random_state=0)
MODE = LadderIM(hidden_units=(64, 64), batch_size=50, learning_rate=0.01, noise_std=0.05, ladder_weight=0.001)


class Killed(Exception):
    pass


def make(**arguments):
    defaults = {"mode": MODE, "n_members": 3, "n_rounds": 2, "epochs_first_round": 80, "epochs_per_round": 10}
    return KingdraCluster(**{"n_clusters": 2, "random_state": 0} | defaults | arguments)


@pytest.fixture(scope="module")
def fitted():
    return make(verbose=1).fit(MOONS)


def test_it_finds_what_is_not_round(fitted):
    kmeans = KMeans(2, n_init=3, random_state=0).fit_predict(MOONS)
    assert ACC(CLASSES, fitted.labels_) > ACC(CLASSES, kmeans) + 0.03
    assert [record["supervised"] for record in fitted.history_] == [False, True]
    assert fitted.history_[0]["buckets"] == 2


def test_every_cluster_has_sure_rows_and_they_are_right(fitted):
    sure = fitted.pseudo_labels_ >= 0
    assert set(fitted.pseudo_labels_[sure]) == {0, 1}
    assert np.bincount(fitted.pseudo_labels_[sure]).min() >= 0.25 * np.bincount(fitted.labels_).min()
    assert ACC(CLASSES[sure], fitted.pseudo_labels_[sure]) > 0.93


@pytest.mark.parametrize("n_rounds", [1, 2])
def test_most_members_hold_the_sure_rows_even_of_noise(n_rounds):
    X = np.random.default_rng(0).normal(size=(200, 4))
    model = make(n_clusters=8, n_members=4, n_rounds=n_rounds, start=None, epochs_first_round=2, epochs_per_round=1)
    sure = model.fit(X).pseudo_labels_ >= 0
    assert 0 < sure.mean() < 0.8
    np.testing.assert_array_equal(model.pseudo_labels_[sure], model.labels_[sure])
    named = np.take_along_axis(model.mappings_, model.similarity_graph_.labels.astype(int), axis=1)
    assert ((named == model.labels_).sum(axis=0)[sure] > 2).all()


def test_balance_rests_while_there_is_something_to_learn_from(fitted):
    losses = fitted.history_[0]["losses"]
    assert losses["supervised"] < 0.2
    unsupervised = make(start=None, n_rounds=1, epochs_first_round=1).fit(MOONS)
    assert "supervised" not in unsupervised.history_[0]["losses"]


def test_a_killed_fit_goes_on_with_the_same_bits(fitted, tmp_path, monkeypatch):
    voters = []

    def kill(estimator, record):
        raise Killed

    def watched(settings, state):
        voters.append(None if state is None else state.voters)
        return later_sets(settings, state)

    monkeypatch.setattr(rounds, "later_sets", watched)
    with pytest.raises(Killed):
        make(checkpoint_dir=tmp_path, callbacks=[kill]).fit(MOONS)
    resumed = make(checkpoint_dir=tmp_path).fit(MOONS)
    assert [None if seen is None else seen.shape for seen in voters] == [None, (21, 300)]
    np.testing.assert_array_equal(resumed.probabilities_, fitted.probabilities_)
    np.testing.assert_array_equal(resumed.pseudo_labels_, fitted.pseudo_labels_)


def test_the_first_round_is_called_by_what_taught_it(capsys):
    make(verbose=1, epochs_first_round=1, epochs_per_round=1).fit(MOONS[:60])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("round 1/2 communities start ")
    assert lines[1].startswith("round 2/2 supervised ")


@pytest.mark.parametrize("start", ["kmeans", True, 3])
def test_another_start_is_refused(start):
    with pytest.raises(ValueError, match="start must be one of .'communities'. or None; received"):
        make(start=start).fit(MOONS)


def test_the_number_of_clusters_can_be_left_open(tmp_path, capsys):
    X, y = make_blobs(200, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    short = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 10, "mode": MODE, "random_state": 0}
    found = KingdraCluster("auto", **short, verbose=1).fit(X)
    assert capsys.readouterr().out.startswith("estimated number of clusters: 3 (from 3 to ")
    assert (found.n_clusters, found.n_clusters_, found.cluster_count_.n_clusters) == ("auto", 3, 3)
    assert found.probabilities_.shape == (200, 3)
    assert ACC(y, found.labels_) > 0.95
    np.testing.assert_array_equal(found.labels_, KingdraCluster(3, **short).fit(X).labels_)
    found.save(tmp_path / "model")
    np.testing.assert_array_equal(KingdraCluster.load(tmp_path / "model").predict(X), found.predict(X))
    with pytest.raises(ValueError, match="n_clusters must be one of .'auto'. or an integer of at least 1; received"):
        KingdraCluster("many").fit(X)
