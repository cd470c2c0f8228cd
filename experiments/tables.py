"""Tables of numbers: ``.csv`` (commas) and ``.tsv`` (tabs), with or without a header line; what is odd is named."""

import csv
import math

import numpy as np

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
MISSING = ("", "-", "?", "na", "n/a", "nan", "none", "null")  # how tables write a value that is not there


def separator(path):
    """What parts the cells of a table: a tab in a ``.tsv`` file, a comma in any other."""
    return "\t" if str(path).lower().endswith(".tsv") else ","


def check_separator(path, first):
    """Refuse a table whose first line is one cell that another separator would part.

    Parameters
    ----------
    path : path-like
    first : list of str
        Cells of the first line.

    Raises
    ------
    ValueError
        If it is; the message names the separator found.
    """
    found = [name for mark, name in SEPARATORS.items() if len(first) == 1 and mark in first[0]]
    if found:
        wanted = SEPARATORS[separator(path)]
        advice = "commas in a .csv or tabs in a .tsv, and points in decimal numbers"
        raise ValueError(f"{path} must separate its cells by {wanted}, received {found[0]}; save it with {advice}")


def read_table(path, label_column=None, features=None):
    """Numbers of a ``.csv`` or ``.tsv`` file, its labels and the names of its columns.

    Parameters
    ----------
    path : path-like
        The file.  A first line with a cell that is no number (in a column other than the labels') is a header, and so
        is one that counts the columns: 0, 1, 2 and so on.  A first column that has no name in it is a table's index, as
        pandas and R write it, and left out.
    label_column : str or int, default=None
        Name or number of the labels' column.
    features : int or list of str, default=None
        How many features there have to be, if that is known: a table of no more columns has no labels.  Or their names:
        of a table with a header these columns are taken, in this order.

    Returns
    -------
    X : ndarray of shape (n, d), float64
    labels : list of str of length n, or None
    names : list of str of length d, or None if there is no header

    Raises
    ------
    ValueError
        If a column isn't there, a cell is no finite number, or a line has another number of cells than the first.
    """
    (start, first), (_, second) = _first_lines(path)
    check_separator(path, first)
    wanted = features if isinstance(features, list) else []
    header = _counts(first) or bool(set(wanted) and set(wanted) <= set(first))
    if len(second) == len(first) + 1 and (header or not all(map(_is_number, first))):
        first = ["", *first]  # R names all columns but the index
    given, label = list(range(len(first)))[_has_index(first) :], None
    by_name = isinstance(label_column, str)
    if features is None or (len(given) > (len(wanted) or features) and not (wanted and by_name)):
        label = _column(path, first, label_column)
    columns = [i for i in given if i != label]
    words = [first[i] for i in columns if first[i].strip() and not _is_number(first[i])]
    header = header or bool(words) or (label is not None and by_name) or len(given) < len(first)
    if header and wanted:
        columns, label = _places(path, first, wanted), None
    if not columns or (header and not second):
        raise ValueError(f"{path} must have rows and a column of numbers, received {first}{' alone' * bool(first)}")
    labels = _check_lines(path, start if header else 0, len(first), label)
    names = [first[i].strip() for i in columns] if header else None
    return _numbers(path, start if header else 0, columns, names), labels, names


def _lines(path, skip=0):
    """Number in the file, from 1, and cells of each line that is not empty, after the first `skip`."""
    csv.field_size_limit(2**31 - 1)  # the largest that fits a C long everywhere
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=separator(path))
            yield from ((reader.line_num, cells) for cells in reader if cells and reader.line_num > skip)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a table in UTF-8: {error}") from error


def _first_lines(path):
    lines = _lines(path)
    return next(lines, (0, [])), next(lines, (0, []))


def _check_lines(path, skip, n_cells, label):
    """The cells of the labels' column, or None; a line that is longer or shorter than the first is refused."""
    labels = []
    for number, cells in _lines(path, skip):
        if len(cells) != n_cells:
            advice = "a number with a decimal comma, or a text with a comma, has to be in quotes or written without"
            raise ValueError(
                f"{path}, line {number} must have {n_cells} cells like the first line, received {len(cells)}; {advice}"
            )
        labels += [] if label is None else [cells[label]]
    return None if label is None else labels


def _numbers(path, skip, columns, names):
    options = {"delimiter": separator(path), "quotechar": '"', "comments": None, "ndmin": 2}
    try:
        with open(path, encoding="utf-8-sig") as file:
            X = np.loadtxt(file, usecols=columns, skiprows=skip, **options)
        if np.isfinite(X).all():
            return X
    except ValueError:
        pass
    for number, cells in _lines(path, skip):
        for place, i in enumerate(columns):
            if not _is_number(cells[i]) or not math.isfinite(float(cells[i])):
                column = f"column {i} (from 0)" if names is None else f"column {names[place]!r}"
                remedy = _remedy(cells[i], i if names is None else names[place])
                where = f"{path}, line {number}, {column}"
                raise ValueError(f"{where} must be a finite number, received {cells[i]!r}; {remedy}")
    raise ValueError(f"{path} must hold numbers in every column but the labels'")


def _remedy(cell, column):
    """What to do about a cell that is no finite number."""
    if cell.strip().lower() in MISSING or _is_number(cell):
        return "missing values are not accepted: fill them in or leave their rows out"
    if ";" in cell:
        return "cells are separated by commas in a .csv and by tabs in a .tsv, never by semicolons"
    if _is_number(cell.replace(",", ".")):
        return "write decimal numbers with a point"
    return f"leave the column out or, if it holds labels, name it: --set data.label_column={column}"


def _places(path, first, wanted):
    """Where the columns that a model was trained on are in another table."""
    there = [name.strip() for name in first]
    for name in wanted:
        if there.count(name) != 1:
            raise ValueError(f"{path} must have one column {name!r}, as the model was trained on; received {there}")
    return [there.index(name) for name in wanted]


def _column(path, first, label_column):
    if label_column is None:
        return None
    if isinstance(label_column, str) and label_column in first:
        return first.index(label_column)
    if isinstance(label_column, int) and not isinstance(label_column, bool) and 0 <= label_column < len(first):
        return label_column
    raise ValueError(f"label_column must be a column of {path}: {first} or 0 to {len(first) - 1}; got {label_column!r}")


def _has_index(first):
    """Whether the cells of the first line name all columns but the first; numbers do so only as pandas counts."""
    others = first[1:]
    return bool(others) and not first[0].strip() and (_counts(others) or not all(map(_is_number, others)))


def _counts(cells):
    """Whether the cells are 0, 1, 2 and so on: the names that pandas gives to columns without one."""
    return bool(cells) and cells == [str(i) for i in range(len(cells))]


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
