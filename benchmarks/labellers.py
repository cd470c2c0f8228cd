"""Compare labellers and policies of the loop on the same data, seeds and members.

    python benchmarks/labellers.py run digits reuters_r8_features --seeds 0 1 2 --output DIR [--data-home HOME]
    python benchmarks/labellers.py table DIR --report benchmarks/results/labellers.json --output docs/results.md
    python benchmarks/labellers.py run digits --smoke --output DIR

``run`` fits the data of a configuration (`configs/kingdra_ladder_im_<name>.json`) once a seed and policy, each a run
of its own with one file; what is there already is not run again, so files accumulate.  ``a+b`` is the rows of two
configurations side by side, a feature space each, with the settings of the first.  A file keeps, round by round,
every member's labels and the scores.  ``table`` makes its two tables from the files alone: final results by policy,
and the labellers side by side on the same members, those after the first round.  ``--report`` keeps what the tables
need of each run, beside what it keeps of earlier ones: the tables are of all of them.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import sparse

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.reports import save_report, with_runs_of  # noqa: E402
from experiments import config as configuration  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from experiments.stages import make_kingdra  # noqa: E402
from kingdra_cluster.labellers import LABELLERS  # noqa: E402
from kingdra_cluster.persistence import read_arrays, replacing, write_arrays  # noqa: E402
from kingdra_cluster.similarity_graph import SimilarityGraph  # noqa: E402
from kingdra_cluster.unsup_metrics import ACC, NMI, purity  # noqa: E402

POLICIES = {
    "default": {},
    "one round": {"n_rounds": 1},
    "members vote alone": {"start_votes": 0},
    "even starts": {"start_balance": 0.7},
    "unsupervised start": {"start": None},
    "sure rows alone": {"labeller": "cores"},
    "published labeller": {"labeller": "published"},
    "one mapping for all": {"shared_mapping": True},
    "balance kept": {"mi_weight_later": None},
    "published rule": {"start": None, "labeller": "published", "shared_mapping": True, "mi_weight_later": None},
}
RULES = ("consensus", "published")  # that find sure rows; "cores" finds those of "consensus"
SMOKE = [
    "data.subset=200", "cluster.n_members=2", "cluster.start_votes=4", "cluster.n_rounds=2", "cluster.verbose=0",
    "cluster.epochs_first_round=1", "cluster.epochs_per_round=1", "cluster.mode.hidden_units=[16]",
]  # fmt: skip
SCORES = ("acc", "nmi", "member_acc", "purity", "coverage", "smallest", "agreement", "member_epochs", "seconds")


class Rounds:
    """Callback that keeps every member's labels and the scores of each round."""

    def __init__(self, truth):
        self.truth, self.labels, self.scores = truth, [], []

    def __call__(self, estimator, record):
        """Note the state after a round."""
        if record["round"] < len(self.scores):
            return
        truth, sure = self.truth, estimator.pseudo_labels_ >= 0
        self.labels.append(estimator.similarity_graph_.labels)
        self.scores.append(
            [
                ACC(truth, estimator.labels_),
                NMI(truth, estimator.labels_),
                np.mean([ACC(truth, labels) for labels in estimator.similarity_graph_.labels]),
                purity(truth[sure], estimator.pseudo_labels_[sure]) if sure.any() else np.nan,
                sure.mean(),
                record["smallest_bucket"],
                record["agreement"],
                record["member_epochs"],
                record["seconds"],
            ]
        )


def prepared(configs, data_home):
    """Rows of all configurations side by side, their classes and the settings by which members see a part each."""
    parts = [prepare(config["data"], data_home) for config in configs]
    if len(parts) == 1:
        return parts[0].X, parts[0].truth, {}
    if any(not np.array_equal(part.truth, parts[0].truth) for part in parts):
        raise ValueError("these data sets have other rows or classes than one another")
    ends = np.cumsum([part.X.shape[1] for part in parts]).tolist()
    rows = sparse.hstack([sparse.csr_matrix(part.X, dtype=np.float32) for part in parts], format="csr")
    return rows, parts[0].truth, {"spaces": list(zip([0, *ends], ends, strict=False))}


