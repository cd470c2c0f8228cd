"""Kingdra beside what people would use instead, on the same rows: ACC, NMI, ARI, seconds, peak memory.

    python benchmarks/peers.py run digits mnist --seeds 0 1 2 --output DIR [--data-home HOME]
    python benchmarks/peers.py run digits --methods DEC IDEC VaDE DDC --python OTHER_PYTHON --output DIR
    python benchmarks/peers.py table DIR [--output docs/peers.md] [--report benchmarks/results/peers.json]
    python benchmarks/peers.py run digits --smoke --methods k-means --output DIR

Each fit is a process of its own, so that its memory is its own, and leaves one file; what is there already is not run
again, so files accumulate; so do the runs in the report, of which the tables are made.  A peer that cannot be installed
beside this package runs with ``--python`` of another environment, from the same saved rows (`peer_methods.py` says what
each peer does).  ``table`` reads files alone; a method that failed is in it with the reason.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.peer_methods import METHODS, OWN_NUMBER  # noqa: E402
from benchmarks.reports import save_report, with_runs_of  # noqa: E402
from experiments.run_folder import write_json, write_text  # noqa: E402
from kingdra_cluster.persistence import read_json, replacing  # noqa: E402

FEATURES = {"kind": "none"}
DATA = {  # name: data section, and what the table says of it
    "digits": ({"name": "digits", "features": None}, "1,797 digits of 8 x 8"),
    "mnist": ({"name": "mnist", "subset": 10_000, "features": {"kind": "flatten", "divide_by": 255}}, "10,000 digits"),
    "20news": ({"name": "arrays", "path": "20news_minilm.npz", "features": FEATURES}, "sentence features"),
    "r8": ({"name": "arrays", "path": "reuters_r8_minilm.npz", "features": FEATURES}, "sentence features"),
    "cifar10": ({"name": "arrays", "path": "cifar10_efficientnet_lite0.npz", "features": FEATURES}, "image features"),
}
NOISE = "UMAP + HDBSCAN and DDC find their own number of clusters; rows that HDBSCAN leaves out count as one cluster."
NOTE = (
    "Mean ± sample standard deviation over seeds, percent. Seconds are those of the fit alone, imports left out and "
    "compilation included, on a machine that may have done other things; memory is the largest of the process, imports "
    f"included. The same rows for all; the true number of clusters is given to all that take one. {NOISE}"
)


def save_rows(name, folder, data_home, smoke):
    """Write X and y of a data set, dense float32, unless they are there; return the path and the number of classes."""
    path = folder / name / "rows.npz"
    if not path.is_file():
        from experiments import config as configuration
        from experiments.run import prepare

        section = configuration.resolve({"data": DATA[name][0]}, name)["data"]
        data = prepare(section, data_home)
        X = data.X.toarray() if hasattr(data.X, "toarray") else np.asarray(data.X)
        n = 200 if smoke else len(X)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, X=X[:n].reshape(n, -1).astype(np.float32), y=data.truth[:n])
    with np.load(path, allow_pickle=False) as rows:
        return path, rows["y"]


def run_one(method, rows, truth, seed, python, timeout):
    """Fit one method in a process of its own; return the content of its file: scores and costs, or ``failed``."""
    from experiments.baselines import scores

    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.npz"
        script = str(ROOT / "benchmarks" / "peer_methods.py")
        command = [python, script, method, str(rows), str(len(np.unique(truth))), str(seed), str(answer)]
        environment = {"cwd": ROOT if python == sys.executable else scratch, "capture_output": True, "text": True}
        try:
            done = subprocess.run(command, timeout=timeout, **environment)
        except subprocess.TimeoutExpired:
            return {"failed": f"not finished after {timeout:g} seconds"}
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            return {"failed": lines[-1][:200]}
        with np.load(answer, allow_pickle=False) as found:
            labels, facts = found["labels"].astype(int), json.loads(str(found["facts"]))
    noise, names = labels < 0, np.unique(labels)
    tidy = np.searchsorted(names, labels)
    return {**scores(truth, tidy), **facts, "clusters": len(names) - bool(noise.any()), "noise": float(noise.mean())}


def run(args):
    """Fill the folder with what is missing; failures are tried again."""
    for name in args.data:
        rows, truth = save_rows(name, args.output, args.data_home, args.smoke)
        for method in args.methods:
            for seed in args.seeds:
                path = args.output / name / f"{method.replace(' ', '_')}_{seed}.json"
                if path.is_file() and "failed" not in read_json(path):
                    continue
                python = args.python if args.python and method != "Kingdra" else sys.executable
                found = run_one(method, rows.absolute(), truth, seed, python, args.timeout)
                write_json(path, {"data": name, "method": method, "seed": seed, "rows": len(truth), **found})
                shown = found.get("failed") or f"ACC {100 * found['acc']:.1f}, {found['seconds']:.1f} s"
                print(f"{name}: {method}, seed {seed}: {shown}", flush=True)


def table(files):
    """Markdown tables, one a data set, from what the files of a folder hold."""
    lines = ["# Beside its peers", "", f"Written by `benchmarks/peers.py` from the files of the runs. {NOTE}"]
    for name in [name for name in DATA if any(one["data"] == name for one in files)]:
        mine = [one for one in files if one["data"] == name]
        lines += ["", f"## {name}: {DATA[name][1]}, {mine[0]['rows']:,} rows", ""]
        lines += ["| | seeds | ACC | NMI | ARI | clusters | seconds | peak MB |", "|---|---|---|---|---|---|---|---|"]
        for method in METHODS:
            found = [one for one in mine if one["method"] == method]
            if found:
                lines.append(_line(method, found))
    return "\n".join(lines) + "\n"


def _line(method, found):
    done = [one for one in found if "failed" not in one]
    if not done:
        return f"| {method} | failed: {found[0]['failed'].replace('|', '/')} | | | | | | |"
    cells = [_percent([one[score] for one in done]) for score in ("acc", "nmi", "ari")]
    clusters = sorted({one["clusters"] for one in done})
    own = " (its own)" if method in OWN_NUMBER else ""
    cells.append((f"{clusters[0]}" if len(clusters) == 1 else f"{clusters[0]} to {clusters[-1]}") + own)
    cells += [_mean([one["seconds"] for one in done], ".1f"), _mean([one["peak_rss_mb"] for one in done], ",.0f")]
    seeds = ", ".join(str(one["seed"]) for one in sorted(done, key=lambda one: one["seed"]))
    return f"| {method} | {seeds} | " + " | ".join(cells) + " |"


def _percent(values):
    deviation = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{deviation}"


def _mean(values, form):
    return "-" if None in values else format(float(np.mean(values)), form)


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("data", nargs="+", choices=list(DATA))
    runs.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.add_argument("--output", type=Path, required=True, help="folder of the files")
    runs.add_argument("--data-home", help="folder of raw data")
    runs.add_argument("--python", help="interpreter of the environment that has the peers")
    runs.add_argument("--timeout", type=float, default=3600.0, help="seconds a fit may take")
    runs.add_argument("--smoke", action="store_true", help="200 rows")
    runs.set_defaults(do=run)
    tables = commands.add_parser("table")
    tables.add_argument("folder", type=Path)
    tables.add_argument("--output", type=Path)
    tables.add_argument("--report", type=Path)
    tables.set_defaults(do=write_table)
    args = parser.parse_args(argv)
    args.do(args)
    return 0


def write_table(args):
    """Print the tables, or write them to a file; add what they are made of to a report, which `tables.py` reads."""
    files = [read_json(path) for name in DATA for path in sorted((args.folder / name).glob("*.json"))]
    files = with_runs_of(args.report, files, ("data", "method", "seed"))
    save_report(args.report, {"runs": files})
    text = table(files)
    if args.output is None:
        print(text, end="")
    else:
        write_text(args.output, text)


if __name__ == "__main__":
    sys.exit(main())
