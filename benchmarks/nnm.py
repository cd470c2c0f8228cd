"""Nearest-neighbour matching against SCAN and k-means, and without each of its parts: accuracy, mean over seeds.

Every run is one file of the folder `--runs`; a run whose file is there is not repeated, so that a table can grow over
days.  The table is made from the files alone.  Methods, each one change away from NNM's defaults:

* "nnm", and "no_local", "no_class_level", "no_global_level": without one of its terms; "scan": without all three.
* "shuffled": the global table filled in one order and read in another, as the published code does.
* "kmeans": scikit-learn's, 10 starts.

Two columns say what choosing without labels costs: "ACC" is that of the epoch and head with the lowest score, "oracle"
that of the best epoch and head by the true classes, "last" the mean of all heads after the last epoch.

    python benchmarks/nnm.py --data-home DIR --runs FOLDER [--smoke] [--sets digits ...] [--methods nnm scan ...]
                             [--seeds 0 1 2] [--epochs N] [--table] [--output FILE.json]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.reports import machine, print_table, save_report  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from kingdra_cluster import NNM  # noqa: E402
from kingdra_cluster.members import claim_threads  # noqa: E402
from kingdra_cluster.modes.nnm_batches import NeighborBatches  # noqa: E402
from kingdra_cluster.persistence import replacing  # noqa: E402
from kingdra_cluster.unsup_metrics import ACC, ARI, NMI  # noqa: E402

NONE, FLAT = {"kind": "none"}, {"kind": "flatten"}
TFIDF = {"kind": "tfidf", "max_features": 2000, "stop_words": "english"}
SETS = {
    "digits": {"name": "digits", "images": True, "features": FLAT},
    "fashion_mnist": {"name": "fashion_mnist", "subset": 10_000, "features": FLAT},
    "cifar10_features": {"name": "arrays", "path": "cifar10_efficientnet_lite0.npz", "features": NONE},
    "reuters_r8_features": {"name": "arrays", "path": "reuters_r8_minilm.npz", "features": NONE},
    "20news_features": {"name": "arrays", "path": "20news_minilm.npz", "features": NONE},
    "20news": {"name": "20news", "features": TFIDF},
    "mnist": {"name": "mnist", "subset": 10_000, "features": FLAT},
}
TERMS = ("local", "class_level", "global_level")
METHODS = {
    "nnm": {},
    "scan": dict.fromkeys(TERMS, False),
    **{f"no_{term}": {term: False} for term in TERMS},
    "shuffled": {},
    "kmeans": None,
}
SCORES = {"acc": ACC, "nmi": NMI, "ari": ARI}


class ShuffledBatches(NeighborBatches):
    """Batches whose global table holds for each row the answers that belong to another one."""

    def refresh(self, network):
        """Fill the table, then mix its rows up."""
        super().refresh(network)
        if self.with_global:
            order = np.random.default_rng([*self.seed, self.epoch, 2]).permutation(self.rows)
            self.partners[self.rows] = self.partners[order]


class WatchedNNM(NNM):
    """NNM that notes every head's accuracy after every epoch, for the oracle; its own choice doesn't see them."""

    batches_class = NeighborBatches

    def judge(self, network, X, rows, neighbors):
        """Score the heads as ever, and note how right they are."""
        answers = network.answers(X, np.arange(X.shape[0]), self.scale_)[1].argmax(axis=-1)
        self.accuracies.append([float(ACC(self.truth, labels)) for labels in answers.T])
        return super().judge(network, X, rows, neighbors)


def measure(name, method, seed, options):
    """Content of the file of one run."""
    data = prepare(SETS[name], options.data_home)
    X, y = data.X, np.asarray(data.truth)
    if options.smoke:
        X, y = X[:300], y[:300]
    n_clusters = int(y.max()) + 1
    run = {"set": name, "method": method, "seed": seed, "rows": len(y), "clusters": n_clusters, "machine": machine()}
    began = time.perf_counter()
    if method == "kmeans":
        labels = kmeans_labels(X, n_clusters, seed)
    else:
        epochs = {"n_epochs": options.epochs} if options.epochs else {}
        model = WatchedNNM(n_clusters, **METHODS[method], **epochs, random_state=seed)
        model.batches_class = ShuffledBatches if method == "shuffled" else NeighborBatches
        model.truth, model.accuracies = y, []
        labels = model.fit(X).labels_
        run |= {"parameters": model.get_params(), "history": model.history_, "accuracies": model.accuracies}
        run |= {"oracle": float(np.max(model.accuracies)), "last": float(np.mean(model.accuracies[-1]))}
        run |= {"best_epoch": model.best_epoch_, "best_head": model.best_head_}
    run["seconds"] = time.perf_counter() - began
    return run | {key: float(score(y, labels)) for key, score in SCORES.items()}


def table(runs):
    """Lines of the table: for each set and method the means over seeds, in percent."""
    lines = []
    for name in SETS:
        for method in METHODS:
            found = [run for run in runs if (run["set"], run["method"]) == (name, method)]
            if found:
                cells = [_mean(found, key) for key in ("acc", "nmi", "ari", "oracle", "last")]
                deviation = 100 * float(np.std([run["acc"] for run in found], ddof=1)) if len(found) > 1 else None
                minutes = float(np.mean([run["seconds"] for run in found])) / 60
                lines.append([name, found[0]["rows"], method, len(found), cells[0], deviation, *cells[1:], minutes])
    return lines


def _mean(runs, key):
    return 100 * float(np.mean([run[key] for run in runs])) if key in runs[0] else None


def read_runs(folder):
    """Content of every file of a folder of runs."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def main(arguments=None):
    """Run what is missing, print the table; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", type=Path, metavar="DIR", help="folder of the raw data")
    parser.add_argument("--runs", type=Path, metavar="FOLDER", help="a file a run, read and added to")
    parser.add_argument("--smoke", action="store_true", help="300 digits, 2 epochs, some methods: half a minute")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS)[:4], metavar="NAME")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--epochs", type=int, help="instead of the default of NNM")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="run nothing, only print the table of the files")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the table here as JSON")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.sets, options.methods, options.seeds = ["digits"], ["nnm", "scan", "shuffled", "kmeans"], [0]
        options.epochs = 2
    claim_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.runs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [(name, method, seed) for name in options.sets for seed in options.seeds for method in options.methods]
        for name, method, seed in [] if options.table else wanted:
            path = folder / f"{name}_{method}_{seed}.json"
            if not path.exists():
                run = measure(name, method, seed, options)
                with replacing(path) as temporary:
                    temporary.write_text(json.dumps(run) + "\n", encoding="utf-8")
                print(f"{path.stem}: ACC {100 * run['acc']:.1f}, {run['seconds']:.0f} s", flush=True)
        lines = table(read_runs(folder))
    head = ["data", "rows", "method", "seeds", "ACC", "+-", "NMI", "ARI", "oracle", "last", "minutes"]
    print_table(head, lines)
    save_report(options.output, {"table": [dict(zip(head, line, strict=True)) for line in lines]})


if __name__ == "__main__":
    main()
