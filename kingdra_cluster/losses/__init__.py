"""Losses: pure functions of tensors, one a file, in ``keras.ops``."""

from kingdra_cluster.losses.ladder_cost import ladder_cost
from kingdra_cluster.losses.mutual_information import mutual_information
from kingdra_cluster.losses.noise_consistency import noise_consistency
from kingdra_cluster.losses.ruc import (
    co_guess,
    co_refine,
    label_smoothed_cross_entropy,
    ramp,
    sharpen,
    soft_cross_entropy,
    squared_error,
)

__all__ = [
    "co_guess",
    "co_refine",
    "label_smoothed_cross_entropy",
    "ladder_cost",
    "mutual_information",
    "noise_consistency",
    "ramp",
    "sharpen",
    "soft_cross_entropy",
    "squared_error",
]
