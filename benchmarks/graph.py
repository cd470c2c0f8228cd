"""Speed and memory of the similarity graph: label tuples against the n x n matrix.

Prints one line for each ensemble and saves the same numbers as JSON.

* "ensemble": ten true classes, every member with its own names and 15 % random errors.
* "distinct": labels drawn at random, so that next to no two rows share a tuple; the worst case.

For each, `SimilarityGraph(labels).buckets(10)` is run at several sizes.  Seconds are the least of some runs, wall
clock, and the peak is what tracemalloc saw in a run of its own (the labels themselves, one byte each, not counted).
"shards s" is the time of the same buckets from the merged counts of ten shards of the rows, including finding each row.
At a small size the same buckets are also found on the full n x n matrix, for the ratio of the two times.  The growth
exponent is the slope of log(seconds) over log(rows), by least squares, over all sizes of 10,000 rows or more.

    python benchmarks/graph.py [--smoke] [--output FILE.json]
"""

import argparse
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.reports import save_report  # noqa: E402
from kingdra_cluster.label_tuples import count_tuples, find_tuples, merge_counts  # noqa: E402
from kingdra_cluster.similarity_graph import SimilarityGraph  # noqa: E402

N_CLUSTERS, N_SHARDS = 10, 10
ERROR_RATES = {"ensemble": 0.15, "distinct": 1.0}
THRESHOLDS = {"default": {}, "reuters": {"low_agreement": 2, "high_agreement": 8}}


def make_labels(kind, n_rows, n_members, seed=0):
    """Labels of an ensemble, uint8, shape (n_members, n_rows)."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, N_CLUSTERS, n_rows, dtype=np.uint8)
    labels = np.empty((n_members, n_rows), dtype=np.uint8)
    for member in labels:
        names = rng.permutation(N_CLUSTERS).astype(np.uint8)
        wrong = rng.random(n_rows, dtype=np.float32) < ERROR_RATES[kind]
        member[:] = names[np.where(wrong, rng.integers(0, N_CLUSTERS, n_rows, dtype=np.uint8), classes)]
    return labels


def buckets_by_matrix(labels, low_agreement=1, high_agreement=None):
    """The published rule written out on the n x n agreement matrix, as a yardstick."""
    n_members, n_rows = labels.shape
    high_agreement = n_members - 1 if high_agreement is None else high_agreement
    agree = np.zeros((n_rows, n_rows), dtype=np.uint8)
    for member in labels:
        agree += member[:, None] == member
    in_play, buckets = np.ones(n_rows, dtype=bool), np.full(n_rows, -1)
    for bucket in range(N_CLUSTERS):
        if not in_play.any():
            break
        n_neighbours = (agree[:, in_play] > high_agreement).sum(axis=1)
        centre = np.argmax(np.where(in_play, n_neighbours, -1))
        members = in_play & (agree[centre] > high_agreement)
        members[centre] = True
        buckets[members] = bucket
        in_play &= ~members & (agree[members] <= low_agreement).all(axis=0)
    return buckets


def buckets_by_shards(labels, **options):
    """The same buckets from the counts of shards, as if each were a file of its own."""
    shards = np.array_split(labels, N_SHARDS, axis=1)
    tuples, counts = merge_counts(count_tuples(shard) for shard in shards)
    of_tuples = SimilarityGraph(tuples, counts=counts, **options).buckets(N_CLUSTERS)
    return np.concatenate([of_tuples[find_tuples(tuples, shard)] for shard in shards])


def seconds_of(function, repeats):
    """Least wall-clock seconds of `repeats` calls, and the result of the last."""
    least = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        least = min(least, time.perf_counter() - start)
    return least, result


def measure(kind, thresholds, n_rows, n_members, with_matrix):
    """One line of the table: a dict."""
    labels, options = make_labels(kind, n_rows, n_members), THRESHOLDS[thresholds]
    repeats = 7 if n_rows <= 100_000 else 3
    seconds, _ = seconds_of(lambda: SimilarityGraph(labels, **options).buckets(N_CLUSTERS), repeats)
    tracemalloc.start()
    graph = SimilarityGraph(labels, **options)
    buckets = graph.buckets(N_CLUSTERS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    line = {
        "kind": kind,
        "thresholds": thresholds,
        "rows": n_rows,
        "members": n_members,
        "distinct_tuples": graph.n_tuples,
        "labelled_rows": int((buckets >= 0).sum()),
        "seconds": seconds,
        "peak_mb": peak / 1e6,
        "matrix_seconds": None,
    }
    line["shards_seconds"], by_shards = seconds_of(lambda: buckets_by_shards(labels, **options), 1)
    if not np.array_equal(buckets, by_shards):
        raise AssertionError(f"the buckets of {kind}, {thresholds}, {n_rows} rows differ from those by shards")
    if with_matrix:
        line["matrix_seconds"], expected = seconds_of(lambda: buckets_by_matrix(labels, **options), 1)
        if not np.array_equal(buckets, expected):
            raise AssertionError(f"the buckets of {kind}, {thresholds}, {n_rows} rows differ from the n x n rule's")
    return line


def growth_exponents(lines):
    """Slope of log(seconds) over log(rows) for each kind and thresholds."""
    exponents = {}
    for key in sorted({(line["kind"], line["thresholds"]) for line in lines}):
        chosen = [x for x in lines if (x["kind"], x["thresholds"]) == key and x["rows"] >= 10_000]
        if len({x["rows"] for x in chosen}) > 1:
            rows, seconds = (np.log([x[name] for x in chosen]) for name in ("rows", "seconds"))
            exponents[", ".join(key)] = float(np.polyfit(rows, seconds, 1)[0])
    return exponents


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes only: a few seconds")
    parser.add_argument("--members", type=int, default=10, metavar="M", help="members of the ensemble (default 10)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    matrix_rows = 1000 if options.smoke else 5000
    sizes = [1000, 10_000, 70_000] if options.smoke else [5000, 10_000, 70_000, 1_000_000, 10_000_000]

    print(f"{'kind':10}{'thresholds':>11}{'rows':>12}{'members':>9}{'tuples':>12}{'labelled':>12}", end="")
    print(f"{'seconds':>11}{'peak MB':>10}{'shards s':>11}{'n x n s':>10}{'ratio':>9}")
    lines = []
    for kind in ERROR_RATES:
        for thresholds in THRESHOLDS:
            for n_rows in sizes:
                line = measure(kind, thresholds, n_rows, options.members, with_matrix=n_rows <= matrix_rows)
                lines.append(line)
                print(f"{kind:10}{thresholds:>11}{n_rows:12,}{options.members:9}", end="")
                print(f"{line['distinct_tuples']:12,}{line['labelled_rows']:12,}", end="")
                print(f"{line['seconds']:11.5f}{line['peak_mb']:10.1f}{line['shards_seconds']:11.5f}", end="")
                by_matrix = line["matrix_seconds"]
                print("" if by_matrix is None else f"{by_matrix:10.3f}{by_matrix / line['seconds']:9.0f}", flush=True)
    exponents = growth_exponents(lines)
    for name, exponent in exponents.items():
        print(f"growth exponent, {name}: {exponent:.2f}")
    save_report(options.output, {"lines": lines, "growth_exponents": exponents})


if __name__ == "__main__":
    main()
