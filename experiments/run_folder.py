"""Files of a run: ``runs/<name>/seed_<s>/`` and the summary beside them.  Every file is replaced atomically.

``config.json`` says what was asked, ``manifest.json`` with what it ran, ``history.jsonl`` what happened in each round,
``metrics.json`` how good it is, ``labels.csv`` which row went where.  A seed with ``metrics.json`` is finished.
"""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np

from experiments.config import differences
from kingdra_cluster.persistence import read_json, replacing

METHODS = {
    "kmeans": "k-means",
    "member_mean": "mean member",
    "ensemble": "aligned ensemble",
    "kingdra": "Kingdra",
    "cluster": "clustering",
    "refined": "refined",
}


def seed_folder(folder, seed):
    """Folder of one seed of a run."""
    return Path(folder) / f"seed_{seed}"


def check_writable(folder, option):
    """Refuse a folder that is a file, or that could not be made or written.

    Parameters
    ----------
    folder : path-like
    option : str
        Where it was given, for the message.

    Raises
    ------
    ValueError
        If it is; the message names what stands in the way.
    """
    there = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{option} must be a folder, received {folder}: {there} is a file; give another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{option} must be a folder to write to, received {folder}: {there} cannot be written.")


def pending_seeds(folder, config, resume):
    """Seeds that are still to run.

    Parameters
    ----------
    folder : path-like
        Folder of the run.
    config : dict
        Complete configuration.
    resume : bool
        Whether seeds that were started may be gone on with.

    Returns
    -------
    seeds : list of int
        Those of the configuration that have no ``metrics.json`` yet.

    Raises
    ------
    ValueError
        If a seed was started and `resume` is false, or the folder holds seeds of another configuration.
    """
    for path in sorted(Path(folder).glob("seed_*/config.json")):
        changed = differences(read_json(path), config)
        if changed:
            advice = "give another folder with --output"
            raise ValueError(f"{path.parent} was made with another configuration: {', '.join(changed)}; {advice}.")
    started = [seed for seed in config["seeds"] if seed_folder(folder, seed).exists()]
    if started and not resume:
        there = seed_folder(folder, started[0])
        raise ValueError(f"{there} exists: go on with --resume, or give another folder with --output.")
    return [seed for seed in config["seeds"] if not (seed_folder(folder, seed) / "metrics.json").exists()]


def check_finished(folder, seeds, sha256):
    """Print which seeds are finished and kept, and refuse to go on with a folder whose finished seeds saw other data.

    Parameters
    ----------
    folder : path-like
        Folder of the run.
    seeds : list of int
        Those of the configuration.
    sha256 : str
        Hash of the rows that the run has now.

    Raises
    ------
    ValueError
        If the manifest of a finished seed, also of one that is not asked for, has another hash.
    """
    for path in sorted(Path(folder).glob("seed_*/metrics.json")):
        before = read_json(path.parent / "manifest.json")["data"].get("sha256", sha256)
        if before != sha256:
            advice = "give another folder with --output"
            raise ValueError(f"{path.parent} was made from other data (sha256 differs); {advice}.")
    for seed in seeds:
        if (seed_folder(folder, seed) / "metrics.json").exists():
            print(f"seed {seed} is finished, kept")


def write_json(path, content, indent=2):
    """Write JSON, with an indent unless it is None."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def write_text(path, text):
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


class HistoryWriter:
    """Callback of the estimator: a line a round in ``history.jsonl``, with scores where the truth is known.

    Called again for a round that is already there, after a resume, it replaces that round and what follows.

    Parameters
    ----------
    path : path-like
        The file.
    truth : array of shape (n,), optional
        Class numbers.
    """

    def __init__(self, path, truth=None):
        self.path, self.truth = Path(path), truth

    def __call__(self, estimator, record):
        """Write the line of a round."""
        lines = {line["round"]: line for line in [*estimator.history_, *self.read()] if line["round"] < record["round"]}
        lines[record["round"]] = {**record, **self._judge(estimator)}
        write_text(self.path, "".join(json.dumps(lines[key]) + "\n" for key in sorted(lines)))

    def read(self):
        """The rounds written so far."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def _judge(self, estimator):
        pseudo_labels = np.asarray(estimator.pseudo_labels_)
        sure = pseudo_labels >= 0
        judged = {"coverage": float(np.mean(sure))}
        if self.truth is not None:
            from experiments.baselines import mean_scores, scores
            from kingdra_cluster.unsup_metrics import purity

            judged.update(scores(self.truth, estimator.labels_))
            judged["purity"] = float(purity(self.truth[sure], pseudo_labels[sure])) if sure.any() else None
            judged["member_mean"] = mean_scores(self.truth, estimator.similarity_graph_.labels)
        return judged


