"""Ladder-IM written the obvious way in Keras 3, from its formulas: the yardstick of `benchmarks/step.py`.

A pass each for the clean, the corrupted and the labelled rows, a draw of noise a layer, ``keras.optimizers.Adam``,
and rows fed to ``fit`` as arrays.  Nothing is fused; nothing is slowed down on purpose either: the clean pass
draws no noise, unless ``draw_always`` asks for the formula to the letter, noise times 0.
"""

import keras
from keras import ops


def standardize(values):
    """Subtract the mean of the batch and divide by its standard deviation."""
    mean, variance = ops.moments(values, axes=[0])
    return (values - mean) / ops.sqrt(variance + 1e-10)


class PlainCombinator(keras.layers.Layer):
    """Denoising function with its ten vectors as ten variables."""

    def build(self, noisy_shape, expected_shape=None):
        """Create a1 ... a10."""
        self.a = [
            self.add_weight(shape=noisy_shape[-1:], initializer="ones" if index in (2, 7) else "zeros")
            for index in range(1, 11)
        ]

    def call(self, noisy, expected):
        """Return the denoised value."""
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = self.a
        mean = a1 * ops.sigmoid(a2 * expected + a3) + a4 * expected + a5
        gain = a6 * ops.sigmoid(a7 * expected + a8) + a9 * expected + a10
        return (noisy - mean) * gain + mean


class PlainLadder(keras.Model):
    """Ladder network with mutual information, every pass by itself.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features, hidden units, clusters.
    draw_always : bool
        Draw noise where its standard deviation is 0 as well.
    """

    def __init__(
        self,
        layer_sizes,
        *,
        draw_always=False,
        noise_std=0.3,
        costs=(1000.0, 10.0, 0.1, 0.1),
        mi_weight=0.1,
        marginal_weight=4,
    ):
        super().__init__()
        self.noise_std, self.costs, self.draw_always = noise_std, costs, draw_always
        self.mi_weight, self.marginal_weight = mi_weight, marginal_weight
        dense = {"use_bias": False, "kernel_initializer": "glorot_normal"}
        self.encoder = [keras.layers.Dense(units, **dense) for units in layer_sizes[1:]]
        self.decoder = [keras.layers.Dense(units, **dense) for units in layer_sizes[:-1]]
        self.beta = [self.add_weight(shape=(units,), initializer="zeros") for units in layer_sizes[1:]]
        self.combinators = [PlainCombinator() for _ in layer_sizes]

    def encode(self, rows, noise_std):
        """Return the pre-activations of every layer and the logits of one pass."""

        def corrupt(values):
            if not (noise_std or self.draw_always):
                return values
            return values + noise_std * keras.random.normal(ops.shape(values))

        hidden = corrupt(rows)
        values = [hidden]
        for layer, (dense, beta) in enumerate(zip(self.encoder, self.beta, strict=True), start=1):
            product = dense(hidden)
            last = layer == len(self.encoder)
            values.append(corrupt(product if last else standardize(product)))
            hidden = values[-1] + beta
            if not last:
                hidden = ops.relu(hidden)
        return values, hidden

    def call(self, inputs):
        """Run every pass."""
        clean, clean_logits = self.encode(inputs["unlabelled"], 0.0)
        noisy, logits = self.encode(inputs["unlabelled"], self.noise_std)
        estimate = self.combinators[-1](noisy[-1], standardize(logits))
        reconstructed = [estimate]
        for layer in range(len(self.decoder) - 1, -1, -1):
            estimate = self.combinators[layer](noisy[layer], standardize(self.decoder[layer](estimate)))
            reconstructed.insert(0, estimate)
        output = {"clean": clean, "reconstructed": reconstructed, "clean_logits": clean_logits, "logits": logits}
        if "labelled" in inputs:
            output["labelled_logits"] = self.encode(inputs["labelled"], self.noise_std)[1]
        return output

    def mutual_information(self, logits):
        """Mean entropy of the rows, less the weighted entropy of the mean."""
        p = ops.softmax(logits)
        mean = ops.mean(p, axis=0)
        of_rows = -ops.mean(ops.sum(p * ops.log(p + 1e-16), axis=-1))
        return of_rows + self.marginal_weight * ops.sum(mean * ops.log(mean + 1e-16))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the weighted sum of all terms."""
        pairs = zip(self.costs, y_pred["clean"], y_pred["reconstructed"], strict=True)
        loss = sum(cost * ops.mean(ops.square(estimate - clean)) for cost, clean, estimate in pairs)
        clean, corrupted = y_pred["clean_logits"], y_pred["logits"]
        loss += self.mi_weight * (self.mutual_information(clean) + self.mutual_information(corrupted))
        p = ops.stop_gradient(ops.softmax(clean))
        difference = ops.stop_gradient(ops.log_softmax(clean)) - ops.log_softmax(corrupted)
        loss += ops.mean(ops.sum(p * difference, axis=-1))
        if "labelled_logits" in y_pred:
            loss += ops.mean(ops.categorical_crossentropy(y, y_pred["labelled_logits"], from_logits=True))
        return loss
