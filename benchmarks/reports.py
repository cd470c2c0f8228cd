"""What every benchmark shares: the machine it ran on, a table of text, a JSON file."""

import json
import os
import platform
from importlib.metadata import version

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "joblib")


def machine():
    """Return what the figures depend on: processor, its load at the end, operating system, versions."""
    return {
        "cpu_count": os.cpu_count(),
        "load_average": os.getloadavg()[1] if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def print_table(head, lines):
    """Print a table; ``lines`` are sequences of text and numbers, one a column of ``head``.

    Floats are shown with three significant digits, None as a dash.
    """
    cells = [[text_of(value) for value in line] for line in lines]
    widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head))]
    for row in [head, *cells]:
        first, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([first, *(cell.strip().rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]))
    print(flush=True)


def text_of(value):
    """Return a value as text for a cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def save_report(path, report):
    """Write ``report`` and the machine's description as JSON; nothing if ``path`` is None."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine(), **report}, indent=1) + "\n", encoding="utf-8")


def with_runs_of(path, runs, key):
    """Return the runs that a saved report holds and those given, which take the place of runs with the same ``key``.

    So a table can grow although the folder of the earlier runs' files is on another machine, or gone.
    """
    kept = json.loads(path.read_text(encoding="utf-8"))["runs"] if path is not None and path.is_file() else []
    return list({tuple(run[name] for name in key): run for run in [*kept, *runs]}.values())
