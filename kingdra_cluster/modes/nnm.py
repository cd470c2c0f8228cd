"""Nearest-neighbour matching, or SCAN with its own terms switched off: clusters that neighbours share."""

import keras
import numpy as np

from kingdra_cluster import augment
from kingdra_cluster.backbones import check_backbone, make_backbone
from kingdra_cluster.batches import feed_shuffled
from kingdra_cluster.forward import set_weights
from kingdra_cluster.losses.cluster_entropy import check_prior
from kingdra_cluster.modes.base import ClusteringMode, check_loss, learn_scale
from kingdra_cluster.modes.fit_state import fit_identity, load_fit, own_folder, save_fit, seed_of_fit
from kingdra_cluster.modes.nnm_batches import NeighborBatches
from kingdra_cluster.modes.nnm_network import NNMNetwork, judge_heads
from kingdra_cluster.modes.nnm_rows import check_neighbors, mined_neighbors, neighbors_among, split_rows
from kingdra_cluster.optimizers import FusedAdam
from kingdra_cluster.prepared_rows import METRICS
from kingdra_cluster.progress import epoch_line, report
from kingdra_cluster.validation import Integral, Real, check_choice, check_flag, check_number, check_rows

STEPS_PER_EXECUTION = 8


class NNM(ClusteringMode):
    """Cluster rows such that each gets the same answer as its neighbours, with several heads on one backbone.

    Works on vectors, and on images (n, height, width, 1 or 3).  With ``local``, ``class_level`` and ``global_level``
    all off it is SCAN.

    Parameters
    ----------
    n_clusters : int, default=10
    backbone : str, dict or keras.Model, default="mlp"
        See `make_backbone`.  A model is copied with its weights, and neighbours are mined in its features; it is not
        saved as an argument and cannot be a member's inside `KingdraCluster`.
    n_heads : int, default=20
        Linear heads, trained side by side, of which the best is kept (published: 3).
    n_neighbors : int, default=20
        Mined once, of which each epoch draws one for every row.
    metric : {"cosine", "euclidean", "hellinger"}, default="cosine"
        Of the mined neighbours.
    local : bool, default=True
        Match a second view of each row with the row's nearest other in the batch.
    class_level : bool, default=True
        Match the clusters' rows of the batch, see `class_matching`.
    global_level : bool, default=True
        Match each row, from the second epoch on, with its nearest other row of all, by the present features.
    entropy_weight : float, default=5.0
        Of the clusters' balance.
    prior : "uniform" or sequence of n_clusters floats, default="uniform"
        Shares of the rows that the clusters are expected to have, where they are known not to be equal.
    supervised_weight : float, default=1.0
        Of the cross-entropy of pseudo-labelled rows on every head, inside `KingdraCluster`.
    view_distance : float, default=0.5
        How far the views of a vector lie from it, in distances between a row and its neighbours: see
        `augment.view_at_distance`.
    padding, largest_cutout, flip : float, float, bool, default=0.125, 0.5, True
        Of the views of images, see `augment.nnm_strong_view`; ``flip=False`` suits digits and letters.
    learning_rate : float, default=1e-3
        Of Adam; 1e-4 as published suits a backbone that is already trained.
    weight_decay : float, default=1e-4
        L2 penalty: half of this times the sum of the squared weights is part of the loss.
    batch_size, n_epochs : int, default=200, 50
        Inside `KingdraCluster` its own numbers of epochs hold.
    scale : {"rms", None}, default="rms"
        Divide vectors by their root mean square, or leave them alone.  ``uint8`` images are divided by 255.
    checkpoint_dir : path, optional
        Keeps the state after every epoch: a killed fit goes on from there.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    labels_, probabilities_, scale_, n_features_in_
        As of every mode.
    classifier_ : keras.Model
        Backbone and head of the best epoch: raw rows in, probabilities out.
    best_epoch_, best_head_ : int
        Where the score in ``history_`` is lowest.
    history_ : list of dict
        An entry an epoch: mean of every term of the loss (weighted, summed over heads), and over the held-out rows
        the label-free ``score`` of the epoch's best ``head`` and how many ``clusters`` it uses.

    References
    ----------
    Dang, Deng, Yang, Wei, Huang, "Nearest neighbor matching for deep clustering", CVPR 2021.
    Van Gansbeke et al., "SCAN: learning to classify images without labels", ECCV 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data[:200]
    >>> NNM(10, backbone={"name": "mlp", "hidden_units": (16,)}, n_epochs=2, random_state=0).fit(X).predict(X[:5]).shape
    (5,)
    """

    takes_images, batches_class = True, NeighborBatches

    def __init__(
        self,
        n_clusters=10,
        *,
        backbone="mlp",
        n_heads=20,
        n_neighbors=20,
        metric="cosine",
        local=True,
        class_level=True,
        global_level=True,
        entropy_weight=5.0,
        prior="uniform",
        supervised_weight=1.0,
        view_distance=0.5,
        padding=0.125,
        largest_cutout=0.5,
        flip=True,
        learning_rate=1e-3,
        weight_decay=1e-4,
        batch_size=200,
        n_epochs=50,
        scale="rms",
        checkpoint_dir=None,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.backbone = backbone
        self.n_heads = n_heads
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.local = local
        self.class_level = class_level
        self.global_level = global_level
        self.entropy_weight = entropy_weight
        self.prior = prior
        self.supervised_weight = supervised_weight
        self.view_distance = view_distance
        self.padding = padding
        self.largest_cutout = largest_cutout
        self.flip = flip
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.scale = scale
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    def check_parameters(self):
        """Raise on the first hyper-parameter that is out of range."""
        super().check_parameters()
        check_backbone(self.backbone)
        for name in ("n_heads", "n_neighbors"):
            check_number(name, getattr(self, name), Integral, 1)
        check_choice("metric", self.metric, METRICS)
        for name in ("local", "class_level", "global_level", "flip"):
            check_flag(name, getattr(self, name))
        for name in ("entropy_weight", "supervised_weight", "view_distance", "weight_decay"):
            check_number(name, getattr(self, name), Real, 0)
        for name in ("padding", "largest_cutout"):
            check_number(name, getattr(self, name), Real, 0, maximum=1)
        check_number("learning_rate", self.learning_rate, Real, above=0)
        if isinstance(self.prior, str):
            check_choice("prior", self.prior, ["uniform"])
        else:
            check_prior(self.prior, self.n_clusters)

    def make_network(self, input_shape, seed):
        """Return the compiled network, its optimizer built."""

        def view(rows, seed, apart):
            if len(input_shape) == 1:
                return augment.view_at_distance(rows, seed, self.view_distance * apart)
            options = {"padding": self.padding, "largest_cutout": self.largest_cutout, "flip": bool(self.flip)}
            return augment.nnm_strong_view(rows, seed, **options)

        network = NNMNetwork(
            make_backbone(self.backbone, input_shape, seed),
            int(self.n_heads),
            int(self.n_clusters),
            view=view,
            local=self.local,
            class_level=self.class_level,
            global_level=self.global_level,
            entropy_weight=self.entropy_weight,
            prior=None if isinstance(self.prior, str) else self.prior,
            supervised_weight=self.supervised_weight,
            weight_decay=self.weight_decay,
            seed=seed,
        )
        network.compile(FusedAdam(self.learning_rate), jit_compile=False, steps_per_execution=STEPS_PER_EXECUTION)
        network.optimizer.build(network.trainable_variables)
        return network

    def make_classifier(self, input_shape, scale):
        """Return the backbone and one head as a plain classifier."""
        last = "softmax" if self.n_clusters > 1 else "sparsemax"  # both give 1 for one class; Keras warns of the first
        return keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Rescaling(1.0 / scale, name="scale"),
                make_backbone(self.backbone, input_shape, seed=0),
                keras.layers.Dense(int(self.n_clusters), last, kernel_initializer="zeros"),
            ]
        )

    def freeze(self, network, X, scale):
        """Return the weights of the backbone and of the head that suits the rows and their neighbours best."""
        rows = np.arange(X.shape[0])
        neighbors = mined_neighbors(X, self.n_neighbors, self.metric)
        return network.head_weights(int(judge_heads(network, X, rows, neighbors, scale)[0].argmin()))

    def make_batches(self, X, *, seed, scale, labelled=None):
        """Return the batches of one training: see `NeighborBatches`."""
        neighbors = mined_neighbors(X, self.n_neighbors, self.metric)
        return self._batches(X, neighbors, seed=seed, scale=scale, labelled=labelled)

    def fit(self, X, y=None, *, neighbors=None, held_out=None):
        """Learn clusters from rows and their neighbours alone.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features), or images (n, height, width, 1 or 3)
            Images are ``uint8``, or floating in [0, 1].
        y : ignored
        neighbors : (n, n_neighbors) int, optional
            Rows of X near each row, nearest first, taken as they are; None mines ``n_neighbors`` of them.
        held_out : array of int, optional
            Rows to judge epochs and heads by, not to train on.  None: a random tenth; of fewer than 2,000 rows all,
            which are trained on as well.

        Returns
        -------
        self
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True, images=True)
        seed, self.scale_ = seed_of_fit(self), learn_scale(X, self.scale)
        network = self.make_network(X.shape[1:], seed)
        trained, judged = split_rows(X.shape[0], held_out, seed)
        if neighbors is None:
            given, rows = isinstance(self.backbone, keras.Model), np.arange(X.shape[0])
            space = network.answers(X, rows, self.scale_)[0] if given else X
            neighbors = neighbors_among(space, trained, self.n_neighbors, self.metric)
        else:
            neighbors = check_neighbors(neighbors, X.shape[0])
        with own_folder(self.checkpoint_dir):
            kept = self._train(network, X, neighbors, trained, judged, seed)
        self.classifier_ = self.make_classifier(X.shape[1:], self.scale_)
        for variable, value in zip(network.variables, kept, strict=True):
            variable.assign(value)
        set_weights(self.classifier_, network.head_weights(self.best_head_))
        self._label(X)
        return self

    @property
    def best_epoch_(self):
        """Index in ``history_`` of the epoch whose network is kept."""
        return int(np.argmin([record["score"] for record in self.history_]))

    @property
    def best_head_(self):
        """Index of the head that is kept."""
        return self.history_[self.best_epoch_]["head"]

    def _train(self, network, X, neighbors, trained, judged, seed):
        """Train epoch by epoch and return the variables of the network as they were after the best one."""
        kept = [keras.Variable(v, trainable=False, dtype=v.dtype) for v in network.variables]
        state = [*network.variables, *network.optimizer.variables, *kept]
        self.history_, identity = [], None
        if self.checkpoint_dir is not None:
            identity = fit_identity(self, seed, network, X=X, neighbors=neighbors, held_out=judged)
            self.history_ = load_fit(self.checkpoint_dir, identity, state)
        for epoch in range(len(self.history_), self.n_epochs):
            batches = self._batches(X, neighbors, seed=(seed, epoch), scale=self.scale_, rows=trained)
            terms = network.fit(feed_shuffled(batches), epochs=1, shuffle=False, verbose=0).history
            check_loss(terms["loss"][0])
            scores, clusters = self.judge(network, X, judged, neighbors[judged])
            head = int(scores.argmin())
            judgement = {"score": float(scores[head]), "head": head, "clusters": int(clusters[head])}
            self.history_.append({name: float(v[0]) for name, v in terms.items() if name != "supervised"} | judgement)
            check_loss(self.history_[-1]["score"])
            if self.best_epoch_ == epoch:
                for copy, variable in zip(kept, network.variables, strict=True):
                    copy.assign(variable)
            if identity is not None:
                save_fit(self.checkpoint_dir, identity, self.history_, state)
            if self.verbose:
                report(epoch_line(self.history_, self.n_epochs))
        return kept

    def judge(self, network, X, rows, neighbors):
        """Return the label-free score of every head, less is better, and how many clusters it uses."""
        return judge_heads(network, X, rows, neighbors, self.scale_)

    def _batches(self, X, neighbors, **options):
        sizes = {"n_heads": int(self.n_heads), "n_clusters": int(self.n_clusters), "batch_size": self.batch_size}
        return self.batches_class(X, neighbors, with_global=self.global_level, **sizes, **options)
