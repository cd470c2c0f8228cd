"""A pretext that learns nothing, with the attributes of one that does, in milliseconds."""

import numpy as np
from sklearn.base import BaseEstimator

from kingdra_cluster.backbones import make_backbone
from kingdra_cluster.modes.base import learn_scale
from kingdra_cluster.saving import load_folder, save_folder


class TinyPretext(BaseEstimator):
    """A random layer."""

    def __init__(self, n_features=6, *, checkpoint_dir=None, random_state=None, verbose=0):
        self.n_features, self.checkpoint_dir = n_features, checkpoint_dir
        self.random_state, self.verbose = random_state, verbose

    def fit(self, X, y=None):
        """Draw the layer."""
        self.scale_ = float(learn_scale(X, "rms"))
        layers = {"name": "mlp", "hidden_units": (self.n_features,)}
        self.backbone_ = make_backbone(layers, X.shape[1:], self.random_state)
        self.history_ = [{"loss": 1.0}]
        return self

    def transform(self, X):
        """Return features (n, n_features)."""
        return np.asarray(self.backbone_(np.asarray(X, "float32") / self.scale_, training=False))

    def save(self, folder):
        """Save to a folder."""
        parameters = {"n_features": self.n_features}
        description = {"class": "TinyPretext", "parameters": parameters, "fitted": {"scale_": self.scale_}}
        save_folder(folder, description, {}, {"backbone": self.backbone_})

    @classmethod
    def load(cls, folder):
        """Load what `save` wrote."""
        description, _, models = load_folder(folder, cls.__name__)
        loaded = cls(**description["parameters"])
        vars(loaded).update(description["fitted"], backbone_=models["backbone"], history_=[{"loss": 1.0}])
        return loaded
