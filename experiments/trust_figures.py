"""Pictures of whether a classifier can be trusted: calibration, and accuracy under attack, before and after."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.figures import COLOURS, GREY, MARKERS, _axes, _plain, _save
from kingdra_cluster.calibration import calibration_table
from kingdra_cluster.unsup_metrics import ECE


def calibration(truth, answers, n_bins=15):
    """Reliability diagram and histogram of confidence of several answers for the same rows.

    Parameters
    ----------
    truth : array of shape (n,)
        Classes.
    answers : dict of str to array of shape (n, n_clusters)
        Probabilities by name, such as ``{"before": ..., "after": ...}``.
    n_bins : int, default=15

    Returns
    -------
    matplotlib.figure.Figure
        On the left, accuracy by confidence, with the ECE of each answer; on the right, how many rows have that
        confidence.
    """
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, label="as right as sure")
    for k, (name, probabilities) in enumerate(answers.items()):
        style = {"color": COLOURS[k % len(COLOURS)], "linewidth": 1.8}
        table = calibration_table(truth, probabilities, n_bins)
        filled = table["rows"] > 0
        error = 100 * ECE(truth, probabilities, n_bins)
        points = (100 * table["confidence"][filled], 100 * table["accuracy"][filled])
        left.plot(*points, marker=MARKERS[k % len(MARKERS)], markersize=5, label=f"{name} (ECE {error:.1f} %)", **style)
        edges = 100 * np.append(table["lower"], table["upper"][-1])
        right.stairs(100 * table["rows"] / table["rows"].sum(), edges, label=name, **style)
    left.set(title="How right, by how sure", ylabel="accuracy (%)", ylim=(0, 103))
    right.set(title="How sure", ylabel="share of the rows (%)")
    for axes, place in ((left, "best"), (right, "upper center")):
        axes.set(xlabel="confidence: largest probability (%)", xlim=(0, 100))
        axes.legend(loc=place, frameon=False)
        _plain(axes)
    return figure


def draw_calibration(path, truth, answers):
    """Save the picture of `calibration`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _save(calibration(truth, answers), path)


def attack_curves(curves, sizes, unit="size of the attack"):
    """Accuracy by size of an attack.

    Parameters
    ----------
    curves : dict of str to sequence of float
        Accuracies, from 0 to 1, by name.
    sizes : sequence of float
        The largest change of an entry, for each accuracy of a curve; 0 is no attack.
    unit : str
        Label of the horizontal axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _axes(6.4, 4.2)
    _plot_curves(axes, curves, sizes)
    axes.set(title="Accuracy under attack", xlabel=unit)
    return figure


def attack_panels(path, results, sizes, unit):
    """Save a picture with a panel an attack, a curve a classifier.

    Parameters
    ----------
    path : path-like
        The PNG file.
    results : dict of str to dict of str to sequence of float
        Accuracies by the classifier's name and the attack's.
    sizes, unit :
        See `attack_curves`.
    """
    attacks = list(next(iter(results.values())))
    figure = Figure(figsize=(3.6 * len(attacks) + 0.6, 3.8), layout="constrained")
    for axes, attack in zip(np.atleast_1d(figure.subplots(1, len(attacks), sharey=True)), attacks, strict=True):
        _plot_curves(axes, {name: by_attack[attack] for name, by_attack in results.items()}, sizes)
        axes.set_title(attack.upper())
        _plain(axes)
    figure.supxlabel(unit, fontsize=10)
    return _save(figure, Path(path))


def _plot_curves(axes, curves, sizes):
    for k, (name, accuracies) in enumerate(curves.items()):
        style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "linewidth": 1.8}
        axes.plot(sizes, 100 * np.asarray(accuracies), markersize=5, label=name, **style)
    axes.set(ylabel="accuracy (%)", ylim=(0, 103))
    axes.legend(loc="upper right", frameon=False)
