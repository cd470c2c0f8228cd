"""What RUC makes of a clustering: accuracy, calibration, accuracy under attack, before and after.

For each data set and seed, three answers for the same rows:

* "start": the clustering that is refined, k-means (labels) or one Ladder-IM network (probabilities).
* "plain": the mean of two of RUC's networks, trained on the start's labels by cross-entropy alone, for as many epochs.
* "ruc": RUC with its default arguments.

Sizes of an attack are in units of the rows' root mean square; the attacks see the true classes, nothing else does.
Prints a line for each answer, then the mean differences, and saves all numbers as JSON.

    python benchmarks/refine.py --data-home DIR [--smoke] [--sets digits mnist ...] [--start kmeans ladder]
                                [--seeds 0 1 2] [--output FILE.json] [--figures FOLDER]
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

from benchmarks.reports import save_report  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from experiments.trust_figures import attack_curves, calibration  # noqa: E402
from kingdra_cluster import RUC, CollapseWarning, LadderIM  # noqa: E402
from kingdra_cluster.batches import dense_rows  # noqa: E402
from kingdra_cluster.calibration import MCE, adaptive_ECE, brier_score, negative_log_likelihood  # noqa: E402
from kingdra_cluster.clean_split import split_quality  # noqa: E402
from kingdra_cluster.modes.base import predict_rows  # noqa: E402
from kingdra_cluster.modes.ruc_network import make_network, mean_classifier  # noqa: E402
from kingdra_cluster.persistence import manifest  # noqa: E402
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


def refine(name, section, start_name, seed, options):
    """Numbers and probabilities of the three answers for one data set, start and seed."""
    data = prepare(section, options.data_home)
    X, y = data.X, np.asarray(data.truth)
    n_clusters = len(np.unique(y))
    epochs = {"n_epochs": 3} if options.smoke else {}
    model = RUC(n_clusters, random_state=seed, **epochs)
    if start_name == "kmeans":
        start = np.eye(n_clusters, dtype=np.float32)[kmeans_labels(X, n_clusters, seed)]
    else:
        ladder = LadderIM(n_clusters, n_epochs=3 if options.smoke else 30, random_state=seed).fit(X)
        start = ladder.probabilities_
    began = time.perf_counter()
    model.fit(X, start)
    seconds = time.perf_counter() - began
    plain = plain_classifier(model, X, start.argmax(axis=1), model.scale_, seed)
    answers = {"start": start, "plain": predict_rows(plain, X), "ruc": model.probabilities_}
    classifiers = {"start": None, "plain": plain, "ruc": model.classifier_}
    numbers = {key: measure(X, y, answers[key], classifiers[key], model.scale_) for key in answers}
    precision, coverage = split_quality(model.clean_start_, start.argmax(axis=1), y)
    line = {"set": name, "start": start_name, "seed": seed, "rows": len(y), "seconds": seconds}
    return line | {"clean_precision": precision, "clean_coverage": coverage, "answers": numbers}, y, answers


def draw(folder, line, y, answers):
    """Reliability and attack curves of one line."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{line['set']}_{line['start']}_{line['seed']}"
    named = {"trained plainly": answers["plain"], "RUC": answers["ruc"]}
    calibration(y, named).savefig(folder / f"{stem}_calibration.png", dpi=110)
    curves = {}
    for title, key in (("trained plainly", "plain"), ("RUC", "ruc")):
        found = line["answers"][key]
        curves[title] = [found["acc"], *(found[f"pgd_{size}"] for size in SIZES)]
    figure = attack_curves(curves, [0, *SIZES], "largest change of an entry (root mean squares), 20 steps of PGD")
    figure.savefig(folder / f"{stem}_attack.png", dpi=110)


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path, metavar="DIR", help="folder of the raw data")
    parser.add_argument("--smoke", action="store_true", help="digits only, 3 epochs: half a minute")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), metavar="NAME")
    parser.add_argument("--start", nargs="+", choices=["kmeans", "ladder"], default=["kmeans"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw calibration and attack curves here")
    options = parser.parse_args(arguments)
    sets, seeds = (["digits"], [0]) if options.smoke else (options.sets, options.seeds)
    warnings.simplefilter("ignore", CollapseWarning)
    columns = ("acc", "ece", "brier", "fgsm_0.1", "pgd_0.05", "pgd_0.1", "pgd_0.2")
    print(f"{'data':21}{'start':8}{'seed':>4} {'answer':6}" + "".join(f"{column:>10}" for column in columns))
    lines = []
    for name in sets:
        for start_name in options.start:
            for seed in seeds:
                line, y, answers = refine(name, SETS[name], start_name, seed, options)
                lines.append(line)
                for key, found in line["answers"].items():
                    cells = "".join(f"{100 * found[c]:10.1f}" if c in found else " " * 10 for c in columns)
                    print(f"{name:21}{start_name:8}{seed:4} {key:6}{cells}", flush=True)
                if options.figures:
                    draw(options.figures, line, y, answers)
                save_report(options.output, {"manifest": manifest(), "lines": lines})
    gains = [line["answers"]["ruc"]["acc"] - line["answers"]["start"]["acc"] for line in lines]
    print(f"ACC gained: mean {100 * np.mean(gains):.2f}, least {100 * min(gains):.2f} points")


if __name__ == "__main__":
    main()
