"""The network of nearest-neighbour matching: a backbone, several linear heads, and the terms of the loss."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kingdra_cluster.batches import chunks, dense_rows
from kingdra_cluster.forward import forward, rows_at_once
from kingdra_cluster.losses import batch_nearest, local_pairs, nnm_terms
from kingdra_cluster.losses.cluster_entropy import check_prior
from kingdra_cluster.losses.neighbor_consistency import LOG_OF_NOTHING, SMALLEST

ANSWER_ROWS = 1024
JUDGED_NEIGHBORS = 5
BY_HEAD = ("anchor", "neighbor", "augmented", "partner")  # of the outputs, those of shape (batch, n_heads, n_clusters)


class NNMNetwork(keras.Model):
    """Clusters rows such that each gets its neighbours' answers: mined ones, the batch's and the data set's.

    ``call`` takes the batches of `NeighborBatches`.

    Parameters
    ----------
    backbone : keras.Model
        Maps rows to features; trained.
    n_heads, n_clusters : int
    view : callable
        Maps rows, a seed and how far neighbours are apart (see `spread`) to views of the rows.
    local, class_level, global_level : bool
        Which terms there are.
    entropy_weight, supervised_weight, weight_decay : float
    prior : (n_clusters,) array or None
        Of the entropy, see `cluster_entropy`.
    seed : int
        Drives the heads' initial weights and the views.  A variable, so that a state holds it.
    """

    def __init__(
        self,
        backbone,
        n_heads,
        n_clusters,
        *,
        view,
        local,
        class_level,
        global_level,
        entropy_weight,
        prior,
        supervised_weight,
        weight_decay,
        seed,
    ):
        super().__init__()
        self.backbone, self.n_heads, self.n_clusters = backbone, n_heads, n_clusters
        self.view, self.local, self.class_level, self.global_level = view, local, class_level, global_level
        self.entropy_weight, self.prior, self.supervised_weight = entropy_weight, prior, supervised_weight
        self.weight_decay = weight_decay
        units = backbone.output_shape[-1]
        # as PyTorch's linear layers begin, however many heads there are
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)
        self.kernel = self.add_weight(shape=(units, n_heads * n_clusters), initializer=uniform, name="heads_kernel")
        self.bias = self.add_weight(shape=(n_heads * n_clusters,), initializer="zeros", name="heads_bias")
        constant = keras.initializers.Constant(seed)
        self.seed = self.add_weight(shape=(), dtype="int32", initializer=constant, trainable=False, name="seed")
        matching = ["class_matching"] * class_level + ["global_matching"] * global_level
        names = ["consistency", *matching, "entropy", "decay", "supervised"]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def fit(self, x, **options):
        """Train on `NeighborBatches`, or what `feed` makes of them, and keep up to date what they know of it."""
        return super().fit(x, callbacks=[_KeepUpToDate(getattr(x, "batches", x))], **options)

    def heads(self, features):
        """Return the probabilities and their logarithms, both (batch, n_heads, n_clusters)."""
        logits = ops.reshape(ops.matmul(features, self.kernel) + self.bias, (-1, self.n_heads, self.n_clusters))
        logarithms = ops.log_softmax(logits, axis=-1)  # Keras' softmax warns of a single cluster
        return ops.exp(logarithms), logarithms

    def call(self, inputs, training=None):
        """Run every pass that the loss needs.

        Returns
        -------
        dict
            ``anchor``, ``neighbor`` and, with the local term, ``augmented``: (batch, n_heads, n_clusters)
            probabilities of views of the rows, of their neighbours and again of the rows; ``nearest``, (batch,), each
            row's nearest other of the batch; ``partner`` and ``has_partner`` as they came; ``labelled``, logarithms of
            the probabilities of labelled rows.
        """
        seed = tf.stack([self.seed.value, ops.cast(self.optimizer.iterations, "int32")])

        apart = spread(inputs["x"], inputs["neighbor"])

        def embed(rows, number):
            return self.backbone(self.view(rows, tf.concat([seed, [number]], axis=0), apart), training=training)

        features = embed(inputs["x"], 0)
        output = {"anchor": self.heads(features)[0], "neighbor": self.heads(embed(inputs["neighbor"], 1))[0]}
        if self.local:
            output["nearest"] = batch_nearest(features)
            output["augmented"] = self.heads(embed(inputs["x"], 2))[0]
        if self.global_level:
            output["partner"], output["has_partner"] = inputs["partner"], inputs["has_partner"]
        if "labelled" in inputs:
            output["labelled"] = self.heads(embed(inputs["labelled"], 3))[1]
        return output

    def loss_terms(self, output, labels=None):
        """Return the weighted terms of the loss by name, each summed over the heads.

        Parameters
        ----------
        output : dict
            What ``call`` returned.
        labels : tensor of shape (batch, n_heads, n_clusters), optional
            Targets of the labelled rows.
        """
        decayed = sum(ops.sum(ops.square(variable)) for variable in self.trainable_variables)
        answers = {name: ops.swapaxes(output[name], 0, 1) for name in BY_HEAD if name in output}
        found = self._matching_terms(answers, output)
        terms = {"decay": 0.5 * self.weight_decay * decayed} | {name: ops.sum(each) for name, each in found.items()}
        if labels is not None:
            errors = -ops.mean(ops.sum(labels * output["labelled"], axis=-1), axis=0)
            terms["supervised"] = self.supervised_weight * ops.sum(errors)
        return terms

    def _matching_terms(self, answers, output):
        """Return the weighted terms, (n_heads,) each, of answers with the heads in front."""
        anchors, positives = answers["anchor"], answers["neighbor"]
        if self.local:
            anchors, positives = local_pairs(anchors, positives, answers["augmented"], output["nearest"])
        found = nnm_terms(anchors, positives, answers.get("partner"), self.prior)
        terms = {"consistency": found["consistency"], "entropy": -self.entropy_weight * found["entropy"]}
        if self.class_level:
            terms["class_matching"] = found["class_matching"]
        if self.global_level:
            both = found["global_consistency"] + found["global_class_matching"]
            terms["global_matching"] = ops.mean(output["has_partner"]) * both
        return terms

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum the terms and note each one's mean."""
        terms = self.loss_terms(y_pred, y)
        for name, value in terms.items():
            self.trackers[name].update_state(value)
        return sum(terms.values())

    def answers(self, X, rows, scale):
        """Return what the network makes of some rows of X, as they are, without training.

        Returns
        -------
        features : (len(rows), units) float32
        probabilities : (len(rows), n_heads, n_clusters) float32
        """
        features, probabilities = [], []
        answer = forward(self.backbone, X.shape[1:])
        for block in chunks(len(rows), rows_at_once(X.shape[1:], ANSWER_ROWS)):
            found = answer(dense_rows(X, rows[block], scale))
            features.append(ops.convert_to_numpy(found))
            probabilities.append(ops.convert_to_numpy(self.heads(found)[0]))
        return np.concatenate(features), np.concatenate(probabilities)

    def head_weights(self, head):
        """Return the weights (list of arrays) of the backbone and of one head, as its plain classifier takes them."""
        window = slice(head * self.n_clusters, (head + 1) * self.n_clusters)
        return [*self.backbone.get_weights(), np.asarray(self.kernel)[:, window], np.asarray(self.bias)[window]]


