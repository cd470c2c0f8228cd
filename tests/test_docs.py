"""Every snippet of README.md and docs/ runs; every link and picture is there; every command is understood."""

import importlib
import json
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

from experiments import config as configuration
from experiments.cli import attack_parser, cluster_parser, export_parser, main, predict_parser, report_parser
from experiments.stages import check_stages

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HURRY = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 1, "epochs_per_round": 1, "n_epochs": 1, "n_jobs": None}
SLOW = {"nnm", "refinement"}  # of several trainings, which tests of their own try
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page, language):
    """Fenced blocks of a page, with as many line feeds before each as put errors on the page's own lines."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield "\n" * text[: found.start(1)].count("\n") + found[1]


def commands(page):
    """Command lines of a page: indented by four spaces, beginning with python, comments cut off."""
    lines = re.findall(r"^    (?:python )(run_exp\.py .*|\S+\.py.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def hurried(monkeypatch):
    """Let every fit be one of few members and a single epoch, whatever the snippet asks for."""
    from kingdra_cluster import MODES, KingdraCluster
    from kingdra_cluster.modes import PRETEXTS, REFINERS

    def hurry(fit):
        def fit_in_a_hurry(self, *args, **options):
            known = self.get_params(deep=False)
            self.set_params(**{name: value for name, value in HURRY.items() if name in known})
            return fit(self, *args, **options)

        return fit_in_a_hurry

    for one in {KingdraCluster, *MODES.values(), *PRETEXTS.values(), *REFINERS.values()}:
        monkeypatch.setattr(one, "fit", hurry(one.fit))


@each_page
def test_no_merge_is_left_half_way(page):
    assert not re.search(r"^(<{7} |>{7} |={7}$)", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] * (p.stem in SLOW)) for p in PAGES]
)
@pytest.mark.usefixtures("eager", "hurried")
def test_python_runs(page, digits, tmp_path, monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.chdir(tmp_path)
    rows, truth = digits[:100].astype("float32"), load_digits().target[:100]
    np.save("rows.npy", rows)
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        np.save(
            tmp_path / "shards" / f"{shard}.npy", np.random.default_rng(shard).integers(3, size=(4, 50), dtype="uint8")
        )
    images = rows[:60].reshape(60, 8, 8, 1).astype("uint8")
    names = {"X": rows, "features": rows, "images": images, "y_true": truth, "np": np}
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda return_X_y: (rows, truth))
    for block in blocks(page, "python"):
        code = compile(block, str(page), "exec")
        if "from distributed" in block:
            continue  # needs a cluster; test_dask.py makes one
        if "import pandas" in block:
            pytest.importorskip("pandas")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so short a training is warned of, rightly
            exec(code, names)


@each_page
def test_json_is_a_valid_configuration(page):
    for block in blocks(page, "json"):
        check_stages(configuration.resolve(json.loads(block), "page"), files=False)


@each_page
def test_commands_are_understood(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text('{"data": {"name": "digits"}}', encoding="utf-8")
    parsers = {"cluster": cluster_parser, "export": export_parser, "predict": predict_parser, "report": report_parser}
    parsers["attack"] = attack_parser
    for command in commands(page):
        if command[0] != "run_exp.py":
            assert (ROOT / command[0]).is_file(), command
        elif command[1] in parsers:
            parsers[command[1]]().parse_args(command[2:])
        else:
            path = ROOT / command[1] if (ROOT / command[1]).is_file() else command[1]
            assert main([str(path), *command[2:], "--dry-run"]) == 0, capsys.readouterr().err


@each_page
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_pages_name_what_the_code_has():
    from experiments.published import DEFAULTS
    from kingdra_cluster.modes import MODES, PRETEXTS, REFINERS

    pages = ("kingdra", "stages", "adding", "scaling")
    kingdra, stages, adding, scaling = ((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in pages)
    named = kingdra[kingdra.index("Five things") : kingdra.index("- **Start**")]
    assert [name for name in DEFAULTS if name not in named and not name.startswith("epochs_")] == []
    whole = {name for name, mode in {**MODES, **PRETEXTS, **REFINERS}.items() if not hasattr(mode(), "checkpoint_dir")}
    told = re.search(r"((?:`\w+`[^`.]*)+) keep nothing of a part", stages)[1]
    assert set(re.findall(r"`(\w+)`", told)) - {"seed"} == whole
    assert "labellers.PROPORTIONAL" in adding
    assert "labellers.TAUGHT" in adding
    assert "`start_votes` n" in scaling


def test_the_reference_names_what_exists():
    names = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 8
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name


def test_pictures_of_the_concepts_match_their_words():
    shown = json.loads((ROOT / "docs" / "pictures" / "concepts.json").read_text(encoding="utf-8"))
    assert f"{shown['rows']} points" in (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert shown["settings"]["n_members"] == 4
