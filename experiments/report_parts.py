"""Sections of the report as HTML strings; everything shown is escaped."""

import json
from html import escape

import numpy as np

from experiments.report_cards import card, image_grid, item
from experiments.report_charts import (
    BARS,
    confidence_bars,
    confusion_matrix,
    core_drawing,
    reliability_chart,
    rounds_chart,
    scatter,
    size_bars,
)
from experiments.run_folder import METHODS
from experiments.stage_config import stage_names
from experiments.svg import counted, legend
from kingdra_cluster.progress import duration

SCORES = ("acc", "nmi", "ari")


def result(seed, summary):
    """Facts in large figures and, where the truth is known, the scores beside their baselines."""
    metrics, shown = seed.metrics, []
    last = next((metrics[key] for key in ("refined", "kingdra", "cluster") if metrics.get(key)), None)
    if last:
        shown.append((percent(last["acc"]), "accuracy (ACC)"))
    if metrics.get("purity") is not None:
        shown.append((percent(metrics["purity"]), "of the pseudo-labels are pure"))
    if seed.tells_sure:
        shown.append((percent(metrics["coverage"]), "of the rows are sure: they have a pseudo-label"))
    if "agreement" in metrics:
        shown.append((percent(metrics["agreement"]), "agreement of two members"))
    shown.append((f"{metrics['rows']:,}", f"rows of {counted(metrics['columns'], 'column')}"))
    of_all = seed.exhibits["n_clusters"]
    shown.append((f"{metrics['clusters']} of {of_all}", "cluster has rows" if of_all == 1 else "clusters have rows"))
    if "interval" in metrics:
        low, high = metrics["interval"]
        shown.append((f"{metrics['estimated_clusters']}", f"clusters estimated: from {low} to {high}"))
    if "rounds" in metrics:
        number, words = counted(metrics["rounds"], "round").split()
        shown.append((number, f"{words}, {metrics['supervised_rounds']} with pseudo-labels"))
    shown.append((duration(metrics["seconds"]), "of training"))
    facts = "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in shown)
    return f'<div class="facts">{facts}</div>' + _scores(seed, summary)


def _scores(seed, summary):
    """Table of mean and standard deviation over the seeds, a bar below each figure."""
    methods = [(key, name) for key, name in METHODS.items() if summary["mean"].get(key)]
    if not methods:
        return (
            '<p class="note">No true classes are known here, so nothing on this page says how right the clusters are: '
            "agreement, sure rows and confidence say how stable they are.</p>"
        )
    rows = []
    for key, name in methods:
        cells = "".join(_score(summary["mean"][key].get(s), (summary["std"].get(key) or {}).get(s)) for s in SCORES)
        ours = ' class="ours"' if key == methods[-1][0] else ""
        rows.append(f"<tr{ours}><td>{escape(name)}</td>{cells}</tr>")
    seeds, round_number = summary["seeds"], summary["mean"].get("ensemble_round", 0) + 1
    of_rounds = (
        f"Mean member and aligned ensemble: the same networks after round {round_number:g}, the last without "
        "pseudo-labels, so without the graph. "
    )
    of_rounds = of_rounds if "ensemble_round" in summary["mean"] else ""
    over = f"Seed {seeds[0]} alone." if len(seeds) == 1 else f"Mean ± standard deviation of seeds {_listed(seeds)}."
    return (
        f'<div class="card"><h2>Beside its baselines</h2><p class="note">{over} k-means: the best of 10 starts on '
        f"the same rows. {of_rounds}Clusters are matched to classes one to one, after the fact.</p>"
        f'<div class="scroll"><table><tr><th></th><th>ACC %</th><th>NMI %</th><th>ARI %</th></tr>{"".join(rows)}'
        "</table></div></div>"
    )


def _score(mean, std):
    if mean is None:
        return "<td>-</td>"
    left, width = 100 * max(0, mean - (std or 0)), 200 * (std or 0)
    whisker = f'<em style="left:{left:.1f}%;width:{width:.1f}%"></em>' if std else ""
    deviation = f" ± {100 * std:.1f}" if std is not None else ""
    bar = f'<div class="bar"><i style="width:{100 * max(0, mean):.1f}%"></i>{whisker}</div>'
    return f"<td>{100 * mean:.1f}{deviation}{bar}</td>"


