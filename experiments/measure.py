"""``metrics.json``: how good each stage of a seed is, and what it took."""

import numpy as np

from experiments.baselines import kmeans_labels, scores
from experiments.stage_config import is_kingdra


def measure(stages, history, data, seed):
    """Content of ``metrics.json``: scores of each stage and of k-means, how it went, seconds and memory.

    Mean member and aligned ensemble are those after Kingdra's last round without pseudo-labels before the first with
    them: what the same training gives without the graph.
    """
    from kingdra_cluster.processes import peak_mb

    kingdra = is_kingdra(stages.config["cluster"])
    cluster, metrics = stages.fitted["cluster"], {"seed": seed}
    if getattr(cluster, "cluster_count_", None) is not None:
        metrics |= {"estimated_clusters": cluster.n_clusters_, "interval": list(cluster.cluster_count_.interval)}
    if data.truth is not None:
        metrics["kmeans"] = scores(data.truth, kmeans_labels(data.X, cluster.probabilities_.shape[1], seed))
        metrics |= _judge_rounds(stages, history, data.truth) if kingdra else _judge_clustering(stages, data.truth)
        if stages.last == "refine":
            metrics |= _judge_refinement(stages, data.truth)
    if kingdra:
        last = history[-1]
        metrics |= {key: last[key] for key in ("agreement", "coverage", "clusters", "member_epochs")}
        metrics |= {"rounds": len(history), "supervised_rounds": sum(bool(line["supervised"]) for line in history)}
        metrics["workers_peak_rss_mb"] = max(line["workers_peak_mb"] for line in history)
    else:
        if stages.pseudo_labels is not None:
            metrics["coverage"] = float(np.mean(stages.pseudo_labels >= 0))
        metrics["clusters"] = len(np.unique(stages.answer.labels_))
    seconds = dict(stages.seconds)
    if kingdra:
        seconds["cluster"] = sum(line["seconds"] for line in history)
    return {
        **metrics,
        "seconds": sum(seconds.values()),
        "stage_seconds": seconds,
        "peak_rss_mb": peak_mb(),
        "rows": int(data.X.shape[0]),
        "columns": int(np.prod(data.X.shape[1:])),
    }


def _judge_rounds(stages, history, truth):
    from kingdra_cluster.unsup_metrics import ECE

    cluster = stages.fitted["cluster"]
    first = next((i for i, line in enumerate(history) if line["supervised"]), len(history))
    before = history[max(0, first - 1)]
    return {
        "member_mean": before["member_mean"],
        "ensemble": {score: before[score] for score in ("acc", "nmi", "ari")},
        "ensemble_round": before["round"],
        "kingdra": scores(truth, cluster.labels_),
        "members_at_end": history[-1]["member_mean"],
        "purity": history[-1]["purity"],
        "ece": float(ECE(truth, cluster.probabilities_)),
    }


def _judge_clustering(stages, truth):
    from kingdra_cluster.unsup_metrics import ECE

    cluster = stages.fitted["cluster"]
    return {"cluster": scores(truth, cluster.labels_), "ece": float(ECE(truth, cluster.probabilities_))}


def _judge_refinement(stages, truth):
    """Scores of the refined answer, and of the rows that RUC believed at first and in the end."""
    from kingdra_cluster.clean_split import split_quality
    from kingdra_cluster.unsup_metrics import ECE

    refined = stages.answer
    found = {"refined": scores(truth, refined.labels_), "refined_ece": float(ECE(truth, refined.probabilities_))}
    start = stages.fitted["cluster"].labels_
    for when, labels in (("start", start), ("end", refined.labels_)):
        clean = getattr(refined, "clean_start_" if when == "start" else "clean_", None)
        if clean is not None:
            precision, coverage = split_quality(clean, labels, truth)
            found[f"clean_at_{when}"] = {"precision": precision, "coverage": coverage}
    return found
