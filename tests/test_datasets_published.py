"""Published data sets from small files in their publishers' own formats, and from the real ones where they are."""
# ruff: noqa: F811  (fixtures are imported by name)

import gzip
import io
import os

import numpy as np
import pytest
from dataset_files import RNG, TEXT, home, no_network, tar_gz  # noqa: F401  (fixtures)
from sklearn.utils import Bunch

from experiments.cifar import parse_records
from experiments.data_home import DataUnavailable
from experiments.datasets import load, load_module
from experiments.raw_files import array_checksum, write_npz


def test_digits_as_rows_and_as_images():
    rows, images = load("digits"), load("digits", images=True)
    assert rows.X.shape == (1797, 64)
    assert images.X.shape == (1797, 8, 8)
    assert (rows.X.min(), rows.X.max()) == (0, 16)


def test_mnist_from_the_keras_file(home, monkeypatch):
    module = load_module("mnist")
    train, test = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8), RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    raw = {"x_train": train, "y_train": np.uint8([5, 0, 4, 1, 9]), "x_test": test, "y_test": np.uint8([7, 2, 1])}
    write_npz(home / "mnist_keras.npz", **raw)
    with pytest.raises(DataUnavailable, match=f"expected {module.SHA256}"):
        load("mnist", home)
    monkeypatch.setattr(module, "SHA256", None)
    X = np.concatenate([train, test])
    monkeypatch.setattr(module, "ARRAYS", array_checksum(X, np.uint8([5, 0, 4, 1, 9, 7, 2, 1])))
    monkeypatch.setattr(module, "SHAPE", X.shape)
    for source in ("http", "cached file"):  # converted, then read back
        bunch = load("mnist", home)
        np.testing.assert_array_equal(bunch.X, X)
        assert bunch.split.tolist() == [0] * 5 + [1] * 3
        assert bunch.verified is True
        assert bunch.source.startswith(source)


def test_fashion_mnist_from_idx_files(home, monkeypatch):
    module = load_module("fashion_mnist")
    arrays = [RNG.integers(0, 10, shape, dtype=np.uint8) for shape in ((4, 28, 28), (4,), (3, 28, 28), (3,))]
    for name, array in zip(module.MD5, arrays, strict=True):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
        (home / f"fashion-{name}").write_bytes(gzip.compress(header + array.tobytes()))
    monkeypatch.setattr(module, "MD5", dict.fromkeys(module.MD5))
    bunch = load("fashion_mnist", home)
    np.testing.assert_array_equal(bunch.X, np.concatenate([arrays[0], arrays[2]]))
    np.testing.assert_array_equal(bunch.y, np.concatenate([arrays[1], arrays[3]]))
    assert bunch.class_names[9] == "Ankle boot"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"\0\0\x0d\1", mtime=0), gzip.compress(b"\0\0\x08\1\0\0\0\5ab", mtime=0)],
)
def test_a_damaged_idx_file_is_named(tmp_path, content):
    (tmp_path / "bad.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.gz is not a gzipped IDX file"):
        load_module("fashion_mnist").read_idx(tmp_path / "bad.gz")


def cifar_records(images, *labels):
    return b"".join(
        bytes(label) + image.transpose(2, 0, 1).tobytes() for image, *label in zip(images, *labels, strict=True)
    )


def test_cifar10_from_the_binary_archive(home, monkeypatch):
    images, y = RNG.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8), RNG.integers(0, 10, 12)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    parts = np.split(np.arange(12), 6)
    members = {f"cifar-10-batches-bin/{n}": cifar_records(images[p], y[p]) for n, p in zip(names, parts, strict=True)}
    members["cifar-10-batches-bin/batches.meta.txt"] = b"\n".join(b"class%d" % i for i in range(10)) + b"\n"
    tar_gz(home / "cifar-10-binary.tar.gz", members)
    monkeypatch.setattr(load_module("cifar10"), "MD5", None)
    bunch = load("cifar10", home)
    np.testing.assert_array_equal(bunch.X, images)
    np.testing.assert_array_equal(bunch.y, y)
    assert bunch.split.tolist() == [0] * 10 + [1] * 2
    assert bunch.class_names[3] == "class3"


@pytest.mark.parametrize(("name", "column"), [("cifar20", 0), ("cifar100", 1)])
def test_cifar100_has_coarse_and_fine_labels(home, monkeypatch, name, column):
    images, y = RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), np.array([[3, 4, 19, 0], [77, 4, 1, 99]])
    lines = {kind: b"\n".join(b"%s%d" % (kind, i) for i in range(k)) for kind, k in ((b"coarse", 20), (b"fine", 100))}
    members = {
        "cifar-100-binary/train.bin": cifar_records(images[:3], *y[:, :3]),
        "cifar-100-binary/test.bin": cifar_records(images[3:], *y[:, 3:]),
        "cifar-100-binary/coarse_label_names.txt": lines[b"coarse"],
        "cifar-100-binary/fine_label_names.txt": lines[b"fine"],
    }
    tar_gz(home / "cifar-100-binary.tar.gz", members)
    monkeypatch.setattr(load_module(name), "MD5", None)
    bunch = load(name, home)
    np.testing.assert_array_equal(bunch.X, images)
    np.testing.assert_array_equal(bunch.y, y[column])
    assert len(bunch.class_names) == (20, 100)[column]


