"""Losses: pure functions of tensors, one a file, in ``keras.ops``."""

from kingdra_cluster.losses.ladder_cost import ladder_cost
from kingdra_cluster.losses.mutual_information import mutual_information
from kingdra_cluster.losses.noise_consistency import noise_consistency

__all__ = ["ladder_cost", "mutual_information", "noise_consistency"]
