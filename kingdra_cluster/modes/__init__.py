"""Training modes: one clustering estimator a file."""

from kingdra_cluster.modes.ladder import LadderIM

MODES = {"ladder": LadderIM}

__all__ = ["MODES", "LadderIM"]
