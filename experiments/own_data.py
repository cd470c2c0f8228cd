"""What the loaders of the user's own data share."""

import logging
from collections import Counter
from pathlib import Path

from experiments.data_home import data_home as resolve_home

SOURCE = {"source": "the user's own data", "licence": "the user's own"}
NAMED = 5  # endings of files that are left out

logger = logging.getLogger(__name__)


def find(path, data_home=None, *, option="path"):
    """The user's file or folder: an absolute path, or one relative to the data home or else to the working directory.

    Parameters
    ----------
    path : path-like
        What the user gave.
    data_home : path-like, default=None
        Folder that is looked in first.
    option : str, default="path"
        Name of the option, for messages.

    Returns
    -------
    path : Path

    Raises
    ------
    FileNotFoundError
        If there is nothing; the places looked at are named.
    """
    home = resolve_home(data_home)
    places = list(dict.fromkeys([home / Path(path).expanduser(), Path(path).expanduser().absolute()]))
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{option}={str(path)!r} not found; looked for {' and '.join(map(str, places))}")


def files_below(folder, suffixes):
    """Files of a folder and its sub-folders with one of the suffixes, hidden ones left out, sorted by relative path.

    A warning counts the files with other endings, which are left out too.

    Raises
    ------
    ValueError
        If there are none.
    """
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [name for name in files if not any(part.startswith(".") for part in name.parts)]
    names = sorted((name for name in files if name.suffix.lower() in suffixes), key=lambda name: name.as_posix())
    if not names:
        raise ValueError(f"path must be a folder with files ending in {', '.join(sorted(suffixes))}; {folder} has none")
    others = Counter(name.suffix.lower() or "no ending" for name in files if name.suffix.lower() not in suffixes)
    if others:
        listed = ", ".join(f"{ending} {count}" for ending, count in others.most_common(NAMED))
        logger.warning("%s files of %s left out for their ending: %s", others.total(), folder, listed)
    return names


def folder_labels(names, labels, folder):
    """Label of each file: its first sub-folder when `labels` is "folders" (or True), otherwise no labels at all.

    Parameters
    ----------
    names : list of Path
        Paths relative to `folder`.
    labels : None, bool or "folders"
        What the user asked for.
    folder : Path
        The folder, for messages.

    Returns
    -------
    labels : list of str or None

    Raises
    ------
    ValueError
        If `labels` is something else, or a file lies in no sub-folder.
    """
    if labels is None or labels is False:
        return None
    if labels not in (True, "folders"):
        raise ValueError(f'labels must be None or "folders", received {labels!r}')
    for name in names:
        if len(name.parts) == 1:
            raise ValueError(
                f'labels="folders" needs each file of {folder} in a sub-folder, its class; {name} is in none'
            )
    return [name.parts[0] for name in names]


def split_lines(text):
    """Lines of a file's text; only line feeds count, as in every editor, and the last line need not have one."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
