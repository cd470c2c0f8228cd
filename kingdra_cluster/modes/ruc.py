"""RUC: robust refinement of any clustering by two networks that teach each other which labels to believe."""

import warnings
from functools import partial

import keras
import numpy as np

from kingdra_cluster import augment
from kingdra_cluster.backbones import check_backbone
from kingdra_cluster.batches import IndexedRowBatches, feed_shuffled
from kingdra_cluster.exceptions import CollapseWarning
from kingdra_cluster.modes.base import ClusteringMode, check_loss, learn_scale
from kingdra_cluster.modes.fit_state import fit_identity, load_fit, own_folder, save_fit, seed_of_fit
from kingdra_cluster.modes.ruc_network import RowTable, RUCNetwork, make_network, mean_classifier
from kingdra_cluster.modes.ruc_start import SPLITS, VOTED, check_pair, clean_rows, features_of, starting_point
from kingdra_cluster.progress import report
from kingdra_cluster.validation import (
    Integral,
    Real,
    check_choice,
    check_flag,
    check_number,
    check_numbers,
    check_rows,
    check_sequence,
)

STEPS_PER_EXECUTION = 8


class RUC(ClusteringMode):
    """Refine a clustering: believe its probably right rows, and let two networks label the rest.

    Works on vectors, and on images (n, height, width, 1 or 3) given a ``backbone``.  The labels are a clustering, never
    the truth.

    Parameters
    ----------
    n_clusters : int, default=10
    backbone : str, dict or keras.Model, optional
        See `make_backbone`; it takes rows divided by ``scale_``.  From a model's weights both networks start, with
        linear heads of their own; it is not saved as an argument.  None is a perceptron of ``hidden_units``.
    hidden_units : sequence of int, default=(256, 256)
    split : {"metric", "confidence", "hybrid", "cores", "voted_cores"}, default="metric"
        Which rows to believe at first, see `clean_split`: those whose neighbours agree, those of which the clustering
        is sure, or both; those in the cores of a graph, or of them those whose neighbours agree.  A fixed threshold
        suits an overconfident clustering and starves the clusters of another (digits at 82 % with 12 % of the rows
        above 0.99: refined to 82 % by "metric" and to 66 % by "hybrid").  A clustering given as labels only is sure
        of every row.
    confidence_threshold : float, default=0.99
        Of "confidence" and "hybrid".
    n_neighbors : int, optional
        Of the split's vote.  None is a fifth of a cluster's mean size, from 1 to the published 100: more reach beyond
        small clusters (digits at 87.6 %: refined to 88.4 % by 36 neighbours, to 86.6 % by 100).
    relabel_threshold : float or sequence of float, default=0.99
        A noisy row that a network is that sure of takes its label and counts as clean from then on.  Several are for
        equal parts of the training, one after the other.
    noisy_weight : float, default=25.0
        Final weight of the noisy rows' squared error; it rises linearly from a tenth over ``ramp_epochs``.
    ramp_epochs : int, optional
        None is ``n_epochs``.
    temperature : float, default=0.5
        Of sharpening.
    label_smoothing : float, default=0.25
        In the cross-entropy of the strong view of clean rows.
    mixup : int, default=4
        Both parameters of the beta distribution of the shares in which two rows are mixed.
    noise_std, feature_dropout : pairs of float, default=(0.05, 0.3), (0, 0.2)
        Of the weak and the strong view of vectors, of root mean square 1.
    flip : bool, default=True
        Mirror half of the images in both views; False suits digits and letters.
    learning_rate, momentum : float, default=0.05, 0.9
        Of SGD with Nesterov momentum; the rate falls to 0 along a cosine.
    weight_decay : float, default=5e-4
        L2 penalty: half of this times the sum of the squared weights is part of the loss.
    batch_size, n_epochs : int, default=200, 30
        Epochs are passes over the rows for each of the two networks.
    scale : {"rms", None}, default="rms"
        Divide vectors by their root mean square, or leave them alone.  ``uint8`` images are divided by 255.
    checkpoint_dir : path, optional
        Keeps the state after every epoch; a killed fit of the same rows, labels and arguments goes on from there.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    labels_ : (n,) int
    probabilities_ : (n, n_clusters) float32
        Of the mean of both networks' logits.
    clean_, clean_start_ : (n,) bool
        Rows whose label was believed in the end and at first.
    classifier_ : keras.Model
    scale_ : float
    history_ : list of dict
        Mean of every term of the loss over both networks, and the share of clean rows, an entry an epoch.
    n_features_in_ : int

    References
    ----------
    Park et al., "Improving unsupervised image clustering with robust learning", CVPR 2021.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> X, _ = make_blobs(n_samples=300, centers=3, random_state=0)
    >>> labels = KMeans(3, n_init=1, random_state=0).fit_predict(X)
    >>> refined = RUC(3, n_epochs=5, hidden_units=(32,), batch_size=50, random_state=0).fit(X, labels)
    >>> refined.predict(X[:5]).shape
    (5,)
    """

    saved_arrays = ("labels_", "probabilities_", "clean_", "clean_start_")
    takes_images = True

    def __init__(
        self,
        n_clusters=10,
        *,
        backbone=None,
        hidden_units=(256, 256),
        split="metric",
        confidence_threshold=0.99,
        n_neighbors=None,
        relabel_threshold=0.99,
        noisy_weight=25.0,
        ramp_epochs=None,
        temperature=0.5,
        label_smoothing=0.25,
        mixup=4,
        noise_std=(0.05, 0.3),
        feature_dropout=(0.0, 0.2),
        flip=True,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        batch_size=200,
        n_epochs=30,
        scale="rms",
        checkpoint_dir=None,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.backbone = backbone
        self.hidden_units = hidden_units
        self.split = split
        self.confidence_threshold = confidence_threshold
        self.n_neighbors = n_neighbors
        self.relabel_threshold = relabel_threshold
        self.noisy_weight = noisy_weight
        self.ramp_epochs = ramp_epochs
        self.temperature = temperature
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.noise_std = noise_std
        self.feature_dropout = feature_dropout
        self.flip = flip
        self.learning_rate = learning_rate
        self.momentum = momentum
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
        check_choice("split", self.split, SPLITS)
        check_backbone(self.backbone, none=True)
        check_numbers(self, dict.fromkeys(("noisy_weight", "weight_decay"), (Real, 0)) | {"mixup": (Integral, 1)})
        check_flag("flip", self.flip)
        for name in ("confidence_threshold", "label_smoothing", "momentum"):
            check_number(name, getattr(self, name), Real, 0, maximum=1)
        several = isinstance(self.relabel_threshold, (tuple, list, np.ndarray))
        check = check_sequence if several else check_number
        check("relabel_threshold", self.relabel_threshold, Real, 0, maximum=1)
        for name in ("temperature", "learning_rate"):
            check_number(name, getattr(self, name), Real, above=0)
        for name in ("n_neighbors", "ramp_epochs"):
            check_number(name, getattr(self, name), Integral, 1, none=True)
        check_pair("noise_std", self.noise_std)
        check_pair("feature_dropout", self.feature_dropout, 0.99)
        check_sequence("hidden_units", self.hidden_units, Integral, 1)

    def fit(self, X, y=None, *, clean=None, embeddings=None, pseudo_labels=None):
        """Refine a clustering of the rows of X.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features), or images (n, height, width, 1 or 3)
            Images are ``uint8``, or floating in [0, 1].
        y : array-like of shape (n,) or (n, n_clusters), optional
            Labels from 0 to ``n_clusters - 1``, or probabilities: a clustering.  None is k-means of the rows.
        clean : array-like of bool, shape (n,), optional
            Rows to believe at first; None applies ``split``.
        embeddings : array-like or CSR matrix of shape (n, n_embedding), optional
            In which the split looks for neighbours; None is the features of a backbone that is a model, or else X.
        pseudo_labels : array-like of int, shape (n,), optional
            Of a graph, such as ``KingdraCluster.pseudo_labels_``: -1 where a row is in no core.  For a split by cores.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, shape or range.
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True, images=True)
        if X.ndim > 2 and self.backbone is None:
            raise ValueError(f'images want a backbone, such as "resnet18"; received X of shape {X.shape} and none')
        seed = seed_of_fit(self)
        self.scale_ = learn_scale(X, self.scale)
        start = starting_point(X, y, self.n_clusters, seed)
        if clean is None and embeddings is None and self.split in VOTED:
            embeddings = features_of(X, self.backbone, self.scale_)
        self.clean_start_ = clean_rows(self, start, embeddings, clean, pseudo_labels)
        with own_folder(self.checkpoint_dir):
            self._train(X, start, seed)
        self._label(X)
        lost = np.setdiff1d(start.argmax(axis=1), self.labels_)
        if lost.size:
            warnings.warn(f"clusters {lost.tolist()} lost all their rows", CollapseWarning, stacklevel=2)
        return self

    def _train(self, X, start, seed):
        """Train both networks in turn, an epoch at a time, and keep their mean as the classifier."""
        table = RowTable(X.shape[0])
        table.labels.assign(start.argmax(axis=1).astype(np.int32))
        table.clean.assign(self.clean_start_.astype(np.float32))
        shape, steps = X.shape[1:], len(self._batches(X, seed, 0, 0))
        networks = [make_network(self, shape, [seed, which]) for which in (0, 1)]
        harnesses = [self._make_harness(networks, which, table, steps, seed, X.ndim > 2) for which in (0, 1)]
        variables = list(table.variables)
        for network, harness in zip(networks, harnesses, strict=True):
            variables += [*network.variables, *harness.optimizer.variables]
        self.history_, identity = [], None
        if self.checkpoint_dir is not None:
            identity = fit_identity(self, seed, networks[0], X=X, y=start, clean=self.clean_start_)
            self.history_ = load_fit(self.checkpoint_dir, identity, variables)
        for epoch in range(len(self.history_), self.n_epochs):
            records = []
            for which, harness in enumerate(harnesses):
                batches = self._batches(X, seed, which, epoch)
                records.append(harness.fit(feed_shuffled(batches), epochs=1, shuffle=False, verbose=0).history)
                table.end_pass(1 - which)
            self.history_.append({name: float(np.mean([r[name] for r in records])) for name in records[0]})
            check_loss(self.history_[-1]["loss"])
            if identity is not None:
                save_fit(self.checkpoint_dir, identity, self.history_, variables)
            if self.verbose:
                terms = "  ".join(f"{name} {value:.4f}" for name, value in self.history_[-1].items())
                report(f"epoch {epoch + 1}/{self.n_epochs}  {terms}")
        self.clean_ = np.asarray(table.clean) > 0
        self.classifier_ = mean_classifier(networks, shape, self.scale_)

    def fit_predict(self, X, y=None, **options):
        """Return the refined label of every row, (n,) int: ``fit(X, y, **options).labels_``."""
        return self.fit(X, y, **options).labels_

    def _batches(self, X, seed, which, epoch):
        return IndexedRowBatches(X, batch_size=self.batch_size, seed=(seed, which, epoch), scale=self.scale_)

    def _make_harness(self, networks, which, table, steps, seed, images):
        """Return the compiled harness of one network, its optimizer built."""
        weak, strong = (
            partial(augment.vector_view, noise=noise, dropout=dropout)
            for noise, dropout in zip(self.noise_std, self.feature_dropout, strict=True)
        )
        harness = RUCNetwork(
            networks[which],
            partial(networks[1 - which], training=False),
            table,
            which,
            weak_view=partial(augment.ruc_weak_view, flip=bool(self.flip)) if images else weak,
            strong_view=partial(augment.ruc_strong_view, flip=bool(self.flip)) if images else strong,
            seed=seed,
            steps_per_epoch=steps,
            ramp_epochs=self.ramp_epochs or self.n_epochs,
            noisy_weight=self.noisy_weight,
            relabel_thresholds=tuple(map(float, np.atleast_1d(self.relabel_threshold))),
            epochs=self.n_epochs,
            temperature=self.temperature,
            smoothing=self.label_smoothing,
            mixup=self.mixup,
            weight_decay=self.weight_decay,
        )
        rate = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.n_epochs * steps)
        optimizer = keras.optimizers.SGD(rate, momentum=self.momentum, nesterov=self.momentum > 0)
        harness.compile(optimizer, jit_compile=False, steps_per_execution=STEPS_PER_EXECUTION)
        optimizer.build(networks[which].trainable_variables)
        return harness
