"""The user's own arrays, images and texts."""
# ruff: noqa: F811  (fixtures are imported by name)

import gzip
import json

import numpy as np
import pytest
import scipy.sparse as sp
from dataset_files import RNG, home, no_network, write_images, write_raw  # noqa: F401  (fixtures)

from experiments.datasets import load
from experiments.raw_files import write_npz


def test_npy_is_memory_mapped_and_its_labels_are_optional(home):
    X = RNG.random((9, 4)).astype("float32")
    np.save(home / "X.npy", X)
    np.save(home / "y.npy", ["b", "a", "b"] * 3)
    (home / "y.txt").write_text("b\na\nb\n" * 3)
    bunch = load("arrays", home, path="X.npy")
    assert isinstance(bunch.X, np.memmap)
    assert bunch.y is bunch.class_names is bunch.split is None
    assert type(load("arrays", home, path="X.npy", mmap=False).X) is np.ndarray
    for labels in ("y.npy", home / "y.txt"):
        bunch = load("arrays", home, path=home / "X.npy", labels_path=labels)
        assert bunch.y.tolist() == [1, 0, 1] * 3
        assert bunch.class_names == ["a", "b"]


def test_paths_are_relative_to_the_data_home_and_then_to_the_working_directory(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "X.npy", np.zeros((2, 1)))
    assert load("arrays", home, path="X.npy").X[0, 0] == 0
    np.save(home / "X.npy", np.ones((2, 1)))
    assert load("arrays", home, path="X.npy").X[0, 0] == 1
    with pytest.raises(FileNotFoundError, match=rf"path='no.npy' not found; looked for {home}.* and {tmp_path}"):
        load("arrays", home, path="no.npy")
    with pytest.raises(FileNotFoundError, match="labels_path='no.txt' not found"):
        load("arrays", home, path="X.npy", labels_path="no.txt")


def test_npz_by_key_with_or_without_labels(home):
    write_npz(home / "a.npz", features=RNG.random((4, 3)), target=np.array([7, 9, 7, 9]))
    bunch = load("arrays", home, path="a.npz", key="features")
    assert bunch.y is None
    bunch = load("arrays", home, path="a.npz", key="features", labels_key="target")
    assert bunch.y.tolist() == [0, 1, 0, 1]
    assert bunch.class_names == ["7", "9"]
    with pytest.raises(ValueError, match=r"must have the array key='X', received \['features', 'target'\]"):
        load("arrays", home, path="a.npz")


def test_feature_files_in_the_raw_format_keep_their_dtype_and_classes(home):
    write_raw(home, "arrays")
    parts = {"y": np.zeros(12, "uint8"), "split": np.zeros(12, "uint8"), "classes": ["a", "b"]}
    write_npz(home / "b.npz", X=RNG.random((12, 3)).astype("float16"), **parts)
    bunch = load("arrays", home, path="b.npz")
    assert bunch.X.dtype == np.float16
    assert bunch.class_names == ["a", "b"]
    bunch = load("arrays", home, path=["b.npz", "own.npz"])
    assert bunch.X.shape == (12, 8)
    assert bunch.spaces == [slice(0, 3), slice(3, 8)]
    assert bunch.class_names == ["a", "b"]  # of the first file that has labels


def test_sparse_matrices_and_mixed_spaces(home):
    X = sp.random(6, 4, density=0.5, random_state=0, format="csc")
    sp.save_npz(home / "s.npz", X)
    np.save(home / "d.npy", np.ones((6, 2)))
    bunch = load("arrays", home, path="s.npz")
    assert bunch.X.format == "csr"
    np.testing.assert_array_equal(bunch.X.toarray(), X.toarray())
    assert load("arrays", home, path=["s.npz", "d.npy"]).X.shape == (6, 6)


def test_bad_arrays_are_named(home):
    for name, array in (("one", np.zeros(3)), ("text", np.array([["a"], ["b"]])), ("a", np.eye(3)), ("b", np.eye(2))):
        np.save(home / f"{name}.npy", array)
    (home / "x.parquet").touch()
    (home / "empty.npy").touch()
    for path, message in (
        ("one.npy", r"one.npy must have numeric rows of shape \(n, d\), received float64 of shape \(3,\)"),
        ("text.npy", "numeric rows"),
        (["a.npy", "b.npy"], r"must have as many rows, received \[\(3, 3\), \(2, 2\)\]"),
        ("x.parquet", "path must end in one of .npy"),
        ("empty.npy", "empty.npy is not an .npy file"),
        ([], "at least one file"),
    ):
        with pytest.raises(ValueError, match=message):
            load("arrays", home, path=path)


