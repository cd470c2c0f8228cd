"""``report.html``: one page that says what a run did and how far to trust it; nothing on it comes from the network.

Made of what lies in the run's folder alone (``summary.json``, and of each seed ``config.json``, ``manifest.json``,
``history.jsonl``, ``metrics.json``, ``exhibits.json``), so that it can be made again at any time, without the data.
"""

import json
from html import escape
from pathlib import Path

from experiments import report_parts as parts
from experiments.run_folder import summarize, write_text
from kingdra_cluster.persistence import read_json

NAME, EXHIBITS = "report.html", "exhibits.json"
STYLE = Path(__file__).with_name("report.css")


class Seed:
    """Files of one finished seed, read.

    Parameters
    ----------
    folder : path-like
        Such as ``runs/<name>/seed_0``.
    """

    def __init__(self, folder):
        folder = Path(folder)
        self.config, self.metrics, self.manifest, self.exhibits = (
            read_json(folder / name) for name in ("config.json", "metrics.json", "manifest.json", EXHIBITS)
        )
        lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        self.history = [json.loads(line) for line in lines]
        self.number = self.metrics["seed"]
        self.tells_sure = "coverage" in self.metrics  # a single network does not
        names, match = self.exhibits["classes"], self.exhibits["match"]
        self.cluster_names = [str(c) for c in range(self.exhibits["n_clusters"])]
        if match is not None:
            self.cluster_names = [f"{c} ({names[k]})" if k >= 0 else str(c) for c, k in enumerate(match)]


def seed_folders(folder):
    """Folders of the finished seeds of a run, by number.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    found = [path.parent for path in Path(folder).glob("seed_*/metrics.json")]
    if not found:
        raise FileNotFoundError(f"{folder} has no finished seed: no seed_*/metrics.json.")
    return sorted(found, key=lambda path: int(path.name.partition("_")[2]))


def write_report(folder, seed=None):
    """Write ``report.html`` into the folder of a run.

    Parameters
    ----------
    folder : path-like
        Such as ``runs/<name>``.
    seed : int, optional
        The seed that is shown in detail; the first by default, so that none is picked by its score.

    Returns
    -------
    path : Path or None
        The page; None if no seed has exhibits (they are made at the end of a seed, or by ``run_exp.py report``).

    Raises
    ------
    FileNotFoundError
        If there is no finished seed, or not the one asked for.
    """
    folder = Path(folder)
    found = [path for path in seed_folders(folder) if (path / EXHIBITS).is_file()]
    if seed is not None:
        found = [path for path in found if path.name == f"seed_{seed}"]
        if not found:
            raise FileNotFoundError(f"{folder} has no finished seed_{seed} with {EXHIBITS}.")
    if not found:
        return None
    write_text(folder / NAME, page(Seed(found[0]), read_json(folder / "summary.json")))
    return folder / NAME


def report(folder, data_home=None):
    """Make the report of a run again, and of seeds that have none first what it shows: from the data and the model.

    Parameters
    ----------
    folder : path-like
        Folder of a run, or of one of its seeds, which is then shown in detail.
    data_home : path-like, optional
        Folder of the raw files, needed only where ``exhibits.json`` is missing.

    Returns
    -------
    path : Path
    """
    folder, seed = Path(folder), None
    if folder.name.startswith("seed_") and (folder / "metrics.json").is_file():
        folder, seed = folder.parent, folder.name.partition("_")[2]
    for path in seed_folders(folder):
        if not (path / EXHIBITS).is_file():
            _collect(path, data_home)
    summarize(folder)
    return write_report(folder, seed)


def _collect(path, data_home):
    from experiments.exhibits import write_exhibits
    from experiments.run import prepare
    from experiments.stages import load_stages

    config = read_json(path / "config.json")
    data = prepare(config["data"], data_home)
    write_exhibits(path / EXHIBITS, load_stages(path, data.X).shown, data, config["seeds"][0])


def page(seed, summary):
    """The whole page.

    Parameters
    ----------
    seed : Seed
        Shown in detail.
    summary : dict
        Content of ``summary.json``.

    Returns
    -------
    html : str
    """
    name = seed.config["name"]
    sections = [
        ("result", "Result", parts.result(seed, summary)),
        ("rounds", "Rounds" if "rounds" in seed.metrics else "Sizes", parts.rounds(seed)),
        ("map", "Map", parts.maps(seed)),
        ("clusters", "Clusters", parts.clusters(seed)),
        ("doubtful", "Doubtful rows", parts.doubtful(seed)),
        ("trust", "Trust", parts.trust(seed)),
        ("made", "How it was made", parts.made(seed)),
    ]
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in sections)
    about = f'<p class="note">{escape(seed.config["about"])}</p>' if seed.config["about"] else ""
    body = "".join(f'<section id="{key}">{content}</section>' for key, _, content in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"<header><div><h1>{escape(name).replace('_', '_<wbr>')}</h1>{about}<nav>{links}</nav></div></header>"
        f"<main>{body}</main>"
        f"<footer>{parts.footer(seed)}</footer></body></html>\n"
    )
