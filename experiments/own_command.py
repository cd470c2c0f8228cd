"""``run_exp.py cluster``: the user's own images, texts or rows to clusters, without writing a configuration."""

from pathlib import Path

from experiments import config as configuration

SOURCES = {
    "images": {"name": "image_folder", "size": 64, "features": {"kind": "resnet50"}},
    "texts": {"name": "text_files", "features": {"kind": "tfidf", "max_features": 2000, "stop_words": "english"}},
    "array": {"name": "arrays"},
}
PLAIN_IMAGES = {"size": 32, "colour": "grey", "features": {"kind": "flatten"}}
N_MEMBERS = 5


def own_config(kind, path, n_clusters, *, plain=False, overrides=()):
    """Complete configuration for data of the user's own: fewer members than the defaults have.

    Parameters
    ----------
    kind : {"images", "texts", "array"}
    path : path-like
        Folder of images, file or folder of texts, or file of rows.
    n_clusters : int or "auto"
    plain : bool, default=False
        Images: cluster small grey pixels, which needs no download, instead of a pretrained network's features.
    overrides : sequence of str
        ``"a.b=value"`` items.

    Returns
    -------
    config : dict

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If an argument does not suit.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise FileNotFoundError(f"--{kind}: there is no {path}.")
    if plain and kind != "images":
        raise ValueError("--pixels suits --images alone.")
    data = {**SOURCES[kind], "path": str(path), **(PLAIN_IMAGES if plain else {})}
    config = {"data": data, "cluster": {"n_members": N_MEMBERS, "n_clusters": n_clusters}}
    for item in overrides:
        configuration.override(config, *configuration.parse_override(item))
    return configuration.resolve(config, (path.resolve() if path.name == ".." else path).stem)
