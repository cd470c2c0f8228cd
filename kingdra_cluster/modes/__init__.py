"""Training modes: one clustering estimator a file."""

from kingdra_cluster.modes.ladder import LadderIM
from kingdra_cluster.modes.ruc import RUC

MODES = {"ladder": LadderIM}

__all__ = ["MODES", "RUC", "LadderIM"]
