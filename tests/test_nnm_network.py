"""A step of nearest-neighbour matching against a slow one; batches, global table and labelled rows; heads judged."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kingdra_cluster import NNM
from kingdra_cluster.batches import feed
from kingdra_cluster.losses import class_matching, cluster_entropy, neighbor_consistency
from kingdra_cluster.modes.nnm_batches import NeighborBatches
from kingdra_cluster.modes.nnm_network import judge_heads, score_heads
from kingdra_cluster.modes.nnm_rows import check_neighbors, mined_neighbors, neighbors_among, split_rows

pytestmark = pytest.mark.usefixtures("eager")
HEADS, CLUSTERS = 2, 3
TINY = {"backbone": {"name": "mlp", "hidden_units": (6,)}, "n_heads": HEADS, "view_distance": 0.0}


def make_network(seed=3, n_clusters=CLUSTERS, **changes):
    return NNM(n_clusters, **{**TINY, **changes}).make_network((4,), seed)


def example_rows(n=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")


def make_batches(X, labelled=None, with_global=True, **options):
    options = {"batch_size": 5, "seed": (1, 2)} | options
    neighbors = neighbors_among(X, np.arange(len(X)), 3, "euclidean")
    sizes = {"n_heads": HEADS, "n_clusters": CLUSTERS, "with_global": with_global}
    return NeighborBatches(X, neighbors, labelled=labelled, **sizes, **options)


def probabilities(n, seed=0, heads=None, sharpness=3.0):
    shape = (n, CLUSTERS) if heads is None else (n, heads, CLUSTERS)
    logits = sharpness * np.random.default_rng(seed).normal(size=shape)
    return (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype("float32")


def slow_consistency(first, second):
    return np.mean([-np.log(sum(a * b for a, b in zip(p, q, strict=True))) for p, q in zip(first, second, strict=True)])


def slow_matching(first, second):
    columns = range(first.shape[1])
    cosine = [[first[:, i] @ second[:, j] / np.linalg.norm(first[:, i]) / np.linalg.norm(second[:, j]) for j in columns]
              for i in columns]  # fmt: skip
    return np.mean([np.log(sum(np.exp(cosine[i][j]) for j in columns)) - cosine[i][i] for i in columns])


def slow_entropy(rows):
    shares = rows.mean(axis=0)
    return -sum(share * np.log(share) for share in shares)


# A step


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("class_level", [True, False])
@pytest.mark.parametrize("global_level", [True, False])
def test_the_loss_of_a_step_equals_one_computed_pair_by_pair(local, class_level, global_level):
    network = make_network(local=local, class_level=class_level, global_level=global_level, weight_decay=0.01)
    x, neighbor, partner = example_rows(7), example_rows(7, 1), probabilities(7, 2, HEADS)
    inputs = {"x": x, "neighbor": neighbor, "partner": partner, "has_partner": np.ones(7, "float32")}
    output = network.call(inputs, training=False)
    anchors, neighbors = (network.answers(rows, np.arange(7), 1.0) for rows in (x, neighbor))
    expected = {"consistency": 0, "class_matching": 0, "global_matching": 0, "entropy": 0}
    for head in range(HEADS):
        first, second = anchors[1][:, head], neighbors[1][:, head]
        if local:
            distances = ((anchors[0][:, None] - anchors[0]) ** 2).sum(axis=2) + np.diag(np.full(7, np.inf))
            first, second = np.concatenate([first, first]), np.concatenate([second, first[distances.argmin(axis=1)]])
        expected["consistency"] += slow_consistency(first, second)
        expected["class_matching"] += slow_matching(first, second)
        expected["entropy"] -= 5 * slow_entropy(first)
        both = np.concatenate([first, second])
        matched = np.concatenate([partner[:, head]] * (len(both) // 7))
        expected["global_matching"] += slow_consistency(both, matched) + slow_matching(both, matched)
    expected["decay"] = 0.005 * sum(np.square(v).sum() for v in network.trainable_variables)
    expected = {
        k: v
        for k, v in expected.items()
        if {"class_matching": class_level, "global_matching": global_level}.get(k, True)
    }
    terms = {name: float(value) for name, value in network.loss_terms(output).items()}
    assert terms == pytest.approx(expected, rel=1e-4)
    assert float(network.compute_loss(y_pred=output)) == pytest.approx(sum(expected.values()), rel=1e-4)


def test_the_global_term_counts_from_the_first_table_on():
    network = make_network()
    inputs = {"x": example_rows(), "neighbor": example_rows(seed=1), "has_partner": np.zeros(12, "float32")}
    inputs["partner"] = np.zeros((12, HEADS, CLUSTERS), "float32")
    with tf.GradientTape() as tape:
        value = network.loss_terms(network.call(inputs, training=True))["global_matching"]
    assert float(value) == 0
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(value, network.trainable_weights))


def test_weight_decay_is_that_of_pytorch_a_part_of_the_gradient():
    gradients = []
    for weight_decay in (0.0, 0.2):
        network = make_network(weight_decay=weight_decay, global_level=False)
        with tf.GradientTape() as tape:
            output = network.call({"x": example_rows(), "neighbor": example_rows(seed=1)}, training=True)
            loss = network.compute_loss(y_pred=output)
        gradients.append(tape.gradient(loss, [v.value for v in network.trainable_variables]))
    for plain, decayed, weight in zip(*gradients, network.trainable_variables, strict=True):
        np.testing.assert_allclose(decayed - plain, 0.2 * np.asarray(weight), atol=1e-5)
    assert any("bias" in v.path for v in network.trainable_variables)  # these and batch norm's included


def test_labelled_rows_add_cross_entropy_on_every_head():
    network = make_network(global_level=False, supervised_weight=2.0)
    x, targets = example_rows(), np.eye(CLUSTERS, dtype="float32")[np.arange(24).reshape(12, 2) % CLUSTERS]
    output = network.call({"x": x, "neighbor": x, "labelled": x}, training=False)
    found = network.answers(x, np.arange(12), 1.0)[1]
    logs = [np.log(found[row, head] @ targets[row, head]) for row in range(12) for head in range(HEADS)]
    supervised = float(network.loss_terms(output, targets)["supervised"])
    assert supervised == pytest.approx(-2 * HEADS * np.mean(logs), rel=1e-4)


def test_views_depend_on_seed_and_step_and_differ_within_one():
    network = make_network(view_distance=0.5, global_level=False)
    inputs = {"x": example_rows(), "neighbor": example_rows(seed=1)}
    first, again = (network.call(inputs, training=False) for _ in range(2))
    np.testing.assert_array_equal(first["anchor"], again["anchor"])
    assert np.any(np.asarray(first["anchor"]) != np.asarray(first["neighbor"]))
    assert np.any(np.asarray(first["anchor"]) != np.asarray(first["augmented"]))
    network.optimizer.iterations.assign(1)
    assert np.any(np.asarray(network.call(inputs, training=False)["anchor"]) != np.asarray(first["anchor"]))


@pytest.mark.parametrize("jit", [False, True])
def test_training_compiled_is_finite_with_identical_rows_too(jit):
    tf.config.run_functions_eagerly(False)
    network = make_network()
    network.compile(keras.optimizers.SGD(0.1), jit_compile=jit)
    for X in (example_rows(), np.ones((12, 4), "float32")):
        history = network.fit(make_batches(X), epochs=2, shuffle=False, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    assert history["global_matching"][-1] > 0


# Batches


def test_batches_bring_itself_or_a_neighbour_and_every_row_once():
    X = example_rows(13)
    batches = make_batches(X, batch_size=4, with_global=False)
    allowed = np.column_stack([np.arange(13), batches.neighbors])
    drawn = np.zeros(13)
    for _ in range(30):
        assert len(batches) == 3  # the last row is left over
        for index in range(3):
            (batch,) = batches[index]
            rows = batches.order[4 * index : 4 * index + 4]
            np.testing.assert_array_equal(batch["x"], X[rows])
            for row, near in zip(rows, batch["neighbor"], strict=True):
                place = [k for k in range(4) if np.array_equal(near, X[allowed[row, k]])]
                assert len(place) == 1
                drawn[place[0]] += 1
        assert len(np.unique(batches.order)) == 13
        batches.on_epoch_end()
    assert drawn[:4].min() > 60  # of 90, each as often as the others
    again = make_batches(X, batch_size=4, with_global=False)
    np.testing.assert_array_equal(again[1][0]["neighbor"], make_batches(X, batch_size=4)[1][0]["neighbor"])
    assert set(again[0][0]) == {"x", "neighbor"}


def test_the_global_table_is_filled_and_read_by_row_index():
    X, network = example_rows(), make_network()
    batches = make_batches(X, rows=np.arange(1, 12))
    assert not batches[0][0]["has_partner"].any()
    batches.refresh(network)
    features, answers = network.answers(X, np.arange(12), 1.0)
    (batch,) = batches[1]
    for row, partner in zip(batches.order[5:10], batch["partner"], strict=True):
        distances = ((features - features[row]) ** 2).sum(axis=1)
        distances[[0, row]] = np.inf  # row 0 is not trained on
        np.testing.assert_array_equal(partner, answers[distances.argmin()])
    assert batch["has_partner"].all()


def test_a_fit_refreshes_the_table_every_epoch_but_the_first_of_all(monkeypatch):
    network, calls = make_network(), []
    monkeypatch.setattr(NeighborBatches, "refresh", lambda self, by: calls.append(int(by.optimizer.iterations)))
    network.fit(make_batches(example_rows()), epochs=3, shuffle=False, verbose=0)
    assert calls == [2, 4]
    network.fit(make_batches(example_rows()), epochs=1, shuffle=False, verbose=0)  # a member's next round
    assert calls == [2, 4, 6]
    batches = make_batches(example_rows())
    network.fit(feed(batches), epochs=batches.join_epochs(2), shuffle=False, verbose=0)  # as `members` does
    assert calls == [2, 4, 6, 8, 10]


def test_classes_take_the_names_of_each_head():
    X, network = example_rows(90), make_network()
    found = network.answers(X, np.arange(90), 1.0)[1].argmax(axis=-1)
    renamed = np.array([2, 0, 1])
    rows = np.random.default_rng(0).integers(0, 90, 90)
    batches = make_batches(X, labelled=(rows, np.eye(3, dtype="float32")[renamed[found[rows, 0]]]))
    batches.align(network)
    np.testing.assert_array_equal(batches.names[0][renamed], np.arange(3))
    assert sorted(batches.names[1]) == [0, 1, 2]
    inputs, targets = batches[0]
    chosen = rows[batches.labelled_order[:5]]
    np.testing.assert_array_equal(inputs["labelled"], X[chosen])
    np.testing.assert_array_equal(targets[:, 0].argmax(axis=1), found[chosen, 0])
    assert targets.shape == (5, HEADS, CLUSTERS)


# Rows


def test_neighbours_come_from_the_rows_that_are_trained_on():
    X, rows = example_rows(20), np.array([0, 3, 4, 7, 11, 19])
    found = neighbors_among(X, rows, 3, "euclidean")
    for row in range(20):
        others = [other for other in rows if other != row]
        expected = sorted(others, key=lambda other: ((X[row] - X[other]) ** 2).sum())[:3]
        np.testing.assert_array_equal(found[row], expected)
    assert neighbors_among(X[:2], np.arange(2), 20, "cosine").tolist() == [[1], [0]]
    images = X.reshape(20, 2, 2, 1)
    np.testing.assert_array_equal(neighbors_among(images, rows, 3, "euclidean"), found)


def test_the_same_rows_are_searched_once(monkeypatch):
    X = example_rows(20, seed=9)
    first = mined_neighbors(X, 3, "cosine")
    monkeypatch.setattr("kingdra_cluster.modes.nnm_rows.neighbors_among", lambda *_: np.zeros((20, 1), int))
    assert mined_neighbors(X.copy(), 3, "cosine") is first
    assert mined_neighbors(X + 1, 3, "cosine") is not first


def test_a_tenth_is_held_out_of_many_rows():
    for trained, judged in (split_rows(2000, None, 0), split_rows(2000, np.arange(200), 0)):
        assert (len(trained), len(judged)) == (1800, 200)
        assert not np.intersect1d(trained, judged).size
    few = split_rows(1999, None, 0)
    np.testing.assert_array_equal(*few)
    assert len(few[0]) == 1999
    assert np.any(split_rows(2000, None, 0)[1] != split_rows(2000, None, 1)[1])
    for wrong in ([], [0.5], [-1], [10], np.arange(9)):
        with pytest.raises(ValueError, match="held_out must be some of the rows 0 to 9"):
            split_rows(10, wrong, 0)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 2)), np.zeros((2, 2), int), np.zeros(3, int), np.zeros((3, 0), int), [[0], [1], [3]], [[-1]] * 3],
)
def test_neighbours_of_the_wrong_kind_are_refused(wrong):
    with pytest.raises(ValueError, match="neighbors must be"):
        check_neighbors(wrong, 3)


# Judging


@pytest.mark.parametrize("class_level", [True, False])
def test_the_score_is_that_of_all_pairs_at_once(class_level):
    answers = probabilities(30, heads=HEADS)
    answers[:4, 0] = np.eye(3)[[0, 1, 2, 0]]  # pairs that agree not at all
    rows, neighbors = np.arange(10), np.random.default_rng(0).integers(0, 30, (10, 4))
    neighbors[0] = [1, 2, 1, 2]
    scores = score_heads(answers, rows, neighbors, class_level=class_level)
    for head, score in enumerate(scores):
        anchors, positives = np.repeat(answers[rows, head], 4, axis=0), answers[neighbors.ravel(), head]
        expected = float(neighbor_consistency(anchors, positives)) - float(cluster_entropy(anchors))
        expected += float(class_matching(anchors, positives)) * class_level
        assert score == pytest.approx(expected, rel=1e-4)


def test_the_better_head_is_found_and_dead_clusters_are_counted():
    X, network = example_rows(40), make_network()
    neighbors = neighbors_among(X, np.arange(40), 7, "euclidean")
    network.bias.assign([0, 0, 0, 50.0, 0, 0])
    scores, clusters = judge_heads(network, X, np.arange(40), neighbors, 1.0)
    answers = network.answers(X, np.arange(40), 1.0)[1]
    np.testing.assert_allclose(scores, score_heads(answers, np.arange(40), neighbors[:, :5], class_level=True))
    assert clusters[0] > 1
    assert clusters[1] == 1
    assert np.isfinite(scores).all()


def test_equal_sure_balanced_answers_score_as_in_closed_form():
    answers = np.eye(3)[np.arange(30) % 3][:, None]
    neighbors = (np.arange(30)[:, None] + [3, 6]) % 30
    scan, nnm = (score_heads(answers, np.arange(30), neighbors, class_level=level)[0] for level in (False, True))
    assert scan == pytest.approx(-np.log(3))
    assert nnm == pytest.approx(-np.log(3) + np.log(1 + 2 / np.e))
