"""One line a round or an epoch: what happened and how long the rest may take."""

import contextlib
import sys


def duration(seconds):
    """Return a length of time in words that fit a log line, such as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def seconds_left(history, n_rounds, epochs):
    """Return the time that the remaining rounds of ``epochs`` each take at the last one's pace; it may stop earlier."""
    return history[-1]["seconds"] / history[-1]["epochs"] * epochs * (n_rounds - len(history))


def round_line(record, n_rounds, n_rows, start=None):
    """Return the log line of one entry of ``history_``; ``start`` is what taught the first round."""
    kind = "supervised" if record["supervised"] else "unsupervised"
    if record["round"] == 0 and start is not None:
        kind = f"{start} start"
    changed = "" if record["changed"] is None else f"  changed {100 * record['changed']:5.2f} %"
    origin = " (of an earlier round)" if record["reused"] else ""
    return (
        f"round {record['round'] + 1:>{len(str(n_rounds))}}/{n_rounds} "
        f"{kind:<14}  agreement {record['agreement']:.3f}  "
        f"pseudo-labelled {record['pseudo_labelled']:,} of {n_rows:,} rows in {record['buckets']} buckets{origin}"
        f"{changed}  {duration(record['seconds'])}, about {duration(record['seconds_left'])} left"
    )


def count_line(count):
    """Return the log line of a `ClusterCount`."""
    low, high = count.interval
    return f"estimated number of clusters: {count.n_clusters} (from {low} to {high})"


def epoch_line(history, n_epochs):
    """Return the log line of the last entry of a mode's ``history_``."""
    return f"epoch {len(history)}/{n_epochs}  " + "  ".join(
        f"{name} {value:.4g}" for name, value in history[-1].items()
    )


def detail_line(record):
    """Return a second line of one entry of ``history_``: epochs, smallest core and the members' mean losses."""
    losses = "  ".join(f"{name} {value:.4g}" for name, value in record["losses"].items())
    return (
        f"    {record['epochs']} epochs a member  smallest bucket {record['smallest_bucket']:,} rows  losses: {losses}"
    )


def report(line):
    """Print a whole line to standard output at once: also into files, pipes and notebooks, where nothing is redrawn.

    A reader that has gone away (``... | head``), or no standard output at all, ends no training.
    """
    if sys.stdout is None:
        return
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
