"""Tables of the user's own: headers, labels, indices, and whatever is odd in them."""
# ruff: noqa: F811  (fixtures are imported by name)

import numpy as np
import pytest
from dataset_files import home, no_network  # noqa: F401  (fixtures)

from experiments.datasets import load
from experiments.tables import read_table


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_csv_with_a_label_column(home, header, suffix):
    lines = ["height,kind,width"] * header + ['1.5,"a, b",2', "3,c,-4e1", "5,c,6"]
    if suffix == "tsv":
        lines = ["\t".join(line.replace('"a, b"', "a; b").split(",")) for line in lines]
    (home / f"t.{suffix}").write_text("\n".join(lines) + "\n")
    bunch = load("arrays", home, path=f"t.{suffix}", label_column="kind" if header else 1)
    assert bunch.X.tolist() == [[1.5, 2], [3, -40], [5, 6]]
    assert bunch.y.tolist() == [0, 1, 1]


@pytest.mark.parametrize("labels", [None, "y", 3])
def test_the_index_of_a_table_is_no_feature(home, labels):
    for names in (",a,b,y", " ,0,1,y"):
        (home / "t.csv").write_text(f"{names}\n0,1.5,2,7\n1,3,4,8\n", encoding="utf-8")
        bunch = load("arrays", home, path="t.csv", label_column=labels)
        expected = [[1.5, 2.0, 7.0], [3.0, 4.0, 8.0]]
        np.testing.assert_array_equal(bunch.X, np.array(expected)[:, : 3 if labels is None else 2])


def test_csv_of_numbers_alone(home):
    for text in ("1,2\n3,4\n", "a,b\n1,2\n3,4", "\ufeff1,2\r\n3,4\r\n"):
        (home / "t.csv").write_text(text, encoding="utf-8")
        bunch = load("arrays", home, path="t.csv")
        assert bunch.X.tolist() == [[1, 2], [3, 4]]
        assert bunch.y is None


@pytest.mark.parametrize(
    "text", ["0,1,2\n5,6,7\n8,9,1\n", '"a","b","c"\n"1",5,6,7\n"2",8,9,1\n', "\n\na,b,c\n5,6,7\n\n8,9,1"]
)
def test_headers_as_pandas_and_r_write_them_are_no_rows_and_their_indices_no_columns(home, text):
    (home / "t.csv").write_text(text)
    bunch = load("arrays", home, path="t.csv")
    assert bunch.X.tolist() == [[5, 6, 7], [8, 9, 1]]
    assert bunch.feature_names == (["0", "1", "2"] if text[0] == "0" else ["a", "b", "c"])


def test_names_of_several_tables_stand_side_by_side_unless_one_has_none(home):
    (home / "a.csv").write_text("p,q\n1,2\n3,4\n")
    (home / "b.csv").write_text("r\n1\n3\n")
    (home / "c.csv").write_text("5\n3\n")
    assert load("arrays", home, path=["a.csv", "b.csv"]).feature_names == ["p", "q", "r"]
    assert load("arrays", home, path=["a.csv", "c.csv"]).feature_names is None


def test_columns_are_found_by_the_names_that_are_asked_for(home):
    path = home / "t.csv"
    path.write_text("y,q,note,p\na,2,0,1\nb,4,0,3\n")
    for label_column in (None, "y", "gone", 0):
        X, _, names = read_table(path, label_column, ["p", "q"])
        assert X.tolist() == [[1, 2], [3, 4]]
        assert names == ["p", "q"]
    with pytest.raises(
        ValueError, match=r"t\.csv must have one column 'r', as the model was trained on; received \['y'"
    ):
        read_table(path, None, ["p", "r"])
    path.write_text("1,2\n3,4\n")
    assert read_table(path, "y", ["p", "q"])[0].tolist() == [[1, 2], [3, 4]]
    path.write_text("1,0\n2,1\n4,3\n")
    assert read_table(path, None, ["0", "1"])[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            ",2,3\n4,5,6\n",
            {},
            r"t\.csv, line 1, column 0 \(from 0\) must be a finite number, received ''; missing values",
        ),
        ("1,2\n\n3,x\n", {}, r"t\.csv, line 3, column 1 \(from 0\).*received 'x'.*--set data.label_column=1"),
        ("a,b\n1,2\n3,NA\n", {}, r"line 3, column 'b' must be .*received 'NA'; missing values are not accepted"),
        ("a,b\n1,nan\n3,4\n", {}, r"line 2, column 'b' must be .*received 'nan'; missing values are not accepted"),
        ("a,b\n1,red\n3,blue\n", {}, "column 'b' .*received 'red'.*if it holds labels.*--set data.label_column=b"),
        ('a,b\n"1,5",2\n3,4\n', {}, "column 'a' .*received '1,5'; write decimal numbers with a point"),
        ("1,2\n3\n", {}, r"t\.csv, line 2 must have 2 cells like the first line, received 1"),
        ("a,b\n1,2\n3,4,5\n", {}, r"t\.csv, line 3 must have 2 cells like the first line, received 3"),
        ("1,2\n3,4,5\n", {}, r"t\.csv, line 2 must have 2 cells like the first line, received 3"),
        ("a;b\n1,5;2,5\n3,5;4,5\n", {}, r"t\.csv must separate its cells by commas, received semicolons; save it with"),
        ("1,5;2,5\n3,5;4,5\n", {}, "received '5;4'.*never by semicolons"),
        ("a\tb\n1\t2\n", {}, "must separate its cells by commas, received tabs"),
        ("a,b\n1,2\n3,4\n", {"label_column": "c"}, r"label_column must be a column of .*\['a', 'b'\]"),
        ("a,b\n1,2\n3,4\n", {"label_column": True}, "label_column must be a column of"),
        ("1,2\n3,4\n", {"label_column": 2}, "label_column must be a column of"),
        ("a\nx\ny\n", {"label_column": "a"}, "must have rows and a column of numbers"),
        ("a,b\n", {}, r"must have rows and a column of numbers, received \['a', 'b'\] alone"),
        ("", {}, "must have rows and a column of numbers"),
        ("1,2\n", {}, "at least 2 rows"),
    ],
)
def test_bad_tables_are_named(home, text, options, message):
    (home / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load("arrays", home, path="t.csv", **options)


def test_a_table_that_is_not_utf_8_is_named(home):
    (home / "t.csv").write_bytes("größe,b\n1,2\n3,4\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t\.csv must be a table in UTF-8"):
        load("arrays", home, path="t.csv")
