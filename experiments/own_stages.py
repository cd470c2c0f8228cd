"""Stages of an experiment that the library has no estimator for: k-means, labels of a file, imported checkpoints."""

import csv

import keras
import numpy as np
from sklearn.base import BaseEstimator

from experiments.baselines import kmeans_labels
from experiments.raw_files import load_npy
from kingdra_cluster.backbones.checkpoint_import import import_checkpoint
from kingdra_cluster.batches import chunks, dense_rows
from kingdra_cluster.modes.base import ClusteringMode, learn_scale, predict_rows
from kingdra_cluster.saving import jsonable, load_folder, save_folder
from kingdra_cluster.validation import Integral, Real, check_number, check_rows

FEATURE_ROWS = 256


class _Clustering(ClusteringMode):
    """What needs no training: no epochs, no batches, no scale."""

    takes_images = True
    scale = None

    def check_parameters(self):
        """Raise on the first argument that is out of range."""
        check_number("n_clusters", self.n_clusters, Integral, 1)

    def _conclude(self, X):
        self.history_ = []
        self.probabilities_ = predict_rows(self.classifier_, X)
        self.labels_ = self.probabilities_.argmax(axis=1)
        return self


class KMeansClustering(_Clustering):
    """k-means, the best of 10 starts, as a classifier: the mixture of equal spherical Gaussians that it stands for.

    Parameters
    ----------
    n_clusters : int, default=10
    random_state : int, default=None
    """

    def __init__(self, n_clusters=10, *, random_state=None):
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X, y=None):
        """Cluster rows, dense or CSR, or images."""
        X = check_rows(self, X, reset=True, images=True)
        self.scale_ = 1.0
        labels = kmeans_labels(X, self.n_clusters, self.random_state)
        centres, spread = np.zeros((self.n_clusters, int(np.prod(X.shape[1:])))), 0.0
        for k in np.unique(labels):
            rows = dense_rows(X, labels == k).reshape(np.sum(labels == k), -1).astype(np.float64)
            centres[k] = rows.mean(axis=0)
            spread += np.square(rows - centres[k]).sum()
        precision = 1.0 / max(spread / np.prod(X.shape), np.finfo(np.float32).tiny)
        bias = -0.5 * precision * np.square(centres).sum(axis=1)
        bias[np.bincount(labels, minlength=self.n_clusters) == 0] = -1e30  # of repeated rows there may be too few
        last = keras.layers.Dense(self.n_clusters, "softmax" if self.n_clusters > 1 else "sparsemax")
        self.classifier_ = keras.Sequential([keras.Input(X.shape[1:]), keras.layers.Flatten(), last])
        last.set_weights([centres.T * precision, bias])
        return self._conclude(X)


class LabelsOfAFile(_Clustering):
    """Labels or probabilities made elsewhere: a ``.npy`` file, or a ``.csv`` with a column ``label``.

    Parameters
    ----------
    n_clusters : int, default=10
    path : path-like
        Such as the ``labels.csv`` of an earlier run; a line for each row, in the rows' order.
    """

    def __init__(self, n_clusters=10, *, path):
        self.n_clusters, self.path = n_clusters, path

    def fit(self, X, y=None):
        """Read the labels of the rows of X."""
        from kingdra_cluster.modes.ruc_start import starting_point

        self.history_ = []
        answers = load_npy(self.path, mmap=False) if str(self.path).endswith(".npy") else _label_column(self.path)
        try:
            self.probabilities_ = starting_point(X, answers, self.n_clusters, seed=0)
        except ValueError as error:
            raise ValueError(f"{self.path} does not fit the data: {error}") from error
        self.labels_ = self.probabilities_.argmax(axis=1)
        return self

    def save(self, folder):
        """Save nothing: the file is there."""


