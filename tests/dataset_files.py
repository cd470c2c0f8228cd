"""Small files in the formats of the data sets, and a test environment without a network."""

import io
import socket
import tarfile

import numpy as np
import pytest

from experiments.raw_files import write_jsonl_gz, write_npz

RNG = np.random.default_rng(0)
PUBLISHED = ["20news", "cifar10", "cifar100", "cifar20", "fashion_mnist", "mnist", "reuters", "reuters_r8", "stl10"]
NAMES = ["arrays", "digits", "image_folder", "imagenet", "text_files", *PUBLISHED]
TEXT = {"20news", "reuters_r8", "text_files"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise socket.gaierror("no network in the tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the retries of other libraries
    monkeypatch.delenv("KINGDRA_DATA", raising=False)
    monkeypatch.setenv("KINGDRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def write_raw(home, name, n=12):
    """A small file in the raw format; returns the options that `load` needs."""
    y, split = np.arange(n) % 3, (np.arange(n) > n // 2).astype("uint8")
    parts = {"y": y, "split": split, "classes": ["a", "b", "c"]}
    if name in ("20news", "reuters_r8"):
        texts = [f"text number {i}" for i in range(n)]
        write_jsonl_gz(home / f"{name}.jsonl.gz", texts, [f"c{i}" for i in y], np.array(["train", "test"])[split])
    elif name == "text_files":
        (home / "own.txt").write_text("\n".join(f"text number {i}" for i in range(n)))
        return {"path": "own.txt"}
    elif name == "arrays":
        write_npz(home / "own.npz", X=RNG.random((n, 5)), **parts)
        return {"path": "own.npz"}
    elif name == "image_folder":
        write_images(home / "own", [f"{i:02}.png" for i in range(n)])
        return {"path": "own"}
    elif name == "imagenet":
        write_images(home / "own", [f"train/n0{i % 3}/{i:02}.JPEG" for i in range(n)])
        return {"path": "own", "classes": ["n00", "n01", "n02"]}
    elif name != "digits":
        shape = {"reuters": (7,), "stl10": (96, 96, 3), "mnist": (28, 28), "fashion_mnist": (28, 28)}
        X = RNG.integers(0, 256, (n, *shape.get(name, (32, 32, 3))), dtype=np.uint8)
        write_npz(home / f"{name}.npz", X=X, **parts)
    return {}


def write_images(folder, names, size=(9, 6)):
    image = pytest.importorskip("PIL.Image")
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((size[0], size[1], 3), 10 * number, dtype=np.uint8)
        image.fromarray(pixels).save(folder / name)


def tar_gz(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
