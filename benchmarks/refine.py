"""What RUC makes of a clustering: accuracy, calibration, accuracy under attack, before and after.

For each data set, start and seed, three answers for the same rows:

* "start": the clustering that is refined: k-means (labels), one Ladder-IM network, NNM, or Kingdra (probabilities).
* "plain": the mean of two of RUC's networks, trained on the start's labels by cross-entropy alone, for as many epochs.
* "ruc": RUC with its default arguments.

Sizes of an attack are in units of the rows' root mean square; the attacks see the true classes, nothing else does.
Every combination leaves a file ``<set>_<start>_<seed>.json`` and its start in the folder ``--output`` and is not done
again; the page is made of the files.

    python benchmarks/refine.py --data-home DIR --output runs/refine [--sets digits mnist ...] [--start kmeans nnm ...]
                                [--seeds 0 1 2] [--page docs/results_refinement.md] [--figures] [--smoke]
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402

from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from experiments.trust_figures import attack_curves, calibration  # noqa: E402
from kingdra_cluster import NNM, RUC, CollapseWarning, KingdraCluster, LadderIM, PseudoLabelWarning  # noqa: E402
from kingdra_cluster.batches import dense_rows  # noqa: E402
from kingdra_cluster.calibration import MCE, adaptive_ECE, brier_score, negative_log_likelihood  # noqa: E402
from kingdra_cluster.clean_split import split_quality  # noqa: E402
from kingdra_cluster.modes.base import predict_rows  # noqa: E402
from kingdra_cluster.modes.ruc_network import make_network, mean_classifier  # noqa: E402
from kingdra_cluster.modes.ruc_start import SPLITS, clean_rows, features_of  # noqa: E402
from kingdra_cluster.persistence import manifest, read_arrays, read_json, write_arrays, write_json  # noqa: E402
from kingdra_cluster.robustness import accuracy_under_attack  # noqa: E402
from kingdra_cluster.unsup_metrics import ACC, ECE  # noqa: E402

FLAT = {"kind": "flatten"}
SETS = {
    "digits": {"name": "digits", "images": True, "features": FLAT},
    "mnist": {"name": "mnist", "subset": 10_000, "features": FLAT},
    "fashion_mnist": {"name": "fashion_mnist", "subset": 10_000, "features": FLAT},
    "cifar10_features": {
        "name": "arrays",
        "path": "cifar10_efficientnet_lite0.npz",
        "subset": 10_000,
        "features": {"kind": "none"},
    },
    "reuters_r8_features": {"name": "arrays", "path": "reuters_r8_minilm.npz", "features": {"kind": "none"}},
    "20news_features": {"name": "arrays", "path": "20news_minilm.npz", "subset": 10_000, "features": {"kind": "none"}},
}
STARTS = ("kmeans", "ladder", "nnm", "kingdra")
SIZES = (0.05, 0.1, 0.2)
ATTACKED_ROWS = 1000
SCORES = {
    "acc": lambda y, p: ACC(y, p.argmax(axis=1)),
    "ece": ECE,
    "mce": MCE,
    "adaptive_ece": adaptive_ECE,
    "brier": brier_score,
    "nll": negative_log_likelihood,
}


def plain_classifier(model, X, labels, scale, seed):
    """Two of the refinement's networks trained on labels alone, and their mean."""
    rows, networks = dense_rows(X, slice(None), scale), []
    for which in (0, 1):
        network = make_network(model, rows.shape[1:], [seed, which])
        steps = model.n_epochs * -(-len(rows) // model.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(model.learning_rate, steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(rate, momentum=model.momentum, nesterov=True), loss)
        order = np.random.default_rng([seed, which]).permutation(len(rows))
        network.fit(rows[order], labels[order], epochs=model.n_epochs, batch_size=model.batch_size, verbose=0)
        networks.append(network)
    return mean_classifier(networks, rows.shape[1:], scale)


def measure(X, y, probabilities, classifier, scale):
    """Scores of one answer and, given a classifier, its accuracy under attack on a sample of the rows."""
    found = {name: float(score(y, probabilities)) for name, score in SCORES.items()}
    if classifier is not None:
        rows = np.sort(np.random.default_rng(0).permutation(len(y))[:ATTACKED_ROWS])
        for attack in ("fgsm", "pgd"):
            sizes = [size * scale for size in SIZES]
            attacked = accuracy_under_attack(classifier, X[rows], y[rows], sizes, attack=attack, batch_size=500)
            found |= {f"{attack}_{size}": float(value) for size, value in zip(SIZES, attacked, strict=True)}
    return found


def clustering(name, start, seed, X, n_clusters, options):
    """Probabilities and, of Kingdra, pseudo-labels of the clustering to refine; made once, kept in the folder."""
    path = options.output / f"{name}_{start}_{seed}.npz"
    if path.exists():
        return read_arrays(path)
    epochs = {"n_epochs": 1} if options.smoke else {}
    if start == "kmeans":
        found = {"probabilities": np.eye(n_clusters, dtype=np.float32)[kmeans_labels(X, n_clusters, seed)]}
    elif start == "kingdra":
        mode = LadderIM(hidden_units=(400, 400))
        found = KingdraCluster(n_clusters, mode=mode, n_members=5, n_jobs=options.n_jobs, random_state=seed).fit(X)
        found = {"probabilities": np.clip(found.probabilities_, 0, 1), "pseudo_labels": found.pseudo_labels_}
    else:
        mode = NNM(n_clusters, random_state=seed, **epochs) if start == "nnm" else None
        mode = mode or LadderIM(n_clusters, hidden_units=(400, 400), random_state=seed, **epochs)
        found = {"probabilities": mode.fit(X).probabilities_}
    write_arrays(path, **found)
    return found


def split_qualities(model, X, y, found):
    """Precision and coverage of every way to choose clean rows."""
    features, qualities = features_of(X, None, model.scale_), {}
    for split in SPLITS:
        if "cores" in split and "pseudo_labels" not in found:
            continue
        asked = RUC(model.n_clusters, split=split)
        clean = clean_rows(asked, found["probabilities"], features, pseudo_labels=found.get("pseudo_labels"))
        precision, coverage = split_quality(clean, found["probabilities"].argmax(axis=1), y)
        qualities[split] = {"precision": precision, "coverage": coverage}
    return qualities


def refine(name, start, seed, options):
    """Write the numbers of the three answers for one data set, start and seed."""
    data = prepare(SETS[name] | ({"subset": 300} if options.smoke else {}), options.data_home)
    X, y = data.X, np.asarray(data.truth)
    n_clusters = len(np.unique(y))
    found = clustering(name, start, seed, X, n_clusters, options)
    before = found["probabilities"]
    model = RUC(n_clusters, random_state=seed, **({"n_epochs": 1} if options.smoke else {}))
    began = time.perf_counter()
    model.fit(X, before)
    seconds = time.perf_counter() - began
    plain = plain_classifier(model, X, before.argmax(axis=1), model.scale_, seed)
    answers = {"start": before, "plain": predict_rows(plain, X), "ruc": model.probabilities_}
    classifiers = {"start": None, "plain": plain, "ruc": model.classifier_}
    line = {"set": name, "start": start, "seed": seed, "rows": len(y), "seconds": seconds, "manifest": manifest()}
    line["splits"] = split_qualities(model, X, y, found)
    line["answers"] = {key: measure(X, y, answers[key], classifiers[key], model.scale_) for key in answers}
    write_json(options.output / f"{name}_{start}_{seed}.json", line)
    if options.figures:
        draw(options.output, line, y, answers)
    return line


def draw(folder, line, y, answers):
    """Reliability and attack curves of one line."""
    stem = f"{line['set']}_{line['start']}_{line['seed']}"
    named = {"trained plainly": answers["plain"], "RUC": answers["ruc"]}
    calibration(y, named).savefig(folder / f"{stem}_calibration.png", dpi=110)
    curves = {}
    for title, key in (("trained plainly", "plain"), ("RUC", "ruc")):
        found = line["answers"][key]
        curves[title] = [found["acc"], *(found[f"pgd_{size}"] for size in SIZES)]
    figure = attack_curves(curves, [0, *SIZES], "largest change of an entry (root mean squares), 20 steps of PGD")
    figure.savefig(folder / f"{stem}_attack.png", dpi=110)


def page(lines):
    """The lines as Markdown: means over seeds for each data set and start, and what all of them come to."""
    groups = {}
    for line in lines:
        groups.setdefault((line["set"], line["start"]), []).append(line)
    scores = ("ece", *(f"{attack}_{size}" for attack in ("fgsm", "pgd") for size in SIZES))
    text = [
        "# Results of refinement",
        "",
        "Written by `benchmarks/refine.py` from the files of its runs: percent, mean over seeds.  *Least*: the worst",
        "seed's change.  ECE and accuracy under attack are those of RUC's two networks trained plainly (on the same",
        "labels by cross-entropy alone, as many epochs) -> of RUC.  Attacks in units of the rows' root mean square.",
        "The clusterings `nnm` and `kingdra` are of earlier defaults, less accurate on digits and MNIST than today's.",
        "",
        _row(["data", "refined", "seeds", "ACC before", "after", "change", "least", *map(_title, scores)]),
        _row(["---"] * (7 + len(scores))),
    ]
    for (name, start), group in sorted(groups.items()):
        gains = [_gain(line) for line in group]
        accuracies = [f"{_mean(group, answer, 'acc'):.1f}" for answer in ("start", "ruc")]
        cells = [f"{_mean(group, 'plain', score):.1f} -> {_mean(group, 'ruc', score):.1f}" for score in scores]
        changes = [f"{np.mean(gains):+.1f}", f"{min(gains):+.1f}"]
        text.append(_row([name, start, str(len(group)), *accuracies, *changes, *cells]))
    gains = np.array([_gain(line) for line in lines])
    shares = [f"{_title(s)} in {100 * np.mean([_better(line, s) for line in lines]):.0f} %" for s in scores]
    text += ["", f"All {len(lines)} runs: ACC {gains.mean():+.2f} points, worst {gains.min():+.2f}; better than plain:"]
    text += [", ".join(shares) + " of them.", "", "Which rows are believed at first, precision / coverage:", ""]
    text += [_row(["data", "refined", *SPLITS]), _row(["---"] * (2 + len(SPLITS)))]
    for (name, start), group in sorted(groups.items()):
        text.append(_row([name, start, *(_split(group, split) for split in SPLITS)]))
    return "\n".join(text) + "\n"


def _row(cells):
    return f"| {' | '.join(cells)} |"


def _title(score):
    attack, _, size = score.partition("_")
    return f"{attack.upper()} {size}".strip()


def _mean(group, answer, score):
    return 100 * np.mean([line["answers"][answer][score] for line in group])


def _gain(line):
    return 100 * (line["answers"]["ruc"]["acc"] - line["answers"]["start"]["acc"])


def _better(line, score):
    difference = line["answers"]["ruc"][score] - line["answers"]["plain"][score]
    return difference < 0 if score == "ece" else difference > 0


def _split(group, split):
    found = [line["splits"][split] for line in group if split in line["splits"]]
    if not found:
        return ""
    return " / ".join(f"{100 * np.mean([one[part] for one in found]):.1f}" for part in ("precision", "coverage"))


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path, metavar="DIR", help="folder of the raw data")
    parser.add_argument("--output", type=Path, metavar="FOLDER", required=True, help="folder of the runs' files")
    parser.add_argument("--smoke", action="store_true", help="300 digits only, an epoch: some ten seconds")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), metavar="NAME")
    parser.add_argument("--start", nargs="+", choices=STARTS, default=["kmeans", "nnm"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--n-jobs", type=int, metavar="N", help="processes for the members of Kingdra")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page of all files in the folder here")
    parser.add_argument("--figures", action="store_true", help="draw calibration and attack curves beside the files")
    options = parser.parse_args(arguments)
    sets, seeds = (["digits"], [0]) if options.smoke else (options.sets, options.seeds)
    options.output.mkdir(parents=True, exist_ok=True)
    for category in (CollapseWarning, PseudoLabelWarning):
        warnings.simplefilter("ignore", category)
    columns = ("acc", "ece", "brier", "fgsm_0.1", "pgd_0.05", "pgd_0.1", "pgd_0.2")
    print(f"{'data':21}{'start':8}{'seed':>4} {'answer':6}" + "".join(f"{column:>10}" for column in columns))
    for name in sets:
        for start in options.start:
            for seed in seeds:
                path = options.output / f"{name}_{start}_{seed}.json"
                line = read_json(path) if path.exists() else refine(name, start, seed, options)
                for key, found in line["answers"].items():
                    cells = "".join(f"{100 * found[c]:10.1f}" if c in found else " " * 10 for c in columns)
                    print(f"{name:21}{start:8}{seed:4} {key:6}{cells}", flush=True)
    text = page([read_json(path) for path in sorted(options.output.glob("*.json"))])
    print("\n" + text)
    if options.page:
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