class ImportedClustering(_Clustering):
    """The clustering of a published checkpoint (SCAN, NNM, RUC): one of its heads on its backbone.

    Parameters
    ----------
    n_clusters : int, default=10
    path : path-like
        A ``.pth.tar`` file.
    stem, key :
        See `import_checkpoint`.
    head : int or None, default=None
        Which head; None takes the one that the file calls the best, or else the first.
    mean, std : list of float or None, default=None
        Of the colours by which the checkpoint's images were normalised, for values from 0 to 1.
    """

    def __init__(self, n_clusters=10, *, path, stem="cifar", key=None, head=None, mean=None, std=None):
        self.n_clusters, self.path, self.stem, self.key, self.head = n_clusters, path, stem, key, head
        self.mean, self.std = mean, std

    def fit(self, X, y=None):
        """Let the checkpoint label images (n, height, width, 3)."""
        X = check_rows(self, X, reset=True, images=True)
        self.scale_ = learn_scale(X, None)
        found = import_checkpoint(self.path, input_shape=X.shape[1:], stem=self.stem, key=self.key)
        head = found.info.get("head", 0) if self.head is None else self.head
        if head is None or not 0 <= head < len(found.cluster_heads):
            raise ValueError(f"head must be one of the {len(found.cluster_heads)} of {self.path}; got {head!r}")
        weights = found.cluster_heads[head].get_weights()
        if weights[1].size != self.n_clusters:
            raise ValueError(f"n_clusters must be {weights[1].size}, as in {self.path}; got {self.n_clusters}")
        last = keras.layers.Dense(self.n_clusters, "softmax")
        scale = keras.layers.Rescaling(1.0 / self.scale_, name="scale")
        layers = [keras.Input(X.shape[1:]), scale, _normalised(found.backbone, self.mean, self.std), last]
        self.classifier_ = keras.Sequential(layers)
        last.set_weights(weights)
        return self._conclude(X)


class ImportedFeatures(BaseEstimator):
    """The network of a published checkpoint as a pretext: its projection's output, or its backbone's.

    Parameters
    ----------
    path, stem, key, mean, std :
        See `ImportedClustering`.
    """

    def __init__(self, *, path, stem="cifar", key=None, mean=None, std=None):
        self.path, self.stem, self.key, self.mean, self.std = path, stem, key, mean, std

    def fit(self, X, y=None):
        """Read the file; of X only the shape and the type count."""
        self.scale_ = learn_scale(X, None)
        found = import_checkpoint(self.path, input_shape=X.shape[1:], stem=self.stem, key=self.key)
        self.backbone_ = _normalised(found.backbone, self.mean, self.std)
        self.projection_ = found.projection
        return self

    def transform(self, X):
        """Return the features of images, (n, n_features)."""
        parts = []
        for rows in chunks(X.shape[0], FEATURE_ROWS):
            features = self.backbone_(dense_rows(X, rows, self.scale_), training=False)
            if self.projection_ is not None:
                features = self.projection_(features, training=False)
            parts.append(keras.ops.convert_to_numpy(features))
        return np.concatenate(parts)

    def save(self, folder):
        """Save to a folder that holds the networks themselves."""
        models = {"backbone": self.backbone_}
        if self.projection_ is not None:
            models["projection"] = self.projection_
        parameters = {name: jsonable(value) for name, value in self.get_params().items()}
        fitted = {"scale_": self.scale_}
        save_folder(folder, {"class": type(self).__name__, "parameters": parameters, "fitted": fitted}, {}, models)

    @classmethod
    def load(cls, folder):
        """Load what `save` wrote."""
        description, _, models = load_folder(folder, cls.__name__)
        loaded = cls(**description["parameters"])
        vars(loaded).update(description["fitted"], backbone_=models["backbone"], projection_=models.get("projection"))
        return loaded


def imported_backbone(input_shape, *, path, stem="cifar", key=None, mean=None, std=None):
    """Backbone of a published checkpoint; its arguments are those of `ImportedClustering`."""
    return _normalised(import_checkpoint(path, input_shape=input_shape, stem=stem, key=key).backbone, mean, std)


def _normalised(backbone, mean, std):
    """Return the backbone behind a layer that normalises colours."""
    if mean is None and std is None:
        return backbone
    for name, values in (("mean", mean), ("std", std)):
        if not isinstance(values, list | tuple) or len(values) != backbone.input_shape[-1]:
            raise ValueError(f"{name} must be a list of {backbone.input_shape[-1]} numbers; got {values!r}")
        for value in values:
            check_number(name, value, Real, above=0, of=values)
    images = keras.Input(backbone.input_shape[1:])
    normalise = keras.layers.Normalization(mean=list(mean), variance=[value**2 for value in std])
    return keras.Model(images, backbone(normalise(images)))


def _label_column(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if "label" not in (reader.fieldnames or ()):
            raise ValueError(f"{path} must have a column 'label'; it has {reader.fieldnames}")
        try:
            return np.array([int(line["label"]) for line in reader])
        except ValueError as error:
            raise ValueError(f"{path} must have whole numbers in its column 'label': {error}") from error


__all__ = ["ImportedClustering", "ImportedFeatures", "KMeansClustering", "LabelsOfAFile", "imported_backbone"]
