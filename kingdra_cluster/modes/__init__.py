"""Training modes: one clustering estimator a file."""

from kingdra_cluster.modes.ladder import LadderIM
from kingdra_cluster.modes.nnm import NNM
from kingdra_cluster.modes.ruc import RUC
from kingdra_cluster.modes.selflabel import SelfLabel
from kingdra_cluster.modes.simclr import SimCLR

MODES = {"ladder": LadderIM, "nnm": NNM}  # that cluster, alone or as members of KingdraCluster
PRETEXTS = {"simclr": SimCLR}  # that learn features: fit, transform, backbone_, save, load
REFINERS = {"ruc": RUC, "selflabel": SelfLabel}  # that start from a clustering

__all__ = ["MODES", "NNM", "PRETEXTS", "REFINERS", "RUC", "LadderIM", "SelfLabel", "SimCLR"]
