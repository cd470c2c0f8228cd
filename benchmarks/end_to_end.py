"""From rows to labels: seconds and accuracy round by round, and memory, of the published rule and of the default.

10,000 random rows of MNIST / 255, ten ladders.  "published" is the published rule with the published settings of MNIST
and layers (784-1200-1200-10), until it has had five supervised rounds, or ``--rounds`` of any kind; "default" is this
package's default; "two rounds", of two members with the published layers, is for the memory of large data (``--rules
"two rounds" --rows 70000``).  Each runs in a process of its own; seconds are wall-clock, from the call of ``fit`` on,
and include the import of TensorFlow by the workers.  Memory is the largest resident memory of the main process (beside:
before ``fit``) and the sum over its workers; and, where the system tells (Linux), that of all processes together with
shared pages counted once, beside what as many processes take that have only imported TensorFlow and this package.

    python benchmarks/end_to_end.py [--data-home DIR] [--rows N] [--n-jobs N] [--rules published default] [--rounds N]
                                    [--smoke] [--output FILE.json]
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.memory import PeakMemory, imports_mb  # noqa: E402
from benchmarks.reports import print_table, save_report  # noqa: E402

RULES = {
    "published": {
        "start": None,
        "labeller": "published",
        "shared_mapping": True,
        "mi_weight_later": None,
        "confidence_threshold": 0.9,
        "epochs_first_round": 5,
        "epochs_per_round": 5,
        "scale": None,
        "tol": None,
    },
    "default": {},
    "two rounds": {"n_members": 2, "n_rounds": 2, "epochs_first_round": 1, "epochs_per_round": 1},
}
SUPERVISED_ROUNDS = 5
SMOKE = {"n_members": 2, "n_rounds": 2, "epochs_first_round": 1, "epochs_per_round": 1}
HEAD = ["rule", "round", "supervised", "seconds", "ACC %", "mean member %", "pseudo-labels", "pure %", "workers MB"]


class Enough(Exception):
    """The rounds that were asked for are over."""


def load(options):
    """Return rows and classes."""
    from experiments import datasets

    if options.smoke:
        bunch = datasets.load("digits", subset=200)
        return bunch.X.reshape(len(bunch.X), -1) / 16.0, bunch.y
    bunch = datasets.load("mnist", options.data_home, subset=options.rows)
    return bunch.X.reshape(len(bunch.X), -1).astype(np.float32) / 255, bunch.y


def fit(rule, options):
    """Fit by one rule in this process; return its rounds and its memory."""
    from kingdra_cluster import KingdraCluster, LadderIM
    from kingdra_cluster.members import claim_threads
    from kingdra_cluster.processes import peak_mb
    from kingdra_cluster.unsup_metrics import ACC, purity

    warnings.simplefilter("ignore")
    claim_threads(1)
    X, y = load(options)
    rounds, before = [], peak_mb()

    def note(estimator, record):
        sure = estimator.pseudo_labels_ >= 0
        rounds.append(
            {
                "round": record["round"] + 1,
                "supervised": record["supervised"],
                "seconds": time.perf_counter() - began,
                "acc": float(ACC(y, estimator.labels_)),
                "member_mean": float(np.mean([ACC(y, labels) for labels in estimator.similarity_graph_.labels])),
                "pseudo_labelled": int(sure.sum()),
                "purity": float(purity(y[sure], estimator.pseudo_labels_[sure])) if sure.any() else None,
                "workers_peak_mb": record["workers_peak_mb"],
            }
        )
        if rule == "published" and sum(line["supervised"] for line in rounds) == SUPERVISED_ROUNDS:
            raise Enough

    settings = RULES[rule] | ({"n_rounds": options.rounds} if rule == "published" else {})
    settings |= SMOKE if options.smoke else {}
    published = LadderIM(hidden_units=(16,) if options.smoke else (1200, 1200))
    mode = "ladder" if rule == "default" else published
    n_jobs = 1 if options.smoke else options.n_jobs
    model = KingdraCluster(10, mode=mode, n_jobs=n_jobs, random_state=0, callbacks=[note], **settings)
    began = time.perf_counter()
    with PeakMemory(os.getpid()) as together, contextlib.suppress(Enough):
        model.fit(X)
    memory = {"parent_mb_before": before, "parent_peak_mb": peak_mb(), "X_mb": X.nbytes / 1e6}
    memory |= {"together_peak_mb": together.mb, "imports_mb": imports_mb(1 + (n_jobs if n_jobs > 1 else 0))}
    memory["workers_peak_mb"] = max(line["workers_peak_mb"] for line in rounds)
    return {"rule": rule, "rows": len(X), "columns": X.shape[1], "rounds": rounds, **memory}


def fit_elsewhere(rule, arguments):
    """Fit by one rule in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "fit.json"
        command = [sys.executable, __file__, *arguments, "--fit", rule, "--output", str(output)]
        subprocess.run(command, check=True)
        return json.loads(output.read_text(encoding="utf-8"))


def show(found):
    """Print the rounds and the memory of one rule."""
    names = ("round", "supervised", "seconds", "acc", "member_mean", "pseudo_labelled", "purity", "workers_peak_mb")
    lines = []
    for record in found["rounds"]:
        percent = {name: record[name] and 100 * record[name] for name in ("acc", "member_mean", "purity")}
        lines.append([found["rule"], *((record | percent)[name] for name in names)])
    print_table(HEAD, [["yes" if value is True else "no" if value is False else value for value in x] for x in lines])
    print(
        f"{found['rule']}: X {found['X_mb']:.0f} MB; main process {found['parent_peak_mb']:,.0f} MB at most "
        f"({found['parent_mb_before']:,.0f} before fit), workers together {found['workers_peak_mb']:,.0f} MB; all, "
        f"shared pages once, {found['together_peak_mb']:,.0f} MB, of which imports {found['imports_mb']:,.0f}\n"
    )


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path, metavar="DIR", help="folder of the raw files")
    parser.add_argument("--rows", type=int, default=10_000, metavar="N", help="default 10,000")
    parser.add_argument("--n-jobs", type=int, default=2, metavar="N", help="worker processes (default 2)")
    parser.add_argument(
        "--rules", nargs="+", choices=RULES, default=["published", "default"], help="default: these two"
    )
    parser.add_argument(
        "--rounds", type=int, default=50, metavar="N", help="of the published rule at most (default 50)"
    )
    parser.add_argument("--smoke", action="store_true", help="200 digits, tiny networks, the published rule only")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    parser.add_argument("--fit", choices=RULES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.fit:
        save_report(options.output, fit(options.fit, options))
        return
    found = []
    for rule in ["published"] if options.smoke else options.rules:
        found.append(fit_elsewhere(rule, arguments))
        show(found[-1])
    save_report(options.output, {"n_jobs": options.n_jobs, "fits": found})


if __name__ == "__main__":
    main()
