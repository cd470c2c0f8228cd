"""The data home: where files are looked for, and how they are downloaded."""

import http.client
import io
import os
import time

import pytest

from experiments import data_home as homes
from experiments.data_home import DataUnavailable, cached_file, data_home, download, file_digest, official_file


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("KINGDRA_DATA", raising=False)
    monkeypatch.setenv("KINGDRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(os.urandom(3_000_000))
    return path


class Response(io.BytesIO):
    """What urlopen returns: a stream that can end early or fail, with a length in its headers."""

    def __init__(self, content, length=None, fail=None, on_read=lambda: None):
        super().__init__(content)
        self.headers = {} if length is None else {"Content-Length": str(length)}
        self.fail, self.on_read = fail, on_read

    def read(self, size=-1):
        self.on_read()
        chunk = super().read(size)
        if not chunk and self.fail:
            raise self.fail
        return chunk


def opener(*args, **kwargs):
    return lambda request, timeout: Response(*args, **kwargs)


# where


def test_the_argument_comes_before_the_variable_and_that_before_the_user_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_home() == tmp_path / "xdg" / "kingdra_cluster"
    monkeypatch.setenv("KINGDRA_DATA", str(tmp_path / "variable"))
    assert data_home() == tmp_path / "variable"
    assert data_home(tmp_path / "argument") == tmp_path / "argument"
    assert not (tmp_path / "argument").exists()


def test_empty_variables_count_as_unset(monkeypatch, tmp_path):
    for name in ("KINGDRA_DATA", "KINGDRA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    if os.name != "nt":
        assert data_home() == homes.cache_home() == tmp_path / ".cache" / "kingdra_cluster"


def test_relative_and_home_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert data_home("here") == tmp_path / "here"
    assert data_home("~").is_absolute()


def test_a_file_is_no_data_home(source):
    with pytest.raises(NotADirectoryError, match=r"data_home must be a folder, received the file .*file\.bin"):
        data_home(source)


def test_cached_file_finds_files_only(tmp_path):
    assert cached_file(tmp_path / "nowhere", "a.npz") is None
    (tmp_path / "a.npz").mkdir()
    assert cached_file(tmp_path, "a.npz") is None
    (tmp_path / "b.npz").touch()
    assert cached_file(tmp_path, "b.npz") == tmp_path / "b.npz"


@pytest.mark.skipif(os.name == "nt", reason="folders have no write bits on Windows")
def test_downloads_of_a_read_only_home_go_to_the_cache_and_are_found_again(tmp_path, source):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    try:
        assert homes.writable_home(home) == homes.writable_home(home / "deeper") == tmp_path / "cache"
        path = official_file(home, "file.bin", [source.as_uri()])
        assert path == tmp_path / "cache" / "file.bin"
        assert cached_file(home, "file.bin") == path
        assert list(home.iterdir()) == []
    finally:
        home.chmod(0o755)
    assert cached_file(home, "file.bin") is None  # a writable home is looked at alone


# download


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_download_checks_and_places_the_file(tmp_path, source, algorithm, capsys):
    target = tmp_path / "deep" / "er" / "copy.bin"
    digest = file_digest(source, algorithm)
    assert download(source.as_uri(), target, **{algorithm: digest.upper()}) == target
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["copy.bin"]
    captured = capsys.readouterr()
    assert "copy.bin: 3.0 MB" in captured.err
    assert captured.out == ""


def test_a_wrong_checksum_leaves_nothing_and_keeps_what_was_there(tmp_path, source):
    target = tmp_path / "copy.bin"
    for before in (None, b"older"):
        if before:
            target.write_bytes(before)
        with pytest.raises(DataUnavailable, match="sha256 checksum: expected 00, received [0-9a-f]{64}"):
            download(source.as_uri(), target, sha256="00", progress=False)
        assert (target.read_bytes() if target.exists() else None) == before
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"content": b"half", "length": 8}, "ended after 4 of 8 bytes"),
        ({"content": b"half", "fail": ConnectionResetError("reset by peer")}, "reset by peer"),
        ({"content": b"half", "fail": TimeoutError("timed out")}, "timed out"),
    ],
)
def test_an_interrupted_transfer_is_never_seen_at_the_target(tmp_path, response, message):
    target = tmp_path / "home" / "copy.bin"
    with pytest.raises(DataUnavailable, match=message) as caught:
        download("http://host/file", target, open_url=opener(**response), progress=False)
    assert "http://host/file" in str(caught.value)
    assert "kingdra_ladder_im_digits.json runs without it" in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_a_keyboard_interrupt_cleans_up(tmp_path):
    target = tmp_path / "copy.bin"
    with pytest.raises(KeyboardInterrupt):
        download("http://h/f", target, open_url=opener(b"half", fail=KeyboardInterrupt()), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_target_appears_only_when_it_is_whole(tmp_path):
    target, seen = tmp_path / "copy.bin", []
    open_url = opener(b"x" * 3_000_000, on_read=lambda: seen.append(target.exists()))
    download("http://h/f", target, open_url=open_url, progress=False)
    assert len(seen) > 2
    assert not any(seen)
    assert target.stat().st_size == 3_000_000


def test_a_missing_file_and_a_malformed_reply_are_unavailable(tmp_path):
    with pytest.raises(DataUnavailable, match="could not download file://"):
        download((tmp_path / "nothing").as_uri(), tmp_path / "copy")
    with pytest.raises(DataUnavailable, match="garbage"):
        download("http://h/f", tmp_path / "copy", open_url=opener(b"", fail=http.client.BadStatusLine("garbage")))


def test_the_next_address_is_tried(tmp_path, source):
    urls = [(tmp_path / "nothing").as_uri(), source.as_uri()]
    assert official_file(tmp_path, "copy", urls).read_bytes() == source.read_bytes()


def test_unavailable_data_names_every_attempt_and_the_remedy(tmp_path):
    urls = [(tmp_path / name).as_uri() for name in ("one", "two")]
    with pytest.raises(DataUnavailable) as caught:
        official_file(tmp_path, "raw.tgz", urls, remedy=f"Put name.npz into {tmp_path}")
    message = str(caught.value)
    for part in (
        "/one",
        "/two",
        f"Put name.npz into {tmp_path}",
        "the publisher's one, renamed to raw.tgz",
        "digits.json runs without",
    ):
        assert part in message
    assert isinstance(caught.value, OSError)


def test_a_copy_put_there_by_hand_is_checked(tmp_path, source):
    with pytest.raises(DataUnavailable, match=r"file\.bin has another md5 checksum"):
        official_file(source.parent, "file.bin", [source.as_uri()], md5="00")
    digest = file_digest(source, "md5")
    assert official_file(source.parent, "file.bin", [], md5=digest) == source


def test_what_killed_downloads_left_is_removed_after_a_day(tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(b"whole")
    old, new, others = (tmp_path / name for name in (".unfinished-old.gz", ".unfinished-new.gz", ".other"))
    for path in (old, new, others):
        path.write_bytes(b"half")
    for path in (old, others):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    download(source.as_uri(), tmp_path / "target.bin", progress=False)
    assert not old.exists()
    assert new.exists()
    assert others.exists()
