"""Logs of the rounds, for ``KingdraCluster(callbacks=[...])``: JSON lines, a CSV table, TensorBoard.

A callback is any ``callback(estimator, record)``; these write what `history_` holds.  The two files are written whole
after every round, so that they are never torn and a resumed fit leaves each round in them once.
"""

import csv
import io
import json
from pathlib import Path

from kingdra_cluster.persistence import replacing


def flatten(record):
    """Return a record of ``history_`` without nesting: its losses become ``loss_<name>``."""
    flat = {name: value for name, value in record.items() if name != "losses"}
    return flat | {f"loss_{name}": value for name, value in record.get("losses", {}).items()}


class JSONLinesLog:
    """A JSON object a round.

    Parameters
    ----------
    path : path
        The file; replaced after every round.
    """

    def __init__(self, path):
        self.path = Path(path)

    def __call__(self, estimator, record):
        """Write all rounds so far."""
        _write(self.path, "".join(json.dumps(line) + "\n" for line in estimator.history_))


class CSVLog:
    """A line a round and a column an entry; a cell is empty where a round has no such entry.

    Parameters
    ----------
    path : path
        The file; replaced after every round.
    """

    def __init__(self, path):
        self.path = Path(path)

    def __call__(self, estimator, record):
        """Write all rounds so far."""
        lines = [flatten(line) for line in estimator.history_]
        names = list(dict.fromkeys(name for line in lines for name in line))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        _write(self.path, buffer.getvalue())


class TensorBoardLog:
    """Every number of a round as a scalar, its step the round counted from 1.

    Parameters
    ----------
    folder : path
        Folder of the event files.

    Raises
    ------
    ImportError
        If the extra ``tensorboard`` is not installed.
    """

    def __init__(self, folder):
        try:
            import tensorboard  # noqa: F401
        except ImportError as error:
            raise ImportError("TensorBoardLog needs TensorBoard: pip install tensorboard") from error
        self.folder = Path(folder)
        self._writer = None

    def __call__(self, estimator, record):
        """Write the scalars of this round."""
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(step=record["round"] + 1):
            for name, value in flatten(record).items():
                if value is not None:
                    tf.summary.scalar(name.replace("loss_", "loss/", 1), float(value))
        self._writer.flush()

    def __getstate__(self):
        """Leave the open file behind: copies, as `sklearn.base.clone` makes them, and pickles open their own."""
        return vars(self) | {"_writer": None}


def _write(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
