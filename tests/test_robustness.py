"""Attacks on classifiers whose worst case can be written down."""

import gc
import weakref

import keras
import numpy as np
import pytest
from scipy import sparse

from kingdra_cluster.robustness import ATTACKS, accuracy_under_attack, bim, fgsm, pgd

each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def linear_classifier(kernel, bias=None, activation="softmax"):
    kernel = np.asarray(kernel, "float32")
    bias = np.zeros(kernel.shape[1], "float32") if bias is None else np.asarray(bias, "float32")
    model = keras.Sequential([keras.Input(kernel.shape[:1]), keras.layers.Dense(kernel.shape[1], activation)])
    model.set_weights([kernel, bias])
    return model


def two_clusters(n=200, size=1.0, seed=0):
    """A linear classifier of two clusters, rows, their margins (positive: cluster 1) and its kernel's difference."""
    rng = np.random.default_rng(seed)
    kernel = size * rng.normal(size=(6, 2))
    X = rng.normal(size=(n, 6)).astype("float32")
    slope = kernel[:, 1] - kernel[:, 0]
    return linear_classifier(kernel), X, X @ slope, slope


def image_classifier():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=weight.shape) for weight in model.get_weights()]
    model.set_weights([np.abs(weight) if weight.ndim == 1 else weight for weight in weights])  # variances too
    return model


@each_attack
@pytest.mark.parametrize("size", [1.0, 12.0])
def test_every_attack_on_two_linear_clusters_is_the_worst_case(attack, size):
    """With logit differences of 60 and more a probability is 1 to the last bit, and the direction still right."""
    model, X, margin, slope = two_clusters(size=size)
    labels = (margin > 0).astype(int)
    worst = X + 0.3 * np.where(labels[:, None] == 1, -1, 1) * np.sign(slope)
    np.testing.assert_allclose(attack(model, X, labels, 0.3), worst, atol=1e-5)


@each_attack
def test_the_attack_works_against_the_label_given_not_the_answer(attack):
    model, X, margin, slope = two_clusters()
    zeros = np.zeros(len(X), int)
    np.testing.assert_allclose(attack(model, X, zeros, 0.2), X + 0.2 * np.sign(slope), atol=1e-5)


@pytest.mark.parametrize("name", ATTACKS)
def test_accuracy_of_a_linear_classifier_is_the_share_of_margins_beyond_reach(name):
    model, X, margin, slope = two_clusters()
    classes = np.where(margin > 0, "yes", "no")
    classes[:30] = np.where(margin[:30] > 0, "no", "yes")  # wrong from the start
    sizes = [0.0, 0.05, 0.2, 1.0]
    reach = np.abs(slope).sum()
    expected = [np.mean((np.abs(margin) > eps * reach) & (np.arange(200) >= 30)) for eps in sizes]
    for batch_size in (7, 256):
        found = accuracy_under_attack(model, X, classes, sizes, attack=name, batch_size=batch_size)
        np.testing.assert_allclose(found, expected)
    found = accuracy_under_attack(model, sparse.csr_matrix(X), classes, sizes, attack=name)
    np.testing.assert_allclose(found, expected)


def test_logits_and_probabilities_are_attacked_alike():
    kernel = np.random.default_rng(1).normal(size=(6, 4))
    X = np.random.default_rng(2).normal(size=(40, 6)).astype("float32")
    labels = np.arange(40) % 4
    for attack in ATTACKS.values():
        from_logits = attack(linear_classifier(kernel, activation=None), X, labels, 0.1, from_logits=True)
        np.testing.assert_allclose(attack(linear_classifier(kernel), X, labels, 0.1), from_logits, atol=1e-5)
    classes = np.argmax(X @ kernel, axis=1)
    with_logits = accuracy_under_attack(
        linear_classifier(kernel, activation=None), X, classes, [0, 0.2], from_logits=True
    )
    np.testing.assert_allclose(with_logits, accuracy_under_attack(linear_classifier(kernel), X, classes, [0, 0.2]))
    assert with_logits[0] == 1


