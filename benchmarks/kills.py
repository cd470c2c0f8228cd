"""Fits killed at random moments: does a resumed fit end with the bits of the undisturbed one?

A process fits handwritten digits with the default loop (or, with ``--published``, the published rule) and a folder of
checkpoints, and gets SIGKILL after a random time; the next process goes on in the same folder, until one is quick
enough to finish.  Its labels, probabilities, pseudo-labels and mappings must be those of a fit that was never killed.
Then a new folder is begun, until there were as many kills as asked for.

A line a kill: how long the fit had run, what it had in its folder (finished rounds; members of the round in work; files
half written) and, where it was the last one of its fit, whether all bits are the same.  With ``--n-jobs 2`` the members
are trained by workers that see their parent die.

    python benchmarks/kills.py [--kills N] [--n-jobs N] [--published] [--seed N] [--smoke] [--output FILE.json]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from benchmarks.reports import print_table, save_report  # noqa: E402

RESULTS = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")
PUBLISHED = {"start": None, "labeller": "published", "shared_mapping": True, "mi_weight_later": 0.5}
HEAD = ["kill", "fit", "seconds", "rounds", "members", "half written", "same bits"]


def fit(folder, result, n_jobs, published, small):
    """Fit as a process of its own: say when it begins, write the answers."""
    import warnings

    from sklearn.datasets import load_digits

    from kingdra_cluster import KingdraCluster, LadderIM

    warnings.simplefilter("ignore")
    X = load_digits().data[: 100 if small else 600]
    mode = LadderIM(hidden_units=(16,) if small else (100, 100), batch_size=50)
    sizes = {"n_members": 2 if small else 4, "n_rounds": 3 if small else 5, "tol": None}
    epochs = {"epochs_first_round": 2 if small else 20, "epochs_per_round": 2 if small else 10}
    options = sizes | epochs | ({"start_votes": 4} if small else {}) | (PUBLISHED if published else {})
    model = KingdraCluster(10, mode=mode, n_jobs=n_jobs, checkpoint_dir=folder, random_state=0, **options)
    print("begun", flush=True)
    model.fit(X)
    np.savez(result, **{name: getattr(model, name) for name in RESULTS})


def run(options, folder, patience=None):
    """Let a process fit in a folder, but kill it ``patience`` seconds after it has begun; return the seconds it had."""
    command = [sys.executable, __file__, "--fit", str(folder), "--n-jobs", str(options.n_jobs)]
    command += ["--published"] * options.published + ["--smoke"] * options.smoke
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "begun\n":
            raise RuntimeError("the fit did not begin")
        began = time.monotonic()
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        seconds = time.monotonic() - began
    if code not in (0, -9):
        raise RuntimeError(f"the fit ended with code {code}")
    return seconds, code == 0


def state(folder):
    """Return what lies in a folder of checkpoints: finished rounds, members beyond them, files half written."""
    rounds = sorted(folder.glob("round_*/round.json"))
    finished = int(rounds[-1].parent.name[6:]) + 1 if rounds else 0
    members = len(list(folder.glob(f"round_{finished:04d}/member_*.npz")))
    return {"rounds": finished, "members": members, "unfinished": len(list(folder.rglob(".unfinished-*")))}


def same(path, expected):
    """Return whether the answers in a file are, to the bit, those of another."""
    with np.load(path) as found, np.load(expected) as wanted:
        return all(np.array_equal(found[name], wanted[name]) for name in RESULTS)


def kill_fits(options, root):
    """Yield a dict a kill; the last one of each fit says whether its bits are those of the undisturbed fit."""
    rng = np.random.default_rng(options.seed)
    whole, _ = run(options, root / "undisturbed")
    number, kills = 0, 0
    while kills < options.kills:
        folder, line, finished = root / f"fit_{number}", None, False
        while not finished:
            patience = rng.uniform(0, whole) if kills < options.kills else None
            seconds, finished = run(options, folder, patience)
            if finished:
                break
            if line is not None:
                yield line
            kills += 1
            line = {"kill": kills, "fit": number, "seconds": seconds, **state(folder / "checkpoints"), "same": None}
        if line is not None:
            yield line | {"same": same(folder / "result.npz", root / "undisturbed" / "result.npz")}
        number += 1


def main(arguments=None):
    """Run the benchmark; see the text of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, metavar="N", help="default 20")
    parser.add_argument("--n-jobs", type=int, default=1, metavar="N", help="worker processes (default 1)")
    parser.add_argument("--published", action="store_true", help="the published rule")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments")
    parser.add_argument("--smoke", action="store_true", help="one kill of a tiny fit")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save the numbers here as JSON")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.fit is not None:
        options.fit.mkdir(exist_ok=True)
        fit(options.fit / "checkpoints", options.fit / "result.npz", options.n_jobs, options.published, options.smoke)
        return
    options.kills = options.kills or (1 if options.smoke else 20)
    with tempfile.TemporaryDirectory() as root:
        kills = list(kill_fits(options, Path(root)))
    print_table(HEAD, [[None if value is None else value for value in line.values()] for line in kills])
    wrong = [line for line in kills if line["same"] is False]
    print(f"{len(kills)} kills of {kills[-1]['fit'] + 1} fits, {len(wrong)} ended with other bits")
    settings = {"n_jobs": options.n_jobs, "published": options.published, "seed": options.seed}
    save_report(options.output, settings | {"kills": kills, "wrong": len(wrong)})
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
