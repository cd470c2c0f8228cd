"""Images as the pooled features of a pretrained network, computed once and cached."""

import hashlib
import json
import logging
import os
import sys
import time

import numpy as np

from experiments.data_home import DataUnavailable, cache_home, writable_home
from experiments.feature_base import Features, numeric_items
from experiments.raw_files import load_npy
from kingdra_cluster.checks import Integral, check_flag, check_number
from kingdra_cluster.persistence import data_hash, replacing

WEIGHTS_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
SMALLEST = 32  # pixels; the network halves its input five times

logger = logging.getLogger(__name__)


class ResNet50(Features):
    """ImageNet ResNet-50 features: 2048 numbers an image, averaged over positions.

    The published STL-10 and CIFAR-10 experiments of Kingdra cluster such features.  Rows are computed in batches of one
    fixed size, and cached under the hash of the images and of the options.

    Parameters
    ----------
    size : int, default=224
        Height and width that images are resized to (bilinear) before the network sees them; at least 32.
    weights : None or "imagenet", default="imagenet"
        "imagenet": downloaded once by Keras (95 MB).  None: random ones, for tests.
    batch_size : int, default=32
        Images a step.
    seed : int, default=0
        Seed of random weights.
    cache : bool, default=True
        Whether to keep the rows in the cache home, in ``features/``.

    References
    ----------
    He, Zhang, Ren and Sun (2016), Deep Residual Learning for Image Recognition.
    """

    kind = "resnet50"

    def __init__(self, size=224, weights="imagenet", batch_size=32, seed=0, cache=True):
        super().__init__()
        check_number("size", size, Integral, SMALLEST)
        if weights not in (None, "imagenet"):
            raise ValueError(f'weights must be None or "imagenet", received {weights!r}')
        check_number("batch_size", batch_size, Integral, 1)
        check_number("seed", seed, Integral, 0)
        check_flag("cache", cache)
        self.size = size
        self.weights = weights
        self.batch_size = batch_size
        self.seed = seed
        self.cache = cache
        self._model = None

    def fit_transform(self, items):
        """Return the features of images; there is nothing to learn.

        Parameters
        ----------
        items : Bunch or array of shape (n, h, w), (n, h, w, 1) or (n, h, w, 3)
            Images with values 0 to 255, grey or red, green, blue.

        Returns
        -------
        X : ndarray of shape (n, 2048), float32
            Memory-mapped and read-only if it was cached.

        Raises
        ------
        DataUnavailable
            If the weights are neither cached nor obtainable.
        ValueError
            If the items are not images.
        """
        self.state = {"n_features": 2048}
        return self.transform(items)

    def transform(self, items):
        """Return the features of images, as `fit_transform` does."""
        self._check_fitted()
        images = image_items(items, self.kind)
        path = self._cache_path(images)
        if path is None:
            X = np.empty((len(images), 2048), dtype=np.float32)
            self._compute(images, X)
            return X
        if not path.is_file():
            with replacing(path) as temporary:
                shape = (len(images), 2048)
                X = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
                self._compute(images, X)
                X.flush()
                del X  # so that the file can be renamed on Windows
        return load_npy(path)

    def _cache_path(self, images):
        """File of these images' features, or None when they are not to be cached or cannot be."""
        if not self.cache:
            return None
        options = {name: value for name, value in self.get_options().items() if name not in ("batch_size", "cache")}
        key = json.dumps([self.kind, options, data_hash(images)], sort_keys=True)
        folder = cache_home() / "features"
        if writable_home(folder) != folder:
            logger.warning("%s cannot be written: features are not cached", folder)
            return None
        return folder / f"{self.kind}_{hashlib.sha256(key.encode()).hexdigest()[:20]}.npy"

    def _compute(self, images, X):
        """Fill X batch by batch; the last batch is padded, so that all have one shape and one compiled step."""
        model = self._model = self._model or build_resnet50(self.size, self.weights, self.seed)
        progress = Progress(self.kind, len(images))
        for start in range(0, len(images), self.batch_size):
            batch = np.asarray(images[start : start + self.batch_size])
            n = len(batch)
            if n < self.batch_size:
                batch = np.concatenate([batch, np.zeros((self.batch_size - n, *batch.shape[1:]), batch.dtype)])
            X[start : start + n] = np.asarray(model.predict_on_batch(prepare(batch, self.size)))[:n]
            progress.update(start + n)