def test_damaged_archives_are_unavailable_data(home, monkeypatch):
    monkeypatch.setattr(load_module("cifar10"), "MD5", None)
    tar_gz(home / "cifar-10-binary.tar.gz", {"a/test_batch.bin": b""})
    with pytest.raises(DataUnavailable, match=r"lacks batches.meta.txt, data_batch_1.bin"):
        load("cifar10", home)
    (home / "cifar-10-binary.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataUnavailable, match="cannot be read"):
        load("cifar10", home)
    with pytest.raises(ValueError, match="3073 bytes each, received 3072"):
        parse_records(bytes(3072))


def test_a_jpeg_copy_of_cifar10_is_decoded_into_the_cache_and_says_so(home, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    streams = []
    for picture in pixels:
        buffer = io.BytesIO()
        image.fromarray(picture).save(buffer, "jpeg", quality=100, subsampling=0)
        streams.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, streams)])
    parts = {"y": [0, 1, 2], "split": [0, 0, 1], "classes": ["a", "b", "c"]}
    write_npz(home / "cifar10_jpeg.npz", jpeg=np.frombuffer(b"".join(streams), np.uint8), offsets=offsets, **parts)
    for _ in range(2):
        bunch = load("cifar10", home)
        assert np.abs(bunch.X.astype(int) - pixels).mean() < 3
        assert "not the original pixels" in bunch.description
        assert "cifar10_jpeg.npz" in bunch.source
    assert [path.name for path in home.iterdir()] == ["cifar10_jpeg.npz"]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_stl10_from_the_binary_archive(home, monkeypatch):
    module = load_module("stl10")
    images = RNG.integers(0, 256, (7, 96, 96, 3), dtype=np.uint8)
    raw = [image.transpose(2, 1, 0).tobytes() for image in images]  # planes, columns, rows
    members = {
        "stl10_binary/test_X.bin": b"".join(raw[2:4]),
        "stl10_binary/test_y.bin": bytes([10, 1]),
        "stl10_binary/train_X.bin": b"".join(raw[:2]),
        "stl10_binary/train_y.bin": bytes([2, 1]),
        "stl10_binary/unlabeled_X.bin": b"".join(raw[4:]),
    }
    tar_gz(home / "stl10_binary.tar.gz", members)
    monkeypatch.setattr(module, "MD5", None)
    bunch = load("stl10", home, unlabelled=True)
    np.testing.assert_array_equal(bunch.X, images[:4])
    assert bunch.y.tolist() == [1, 0, 9, 0]
    assert bunch.split.tolist() == [0, 0, 1, 1]
    assert [bunch.class_names[i] for i in bunch.y] == ["bird", "airplane", "truck", "airplane"]
    np.testing.assert_array_equal(bunch.X_unlabelled, images[4:])
    assert isinstance(bunch.X_unlabelled, np.memmap)
    (home / "stl10_binary.tar.gz").unlink()
    np.testing.assert_array_equal(load("stl10", home, unlabelled=True).X_unlabelled, images[4:])
    assert "X_unlabelled" not in load("stl10", home)
    with pytest.raises(ValueError, match="27648 bytes each, received 5"):
        module.parse_images(np.zeros(5, np.uint8))


SGML = """<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987</DATE>
<TOPICS><D>earn</D></TOPICS><PLACES><D>usa</D></PLACES>
<TEXT>&#2;
<TITLE>CHAMPION PRODUCTS &lt;CH> APPROVES SPLIT</TITLE>
<DATELINE>    ROCHESTER, Feb 26 - </DATELINE><BODY>Its board rose 2.5 pct;
profit &amp; loss.
 Reuter
&#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" NEWID="2"><TOPICS><D>grain</D><D>wheat</D></TOPICS>
<TEXT><TITLE>TWO TOPICS</TITLE><BODY>x</BODY></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TEST" NEWID="3"><TOPICS><D>acq</D></TOPICS>
<TEXT TYPE="BRIEF"><TITLE>A BRIEF</TITLE></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="NOT-USED" NEWID="4"><TOPICS><D>acq</D></TOPICS>
<TEXT><BODY>unused</BODY></TEXT></REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="TRAIN" NEWID="5"><TOPICS><D>acq</D></TOPICS><TEXT><BODY>x</BODY></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" NEWID="6"><TOPICS><D>cocoa</D></TOPICS><TEXT><BODY>x</BODY></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" NEWID="7"><TOPICS></TOPICS><TEXT><BODY>none</BODY></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" NEWID="8"><TOPICS><D>money-fx</D></TOPICS>
<TEXT TYPE="UNPROC">&#2;
<AUTHOR>By A Writer</AUTHOR>YEN 140
UP &lt;TOK></TEXT></REUTERS>
"""


