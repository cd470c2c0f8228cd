import csv
import json
import pickle
import sys
from types import SimpleNamespace

import pytest
from sklearn.base import clone

from kingdra_cluster import KingdraCluster, progress
from kingdra_cluster.callbacks import CSVLog, JSONLinesLog, TensorBoardLog, flatten

HISTORY = [
    {"round": 0, "agreement": 0.5, "changed": None, "losses": {"loss": 2.0}},
    {"round": 1, "agreement": 0.75, "changed": 0.25, "losses": {"loss": 1.5, "supervised": 0.5}},
]
RECORD = {"epochs": 5, "smallest_bucket": 1200, "losses": {"loss": 1.25, "kl": 1e-7}}


def play(callback, rounds=2):
    for count in range(1, rounds + 1):
        callback(SimpleNamespace(history_=HISTORY[:count]), HISTORY[count - 1])


def test_json_lines_hold_the_history(tmp_path):
    play(JSONLinesLog(tmp_path / "logs" / "rounds.jsonl"))
    lines = (tmp_path / "logs" / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == HISTORY


def test_a_csv_table_gets_new_columns_and_leaves_blanks(tmp_path):
    play(CSVLog(tmp_path / "rounds.csv"))
    with open(tmp_path / "rounds.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["round", "agreement", "changed", "loss_loss", "loss_supervised"]
    assert [row["loss_supervised"] for row in rows] == ["", "0.5"]
    assert rows[0]["changed"] == ""


@pytest.mark.parametrize("log", [JSONLinesLog, CSVLog])
def test_a_round_told_twice_is_there_once(tmp_path, log):
    callback = log(tmp_path / "log")
    play(callback)
    whole = (tmp_path / "log").read_bytes()
    callback(SimpleNamespace(history_=HISTORY), HISTORY[1])
    assert (tmp_path / "log").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_flatten_keeps_the_record():
    record = json.loads(json.dumps(HISTORY[1]))
    assert flatten(record) == {"round": 1, "agreement": 0.75, "changed": 0.25, "loss_loss": 1.5, "loss_supervised": 0.5}
    assert record == HISTORY[1]


def test_tensorboard_gets_a_scalar_a_number(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    play(TensorBoardLog(tmp_path))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"agreement", "loss/loss", "loss/supervised"} <= set(events.Tags()["tensors"])


def test_a_tensorboard_log_that_was_used_can_be_cloned_and_pickled(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setitem(sys.modules, "tensorboard", sys)  # the extra itself is not needed to open a file
    log = TensorBoardLog(tmp_path)
    log._writer = tf.summary.create_file_writer(str(tmp_path))
    (cloned,) = clone(KingdraCluster(callbacks=[log])).callbacks
    for again in (cloned, pickle.loads(pickle.dumps(log))):
        assert vars(again) == {"folder": tmp_path, "_writer": None}
    assert log._writer is not None


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        TensorBoardLog(tmp_path)


def test_the_second_line_holds_losses():
    line = progress.detail_line(RECORD)
    assert line == "    5 epochs a member  smallest bucket 1,200 rows  losses: loss 1.25  kl 1e-07"


def test_lines_are_whole_and_plain_where_the_output_is_no_terminal(capsys):
    progress.report("round 1/3")
    assert capsys.readouterr().out == "round 1/3\n"


def test_no_output_or_a_closed_one_ends_no_training(monkeypatch):
    def broken(_):
        raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", None)
    progress.report("nobody hears")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=broken, flush=lambda: None))
    progress.report("nobody listens any more")
