"""The network of self-labelling: it learns, on strong views, what it is already sure of on weak ones."""

import keras
import tensorflow as tf
from keras import ops

from kingdra_cluster.losses import self_labelling, sure_labels

TERMS = ("self_labelling", "decay", "sure_share")


class SelfLabelNetwork(keras.Model):
    """Trains a clustering network on its own sure answers.

    ``call`` takes the batches of `IndexedRowBatches`.

    Parameters
    ----------
    network : keras.Model
        Maps raw rows to logits; trained.
    strong_view : callable
        As in `augment.VIEWS`, of rows divided by ``scale``.
    scale : float
    threshold : float
        See `self_labelling`.
    class_balancing : bool
    weight_decay : float
    seed : int
        Of the views.
    """

    def __init__(self, network, *, strong_view, scale, threshold, class_balancing, weight_decay, seed):
        super().__init__()
        self.network, self.seed = network, seed
        self.strong_view, self.scale = strong_view, scale
        self.threshold, self.class_balancing, self.weight_decay = threshold, class_balancing, weight_decay
        self.trackers = {term: keras.metrics.Mean(name=term) for term in TERMS}
        self.built = True

    def call(self, inputs, training=None):
        """Return the logits of the rows as they are, ``weak``, and of views, ``strong``, both (batch, n_clusters)."""
        seed = tf.stack([self.seed, ops.cast(self.optimizer.iterations, "int32")])
        strong = self.strong_view(inputs["x"], seed)
        return {
            "weak": self.network(self.scale * inputs["x"], training=False),
            "strong": self.network(self.scale * strong, training=training),
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the cross-entropy of sure rows and the L2 penalty; note both and the share of sure rows."""
        terms = {
            "self_labelling": self_labelling(y_pred["weak"], y_pred["strong"], self.threshold, self.class_balancing),
            "decay": 0.5 * self.weight_decay * sum(ops.sum(ops.square(v)) for v in self.network.trainable_variables),
        }
        share = ops.mean(ops.cast(sure_labels(y_pred["weak"], self.threshold)[1], "float32"))
        for name, value in {**terms, "sure_share": share}.items():
            self.trackers[name].update_state(value)
        return sum(terms.values())
