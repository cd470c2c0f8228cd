import io
import json
import os
import stat
import warnings

import numpy as np
import pytest
from scipy import sparse

from kingdra_cluster.persistence import (
    data_hash,
    manifest,
    read_arrays,
    read_json,
    replacing,
    write_arrays,
    write_json,
)


class Unpickled:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def whole_file(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, a=np.arange(1000.0), b=np.array(["x", "yz"]))
    return path


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"f": np.float32([[1, 2]]), "i": np.int8([3]), "s": np.array(["é", "b"]), "e": np.zeros((0, 2))}
    write_arrays(tmp_path / "new" / "folder" / "x.npz", **arrays)
    found = read_arrays(tmp_path / "new" / "folder" / "x.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_json_comes_back_as_it_was(tmp_path):
    value = {"a": [1, 2.5, None, True], "b": {"c": "é"}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == value


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "x.json", 1)
    for value, error in ((float("nan"), ValueError), ({"a": object()}, TypeError)):
        with pytest.raises(error):
            write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == 1
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt(), ValueError()], ids=repr)
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_full_disk_in_the_middle_of_the_arrays_leaves_the_old_file(tmp_path, monkeypatch):
    path = whole_file(tmp_path)
    before = path.read_bytes()

    def full_disk(file, **arrays):
        with open(file, "wb") as stream:
            stream.write(b"PK")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_arrays(path, a=np.zeros(3))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["arrays.npz"]


def test_the_new_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "x.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # same file system: the move is atomic
        assert not path.exists()
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_one_and_the_file_it_leads_to_is_replaced(tmp_path, there):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "x.json")
    if there:
        (tmp_path / "deep" / "x.json").write_text("old")
    write_json(tmp_path / "link", 1)
    assert (tmp_path / "link").is_symlink()
    assert read_json(tmp_path / "deep" / "x.json") == 1
    assert os.listdir(tmp_path / "deep") == ["x.json"]


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_json(path, {"a": 1})
        assert json.loads(os.read(reader, 1000)) == {"a": 1}
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_folder_is_not_written_over(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_json(tmp_path / "folder", 1)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_files_get_the_permissions_that_any_new_file_gets(tmp_path):
    write_json(tmp_path / "x.json", 1)
    (tmp_path / "y").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.json", "y")}
    assert len(modes) == 1


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 0.5, 0.9, -1])
def test_truncated_arrays_are_refused_by_name(tmp_path, kept):
    path = whole_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match=r"arrays\.npz is damaged"):
        read_arrays(path)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_changed_bytes_never_pass_as_other_values(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, a=np.arange(20.0), b=np.array(["x", "yz"]))
    whole, expected = path.read_bytes(), read_arrays(path)
    refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            found = read_arrays(path)
        except ValueError:
            refused += 1
            continue
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])
    assert refused > len(whole) / 2


def test_a_single_array_is_not_a_file_of_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"x\.npz is damaged or not a file of plain arrays"):
        read_arrays(tmp_path / "x.npz")


def test_python_objects_are_refused_and_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("objects.npz", harmless=np.zeros(2), objects=np.array([Unpickled()], dtype=object))
    with pytest.raises(ValueError, match=r"objects\.npz is damaged or not a file of plain arrays"):
        read_arrays("objects.npz")
    assert not (tmp_path / "unpickled").exists()
    np.load("objects.npz", allow_pickle=True)["objects"]  # the trap does work
    assert (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"a": 1'])
def test_damaged_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        read_json(tmp_path / "run.json")


def test_missing_files_are_called_missing(tmp_path):
    for read, name in ((read_json, "x.json"), (read_arrays, "x.npz")):
        with pytest.raises(FileNotFoundError, match=name):
            read(tmp_path / name)


# The hash of the data


def test_the_hash_tells_type_shape_and_every_entry_apart():
    X = np.arange(12.0).reshape(4, 3)
    changed = X.copy()
    changed[3, 2] += 1e-12
    variants = [X, X.astype("float32"), X.astype("int64"), X.reshape(3, 4), X[:3], X[::-1], -X, changed, X.T]
    variants += [sparse.csr_matrix(X), sparse.csr_matrix(X[::-1]), X.astype(">f8")]
    variants += [np.zeros((4, 3)), np.zeros((4, 3), "int64"), np.zeros((4, 3), "uint64"), np.zeros((8, 3), "float32")]
    hashes = [data_hash(variant) for variant in variants]
    assert len(set(hashes)) == len(variants)
    assert all(len(digest) == 64 for digest in hashes)


def test_the_hash_is_that_of_the_rows_however_they_are_stored(tmp_path):
    X = np.random.default_rng(0).normal(size=(200_000, 2))  # several blocks
    np.save(tmp_path / "X.npy", X)
    expected = data_hash(X)
    assert data_hash(np.load(tmp_path / "X.npy", mmap_mode="r")) == expected
    assert data_hash(np.asfortranarray(X)) == expected
    assert data_hash(X.copy()) == expected
    X[150_000, 1] += 1
    assert data_hash(X) != expected
    narrow, wide = sparse.csr_matrix(X[:9]), sparse.csr_matrix(X[:9])
    wide.indices, wide.indptr = wide.indices.astype("int64"), wide.indptr.astype("int64")
    assert narrow.indices.dtype != wide.indices.dtype
    assert data_hash(narrow) == data_hash(wide)


def test_the_manifest_is_json_and_names_what_bits_depend_on():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = manifest(seed=3)
    json.dump(found, io.StringIO(), allow_nan=False)
    assert found["seed"] == 3
    assert {"tensorflow", "keras", "numpy", "scikit-learn"} <= set(found["versions"])
    assert found["kingdra_cluster"]
    assert {"python", "platform", "processor", "cores", "flags"} <= set(found)


def test_the_manifest_notes_the_flags_that_change_bits(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert manifest()["flags"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert "XLA_FLAGS" not in manifest()["flags"]
