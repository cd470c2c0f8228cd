"""Fill the tables of the pages on performance and scaling from the saved reports of the benchmarks.

In a page a table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; NAME is a key of TABLES here.  Its report
is FILE.json in the folder of results; where there is none, the table says so.

    python benchmarks/tables.py [--results DIR] [--check] [PAGE.md ...]
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reports import text_of  # noqa: E402

PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("performance", "scaling", "kingdra", "nnm"))]
PEERS = ("k-means", "Gaussian mixture", "spectral", "UMAP + HDBSCAN", "DEC", "DDC", "Kingdra")  # of the short table
BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def step(report):
    """Return the table of training steps."""
    head = ["step, batch 64", "ladder", "processor ms", "rate / plain", "GFLOP/s", "of the float32 peak"]
    lines = []
    for kind in report["steps"]:
        columns, units, *_ = kind["sizes"]
        name = f"{columns} columns, {units:,} units, {'with' if kind['labelled'] else 'without'} pseudo-labels"
        for ladder, x in kind["ladders"].items():
            share = f"{100 * x['share_of_float32_peak']:.0f} %"
            lines.append([name, ladder, x["processor_ms"], x["rate_against_plain"], x["gflops"], share])
    return head, lines


def parts(report):
    """Return where the milliseconds of the first kind of step go."""
    ladders = {name: x["parts_ms"] for name, x in report["steps"][0]["ladders"].items() if name != "literal"}
    keys = dict.fromkeys(key for found in ladders.values() for key in found)
    return ["ms a step", *ladders], [[key, *(found.get(key) for found in ladders.values())] for key in keys]


def graph(report):
    """Return the table of similarity graphs."""
    head = ["labels", "thresholds", "rows", "tuples", "seconds", "peak MB", "by ten shards", "growth exponent"]
    names = ("kind", "thresholds", "rows", "distinct_tuples", "seconds", "peak_mb", "shards_seconds")
    exponents = report["growth_exponents"]
    rows = max(line["rows"] for line in report["lines"])
    return head, [
        [*(x[name] for name in names), exponents.get(f"{x['kind']}, {x['thresholds']}") if x["rows"] == rows else None]
        for x in report["lines"]
    ]


def ensemble(report):
    """Return the table of members and workers."""
    head = ["where", "rows", "columns", "members", "workers", "seconds", "speed-up", "cores", "workers' peak MB"]
    names = ("way", "rows", "features", "members", "workers", "seconds", "speed_up", "cores", "workers_peak_mb")
    return head, [[x[name] for name in names] for x in report["lines"]]


def model(report):
    """Return the table of the model of time."""
    head = ["rows", "columns", "members", "workers", "seconds", "model", "error"]
    names = ("rows", "features", "members", "workers", "seconds", "model_seconds")
    lines = []
    for number, x in enumerate(line for line in report["lines"] if line["way"] == "loky"):
        error = f"{100 * (x['model_seconds'] / x['seconds'] - 1):+.0f} %" if number > 2 else "(gave the constants)"
        lines.append([*(x[name] for name in names), error])
    return head, lines


def end_to_end(report):
    """Return the rounds of whole fits."""
    head = ["rule", "rows", "round", "pseudo-labels taught", "seconds", "ACC %", "mean member %", "labelled rows"]
    return head, [
        [fit["rule"], fit["rows"], x["round"], "yes" if x["supervised"] else "no", x["seconds"], 100 * x["acc"]]
        + [100 * x["member_mean"], x["pseudo_labelled"]]
        for fit in report["fits"]
        for x in fit["rounds"]
    ]


def memory(report):
    """Return the memory of whole fits."""
    head = ["rule", "X", "X, MB", "main process before fit, MB", "at most, MB", "all workers together, at most, MB"]
    head += ["all processes, shared pages once, MB", "of which imports, MB"]
    names = ("X_mb", "parent_mb_before", "parent_peak_mb", "workers_peak_mb", "together_peak_mb", "imports_mb")
    return head, [[x["rule"], f"{x['rows']:,} x {x['columns']:,}", *(x.get(n) for n in names)] for x in report["fits"]]


def kills(report):
    """Return the table of killed fits."""
    head = ["kill", "after seconds", "finished rounds", "members of the next", "files half written", "bits at the end"]
    words = {None: "(killed again)", True: "the same", False: "OTHERS"}
    names = ("kill", "seconds", "rounds", "members", "unfinished")
    return head, [[*(x[name] for name in names), words[x["same"]]] for x in report["kills"]]


def starts(report):
    """Return what neighbours and communities give before any training, over the seeds of each data set."""
    head = ["data", "rows", "neighbours of the same class %", "k-means", "balance", "mean start"]
    head += ["vote of 10", "vote of 20", "vote of 40", "vote of all 100", "information of the starts", "of the classes"]
    groups = {}
    for line in report["runs"]:
        groups.setdefault(line["data"], []).append(line)
    names = ("neighbours", "k-means", "mean start", *head[6:9], "vote of all")
    table = []
    for data, lines in groups.items():
        scores = [_spread([100 * x for line in lines for x in np.ravel(line[name])]) for name in names]
        balances = ", ".join(f"{balance:g}" for balance in sorted({line["balance"] for line in lines}))
        information = [_spread([line[name] for line in lines], ".2f") for name in ("information", "of classes")]
        table.append([data, lines[0]["rows"], *scores[:2], balances, *scores[2:], *information])
    return head, table


def balances(report):
    """Return how the balance of the starts suits data of like and unlike sizes, and which is chosen."""
    votes = [name for name in report["runs"][0] if name.startswith("vote at")]
    head = ["data", "shares of the classes", "rows", "k-means", *(f"vote of 10, {name[8:]}" for name in votes)]
    groups = {}
    for line in report["runs"]:
        groups.setdefault((line["data"], line["ratio"]), []).append(line)
    return [*head, "unevenness", "agreement", "chosen"], [
        [
            data,
            "as they are" if ratio == 1 else f"from 1 to 1/{ratio:g}",
            lines[0]["rows"],
            *(_spread([100 * line[name] for line in lines]) for name in ("k-means", *votes)),
            _spread([line["unevenness"] for line in lines], ".2f"),
            _spread([line["agreement"] for line in lines], ".2f"),
            ", ".join(f"{line['chosen']:g}" for line in lines),
        ]
        for (data, ratio), lines in groups.items()
    ]


def counts(report):
    """Return the estimated numbers of clusters."""
    head = ["data", "classes", "estimate (interval), one for each seed"]
    groups = {}
    for line in report["runs"]:
        groups.setdefault((line["data"], line["clusters"]), []).append(line)
    return head, [
        [*group, ", ".join("{} ({} to {})".format(line["estimate"], *line["interval"]) for line in lines)]
        for group, lines in groups.items()
    ]


def _spread(values, form=".1f"):
    """Return mean and sample standard deviation as text."""
    spread = f" ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else ""
    return f"{np.mean(values):{form}}{spread}"


def nnm(report):
    """Return nearest-neighbour matching beside SCAN and k-means."""
    head = ["data", "rows", "method", "seeds", "ACC %", "NMI", "ARI", "best epoch and head by the truth", "minutes"]
    lines = []
    for x in report["table"]:
        spread = "" if x["+-"] is None else f" ± {x['+-']:.1f}"
        others = [None if x[key] is None else f"{x[key]:.1f}" for key in ("NMI", "ARI", "oracle", "minutes")]
        lines.append([x["data"], x["rows"], x["method"], x["seeds"], f"{x['ACC']:.1f}{spread}", *others])
    return head, lines


def simclr(report):
    """Return neighbours of the same class before and after SimCLR."""
    head = ["images", "seed", "epochs", "minutes", "vote, pixels %", "untrained", "trained", "gain", "share", "trained"]
    lines = []
    for x in report["lines"]:
        before, after = max(x["initial"]["vote"], x["untrained"]["vote"]), x["trained"]["vote"]
        votes = [x["pixels"]["vote"], before, after, after - before]
        shares = [x["untrained"]["share"], x["trained"]["share"]]
        facts = [x["images"], x["seed"], x["epochs"], x["minutes"]]
        lines.append([*facts, *(f"{value:.1f}" for value in (*votes, *shares))])
    return head, lines


def peers(report):
    """Return the accuracy of this package beside that of others, a line a data set."""
    lines = []
    for data in dict.fromkeys(run["data"] for run in report["runs"]):
        runs = [run for run in report["runs"] if run["data"] == data and "acc" in run]
        scores = [[100 * run["acc"] for run in runs if run["method"] == method] for method in PEERS]
        lines.append([data, runs[0]["rows"], *(_spread(values) if values else None for values in scores)])
    return ["ACC %", "rows", *PEERS], lines


TABLES = {  # name: file of the report, table
    "step": ("step", step),
    "parts": ("step", parts),
    "small_step": ("step_400", step),
    "graph": ("graph", graph),
    "ensemble": ("ensemble", ensemble),
    "model": ("ensemble", model),
    "end_to_end": ("end_to_end", end_to_end),
    "memory": ("end_to_end", memory),
    "large_memory": ("memory", memory),
    "kills": ("kills", kills),
    "starts": ("starts", starts),
    "counts": ("starts", counts),
    "balances": ("balances", balances),
    "simclr": ("simclr", simclr),
    "nnm": ("nnm", nnm),
    "peers": ("peers", peers),
}


def conditions(report):
    """Return a line that says on what a report was made."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    load = f", load average {machine['load_average']:.1f}" if machine.get("load_average") is not None else ""
    return f"Measured on {machine['cpu_count']} cores{load}; Python {machine['python']}, {versions}.\n"


def table(name, results):
    """Return a table in Markdown, with the conditions under which it was measured."""
    file, make = TABLES[name]
    path = Path(results) / f"{file}.json"
    if not path.is_file():
        return f"Not measured yet: no {file}.json.\n"
    report = json.loads(path.read_text(encoding="utf-8"))
    head, lines = make(report)
    rows = [head, ["---"] * len(head), *([text_of(value) for value in line] for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n" + conditions(report)


def fill(text, results):
    """Return a page with all its tables made anew."""
    return BLOCK.sub(lambda found: found[1] + table(found[2], results) + found[3], text)


def main(arguments=None):
    """Fill the pages; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE.md", help="default: all that have tables")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page is not what it would be")
    options = parser.parse_args(arguments)
    for page in options.pages or PAGES:
        before = page.read_text(encoding="utf-8")
        after = fill(before, options.results)
        if options.check and before != after:
            sys.exit(f"{page.name} is not made from {options.results}: run python benchmarks/tables.py")
        if not options.check:
            page.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
