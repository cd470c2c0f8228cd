"""Run a configured experiment, or label new items with a finished one: ``python run_exp.py --help``."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main())
