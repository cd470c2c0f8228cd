"""Compare labellers and policies of the loop on the same data, seeds and members.

    python benchmarks/labellers.py run digits reuters_r8_features --seeds 0 1 2 --output DIR [--data-home HOME]
    python benchmarks/labellers.py table DIR --output docs/results.md
    python benchmarks/labellers.py run digits --smoke --output DIR

``run`` fits the data of a configuration (`configs/kingdra_ladder_im_<name>.json`) once a seed and policy, each a run
of its own with one file; what is there already is not run again, so files accumulate.  A file keeps, round by round,
every member's labels and the scores.  ``table`` makes its two tables from the files alone: final results by policy,
and the labellers side by side on the same members, those after the first round.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from experiments import config as configuration  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.data_home import atomic_path  # noqa: E402
from experiments.run import prepare  # noqa: E402
from experiments.stages import make_kingdra  # noqa: E402
from kingdra_cluster.labellers import LABELLERS  # noqa: E402
from kingdra_cluster.persistence import read_arrays, write_arrays  # noqa: E402
from kingdra_cluster.similarity_graph import SimilarityGraph  # noqa: E402
from kingdra_cluster.unsup_metrics import ACC, NMI, purity  # noqa: E402

POLICIES = {
    "default": {},
    "one round": {"n_rounds": 1},
    "members vote alone": {"start_votes": 0},
    "unsupervised start": {"start": None},
    "sure rows alone": {"labeller": "cores"},
    "published labeller": {"labeller": "published"},
    "one mapping for all": {"shared_mapping": True},
    "balance kept": {"mi_weight_later": None},
    "published rule": {"start": None, "labeller": "published", "shared_mapping": True, "mi_weight_later": None},
}
RULES = ("consensus", "published")  # that find sure rows; "cores" finds those of "consensus"
SMOKE = [
    "data.subset=300", "cluster.n_members=2", "cluster.n_rounds=2", "cluster.epochs_first_round=1",
    "cluster.epochs_per_round=1", "cluster.mode.hidden_units=[16]", "cluster.verbose=0",
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


def run(args):
    """Fit every data set, policy and seed that has no file yet."""
    for name in args.names:
        overrides = SMOKE + args.set if args.smoke else args.set
        config = configuration.load(ROOT / "configs" / f"kingdra_ladder_im_{name}.json", overrides)[0]
        data = None
        for policy in args.policies:
            for seed in args.seeds:
                path = Path(args.output) / f"{name}--{policy.replace(' ', '_')}--{seed}.npz"
                if path.exists():
                    continue
                data = data or prepare(config["data"], args.data_home)
                began = time.perf_counter()
                rounds = Rounds(data.truth)
                section = {**config["cluster"], **POLICIES[policy], "n_jobs": args.n_jobs, "verbose": 0}
                if args.smoke:
                    section["n_rounds"] = min(2, section["n_rounds"])
                make_kingdra(section, seed, None, [rounds]).fit(data.X)
                kmeans = ACC(data.truth, kmeans_labels(data.X, section["n_clusters"], seed))
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(
                    path,
                    labels=np.stack(rounds.labels),
                    scores=np.array(rounds.scores),
                    truth=data.truth,
                    kmeans=kmeans,
                    n_clusters=section["n_clusters"],
                )
                print(
                    f"{path.stem}: {100 * rounds.scores[-1][0]:.1f} %, {time.perf_counter() - began:.0f} s", flush=True
                )


def tables(folder):
    """Return the page of tables made from the files of a folder, as Markdown."""
    groups = defaultdict(list)
    for path in sorted(Path(folder).glob("*--*--*.npz")):
        name, policy, _ = path.stem.rsplit("--", 2)
        groups[name, policy.replace("_", " ")].append(read_arrays(path))
    if not groups:
        raise ValueError(f"there are no files of runs in {folder}")
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/labellers.py` from the files of its runs: percent, mean ± sample standard deviation",
        "over seeds.  *Default* is `KingdraCluster(n_clusters)`; other policies differ from it in what their names",
        "say.  *Mean member* and *ensemble* (aligned) are those of the first round, *last round* is the answer;",
        "*above best round* is its ACC less that of the best round (which needs the truth).  Minutes: one process,",
        "on a machine that did other things too.  See also [refinement](results_refinement.md) and the",
        "[published rule](results_published_rule.md) on more sets.",
        "",
        "| data | policy | seeds | k-means | mean member | ensemble | last round | NMI | above ensemble "
        "| above best round | purity | coverage | member-epochs | minutes |",
        "|" + "---|" * 14,
    ]
    lines += [_policy_line(name, policy, files) for (name, policy), files in groups.items()]
    lines += ["", "## Labellers on the same members, after the first round", ""]
    lines += [
        "| data | members | labeller | purity | coverage | smallest bucket | ACC of the sure rows |",
        "|" + "---|" * 7,
    ]
    for (name, policy), files in groups.items():
        if policy in ("default", "unsupervised start"):
            lines += [_labeller_line(name, policy, labeller, files) for labeller in RULES]
    lines += ["", _criterion([file["scores"] for files in groups.values() for file in files])]
    return "\n".join(lines) + "\n"


def _criterion(runs):
    """One sentence on how well the members' agreement, which needs no labels, tells good rounds from bad."""
    pairs = [scores[:, [SCORES.index("agreement"), SCORES.index("acc")]] for scores in runs]
    overall = np.corrcoef(np.concatenate(pairs).T)[0, 1]
    within = [np.corrcoef(pair.T)[0, 1] for pair in pairs if len(pair) > 2 and (np.ptp(pair, axis=0) > 0).all()]
    inside = f", {np.mean(within):.2f} within a run (mean of {len(within)})" if within else ""
    return f"Agreement of the members against ACC: correlation {overall:.2f} over all rounds of all runs{inside}."