def rounds(seed):
    """Chart and table of the rounds, and the sizes of the clusters."""
    history = seed.history if "rounds" in seed.metrics else []
    names = {"agreement": "agreement of members", "coverage": "rows with a pseudo-label", "purity": "their purity"}
    names["acc"] = "accuracy (ACC)"
    series = [(name, [record.get(key) for record in history]) for key, name in names.items()]
    series = [(name, values) for name, values in series if any(value is not None for value in values)]
    shaded = next((i for i, record in enumerate(history) if record["supervised"]), None)
    cards = {card["cluster"]: card["sure"] for card in seed.exhibits["clusters"]}
    sizes = [0] * seed.exhibits["n_clusters"]
    for one in seed.exhibits["clusters"]:
        sizes[one["cluster"]] = one["rows"]
    sure = [cards.get(cluster, 0) for cluster in range(len(sizes))]
    shown = "Rows, and how many of them are sure" if seed.tells_sure else "Rows of each"
    shown += f"; the {BARS} largest" if len(cards) > BARS else ""
    by_round = (
        '<div class="card"><h2>Round by round</h2><p class="note">Networks come to agree, and the '
        f"rows on which they do teach them in the next round.</p>{rounds_chart(series, len(history), shaded)}"
        f"<details><summary>All figures</summary>{_history_table(history)}</details></div>"
        if history
        else ""
    )
    return (
        f'<div class="cards">{by_round}'
        f'<div class="card"><h2>Size of the clusters</h2><p class="note">{shown}.'
        f"</p>{size_bars(sizes, sure, seed.cluster_names, seed.tells_sure)}</div></div>"
    )


def _history_table(history):
    percents = {"agreement": "agreement", "coverage": "sure", "purity": "pure", "changed": "changed", "acc": "ACC"}
    known = {key: name for key, name in percents.items() if any(record.get(key) is not None for record in history)}
    names = [
        "round",
        "epochs",
        *known.values(),
        "smallest core",
        *(f"loss: {name}" for name in _losses(history)),
        "time",
    ]
    rows = []
    for record in history:
        cells = [record["round"] + 1, record["epochs"], *(percent(record.get(key)) for key in known)]
        cells.append(record.get("smallest_bucket", "-"))
        cells += [_number(record.get("losses", {}).get(name)) for name in _losses(history)]
        rows.append([*cells, duration(record["seconds"])])
    return table(names, rows)


def _losses(history):
    return list(dict.fromkeys(name for record in history for name in record.get("losses", {})))


def maps(seed):
    """The map by cluster and, where the truth is known, by class; the cores of the graph."""
    shown, graph = seed.exhibits["map"], seed.exhibits["graph"]
    size = f"{len(shown['labels']):,} of {seed.exhibits['n_rows']:,} rows"
    numbers = [str(c) for c in range(seed.exhibits["n_clusters"])]
    hollow = "Hollow: unsure. " if seed.tells_sure else ""
    boxes = [
        f'<div class="card"><h2>By cluster</h2><p class="note">{size}: {shown["of"]} in two dimensions '
        f"({shown['method']}). {hollow}Distances between groups mean little.</p>"
        f"{scatter(shown['points'], shown['labels'], numbers, shown['sure'])}</div>"
    ]
    if shown["truth"] is not None:
        drawn = scatter(shown["points"], shown["truth"], seed.exhibits["classes"])
        boxes.append(
            '<div class="card"><h2>By class</h2><p class="note">The same rows in the colours of their true classes, '
            f"which the networks never saw.</p>{drawn}</div>"
        )
    if graph is not None:
        left_out = f" {graph['omitted_rows']:,} rows in rarer circles are not drawn." if graph["omitted_rows"] else ""
        boxes.append(
            '<div class="card"><h2>Cores of the similarity graph</h2><p class="note">A circle is a set of rows to '
            f"which each of the {graph['n_members']} members gives one label; a line joins circles on which members "
            "agree. Coloured: sure after the last round. "
            f"{counted(graph['tuples'], 'circle')} in all, the largest drawn.{left_out}</p>"
            f"{core_drawing(graph)}{legend([('c0', 'sure, by cluster'), ('hollow', 'unsure')])}</div>"
        )
    return f'<div class="cards">{"".join(boxes)}</div>'