def run(args):
    """Fit every data set, policy and seed that has no file yet."""
    for name in args.names:
        overrides = SMOKE + args.set if args.smoke else args.set
        files = [ROOT / "configs" / f"kingdra_ladder_im_{part}.json" for part in name.split("+")]
        configs = [configuration.load(file, overrides)[0] for file in files]
        data = None
        for policy in args.policies:
            for seed in args.seeds:
                path = Path(args.output) / f"{name}--{policy.replace(' ', '_')}--{seed}.npz"
                if path.exists():
                    continue
                X, truth, spaces = data = data or prepared(configs, args.data_home)
                began = time.perf_counter()
                rounds = Rounds(truth)
                section = {**configs[0]["cluster"], **POLICIES[policy], **spaces, "n_jobs": args.n_jobs, "verbose": 0}
                if args.smoke:
                    section["n_rounds"] = min(2, section["n_rounds"])
                make_kingdra(section, seed, None, [rounds]).fit(X)
                kmeans = ACC(truth, kmeans_labels(X, section["n_clusters"], seed))
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(
                    path,
                    labels=np.stack(rounds.labels),
                    scores=np.array(rounds.scores),
                    truth=truth,
                    kmeans=kmeans,
                    n_clusters=section["n_clusters"],
                )
                print(
                    f"{path.stem}: {100 * rounds.scores[-1][0]:.1f} %, {time.perf_counter() - began:.0f} s", flush=True
                )


def digest(path):
    """Return what the tables need of a run's file, as JSON can hold it."""
    name, policy, seed = path.stem.rsplit("--", 2)
    file = read_arrays(path)
    labellers = {}
    for labeller in RULES:
        buckets = LABELLERS[labeller](SimilarityGraph(file["labels"][0]), int(file["n_clusters"]))
        sure = buckets >= 0
        labellers[labeller] = {
            "purity": float(purity(file["truth"][sure], buckets[sure])),
            "coverage": float(sure.mean()),
            "smallest": int(np.bincount(buckets[sure], minlength=int(file["n_clusters"])).min()),
            "acc": float(ACC(file["truth"][sure], buckets[sure])),
        }
    rounds = [dict(zip(SCORES, (float(score) for score in scores), strict=True)) for scores in file["scores"]]
    facts = {"data": name, "policy": policy.replace("_", " "), "seed": int(seed), "kmeans": float(file["kmeans"])}
    return {**facts, "rounds": rounds, "labellers": labellers}