def _policy_line(name, policy, files):
    scores = [file["scores"] for file in files]
    first = {score: [100 * s[0, i] for s in scores] for i, score in enumerate(SCORES)}
    last = {score: [100 * s[-1, i] for s in scores] for i, score in enumerate(SCORES)}
    above = [a - b for a, b in zip(last["acc"], first["acc"], strict=True)]
    best = [100 * (s[-1, 0] - s[:, 0].max()) for s in scores]
    seconds = [s[:, SCORES.index("seconds")].sum() for s in scores]
    cells = [
        [100 * float(file["kmeans"]) for file in files],
        first["member_acc"],
        first["acc"],
        last["acc"],
        last["nmi"],
    ]
    cells += [above, best, last["purity"], last["coverage"]]
    epochs = np.mean(last["member_epochs"]) / 100
    written = " | ".join(_cell(cell) for cell in cells)
    return f"| {name} | {policy} | {len(files)} | {written} | {epochs:,.0f} | {np.mean(seconds) / 60:.1f} |"


def _labeller_line(name, policy, labeller, files):
    found = []
    for file in files:
        graph, truth = SimilarityGraph(file["labels"][0]), file["truth"]
        n_clusters = int(file["n_clusters"])
        buckets = LABELLERS[labeller](graph, n_clusters)
        sure = buckets >= 0
        smallest = np.bincount(buckets[sure], minlength=n_clusters).min()
        found.append(
            [
                100 * purity(truth[sure], buckets[sure]),
                100 * sure.mean(),
                smallest,
                100 * ACC(truth[sure], buckets[sure]),
            ]
        )
    return f"| {name} | {policy} | {labeller} | {' | '.join(_cell(column) for column in np.transpose(found))} |"


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
    tabulator.add_argument("--output", metavar="FILE", help="default: standard output")
    args = parser.parse_args(argv)
    try:
        if args.command == "run":
            run(args)
            return 0
        text = tables(args.folder)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.output is None:
        print(text, end="")
        return 0
    with atomic_path(args.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
