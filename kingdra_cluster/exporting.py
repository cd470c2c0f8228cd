"""A fitted ensemble as one model of plain operations, for places where this package is not installed."""

from pathlib import Path

import keras
import numpy as np

from kingdra_cluster.spaces import as_slices
from kingdra_cluster.validation import check_choice

FORMATS = {"savedmodel": "tf_saved_model", "onnx": "onnx"}


def averaged_model(members, mappings, spaces, n_features, front=None):
    """One Keras model of all members: scaling, networks, common names and mean probabilities.

    Parameters
    ----------
    members : sequence of keras.Model
        Plain classifiers; each divides its rows by its own scale.
    mappings : array of shape (n_members, n_clusters)
        Common name of every member's clusters.
    spaces : list of slice or None
        Columns that the members see in turn.
    n_features : int
    front : keras.Model, optional
        Makes rows of shape (n, n_features) of raw items, inside the exported model.

    Returns
    -------
    keras.Model
        Rows, or raw items, to probabilities of shape (n, n_clusters).
    """
    start = keras.Input((n_features,), name="rows") if front is None else front.input
    rows = start if front is None else front.output
    if tuple(rows.shape[1:]) != (n_features,):
        raise ValueError(f"front must end in rows of {n_features} columns; received the shape {tuple(rows.shape)}")
    slices, outputs = as_slices(spaces), []
    for index, (member, mapping) in enumerate(zip(members, mappings, strict=True)):
        seen = rows if slices is None else rows[:, slices[index % len(slices)]]
        outputs.append(keras.ops.take(member(seen), np.argsort(mapping), axis=1))
    mean = sum(outputs[1:], outputs[0]) / len(outputs)
    return keras.Model(start, keras.layers.Identity(name="probabilities")(mean))


def export_model(model, path, format):
    """Write a model in a format that needs neither this package nor, for ONNX, TensorFlow.

    Parameters
    ----------
    model : keras.Model
    path : path
        Folder of a SavedModel, or an ``.onnx`` file; it must not exist yet.
    format : {"savedmodel", "onnx"}

    Raises
    ------
    FileExistsError
        If there is something at ``path``.
    ImportError
        If the format is ONNX and ``tf2onnx`` and ``onnx`` are not installed.
    """
    check_choice("format", format, FORMATS)
    if Path(path).exists():
        raise FileExistsError(f"path must not exist yet; received {str(path)!r}")
    if format == "onnx":
        _check_onnx()
        model(np.zeros((1, *model.input_shape[1:]), dtype="float32"))  # Keras exports what has been called once
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    model.export(str(path), format=FORMATS[format], verbose=False)


def _check_onnx():
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError('format="onnx" needs two more packages: pip install onnx tf2onnx') from error
