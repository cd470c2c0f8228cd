"""What the neighbours of the rows can give before any network is trained: the start of the members, by itself.

For each data set of a configuration (`configs/kingdra_ladder_im_<name>.json`) and seed: the share of neighbours of the
same class, k-means, the mean of a hundred communities, the aligned votes of all and of some of them, the seconds that
they take, and the estimated number of clusters; and `merging.neighbor_information`, which the communities are after, of
them and of the classes themselves.  With ``--ratios``, instead: how the balance suits the data as they are (a ratio of
1) and with classes whose sizes fall geometrically to a fifth, say, of what they are, and which is chosen.

    python benchmarks/starts.py digits reuters_r8 [--seeds 0 1 2] [--data-home HOME] [--output FILE.json]
    python benchmarks/starts.py digits --ratios 1 5 20 [--rows 10000] [--output FILE.json]
    python benchmarks/starts.py --smoke

The output keeps what it has of other data sets and seeds.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reports import print_table, save_report, with_runs_of  # noqa: E402
from experiments import config as configuration  # noqa: E402
from experiments.baselines import kmeans_labels  # noqa: E402
from experiments.run import prepare  # noqa: E402
from kingdra_cluster.cluster_count import estimate_n_clusters  # noqa: E402
from kingdra_cluster.graphs import links_between  # noqa: E402
from kingdra_cluster.merging import UNEVEN, neighbor_information  # noqa: E402
from kingdra_cluster.pseudo_labels import align_members  # noqa: E402
from kingdra_cluster.starts import (  # noqa: E402
    NEIGHBORS,
    chosen_balance,
    community_starts,
    member_graph,
    neighbor_lists,
    start_agreement,
    unevenness,
)
from kingdra_cluster.unsup_metrics import ACC  # noqa: E402

N_MEMBERS, STARTS = 10, 10  # of each: a hundred votes, as many as by default
OTHERS = (0.5, 0.7, 1.0)  # balances, each with one start a member
SOME, CHOICES = (10, 20, 40), 10  # so many of the starts vote alone, chosen at random so many times
FEWEST = max(SOME) // N_MEMBERS  # starts of a member that are enough for that
HEAD = (
    "data",
    "seed",
    "neighbours",
    "k-means",
    "balance",
    "mean start",
    "vote of all",
    "information",
    "of classes",
    "clusters",
    "estimate",
    "interval",
    "s",
)


BALANCE_HEAD = (
    "data",
    "ratio",
    "seed",
    "rows",
    "k-means",
    *(f"vote at {balance:g}" for balance in OTHERS),
    "unevenness",
    "agreement",
    "chosen",
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


def information(lists, labelings, balance):
    """`neighbor_information` of labels, mean over labelings and the four graphs that members see."""
    graphs = [member_graph(lists, member) for member in range(len(NEIGHBORS))]
    links = [links_between(graph, labels).toarray() for graph in graphs for labels in labelings]
    return float(np.mean([neighbor_information(one, balance) for one in links]))


def measure(name, data, n_clusters, seed, n_starts=STARTS):
    """One line of the table: a dict."""
    began = time.perf_counter()
    rows, lists = neighbor_lists(data.X, n_clusters, seed)
    truth = data.truth[rows]
    *_, balance = choice(lists, n_clusters, seed)
    starts = starts_of_all(lists, n_clusters, seed, balance, n_starts)
    vote = vote_of(starts, n_clusters)
    seconds = time.perf_counter() - began
    generator, votes = np.random.default_rng(seed), {}
    for size in SOME:
        chosen = [starts[generator.choice(len(starts), size, replace=False)] for _ in range(CHOICES)]
        votes[f"vote of {size}"] = [ACC(truth, vote_of(some, n_clusters)) for some in chosen]
    count = estimate_n_clusters(data.X, seed=seed)
    return {
        "data": name,
        "seed": seed,
        "rows": len(data.truth),
        "neighbours": float(np.mean((truth[lists] == truth[:, None])[:, :10][lists[:, :10] >= 0])),
        "k-means": ACC(data.truth, kmeans_labels(data.X, n_clusters, seed)),
        "balance": balance,
        "mean start": float(np.mean([ACC(truth, own) for own in starts])),
        **votes,
        "vote of all": ACC(truth, vote),
        "information": information(lists, starts, balance),
        "of classes": information(lists, [np.unique(truth, return_inverse=True)[1]], balance),
        "clusters": n_clusters,
        "estimate": count.n_clusters,
        "interval": list(count.interval),
        "s": seconds,
    }


def choice(lists, n_clusters, seed):
    """Mean unevenness, agreement of the members' starts with little balance, and the balance that both make."""
    seen = [unevenness(lists, n_clusters, member=member, seed=seed) for member in range(len(NEIGHBORS))]
    options = {"balance": UNEVEN, "seed": seed}
    first = [community_starts(lists, n_clusters, member=member, **options)[0] for member in range(N_MEMBERS)]
    agreement = start_agreement(first, n_clusters)
    return float(np.mean(seen)), agreement, chosen_balance(seen, agreement)