def write_epochs(path, history):
    """Write a line an epoch: the terms of a stage's loss, and whatever else it noted."""
    write_text(path, "".join(json.dumps({"epoch": epoch, **record}) + "\n" for epoch, record in enumerate(history)))


def write_labels(path, labels, confidence, pseudo_labels, classes=None, filenames=None):
    """Write ``labels.csv``: row, label, confidence, pseudo_label (blank where unsure), where known class and file.

    Parameters
    ----------
    path : path-like
        The file.
    labels, pseudo_labels : array of shape (n,)
        Cluster numbers; -1 in `pseudo_labels` is written as a blank, and None as blanks alone.
    confidence : array of shape (n,)
        Largest probability of each row.
    classes : sequence of length n, optional
        True class of each row.
    filenames : sequence of length n, optional
        File that each row was read from.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    known = {name: values for name, values in (("class", classes), ("file", filenames)) if values is not None}
    writer.writerow(["row", "label", "confidence", "pseudo_label", *known])
    for row, label in enumerate(labels):
        pseudo_label = "" if pseudo_labels is None or pseudo_labels[row] < 0 else int(pseudo_labels[row])
        more = [values[row] for values in known.values()]
        writer.writerow([row, int(label), f"{confidence[row]:.6f}", pseudo_label, *more])
    write_text(path, buffer.getvalue())


def summarize(folder):
    """Mean and standard deviation over the finished seeds, written to ``summary.json``.

    Parameters
    ----------
    folder : path-like
        Folder of the run.

    Returns
    -------
    summary : dict
        ``mean`` and ``std`` have the shape of ``metrics.json``; the deviation is that of a sample (n - 1), and None for
        a single seed.
    """
    paths = sorted(Path(folder).glob("seed_*/metrics.json"), key=lambda path: int(path.parent.name.partition("_")[2]))
    if not paths:
        raise ValueError(f"{folder} has no finished seed: no seed_*/metrics.json.")
    metrics = [read_json(path) for path in paths]
    config = read_json(paths[0].parent / "config.json")
    summary = {
        "name": config["name"],
        "data": config["data"]["name"],
        "features": (config["data"]["features"] or {}).get("kind"),
        "n_clusters": config["cluster"]["n_clusters"],
        "seeds": [one["seed"] for one in metrics],
        "mean": _over_seeds(metrics, np.mean),
        "std": _over_seeds(metrics, lambda values: np.std(values, ddof=1) if len(values) > 1 else None),
    }
    write_json(Path(folder) / "summary.json", summary)
    return summary


def table(summary):
    """The summary as a small table of text: ACC, NMI and ARI in percent, with the deviation over several seeds."""
    lines = [f"{'':18}{'ACC':>14}{'NMI':>14}{'ARI':>14}"]
    for key, name in METHODS.items():
        mean, std = summary["mean"].get(key), summary["std"].get(key) or {}
        if mean:
            cells = [_percent(mean.get(score), std.get(score)) for score in ("acc", "nmi", "ari")]
            lines.append(f"{name:18}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def _percent(mean, std):
    deviation = "" if std is None else f" ± {100 * std:.1f}"
    return "-" if mean is None else f"{100 * mean:.1f}{deviation}"


def _over_seeds(metrics, reduce):
    """Apply a function to each number, over the seeds that have it; texts, truth values and seeds are left out."""
    result = {}
    for key in metrics[0]:
        values = [one[key] for one in metrics if one.get(key) is not None]
        if values and all(isinstance(value, dict) for value in values):
            result[key] = _over_seeds(values, reduce)
        elif values and key != "seed" and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            reduced = reduce(values)
            result[key] = None if reduced is None else float(reduced)
    return result
