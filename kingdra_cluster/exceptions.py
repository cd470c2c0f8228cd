"""Warnings that can be caught or silenced by name."""


class CollapseWarning(UserWarning):
    """Some clusters lost all their rows."""


class PseudoLabelWarning(UserWarning):
    """The labeller found no usable pseudo-labels, or found too few rows for some cluster."""