def with_sizes(truth, ratio, seed):
    """Rows (m,) of classes, in random order, whose shares of what they were fall geometrically from 1 to 1 / ratio."""
    generator = np.random.default_rng(seed)
    classes = generator.permutation(np.unique(truth))
    shares = np.geomspace(1, 1 / ratio, len(classes))
    rows = [generator.permutation(np.flatnonzero(truth == name)) for name in classes]
    return np.sort(np.concatenate([own[: round(len(own) * share)] for own, share in zip(rows, shares, strict=True)]))


def measure_balances(name, data, n_clusters, seed, ratio):
    """One line of the table of balances: a dict."""
    rows = with_sizes(data.truth, ratio, seed) if ratio > 1 else np.arange(len(data.truth))
    X, truth = data.X[rows], data.truth[rows]
    found, lists = neighbor_lists(X, n_clusters, seed)
    votes = [vote_of(starts_of_all(lists, n_clusters, seed, balance), n_clusters) for balance in OTHERS]
    facts = [name, ratio, seed, len(rows), ACC(truth, kmeans_labels(X, n_clusters, seed))]
    scores = [ACC(truth[found], vote) for vote in votes]
    return dict(zip(BALANCE_HEAD, [*facts, *scores, *choice(lists, n_clusters, seed)], strict=True))


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["digits"], metavar="DATA")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--ratios", nargs="+", type=float, metavar="R", help="of the classes' largest and least shares")
    parser.add_argument("--rows", type=int, help="of each data set, at random")
    parser.add_argument("--data-home", metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="one seed and fewer starts on 200 digits: a few seconds")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    options = parser.parse_args(arguments)
    lines = []
    for name in options.names:
        subset = 200 if options.smoke else options.rows
        overrides = [f"data.subset={subset}"] if subset else []
        config = configuration.load(ROOT / "configs" / f"kingdra_ladder_im_{name}.json", overrides)[0]
        data = prepare(config["data"], options.data_home)
        n_clusters = config["cluster"]["n_clusters"]
        for seed in options.seeds[: 1 if options.smoke else None]:
            if options.ratios:
                lines += [measure_balances(name, data, n_clusters, seed, ratio) for ratio in options.ratios]
            else:
                lines.append(measure(name, data, n_clusters, seed, FEWEST if options.smoke else STARTS))
            head = BALANCE_HEAD if options.ratios else HEAD
            print_table(head, [[line[column] for column in head] for line in lines[-len(options.ratios or [0]) :]])
            key = ("data", "ratio", "seed") if options.ratios else ("data", "seed")
            save_report(options.output, {"n_members": N_MEMBERS, "runs": with_runs_of(options.output, lines, key)})


if __name__ == "__main__":
    main()
