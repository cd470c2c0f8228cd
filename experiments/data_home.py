"""Where raw data lives, and how it gets there.

Two folders matter.  The *data home* holds raw files in the formats of `experiments.raw_files` and may be read-only.
The *cache home* is always the user's own: features computed from raw data go there, and downloads too when the data
home cannot be written.
"""

import hashlib
import http.client
import os
import sys
import time
import urllib.request
from pathlib import Path

from kingdra_cluster.persistence import UNFINISHED, replacing

CHUNK = 1 << 20  # bytes read at a time
ABANDONED = 24 * 3600  # seconds since a download has last written
OFFLINE_CONFIG = "configs/kingdra_ladder_im_digits.json"


class DataUnavailable(OSError):
    """Data is neither cached nor obtainable; the message says which file to put where.

    Parameters
    ----------
    reason : str
        What was tried and how it failed.
    remedy : str, default=""
        Which file to put where, and in which format.
    """

    def __init__(self, reason, remedy=""):
        parts = [reason.rstrip("."), remedy.rstrip("."), f"{OFFLINE_CONFIG} runs without it"]
        super().__init__(". ".join(part for part in parts if part) + ".")
        self.reason = reason


def data_home(path=None):
    """Folder of the raw data files.

    Parameters
    ----------
    path : path-like, default=None
        The folder.  None means ``$KINGDRA_DATA`` or, where that is unset or empty, the user's cache folder.

    Returns
    -------
    home : Path
        An absolute path; the folder need not exist.

    Raises
    ------
    NotADirectoryError
        If the path exists and is not a folder.
    """
    home = Path(path or os.environ.get("KINGDRA_DATA") or _user_cache()).expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise NotADirectoryError(f"data_home must be a folder, received the file {home}")
    return home


def cache_home():
    """Folder of everything that is computed: ``$KINGDRA_CACHE`` or the user's cache folder.

    Returns
    -------
    home : Path
        An absolute path; the folder need not exist.
    """
    return Path(os.environ.get("KINGDRA_CACHE") or _user_cache()).expanduser().absolute()


def writable_home(home):
    """The data home itself if files can be added to it, otherwise the cache home.

    A folder without any write bit counts as read-only for everybody, the administrator included.
    """
    home = Path(home)
    folder = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    writable = os.access(folder, os.W_OK) and folder.stat().st_mode & 0o222
    return home if writable else cache_home()


def cached_file(home, filename):
    """Path of a raw file that is already there.

    Parameters
    ----------
    home : path-like
        The data home.
    filename : str
        Name of the file in it.

    Returns
    -------
    path : Path or None
        The file in the data home; for a read-only data home also the one downloaded to the cache home; else None.
    """
    candidates = (folder / filename for folder in dict.fromkeys([Path(home), writable_home(home)]))
    return next((path for path in candidates if path.is_file()), None)


def download(url, target, *, sha256=None, md5=None, timeout=60, progress=True, open_url=None):
    """Fetch a file, check it, and only then put it in place.

    Parameters
    ----------
    url : str
        Address; http, https, ftp and file work.
    target : path-like
        Where the file goes.
    sha256, md5 : str, default=None
        Expected checksums in hexadecimal.  (MD5 is what most of these publishers give.)
    timeout : float, default=60
        Seconds without an answer before giving up.
    progress : bool, default=True
        Whether to report on standard error.
    open_url : callable, default=None
        Called as ``open_url(request, timeout=timeout)``; None means `urllib.request.urlopen`.

    Returns
    -------
    target : Path

    Raises
    ------
    DataUnavailable
        If the file cannot be fetched whole or has another checksum; nothing is left at `target`.
    """
    target, open_url = Path(target), open_url or urllib.request.urlopen
    request = urllib.request.Request(url, headers={"User-Agent": "kingdra_cluster"})
    _remove_abandoned(target.parent)
    try:
        with replacing(target) as temporary:
            with open_url(request, timeout=timeout) as response, open(temporary, "wb") as file:
                _stream(response, file, target.name if progress else None)
            _check_digest(temporary, url, sha256=sha256, md5=md5)
    except DataUnavailable:
        raise
    except (OSError, http.client.HTTPException) as error:  # URLError, timeouts and refused writes are OSErrors
        raise DataUnavailable(f"could not download {url} to {target.parent}: {error}") from error
    return target


def file_digest(path, algorithm="sha256"):
    """Checksum of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def official_file(home, filename, urls, *, sha256=None, md5=None, remedy=""):
    """A publisher's own file: the copy in the data home if there is one, otherwise downloaded to it.

    Parameters
    ----------
    home : path-like
        The data home.
    filename : str
        Name of the file in the data home.
    urls : sequence of str
        Addresses, tried in order.
    sha256, md5 : str, default=None
        Expected checksums; a copy found in the data home is checked as well.
    remedy : str, default=""
        Which file to put where, for the error message.

    Returns
    -------
    path : Path

    Raises
    ------
    DataUnavailable
        If no address delivers the file, or the copy in the data home has another checksum.
    """
    path = cached_file(home, filename)
    published = urls[0].rpartition("/")[2] if urls else filename
    unchanged = f"{filename} unchanged" if published == filename else f"{published}, renamed to {filename}"
    remedy = f"{remedy.rstrip('.')}, or the publisher's {unchanged}" if remedy else ""
    reasons = []
    try:
        if path is not None:
            _check_digest(path, path, sha256=sha256, md5=md5)
            return path
        for url in urls:
            try:
                return download(url, writable_home(home) / filename, sha256=sha256, md5=md5)
            except DataUnavailable as error:
                reasons.append(error.reason)
    except DataUnavailable as error:
        reasons.append(error.reason)
    raise DataUnavailable("; ".join(reasons), remedy)


def _user_cache():
    if os.name == "nt" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "kingdra_cluster"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kingdra_cluster"


def _check_digest(path, origin, **expected):
    for algorithm, digest in expected.items():
        if digest is None:
            continue
        received = file_digest(path, algorithm)
        if received != digest.lower():
            raise DataUnavailable(f"{origin} has another {algorithm} checksum: expected {digest}, received {received}")


def _remove_abandoned(folder):
    """Remove what downloads that were killed have left, not those that may still be going on."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime > ABANDONED:
            path.unlink(missing_ok=True)


def _stream(response, file, label):
    """Copy a response to a file; a transfer that ends early is an error."""
    size = int(response.headers.get("Content-Length") or 0)
    done, reported = 0, time.monotonic()
    while chunk := response.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if label and sys.stderr.isatty() and time.monotonic() - reported > 0.5:
            reported = time.monotonic()
            of_all = f" of {size / 1e6:.1f}" if size else ""
            print(f"\r{label}: {done / 1e6:.1f}{of_all} MB", end="", file=sys.stderr, flush=True)
    if size and done != size:
        raise OSError(f"the transfer ended after {done} of {size} bytes")
    if label:
        print(f"\r{label}: {done / 1e6:.1f} MB downloaded", file=sys.stderr)
