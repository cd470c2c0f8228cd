"""The harness in which RUC trains one of its two networks, and the labels that both share."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kingdra_cluster.augment import beta, permutation
from kingdra_cluster.backbones import make_backbone
from kingdra_cluster.losses import (
    co_guess,
    co_refine,
    label_smoothed_cross_entropy,
    ramp,
    soft_cross_entropy,
    squared_error,
)

TERMS = ("clean", "noisy", "strong", "decay", "clean_share")


@keras.saving.register_keras_serializable(package="kingdra_cluster")
class RowTable(keras.layers.Layer):
    """What RUC knows of every training row, in variables that steps read and write by row index.

    Parameters
    ----------
    n_rows : int

    Attributes
    ----------
    labels : (n_rows,) int32
        The present label of each row.
    clean : (n_rows,) float32
        1 where the label is believed.
    confidence : (2, n_rows) float32
        How sure each network was of each row when it last helped the other; -1 if it has not seen the row.
    weight : (2, n_rows) float32
        How far each network corrects the labels of clean rows, in [0, 1]; 0 for rows not seen.
    """

    def __init__(self, n_rows, **options):
        super().__init__(**options)
        self.n_rows = n_rows
        new = self.add_weight
        self.labels = new(shape=(n_rows,), dtype="int32", initializer="zeros", trainable=False, name="labels")
        self.clean = new(shape=(n_rows,), initializer="zeros", trainable=False, name="clean")
        unseen = keras.initializers.Constant(-1.0)
        self.confidence = new(shape=(2, n_rows), initializer=unseen, trainable=False, name="confidence")
        self.weight = new(shape=(2, n_rows), initializer="zeros", trainable=False, name="weight")
        self.built = True

    def get_config(self):
        """Return the arguments of ``__init__``."""
        return {**super().get_config(), "n_rows": self.n_rows}

    def read(self, rows, helper):
        """Return labels, clean mask and weight of the helper's corrections for some rows, each (batch,)."""
        return ops.take(self.labels, rows), ops.take(self.clean, rows), ops.take(self.weight[helper], rows)

    def relabel(self, rows, probabilities, threshold):
        """Make noisy rows clean, with the label of the network that is surer of them than ``threshold``."""
        labels, clean, _ = self.read(rows, 0)
        sure = (clean == 0) & (ops.max(probabilities, axis=-1) >= threshold)
        found = ops.cast(ops.argmax(probabilities, axis=-1), "int32")
        self._write(self.labels, rows, ops.where(sure, found, labels))
        self._write(self.clean, rows, ops.where(sure, 1.0, clean))

    def note(self, rows, helper, confidence):
        """Write down how sure a helper is of some rows."""
        updated = ops.scatter_update(self.confidence[helper], rows[:, None], confidence)
        self.confidence.assign(ops.stack([updated if k == helper else self.confidence[k] for k in (0, 1)]))

    def end_pass(self, helper):
        """Turn what was noted in a pass into weights: min-max normalised over the rows seen so far."""
        confidence = self.confidence[helper]
        seen = confidence >= 0
        low, high = ops.min(ops.where(seen, confidence, 1.0)), ops.max(confidence)
        normalised = ops.where(seen, (confidence - low) / ops.maximum(high - low, 1e-7), 0.0)
        self.weight.assign(ops.stack([normalised if k == helper else self.weight[k] for k in (0, 1)]))

    def _write(self, variable, rows, values):
        variable.assign(ops.scatter_update(variable, rows[:, None], values))


