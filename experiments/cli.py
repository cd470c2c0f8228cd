"""The command line of ``run_exp.py``: whatever can be judged without TensorFlow is checked before it is imported.

What only the estimators know, the ranges of their arguments, is checked before any data is loaded.
"""

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
from experiments.own_command import own_config
from experiments.quiet import without_chatter
from experiments.run_folder import check_writable, pending_seeds
from kingdra_cluster.validation import check_ensemble

EPILOG = """examples:
  run_exp.py configs/kingdra_ladder_im_digits.json
  run_exp.py configs/kingdra_ladder_im_mnist.json --set cluster.n_rounds=10 --seeds 0 1 2 --n-jobs 2
  run_exp.py predict runs/kingdra_ladder_im_20news/seed_0 --texts new.txt --out labels.csv
  run_exp.py attack runs/ruc_on_kmeans_digits/seed_0
  run_exp.py report runs/kingdra_ladder_im_digits
  run_exp.py cluster --images photos --n-clusters 12
"""
CLUSTER_EPILOG = """settings for tables, commas in a .csv and tabs in a .tsv:
  --set data.text_column=body        the column (or key of a .jsonl) with the texts (default: text)
  --set data.label_column=kind       the column with true classes: left out of the rows, and scored against
  --set data.features=standardize    for columns of different units
"""
ATTACKS = ("fgsm", "bim", "pgd")


