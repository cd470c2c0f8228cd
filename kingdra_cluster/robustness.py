"""Attacks on a classifier: the small change of each row that makes its label least likely.

All take a Keras model that maps rows to probabilities (or logits), such as the `classifier_` of a fitted mode, and
change no entry by more than ``eps``.
"""

from functools import lru_cache, partial

import numpy as np
import tensorflow as tf
from keras import ops

from kingdra_cluster.batches import chunks, dense_rows
from kingdra_cluster.checks import check_integer
from kingdra_cluster.unsup_metrics import match_columns

TINY = 1e-37  # stands for a probability that float32 cannot hold


def fgsm(classifier, X, labels, eps, *, bounds=None, from_logits=False):
    """Fast gradient sign method: one step of size ``eps`` up the gradient of the label's loss.

    Parameters
    ----------
    classifier : keras.Model
        Maps X to (n, n_clusters).  Called with ``training=False``.
    X : array of shape (n, ...)
        Vectors or images.
    labels : array of int, shape (n,)
        The cluster of each row that the attack is to make unlikely.
    eps : float
        Largest change of an entry, in the unit of X; 0 changes nothing.
    bounds : tuple (low, high), optional
        Entries stay between these, as pixels have to; X has to lie between them.
    from_logits : bool, default=False
        Whether the classifier returns logits instead of probabilities.

    Returns
    -------
    float32 array of the shape of X

    References
    ----------
    Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.
    """
    return _climb(classifier, X, labels, eps, eps, 1, bounds, from_logits)


def bim(classifier, X, labels, eps, *, steps=10, step_size=None, bounds=None, from_logits=False):
    """Basic iterative method: several steps up the gradient's sign, never further than ``eps`` from X.

    Parameters
    ----------
    classifier, X, labels, eps, bounds, from_logits :
        See `fgsm`.
    steps : int, default=10
    step_size : float, optional
        None is ``eps / steps``.

    Returns
    -------
    float32 array of the shape of X

    References
    ----------
    Kurakin, Goodfellow, Bengio, "Adversarial examples in the physical world", ICLR workshop 2017.
    """
    steps = check_integer("steps", steps, 1)
    step_size = eps / steps if step_size is None else step_size
    return _climb(classifier, X, labels, eps, step_size, steps, bounds, from_logits)


def pgd(classifier, X, labels, eps, *, steps=20, step_size=None, bounds=None, from_logits=False, seed=0):
    """Projected gradient descent: `bim` from a random start within ``eps`` of X.

    Parameters
    ----------
    classifier, X, labels, eps, bounds, from_logits :
        See `fgsm`.
    steps : int, default=20
    step_size : float, optional
        None is ``2.5 eps / steps``, enough to cross the whole range.
    seed : int or sequence of int, default=0
        Drives the start.

    Returns
    -------
    float32 array of the shape of X

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks", ICLR 2018.
    """
    steps = check_integer("steps", steps, 1)
    step_size = 2.5 * eps / steps if step_size is None else step_size
    return _climb(classifier, X, labels, eps, step_size, steps, bounds, from_logits, np.random.default_rng(seed))


ATTACKS = {"fgsm": fgsm, "bim": bim, "pgd": pgd}


