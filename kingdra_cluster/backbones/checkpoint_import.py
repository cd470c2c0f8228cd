"""Networks of PyTorch checkpoints in the layout of the published SimCLR, SCAN, NNM and RUC model zoos."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kingdra_cluster.backbones.resnet18 import resnet18

_HEAD = re.compile(r"(contrastive_head|cluster_head)(?:\.(\d+))?\.(weight|bias)")
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras' batch normalisation
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class ImportedCheckpoint:
    """The networks of one checkpoint.

    Attributes
    ----------
    backbone : keras.Model
        Maps normalised images, channels last, to features (batch, 512).
    projection : keras.Model or None
        SimCLR's head: maps features to vectors of length 1.
    cluster_heads : tuple of keras.Model
        Each maps features to logits (batch, n_clusters); none in a SimCLR checkpoint.
    info : dict
        Numbers and strings that were saved beside the networks, such as an epoch or the index of the best head.
    """

    backbone: keras.Model
    projection: keras.Model | None
    cluster_heads: tuple
    info: dict = field(default_factory=dict)


def import_checkpoint(path, *, input_shape=(32, 32, 3), stem="cifar", key=None):
    """Read a ``.pth.tar`` file; needs PyTorch (the extra ``torch``).

    Parameters
    ----------
    path : path
        Written by ``torch.save``, in its new or its old format; no code of the file is run.
    input_shape : tuple of three int, default=(32, 32, 3)
        Height, width and channels of the images, which no tensor tells.
    stem : {"cifar", "stl"}, default="cifar"
        See `resnet18`; no tensor tells it either.
    key : str or None, default=None
        Which of several networks in the file to take, such as "net1"; None: the only one.

    Returns
    -------
    ImportedCheckpoint

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no checkpoint of tensors, or a tensor is missing, has another shape or belongs to another
        architecture; the message names it.
    """
    arrays, info = read_state_dict(path, key=key)
    return from_state_dict(arrays, input_shape=input_shape, stem=stem, info=info)


def read_state_dict(path, *, key=None):
    """Read the tensors of a checkpoint: see `import_checkpoint`.

    Returns
    -------
    arrays : dict of str to array
        The network's state dict, without the prefix ``module.`` of a parallel wrapper.
    info : dict
        Numbers and strings beside it.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("PyTorch is needed to read its checkpoints: pip install torch") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a checkpoint file; there is none at {str(path)!r}")
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, PyTorch's and its unpickler's
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {foreign[1]}, which is no tensor" if foreign else "PyTorch cannot read it"
        raise ValueError(
            f"path must be a checkpoint of tensors and numbers; {str(path)!r} is none: {reason}"
        ) from error
    return unwrap(_as_arrays(loaded, torch.Tensor), key=key)


def _numpy_scalars():
    """Return what PyTorch may build beside tensors: NumPy's numbers, which scripts save as a best loss or accuracy."""
    build = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # of NumPy 1 and 2
    types = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    return [*((build, name) for name in names), np.dtype, *(type(np.dtype(kind)) for kind in types)]


def _as_arrays(value, tensor_type):
    """Return nested mappings with arrays for tensors, and plain numbers and strings; the rest is left out."""
    if isinstance(value, tensor_type):
        return value.detach().float().numpy() if value.is_floating_point() else value.numpy()
    if isinstance(value, Mapping):
        return {name: _as_arrays(entry, tensor_type) for name, entry in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, float, str)) else None


def unwrap(loaded, *, key=None):
    """Find the network's state dict among what a training script saved.

    Parameters
    ----------
    loaded : dict
        Nested dicts with arrays, numbers and strings.
    key : str or None
        See `import_checkpoint`.

    Returns
    -------
    arrays : dict of str to array
    info : dict

    Raises
    ------
    ValueError
        If there is none, or several and no `key`.
    """
    found = dict(_state_dicts(loaded if isinstance(loaded, Mapping) else {}))
    if not found:
        keys = sorted(map(str, loaded)) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise ValueError(f"path must hold a network's state dict; the file holds {keys}")
    if key is None and len(found) > 1:
        raise ValueError(f"key must say which network to take: the file holds {sorted(found)}")
    if key is not None and key not in found:
        raise ValueError(f"key must be one of {sorted(found)}; received key={key!r}")
    arrays = found[next(iter(found)) if key is None else key]
    while all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): value for name, value in arrays.items()}
    info = {name: value for name, value in loaded.items() if isinstance(value, (bool, int, float, str))}
    return arrays, info


