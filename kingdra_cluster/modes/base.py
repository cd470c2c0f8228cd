"""What every clustering mode shares; a new mode is one file with a subclass that fills four hooks."""

from pathlib import Path

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils.validation import check_is_fitted

from kingdra_cluster.batches import RowBatches, chunks, dense_rows, feed, root_mean_square
from kingdra_cluster.checks import check_checkpoint_dir
from kingdra_cluster.forward import forward, rows_at_once, set_weights
from kingdra_cluster.saving import DESCRIPTION, jsonable, load_folder, restored, save_folder
from kingdra_cluster.validation import Integral, check_choice, check_number, check_rows, check_verbose

PREDICT_ROWS = 256
LARGEST_SEED = np.iinfo(np.int32).max


def learn_scale(X, scale):
    """Return the constant that divides X.

    Of vectors the root mean square for ``"rms"``, 1 for ``None``; of images 255 if they are ``uint8``, else 1, and then
    they must lie between 0 and 1.
    """
    if X.ndim > 2:
        if X.dtype == np.uint8:
            return 255.0
        low, high = _extremes(X)
        if low < 0 or high > 1:
            found = f"{X.dtype} from {low:g} to {high:g}"
            raise ValueError(f"X must be uint8 or lie between 0 and 1 where it holds images; received {found}")
        return 1.0
    if scale is None:
        return 1.0
    return root_mean_square(X)


def check_image_type(X, scale):
    """Raise ``ValueError`` if X holds images of another type or range than those from which ``scale`` was learnt."""
    if X.ndim == 2:
        return
    if scale == 1:
        if X.dtype == np.uint8:
            raise ValueError("X must lie between 0 and 1, as the images of the fit did; received uint8")
        low, high = _extremes(X)
        if low < 0 or high > 1:
            found = f"{X.dtype} from {low:g} to {high:g}"
            raise ValueError(f"X must lie between 0 and 1, as the images of the fit did; received {found}")
    elif X.dtype.kind == "f":
        low, high = _extremes(X)
        fractions = high <= 1 and any(np.any(X[rows] % 1) for rows in chunks(X.shape[0]))
        if low < 0 or high > 255 or fractions:
            found = f"{X.dtype} from {low:g} to {high:g}"
            raise ValueError(
                f"X must be uint8 or lie between 0 and 255, as the images of the fit did; received {found}"
            )


def _extremes(X):
    """Return the least and the largest entry of X, whose memory-mapped rows are read once, in blocks."""
    found = [(X[rows].min(), X[rows].max()) for rows in chunks(X.shape[0])]
    return float(min(low for low, _ in found)), float(max(high for _, high in found))


def predict_rows(classifier, X, scale=1.0):
    """Return the class probabilities of every row; a row's answer never depends on its company.

    Parameters
    ----------
    classifier : keras.Model
        Maps (rows, n_features) to (rows, n_clusters), or to what else is asked of every row.
    X : array or CSR matrix of shape (n, n_features)
    scale : float, default=1.0
        Divides X, for a network that does not do so itself.

    Returns
    -------
    float32 array of shape (n, n_clusters)
    """
    answers, answer, size = None, forward(classifier, X.shape[1:]), rows_at_once(X.shape[1:], PREDICT_ROWS)
    for rows in chunks(X.shape[0], size):
        block = dense_rows(X, rows, scale)
        missing = size - len(block)  # one shape for all blocks: one rounding for all rows
        padded = np.pad(block, [(0, missing)] + [(0, 0)] * (block.ndim - 1))
        found = keras.ops.convert_to_numpy(answer(padded))[: len(block)]
        if answers is None:  # one array from the start: joining blocks at the end would need the memory twice
            answers = np.empty((X.shape[0], *found.shape[1:]), dtype=found.dtype)
        answers[rows] = found
    return answers


def hidden_network(classifier):
    """Return the network from raw rows to what a classifier's last dense layer reads; None if it has no such layer."""
    places = [place for place, layer in enumerate(classifier.layers) if isinstance(layer, keras.layers.Dense)]
    return keras.Model(classifier.inputs[0], classifier.layers[places[-1]].input) if places else None


def trained_probabilities(classifier, X):
    """Return `predict_rows` of a classifier that was just trained; raise ``FloatingPointError`` if it is none."""
    probabilities = predict_rows(classifier, X)
    if not np.isfinite(probabilities).all():
        raise FloatingPointError(
            "training diverged: its last step left weights that are no numbers; a smaller learning_rate or another "
            "scale of X may help"
        )
    return probabilities


def check_precision():
    """Raise ``ValueError`` if Keras is set to make layers of another type than float32, which are not foreseen here."""
    policy = keras.config.dtype_policy().name
    if (policy, keras.config.floatx()) != ("float32", "float32"):
        raise ValueError(
            "the networks of this package need Keras' dtype policy and floatx to be 'float32'; they are "
            f"{policy!r} and {keras.config.floatx()!r}: keras.config.set_dtype_policy('float32') and "
            "keras.config.set_floatx('float32') set them (LadderIM has a matmul_precision of its own)"
        )


