"""One experiment: data, features, an estimator for each seed, and a folder that says all of it."""

import shutil
from pathlib import Path

import numpy as np

from experiments.data_warnings import warn_of_units, warn_of_wordless
from experiments.exhibits import write_exhibits
from experiments.measure import measure
from experiments.report import write_report
from experiments.run_folder import (
    HistoryWriter,
    check_finished,
    pending_seeds,
    seed_folder,
    summarize,
    table,
    write_epochs,
    write_json,
    write_labels,
)
from experiments.stage_config import is_kingdra
from experiments.stages import check_stages, run_stages
from kingdra_cluster.persistence import data_hash, manifest, read_json

MEMBERS_NOTE = "mean member and aligned ensemble: after round {}, the last without pseudo-labels, so without the graph"


class Prepared:
    """A data set ready to cluster.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, d)
        Rows.
    truth : array of shape (n,) or None
        Class numbers.
    class_names : sequence of str or None
        Names of the classes.
    images : array or None
        The items, where they are images.
    features : experiments.features.Features
        What turned items into rows, to be saved with the model.
    about : dict
        Name, rows, columns and source, for the manifest.
    texts, filenames, feature_names : sequence of str, optional
        The items, where they are texts; the file of each item and the name of each column, where they are known.
    """

    def __init__(
        self, X, truth, class_names, images, features, about, *, texts=None, filenames=None, feature_names=None
    ):
        self.X, self.truth, self.class_names, self.images = X, truth, class_names, images
        self.features, self.about = features, about
        self.texts, self.filenames, self.feature_names = texts, filenames, feature_names


def prepare(section, data_home=None):
    """Load a data set and turn its items into rows.

    Parameters
    ----------
    section : dict
        The ``data`` section of a complete configuration.
    data_home : path-like, optional
        Folder of the raw files.

    Returns
    -------
    data : Prepared
        Where the section names no features, texts become tf-idf and images flat rows.
    """
    from experiments import datasets
    from experiments.features import make_features

    options = {key: value for key, value in section.items() if key not in ("name", "features")}
    bunch = datasets.load(section["name"], data_home, **options)
    texts, images = bunch.get("texts"), None
    if texts is None and np.ndim(bunch.X) in (3, 4):
        images = bunch.X
    usual = {"kind": "tfidf", "stop_words": "english"} if texts is not None else {"kind": "flatten"}
    features = make_features(**(section["features"] or usual))
    X = features.fit_transform(bunch)
    item_shape = [] if texts is not None else list(bunch.X.shape[1:])
    about = {"name": section["name"], "rows": X.shape[0], "columns": list(X.shape[1:]), "item_shape": item_shape}
    named = {key: bunch.get(key) for key in ("filenames", "feature_names")}
    about.update({key: bunch[key] for key in ("source", "verified", "feature_names") if key in bunch})
    return Prepared(X, bunch.y, bunch.class_names, images, features, about, texts=texts, **named)


def run(config, folder, *, data_home=None, resume=False, visualize_prototypes=False):
    """Run every pending seed of a configuration and summarize the run.

    Parameters
    ----------
    config : dict
        Complete configuration, from `experiments.config.load`.
    folder : path-like
        Folder of the run.
    data_home : path-like, optional
        Folder of the raw files.
    resume : bool, default=False
        Whether to go on with seeds that were started.
    visualize_prototypes : bool, default=False
        Whether to draw what is typical of each cluster, of finished seeds too.

    Returns
    -------
    summary : dict
        Content of ``summary.json``.

    Raises
    ------
    ValueError
        If a setting does not suit the data, or the folder belongs to another run.
    DataUnavailable
        If the data is neither there nor obtainable.
    """
    seeds = pending_seeds(folder, config, resume)
    if seeds:
        check_stages(config, data_home)
    data = prepare(config["data"], data_home)
    data.about["sha256"] = data_hash(data.X)
    check_finished(folder, config["seeds"], data.about["sha256"])
    if seeds:
        _check_images(config, data.X)
        warn_of_wordless(data.features, data.X)
        warn_of_units(data.X, data.feature_names)
        shape = " x ".join(f"{size:,}" for size in data.X.shape)
        count = config["cluster"]["n_clusters"]
        print(f"{config['name']}: {shape}, {count} cluster{'s' * (count != 1)}, seeds {config['seeds']}")
        for seed in seeds:
            run_seed(config, data, seed_folder(folder, seed), seed, data_home)
    if visualize_prototypes:
        from experiments.prototypes import show_prototypes

        for seed in config["seeds"]:
            show_prototypes(seed_folder(folder, seed), data, seed)
    summary = summarize(folder)
    _draw_scores(folder)
    write_report(folder)
    if "kmeans" in summary["mean"]:
        print(f"\n{config['name']}, seeds {summary['seeds']}, percent\n{table(summary)}")
    if "ensemble_round" in summary["mean"]:
        print(MEMBERS_NOTE.format(f"{summary['mean']['ensemble_round'] + 1:g}"))
    print(f"results in {folder}; open {Path(folder) / 'report.html'} in a browser")
    return summary


