"""Checkpoints of a fit: one folder a round, one file a finished member, valid only for the same data and settings."""

import shutil
import tempfile
from pathlib import Path

from sklearn.utils import check_random_state

from kingdra_cluster.modes.base import LARGEST_SEED
from kingdra_cluster.persistence import (
    bits_depend_on,
    data_hash,
    lock_folder,
    read_arrays,
    read_json,
    remove_unfinished,
    unlock_folder,
    write_arrays,
    write_json,
)
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
    return {
        "data": data_hash(X),
        "seed": seed,
        "mode": type(mode).__name__,
        **{name: jsonable(value) for name, value in arguments.items()},
        **{f"mode {name}": jsonable(value) for name, value in mode.get_params().items()},
        **bits_depend_on(),
    }


def seed_of_fit(random_state, folder):
    """Return the seed of a fit: drawn from ``random_state`` or, if that is None, the one with which it once began.

    Parameters
    ----------
    random_state : int, RandomState or None
    folder : path or None
        Its folder of checkpoints.

    Returns
    -------
    int
    """
    begun = None if folder is None else Path(folder) / "run.json"
    if random_state is None and begun is not None and begun.is_file():
        return read_json(begun, keys=("seed",))["seed"]
    return check_random_state(random_state).randint(LARGEST_SEED)


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
    RuntimeError
        If another fit, in this process or another one of this machine, is using the folder.
    """

    def __init__(self, folder, identity):
        self._temporary = tempfile.TemporaryDirectory(prefix="kingdra_cluster-") if folder is None else None
        self.folder = Path(folder or self._temporary.name).absolute()  # workers may stand elsewhere
        self._lock = lock_folder(self.folder)
        try:
            self._check(identity)
        except BaseException:
            self.close()
            raise
        remove_unfinished(self.folder, *self.folder.glob("round_*"))
        self._prune()  # a kill may have come in between

    def _check(self, identity):
        """Write down whose the folder is, or compare."""
        if not (self.folder / "run.json").is_file():
            if any(self.folder.glob("round_*")):
                raise ValueError(
                    f"checkpoint_dir={str(self.folder)!r} holds rounds of a fit but no run.json that says which; "
                    "give another folder"
                )
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

    def check_members(self, round_index, n_members):
        """Raise ``FileNotFoundError`` if a worker has written a member's state where this process can't see it."""
        for member in range(n_members):
            path = self.member_path(round_index, member)
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} was written on another machine; give a checkpoint_dir on a disk that all workers share"
                )

    def save_round(self, round_index, progress, arrays):
        """Mark a round as finished, then drop the rounds before it."""
        current = self.folder / f"round_{round_index:04d}"
        write_arrays(current / "round.npz", **arrays)
        write_json(current / "round.json", progress)
        self._prune()

    def last_round(self):
        """Return index, progress and arrays of the last finished round, or None."""
        folder = self._last_folder()
        if folder is None:
            return None
        index = int(folder.name.removeprefix("round_"))
        progress = read_json(folder / "round.json", keys=("history", "reused"))
        return index, progress, read_arrays(folder / "round.npz")

    def _last_folder(self):
        return max((path.parent for path in self.folder.glob("round_*/round.json")), default=None)

    def _prune(self):
        """Drop the rounds before the last finished one."""
        last = self._last_folder()
        for folder in self.folder.glob("round_*"):
            if last is not None and folder < last:
                shutil.rmtree(folder)

    def close(self):
        """Let others use the folder; remove a temporary one."""
        unlock_folder(self._lock)
        self._lock = None
        if self._temporary is not None:
            self._temporary.cleanup()
