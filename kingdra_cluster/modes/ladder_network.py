"""The network that Ladder-IM trains: a noisy encoder, a clean one with the same weights, and a decoder."""

import keras
import numpy as np
from keras import ops

from kingdra_cluster.layers import Combinator, standardize
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
    ):
        super().__init__()
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        self.n_layers = len(self.layer_sizes) - 1
        self.noise_std = float(noise_std)
        self.denoising_cost = tuple(denoising_cost)
        self.weights_of_terms = (ladder_weight, mi_weight, mi_weight, kl_weight, supervised_weight)
        self.marginal_weight = marginal_weight
        self.normalize_logits = normalize_logits
        self._create_weights(np.random.SeedSequence(seed).generate_state(2 * self.n_layers + 1))
        self.trackers = {term: keras.metrics.Mean(name=term) for term in TERMS}
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

    def draw_noise(self, passes, batch):
        """Draw standard normal noise for every layer of the corrupted passes.

        Returns
        -------
        list of tensors of shape (passes, batch, units), the input's first
        """
        whole = keras.random.normal((passes, batch, sum(self.layer_sizes)), seed=self.noise_seed)
        return ops.split(whole, np.cumsum(self.layer_sizes[:-1]).tolist(), axis=-1)

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
            ``clean_logits``, ``corrupted_logits`` and, given labelled rows, ``labelled_logits``.
        """
        clean, noisy, logits = self._encode(inputs, noise)
        output = {
            "clean": clean,
            "reconstructed": self._decode(noisy, logits[1]),
            "clean_logits": logits[0],
            "corrupted_logits": logits[1],
        }
        if "labelled" in inputs:
            output["labelled_logits"] = logits[2]
        return output

    def _encode(self, inputs, noise):
        """Return clean and corrupted pre-activations (unlabelled rows) and the logits of all passes."""
        rows = inputs["unlabelled"]
        sources = ops.stack([rows, inputs["labelled"]]) if "labelled" in inputs else rows[None]
        corrupted = sources + self.noise_std * noise[0]
        clean, noisy = [rows], [corrupted[0]]
        hidden = ops.concatenate([rows[None], corrupted])
        for layer, (kernel, beta) in enumerate(zip(self.encoder, self.beta, strict=True), start=1):
            below, above = self.layer_sizes[layer - 1 : layer + 1]
            product = ops.matmul(ops.reshape(hidden, (-1, below)), kernel)
            values = ops.reshape(product, (*ops.shape(hidden)[:2], above))
            if layer < self.n_layers or self.normalize_logits:
                values = standardize(values)
            corrupted = values[1:] + self.noise_std * noise[layer]
            clean.append(values[0])
            noisy.append(corrupted[0])
            hidden = ops.concatenate([values[:1], corrupted]) + beta
            if layer < self.n_layers:
                hidden = ops.relu(hidden)
        return clean, noisy, hidden

    def _decode(self, noisy, corrupted_logits):
        """Return the estimates of the clean pre-activations, the input's first."""
        reconstructed = [self.combinators[-1](noisy[-1], standardize(corrupted_logits))]
        for layer in reversed(range(self.n_layers)):
            expected = standardize(ops.matmul(reconstructed[0], self.decoder[layer]))
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
        terms = {
            "ladder_cost": sum(ladder_cost(output["clean"], output["reconstructed"], self.denoising_cost)),
            "mi_clean": mutual_information(output["clean_logits"], self.marginal_weight),
            "mi_corrupted": mutual_information(output["corrupted_logits"], self.marginal_weight),
            "noise_kl": noise_consistency(output["clean_logits"], output["corrupted_logits"]),
        }
        if labels is not None:
            cross_entropy = ops.categorical_crossentropy(labels, output["labelled_logits"], from_logits=True)
            terms["supervised"] = ops.mean(cross_entropy)
        return terms

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the weighted terms and note each one's mean."""
        terms = self.loss_terms(y_pred, y)
        for name, value in terms.items():
            self.trackers[name].update_state(value)
        weights = dict(zip(TERMS, self.weights_of_terms, strict=True))
        return sum(weights[name] * value for name, value in terms.items())