class RUCNetwork(keras.Model):
    """One of RUC's two networks in training, helped by the other.

    ``call`` takes ``{"rows": (batch,) int, "x": (batch, ...)}``: places in the table and the rows themselves.

    Parameters
    ----------
    network : keras.Model
        Maps rows to logits; trained.
    helper : callable
        The other network's forward pass without training.  A function, so that Keras does not take its
        weights for this network's.
    table : RowTable
        Shared by both harnesses.
    which : int
        0 or 1: which of the two networks is trained.
    weak_view, strong_view : callables
        As in `augment.VIEWS`.
    seed : int
    steps_per_epoch : int
        For the ramp, which counts fractions of epochs.
    epochs : int
        In all, for the thresholds' parts.
    relabel_thresholds : sequence of float
    ramp_epochs, noisy_weight, temperature, smoothing, mixup, weight_decay : float or int
        See `RUC`.
    """

    def __init__(
        self,
        network,
        helper,
        table,
        which,
        *,
        weak_view,
        strong_view,
        seed,
        steps_per_epoch,
        epochs,
        ramp_epochs,
        noisy_weight,
        relabel_thresholds,
        temperature,
        smoothing,
        mixup,
        weight_decay,
    ):
        super().__init__()
        self.network, self.helper, self.table, self.which = network, helper, table, which
        self.weak_view, self.strong_view, self.seed = weak_view, strong_view, seed
        self.ramp_steps = float(ramp_epochs * steps_per_epoch)
        self.steps, self.relabel_thresholds = epochs * steps_per_epoch, relabel_thresholds
        self.noisy_weight = noisy_weight
        self.temperature, self.smoothing, self.mixup = temperature, smoothing, mixup
        self.weight_decay = weight_decay
        self.trackers = {term: keras.metrics.Mean(name=term) for term in TERMS}
        self.built = True

    def call(self, inputs, training=None):
        """Run every pass that the loss needs, and relabel noisy rows that the network is sure of.

        Returns
        -------
        dict
            ``clean``, (batch,), and ``labels``, (batch, n_clusters), as they stood before this step;
            ``mixed_logits``, ``mixed_targets``, (2 batch, n_clusters): mixtures of both weak views;
            ``strong_logits``, (batch, n_clusters).
        """
        rows, x = inputs["rows"], inputs["x"]
        seed = tf.stack([self.seed, self.which, ops.cast(self.optimizer.iterations, "int32")])
        weak = [self.weak_view(x, _append(seed, k)) for k in (0, 1)]
        answers = [_probabilities(self.network(view, training=training)) for view in (x, *weak)]
        helped = [_probabilities(self.helper(view)) for view in (x, *weak)]
        labels, clean, weight = self.table.read(rows, 1 - self.which)
        labels = ops.one_hot(labels, answers[0].shape[-1])
        refined = co_refine(labels, helped[0], weight, self.temperature)
        guessed = co_guess([*answers[1:], *helped[1:]], self.temperature)
        targets = ops.where(clean[:, None] > 0, refined, guessed)
        share, partner = self._draw_mixup(seed, 2 * ops.shape(x)[0])
        mixed, mixed_targets = (
            share * both + (1.0 - share) * ops.take(both, partner, axis=0)
            for both in (ops.concatenate(weak), ops.concatenate([targets, targets]))
        )
        strong = self.network(self.strong_view(x, _append(seed, 2)), training=training)
        self.table.relabel(rows, answers[0], self._relabel_threshold())
        self.table.note(rows, 1 - self.which, ops.max(helped[0], axis=-1))
        return {
            "clean": clean,
            "labels": labels,
            "mixed_logits": self.network(mixed, training=training),
            "mixed_targets": mixed_targets,
            "strong_logits": strong,
        }

    def _relabel_threshold(self):
        """Return the threshold of the present part of the training."""
        parts = len(self.relabel_thresholds)
        part = ops.minimum(ops.cast(self.optimizer.iterations, "int32") * parts // self.steps, parts - 1)
        return ops.take(ops.convert_to_tensor(self.relabel_thresholds, dtype="float32"), part)

    def _draw_mixup(self, seed, n_rows):
        """Return the share that each row keeps, at least a half, and a partner for each: one of each a batch."""
        share = beta(_append(seed, 3), self.mixup)
        return ops.maximum(share, 1.0 - share), permutation(_append(seed, 4), n_rows)

    def loss_terms(self, output):
        """Return the terms of the loss by name, the noisy one with its weight and ramp."""
        clean = ops.concatenate([output["clean"], output["clean"]])
        epochs = ops.cast(self.optimizer.iterations, "float32") / self.ramp_steps
        logits, targets = output["mixed_logits"], output["mixed_targets"]
        decayed = sum(ops.sum(ops.square(variable)) for variable in self.network.trainable_variables)
        return {
            "clean": soft_cross_entropy(logits, targets, clean),
            "noisy": self.noisy_weight * ramp(epochs, 1.0) * squared_error(logits, targets, 1.0 - clean),
            "strong": label_smoothed_cross_entropy(
                output["strong_logits"], output["labels"], output["clean"], self.smoothing
            ),
            "decay": 0.5 * self.weight_decay * decayed,
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the terms and note each one's mean."""
        terms = self.loss_terms(y_pred)
        for name, value in {**terms, "clean_share": ops.mean(y_pred["clean"])}.items():
            self.trackers[name].update_state(value)
        return sum(terms.values())


def _append(seed, number):
    return tf.concat([seed, [number]], axis=0)


def _probabilities(logits):
    return ops.stop_gradient(ops.exp(ops.log_softmax(logits, axis=-1)))  # Keras' softmax warns of a single cluster


def make_network(settings, input_shape, seed):
    """Return one of the two networks: a backbone and a fresh linear head; rows in, logits out.

    Parameters
    ----------
    settings : RUC
        Its ``backbone``, ``hidden_units`` and ``n_clusters``.
    input_shape : tuple of int
    seed : sequence of int
    """
    backbone_seed, head_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
    backbone = settings.backbone
    if backbone is None:
        backbone = {"name": "mlp", "hidden_units": settings.hidden_units}
    head = keras.initializers.GlorotNormal(seed=head_seed)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            make_backbone(backbone, input_shape, backbone_seed),
            keras.layers.Dense(int(settings.n_clusters), kernel_initializer=head),
        ]
    )


def mean_classifier(networks, input_shape, scale):
    """Return the plain classifier: raw rows in, the softmax of the mean of both networks' logits out."""
    rows = keras.Input(input_shape)
    scaled = keras.layers.Rescaling(1.0 / scale, name="scale")(rows)
    logits = keras.layers.Average()([network(scaled) for network in networks])
    last = "softmax" if logits.shape[-1] > 1 else "sparsemax"  # both give 1 for one cluster; Keras warns of the first
    return keras.Model(rows, keras.layers.Activation(last)(logits))
