"""Draw the pictures of docs/concepts.md: ``python docs/pictures/concepts.py``.  What they show is in concepts.json."""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from experiments.figures import COLOURS, LIGHT  # noqa: E402
from kingdra_cluster import KingdraCluster, LadderIM  # noqa: E402

SETTINGS = {"n_members": 4, "n_rounds": 2, "random_state": 0}


def points():
    """Two crescents and a small round group, 660 rows, and which is which."""
    crescents, truth = make_moons(600, noise=0.09, random_state=0)
    ball = np.random.default_rng(0).normal(scale=0.13, size=(60, 2)) + (-0.9, -0.75)
    return np.vstack([crescents, ball]), np.concatenate([truth, np.full(60, 2)])


def panels(count, titles):
    """A figure of panels side by side, without axes."""
    figure = Figure(figsize=(2.9 * count, 2.6), layout="constrained")
    found = np.atleast_1d(figure.subplots(1, count))
    for axes, title in zip(found, titles, strict=True):
        axes.set(title=title, xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_color("#DDDDDD")
    return figure, found


def paint(axes, X, labels):
    """Rows in the colours of their labels, grey where there is none."""
    colours = np.array([LIGHT, *COLOURS])[np.asarray(labels) + 1]
    axes.scatter(*X.T, c=colours, s=7, linewidths=0)


def after_round(model):
    """What the pictures need of a round."""
    return model.similarity_graph_.labels, model.mappings_, model.pseudo_labels_, model.labels_


def main():
    """Fit once, draw three pictures and write down what they show."""
    X, truth = points()
    firsts = []
    model = KingdraCluster(
        3,
        mode=LadderIM(hidden_units=(64, 64), learning_rate=0.005),
        callbacks=[lambda estimator, record: firsts.append(after_round(estimator))],
        **SETTINGS,
    ).fit(X)
    labels, mappings, pseudo_labels, answer = firsts[0]
    aligned = np.take_along_axis(mappings, labels.astype(int), axis=1)
    votes = (aligned == answer).sum(axis=0)

    figure, axes = panels(4, [f"member {m + 1}" for m in range(4)])
    for panel, one in zip(axes, aligned, strict=True):
        paint(panel, X, one)
    figure.savefig(FOLDER / "members.png", dpi=110)

    figure, axes = panels(1, ["members that agree"])
    drawn = axes[0].scatter(*X.T, c=votes, s=9, linewidths=0, cmap="viridis", vmin=1, vmax=4)
    figure.colorbar(drawn, ax=axes[0], ticks=[1, 2, 3, 4], shrink=0.7)
    figure.savefig(FOLDER / "agreement.png", dpi=110)

    figure, axes = panels(2, ["pseudo-labels (grey: none)", "answer after the next round"])
    paint(axes[0], X, pseudo_labels)
    paint(axes[1], X, model.labels_)
    figure.savefig(FOLDER / "pseudo_labels.png", dpi=110)

    from kingdra_cluster.unsup_metrics import ACC, purity

    sure = pseudo_labels >= 0
    shown = {
        "rows": len(X),
        "unanimous_rows": int((votes == 4).sum()),
        "pseudo_labels": int(sure.sum()),
        "purity": purity(truth[sure], pseudo_labels[sure]),
        "acc_first_round": ACC(truth, answer),
        "acc": ACC(truth, model.labels_),
        "settings": SETTINGS,
    }
    (FOLDER / "concepts.json").write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