def test_r8_keeps_articles_with_one_of_the_eight_topics_in_the_modapte_split():
    assert load_module("reuters_r8").parse_sgml(SGML) == [
        ("champion products ch approves split its board rose pct profit loss reuter", "earn", "train"),
        ("a brief", "acq", "test"),
        ("yen up tok", "money-fx", "train"),
    ]
    assert load_module("reuters_r8").parse_sgml("") == []


def test_r8_from_the_archive_with_the_training_rows_first(home):
    second = SGML.replace("CHAMPION", "SECOND").encode("latin-1")
    tar_gz(home / "reuters21578.tar.gz", {"reut2-001.sgm": second, "reut2-000.sgm": SGML.encode(), "README.txt": b"x"})
    bunch = load("reuters_r8", home)
    assert [text.split()[0] for text in bunch.texts] == ["champion", "yen", "second", "yen", "a", "a"]
    assert bunch.split.tolist() == [0, 0, 0, 0, 1, 1]
    assert [bunch.class_names[i] for i in bunch.y] == ["earn", "money-fx", "earn", "money-fx", "acq", "acq"]
    assert bunch.verified is False  # not 5,485 and 2,189 rows
    tar_gz(home / "reuters21578.tar.gz", {"README.txt": b"x"})
    (home / "reuters_r8.jsonl.gz").unlink()
    with pytest.raises(DataUnavailable, match="holds no R8 article"):
        load("reuters_r8", home)


def test_20news_through_scikit_learn(home, monkeypatch):
    asked = []

    def fetch(data_home, subset, shuffle, remove):
        asked.append(remove)
        assert not shuffle
        targets = np.array({"train": [1, 0, 1], "test": [0, 1]}[subset])
        return Bunch(data=[f"{subset} {i}" for i in targets], target=targets, target_names=["alt.x", "sci.y"])

    monkeypatch.setattr(load_module("20news"), "fetch_20newsgroups", fetch)
    for _ in range(2):
        bunch = load("20news", home)
        assert bunch.texts == ["train 1", "train 0", "train 1", "test 0", "test 1"]
        assert bunch.y.tolist() == [1, 0, 1, 0, 1]
        assert bunch.split.tolist() == [0, 0, 0, 1, 1]
        assert bunch.class_names == ["alt.x", "sci.y"]
    load("20news", home, remove=["quotes", "headers"])
    load("20news", home, remove=[])
    assert asked == [("headers",)] * 2 + [("headers", "quotes")] * 2 + [()] * 2  # the second load was cached
    assert {path.name for path in home.iterdir()} == {
        "20news.jsonl.gz",
        "20news_without_headers_quotes.jsonl.gz",
        "20news_without_nothing.jsonl.gz",
    }
    for bad in ("headers", ["header"]):
        with pytest.raises(ValueError, match="remove must be None or a list with some of"):
            load("20news", home, remove=bad)


# the real files


@pytest.fixture(scope="session")
def real_data():
    folder = os.environ.get("KINGDRA_DATA")
    if not folder:
        pytest.skip("KINGDRA_DATA is not set: no real data")
    return folder


REAL = {
    "mnist": {"shape": (70000, 28, 28), "sizes": (6313, 7877)},
    "fashion_mnist": {"shape": (70000, 28, 28), "sizes": (7000, 7000)},
    "20news": {"shape": (18821,), "sizes": (628, 999)},
    "reuters_r8": {"shape": (7674,), "sizes": (51, 3923)},
}


def real_file(folder, name):
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        pytest.skip(f"{name} is not in KINGDRA_DATA")
    return path


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_raw_files_are_the_published_ones(name, real_data):
    real_file(real_data, f"{name}.{'jsonl.gz' if name in TEXT else 'npz'}")
    bunch = load(name, real_data)
    assert ((len(bunch.texts),) if name in TEXT else bunch.X.shape) == REAL[name]["shape"]
    counts = np.bincount(bunch.y)
    assert (counts.min(), counts.max()) == REAL[name]["sizes"]
    assert bunch.verified is True


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cifar10_efficientnet_lite0.npz", (25000, 256)),
        ("20news_minilm.npz", (18821, 384)),
        ("reuters_r8_minilm.npz", (7674, 384)),
    ],
)
def test_real_feature_files(name, shape, real_data):
    real_file(real_data, name)
    bunch = load("arrays", real_data, path=name)
    assert bunch.X.shape == shape
    assert bunch.X.dtype == np.float16
    assert len(bunch.class_names) == len(np.unique(bunch.y))
    assert set(np.unique(bunch.split)) == {0, 1}
