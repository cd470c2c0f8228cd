"""Training modes: one clustering estimator a file."""

from kingdra_cluster.modes.ladder import LadderIM
from kingdra_cluster.modes.nnm import NNM
from kingdra_cluster.modes.ruc import RUC
from kingdra_cluster.modes.selflabel import SelfLabel

MODES = {"ladder": LadderIM, "nnm": NNM}

__all__ = ["MODES", "NNM", "RUC", "LadderIM", "SelfLabel"]
