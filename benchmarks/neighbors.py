"""Speed and memory of the nearest neighbours: `nearest_neighbors` against scikit-learn's brute force, and faiss.

Prints one line for each size and saves the same numbers as JSON.

* "features": 512 rectified features in 50 groups, float32, as a network's embedding gives.
* "tfidf": 2000 columns, 40 entries a row, CSR, as text gives.

All methods run in turn, `--repeats` times over, so that a busy machine slows them alike; seconds are the least of each,
ratios are medians over the turns.  The peak is what tracemalloc saw in a run of its own (X itself not counted).
`wrong` counts the rows whose neighbours differ from scikit-learn's, beyond ties and float32 rounding.  The growth
exponent is the slope of log(seconds) over log(rows), by least squares.

    python benchmarks/neighbors.py [--smoke] [--rows N ...] [--repeats R] [--output FILE.json]
"""

import argparse
import importlib.util
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.reports import save_report  # noqa: E402
from kingdra_cluster.neighbors import nearest_neighbors  # noqa: E402

N_NEIGHBORS = 20


def make_rows(kind, n_rows, seed=0):
    """Rows of one kind."""
    rng = np.random.default_rng(seed)
    if kind == "features":
        centres = rng.normal(size=(50, 512)).astype(np.float32)
        rows = centres[rng.integers(0, 50, n_rows)] + rng.normal(size=(n_rows, 512)).astype(np.float32)
        return np.maximum(rows, 0, out=rows)
    frequencies = 1 / np.arange(1, 2001) ** 0.8
    columns = rng.choice(2000, size=40 * n_rows, p=frequencies / frequencies.sum())
    entries = rng.random(40 * n_rows, dtype=np.float32)
    return sparse.csr_matrix((entries, (np.repeat(np.arange(n_rows), 40), columns)), shape=(n_rows, 2000))


def by_scikit_learn(X, metric):
    """Brute force on all cores."""
    search = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute", metric=metric, n_jobs=-1)
    return search.fit(X).kneighbors(return_distance=False)


def methods_for(X):
    """The functions to compare, by name."""
    methods = {"blocks": lambda X, metric: nearest_neighbors(X, N_NEIGHBORS, metric=metric, backend="numpy")}
    methods["sklearn"] = by_scikit_learn
    if importlib.util.find_spec("faiss") and not sparse.issparse(X):
        methods["faiss"] = lambda X, metric: nearest_neighbors(X, N_NEIGHBORS, metric=metric, backend="faiss")
    return methods


def distances(X, neighbors, metric):
    """Distances to the neighbours, float64, sorted; for a sample of rows."""
    rows = np.linspace(0, X.shape[0] - 1, 200).astype(int)
    picked = [X[rows], X[neighbors[rows].ravel()]]
    query, others = (np.asarray(part.toarray() if sparse.issparse(part) else part, dtype=np.float64) for part in picked)
    others = others.reshape(len(rows), -1, X.shape[1])
    if metric == "euclidean":
        return np.sort(np.linalg.norm(others - query[:, None], axis=2), axis=1)
    lengths = np.linalg.norm(others, axis=2) * np.linalg.norm(query, axis=1)[:, None]
    return np.sort(1 - np.einsum("ij,ikj->ik", query, others) / lengths, axis=1)


def measure(kind, metric, n_rows, repeats):
    """One line of the table: a dict."""
    X = make_rows(kind, n_rows)
    methods = methods_for(X)
    seconds, found = {name: [] for name in methods}, {}
    for _ in range(repeats):
        for name, method in methods.items():
            start = time.perf_counter()
            found[name] = method(X, metric)
            seconds[name].append(time.perf_counter() - start)
    tracemalloc.start()
    methods["blocks"](X, metric)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ours, theirs = (distances(X, found[name], metric) for name in ("blocks", "sklearn"))
    return {
        "kind": kind,
        "metric": metric,
        "rows": n_rows,
        "seconds": {name: min(values) for name, values in seconds.items()},
        "ratios": {name: float(np.median(np.divide(values, seconds["blocks"]))) for name, values in seconds.items()},
        "peak_mb": peak / 1e6,
        "wrong": int((ours > theirs + 1e-6 * np.abs(theirs).max()).any(axis=1).sum()),
    }


def growth_exponents(lines):
    """Slope of log(seconds) over log(rows) of each kind and metric, for our blocks and scikit-learn."""
    exponents = {}
    for kind, metric in sorted({(line["kind"], line["metric"]) for line in lines}):
        chosen = [line for line in lines if (line["kind"], line["metric"]) == (kind, metric)]
        for name in ("blocks", "sklearn"):
            if len(chosen) > 1:
                logs = np.log([[line["rows"], line["seconds"][name]] for line in chosen])
                exponents[f"{kind}, {metric}, {name}"] = float(np.polyfit(*logs.T, 1)[0])
    return exponents


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes only: a few seconds")
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", help="sizes (default 5000 20000 60000)")
    parser.add_argument("--kinds", nargs="+", default=["features", "tfidf"], choices=["features", "tfidf"])
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns of all methods (default 3)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    sizes = options.rows or ([500, 1000] if options.smoke else [5000, 20_000, 60_000])

    print(f"{'kind':10}{'metric':>11}{'rows':>9}{'seconds':>10}{'sklearn':>10}{'faiss':>10}", end="")
    print(f"{'sklearn x':>11}{'faiss x':>9}{'peak MB':>9}{'wrong':>7}")
    lines = []
    for kind in options.kinds:
        for metric in ("cosine", "euclidean"):  # those that scikit-learn has, too
            for n_rows in sizes:
                line = measure(kind, metric, n_rows, 1 if options.smoke else options.repeats)
                lines.append(line)
                seconds, ratios = line["seconds"], line["ratios"]
                print(f"{kind:10}{metric:>11}{n_rows:9,}{seconds['blocks']:10.3f}{seconds['sklearn']:10.3f}", end="")
                print(f"{seconds.get('faiss', np.nan):10.3f}{ratios['sklearn']:11.2f}", end="")
                print(f"{ratios.get('faiss', np.nan):9.2f}{line['peak_mb']:9.1f}{line['wrong']:7}", flush=True)
    exponents = growth_exponents(lines)
    for name, exponent in exponents.items():
        print(f"growth exponent, {name}: {exponent:.2f}")
    save_report(options.output, {"n_neighbors": N_NEIGHBORS, "lines": lines, "growth_exponents": exponents})


if __name__ == "__main__":
    main()
