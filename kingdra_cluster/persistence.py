"""Files that are whole or absent: arrays and JSON written atomically, read without unpickling; run manifest."""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from scipy import sparse

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HASH_BYTES = 2**24
FAISS = ("faiss-cpu", "faiss-gpu", "faiss")  # distributions of one library
NO_BITS = {"networkx", "joblib"}  # in the manifest, but nothing of theirs is in a result
UNFINISHED = ".unfinished-"  # how the names of files begin that are still being written


class StoredArrays(dict):
    """Arrays of one file by name; a name that is missing is an error that names the file."""

    def __init__(self, path, arrays):
        super().__init__(arrays)
        self.path = path

    def __missing__(self, name):
        raise ValueError(f"{self.path} is of another kind: it holds no array {name!r}, only {sorted(self)}")

    def pop(self, name):
        """Return an array and forget it."""
        array = self[name]
        del self[name]
        return array


@contextmanager
def replacing(path):
    """Yield a temporary path beside ``path``; move it there only if the block ends without an error.

    A symbolic link stays one: the file that it leads to is replaced.  What is no regular file, such as a pipe or a
    device, cannot be replaced without harm, and is written to.

    Raises
    ------
    OSError
        If the disk is full, or for what else the system refuses; it names ``path``.
    """
    path = Path(path)
    special = path.exists() and not path.is_file()
    path = path if special else Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = None if special else path.parent
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=UNFINISHED, suffix=path.suffix)
    os.close(handle)
    try:
        with naming(path):
            yield Path(temporary)
        if special:
            _write_to(path, temporary)
            return
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write_to(path, temporary):
    """Copy a temporary file to what is no regular file, and remove it."""
    with naming(path), open(temporary, "rb") as written, open(path, "wb") as target:
        shutil.copyfileobj(written, target)
    Path(temporary).unlink()


@contextmanager
def naming(path):
    """Give an ``OSError`` of the block that names no file, such as that of a full disk, the name of ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove_unfinished(*folders):
    """Remove what writers that were killed have left in some folders."""
    for folder in folders:
        for path in Path(folder).glob(f"{UNFINISHED}*"):
            path.unlink(missing_ok=True)


def lock_folder(folder):
    """Return a handle that keeps other fits out of a folder until `unlock_folder`, or its process ends in any way.

    The folder is made if there is none.  None where the system has no such locks.

    Raises
    ------
    RuntimeError
        If another fit, in this process or another one of this machine, is using the folder.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RuntimeError(
            f"checkpoint_dir={str(folder)!r} is in use by another fit; wait for it or stop it"
        ) from error
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def unlock_folder(handle):
    """Let others use the folder that `lock_folder` returned a handle of."""
    if handle is not None:
        os.close(handle)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path, value):
    """Write ``value`` as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path, keys=None):
    """Read a JSON file.

    Parameters
    ----------
    path : path
    keys : sequence of str, optional
        The file must hold an object with these keys.

    Raises
    ------
    ValueError
        If the file is damaged, or holds something else; the message names it.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: expected a JSON file ({error})") from error
    if keys is not None and (not isinstance(value, dict) or not value.keys() >= set(keys)):
        raise ValueError(f"{path} is damaged: expected a JSON object with the keys {list(keys)}")
    return value


def write_arrays(path, **arrays):
    """Write named arrays to one ``.npz`` file, atomically."""
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def read_arrays(path, names=None):
    """Read arrays of a ``.npz`` file into a dict, never unpickling.

    Parameters
    ----------
    path : path
    names : sequence of str, optional
        Read these only; None reads all.

    Raises
    ------
    ValueError
        If the file is truncated, damaged or holds Python objects, or an array that is asked for, here or of the
        result, is missing; the message names the file.
    """
    with open(path, "rb") as file:  # numpy leaves it open where it cannot read it
        try:
            with np.load(file, allow_pickle=False) as stored:
                wanted = stored.files if names is None else [name for name in names if name in stored.files]
                return StoredArrays(path, {name: stored[name] for name in wanted})
        except Exception as error:  # zipfile and numpy raise a dozen kinds of error for damaged bytes
            raise ValueError(f"{path} is damaged or not a file of plain arrays: {error}") from error


def data_hash(X):
    """Return the SHA-256 of X's type, shape and entries, as hexadecimal; memory-mapped rows are read in blocks.

    Whether a CSR matrix counts its entries in 32 or 64 bits makes no difference.
    """
    digest = hashlib.sha256(f"{X.dtype} {X.shape} {sparse.issparse(X)}".encode())
    csr = sparse.issparse(X)
    parts = ((X.data, X.dtype), (X.indices, np.int64), (X.indptr, np.int64)) if csr else ((X, X.dtype),)
    for part, dtype in parts:
        step = max(1, HASH_BYTES // max(1, part[:1].nbytes))
        for start in range(0, len(part), step):
            digest.update(np.ascontiguousarray(part[start : start + step], dtype))
    return digest.hexdigest()


def manifest(**extra):
    """Return what the bits of a result depend on: versions, processor, flags, and whatever is given by name."""
    from kingdra_cluster import __version__

    packages = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "networkx", "joblib")
    flags = ("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TF_XLA_FLAGS", "TF_DETERMINISTIC_OPS", "KERAS_BACKEND")
    return {
        "kingdra_cluster": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "versions": {package: _version(package) for package in packages} | {"faiss": _version(*FAISS)},
        "flags": {flag: os.environ[flag] for flag in flags if flag in os.environ},
        **extra,
    }


def bits_depend_on():
    """Return, flat, what of the `manifest` two runs must share for one to go on with the other's bits."""
    run = manifest()
    versions = {f"version of {name}": found for name, found in run["versions"].items() if name not in NO_BITS}
    return {**versions, "version of kingdra_cluster": run["kingdra_cluster"], "flags": run["flags"]}


def _version(*names):
    """Return the version of the first of some distributions that is installed, or None."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
