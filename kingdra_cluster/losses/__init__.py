"""Losses: pure functions of tensors, one a file, in ``keras.ops``."""

from kingdra_cluster.losses.batch_nearest import batch_nearest
from kingdra_cluster.losses.class_matching import class_matching
from kingdra_cluster.losses.cluster_entropy import check_prior, cluster_entropy
from kingdra_cluster.losses.ladder_cost import ladder_cost
from kingdra_cluster.losses.mutual_information import mutual_information
from kingdra_cluster.losses.neighbor_consistency import neighbor_consistency
from kingdra_cluster.losses.nnm import local_pairs, nnm_terms
from kingdra_cluster.losses.noise_consistency import noise_consistency
from kingdra_cluster.losses.nt_xent import nt_xent
from kingdra_cluster.losses.ruc import (
    co_guess,
    co_refine,
    label_smoothed_cross_entropy,
    ramp,
    sharpen,
    soft_cross_entropy,
    squared_error,
)
from kingdra_cluster.losses.self_labelling import self_labelling, sure_labels

__all__ = [
    "batch_nearest",
    "check_prior",
    "class_matching",
    "cluster_entropy",
    "co_guess",
    "co_refine",
    "label_smoothed_cross_entropy",
    "ladder_cost",
    "local_pairs",
    "mutual_information",
    "neighbor_consistency",
    "nnm_terms",
    "noise_consistency",
    "nt_xent",
    "ramp",
    "self_labelling",
    "sharpen",
    "soft_cross_entropy",
    "squared_error",
    "sure_labels",
]
