"""The two raw formats: written atomically, read without pickle, damage named."""

import ast
import gzip
import json
import os

import numpy as np
import pytest
from test_contracts import PACKAGE, definitions, source_files

from experiments.raw_files import (
    array_checksum,
    load_npy,
    read_arrays,
    read_json_lines,
    read_jsonl_gz,
    read_npz,
    write_jsonl_gz,
    write_npz,
)


def arrays(**changes):
    return {
        "X": np.zeros((3, 2)),
        "y": np.array([0, 1, 1]),
        "split": np.zeros(3, "uint8"),
        "classes": ["a", "b"],
    } | changes


def test_npz_round_trip_without_leftovers(tmp_path):
    for compress in (True, False):
        write_npz(tmp_path / "a.npz", compress=compress, **arrays(), other=np.ones(4))
        back = read_npz(tmp_path / "a.npz")
        assert sorted(back) == ["X", "classes", "split", "y"]
        assert back["classes"].tolist() == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.array([0, 1])}, r"y must be \(3,\) integers"),
        ({"y": np.array([0.0, 1, 1])}, r"y must be \(3,\) integers.*float64"),
        ({"y": np.array([0, 1, 2])}, "y must number the 2 classes from 0, received 0 to 2"),
        ({"split": np.zeros((3, 1), int)}, "split must be"),
    ],
)
def test_npz_contents_are_validated(tmp_path, changes, message):
    write_npz(tmp_path / "a.npz", **arrays(**changes))
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "a.npz")


def test_a_missing_key_is_named(tmp_path):
    write_npz(tmp_path / "a.npz", X=np.zeros(3), y=np.zeros(3))
    with pytest.raises(ValueError, match=r"lacks \['split', 'classes'\], received \['X', 'y'\]"):
        read_npz(tmp_path / "a.npz")


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="X must be numeric or text, received dtype object"):
        write_npz(tmp_path / "a.npz", X=np.array([{}]))
    np.savez(tmp_path / "b.npz", X=np.array([{}], dtype=object))
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"b\.npz is damaged or not a file of plain arrays"):
        read_arrays(tmp_path / "b.npz")
    with pytest.raises(ValueError, match=r"b\.npy is not an \.npy file that can be read without pickle"):
        load_npy(tmp_path / "b.npy")


def test_damaged_files_are_named(tmp_path):
    write_npz(tmp_path / "a.npz", **arrays(X=np.random.default_rng(0).random((3, 5000))))
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive", whole[:300] + bytes(100) + whole[400:]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.npz"):
            read_npz(tmp_path / "bad.npz")


def test_a_failed_write_keeps_the_older_file(tmp_path, monkeypatch):
    write_npz(tmp_path / "a.npz", **arrays())

    def full_disk(file, **arrays):
        file.write(b"part")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="disk full"):
        write_npz(tmp_path / "a.npz", **arrays())
    assert read_npz(tmp_path / "a.npz")["y"].tolist() == [0, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_texts_round_trip_and_equal_content_gives_equal_bytes(tmp_path):
    rows = (["one\ntext", "größer 漢字", ""], ["a", "b", "a"], ["train", "train", "test"])
    for name in ("a", "b"):
        write_jsonl_gz(tmp_path / f"{name}.jsonl.gz", *rows)
    assert read_jsonl_gz(tmp_path / "a.jsonl.gz") == rows
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: "),
        ("[1]", "line 2: expected an object"),
        (json.dumps({"text": "t", "label": "a"}), "line 2: text and label must be strings and split one of"),
        (json.dumps({"text": "t", "label": 3, "split": "train"}), "line 2: text and label must be strings"),
        (json.dumps({"text": "t", "label": "a", "split": "dev"}), "split one of .* received .*'dev'"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    good = json.dumps({"text": "t", "label": "a", "split": "train"})
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(f"{good}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_jsonl_gz(tmp_path / "a.jsonl.gz")


def test_a_truncated_text_file_is_named(tmp_path):
    write_jsonl_gz(tmp_path / "a.jsonl.gz", [os.urandom(500).hex()] * 9, ["a"] * 9, ["train"] * 9)
    (tmp_path / "a.jsonl.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz, line"):
        read_jsonl_gz(tmp_path / "a.jsonl.gz")


# hashes


def test_blank_lines_and_byte_order_marks_are_passed_over_and_still_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('\ufeff{"a": 1}\n\n{"a": 2}\n  \n', encoding="utf-8")
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]
    for bad in ("null", "{"):
        path.write_text(f'{{"a": 1}}\n\n{bad}\n', encoding="utf-8")
        with pytest.raises(ValueError, match=r"rows\.jsonl, line 3"):
            read_json_lines(path)


def test_a_checksum_is_one_of_all_arrays(tmp_path):
    x = np.random.default_rng(0).random((40, 6)).astype("float16")
    np.save(tmp_path / "x.npy", x)
    assert array_checksum(load_npy(tmp_path / "x.npy")) == array_checksum(x) == array_checksum(np.asfortranarray(x))
    assert array_checksum(x) != array_checksum(x, x)


def test_experiments_define_nothing_that_the_package_has():
    def public(paths):
        return {node.name for path in paths for node in definitions(ast.parse(path.read_text(encoding="utf-8")))}

    ours = public([PACKAGE / "checks.py", PACKAGE / "persistence.py"])
    again = ours & public(source_files("experiments").values())
    assert again == {"read_arrays", "write_json"}  # one asks for keys, the other writes any text
