"""The user's ImageNet folder: classes, crops, layouts, errors."""
# ruff: noqa: F811  (fixtures are imported by name)

import numpy as np
import pytest
from dataset_files import home, no_network, write_images  # noqa: F401  (fixtures)

from experiments.datasets import load

CLASSES = ["n02", "n01"]


@pytest.mark.parametrize("below", ["", "ILSVRC/Data/CLS-LOC/", "Data/CLS-LOC/"])
def test_listed_classes_alone_in_their_order(home, below):
    files = [f"{name}_{i}.JPEG" for name in ("n01", "n02", "n03") for i in range(2)]
    write_images(home / "own", [f"{below}train/{file[:3]}/{file}" for file in files])
    bunch = load("imagenet", home, path="own", classes=CLASSES, size=4)
    assert bunch.X.shape == (4, 4, 4, 3)
    assert bunch.filenames == ["n02/n02_0.JPEG", "n02/n02_1.JPEG", "n01/n01_0.JPEG", "n01/n01_1.JPEG"]
    assert bunch.y.tolist() == [0, 0, 1, 1]
    assert bunch.class_names == CLASSES
    np.testing.assert_allclose(bunch.X[:, 0, 0, 0], [20, 30, 0, 10], atol=2)
    fewer = load("imagenet", home, path="own", classes=CLASSES, size=4, subset=3)
    np.testing.assert_array_equal(fewer.X, bunch.X[fewer.rows])
    assert fewer.filenames == [bunch.filenames[row] for row in fewer.rows]


def test_the_square_in_the_middle_is_taken(home):
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    (home / "own" / "val" / "n01").mkdir(parents=True)
    for number in range(2):
        image.fromarray(pixels).save(home / "own" / "val" / "n01" / f"{number}.png")
    bunch = load("imagenet", home, path="own", classes=["n01"], split="val", size=10)
    np.testing.assert_array_equal(bunch.X, 200)


def test_classes_from_a_file_with_names(home):
    write_images(home / "own", ["train/n01/a.JPEG", "train/n02/a.JPEG"])
    (home / "ten.txt").write_text("n02 king penguin\n\nn01 orange\n")
    bunch = load("imagenet", home, path="own", classes="ten.txt", size=4)
    assert bunch.class_names == ["king penguin", "orange"]
    assert bunch.filenames == ["n02/a.JPEG", "n01/a.JPEG"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"classes": ["n07"]}, FileNotFoundError, "classes: there is no folder .*n07"),
        ({"classes": []}, ValueError, "classes must be different names of folders, at least one"),
        ({"classes": ["n01", "n01"]}, ValueError, "classes must be different"),
        ({"classes": "no.txt"}, FileNotFoundError, "classes='no.txt' not found"),
        ({"split": "val"}, FileNotFoundError, "holds no val folder; looked for"),
        ({"split": "test"}, ValueError, "split must be one of .*'test'"),
        ({"size": 0}, ValueError, "size must be a positive number of pixels, received 0"),
        ({"size": (4, 4)}, ValueError, "size must be"),
    ],
)
def test_what_is_missing_or_wrong_is_named(home, options, error, words):
    write_images(home / "own", ["train/n01/a.JPEG", "train/n02/a.JPEG"])
    with pytest.raises(error, match=words):
        load("imagenet", home, **{"path": "own", "classes": ["n01", "n02"]} | options)


def test_an_image_that_cannot_be_read_is_named(home):
    write_images(home / "own", ["train/n01/a.JPEG", "train/n02/a.JPEG"])
    (home / "own" / "train" / "n01" / "b.JPEG").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read the image .*b\.JPEG"):
        load("imagenet", home, path="own", classes=["n01", "n02"])
