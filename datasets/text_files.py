"""The user's own texts: a folder of .txt files, or one file with a text a line, JSON lines or a CSV column."""

import csv

from experiments.bunch import encode_labels, make_bunch
from experiments.own_data import SOURCE, files_below, find, folder_labels, split_lines
from experiments.raw_files import read_json_lines


def load_data(
    data_home=None,
    *,
    path,
    text_column="text",
    label_column=None,
    labels=None,
    encoding="utf-8",
    subset=None,
    subset_seed=0,
):
    """Load texts from files of the user's.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that a relative path is looked for in first; then the working directory.
    path : path-like
        A folder: one text each ``.txt`` file, sub-folders included, sorted by relative path.  A file ``.jsonl`` or
        ``.jsonl.gz``: one object a line.  ``.csv`` or ``.tsv``: a header line and a text a row.  Any other file: one
        text a line; a blank line is an empty text, so that row and line numbers agree.
    text_column : str, default="text"
        Key or column with the texts.
    label_column : str, default=None
        Key or column with the labels.
    labels : None or "folders", default=None
        "folders": the first sub-folder of a file is its class.
    encoding : str, default="utf-8"
        Encoding of text files; a byte order mark is ignored.
    subset : int, default=None
        Number of texts to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``texts``, ``y`` and ``class_names`` or None, and for a folder ``filenames``.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If there are no texts, a file is not in that encoding, or a key or column is missing.
    """
    texts, found, filenames = _read_place(find(path, data_home), text_column, label_column, labels, encoding)
    y, class_names = (None, None) if found is None else encode_labels(found)
    rows = {"texts": texts, "y": y, "class_names": class_names, "rowwise": filenames}
    about = {"description": f"texts of {path}", **SOURCE}
    return make_bunch("text_files", **rows, **about, subset=subset, subset_seed=subset_seed)


def read_texts(path, text_column="text", label_column=None, encoding="utf-8-sig"):
    """Texts, and labels if a column is named, of one file.

    Parameters
    ----------
    path : Path
        The file; its ending says how it is read.
    text_column, label_column : str
        Keys or columns.
    encoding : str, default="utf-8-sig"
        Encoding of all but JSON lines, which are UTF-8.

    Returns
    -------
    texts : list of str
    labels : list of str or None
    """
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        rows = read_json_lines(path)
    elif name.endswith((".csv", ".tsv")):
        rows = _read_table(path, encoding, "\t" if name.endswith(".tsv") else ",")
    else:
        if label_column is not None:
            raise ValueError(f"label_column needs .jsonl, .jsonl.gz, .csv or .tsv, received {path.name!r}")
        return split_lines(_read(path, encoding)), None
    columns = [text_column] if label_column is None else [text_column, label_column]
    for number, row in enumerate(rows, 1):
        for column in columns:
            if row.get(column) is None:
                raise ValueError(f"{path}, row {number}: no value for {column!r}, received {[k for k in row if k]}")
    labels = None if label_column is None else [str(row[label_column]) for row in rows]
    return [str(row[text_column]) for row in rows], labels


def _read_place(place, text_column, label_column, labels, encoding):
    """Texts, labels or None, and the names of a folder's files."""
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8", "utf_8") else encoding
    filenames = {}
    if place.is_dir():
        names = files_below(place, (".txt",))
        found = folder_labels(names, labels, place)
        texts = [_read(place / name, encoding) for name in names]
        filenames["filenames"] = [name.as_posix() for name in names]
    elif labels:
        raise ValueError(f"labels={labels!r} needs a folder, received the file {place}; use label_column")
    else:
        texts, found = read_texts(place, text_column, label_column, encoding)
    if not any(text.strip() for text in texts):
        raise ValueError(f"path must hold texts; {place} has only blank ones ({len(texts)})")
    return texts, found, filenames


def _read(path, encoding):
    try:
        return path.read_text(encoding=encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"{path} cannot be read with encoding={encoding!r}: {error}") from error


def _read_table(path, encoding, delimiter):
    csv.field_size_limit(2**31 - 1)  # the largest that fits a C long everywhere
    try:
        with open(path, newline="", encoding=encoding) as file:
            return list(csv.DictReader(file, delimiter=delimiter))
    except (csv.Error, UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"{path} cannot be read with encoding={encoding!r}: {error}") from error