def run_parser():
    """Parser of ``run_exp.py CONFIG ...``."""
    parser = argparse.ArgumentParser(
        prog="run_exp.py",
        description="Run an experiment: data, clustering with each seed, baselines, pictures. "
        "Other commands, each with its own --help: cluster (your own data), predict (label new items), report, "
        "export (a model for elsewhere), attack (accuracy under attack).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="a configuration file, also one of the published Kingdra code")
    _add_run_options(parser)
    return parser


def cluster_parser():
    """Parser of ``run_exp.py cluster ...``."""
    parser = argparse.ArgumentParser(
        prog="run_exp.py cluster",
        description="Cluster data of your own.",
        epilog=CLUSTER_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    items = parser.add_mutually_exclusive_group(required=True)
    items.add_argument("--images", metavar="DIR", help="a folder of images, sub-folders included")
    items.add_argument("--texts", metavar="FILE", help="a text a line, .csv, .tsv or .jsonl, or a folder of .txt files")
    items.add_argument("--array", metavar="FILE", help="rows in a .npy, .npz, .csv or .tsv file")
    parser.add_argument("--n-clusters", metavar="K", type=_number_or_auto, required=True, help="a number, or 'auto'")
    parser.add_argument("--pixels", action="store_true", help="cluster 32 x 32 grey pixels: no pretrained network")
    _add_run_options(parser)
    return parser


def _number_or_auto(text):
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer or 'auto'; got {text!r}") from None


def _add_run_options(parser):
    parser.add_argument("--set", metavar="A.B=VALUE", action="append", default=[], nargs="+", help="change one value")
    parser.add_argument("--data-home", metavar="DIR", help="folder of raw data (default: $KINGDRA_DATA or a cache)")
    parser.add_argument("--output", metavar="DIR", help="folder of the run (default: runs/<name>)")
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", help="seeds instead of those of the configuration")
    parser.add_argument("--n-jobs", metavar="N", type=int, help="members trained at a time (same result for any)")
    parser.add_argument("--resume", action="store_true", help="skip finished seeds, go on with unfinished ones")
    typical = "also draw what is typical of each cluster"
    parser.add_argument("--visualize_prototypes", "--visualize-prototypes", action="store_true", help=typical)
    parser.add_argument("--dry-run", action="store_true", help="print the complete configuration and stop")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")


def predict_parser():
    """Parser of ``run_exp.py predict ...``."""
    parser = argparse.ArgumentParser(prog="run_exp.py predict", description="Label new items with a finished run.")
    parser.add_argument("run", help="folder of a seed, such as runs/kingdra_ladder_im_digits/seed_0")
    items = parser.add_mutually_exclusive_group(required=True)
    items.add_argument("--texts", metavar="FILE", help="a text a line, .csv, .tsv or .jsonl, or a folder of .txt files")
    items.add_argument("--images", metavar="DIR", help="a folder of images")
    items.add_argument("--array", metavar="FILE", help="rows in a .npy, .npz, .csv or .tsv file")
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


def report_parser():
    """Parser of ``run_exp.py report ...``."""
    parser = argparse.ArgumentParser(prog="run_exp.py report", description="Make the page of a finished run again.")
    parser.add_argument("run", help="folder of a run, or of the seed that is to be shown in detail")
    parser.add_argument("--data-home", metavar="DIR", help="folder of raw data, for runs without exhibits.json")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def export_parser():
    """Parser of ``run_exp.py export ...``."""
    description = "Write model and features of a finished seed as one model that runs without this package."
    parser = argparse.ArgumentParser(prog="run_exp.py export", description=description)
    parser.add_argument("run", help="folder of a seed, such as runs/kingdra_ladder_im_digits/seed_0")
    parser.add_argument("--out", metavar="PATH", required=True, help="new folder, or new .onnx file")
    parser.add_argument("--format", choices=["savedmodel", "onnx"], help="default: onnx if PATH ends in .onnx")
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
    commands = {
        "attack": (_attack, attack_parser),
        "cluster": (_cluster, cluster_parser),
        "export": (_export, export_parser),
        "predict": (_predict, predict_parser),
        "report": (_report, report_parser),
    }
    command, parser = commands.get(argv[0] if argv else None, (_run, run_parser))
    args = parser().parse_args(argv if command is _run else argv[1:])
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            command(args)
    except KeyboardInterrupt:
        kept = " Finished rounds are kept: the same command with --resume goes on."
        hint = kept if hasattr(args, "resume") else ""
        print(f"\nInterrupted.{hint}", file=sys.stderr)
        return 130
    except (ValueError, TypeError, ArithmeticError, RuntimeError, ImportError, OSError) as error:
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
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    _start(config, args, home)


def _cluster(args):
    kind = next(kind for kind in ("images", "texts", "array") if getattr(args, kind))
    overrides = [item for group in args.set for item in group]
    config = own_config(kind, getattr(args, kind), args.n_clusters, plain=args.pixels, overrides=overrides)
    _start(config, args, data_home(args.data_home))


def _start(config, args, home):
    if args.seeds is not None:
        config["seeds"] = configuration.check_seeds(args.seeds)
    if args.n_jobs is not None:
        if not stage_config.is_kingdra(config["cluster"]):
            raise ValueError("--n-jobs is for Kingdra's members; this configuration has none.")
        config["cluster"]["n_jobs"] = args.n_jobs
    if stage_config.is_kingdra(config["cluster"]):
        check_ensemble(SimpleNamespace(**config["cluster"], checkpoint_dir=None, callbacks=None))
    if args.dry_run:
        _set_tensorflow_up()
        with without_chatter():
            from experiments.stages import check_stages

            check_stages(config, home, files=False)
        print(json.dumps(config, indent=2, ensure_ascii=False))
        return
    folder = Path(args.output or Path("runs", config["name"]))
    check_writable(folder, "--output")
    pending_seeds(folder, config, args.resume)
    _set_tensorflow_up()
    with without_chatter():
        from experiments.run import run

        run(config, folder, data_home=home, resume=args.resume, visualize_prototypes=args.visualize_prototypes)


def _predict(args):
    from experiments.predict import check_folder, predict

    check_folder(args.run)
    _set_tensorflow_up()
    kind = next(kind for kind in ("texts", "images", "array") if getattr(args, kind))
    with without_chatter():
        predict(args.run, kind, getattr(args, kind), args.out)


def _export(args):
    _set_tensorflow_up()
    with without_chatter():
        from experiments.export import export

        export(args.run, args.out, args.format or ("onnx" if args.out.endswith(".onnx") else "savedmodel"))


def _report(args):
    _set_tensorflow_up()
    with without_chatter():
        from experiments.report import report

        print(report(args.run, None if args.data_home is None else data_home(args.data_home)))


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