def run_seed(config, data, folder, seed, data_home=None):
    """Run the stages of one seed and fill its folder; ``metrics.json`` comes last and says that it is finished.

    A run that is refused before it has learned anything leaves no folder that would stand in the corrected one's way.
    """
    fresh = not Path(folder).exists()
    try:
        _run_stages(config, data, folder, seed, data_home)
    except (ValueError, TypeError, ArithmeticError):
        learned = [path for path in Path(folder).rglob("*") if path.suffix in (".npz", ".keras", ".jsonl")]
        if fresh and not [path for path in learned if "features" not in path.relative_to(folder).parts]:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _run_stages(config, data, folder, seed, data_home):
    _write_identity(folder, {**config, "seeds": [seed]}, data, seed)
    data.features.save(folder / "features")
    history = HistoryWriter(folder / "history.jsonl", data.truth)
    stages = run_stages(config, data.X, seed, folder, callbacks=[history], data_home=data_home)
    cluster = stages.fitted["cluster"]
    if is_kingdra(config["cluster"]):
        history(cluster, cluster.history_[-1])
    else:
        write_epochs(folder / "history.jsonl", cluster.history_)
    for name in {"pretext", "refine"} & stages.fitted.keys():
        write_epochs(folder / f"history_{name}.jsonl", getattr(stages.fitted[name], "history_", []))
    names = data.truth if data.class_names is None else data.class_names
    classes = None if data.truth is None else [names[i] for i in data.truth]
    known = {"classes": classes, "filenames": data.filenames}
    for name, answer in {"labels.csv": stages.answer, "labels_unrefined.csv": cluster}.items():
        if name == "labels.csv" or stages.last == "refine":
            confidence = np.max(answer.probabilities_, axis=1)
            write_labels(folder / name, answer.labels_, confidence, stages.pseudo_labels, **known)
    _draw(folder / "figures", stages, history.read(), data, seed)
    write_exhibits(folder / "exhibits.json", stages.shown, data, seed)
    write_json(folder / "metrics.json", measure(stages, history.read(), data, seed))
    for finished in [*(folder / "checkpoints").glob("round_*"), folder / "checkpoints" / "refine"]:
        shutil.rmtree(finished, ignore_errors=True)  # hundreds of MB that nothing can go on from any more


def _write_identity(folder, config, data, seed):
    """Write config and manifest; a resumed seed must have the same data, and keeps the manifests it ran with before."""
    path = folder / "manifest.json"
    cluster = config["cluster"]
    threads = {"per_member": cluster.get("threads_per_member"), "n_jobs": cluster.get("n_jobs")}
    content = manifest(seed=seed, threads=threads, data=data.about, config=config)
    if path.exists():
        before = read_json(path)
        if before["data"]["sha256"] != data.about["sha256"]:
            raise ValueError(f"{folder} was started on other data (sha256 differs); give another folder with --output.")
        earlier = {key: value for key, value in before.items() if key not in ("earlier", "config", "data")}
        content["earlier"] = [*before.get("earlier", []), earlier]
    write_json(path, content)
    write_json(folder / "config.json", config)


def _check_images(config, X):
    """Refuse a refinement of images that would only find out after the clustering that it has no backbone."""
    refine = config.get("refine", {})
    if X.ndim > 2 and "pretext" not in config and refine.get("mode") == "ruc" and refine["backbone"] is None:
        raise ValueError(f"refine: images of shape {X.shape[1:]} want a backbone, such as 'cluster' or 'resnet18'.")


def _draw(folder, stages, history, data, seed):
    from experiments.figures import draw_all
    from experiments.item_figures import draw_losses
    from experiments.trust_figures import draw_calibration

    if stages.last == "refine" and data.truth is not None:
        answers = {"before": stages.fitted["cluster"].probabilities_, "after": stages.answer.probabilities_}
        draw_calibration(folder / "calibration.png", data.truth, answers)
    draw_losses(folder, stages.fitted)
    draw_all(
        folder,
        history=history if is_kingdra(stages.config["cluster"]) else [],
        labels=stages.answer.labels_,
        probabilities=stages.answer.probabilities_,
        pseudo_labels=stages.pseudo_labels,
        X=data.X,
        truth=data.truth,
        class_names=data.class_names,
        images=data.images,
        count=getattr(stages.fitted["cluster"], "cluster_count_", None),
        seed=seed,
    )


def _draw_scores(folder):
    from experiments.figures import scores as draw
    from experiments.run_folder import METHODS

    metrics = [read_json(path) for path in sorted(Path(folder).glob("seed_*/metrics.json"))]
    methods = {name: [one[key] for one in metrics] for key, name in METHODS.items() if key in metrics[0]}
    if methods:
        draw(methods, Path(folder) / "scores.png")
