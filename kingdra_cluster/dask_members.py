"""Members trained by the workers of a Dask cluster."""

from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path

from kingdra_cluster.shared_rows import is_large, stored_rows

ATTEMPTS = 3


class DaskMembers:
    """Makes calls on a Dask cluster: large rows are sent to its workers once, and a worker that dies is made good.

    Dask itself gives the calls of a dead worker to another one; four deaths over one call are an error.

    Parameters
    ----------
    backend : joblib's backend for Dask
    """

    def __init__(self, backend):
        self.backend, self.client = backend, backend.client
        self._sent = []  # pairs of an array and where the workers find it

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Let the workers forget the rows."""
        self._sent.clear()

    def __call__(self, calls, attempts=ATTEMPTS):
        """Make all calls and return their results in order.

        Parameters
        ----------
        calls : iterable of tuple (function, arguments, options)
            See `joblib.delayed`.  Large arrays and CSR matrices among the arguments (not the options) are sent once,
            or not at all if they are memory-mapped from a file that every worker can read.
        attempts : int
            To send them again after all workers that held them have died.

        Raises
        ------
        distributed.KilledWorker
            If four workers die over the same call.
        """
        calls = list(calls)
        futures = [
            self.client.submit(partial(function, **options), *map(self._send, arguments), pure=False)
            for function, arguments, options in calls
        ]
        try:
            with self.backend.retrieval_context():  # a fit inside a call on the cluster makes room for its own
                return self.client.gather(futures)
        except CancelledError:  # every worker that held the rows has died
            if attempts == 1:
                raise
            self._sent.clear()
            return self(calls, attempts - 1)
        except BaseException:
            self.client.cancel(futures)
            raise

    def _send(self, argument):
        if not is_large(argument):
            return argument
        for known, place in self._sent:
            if known is argument:
                return place
        place = stored_rows(argument)
        if place is None or not all(self.client.run(_have, _files(place)).values()):
            place = self.client.scatter(argument, broadcast=True, hash=False)
        self._sent.append((argument, place))
        return place


def _files(place):
    """Return what tells whether a file that is seen elsewhere is the same."""
    return [(part.path, Path(part.path).stat().st_size, Path(part.path).stat().st_mtime_ns) for part in place.parts]


def _have(files):
    """Return whether this process sees all the files."""
    try:
        return all((Path(p).stat().st_size, Path(p).stat().st_mtime_ns) == (size, time) for p, size, time in files)
    except OSError:
        return False