def test_image_folders_are_sorted_resized_and_optionally_labelled(home):
    write_images(home / "own", ["b/2.png", "a/10.jpg", "a/1.bmp", "a/deep/3.PNG", ".hidden/4.png"])
    (home / "own" / "notes.txt").write_text("no image")
    bunch = load("image_folder", home, path="own", size=[4, 5])
    assert bunch.filenames == ["a/1.bmp", "a/10.jpg", "a/deep/3.PNG", "b/2.png"]
    assert bunch.X.shape == (4, 4, 5, 3)
    assert bunch.X.dtype == np.uint8
    assert np.abs(bunch.X.mean((1, 2, 3)) - [20, 10, 30, 0]).max() < 2
    assert bunch.y is None
    for labels in ("folders", True):
        bunch = load("image_folder", home, path="own", size=4, colour="grey", labels=labels, subset=3)
        assert bunch.X.shape == (3, 4, 4)
        assert [bunch.class_names[i] for i in bunch.y] == [name[0] for name in bunch.filenames]


def test_files_with_other_endings_are_counted(home, caplog):
    write_images(home / "own", ["a.png", "b.png"])
    for name in ("1.heic", "2.HEIC", "notes.txt", "readme", ".hidden"):
        (home / "own" / name).touch()
    assert load("image_folder", home, path="own").filenames == ["a.png", "b.png"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("4 files of ")
    assert line.endswith("own left out for their ending: .heic 2, .txt 1, no ending 1")


def test_bad_image_folders_are_named(home):
    write_images(home / "own", ["a.png", "b.png"])
    (home / "empty").mkdir()
    for options, message in (
        ({"path": "empty"}, "path must be a folder with files ending in .*empty has none"),
        ({"path": "own", "labels": "folders"}, "a.png is in none"),
        ({"path": "own", "labels": "classes"}, 'labels must be None or "folders"'),
        ({"path": "own", "colour": "cmyk"}, r"colour must be one of \['grey', 'rgb'\]"),
        ({"path": "own", "size": 0}, "size must be positive"),
        ({"path": "own/a.png"}, "must be a folder of images, received the file"),
    ):
        with pytest.raises(ValueError, match=message):
            load("image_folder", home, **options)
    for content in (b"no image", (home / "own" / "a.png").read_bytes()[:45]):
        (home / "own" / "broken.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"1 of \d images cannot be read; mend or remove them: .*broken\.png \("):
            load("image_folder", home, path="own")
    for i in range(4):
        (home / "own" / f"0 {i}.png").write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"5 of \d images cannot be read.*: .*0 0\.png.*; .*0 1.*; .*0 2\.png.*; \.\.\.$"
    ):
        load("image_folder", home, path="own")


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "big.tif", "grey.ppm"])
def test_greys_of_16_bits_keep_their_shades(home, name):
    image = pytest.importorskip("PIL.Image")
    greys = np.repeat(257 * np.arange(0, 256, 5, dtype="uint16")[None], 4, axis=0)
    folder = home / "own"
    write_images(folder, ["other.png"])
    if name.endswith("ppm"):
        (folder / name).write_bytes(b"P5\n52 4\n65535\n" + greys.astype(">u2").tobytes())
    else:
        image.fromarray(greys.astype(">u2" if name == "big.tif" else "uint16")).save(folder / name)
    for colour in ("grey", "rgb"):
        bunch = load("image_folder", home, path="own", size=[4, 52], colour=colour)
        found = bunch.X[bunch.filenames.index(name)]
        np.testing.assert_array_equal(found[0].reshape(52, -1)[:, 0], greys[0] // 257)


@pytest.mark.parametrize(("dtype", "mode"), [("float32", "F"), ("int32", "I")])
def test_pixels_without_a_known_white_are_refused(home, dtype, mode):
    image = pytest.importorskip("PIL.Image")
    write_images(home / "own", ["other.png"])
    image.fromarray(np.full((4, 4), 70000, dtype)).save(home / "own" / "wide.tif")
    with pytest.raises(ValueError, match=rf"1 of 2 images cannot be read.*wide\.tif \(its pixels are .*mode '{mode}'"):
        load("image_folder", home, path="own")


def test_odd_images_are_read(home):
    image = pytest.importorskip("PIL.Image")
    folder = home / "own"
    folder.mkdir()
    image.new("P", (8, 8)).save(folder / "palette.png", transparency=bytes([0, 128]))
    image.new("LA", (8, 8)).save(folder / "alpha.png")
    image.new("1", (8, 8)).save(folder / "bits.png")
    image.new("CMYK", (8, 8)).save(folder / "print.jpg")
    exif = image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    stripes = image.fromarray(np.repeat(np.uint8([[0], [255]]), 4, axis=0).repeat(8, axis=1))
    stripes.save(folder / "turned.png", exif=exif)
    bunch = load("image_folder", home, path="own", size=8)
    assert bunch.X.shape == (5, 8, 8, 3)
    turned = bunch.X[bunch.filenames.index("turned.png")]
    assert (turned == turned[:1]).all()  # rows became columns


def test_text_folders_and_files(home):
    for name in ("b/2.txt", "a/10.txt", "a/1.txt"):
        (home / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "own" / name).write_text(f"text {name}\nsecond line")
    bunch = load("text_files", home, path="own", labels="folders")
    assert bunch.filenames == ["a/1.txt", "a/10.txt", "b/2.txt"]
    assert bunch.texts[0] == "text a/1.txt\nsecond line"
    assert bunch.y.tolist() == [0, 0, 1]
    assert load("text_files", home, path="own").y is None
    (home / "lines.txt").write_text("\ufeffone\n\nthree\u2028still three\r\n", encoding="utf-8")
    assert load("text_files", home, path="lines.txt").texts == ["one", "", "three\u2028still three"]


def test_texts_from_json_lines_and_tables(home):
    rows = [{"body": "one, two", "kind": "b"}, {"body": 'say "hi"\nagain', "kind": "a"}]
    (home / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (home / "t.jsonl.gz").write_bytes(gzip.compress((home / "t.jsonl").read_bytes()))
    (home / "t.csv").write_text('kind,body\nb,"one, two"\na,"say ""hi""\nagain"\n')
    (home / "t.tsv").write_text('kind\tbody\nb\tone, two\na\t"say ""hi""\nagain"\n')
    for name in ("t.jsonl", "t.jsonl.gz", "t.csv", "t.tsv"):
        bunch = load("text_files", home, path=name, text_column="body", label_column="kind")
        assert bunch.texts == [row["body"] for row in rows]
        assert bunch.y.tolist() == [1, 0]
        assert load("text_files", home, path=name, text_column="body").y is None
        with pytest.raises(ValueError, match=r"row 1: no value for 'text', received \[.*--set data.text_column=NAME"):
            load("text_files", home, path=name)
        with pytest.raises(ValueError, match=r"row 1: no value for 'class', received \[.*--set data.label_column=NAME"):
            load("text_files", home, path=name, text_column="body", label_column="class")


def test_bad_texts_are_named(home):
    (home / "empty").mkdir()
    (home / "none.txt").touch()
    (home / "blank.txt").write_text("\n \n\n")
    (home / "one.txt").write_text("only one")
    (home / "list.json").write_text('["one",\n"two"]')
    (home / "cut.csv").write_text("text,kind\nHello, world,a\n")
    (home / "semi.csv").write_text("text;kind\nHello;a\n")
    (home / "latin.txt").write_bytes("größer\nkleiner".encode("latin-1"))
    for options, message in (
        ({"path": "empty"}, "empty has none"),
        ({"path": "none.txt"}, "has only blank ones"),
        ({"path": "blank.txt"}, "has only blank ones"),
        ({"path": "one.txt"}, "at least 2 rows, received 1"),
        ({"path": "cut.csv"}, "cut.csv, line 2 must have 2 cells like the header, received 3; a text with a separator"),
        ({"path": "semi.csv"}, "semi.csv must separate its cells by commas, received semicolons"),
        ({"path": "latin.txt"}, "cannot be read with encoding='utf-8-sig'"),
        ({"path": "latin.txt", "encoding": "klingon"}, "cannot be read with encoding='klingon'"),
        ({"path": "latin.txt"}, "give another: --set data.encoding=latin-1"),
        ({"path": "list.json"}, "received 'list.json': save it as .jsonl, .csv or .txt first"),
        ({"path": "one.txt", "labels": "folders"}, "needs a folder"),
        ({"path": "one.txt", "label_column": "kind"}, "label_column needs"),
    ):
        with pytest.raises(ValueError, match=message):
            load("text_files", home, **options)
    assert load("text_files", home, path="latin.txt", encoding="latin-1").texts[0] == "größer"
