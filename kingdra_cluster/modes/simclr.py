"""SimCLR: features in which two random views of a row lie near each other and far from all other rows."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kingdra_cluster import augment
from kingdra_cluster.backbones import check_backbone, make_backbone
from kingdra_cluster.batches import RowBatches, feed_shuffled
from kingdra_cluster.checks import check_checkpoint_dir
from kingdra_cluster.modes.base import check_image_type, check_loss, check_precision, learn_scale, predict_rows
from kingdra_cluster.modes.fit_state import fit_identity, load_fit, own_folder, save_fit, seed_of_fit
from kingdra_cluster.modes.simclr_network import SimCLRNetwork, make_projection
from kingdra_cluster.progress import epoch_line, report
from kingdra_cluster.saving import DESCRIPTION, jsonable, load_folder, restored, save_folder
from kingdra_cluster.validation import (
    Integral,
    Real,
    check_choice,
    check_flag,
    check_number,
    check_numbers,
    check_rows,
    check_verbose,
)

FITTED = ("scale_", "n_features_in_", "history_")  # that are saved beside the networks
LAST_RATE = 1e-3  # of the first: where the cosine ends


class SimCLR(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learn features without labels: a pretext for `NNM`, which takes ``backbone_`` as its backbone.

    Works on images (n, height, width, 1 or 3), and on vectors.

    Parameters
    ----------
    backbone : str, dict, keras.Model or None, default=None
        See `make_backbone`; None is ``"resnet18"`` for images and ``"mlp"`` for vectors.  A model is copied with its
        weights, and is not saved as an argument.
    hidden_units, n_outputs : int, default=512, 128
        Of the two dense layers between the backbone and the contrast.
    temperature : float, default=0.1
    smallest_area, flip, jitter
        Of the views of images, see `augment.simclr_view`; ``flip=False`` suits digits and letters.
    noise_std, feature_dropout : float, default=0.3, 0.3
        Of the views of vectors, of root mean square 1.
    learning_rate : float, default=0.4
        Of SGD at the first step; it falls as a cosine to a thousandth of this.
    momentum : float, default=0.9
    weight_decay : float, default=1e-4
        PyTorch's: half of this times the sum of the squared weights is part of the loss.
    batch_size : int, default=512
        Rows, each of which gives two views.
    n_epochs : int, default=500
    scale : {"rms", None}, default="rms"
        Divide vectors by their root mean square, or leave them alone.  ``uint8`` images are divided by 255.
    checkpoint_dir : path, optional
        Keeps the state after every epoch; a killed fit of the same rows and arguments goes on from there.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    backbone_ : keras.Model
        Maps rows divided by ``scale_`` to features.
    projection_ : keras.Model
        Maps features to the vectors of length 1 that were contrasted.
    scale_ : float
    history_ : list of dict
        Means of the ``loss`` and its terms ``contrast`` and ``decay``, an entry an epoch.
    n_features_in_ : int

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual representations",
    ICML 2020; defaults as Van Gansbeke et al. use it for SCAN, ECCV 2020.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1), dtype="uint8")
    >>> backbone = {"name": "convnet", "widths": (4, 8)}
    >>> SimCLR(backbone=backbone, batch_size=20, n_epochs=1, random_state=0).fit(images).transform(images).shape
    (40, 8)
    """

    def __init__(
        self,
        *,
        backbone=None,
        hidden_units=512,
        n_outputs=128,
        temperature=0.1,
        smallest_area=0.2,
        flip=True,
        jitter=1.0,
        noise_std=0.3,
        feature_dropout=0.3,
        learning_rate=0.4,
        momentum=0.9,
        weight_decay=1e-4,
        batch_size=512,
        n_epochs=500,
        scale="rms",
        checkpoint_dir=None,
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.hidden_units = hidden_units
        self.n_outputs = n_outputs
        self.temperature = temperature
        self.smallest_area = smallest_area
        self.flip = flip
        self.jitter = jitter
        self.noise_std = noise_std
        self.feature_dropout = feature_dropout
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
        check_precision()
        check_checkpoint_dir(self.checkpoint_dir)
        check_backbone(self.backbone, none=True)
        counts = {"hidden_units": 1, "n_outputs": 1, "batch_size": 2, "n_epochs": 1}
        check_numbers(self, {name: (Integral, least) for name, least in counts.items()})
        check_numbers(self, dict.fromkeys(("jitter", "noise_std", "weight_decay"), (Real, 0)))
        for name in ("temperature", "learning_rate"):
            check_number(name, getattr(self, name), Real, above=0)
        check_number("smallest_area", self.smallest_area, Real, above=0, maximum=1)
        check_number("feature_dropout", self.feature_dropout, Real, 0, maximum=0.99)
        check_number("momentum", self.momentum, Real, 0, maximum=1)
        check_flag("flip", self.flip)
        check_verbose(self.verbose)
        check_choice("scale", self.scale, ["rms"], none=True)

    def make_network(self, input_shape, seed, n_steps):
        """Return the compiled network that ``fit`` trains for some steps, its optimizer built."""
        images = len(input_shape) > 1
        if images:
            options = {"smallest_area": self.smallest_area, "flip": bool(self.flip), "jitter": self.jitter}
            view = partial(augment.simclr_view, **options)
        else:
            view = partial(augment.vector_view, noise=self.noise_std, dropout=self.feature_dropout)
        usual = "resnet18" if images else "mlp"
        backbone = make_backbone(usual if self.backbone is None else self.backbone, input_shape, seed)
        network = SimCLRNetwork(
            backbone,
            make_projection(backbone.output_shape[-1], int(self.hidden_units), int(self.n_outputs), seed),
            view=view,
            temperature=self.temperature,
            weight_decay=self.weight_decay,
            seed=seed,
        )
        rate = keras.optimizers.schedules.CosineDecay(self.learning_rate, n_steps, alpha=LAST_RATE)
        network.compile(keras.optimizers.SGD(rate, self.momentum), jit_compile=False)
        network.optimizer.build(network.trainable_variables)
        return network

    def fit(self, X, y=None):
        """Learn features from rows alone.

        Parameters
        ----------
        X : images (n, height, width, 1 or 3), or array-like or sparse matrix of shape (n, n_features)
            Images are ``uint8``, or floating in [0, 1].
        y : ignored

        Returns
        -------
        self
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True, images=True)
        seed = seed_of_fit(self)
        self.scale_ = learn_scale(X, self.scale)
        n_steps = self.n_epochs * len(self._batches(X, seed, 0))
        network = self.make_network(X.shape[1:], seed, n_steps)
        with own_folder(self.checkpoint_dir):
            self._train(network, X, seed)
        check_loss(sum(float(np.sum(weights)) for weights in network.get_weights()))  # those of the last step, too
        self.backbone_, self.projection_ = network.backbone, network.projection
        return self

    @property
    def _n_features_out(self):
        """Number of features, which `get_feature_names_out` calls ``simclr0``, ``simclr1`` and so on."""
        return self.backbone_.output_shape[-1]

    def transform(self, X):
        """Return the backbone's features of every row, (n, n_features) float32."""
        return self._features(X)

    def _features(self, X):
        check_is_fitted(self, "backbone_")
        X = check_rows(self, X, reset=False, images=True)
        shape = self.backbone_.input_shape[1:]
        if X.shape[1:] != shape:
            raise ValueError(f"X must have rows of shape {shape}; received {X.shape[1:]}")
        check_image_type(X, self.scale_)
        scaled = keras.layers.Rescaling(1.0 / self.scale_)
        return predict_rows(keras.Sequential([keras.Input(shape), scaled, self.backbone_]), X)

    def project(self, X):
        """Return the vectors of length 1 that were contrasted, (n, n_outputs); SCAN and NNM mine neighbours in them."""
        check_is_fitted(self, "backbone_")
        return predict_rows(self.projection_, self._features(X))

    def save(self, folder):
        """Save to a folder of JSON, ``.npz`` and ``.keras`` files, whole or not at all."""
        check_is_fitted(self, "backbone_")
        description = {
            "class": type(self).__name__,
            "parameters": {name: jsonable(value) for name, value in self.get_params().items()},
            "fitted": {name: getattr(self, name) for name in FITTED},
        }
        names = {"feature_names_in_": self.feature_names_in_.astype(str)} if hasattr(self, "feature_names_in_") else {}
        save_folder(folder, description, names, {"backbone": self.backbone_, "projection": self.projection_})

    @classmethod
    def load(cls, folder):
        """Load what `save` wrote; nothing is unpickled and no code of the folder is run."""
        names = {"fitted": FITTED, "models": ("backbone", "projection")}
        description, arrays, models = load_folder(folder, cls.__name__, **names)
        loaded = restored(cls, description["parameters"], Path(folder) / DESCRIPTION)
        networks = {f"{name}_": model for name, model in models.items()}
        vars(loaded).update(description["fitted"], **arrays, **networks)
        return loaded

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _batches(self, X, seed, epoch):
        return RowBatches(X, batch_size=self.batch_size, seed=(seed, epoch), scale=self.scale_)

    def _train(self, network, X, seed):
        """Train epoch by epoch, on from the last one that a killed fit has finished."""
        state = [*network.variables, *network.optimizer.variables]
        self.history_, identity = [], None
        if self.checkpoint_dir is not None:
            identity = fit_identity(self, seed, network, X=X)
            self.history_ = load_fit(self.checkpoint_dir, identity, state)
        for epoch in range(len(self.history_), self.n_epochs):
            batches = feed_shuffled(self._batches(X, seed, epoch))
            terms = network.fit(batches, epochs=1, shuffle=False, verbose=0).history
            self.history_.append({name: float(values[0]) for name, values in terms.items()})
            check_loss(self.history_[-1]["loss"])
            if identity is not None:
                save_fit(self.checkpoint_dir, identity, self.history_, state)
            if self.verbose:
                report(epoch_line(self.history_, self.n_epochs))
