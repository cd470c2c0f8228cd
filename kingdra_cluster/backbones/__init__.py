"""Backbones: functions that build a functional keras.Model whose output is an embedding, one a file."""

from collections.abc import Mapping
from functools import partial
from inspect import Parameter, signature

import keras

from kingdra_cluster.backbones.application import APPLICATIONS, application, copy_model
from kingdra_cluster.backbones.convnet import convnet
from kingdra_cluster.backbones.mlp import mlp
from kingdra_cluster.backbones.resnet18 import resnet18
from kingdra_cluster.validation import check_choice

BACKBONES = {
    "resnet18": resnet18,
    "convnet": convnet,
    "mlp": mlp,
    **{name: partial(application, name) for name in APPLICATIONS},
}

__all__ = ["BACKBONES", "application", "convnet", "make_backbone", "mlp", "resnet18"]


def make_backbone(backbone, input_shape, seed=None):
    """Return a new backbone for rows of a shape.

    Parameters
    ----------
    backbone : str, dict or keras.Model
        A name of `BACKBONES` (among them all of keras.applications); a dict of ``"name"`` and that function's options;
        or a functional model, which is copied with its weights.
    input_shape : tuple of int
        Of one row.
    seed : int or None, default=None
        Of the initial weights of a new network.

    Returns
    -------
    keras.Model
        Maps (batch, *input_shape) to (batch, features).

    Raises
    ------
    TypeError, ValueError
        If there is no such backbone, or a given one does not take such rows or returns no embedding.

    Examples
    --------
    >>> make_backbone({"name": "mlp", "hidden_units": (16, 8)}, (4,), seed=0).output_shape
    (None, 8)
    """
    check_backbone(backbone)
    if isinstance(backbone, keras.Model):
        if tuple(backbone.input_shape[1:]) != tuple(input_shape):
            raise ValueError(f"backbone must take rows of shape {tuple(input_shape)}; it takes {backbone.input_shape}")
        model = copy_model(backbone, seed)
    else:
        name, options = _name_and_options(backbone)
        model = BACKBONES[name](input_shape, seed=seed, **options)
    if len(model.output_shape) != 2:
        raise ValueError(f"backbone must return an embedding, (batch, features); it returns {model.output_shape}")
    return model


def check_backbone(backbone, none=False):
    """Raise ``TypeError`` or ``ValueError`` unless `make_backbone` knows a backbone; nothing is made.

    Parameters
    ----------
    backbone : str, dict or keras.Model
    none : bool, default=False
        Whether None will do, too.
    """
    if none and backbone is None:
        return
    if isinstance(backbone, keras.Model):
        if getattr(backbone, "input_shape", None) is None:
            raise TypeError(f"backbone must be a functional model or a name; received {type(backbone).__name__}")
        return
    name, options = _name_and_options(backbone)
    check_choice("backbone", name, BACKBONES)
    arguments = signature(BACKBONES[name]).parameters.values()
    known = {argument.name for argument in arguments if argument.kind is Parameter.KEYWORD_ONLY} - {"seed"}
    unknown = sorted(options.keys() - known)
    if unknown:
        raise TypeError(f"backbone={name!r} takes the options {sorted(known)}; received {unknown}")


def _name_and_options(backbone):
    """Split a name, or a dict of a name and options, into both."""
    options = dict(backbone) if isinstance(backbone, Mapping) else {"name": backbone}
    return options.pop("name", None), options
