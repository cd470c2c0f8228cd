"""``run_exp.py export``: a finished seed as one model that runs without this package, from items to probabilities."""

from pathlib import Path

import numpy as np

from experiments.predict import check_folder
from experiments.pretrained import build_resnet50, prepare
from experiments.stage_config import is_kingdra
from kingdra_cluster.persistence import read_json


def export(folder, out, form="savedmodel"):
    """Export the model of a seed with its feature step in front.

    Parameters
    ----------
    folder : path-like
        Folder of a finished seed.
    out : path-like
        New folder, or new ``.onnx`` file.
    form : {"savedmodel", "onnx"}

    Raises
    ------
    FileNotFoundError
        If there is no finished seed.
    ValueError
        If the features cannot be part of such a model.
    """
    from experiments.features import load_features
    from kingdra_cluster import KingdraCluster

    config = read_json(Path(folder) / "config.json") if (Path(folder) / "config.json").is_file() else {}
    if {"pretext", "refine"} & config.keys() or not is_kingdra(config.get("cluster", {})):
        raise ValueError("only a run of Kingdra alone can be exported: one without other stages.")
    check_folder(folder)
    features = load_features(Path(folder) / "features")
    item_shape = read_json(Path(folder) / "manifest.json")["data"]["item_shape"]
    if features.kind == "tfidf" and form == "onnx":
        raise ValueError("texts cannot be part of an ONNX file: give --format savedmodel.")
    front = make_front(features, item_shape)
    KingdraCluster.load(Path(folder) / "model").export(out, form, front=front)


def make_front(features, item_shape):
    """Feature step as a Keras model.

    Parameters
    ----------
    features : experiments.features.Features
        Fitted.
    item_shape : sequence of int
        Shape of one item; texts have none.

    Returns
    -------
    keras.Model
        Items to rows.  Texts are strings of shape (n,).
    """
    import keras

    if features.kind == "tfidf":
        return _tfidf(features)
    items = keras.Input(tuple(item_shape), name="items")
    if features.kind == "resnet50":
        network = build_resnet50(features.size, features.weights, features.seed)
        return keras.Model(items, network(prepare(items, features.size)))
    rows = keras.layers.Flatten()(items) if len(item_shape) > 1 else items
    if getattr(features, "divide_by", None) is not None:
        rows = rows / float(features.divide_by)
    if features.kind == "standardize":
        mean, scale = features.arrays["mean"], features.arrays["scale"]
        rows = keras.layers.Normalization(mean=mean, variance=scale**2)(rows)
    return keras.Model(items, keras.layers.Identity()(rows))


def _tfidf(features):
    """Words as scikit-learn's vectoriser finds them, two letters, digits or underscores at least; counted and weighted.

    Words that are not in the vocabulary, stop words among them, fall into the first column of the counts.
    """
    import keras
    import tensorflow as tf

    counter = keras.layers.TextVectorization(
        standardize=lambda texts: tf.strings.regex_replace(tf.strings.lower(texts, "utf-8"), r"[^\pL\pN_]+", " "),
        split="whitespace",
        output_mode="count",
        vocabulary=features.state["vocabulary"],
    )
    texts = keras.Input((), dtype="string", name="texts")
    rows = keras.ops.cast(counter(texts)[:, 1:], "float32")
    if features.sublinear_tf:
        rows = keras.ops.where(rows > 0, 1 + keras.ops.log(keras.ops.maximum(rows, 1.0)), 0.0)
    rows = rows * features.arrays["idf"].astype(np.float32)
    rows = rows / keras.ops.sqrt(keras.ops.maximum(keras.ops.sum(rows * rows, axis=1, keepdims=True), 1e-30))
    if features.scale == "sqrt":
        rows = rows * float(np.sqrt(rows.shape[1]))
    return keras.Model(texts, keras.layers.Identity()(rows))
