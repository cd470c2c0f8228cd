"""Self-labelling: a clustering network learns from its own sure answers."""

import warnings
from functools import partial

import keras
from sklearn.utils import check_random_state

from kingdra_cluster import augment
from kingdra_cluster.backbones.application import copy_model
from kingdra_cluster.batches import IndexedRowBatches, feed_shuffled
from kingdra_cluster.exceptions import PseudoLabelWarning
from kingdra_cluster.forward import set_weights
from kingdra_cluster.modes.base import LARGEST_SEED, ClusteringMode, check_image_type, check_loss, learn_scale
from kingdra_cluster.modes.selflabel_network import SelfLabelNetwork
from kingdra_cluster.optimizers import FusedAdam
from kingdra_cluster.validation import Real, check_flag, check_number, check_numbers, check_rows

STEPS_PER_EXECUTION = 8


class SelfLabel(ClusteringMode):
    """Train a clustering network on: what it is sure of in a row becomes the target for a heavy view of the row.

    Parameters
    ----------
    n_clusters : int, default=10
    classifier : keras.Model
        Where to start: raw rows in, probabilities out of a last layer with softmax, such as the ``classifier_`` of a
        fitted `NNM` or `LadderIM`.  It is copied, and not saved as an argument.
    threshold : float, default=0.99
        A row is sure if its largest probability is above this.
    class_balancing : bool, default=True
        Let all labels count alike, however many sure rows they have.
    noise_std, feature_dropout : float, default=0.3, 0.3
        Of the views of vectors, divided by ``scale_``.
    flip : bool, default=True
        Mirror half of the images in their views (`augment.nnm_strong_view`); False suits digits and letters.
    learning_rate : float, default=1e-4
        Of Adam.
    weight_decay : float, default=1e-4
        L2 penalty: half of this times the sum of the squared weights is part of the loss.
    batch_size : int, default=200
    n_epochs : int, default=20
    scale : {"rms", None}, default="rms"
        Views are those of vectors divided by their root mean square, or as they are; of ``uint8`` images by 255.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    labels_ : (n,) int
    probabilities_ : (n, n_clusters) float32
    classifier_ : keras.Model
    scale_ : float
    history_ : list of dict
        Mean of every term of the loss and the share of sure rows, an entry an epoch.
    n_features_in_ : int

    References
    ----------
    Van Gansbeke et al., "SCAN: learning to classify images without labels", ECCV 2020, section 2.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from kingdra_cluster import LadderIM
    >>> X = load_digits().data[:200]
    >>> start = LadderIM(10, hidden_units=(32,), n_epochs=1, random_state=0).fit(X)
    >>> model = SelfLabel(10, classifier=start.classifier_, threshold=0.1, n_epochs=1, random_state=0)
    >>> model.fit(X).predict(X[:5]).shape
    (5,)
    """

    takes_images = True

    def __init__(
        self,
        n_clusters=10,
        *,
        classifier=None,
        threshold=0.99,
        class_balancing=True,
        noise_std=0.3,
        feature_dropout=0.3,
        flip=True,
        learning_rate=1e-4,
        weight_decay=1e-4,
        batch_size=200,
        n_epochs=20,
        scale="rms",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.classifier = classifier
        self.threshold = threshold
        self.class_balancing = class_balancing
        self.noise_std = noise_std
        self.feature_dropout = feature_dropout
        self.flip = flip
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.scale = scale
        self.random_state = random_state
        self.verbose = verbose

    def check_parameters(self):
        """Raise on the first hyper-parameter that is out of range."""
        super().check_parameters()
        check_number("threshold", self.threshold, Real, 0, maximum=1)
        for name in ("class_balancing", "flip"):
            check_flag(name, getattr(self, name))
        check_numbers(self, dict.fromkeys(("noise_std", "weight_decay"), (Real, 0)))
        check_number("feature_dropout", self.feature_dropout, Real, 0, maximum=0.99)
        check_number("learning_rate", self.learning_rate, Real, above=0)
        if not isinstance(self.classifier, keras.Model):
            found = type(self.classifier).__name__
            raise TypeError(f"classifier must be a keras.Model, such as a fitted NNM's classifier_; received {found}")
        if getattr(self.classifier, "output_shape", None) is None:
            raise TypeError(f"classifier must be a functional model; received {type(self.classifier).__name__}")
        if self.classifier.output_shape != (None, self.n_clusters):
            shape = self.classifier.output_shape
            raise ValueError(f"classifier must return n_clusters={self.n_clusters} probabilities; it returns {shape}")
        last = getattr(self.classifier.layers[-1], "activation", None)
        single = self.n_clusters == 1 and last is keras.activations.sparsemax  # how the modes end for one cluster
        if last is not keras.activations.softmax and not single:
            raise ValueError("the last layer of classifier must be one with softmax, of which the logits are trained")

    def fit(self, X, y=None):
        """Train the classifier on; clusters keep their names.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features), or images (n, height, width, 1 or 3)
            Images are ``uint8``, or floating in [0, 1].
        y : ignored

        Returns
        -------
        self

        Warns
        -----
        PseudoLabelWarning
            If no row was ever sure, so that nothing was learnt.
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True, images=True)
        if X.shape[1:] != self.classifier.input_shape[1:]:
            raise ValueError(f"X must have rows of shape {self.classifier.input_shape[1:]}; received {X.shape[1:]}")
        for layer in self.classifier.layers:
            if isinstance(layer, keras.layers.Rescaling) and layer.name == "scale":  # as the modes name it
                check_image_type(X, 1 / layer.scale)
        seed = check_random_state(self.random_state).randint(LARGEST_SEED)
        self.scale_ = learn_scale(X, self.scale)
        network = copy_model(self.classifier, seed)
        network.layers[-1].activation = keras.activations.linear
        harness = self._make_harness(network, X.ndim > 2, seed)
        batches = IndexedRowBatches(X, batch_size=self.batch_size, seed=(seed, 0), scale=self.scale_)
        options = {"epochs": self.n_epochs, "shuffle": False, "verbose": 2 * bool(self.verbose)}
        history = harness.fit(feed_shuffled(batches), **options).history
        check_loss(history["loss"][-1])
        self.history_ = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
        if not any(history["sure_share"]):
            warnings.warn(
                f"no row was ever sure at threshold={self.threshold}: nothing was learnt; a lower one may help",
                PseudoLabelWarning,
                stacklevel=2,
            )
        self.classifier_ = copy_model(self.classifier, seed)
        set_weights(self.classifier_, network.get_weights())
        self._label(X)
        return self

    def _make_harness(self, network, images, seed):
        """Return the compiled harness, its optimizer built."""
        vectors = partial(augment.vector_view, noise=self.noise_std, dropout=self.feature_dropout)
        pictures = partial(augment.nnm_strong_view, flip=bool(self.flip))
        harness = SelfLabelNetwork(
            network,
            strong_view=pictures if images else vectors,
            scale=self.scale_,
            threshold=self.threshold,
            class_balancing=self.class_balancing,
            weight_decay=self.weight_decay,
            seed=seed,
        )
        harness.compile(FusedAdam(self.learning_rate), jit_compile=False, steps_per_execution=STEPS_PER_EXECUTION)
        harness.optimizer.build(network.trainable_variables)
        return harness
