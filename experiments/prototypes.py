"""``--visualize_prototypes``: typical items of each cluster, as pictures, as words, and as row numbers in a file."""

from pathlib import Path

import numpy as np
from scipy import sparse

from experiments.figures import _save
from experiments.item_figures import neighbors_of_rows, typical_images, words_of_clusters
from experiments.run_folder import write_json
from experiments.stages import load_stages
from kingdra_cluster.neighbors import nearest_neighbors
from kingdra_cluster.unsup_metrics import cluster_prototypes

N_NEIGHBORS, SHOWN_ROWS = 10, 10


def visualize(folder, probabilities, features, *, images=None, words=None, truth=None, class_names=None, seed=0):
    """Write what is typical of each cluster of a run.

    Parameters
    ----------
    folder : path-like
        Of a seed; gets ``prototypes.json`` (the row of each cluster's prototype) and pictures in ``figures``.
    probabilities : array of shape (n, n_clusters)
    features : array or CSR matrix of shape (n, ...)
        The space in which prototypes and neighbours are looked for.
    images : array of shape (n, h, w) or (n, h, w, c), optional
        The items, where they are images: draws ``typical.png`` and ``neighbors.png``.
    words : sequence of str, optional
        The name of each column of `features`, where they are words: draws ``words.png``.
    truth : array of shape (n,), optional
        Class numbers, to name and frame things by.
    class_names : sequence of str, optional
    seed : int, default=0
        Of the rows whose neighbours are shown.

    Returns
    -------
    paths : list of Path
        The files written.
    """
    figures, rows = Path(folder) / "figures", features
    if not sparse.issparse(features):
        rows = np.asarray(features).reshape(len(probabilities), -1)
    dense = rows.toarray() if sparse.issparse(rows) else rows.astype(np.float32)
    found = cluster_prototypes(probabilities, dense)
    figures.mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / "prototypes.json"]
    write_json(paths[0], {str(cluster): int(row) for cluster, row in enumerate(found)})
    drawn = {}
    if images is not None:
        drawn["typical"] = typical_images(images, probabilities, dense, truth, class_names)
        some = np.sort(np.random.default_rng(seed).permutation(len(dense))[:SHOWN_ROWS])
        near = nearest_neighbors(rows, min(2 * N_NEIGHBORS, len(dense)), queries=rows[some])  # itself may be among them
        others = np.stack([line[line != own][:N_NEIGHBORS] for line, own in zip(near, some, strict=True)])
        drawn["neighbors"] = neighbors_of_rows(images, some, others, truth)
    if words is not None:
        drawn["words"] = words_of_clusters(rows, np.argmax(probabilities, axis=1), words)
    return paths + [_save(figure, figures / f"{name}.png") for name, figure in drawn.items()]


def show_prototypes(folder, data, seed):
    """Write and name what is typical of each cluster of a finished seed.

    Parameters
    ----------
    folder : path-like
        Of the seed.
    data : experiments.run.Prepared
    seed : int
    """
    stages = load_stages(folder, data.X)
    has_pretext = "pretext" in stages.fitted
    paths = visualize(
        folder,
        stages.answer.probabilities_,
        stages.features if has_pretext else data.X,
        images=data.images,
        words=None if data.texts is None or has_pretext else data.features.get_feature_names_out(),
        truth=data.truth,
        class_names=data.class_names,
        seed=seed,
    )
    print(f"prototypes: {', '.join(str(path) for path in paths)}")