def clusters(seed):
    """A card a cluster."""
    cards, found = seed.exhibits["clusters"], seed.metrics["clusters"]
    note = f" The {len(cards)} largest of {found}." if len(cards) < found else ""
    bar = "The bar is the share of sure rows. " if seed.tells_sure else ""
    return (
        f'<h2>Clusters</h2><p class="note">{bar}Rivals: the other clusters that get most of the probability of these '
        f"rows.{note}</p>"
        f'<div class="cards">{"".join(card(one, seed) for one in cards)}</div>'
    )


def doubtful(seed):
    """The rows of the whole set whose two likeliest clusters are closest; nothing where there is but one cluster."""
    if seed.exhibits["n_clusters"] == 1:
        return ""
    found, kind = seed.exhibits["doubtful"], seed.exhibits["kind"]
    if kind == "vectors":
        names = ["row", "likeliest cluster", "second", "difference"]
        inside = table(names, [_vector_cells(one) for one in found])
    else:
        inside = "".join(item(one, seed) for one in found)
        inside = image_grid(inside, seed, "large") if kind == "images" else inside
    return (
        '<div class="card"><h2>Most doubtful rows</h2><p class="note">The rows whose two likeliest clusters are '
        f"closest: look at these first.</p>{inside}</div>"
    )


def _vector_cells(one):
    pairs = one["clusters"]
    cells = [f"{cluster} ({percent(share)})" for cluster, share in pairs]
    difference = percent(pairs[0][1] - pairs[1][1]) if len(pairs) > 1 else "-"
    return [one["row"], *(cells + ["-"])[:2], difference]


def trust(seed):
    """Confidence and, where the truth is known, calibration and confusion."""
    boxes = [
        '<div class="card"><h2>How sure</h2><p class="note">Rows by their largest probability.</p>'
        f"{confidence_bars(seed.exhibits['confidence'], seed.tells_sure)}</div>"
    ]
    if "calibration" in seed.exhibits:
        table_of = seed.exhibits["calibration"]
        boxes.append(
            f'<div class="card"><h2>How right, by how sure</h2><p class="note">Expected calibration error '
            f"{percent(table_of['ece'])}. Above the line: more right than sure.</p>{reliability_chart(table_of)}</div>"
        )
    grid = f'<div class="cards">{"".join(boxes)}</div>'
    if "confusion" not in seed.exhibits:
        return grid
    confusion = seed.exhibits["confusion"]
    drawn = confusion_matrix(confusion["table"], confusion["order"], seed.exhibits["classes"])
    return grid + (
        '<div class="card"><h2>Where each class went</h2><p class="note">Percent of a class (line) in a cluster '
        f'(column).</p><div class="scroll">{drawn}</div></div>'
    )


def made(seed):
    """Settings and manifest."""
    manifest = {key: value for key, value in seed.manifest.items() if key != "config"}
    data = manifest.get("data", {})
    facts = [
        ("data", f"{data.get('name')}, {data.get('rows', 0):,} rows; source: {data.get('source', 'unknown')}"),
        ("data hash (sha256)", data.get("sha256", "-")),
        ("stages", ", ".join(stage_names(seed.config))),
        ("member-epochs", f"{seed.metrics.get('member_epochs', 0):,}"),
        ("peak memory of the main process", f"{seed.metrics.get('peak_rss_mb') or '-'} MB"),
    ]
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts)
    return (
        f'<div class="card"><h2>How it was made</h2><dl class="facts-list">{lines}</dl>'
        f"<details><summary>Configuration</summary>{_json(seed.config)}</details>"
        f"<details><summary>Manifest: versions, threads, data</summary>{_json(manifest)}</details></div>"
    )


def footer(seed):
    """Where the page comes from."""
    version = seed.manifest.get("versions", {}).get("kingdra_cluster")
    made_by = "kingdra_cluster" if version is None else f"kingdra_cluster {version}"
    return (
        f"Details are those of seed {seed.number}. Made by {escape(made_by)}; nothing here was loaded from elsewhere."
    )


def table(names, rows):
    """An HTML table that scrolls sideways where it is too wide."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def percent(share):
    """A share as a percentage; a dash for None."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value):
    return "-" if value is None or not np.isfinite(value) else f"{value:.4g}"


def _listed(seeds):
    return ", ".join(map(str, seeds))


def _json(content):
    return f"<pre>{escape(json.dumps(content, indent=1, ensure_ascii=False))}</pre>"
