"""Checkpoints of a fit: one folder a round, one file a finished member, valid only for the same data and settings."""

import shutil
import tempfile
from pathlib import Path

from kingdra_cluster.persistence import data_hash, manifest, read_arrays, read_json, write_arrays, write_json
from kingdra_cluster.saving import jsonable

FREE_ARGUMENTS = {"mode", "refine", "n_jobs", "checkpoint_dir", "callbacks", "random_state", "verbose"}


def fit_identity(settings, mode, X, seed):
    """Return what a checkpoint must share with a fit to be its own: data, seed, arguments and versions.

    Parameters
    ----------
    settings : KingdraCluster
    mode : ClusteringMode
    X : array or CSR matrix of shape (n, n_features)
    seed : int

    Returns
    -------
    dict
        JSON-able.
    """
    arguments = {name: value for name, value in settings.get_params(deep=False).items() if name not in FREE_ARGUMENTS}
    run = manifest()
    return {
        "data": data_hash(X),
        "seed": seed,
        "mode": type(mode).__name__,
        **{name: jsonable(value) for name, value in arguments.items()},
        **{f"mode {name}": jsonable(value) for name, value in mode.get_params().items()},
        **{f"version of {name}": value for name, value in run["versions"].items()},
        "version of kingdra_cluster": run["kingdra_cluster"],
    }


class Checkpoints:
    """The folder in which a fit keeps its state.

    ``run.json`` says whose state it is; ``round_<r>/member_<m>.npz`` is a finished member,
    ``round_<r>/round.json`` (written last) marks a finished round.  Only the last finished round is kept.

    Parameters
    ----------
    folder : path or None
        None keeps everything in a temporary folder that `close` removes.
    identity : dict
        JSON-able description of data, settings and versions.

    Raises
    ------
    ValueError
        If the folder holds the checkpoints of another fit; the message names what differs.
    """

    def __init__(self, folder, identity):
        self._temporary = tempfile.TemporaryDirectory(prefix="kingdra_cluster-") if folder is None else None
        self.folder = Path(folder or self._temporary.name)
        if not (self.folder / "run.json").is_file():
            write_json(self.folder / "run.json", identity)
        self._compare(read_json(self.folder / "run.json", keys=()), identity)

    def _compare(self, found, expected):
        for key in sorted(found.keys() | expected.keys()):
            if found.get(key) != expected.get(key):
                raise ValueError(
                    f"checkpoint_dir={str(self.folder)!r} belongs to another fit: {key} was {found.get(key)!r} there "
                    f"and is {expected.get(key)!r} here; give another folder or the same data and settings"
                )

    def member_path(self, round_index, member):
        """Return the file of a member's state after a round."""
        return self.folder / f"round_{round_index:04d}" / f"member_{member:03d}.npz"

    def save_round(self, round_index, progress, arrays):
        """Mark a round as finished, then drop the rounds before it."""
        current = self.folder / f"round_{round_index:04d}"
        write_arrays(current / "round.npz", **arrays)
        write_json(current / "round.json", progress)
        for older in self.folder.glob("round_*"):
            if older.name < current.name:
                shutil.rmtree(older)

    def last_round(self):
        """Return index, progress and arrays of the last finished round, or None."""
        finished = sorted(self.folder.glob("round_*/round.json"))
        if not finished:
            return None
        folder = finished[-1].parent
        index = int(folder.name.removeprefix("round_"))
        return index, read_json(finished[-1], keys=()), read_arrays(folder / "round.npz")

    def close(self):
        """Remove a temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()
