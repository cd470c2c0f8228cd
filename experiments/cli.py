"""The command line of ``run_exp.py``: everything is checked here, before TensorFlow is imported."""

import argparse
import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from types import SimpleNamespace

from experiments import config as configuration
from experiments import stage_config
from experiments.data_home import data_home
from experiments.quiet import without_chatter
from experiments.run_folder import pending_seeds
from kingdra_cluster.validation import check_ensemble

EPILOG = """examples:
  run_exp.py configs/kingdra_ladder_im_digits.json
  run_exp.py configs/kingdra_ladder_im_mnist.json --set cluster.n_rounds=10 --seeds 0 1 2 --n-jobs 2
  run_exp.py predict runs/kingdra_ladder_im_20news/seed_0 --texts new.txt --out labels.csv
  run_exp.py attack runs/ruc_on_kmeans_digits/seed_0
"""
ATTACKS = ("fgsm", "bim", "pgd")


def run_parser():
    """Parser of ``run_exp.py CONFIG ...``."""
    parser = argparse.ArgumentParser(
        prog="run_exp.py",
        description="Run an experiment: data, clustering with each seed, baselines, pictures. "
        "'run_exp.py predict --help' is about labelling new items, 'run_exp.py attack --help' about attacking a run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="a configuration file, also one of the published Kingdra code")
    parser.add_argument("--set", metavar="A.B=VALUE", action="append", default=[], nargs="+", help="change one value")
    parser.add_argument("--data-home", metavar="DIR", help="folder of raw data (default: $KINGDRA_DATA or a cache)")
    parser.add_argument("--output", metavar="DIR", help="folder of the run (default: runs/<name>)")
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", help="seeds instead of those of the configuration")
    parser.add_argument("--n-jobs", metavar="N", type=int, help="members trained at a time (same result for any)")
    parser.add_argument("--resume", action="store_true", help="skip finished seeds, go on with unfinished ones")
    parser.add_argument("--dry-run", action="store_true", help="print the complete configuration and stop")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def predict_parser():
    """Parser of ``run_exp.py predict ...``."""
    parser = argparse.ArgumentParser(prog="run_exp.py predict", description="Label new items with a finished run.")
    parser.add_argument("run", help="folder of a seed, such as runs/kingdra_ladder_im_digits/seed_0")
    items = parser.add_mutually_exclusive_group(required=True)
    items.add_argument("--texts", metavar="FILE", help="a file with a text a line")
    items.add_argument("--images", metavar="DIR", help="a folder of images")
    items.add_argument("--array", metavar="FILE", help="rows in a .npy, .npz or .csv file")
    parser.add_argument("--out", metavar="CSV", help="file to write (default: standard output)")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def attack_parser():
    """Parser of ``run_exp.py attack ...``."""
    description = "Accuracy of a finished run under attack, before and after its refinement."
    parser = argparse.ArgumentParser(prog="run_exp.py attack", description=description)
    parser.add_argument("run", help="folder of a seed, such as runs/ruc_on_kmeans_digits/seed_0")
    sizes = "largest changes of an entry: of vectors in root mean squares, of images in parts of the range of a pixel"
    parser.add_argument("--sizes", metavar="X", type=float, nargs="+", default=[0, 0.05, 0.1, 0.2, 0.4], help=sizes)
    parser.add_argument("--attacks", metavar="NAME", nargs="+", choices=ATTACKS, default=ATTACKS, help="fgsm, bim, pgd")
    parser.add_argument("--rows", metavar="N", type=int, default=1000, help="rows that are attacked (default: 1000)")
    parser.add_argument("--data-home", metavar="DIR", help="folder of raw data (default: $KINGDRA_DATA or a cache)")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    status : int
        0, or 2 after an error that was explained in one line, or 130 after an interruption.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    others = {"predict": (_predict, predict_parser), "attack": (_attack, attack_parser)}
    command, parser = others.get(argv[0] if argv else None, (_run, run_parser))
    args = parser().parse_args(argv if command is _run else argv[1:])
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            command(args)
    except KeyboardInterrupt:
        hint = " Finished rounds are kept: the same command with --resume goes on." if command is _run else ""
        print(f"\nInterrupted.{hint}", file=sys.stderr)
        return 130
    except (ValueError, TypeError, ImportError, OSError) as error:
        if args.traceback:
            traceback.print_exc()
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _run(args):
    home = data_home(args.data_home)
    folders = (Path(args.config).parent, Path.cwd(), home)
    overrides = [item for group in args.set for item in group]
    config, notes = configuration.load(args.config, overrides, folders)
    if args.seeds is not None:
        config["seeds"] = configuration.check_seeds(args.seeds)
    if args.n_jobs is not None:
        if not stage_config.is_kingdra(config["cluster"]):
            raise ValueError("--n-jobs is for Kingdra's members; this configuration has none.")
        config["cluster"]["n_jobs"] = args.n_jobs
    if stage_config.is_kingdra(config["cluster"]):
        check_ensemble(SimpleNamespace(**config["cluster"], checkpoint_dir=None, callbacks=None))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if args.dry_run:
        print(json.dumps(config, indent=2, ensure_ascii=False))
        return
    folder = Path(args.output or Path("runs", config["name"]))
    pending_seeds(folder, config, args.resume)
    _set_tensorflow_up()
    with without_chatter():
        from experiments.run import run

        run(config, folder, data_home=home, resume=args.resume)


def _predict(args):
    from experiments.predict import check_folder, predict

    check_folder(args.run)
    _set_tensorflow_up()
    kind = next(kind for kind in ("texts", "images", "array") if getattr(args, kind))
    with without_chatter():
        predict(args.run, kind, getattr(args, kind), args.out)


def _attack(args):
    from experiments.predict import check_folder

    check_folder(args.run)
    if args.rows < 1 or not all(0 <= size < float("inf") for size in args.sizes):
        raise ValueError(f"--rows has to be positive and --sizes not negative; got {args.rows} and {args.sizes}.")
    _set_tensorflow_up()
    with without_chatter():
        from experiments.attack import attack

        attack(args.run, sorted(args.sizes), args.attacks, n_rows=args.rows, data_home=data_home(args.data_home))


def _show_warning(message, category, *_, **__):
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _set_tensorflow_up():
    """Settings that TensorFlow reads when it is imported: GPU memory on demand, few log lines."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
