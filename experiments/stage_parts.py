"""What a section of a configuration says in words, as estimators take it: backbones, classifiers, files."""

import importlib.util

import keras

from experiments.own_data import find
from kingdra_cluster.backbones import BACKBONES
from kingdra_cluster.checks import check_choice

STAND_IN = "mlp"  # for a network that is not there yet, when a configuration is checked
UNSEARCHED = object()  # a data home whose files need not be there, nor what reads them


def network_of(classifier):
    """The part of a classifier between the scaling of its input and its last layer, as a backbone."""
    first, *middle, _ = classifier.layers
    if not isinstance(first, keras.layers.Rescaling) or not middle:
        raise ValueError("backbone is 'cluster', but the clustering's classifier is no network behind a scaling.")
    if len(middle) == 1 and isinstance(middle[0], keras.Model):
        return middle[0]
    return keras.Sequential([keras.Input(classifier.input_shape[1:]), *middle])


def backbone_of(backbone, fitted, input_shape, data_home, where):
    """A backbone of a section as estimators take it; before anything is fitted, one that stands for another stage's."""
    name = backbone.get("name") if isinstance(backbone, dict) else backbone
    if name in ("pretext", "cluster"):
        if fitted is None:
            return STAND_IN
        return fitted["pretext"].backbone_ if name == "pretext" else network_of(fitted["cluster"].classifier_)
    if name == "checkpoint":
        from experiments.own_stages import imported_backbone

        options = {key: value for key, value in backbone.items() if key != "name"}
        locate(options, data_home, f"{where}.backbone", torch=True)
        return STAND_IN if fitted is None else imported_backbone(input_shape, **options)
    if name is not None:
        check_choice("backbone", name, BACKBONES)
    return backbone


def classifier_of(n_clusters, fitted):
    """The clustering's network, or one of its kind for checking."""
    if fitted is not None:
        return fitted["cluster"].classifier_
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(n_clusters, "softmax")])


def locate(options, data_home, where, torch=False):
    """Replace the path of a file by the place where it is, and look for what reads it."""
    if "path" in options and data_home is not UNSEARCHED:
        options["path"] = str(find(options["path"], data_home, option=f"{where}.path"))
        if torch and importlib.util.find_spec("torch") is None:
            raise ImportError("PyTorch is needed to read its checkpoints: pip install torch")
