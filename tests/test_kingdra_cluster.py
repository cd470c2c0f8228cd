import warnings

import keras
import numpy as np
import pytest

from kingdra_cluster import CollapseWarning, KingdraCluster, LadderIM, PseudoLabelWarning
from kingdra_cluster.labellers import LABELLERS
from kingdra_cluster.members import train_member
from kingdra_cluster.modes.base import predict_rows

pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
MODE = LadderIM(hidden_units=(16,), batch_size=16, learning_rate=0.02, mi_weight=1.0, ladder_weight=0.01)
QUICK = LadderIM(hidden_units=(8,), mi_weight=1.0)
FIELDS = {
    "round", "supervised", "epochs", "member_epochs", "agreement", "pseudo_labelled", "buckets", "smallest_bucket",
    "reused", "changed", "clusters", "losses", "seconds", "seconds_left", "workers_peak_mb",
    "start_balance",
    "voters",
}  # fmt: skip


def make(n_clusters=3, **arguments):
    defaults = {"mode": MODE, "n_members": 3, "n_rounds": 3, "epochs_first_round": 10, "epochs_per_round": 2}
    defaults |= {"confidence_threshold": 0.5, "tol": None, "random_state": 0, "shared_mapping": False}
    defaults |= {"start": None, "labeller": "published", "mi_weight_later": None}
    return KingdraCluster(n_clusters, **defaults | arguments)


def short(n_clusters=3, **arguments):
    """Of the mode of `make`, whose network is compiled once for both."""
    return make(
        n_clusters, **{"n_members": 2, "n_rounds": 2, "epochs_first_round": 1, "epochs_per_round": 1} | arguments
    )


class Rounds:
    """Keeps what a callback sees."""

    def __init__(self):
        self.seen = []

    def __call__(self, estimator, record):
        names = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")
        self.seen.append((record, {name: getattr(estimator, name).copy() for name in names}))


@pytest.fixture(scope="module")
def fitted(blobs):
    rounds = Rounds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PseudoLabelWarning)
        return make(callbacks=[rounds]).fit(blobs), rounds


# The loop


def test_it_finds_the_groups(fitted):
    groups = fitted[0].labels_.reshape(3, 30)
    assert (groups == groups[:, :1]).mean() > 0.95
    assert len(set(groups[:, 0])) == 3


def test_history_has_an_entry_a_round(fitted):
    history = fitted[0].history_
    assert [record["round"] for record in history] == [0, 1, 2]
    assert all(set(record) == FIELDS for record in history)
    assert [record["supervised"] for record in history] == [False, True, True]
    assert [record["epochs"] for record in history] == [10, 2, 2]
    assert [record["member_epochs"] for record in history] == [30, 36, 42]
    assert history[0]["changed"] is None
    assert history[-1]["seconds_left"] == 0
    assert "supervised" not in history[0]["losses"]
    assert history[1]["losses"]["supervised"] > 0
    for record in history:
        assert 0 < record["agreement"] <= 1
        assert record["seconds"] > 0
        assert record["buckets"] == 3
        assert not record["reused"]


def test_history_says_how_many_labels_changed(fitted):
    model, rounds = fitted
    states = [state for _, state in rounds.seen]
    for index in (1, 2):
        changed = np.mean(states[index]["labels_"] != states[index - 1]["labels_"])
        assert model.history_[index]["changed"] == pytest.approx(changed)
    assert model.history_[-1]["clusters"] == len(np.unique(model.labels_))
    assert model.history_[-1]["pseudo_labelled"] == np.sum(model.pseudo_labels_ >= 0)


def test_callbacks_see_every_round_as_it_is(fitted):
    model, rounds = fitted
    assert [record["round"] for record, _ in rounds.seen] == [0, 1, 2]
    last_record, last_state = rounds.seen[-1]
    assert last_record == model.history_[-1]
    for name, array in last_state.items():
        np.testing.assert_array_equal(array, getattr(model, name))


