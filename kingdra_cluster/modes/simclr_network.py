"""The network of SimCLR: a backbone, a projection head, and the contrast of two views of every row."""

import keras
import tensorflow as tf
from keras import layers, ops

from kingdra_cluster.backbones.seeds import integer_seeds
from kingdra_cluster.losses import nt_xent

TERMS = ("contrast", "decay")


def make_projection(n_features, hidden_units, n_outputs, seed):
    """Return the head that is contrasted: two dense layers with a ReLU between, then vectors of length 1."""
    seeds = integer_seeds(seed)

    def dense(units, name):
        # as PyTorch's linear layers begin
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=next(seeds))
        return layers.Dense(units, kernel_initializer=uniform, name=name)

    stack = [dense(hidden_units, "hidden"), layers.ReLU(name="relu"), dense(n_outputs, "outputs")]
    inputs = keras.Input((n_features,), name="features")
    return keras.Sequential([inputs, *stack, layers.UnitNormalization(name="unit")], name="projection")


class SimCLRNetwork(keras.Model):
    """Tells two views of a row from the views of all others.

    ``call`` takes the batches of `RowBatches`.

    Parameters
    ----------
    backbone, projection : keras.Model
        Map rows to features, and features to vectors of length 1; both trained.
    view : callable
        As in `augment.VIEWS`.
    temperature, weight_decay : float
    seed : int
        Drives the views.
    """

    def __init__(self, backbone, projection, *, view, temperature, weight_decay, seed):
        super().__init__()
        self.backbone, self.projection = backbone, projection
        self.view, self.temperature, self.weight_decay, self.seed = view, temperature, weight_decay, seed
        self.trackers = {name: keras.metrics.Mean(name=name) for name in TERMS}
        self.built = True

    def call(self, inputs, training=None):
        """Return the projections of two views of the rows, ``first`` and ``second``, both (batch, units)."""
        rows = inputs["unlabelled"]
        seed = tf.stack([self.seed, ops.cast(self.optimizer.iterations, "int32")])
        views = [self.view(rows, tf.concat([seed, [number]], axis=0)) for number in (0, 1)]
        features = self.backbone(ops.concatenate(views), training=training)  # one batch: moments are of both views
        first, second = ops.split(self.projection(features, training=training), 2)
        return {"first": first, "second": second}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the contrast and the L2 penalty, whose gradient is PyTorch's weight decay; note both."""
        decayed = sum(ops.sum(ops.square(variable)) for variable in self.trainable_variables)
        terms = {
            "contrast": nt_xent(y_pred["first"], y_pred["second"], self.temperature),
            "decay": 0.5 * self.weight_decay * decayed,
        }
        for name, value in terms.items():
            self.trackers[name].update_state(value)
        return sum(terms.values())