def clusterer_tags(tags, n_clusters):
    """Return an estimator's tags with what scikit-learn asks of a clusterer of CSR rows that has probabilities.

    Its check of sparse input reads the classifier's tags wherever there is a ``predict_proba`` (and expects
    the four classes of its own data, so that the checks want an estimator of 4 or 2 clusters).
    """
    tags.input_tags.sparse = True
    tags.classifier_tags = ClassifierTags(multi_class=n_clusters != 2)
    return tags


def check_loss(loss):
    """Raise ``FloatingPointError`` if a training ended with a loss that is no number."""
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"training diverged: the loss is {loss}; a smaller learning_rate or another scale of X may help"
        )


class ClusteringMode(ClusterMixin, BaseEstimator):
    """Base class of the modes: an estimator by itself and the members' training inside `KingdraCluster`.

    A subclass stores its hyper-parameters, among them ``n_clusters``, ``n_epochs``, ``batch_size``, ``scale``,
    ``random_state`` and ``verbose``, and defines `check_parameters`, `make_network`, `make_classifier` and `freeze`.
    """

    saved_arrays = ("labels_", "probabilities_")
    saved_values = ("scale_", "n_features_in_", "history_")
    takes_images = False

    def check_parameters(self):
        """Raise on the first hyper-parameter that is out of range."""
        check_precision()
        check_number("n_clusters", self.n_clusters, Integral, 1)
        check_number("n_epochs", self.n_epochs, Integral, 1)
        check_number("batch_size", self.batch_size, Integral, 2)
        check_verbose(self.verbose)
        check_checkpoint_dir(getattr(self, "checkpoint_dir", None))
        check_choice("scale", self.scale, ["rms"], none=True)

    def make_network(self, input_shape, seed):
        """Return the compiled network that ``fit`` trains, its optimizer built."""
        raise NotImplementedError

    def make_classifier(self, input_shape, scale):
        """Return the plain classifier, made of Keras' own layers: raw rows in, probabilities out."""
        raise NotImplementedError

    def freeze(self, network, X, scale):
        """Return the weights of the plain classifier (list of arrays) that a trained network amounts to."""
        raise NotImplementedError

    def make_batches(self, X, *, seed, scale, labelled=None):
        """Return the batches of one training: see `RowBatches`."""
        return RowBatches(X, batch_size=self.batch_size, seed=seed, scale=scale, labelled=labelled)

    def fit(self, X, y=None):
        """Learn clusters from rows alone.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
        y : ignored

        Returns
        -------
        self
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True)
        seed = check_random_state(self.random_state).randint(LARGEST_SEED)
        self.scale_ = learn_scale(X, self.scale)
        network = self.make_network(X.shape[1:], seed)
        batches = self.make_batches(X, seed=(seed, 0), scale=self.scale_)
        history = network.fit(feed(batches), epochs=self.n_epochs, shuffle=False, verbose=2 * bool(self.verbose))
        check_loss(history.history["loss"][-1])
        self.history_ = [
            dict(zip(history.history, values, strict=True)) for values in zip(*history.history.values(), strict=True)
        ]
        self.classifier_ = self.make_classifier(X.shape[1:], self.scale_)
        set_weights(self.classifier_, self.freeze(network, X, self.scale_))
        self._label(X)
        return self

    def _label(self, X):
        """Label the training rows; a training that diverged leaves no classifier."""
        try:
            self.probabilities_ = trained_probabilities(self.classifier_, X)
        except FloatingPointError:
            del self.classifier_
            raise
        self.labels_ = self.probabilities_.argmax(axis=1)

    def predict_proba(self, X):
        """Return the probability of every cluster for every row, shape (n, n_clusters)."""
        check_is_fitted(self, "classifier_")
        X = check_rows(self, X, reset=False, images=self.takes_images)
        if X.shape[1:] != self.classifier_.input_shape[1:]:
            raise ValueError(f"X must have rows of shape {self.classifier_.input_shape[1:]}; received {X.shape[1:]}")
        check_image_type(X, self.scale_)
        return predict_rows(self.classifier_, X)

    def predict(self, X):
        """Return the most probable cluster of every row, shape (n,)."""
        return self.predict_proba(X).argmax(axis=1)

    def save(self, folder):
        """Save to a folder of JSON, ``.npz`` and ``.keras`` files, whole or not at all."""
        check_is_fitted(self, "classifier_")
        description = {
            "class": type(self).__name__,
            "parameters": {name: jsonable(value) for name, value in self.get_params().items()},
            "fitted": {name: getattr(self, name) for name in self.saved_values},
        }
        arrays = {name: getattr(self, name) for name in self.saved_arrays}
        if hasattr(self, "feature_names_in_"):
            arrays["feature_names_in_"] = self.feature_names_in_.astype(str)
        save_folder(folder, description, arrays, {"classifier": self.classifier_})

    @classmethod
    def load(cls, folder):
        """Load what `save` wrote; nothing is unpickled and no code of the folder is run."""
        names = {"arrays": cls.saved_arrays, "fitted": cls.saved_values, "models": ("classifier",)}
        description, arrays, models = load_folder(folder, cls.__name__, **names)
        loaded = restored(cls, description["parameters"], Path(folder) / DESCRIPTION)
        vars(loaded).update(description["fitted"], **arrays, classifier_=models["classifier"])
        return loaded

    def __sklearn_tags__(self):
        return clusterer_tags(super().__sklearn_tags__(), self.n_clusters)