def accuracy_under_attack(classifier, X, y_true, sizes, *, attack="pgd", batch_size=256, **options):
    """Clustering accuracy on attacked rows, for several sizes of the attack.

    Clusters are matched to classes once, by the answers for the rows as they are; the attack works against the
    cluster of a row's own class.  A row of a class without a cluster counts as wrong.

    Parameters
    ----------
    classifier : keras.Model
    X : array or CSR matrix of shape (n, ...)
        Read in batches.
    y_true : array-like of shape (n,)
        Classes under any names.
    sizes : sequence of float
        Each the ``eps`` of one attack; 0 is the accuracy without.
    attack : {"pgd", "bim", "fgsm"}, default="pgd"
    batch_size : int, default=256
    **options
        Of the attack: ``bounds``, ``steps``, ``step_size``, ``from_logits``, ``seed``.

    Returns
    -------
    float array of shape (n_sizes,)
        In [0, 1].
    """
    if attack not in ATTACKS:
        raise ValueError(f"attack must be one of {sorted(ATTACKS)}; received attack={attack!r}")
    batches = list(chunks(X.shape[0], check_integer("batch_size", batch_size, 1)))
    answers = [_answer(classifier, dense_rows(X, rows), options.get("from_logits", False)) for rows in batches]
    true_class, class_of_cluster, probabilities = match_columns(y_true, np.concatenate(answers))
    cluster_of_class = np.full(true_class.max() + 1, -1)
    matched = np.flatnonzero(class_of_cluster >= 0)
    cluster_of_class[class_of_cluster[matched]] = matched
    target = cluster_of_class[true_class]
    accuracies = []
    for eps in sizes:
        right = 0
        for rows in batches:
            block, labels = dense_rows(X, rows), target[rows]
            attacked = ATTACKS[attack](classifier, block, np.maximum(labels, 0), eps, **options)
            predicted = _answer(classifier, attacked, from_logits=False).argmax(axis=1)
            right += int(np.sum(predicted == labels))
        accuracies.append(right / len(target))
    return np.array(accuracies)


def _answer(classifier, block, from_logits):
    outputs = classifier(block, training=False)
    return ops.convert_to_numpy(ops.softmax(outputs) if from_logits else outputs)


def _climb(classifier, X, labels, eps, step_size, steps, bounds, from_logits, generator=None):
    """Take ``steps`` steps of ``step_size`` along the sign of the gradient, inside the box of ``eps`` about X."""
    X = np.asarray(X, dtype=np.float32)
    labels = np.asarray(labels)
    if labels.shape != X.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be {len(X)} integers, one a row; received {labels.shape} of {labels.dtype}")
    if not 0 <= eps < np.inf or not 0 <= step_size < np.inf:
        raise ValueError(f"eps and step_size must be finite and not negative; received {eps!r} and {step_size!r}")
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    if X.size and not (X.min() >= low and X.max() <= high):
        raise ValueError(f"X must lie within bounds={bounds}; received values from {X.min()} to {X.max()}")
    lowest, highest = np.maximum(X - np.float32(eps), low), np.minimum(X + np.float32(eps), high)
    changed = X
    if generator is not None:
        changed = np.clip(X + generator.uniform(-eps, eps, X.shape).astype(np.float32), lowest, highest)
    rows, labels, step_size = tf.constant(changed), tf.constant(labels, tf.int32), tf.constant(step_size, tf.float32)
    direction = _compiled_direction(classifier)
    for _ in range(steps):
        rows = tf.clip_by_value(rows + step_size * direction(rows, labels, from_logits), lowest, highest)
    return rows.numpy()


@lru_cache(maxsize=1)
def _compiled_direction(classifier):
    """Return `_direction` of a classifier, whose weights it keeps alive: no more than those of the last one."""
    return tf.function(partial(_direction, classifier))


def _direction(classifier, rows, labels, from_logits):
    """Return the sign of the gradient of ``log sum_other p - log p_label``, which rises as the label gets unlikely.

    Any function that does has a gradient of this direction; this one, unlike the cross-entropy, does not vanish where
    a probability rounds to 1.
    """
    with tf.GradientTape() as tape:
        tape.watch(rows)
        outputs = classifier(rows, training=False)
        if outputs.shape[-1] == 1:
            return tf.zeros_like(rows)  # a single cluster cannot be left
        scores = outputs if from_logits else ops.log(ops.maximum(outputs, TINY))
        own = ops.one_hot(labels, outputs.shape[-1], dtype="bool")
        others = ops.logsumexp(ops.where(own, -np.inf, scores), axis=-1)
        loss = ops.sum(others - ops.sum(ops.where(own, scores, 0.0), axis=-1))
    return tf.sign(tape.gradient(loss, rows))


__all__ = ["ATTACKS", "accuracy_under_attack", "bim", "fgsm", "pgd"]
