"""Write a page of results from the files of finished runs, so that no figure on it is typed by hand.

    python benchmarks/quality.py runs/kingdra_ladder_im_* --output docs/results_published_rule.md
    python benchmarks/quality.py --list                    commands of the reduced experiments
    python benchmarks/quality.py --run --data-home DIR     run them one after the other, then write the page

The published columns are those of the Kingdra paper (ICLR 2020, accuracy only).  Its features are not available, so
they stand beside ours for orientation; the honest comparison is what the graph adds to the ensemble.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from experiments.run_folder import METHODS, summarize  # noqa: E402
from kingdra_cluster.persistence import read_json, replacing  # noqa: E402

PUBLISHED = {  # ACC in percent with its deviation; the key of a row is the key of metrics.json
    "mnist": {"kmeans": (53.3, 0.1), "member_mean": (95.0, 2.8), "ensemble": (95.1, 0.4), "kingdra": (98.5, 0.4)},
    "stl10": {"kmeans": (85.0, 0.2), "member_mean": (90.7, 1.8), "ensemble": (91.5, 0.3), "kingdra": (95.1, 0.1)},
    "cifar10": {"kmeans": (34.4, 0.9), "member_mean": (49.5, 2.9), "ensemble": (51.5, 0.9), "kingdra": (54.6, 0.9)},
    "reuters": {"kmeans": (53.7, 0.4), "member_mean": (68.2, 2.8), "ensemble": (69.0, 3.4), "kingdra": (70.5, 2.0)},
    "20news": {"kmeans": (14.0, 1.5), "member_mean": (38.4, 2.5), "ensemble": (40.5, 0.6), "kingdra": (43.9, 1.4)},
}
REDUCED = {  # fewer rows and rounds than the configurations: minutes a seed on two cores
    "digits": [],
    "mnist": ["data.subset=5000", "cluster.n_rounds=4", "cluster.epochs_first_round=10"],
    "20news": ["data.subset=3000", "cluster.n_rounds=4"],
    "reuters_r8": ["data.subset=3000", "cluster.n_rounds=4"],
}
SEEDS = ["0", "1", "2"]


def commands(data_home=None):
    """Command of each reduced experiment, as lists of arguments, by data set."""
    found = {}
    for name, settings in REDUCED.items():
        config = f"configs/kingdra_ladder_im_{name}.json"
        more = ["--set", *settings] if settings else []
        home = ["--data-home", str(data_home)] if data_home else []
        output = ["--output", f"runs/quality/{name}", "--resume"]
        found[name] = ["python", "run_exp.py", config, *more, "--seeds", *SEEDS, "--n-jobs", "2", *home, *output]
    return found


def page(folders):
    """Markdown page of the results of several runs.

    Parameters
    ----------
    folders : sequence of path-like
        Folders of runs, each with at least one finished seed.

    Returns
    -------
    text : str
    """
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/quality.py` from the files of the runs: percent, mean ± sample standard deviation over",
        "seeds.  *Mean member* and *aligned ensemble* are those of the last round before supervision: the same",
        "training without the graph.  *Published* is the Kingdra paper (ICLR 2020), on features of its own that are",
        "not available: compare differences, not levels.  Minutes are those of the runs, with whatever else the",
        "machine was doing at the time.",
        "",
    ]
    runs = [(summarize(folder), _config(folder)) for folder in folders]
    lines += ["| data | graph adds to the ensemble, ACC points | published |", "|---|---|---|"]
    lines += [_difference(summary) for summary, _ in runs if "kingdra" in summary["mean"]]
    for summary, config in runs:
        lines += ["", *section(summary, config)]
    return "\n".join(lines) + "\n"


def section(summary, config):
    """Heading, settings and table of one run, as lines of Markdown."""
    mean, std = summary["mean"], summary["std"]
    published = PUBLISHED.get(summary["data"], {})
    lines = [f"## {config['name']}", "", settings(summary, config), ""]
    lines += ["| | ACC | NMI | ARI | published ACC, other features |", "|---|---|---|---|---|"]
    for key, name in METHODS.items():
        if key in mean:
            cells = [_cell(mean[key][score], (std.get(key) or {}).get(score)) for score in ("acc", "nmi", "ari")]
            other = f"{published[key][0]:.1f} ± {published[key][1]:.1f}" if key in published else "-"
            lines.append(f"| {name} | {' | '.join(cells)} | {other} |")
    return lines


def settings(summary, config):
    """One sentence on what was run: rows, features, seeds, rounds, epochs, time, memory, pseudo-labels."""
    mean = summary["mean"]
    cluster, usual = config["cluster"], _usual_rounds(config["name"])
    rounds = f"{mean['rounds']:g} rounds"
    if usual is not None and usual != cluster["n_rounds"]:
        rounds += f" (the configuration has {usual})"
    subset = " drawn at random" if config["data"].get("subset") else ""
    parts = [
        f"{mean['rows']:,.0f} rows{subset} of {mean['columns']:,.0f} columns",
        f"features {summary['features'] or 'as they are'}",
        f"{summary['n_clusters']} clusters",
        f"seeds {', '.join(map(str, summary['seeds']))}",
        f"{cluster['n_members']} members",
        f"{rounds}, {mean['supervised_rounds']:.3g} of them with pseudo-labels",
        f"{mean['member_epochs']:,.0f} member-epochs",
        f"{mean['seconds'] / 60:.1f} minutes a seed",
    ]
    if "peak_rss_mb" in mean:
        parts.append(f"{mean['peak_rss_mb'] / 1000:.1f} GB in the main process")
    if mean.get("workers_peak_rss_mb"):
        parts.append(f"{mean['workers_peak_rss_mb'] / 1000:.1f} GB in its workers together")
    text = f"{'; '.join(parts)}.  At the end {100 * mean['coverage']:.0f} % of the rows had a pseudo-label"
    return text + (f", {100 * mean['purity']:.1f} % of them pure." if "purity" in mean else ".")


def _difference(summary):
    mean, published = summary["mean"], PUBLISHED.get(summary["data"])
    gain = 100 * (mean["kingdra"]["acc"] - mean["ensemble"]["acc"])
    other = f"{published['kingdra'][0] - published['ensemble'][0]:+.1f}" if published else "-"
    return f"| {summary['name']} | {gain:+.1f} | {other} |"


def _cell(mean, std):
    return f"{100 * mean:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")


def _config(folder):
    return read_json(next(iter(sorted(Path(folder).glob("seed_*/config.json")))))


def _usual_rounds(name):
    path = ROOT / "configs" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["cluster"].get("n_rounds") if path.exists() else None


def main(argv=None):
    """Parse arguments, run what is asked for, write the page; the exit status is 0 or 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="folders of finished runs")
    parser.add_argument("--output", metavar="FILE", help="page to write (default: standard output)")
    parser.add_argument("--list", action="store_true", help="print the commands of the reduced experiments and stop")
    parser.add_argument("--run", action="store_true", help="run the reduced experiments first")
    parser.add_argument("--data-home", metavar="DIR", help="folder of raw data, for --run and --list")
    args = parser.parse_args(argv)
    if args.list:
        print("\n".join(" ".join(command) for command in commands(args.data_home).values()))
        return 0
    folders = args.runs
    if args.run:
        for command in commands(args.data_home).values():
            subprocess.run([sys.executable, *command[1:]], check=True, cwd=ROOT)
        folders = [*folders, *(ROOT / "runs" / "quality" / name for name in REDUCED)]
    if not folders:
        parser.error("name at least one folder of a run, or give --run or --list")
    try:
        text = page(folders)
    except (ValueError, OSError, StopIteration) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.output is None:
        print(text, end="")
    else:
        with replacing(args.output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