def test_probabilities_are_the_mean_of_the_aligned_members(fitted, blobs):
    model, _ = fitted
    assert len(np.unique(model.mappings_, axis=0)) > 1
    mean = np.zeros((90, 3))
    for member, mapping in zip(model.members_, model.mappings_, strict=True):
        probabilities = predict_rows(member, blobs)
        for cluster in range(3):
            mean[:, mapping[cluster]] += probabilities[:, cluster] / 3
    np.testing.assert_allclose(model.probabilities_, mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(model.labels_, model.probabilities_.argmax(axis=1))


def test_pseudo_labels_are_the_buckets_in_the_names_of_the_labels(fitted):
    model, _ = fitted
    sure = model.pseudo_labels_ >= 0
    assert sure.any()
    assert np.mean(model.pseudo_labels_[sure] == model.labels_[sure]) > 0.9
    buckets = LABELLERS["published"](model.similarity_graph_, 3)
    np.testing.assert_array_equal(sure, buckets >= 0)
    pairs = set(zip(buckets[sure].tolist(), model.pseudo_labels_[sure].tolist(), strict=True))
    assert len(pairs) == 3  # a name a bucket


def test_the_graph_is_that_of_the_last_members(fitted, blobs):
    model, _ = fitted
    outputs = [predict_rows(member, blobs) for member in model.members_]
    graph = model.similarity_graph_
    np.testing.assert_array_equal(graph.labels, [output.argmax(axis=1) for output in outputs])
    np.testing.assert_array_equal(graph.takes_part, np.min([output.max(axis=1) for output in outputs], axis=0) > 0.5)
    assert (graph.low_agreement, graph.high_agreement, graph.confidence_threshold) == (1, 2, 0.5)


def test_a_rows_answer_is_its_own(fitted, blobs):
    model, _ = fitted
    np.testing.assert_array_equal(model.predict_proba(blobs), model.probabilities_)
    order = np.random.default_rng(0).permutation(90)
    np.testing.assert_array_equal(model.predict_proba(blobs[order]), model.probabilities_[order])
    for row in range(0, 90, 11):
        np.testing.assert_array_equal(model.predict_proba(blobs[row : row + 1])[0], model.probabilities_[row])
        assert model.predict(blobs[row : row + 1])[0] == model.labels_[row]


def test_a_single_member_and_a_single_round_are_enough(blobs):
    for arguments in ({"n_members": 1}, {"n_rounds": 1}):
        model = short(**arguments).fit(blobs)
        np.testing.assert_array_equal(model.predict(blobs), model.labels_)
        assert len(model.history_) == arguments.get("n_rounds", 2)


# Seeds and jobs


def test_one_seed_gives_the_same_bits_whatever_the_global_seeds(fitted, blobs):
    keras.utils.set_random_seed(77)
    again = make().fit(blobs)
    np.testing.assert_array_equal(again.probabilities_, fitted[0].probabilities_)
    np.testing.assert_array_equal(again.pseudo_labels_, fitted[0].pseudo_labels_)
    assert [record["losses"] for record in again.history_] == [record["losses"] for record in fitted[0].history_]


def test_two_worker_processes_give_the_same_bits(fitted, blobs):
    model = make(n_jobs=2).fit(blobs)
    np.testing.assert_array_equal(model.probabilities_, fitted[0].probabilities_)
    np.testing.assert_array_equal(model.pseudo_labels_, fitted[0].pseudo_labels_)


def test_seeds_matter(blobs):
    first, second = (short(random_state=seed).fit(blobs).probabilities_ for seed in (0, 1))
    assert np.abs(first - second).max() > 0.01
    model = short().fit(blobs)
    assert np.abs(predict_rows(model.members_[0], blobs) - predict_rows(model.members_[1], blobs)).max() > 0.01


# Policy of the rounds


def halves(graph, n_clusters):
    """A labeller that always finds usable buckets."""
    return np.arange(graph.n_rows) % n_clusters


def nobody(graph, n_clusters):
    """A labeller that finds a row of the first bucket only."""
    return np.where(np.arange(graph.n_rows) == 0, 0, -1)


@pytest.fixture
def labeller(monkeypatch):
    """Install rules under the name `test`: a list of one rule a round."""

    def install(*rules):
        remaining = list(rules)
        monkeypatch.setitem(LABELLERS, "test", lambda *args: remaining.pop(0)(*args))
        return {"labeller": "test"}

    return install


def test_settled_labels_end_the_fit(blobs, labeller):
    rules = labeller(*[halves] * 5)
    assert len(short(n_rounds=5, tol=1.0, **rules).fit(blobs).history_) == 3  # unsupervised, then two quiet rounds
    assert len(short(n_rounds=5, tol=None, **labeller(*[halves] * 5)).fit(blobs).history_) == 5


def test_unsupervised_rounds_never_end_the_fit(blobs, labeller):
    model = short(n_rounds=4, tol=1.0, **labeller(*[nobody] * 4)).fit(blobs)
    assert [record["supervised"] for record in model.history_] == [False] * 4


def test_rounds_without_buckets_are_unsupervised_and_later_ones_reuse_the_best(blobs, labeller):
    rules = labeller(nobody, halves, nobody, nobody)
    model = short(n_rounds=4, epochs_first_round=2, **rules).fit(blobs)
    assert [record["supervised"] for record in model.history_] == [False, False, True, True]
    assert [record["epochs"] for record in model.history_] == [2, 2, 1, 1]
    assert [record["reused"] for record in model.history_] == [False, False, True, True]
    assert [record["smallest_bucket"] for record in model.history_] == [0, 30, 0, 0]
    assert (model.pseudo_labels_ >= 0).all()  # those of the best round


@pytest.mark.usefixtures("eager")
def test_mi_weight_switches_with_the_first_supervised_round(blobs, labeller, monkeypatch):
    weights = []
    monkeypatch.setattr(
        "kingdra_cluster.rounds.train_member",
        lambda mode, *args, **options: weights.append(mode.mi_weight) or train_member(mode, *args, **options),
    )
    short(n_rounds=4, n_members=1, mi_weight_later=0.25, **labeller(nobody, halves, nobody, nobody)).fit(blobs)
    assert weights == [1.0, 1.0, 0.25, 0.25]
    assert QUICK.mi_weight == 1.0
    del weights[:]  # a start that teaches, after which there is nothing to teach: a resumed fit sees no start
    short(n_rounds=3, n_members=1, mi_weight_later=0.25, start="communities", **labeller(nobody, nobody, nobody)).fit(
        blobs
    )
    assert weights == [0.25, 1.0, 1.0]


def test_no_usable_buckets_are_warned_of_with_the_remedy(blobs, labeller):
    with pytest.warns(
        PseudoLabelWarning, match="no usable set .*next round is unsupervised.*epochs_first_round"
    ) as seen:
        short(**labeller(nobody, nobody)).fit(blobs)
    assert {w.filename for w in seen if w.category is PseudoLabelWarning} == {__file__}
    with pytest.warns(PseudoLabelWarning, match="only 1 of 3 buckets .*those of an earlier round are used"):
        short(n_rounds=3, **labeller(halves, nobody, halves)).fit(blobs)


def test_a_tiny_bucket_is_warned_of_with_the_remedy(blobs, labeller):
    def tiny(graph, n_clusters):
        return np.minimum(np.arange(graph.n_rows), 2)

    with pytest.warns(PseudoLabelWarning, match="smallest bucket has 1 rows.*lower high_agreement"):
        short(**labeller(tiny, tiny)).fit(blobs)


@pytest.mark.usefixtures("eager")
def test_lost_clusters_are_warned_of_by_number():
    with pytest.warns(CollapseWarning, match=r"clusters \[.*\] of 3 lost all their rows; fewer n_clusters") as seen:
        model = short().fit(np.ones((20, 4)))
    collapsed = [warning for warning in seen if warning.category is CollapseWarning]
    assert collapsed[0].filename == __file__
    for cluster in set(range(3)) - set(model.labels_):
        assert str(cluster) in str(collapsed[0].message)


def test_verbose_prints_a_line_a_round(blobs, capsys):
    short(verbose=1).fit(blobs)
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("round 1/2 unsupervised ")
    assert "pseudo-labelled" in lines[0]
    assert lines[1].endswith("left")
    short().fit(blobs)
    assert capsys.readouterr().out == ""


def test_a_mode_by_name_has_the_modes_defaults():
    model = KingdraCluster(7, mode="ladder", scale=None)
    mode = model._member_mode()
    assert isinstance(mode, LadderIM)
    assert (mode.n_clusters, mode.scale, mode.hidden_units) == (7, None, (400, 400))