@each_attack
def test_no_size_no_change_and_never_a_larger_one(attack):
    model, images = image_classifier(), np.random.default_rng(3).uniform(size=(5, 8, 8, 3)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1])
    np.testing.assert_array_equal(attack(model, images, labels, 0.0, bounds=(0, 1)), images)
    for eps in (0.01, 0.1, 2.0):
        changed = attack(model, images, labels, eps, bounds=(0, 1))
        assert changed.dtype == np.float32
        assert np.abs(changed - images).max() <= eps * (1 + 1e-5)
        assert changed.min() >= 0
        assert changed.max() <= 1
        before, after = (keras.ops.convert_to_numpy(model(x, training=False)) for x in (images, changed))
        rows = np.arange(5)
        if eps < 2:
            assert np.all(after[rows, labels] <= before[rows, labels] + 1e-6)
    unbounded = attack(model, images, labels, 0.5)
    assert unbounded.min() < 0


def test_steps_make_an_attack_stronger_and_the_random_start_is_seeded():
    model, images = image_classifier(), np.random.default_rng(3).uniform(size=(40, 8, 8, 3)).astype("float32")
    answer = keras.ops.convert_to_numpy(model(images, training=False)).argmax(axis=1)
    labels = np.random.default_rng(0).integers(0, 3, 40)
    first = pgd(model, images, labels, 0.1, steps=2, seed=1)
    np.testing.assert_array_equal(pgd(model, images, labels, 0.1, steps=2, seed=1), first)
    assert np.any(pgd(model, images, labels, 0.1, steps=2, seed=2) != first)
    weights = model.get_weights()
    once, often = (
        accuracy_under_attack(model, images, answer, [0.02], attack="bim", steps=steps)[0] for steps in (1, 10)
    )
    assert often <= once
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)  # the statistics of the batch norm too


def test_a_step_of_bim_is_fgsm():
    model, X, margin, _ = two_clusters()
    labels = (margin > 0).astype(int)
    np.testing.assert_array_equal(bim(model, X, labels, 0.1, steps=1), fgsm(model, X, labels, 0.1))


def test_a_single_cluster_and_classes_without_a_cluster():
    X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    single = linear_classifier(np.zeros((3, 1)), activation="sigmoid")
    np.testing.assert_array_equal(fgsm(single, X, np.zeros(6, int), 0.1), X)
    model, X, margin, _ = two_clusters(9)
    classes = np.arange(9) % 3
    assert accuracy_under_attack(model, X, classes, [0.0])[0] <= 2 / 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": np.zeros(3, int)}, "labels must be 5 integers, one a row; received"),
        ({"labels": np.zeros(5)}, "labels must be 5 integers.* float64"),
        ({"eps": -0.1}, "eps and step_size must be finite and not negative; received -0.1"),
        ({"eps": np.nan}, "eps and step_size"),
        ({"bounds": (0, 1)}, r"X must lie within bounds=\(0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(changes, words):
    model, X, _, _ = two_clusters(5)
    arguments = {"labels": np.zeros(5, int), "eps": 0.1} | changes
    with pytest.raises(ValueError, match=words):
        fgsm(model, X, **arguments)


def test_unknown_attacks_and_no_steps_are_refused():
    model, X, margin, _ = two_clusters(5)
    with pytest.raises(ValueError, match="attack must be one of .* received attack='cw'"):
        accuracy_under_attack(model, X, margin > 0, [0.1], attack="cw")
    with pytest.raises(ValueError, match="steps must be an integer of at least 1"):
        pgd(model, X, np.zeros(5, int), 0.1, steps=0)


def test_attacked_classifiers_are_let_go():
    gone = []
    for _ in range(3):
        classifier = linear_classifier(np.eye(2))
        fgsm(classifier, np.zeros((2, 2)), np.zeros(2, int), 0.1)
        gone.append(weakref.ref(classifier))
    del classifier
    gc.collect()
    assert [reference() is None for reference in gone] == [True, True, False], "all but the last"
