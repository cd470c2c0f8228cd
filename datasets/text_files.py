"""The user's own texts: a folder of .txt files, or one file with a text a line, JSON lines or a CSV column."""

import csv
from pathlib import Path

from experiments.bunch import encode_labels, make_bunch
from experiments.own_data import SOURCE, files_below, find, folder_labels, split_lines
from experiments.raw_files import read_json_lines
from experiments.tables import check_separator, separator

NO_TEXTS = (".json", ".xlsx", ".xls", ".ods", ".parquet", ".docx", ".odt", ".pdf", ".zip", ".gz")  # of a text a line
OTHER_ENCODING = "give another: --set data.encoding=latin-1"


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
    place = find(path, data_home)
    if labels and not place.is_dir():
        raise ValueError(f"labels={labels!r} needs a folder, received the file {place}; use label_column")
    texts, found, names = read_place(place, text_column, label_column, encoding)
    found = found if names is None else folder_labels([Path(name) for name in names], labels, place)
    if not any(text.strip() for text in texts):
        raise ValueError(f"path must hold texts; {place} has only blank ones ({len(texts)})")
    y, class_names = (None, None) if found is None else encode_labels(found)
    rowwise = {} if names is None else {"filenames": names}
    rows = {"texts": texts, "y": y, "class_names": class_names, "rowwise": rowwise}
    about = {"description": f"texts of {path}", **SOURCE}
    return make_bunch("text_files", **rows, **about, subset=subset, subset_seed=subset_seed)


def read_place(place, text_column="text", label_column=None, encoding="utf-8"):
    """Texts of a file, or of the ``.txt`` files of a folder.

    Parameters
    ----------
    place : Path
    text_column, label_column, encoding :
        See `load_data`.

    Returns
    -------
    texts : list of str
    labels : list of str or None
    filenames : list of str, or None of a file
    """
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8", "utf_8") else encoding
    if not place.is_dir():
        return *_read_file(place, text_column, label_column, encoding), None
    names = files_below(place, (".txt",))
    return [_read(place / name, encoding) for name in names], None, [name.as_posix() for name in names]


def _read_file(path, text_column, label_column, encoding):
    """Texts, and labels if a column is named, of one file; JSON lines are UTF-8 whatever the encoding."""
    name = path.name.lower()
    if name.endswith(NO_TEXTS) and not name.endswith(".jsonl.gz"):
        raise ValueError(f"path must be a file of texts; received {path.name!r}: save it as .jsonl, .csv or .txt first")
    if name.endswith((".jsonl", ".jsonl.gz")):
        rows = read_json_lines(path)
    elif name.endswith((".csv", ".tsv")):
        rows = _read_table(path, encoding)
    else:
        if label_column is not None:
            raise ValueError(f"label_column needs .jsonl, .jsonl.gz, .csv or .tsv, received {path.name!r}")
        return split_lines(_read(path, encoding)), None
    columns = {"text_column": text_column} | ({} if label_column is None else {"label_column": label_column})
    for number, row in enumerate(rows, 1):
        for option, column in columns.items():
            if row.get(column) is None:
                there = [key for key in row if key]
                remedy = "" if column in there else f"; name one of them: --set data.{option}=NAME"
                raise ValueError(f"{path}, row {number}: no value for {column!r}, received {there}{remedy}")
    labels = None if label_column is None else [str(row[label_column]) for row in rows]
    return [str(row[text_column]) for row in rows], labels


def _read(path, encoding):
    try:
        return path.read_text(encoding=encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"{path} cannot be read with encoding={encoding!r}: {error}; {OTHER_ENCODING}") from error


def _read_table(path, encoding):
    csv.field_size_limit(2**31 - 1)  # the largest that fits a C long everywhere
    try:
        with open(path, newline="", encoding=encoding) as file:
            table = csv.DictReader(file, delimiter=separator(path))
            check_separator(path, table.fieldnames or [])
            return [_whole(row, f"{path}, line {table.line_num}") for row in table]
    except (csv.Error, UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"{path} cannot be read with encoding={encoding!r}: {error}; {OTHER_ENCODING}") from error


def _whole(row, where):
    """Refuse a line that has more cells than the header, whose texts would be cut short."""
    if None in row:
        cells, advice = len(row) - 1, "a text with a separator in it has to be in quotes"
        raise ValueError(
            f"{where} must have {cells} cells like the header, received {cells + len(row[None])}; {advice}"
        )
    return row
