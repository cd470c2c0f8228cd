"""What the neighbours of the rows can give before any network is trained: the start of the members, by itself.

For each data set of a configuration (`configs/kingdra_ladder_im_<name>.json`) and seed: the share of neighbours of the
same class, k-means, the mean of a hundred communities, the aligned votes of all and of some of them, the seconds that
they take, and the estimated number of clusters.

    python benchmarks/starts.py digits reuters_r8 [--seeds 0 1 2] [--data-home HOME] [--output FILE.json]
    python benchmarks/starts.py --smoke
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reports import print_table, save_report  # noqa: E402
from experiments import config as configuration  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from kingdra_cluster.cluster_count import estimate_n_clusters  # noqa: E402
from kingdra_cluster.communities import BALANCE  # noqa: E402
from kingdra_cluster.pseudo_labels import align_members  # noqa: E402
from kingdra_cluster.starts import community_starts, neighbor_lists  # noqa: E402
from kingdra_cluster.unsup_metrics import ACC  # noqa: E402

N_MEMBERS, STARTS = 10, 10  # of each: a hundred votes, as many as by default
OTHERS = (0.4, 1.0)  # balances beside the default, each with one start a member
SOME, CHOICES = (10, 20, 40), 10  # so many of the starts vote alone, chosen at random so many times
HEAD = (
    "data",
    "seed",
    "neighbours",
    "k-means",
    "mean start",
    "vote of all",
    *(f"vote at {balance:g}" for balance in OTHERS),
    "clusters",
    "estimate",
    "interval",
    "s",
)


def starts_of_all(lists, n_clusters, seed, balance, n_starts=1):
    """Labels (n_members * n_starts, n), the members' own first; strays get what most of their neighbours have."""
    options = {"balance": balance, "seed": seed, "n_starts": n_starts}
    starts = [community_starts(lists, n_clusters, member=member, **options) for member in range(N_MEMBERS)]
    found = np.stack(starts, axis=1).reshape(-1, len(lists))
    for labels in found:
        unseen = labels < 0
        others = np.where(lists[unseen] >= 0, labels[lists[unseen]], -1)
        votes = np.stack([np.sum(others == cluster, axis=1) for cluster in range(n_clusters)], axis=1)
        labels[unseen] = votes.argmax(axis=1)
    return found


def vote_of(labels, n_clusters):
    """Labels (n,) that most of the members give, aligned."""
    aligned = np.take_along_axis(align_members(labels, n_clusters), labels, axis=1)
    return np.stack([np.sum(aligned == cluster, axis=0) for cluster in range(n_clusters)], axis=1).argmax(axis=1)


def measure(name, data, n_clusters, seed):
    """One line of the table: a dict."""
    began = time.perf_counter()
    rows, lists = neighbor_lists(data.X, n_clusters, seed)
    truth = data.truth[rows]
    starts = starts_of_all(lists, n_clusters, seed, BALANCE, STARTS)
    vote = vote_of(starts, n_clusters)
    seconds = time.perf_counter() - began
    generator, votes = np.random.default_rng(seed), {}
    for size in SOME:
        chosen = [starts[generator.choice(len(starts), size, replace=False)] for _ in range(CHOICES)]
        votes[f"vote of {size}"] = [ACC(truth, vote_of(some, n_clusters)) for some in chosen]
    others = {}
    for balance in OTHERS:
        few = vote_of(starts_of_all(lists, n_clusters, seed, balance), n_clusters)
        others[f"vote at {balance:g}"] = ACC(truth, few)
    count = estimate_n_clusters(data.X, seed=seed)
    return {
        "data": name,
        "seed": seed,
        "rows": len(data.truth),
        "neighbours": float(np.mean((truth[lists] == truth[:, None])[:, :10][lists[:, :10] >= 0])),
        "k-means": ACC(data.truth, kmeans_labels(data.X, n_clusters, seed)),
        "mean start": float(np.mean([ACC(truth, own) for own in starts])),
        **votes,
        "vote of all": ACC(truth, vote),
        **others,
        "clusters": n_clusters,
        "estimate": count.n_clusters,
        "interval": list(count.interval),
        "s": seconds,
    }


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["digits"], metavar="DATA")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data-home", metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="two seeds on 400 digits: a few seconds")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    lines = []
    for name in options.names:
        overrides = ["data.subset=400"] if options.smoke else []
        config = configuration.load(ROOT / "configs" / f"kingdra_ladder_im_{name}.json", overrides)[0]
        data = prepare(config["data"], options.data_home)
        for seed in options.seeds[: 2 if options.smoke else None]:
            lines.append(measure(name, data, config["cluster"]["n_clusters"], seed))
            print_table(HEAD, [[lines[-1][column] for column in HEAD]])
            save_report(options.output, {"n_members": N_MEMBERS, "lines": lines})


if __name__ == "__main__":
    main()
