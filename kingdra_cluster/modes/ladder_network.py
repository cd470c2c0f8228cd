"""The network that Ladder-IM trains: a noisy encoder, a clean one with the same weights, and a decoder."""

import keras
import numpy as np
from keras import ops

from kingdra_cluster.layers import Combinator, matrix_product, normal_pair, standardize
from kingdra_cluster.losses import ladder_cost, mutual_information, noise_consistency

TERMS = ("ladder_cost", "mi_clean", "mi_corrupted", "noise_kl", "supervised")


class LadderNetwork(keras.Model):
    """Ladder network with mutual information as its unsupervised objective.

    ``call`` takes ``{"unlabelled": (batch, n_features)}`` and, in supervised rounds, an equally large
    ``"labelled"`` batch whose targets (batch, n_clusters) are the ``y`` of ``fit``.  The rows of all
    passes share one matrix product a layer; their moments stay apart.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features, hidden units, clusters.
    noise_std : float
        Standard deviation of the noise at the input and after every layer of the corrupted passes.
    denoising_cost : sequence of float
        Weight of the reconstruction of each layer, the input first.
    ladder_weight, mi_weight, kl_weight, supervised_weight : float
        Weights of the terms of the loss.
    marginal_weight : float
        Weight of the clusters' balance within the mutual information.
    normalize_logits : bool
        Whether the last layer is standardised over the batch as well.
    seed : int
        Drives the initial weights and the noise.
    matmul_precision : {"float32", "bfloat16"}, default="float32"
        Type of the factors of matrix products; everything else is float32.
    """

    def __init__(
        self,
        layer_sizes,
        *,
        noise_std,
        denoising_cost,
        ladder_weight,
        mi_weight,
        kl_weight,
        supervised_weight,
        marginal_weight,
        normalize_logits,
        seed,
        matmul_precision="float32",
    ):
        super().__init__()
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        self.n_layers = len(self.layer_sizes) - 1
        self.noise_std = float(noise_std)
        self.denoising_cost = tuple(denoising_cost)
        self.weights_of_terms = (ladder_weight, mi_weight, mi_weight, kl_weight, supervised_weight)
        self.marginal_weight = marginal_weight
        self.normalize_logits = normalize_logits
        self.matmul_precision = matmul_precision
        self._create_weights(np.random.SeedSequence(seed).generate_state(2 * self.n_layers + 1))
        self.term_means = TermMeans(TERMS, name="terms")
        self.built = True

    def _create_weights(self, seeds):
        glorot, sizes = keras.initializers.GlorotNormal, self.layer_sizes
        self.noise_seed = keras.random.SeedGenerator(int(seeds[-1]))
        self.encoder, self.beta, self.decoder = [], [], []
        for layer, (below, above) in enumerate(zip(sizes, sizes[1:], strict=False)):
            up, down = glorot(seed=int(seeds[2 * layer])), glorot(seed=int(seeds[2 * layer + 1]))
            self.encoder.append(self.add_weight(shape=(below, above), initializer=up, name=f"encoder_{layer + 1}"))
            self.beta.append(self.add_weight(shape=(above,), initializer="zeros", name=f"beta_{layer + 1}"))
            self.decoder.append(self.add_weight(shape=(above, below), initializer=down, name=f"decoder_{layer}"))
        self.combinators = [Combinator(name=f"combinator_{layer}") for layer in range(len(sizes))]
        for combinator, units in zip(self.combinators, sizes, strict=True):
            combinator.build((None, units))

    def draw_noise(self, corrupted_passes, batch):
        """Draw the noise of every layer, of standard deviation ``noise_std``.

        Returns
        -------
        list of tensors of shape (1 + corrupted_passes, batch, units)
            The input's first.  That of the first pass, the clean one, is 0.
        """
        rows = corrupted_passes * batch
        pair = normal_pair((sum(self.layer_sizes), (rows + 1) // 2), self.noise_std, self.noise_seed)
        bounds = np.cumsum(self.layer_sizes[:-1]).tolist()
        layers = []
        for units, *halves in zip(self.layer_sizes, *(ops.split(half, bounds) for half in pair), strict=True):
            drawn = ops.concatenate([ops.zeros((batch, units)), *(ops.reshape(half, (-1, units)) for half in halves)])
            layers.append(ops.reshape(drawn[: batch + rows], (1 + corrupted_passes, batch, units)))
        return layers

    def call(self, inputs, training=None):
        """Run every pass that the loss needs and return its tensors by name."""
        labelled = "labelled" in inputs
        noise = self.draw_noise(2 if labelled else 1, ops.shape(inputs["unlabelled"])[0])
        return self.forward(inputs, noise)

    def forward(self, inputs, noise):
        """Run the clean, the corrupted and, given labelled rows, the corrupted labelled pass.

        Parameters
        ----------
        inputs : dict
            ``"unlabelled"`` and perhaps ``"labelled"``, both (batch, n_features).
        noise : list of tensors of shape (1 or 2, batch, units)
            Standard normal noise a layer: for the unlabelled rows, then for the labelled.

        Returns
        -------
        dict
            ``clean`` and ``reconstructed`` (lists, a tensor a layer, the input first),
            ``logits``, shape (2, batch, n_clusters): the clean and the corrupted; given labelled rows,
            ``labelled_logits``.
        """
        clean, noisy, logits = self._encode(inputs, noise)
        output = {
            "clean": clean,
            "reconstructed": self._decode(noisy, logits[1]),
            "logits": ops.stack(logits[:2]),
        }
        if "labelled" in inputs:
            output["labelled_logits"] = logits[2]
        return output

    def _encode(self, inputs, noise):
        """Return clean and corrupted pre-activations (unlabelled rows) and the logits of all passes."""
        rows = [inputs["unlabelled"]] * 2 + ([inputs["labelled"]] if "labelled" in inputs else [])
        hidden = ops.stack(rows) + noise[0]
        clean, noisy = [rows[0]], [ops.unstack(hidden)[1]]
        for layer, (kernel, beta) in enumerate(zip(self.encoder, self.beta, strict=True), start=1):
            below, above = self.layer_sizes[layer - 1 : layer + 1]
            values = matrix_product(ops.reshape(hidden, (-1, below)), kernel, self.matmul_precision)
            values = ops.reshape(values, (len(rows), -1, above))
            if layer < self.n_layers or self.normalize_logits:
                values = standardize(values)
            values = values + noise[layer]
            passes = ops.unstack(values)
            clean.append(passes[0])
            noisy.append(passes[1])
            hidden = values + beta
            if layer < self.n_layers:
                hidden = ops.relu(hidden)
        return clean, noisy, ops.unstack(hidden)

    def _decode(self, noisy, corrupted_logits):
        """Return the estimates of the clean pre-activations, the input's first."""
        reconstructed = [self.combinators[-1](noisy[-1], standardize(corrupted_logits))]
        for layer in reversed(range(self.n_layers)):
            expected = standardize(matrix_product(reconstructed[0], self.decoder[layer], self.matmul_precision))
            reconstructed.insert(0, self.combinators[layer](noisy[layer], expected))
        return reconstructed

    def loss_terms(self, output, labels=None):
        """Return the unweighted terms of the loss by name.

        Parameters
        ----------
        output : dict
            What ``forward`` returned.
        labels : tensor of shape (batch, n_clusters), optional
            Targets of the labelled rows, each summing to 1.
        """
        clean, corrupted = ops.unstack(output["logits"])
        mi_clean, mi_corrupted = ops.unstack(mutual_information(output["logits"], self.marginal_weight))
        terms = {
            "ladder_cost": sum(ladder_cost(output["clean"], output["reconstructed"], self.denoising_cost)),
            "mi_clean": mi_clean,
            "mi_corrupted": mi_corrupted,
            "noise_kl": noise_consistency(clean, corrupted),
        }
        if labels is not None:
            cross_entropy = ops.categorical_crossentropy(labels, output["labelled_logits"], from_logits=True)
            terms["supervised"] = ops.mean(cross_entropy)
        return terms

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the weighted terms and note each one's mean."""
        terms = self.loss_terms(y_pred, y)
        values = ops.stack([terms.get(name, 0.0) for name in TERMS])
        self.term_means.update_state(values)
        return ops.sum(values * ops.convert_to_tensor(self.weights_of_terms, "float32"))


class TermMeans(keras.metrics.Metric):
    """Means of several numbers that come together, by name: one variable instead of one for each.

    Parameters
    ----------
    names : sequence of str
    name : str
    """

    def __init__(self, names, name):
        super().__init__(name=name)
        self.names = names
        self.total = self.add_variable(shape=(len(names),), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, values):
        """Take note of one value for each name, shape (n_names,)."""
        self.total.assign_add(values)
        self.count.assign_add(1.0)

    def result(self):
        """Return the mean of each so far, a dict; 0 before there is a value."""
        means = self.total / ops.maximum(self.count, 1.0)
        return dict(zip(self.names, ops.unstack(means), strict=True))