def spread(rows, neighbors):
    """Return how far a batch of rows is from their neighbours: the root mean square of the entries' differences."""
    return ops.sqrt(ops.mean(ops.square(ops.cast(rows, "float32") - ops.cast(neighbors, "float32"))))


class _KeepUpToDate(keras.callbacks.Callback):
    """Before training: the labelled set in every head's names.  Before an epoch, but the first of all: global table."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_begin(self, logs=None):
        self.batches.align(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if int(self.model.optimizer.iterations) > 0:
            self.batches.refresh(self.model)


def judge_heads(network, X, rows, neighbors, scale):
    """Return every head's label-free score on some rows, and how many clusters it puts them in.

    Parameters
    ----------
    network : NNMNetwork
    X : array or CSR matrix of shape (n, ...)
    rows : (m,) int
    neighbors : (m, n_neighbors) int
        Rows of X near each of them; the first five count.
    scale : float
        Divides X.

    Returns
    -------
    scores : (n_heads,) float64
        See `score_heads`.
    n_clusters : list of int
    """
    pairs = np.concatenate([rows[:, None], neighbors[:, :JUDGED_NEIGHBORS]], axis=1)
    needed, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    probabilities = network.answers(X, needed, scale)[1]
    options = {"class_level": network.class_level, "prior": network.prior}
    scores = score_heads(probabilities, places[:, 0], places[:, 1:], **options)
    labels = probabilities[places[:, 0]].argmax(axis=-1)
    return scores, [len(np.unique(column)) for column in labels.T]


def score_heads(probabilities, rows, neighbors, *, class_level, prior=None):
    """Return how well each head's clusters suit rows and their neighbours; no label is seen, and less is better.

    Parameters
    ----------
    probabilities : (n, n_heads, n_clusters) array
    rows : (m,) int
        The rows to judge by.
    neighbors : (m, n_neighbors) int
        Rows near each.
    class_level : bool
        Whether the class-level cross-entropy counts.
    prior : (n_clusters,) array, optional
        See `cluster_entropy`.

    Returns
    -------
    (n_heads,) float64
        Mean ``-log p.q`` over all pairs, less the entropy of the clusters' shares, and perhaps `class_matching` of the
        pairs.  Computed neighbour by neighbour: memory for m rows, not m n_neighbors.
    """
    heads = np.moveaxis(probabilities, 1, 0)
    n_clusters = probabilities.shape[2]
    expected = np.full(n_clusters, 1 / n_clusters) if prior is None else np.sort(check_prior(prior, n_clusters))
    return np.array([_score(head, rows, neighbors, class_level, expected) for head in heads])


def _score(probabilities, rows, neighbors, class_level, expected):
    anchors = probabilities[rows].astype(np.float64)
    shares = np.sort(np.maximum(anchors.mean(axis=0), 1e-8))
    score, n_neighbors = np.sum(shares * np.log(shares / (len(expected) * expected))), neighbors.shape[1]
    products, squares = 0.0, 0.0
    for column in neighbors.T:
        positives = probabilities[column].astype(np.float64)
        agreement = np.einsum("ij,ij->i", anchors, positives)
        logs = np.where(agreement > SMALLEST, np.log(np.maximum(agreement, SMALLEST)), LOG_OF_NOTHING)
        score -= logs.mean() / n_neighbors
        if class_level:
            products, squares = products + anchors.T @ positives, squares + np.square(positives).sum(axis=0)
    if class_level:
        lengths = [np.sqrt(n_neighbors * np.square(anchors).sum(axis=0)), np.sqrt(squares)]
        first, second = (np.maximum(length, 1e-12) for length in lengths)
        cosines = products / np.outer(first, second)
        score += np.mean(np.log(np.exp(cosines).sum(axis=1)) - np.diagonal(cosines))
    return score
