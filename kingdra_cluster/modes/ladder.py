"""Ladder-IM: a ladder network trained for mutual information, Kingdra's base model."""

import keras
import numpy as np
from keras import ops

from kingdra_cluster.batches import chunks, dense_rows
from kingdra_cluster.layers import VARIANCE_EPSILON
from kingdra_cluster.modes.base import ClusteringMode
from kingdra_cluster.modes.ladder_network import LadderNetwork
from kingdra_cluster.optimizers import FusedAdam
from kingdra_cluster.validation import (
    Integral,
    Real,
    check_choice,
    check_flag,
    check_number,
    check_numbers,
    check_sequence,
)

PRECISIONS = ("float32", "bfloat16")
STEPS_PER_EXECUTION = 16  # fewer returns to Python: the same bits, a third less time a step in small networks


class LadderIM(ClusteringMode):
    """Deep clustering of feature vectors by mutual information, noise consistency and layer-wise denoising.

    Parameters
    ----------
    n_clusters : int, default=10
    hidden_units : sequence of int, default=(400, 400)
        Units of the hidden layers; (1200, 1200) as published.
    noise_std : float, default=0.3
        Standard deviation of the noise at the input (of root mean square 1, see ``scale``) and after every layer.
    denoising_cost : sequence of float, default=(1000.0, 10.0, 0.1, 0.1)
        Weight of the reconstruction of each layer, the input first; a deeper network repeats the last one.
    ladder_weight, mi_weight, kl_weight : float, default=1.0, 0.1, 1.0
        Weights of the reconstruction, the mutual information and the noise consistency.
    marginal_weight : float, default=4.0
        Weight of the clusters' balance within the mutual information.
    supervised_weight : float, default=1.0
        Weight of the cross-entropy of pseudo-labelled rows, inside `KingdraCluster`.
    normalize_logits : bool, default=False
        Standardise the last layer over the batch as well.
    learning_rate : float, default=0.002
        Of Adam.
    batch_size : int, default=64
        Rows a step; with fewer rows than that, one step takes them all.
    n_epochs : int, default=50
        Passes over the rows in ``fit``; inside `KingdraCluster` its own numbers of epochs hold.
    matmul_precision : {"float32", "bfloat16"}, default="float32"
        Type of the factors of the matrix products in training.  ``"bfloat16"`` keeps 8 significant bits of them and is
        faster on processors with instructions for it; weights, sums, everything else and predicting stay float32.
    scale : {"rms", None}, default="rms"
        Divide X by its root mean square over all entries, learnt in ``fit``, or leave it alone.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    labels_ : (n,) int
    probabilities_ : (n, n_clusters) float32
    classifier_ : keras.Model
        The plain classifier: raw rows in, probabilities out; statistics frozen over all training rows.
    scale_ : float
    history_ : list of dict
        Mean of every term of the loss, an entry an epoch.
    n_features_in_ : int

    References
    ----------
    Gupta, Ramjee, Kwatra, Sivathanu, "Unsupervised clustering using pseudo-semi-supervised learning", ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> X, _ = make_blobs(n_samples=300, centers=3, random_state=0)
    >>> mode = LadderIM(n_clusters=3, hidden_units=(32,), n_epochs=20, random_state=0).fit(X)
    >>> mode.predict(X[:5]).shape
    (5,)
    """

    def __init__(
        self,
        n_clusters=10,
        *,
        hidden_units=(400, 400),
        noise_std=0.3,
        denoising_cost=(1000.0, 10.0, 0.1, 0.1),
        ladder_weight=1.0,
        mi_weight=0.1,
        kl_weight=1.0,
        marginal_weight=4.0,
        supervised_weight=1.0,
        normalize_logits=False,
        learning_rate=0.002,
        batch_size=64,
        n_epochs=50,
        matmul_precision="float32",
        scale="rms",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.hidden_units = hidden_units
        self.noise_std = noise_std
        self.denoising_cost = denoising_cost
        self.ladder_weight = ladder_weight
        self.mi_weight = mi_weight
        self.kl_weight = kl_weight
        self.marginal_weight = marginal_weight
        self.supervised_weight = supervised_weight
        self.normalize_logits = normalize_logits
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.matmul_precision = matmul_precision
        self.scale = scale
        self.random_state = random_state
        self.verbose = verbose

    def check_parameters(self):
        """Raise on the first hyper-parameter that is out of range."""
        super().check_parameters()
        weights = ("noise_std", "ladder_weight", "mi_weight", "kl_weight", "marginal_weight", "supervised_weight")
        check_numbers(self, dict.fromkeys(weights, (Real, 0)))
        check_number("learning_rate", self.learning_rate, Real, above=0)
        for name, kind, minimum in (("hidden_units", Integral, 1), ("denoising_cost", Real, 0)):
            check_sequence(name, getattr(self, name), kind, minimum)
        check_flag("normalize_logits", self.normalize_logits)
        check_choice("matmul_precision", self.matmul_precision, PRECISIONS)

    def make_network(self, input_shape, seed):
        """Return the compiled ladder, its optimizer built."""
        n_layers = len(self.hidden_units) + 2
        costs = [float(self.denoising_cost[min(layer, len(self.denoising_cost) - 1)]) for layer in range(n_layers)]
        network = LadderNetwork(
            (*input_shape, *self.hidden_units, self.n_clusters),
            noise_std=self.noise_std,
            denoising_cost=costs,
            ladder_weight=self.ladder_weight,
            mi_weight=self.mi_weight,
            kl_weight=self.kl_weight,
            supervised_weight=self.supervised_weight,
            marginal_weight=self.marginal_weight,
            normalize_logits=self.normalize_logits,
            seed=seed,
            matmul_precision=self.matmul_precision,
        )
        network.compile(FusedAdam(self.learning_rate), jit_compile=False, steps_per_execution=STEPS_PER_EXECUTION)
        network.optimizer.build(network.trainable_variables)
        return network

    def make_classifier(self, input_shape, scale):
        """Return the clean pass with frozen statistics as a plain stack of dense layers."""
        layers = [keras.Input(input_shape), keras.layers.Rescaling(1.0 / scale, name="scale")]
        layers += [keras.layers.Dense(int(units), "relu", kernel_initializer="zeros") for units in self.hidden_units]
        last = "softmax" if self.n_clusters > 1 else "sparsemax"  # both give 1 for one class; Keras warns of the first
        layers += [keras.layers.Dense(int(self.n_clusters), last, kernel_initializer="zeros")]
        return keras.Sequential(layers)

    def freeze(self, network, X, scale):
        """Fold the clean pass's statistics over all rows of X, layer by layer, into kernels and biases."""
        folded = []
        for layer, (kernel, beta) in enumerate(zip(network.encoder, network.beta, strict=True), start=1):
            kernel, beta = kernel.numpy(), beta.numpy()
            if layer < network.n_layers or network.normalize_logits:
                mean, variance = _moments(X, scale, folded, kernel)
                gain = 1.0 / np.sqrt(variance + VARIANCE_EPSILON)
                kernel, beta = kernel * gain, beta - mean * gain
            folded.append((kernel.astype(np.float32), beta.astype(np.float32)))
        return [array for pair in folded for array in pair]


def _moments(X, scale, folded, kernel):
    """Return mean and variance (float64) of the next layer's products over all rows, streamed in chunks."""
    count, mean, deviation = 0, 0.0, 0.0
    for rows in chunks(X.shape[0]):
        hidden = ops.convert_to_tensor(dense_rows(X, rows, scale))
        for weights, bias in folded:
            hidden = ops.relu(ops.matmul(hidden, weights) + bias)
        products = ops.convert_to_numpy(ops.matmul(hidden, kernel)).astype(np.float64)
        size, centre = len(products), products.mean(axis=0)
        shift = centre - mean
        total = count + size
        deviation = deviation + np.square(products - centre).sum(axis=0) + np.square(shift) * (count * size / total)
        mean, count = mean + shift * (size / total), total
    return mean, deviation / count