def tables(runs):
    """Return the page of tables made from digests of runs, as Markdown."""
    groups = defaultdict(list)
    for found in sorted(runs, key=lambda found: (found["data"], found["policy"], found["seed"])):
        groups[found["data"], found["policy"]].append(found)
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/labellers.py` from the files of its runs: percent, mean ± sample standard deviation",
        "over seeds.  *Default* is `KingdraCluster(n_clusters)`; other policies differ from it in what their names",
        "say, and *starts vote* is the default of before: partitions of the graph of neighbours voted everywhere, as",
        "they still do where groups differ in size (R8), little is agreed upon (CIFAR-10) or there are two spaces: see",
        "[who votes](kingdra.md#who-votes).  On 20news_defaults and mnist_defaults all communities of what was learnt",
        "voted, not yet the best fifth; purity and coverage of these, of cifar10_features and of two spaces count all",
        "rows that were sure in every round, whether most members held them or not.  Policies other than the default,",
        "20news_defaults, reuters_r8 and two spaces had 1,000 and 500 steps a round at least instead of 500 and 250.",
        "*Mean member* and *ensemble* (aligned) are those of the first round, *last round* is the answer;",
        "*above best round* is its ACC less that of the best round (which needs the truth).  Minutes: one process,",
        "on a machine that did other things too.  See also [what each part adds](results_ablation.md),",
        "[refinement](results_refinement.md) and the [published rule](results_published_rule.md) on more sets.",
        "",
        "| data | policy | seeds | k-means | mean member | ensemble | last round | NMI | above ensemble "
        "| above best round | purity | coverage | member-epochs | minutes |",
        "|" + "---|" * 14,
    ]
    lines += [_policy_line(name, policy, runs) for (name, policy), runs in groups.items()]
    lines += ["", "## Labellers on the same members, after the first round", ""]
    lines += [
        "| data | members | labeller | purity | coverage | smallest bucket | ACC of the sure rows |",
        "|" + "---|" * 7,
    ]
    for (name, policy), runs in groups.items():
        if policy in ("default", "unsupervised start"):
            lines += [_labeller_line(name, policy, labeller, runs) for labeller in RULES]
    lines += ["", _criterion([found["rounds"] for runs in groups.values() for found in runs])]
    return "\n".join(lines) + "\n"


def _criterion(runs):
    """How well the members' agreement, which needs no labels, tells good rounds from bad; how good the last one is."""
    pairs = [np.array([[scores["agreement"], scores["acc"]] for scores in rounds]) for rounds in runs]
    together = np.concatenate(pairs)
    if not (np.ptp(together, axis=0) > 0).all():
        return "Agreement of the members against ACC: all rounds have the same."
    overall = np.corrcoef(together.T)[0, 1]
    within = [np.corrcoef(pair.T)[0, 1] for pair in pairs if len(pair) > 2 and (np.ptp(pair, axis=0) > 0).all()]
    inside = f", {np.mean(within):.2f} within a run (mean of {len(within)})" if within else ""
    better = np.mean([rounds[-1]["agreement"] > rounds[0]["agreement"] for rounds in runs])
    lost = np.array([max(scores["acc"] for scores in rounds) - rounds[-1]["acc"] for rounds in runs])
    return (
        f"Agreement of the members against ACC: correlation {overall:.2f} over all rounds of all runs{inside}.  It is "
        f"higher in the last round than in the first in {better:.0%} of the runs, for members agree about what they "
        f"are taught together, so it cannot choose between rounds; the last is the answer.  That has at most a point "
        f"less than the best round in {np.mean(lost <= 0.01):.0%} of {len(runs)} runs, {100 * lost.max():.1f} less in "
        f"the worst, {100 * lost.mean():.2f} less on average."
    )


def _policy_line(name, policy, runs):
    first = {score: [100 * run["rounds"][0][score] for run in runs] for score in SCORES}
    last = {score: [100 * run["rounds"][-1][score] for run in runs] for score in SCORES}
    above = [a - b for a, b in zip(last["acc"], first["acc"], strict=True)]
    best = [100 * (run["rounds"][-1]["acc"] - max(scores["acc"] for scores in run["rounds"])) for run in runs]
    cells = [[100 * run["kmeans"] for run in runs], first["member_acc"], first["acc"], last["acc"], last["nmi"]]
    cells += [above, best, last["purity"], last["coverage"]]
    epochs = np.mean(last["member_epochs"]) / 100
    minutes = np.mean([sum(scores["seconds"] for scores in run["rounds"]) for run in runs]) / 60
    written = " | ".join(_cell(cell) for cell in cells)
    return f"| {name} | {policy} | {len(runs)} | {written} | {epochs:,.0f} | {minutes:.1f} |"


def _labeller_line(name, policy, labeller, runs):
    found = [run["labellers"][labeller] for run in runs]
    cells = [[100 * x["purity"] for x in found], [100 * x["coverage"] for x in found]]
    cells += [[x["smallest"] for x in found], [100 * x["acc"] for x in found]]
    return f"| {name} | {policy} | {labeller} | {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(values):
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def main(argv=None):
    """Parse arguments and run or tabulate; the exit status is 0 or 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="fit what has no file yet")
    runner.add_argument("names", nargs="+", metavar="DATA", help="configurations, such as digits")
    runner.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    runner.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runner.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the configuration")
    runner.add_argument("--n-jobs", type=int, default=1)
    runner.add_argument("--data-home", metavar="DIR")
    runner.add_argument("--smoke", action="store_true", help="seconds instead of minutes: shows that it runs")
    runner.add_argument("--output", required=True, metavar="DIR")
    tabulator = commands.add_parser("table", help="write the tables of what was run")
    tabulator.add_argument("folder", metavar="DIR")
    tabulator.add_argument("--report", type=Path, metavar="JSON", help="what the tables need: added to and kept")
    tabulator.add_argument("--output", metavar="FILE", help="default: standard output")
    args = parser.parse_args(argv)
    try:
        if args.command == "run":
            run(args)
            return 0
        found = [digest(path) for path in sorted(Path(args.folder).glob("*--*--*.npz"))]
        if not found:
            raise ValueError(f"there are no files of runs in {args.folder}")
        runs = with_runs_of(args.report, found, ("data", "policy", "seed"))
        save_report(args.report, {"runs": runs})
        text = tables(runs)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.output is None:
        print(text, end="")
        return 0
    with replacing(args.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