class Progress:
    """A line on standard error: rows done and time left.  Only a terminal sees it grow.

    Parameters
    ----------
    label : str
        What is computed.
    total : int
        Rows to come.
    """

    def __init__(self, label, total):
        self.label, self.total, self.start, self.shown = label, total, time.monotonic(), 0.0

    def update(self, done):
        """Show that `done` rows are finished."""
        elapsed = time.monotonic() - self.start
        last = done >= self.total
        if last or (sys.stderr.isatty() and elapsed - self.shown > 0.5):
            self.shown = elapsed
            bar = "#" * (20 * done // self.total)
            left = elapsed / done * (self.total - done)
            ending = f"{elapsed:.0f} s\n" if last else f"{left:.0f} s left "
            print(f"\r{self.label} [{bar:20s}] {done} of {self.total}, {ending}", end="", file=sys.stderr, flush=True)


def image_items(items, kind):
    """The images in `items`, checked.

    Returns
    -------
    images : ndarray of shape (n, h, w) or (n, h, w, c)
    """
    images = numeric_items(items, kind)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3)) or not len(images):
        raise ValueError(f"features of kind {kind!r} need images (n, h, w[, 1 or 3]), received {images.shape}")
    if images.dtype.kind == "f" and np.max(images[: min(len(images), 1000)]) <= 1:
        raise ValueError(f"features of kind {kind!r} need values 0 to 255, received a maximum of at most 1")
    return images


def prepare(batch, size):
    """Resize images and subtract ImageNet's mean colour, in the order that the weights expect.

    Parameters
    ----------
    batch : array or tensor of shape (n, h, w) or (n, h, w, c)
        Values 0 to 255; one channel is repeated.
    size : int
        Height and width in pixels.

    Returns
    -------
    inputs : tensor of shape (n, size, size, 3), float32
    """
    import keras

    batch = batch[..., None] if batch.ndim == 3 else batch
    images = keras.ops.cast(batch, "float32")
    images = keras.ops.image.resize(images, (size, size), interpolation="bilinear", data_format="channels_last")
    images = keras.ops.repeat(images, 3 // images.shape[3], axis=3)
    return keras.applications.resnet.preprocess_input(images, data_format="channels_last")


def build_resnet50(size, weights="imagenet", seed=0):
    """ResNet-50 without its classifier, averaged over positions.

    Parameters
    ----------
    size : int
        Height and width of the inputs, in pixels.
    weights : None or "imagenet", default="imagenet"
        Random or pretrained.
    seed : int, default=0
        Seed of random weights.

    Returns
    -------
    model : keras.Model
        (n, size, size, 3) to (n, 2048).

    Raises
    ------
    DataUnavailable
        If the pretrained weights are neither cached nor obtainable.
    """
    import keras

    options = {"include_top": False, "pooling": "avg", "input_shape": (size, size, 3)}
    if weights is None:
        model = keras.applications.ResNet50(weights=None, **options)
        _randomize(model, seed)
        return model
    try:
        return keras.applications.ResNet50(weights=weights, **options)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        folder = os.environ.get("KERAS_HOME", "~/.keras")
        remedy = f"Put {WEIGHTS_FILE} (of keras-applications) into {folder}/models, "
        remedy += "or cluster small grey pixels instead, without any download: run_exp.py cluster --images DIR --pixels"
        raise DataUnavailable(f"the ImageNet weights of ResNet-50 could not be loaded: {error}", remedy) from error


def _randomize(model, seed):
    """LeCun-normal kernels from one generator: Keras' own initial weights depend on a global seed."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            fan_in = int(np.prod(variable.shape[:-1]))
            variable.assign(generator.standard_normal(variable.shape, dtype=np.float32) * np.sqrt(1 / fan_in))
