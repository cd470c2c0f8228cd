"""Checkpoints of a fit: one folder a round, one file a finished member, valid only for the same data and settings."""

import shutil
import tempfile
from pathlib import Path

from kingdra_cluster.persistence import read_arrays, read_json, write_arrays, write_json


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
        self._compare(read_json(self.folder / "run.json"), identity)

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
        return index, read_json(finished[-1]), read_arrays(folder / "round.npz")

    def close(self):
        """Remove a temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()
