"""Accuracy of a finished seed under attack, before and after its refinement: a table, a JSON file and a picture."""

from pathlib import Path

import numpy as np

from experiments.run_folder import write_json
from kingdra_cluster.persistence import read_json

UNITS = {"rms": "root mean squares", "pixel": "parts of the whole range of a pixel"}


def attack(folder, sizes, attacks, *, n_rows=1000, data_home=None):
    """Attack the classifiers of a seed and write ``attack.json`` and ``figures/attack.png`` into its folder.

    Parameters
    ----------
    folder : path-like
        Of a finished seed whose data has true classes.
    sizes : sequence of float
        The largest change of an entry, in units of the rows' root mean square or, for images, of the whole range.
    attacks : sequence of {"fgsm", "bim", "pgd"}
    n_rows : int, default=1000
        Rows drawn, always the same.
    data_home : path-like, optional

    Returns
    -------
    results : dict
        Content of ``attack.json``.

    Raises
    ------
    ValueError
        If nothing in the folder is a network, or the data has no classes.
    """
    from kingdra_cluster.robustness import accuracy_under_attack

    folder = Path(folder)
    stages, truth = _load(folder, data_home)
    chosen = np.sort(np.random.default_rng(0).permutation(len(truth))[:n_rows])
    results = {"rows": len(chosen), "sizes": list(sizes), "units": {}, "accuracy": {}}
    for title, name in {"before": "cluster", "after": "refine"}.items():
        classifier = classifier_of(stages.fitted.get(name))
        if classifier is None:
            continue
        rows = stages.rows(name)
        scale, bounds, unit = _scale(rows)
        results["units"][title], rows = UNITS[unit], rows[chosen]
        options = {"bounds": bounds, "batch_size": 500}
        eps = [size * scale for size in sizes]
        results["accuracy"][title] = {
            kind: accuracy_under_attack(classifier, rows, truth[chosen], eps, attack=kind, **options).tolist()
            for kind in attacks
        }
    if not results["accuracy"]:
        raise ValueError(f"{folder} has no network to attack: its clustering is a file of labels.")
    write_json(folder / "attack.json", results)
    _draw(folder / "figures" / "attack.png", results)
    print(report(results))
    return results


def classifier_of(estimator):
    """The network of a fitted estimator, None where it has none; of an ensemble the mean of its aligned members."""
    if estimator is None or hasattr(estimator, "classifier_"):
        return getattr(estimator, "classifier_", None)
    return ensemble_classifier(estimator) if hasattr(estimator, "members_") else None


def ensemble_classifier(ensemble):
    """A fitted `KingdraCluster`, without its refinement, as one network: rows in, mean probabilities out."""
    import keras

    spaces = ensemble.spaces_ or [slice(None)]
    rows, answers = keras.Input((ensemble.n_features_in_,)), []
    for member, (model, mapping) in enumerate(zip(ensemble.members_, ensemble.mappings_, strict=True)):
        renamed = np.eye(ensemble.n_clusters_, dtype=np.float32)[mapping]
        answers.append(keras.ops.matmul(model(rows[:, spaces[member % len(spaces)]]), renamed))
    return keras.Model(rows, sum(answers) / len(answers))


def report(results):
    """The results as a small table of text, percent."""
    lines = [f"accuracy under attack of {results['rows']:,} rows, percent"]
    lines.append(f"{'largest change':16}" + "".join(f"{size:>8g}" for size in results["sizes"]))
    for title, by_attack in results["accuracy"].items():
        for kind, accuracies in by_attack.items():
            lines.append(f"{title + ', ' + kind:16}" + "".join(f"{100 * accuracy:8.1f}" for accuracy in accuracies))
    return "\n".join(lines)


def _load(folder, data_home):
    """The stages of a seed, and the classes of its rows."""
    from experiments import datasets
    from experiments.features import load_features
    from experiments.stages import load_stages
    from kingdra_cluster.persistence import data_hash

    section = read_json(folder / "config.json")["data"]
    options = {key: value for key, value in section.items() if key not in ("name", "features")}
    bunch = datasets.load(section["name"], data_home, **options)
    if bunch.y is None:
        raise ValueError(f"the data of {folder} has no true classes, by which accuracy is measured.")
    X = load_features(folder / "features").transform(bunch)
    if data_hash(X) != read_json(folder / "manifest.json")["data"]["sha256"]:
        raise ValueError(f"{folder} was run on other data (sha256 differs).")
    return load_stages(folder, X), np.asarray(bunch.y)


def _scale(rows):
    """Size of a unit of attack, the bounds of an entry and the unit's name."""
    from kingdra_cluster.modes.base import learn_scale

    if rows.ndim == 2:
        return learn_scale(rows, "rms"), None, "rms"
    largest = learn_scale(rows, None)
    return largest, (0.0, largest), "pixel"


def _draw(path, results):
    from experiments.trust_figures import attack_panels

    path.parent.mkdir(parents=True, exist_ok=True)
    unit = next(iter(results["units"].values()))
    attack_panels(path, results["accuracy"], results["sizes"], f"largest change of an entry ({unit})")