def _state_dicts(loaded, path=""):
    """Yield the (dotted) key and the arrays of each state dict: named tensors, some of them weights."""
    arrays = {name: value for name, value in loaded.items() if isinstance(value, np.ndarray)}
    if any(isinstance(name, str) and name.endswith(".weight") for name in arrays):
        yield path, arrays
        return
    for name, value in loaded.items():
        if isinstance(value, Mapping):
            yield from _state_dicts(value, f"{path}.{name}".removeprefix("."))


def from_state_dict(arrays, *, input_shape=(32, 32, 3), stem="cifar", info=None):
    """Build the networks of a state dict; PyTorch is not needed.

    Parameters
    ----------
    arrays : dict of str to array
        By the published names: ``backbone.conv1.weight``, ``contrastive_head.0.weight``, ``cluster_head.0.weight``...;
        a backbone alone may come without its prefix.
    input_shape, stem
        See `import_checkpoint`.
    info : dict, optional

    Returns
    -------
    ImportedCheckpoint

    Raises
    ------
    ValueError
        See `import_checkpoint`.
    """
    arrays = {name: value for name, value in arrays.items() if not name.endswith("num_batches_tracked")}
    if "conv1.weight" in arrays:
        arrays = {name if _HEAD.fullmatch(name) else f"backbone.{name}": value for name, value in arrays.items()}
    backbone = resnet18(input_shape, stem=stem, seed=0)
    names = {layer: _tensor_names(layer) for layer in backbone.layers if layer.weights}
    _check_names(arrays, [name for own in names.values() for name in own])
    for name, array in arrays.items():
        if not np.isfinite(array).all() or (name.endswith("running_var") and array.min(initial=0) < 0):
            raise ValueError(f"{name} must hold finite numbers, and a variance none below 0; the checkpoint's does not")
    for layer, own in names.items():
        layer.set_weights([_fitting(arrays[n], n, w.shape) for n, w in zip(own, layer.weights, strict=True)])
    n_features = backbone.output_shape[-1]
    heads = {head: _dense_layers(arrays, head) for head in ("contrastive_head", "cluster_head")}
    cluster_heads = [_network([dense], n_features) for dense in heads["cluster_head"]]
    projection = _network(heads["contrastive_head"], n_features, [layers.UnitNormalization()])
    return ImportedCheckpoint(backbone, projection, tuple(cluster_heads), dict(info or {}))


def _tensor_names(layer):
    """Return the published names of a layer's weights, in their order."""
    kinds = _NORM_TENSORS if isinstance(layer, layers.BatchNormalization) else ("weight",)
    return [f"backbone.{layer.name.replace('_', '.')}.{kind}" for kind in kinds]


def _check_names(arrays, expected):
    """Raise unless the tensors are a ResNet-18's and heads'."""
    missing = [name for name in expected if name not in arrays]
    unknown = [name for name in arrays if name not in set(expected) and not _HEAD.fullmatch(name)]
    faults = {"it lacks": missing, "a ResNet-18 has no place for its": unknown}
    told = [f"{words} {_some(names)}" for words, names in faults.items() if names]
    if told:
        raise ValueError(f"the checkpoint does not hold a ResNet-18 of the published layout: {'; '.join(told)}")


def _some(names):
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _fitting(array, name, shape):
    """Return a tensor's array, a convolution's axes in the order of Keras, or raise unless it has the shape."""
    turned = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    if turned.shape != tuple(shape):
        expected = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else tuple(shape)
        raise ValueError(f"{name} must have the shape {expected}; the checkpoint's has {array.shape}")
    return turned


def _dense_layers(arrays, head):
    """Return name, weight and bias of each dense layer of a head, in their order."""
    found = {}
    for name, array in arrays.items():
        match = _HEAD.fullmatch(name)
        if match and match[1] == head:
            found.setdefault(int(match[2] or 0), {})[match[3]] = (name, array)
    dense = []
    for index in sorted(found):
        if set(found[index]) != {"weight", "bias"}:
            raise ValueError(
                f"the checkpoint has {next(iter(found[index].values()))[0]} but not its weight and bias both"
            )
        (name, weight), (bias_name, bias) = found[index]["weight"], found[index]["bias"]
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ValueError(f"{bias_name} {bias.shape} does not fit {name} {weight.shape}")
        dense.append((name, weight, bias))
    return dense


def _network(dense, n_features, last=()):
    """Return a model of dense layers with ReLU in between, or None where there are none."""
    stack, width = [keras.Input((n_features,), name="features")], n_features
    for name, weight, _ in dense:
        if weight.shape[1] != width:
            raise ValueError(f"{name} must take {width} features; its shape is {weight.shape}")
        width = len(weight)
        stack += [layers.Dense(width, kernel_initializer="zeros"), layers.ReLU()]
    if not dense:
        return None
    model = keras.Sequential([*stack[:-1], *last])
    model.set_weights([array for _, weight, bias in dense for array in (weight.T, bias)])
    return model
