"""What holds for every file, every public name and every mode."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import kingdra_cluster
from kingdra_cluster.modes import MODES

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = ROOT / "kingdra_cluster"
FLOORS = {
    "checks label_tuples similarity_graph pseudo_labels unsup_metrics": 0,
    "consensus labellers spaces starts communities graphs merging cluster_count": 0,
    "neighbors prepared_rows block_search faiss_search": 0,
    "clean_split calibration": 0,
    "callbacks exceptions processes progress losses losses.* layers optimizers batches forward": 1,
    "persistence saving shared_rows validation": 1,
    "image_ops randaugment augment robustness": 1,
    "backbones backbones.*": 2,
    "modes modes.*": 3,
    "members dask_members parallel": 4,
    "checkpoints exporting outputs refinement rounds teaching voters saved_ensemble kingdra_cluster": 5,
}
FOR_ALL_MODES = {"base", "fit_state"}  # in modes/: what any of them may import
OF_A_MODE = {  # files of one mode
    "ladder_network": "ladder",
    "nnm_batches": "nnm",
    "nnm_network": "nnm",
    "nnm_rows": "nnm",
    "ruc_network": "ruc",
    "ruc_start": "ruc",
    "selflabel_network": "selflabel",
    "simclr_network": "simclr",
}


def source_files(*folders):
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path for path in found}


SOURCES = source_files("kingdra_cluster")
EVERYTHING = source_files("kingdra_cluster", "tests", "experiments", "datasets", "benchmarks") | {
    name: ROOT / name for name in ("run_exp.py", "setup.py") if (ROOT / name).is_file()
}
each_source = pytest.mark.parametrize("name", SOURCES)


def module_name(path):
    """The name of a module below the package: `modes.ladder`; "" is the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def floor(module):
    for patterns, number in FLOORS.items():
        if any(re.fullmatch(pattern.replace(".*", r"\..+"), module) for pattern in patterns.split()):
            return number
    return 6 if module == "" else pytest.fail(f"kingdra_cluster.{module} has no floor: give it one in FLOORS")


def imports(path):
    """Modules of the package that a file imports, wherever it does, and the outer packages."""
    inner, outer = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "kingdra_cluster.__version__":
                continue
            if name.split(".")[0] != "kingdra_cluster":
                outer.add(name.split(".")[0])
                continue
            parts = name.split(".")[1:]
            while parts and not (
                PACKAGE.joinpath(*parts).is_dir() or PACKAGE.joinpath(*parts).with_suffix(".py").is_file()
            ):
                parts.pop()
            inner.add(".".join(parts))
    return inner, outer


GRAPH = {module_name(path): imports(path) for path in SOURCES.values()}


# Floors


@pytest.mark.parametrize("module", GRAPH)
def test_a_module_imports_from_its_own_floor_or_below(module):
    for imported in GRAPH[module][0]:
        assert floor(imported) <= floor(module), f"{module} (floor {floor(module)}) imports {imported}"
        assert imported, f"{module} imports the package itself"


def test_no_imports_go_round_in_circles():
    remaining = {module: {i for i in inner if i != module} for module, (inner, _) in GRAPH.items()}
    while remaining:
        free = [module for module, inner in remaining.items() if not inner & remaining.keys()]
        assert free, f"circle among {sorted(remaining)}"
        for module in free:
            del remaining[module]


def test_modes_do_not_import_each_other():
    owner = {
        module: OF_A_MODE.get(module.split(".")[1], module.split(".")[1]) for module in GRAPH if "modes." in module
    }
    for module, mode in owner.items():
        others = {owner[i] for i in GRAPH[module][0] if i in owner} - {mode} - FOR_ALL_MODES
        assert not others, f"{module} imports {others}"


@pytest.mark.parametrize("module", [module for module in GRAPH if module and floor(module) == 0])
def test_the_lowest_floor_knows_no_network(module):
    assert not GRAPH[module][1] & {"keras", "tensorflow"}


def test_only_the_package_that_it_is_told_about_comes_with_an_import():
    code = (
        "import sys, kingdra_cluster; heavy = {'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; from kingdra_cluster import SimilarityGraph, CollapseWarning; "
        "from kingdra_cluster.unsup_metrics import ACC; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)


# Public names


def test_every_public_name_exists_and_unknown_ones_are_told_so():
    assert set(kingdra_cluster.__all__) >= {"KingdraCluster", "LadderIM", "SimilarityGraph", "MODES"}
    for name in kingdra_cluster.__all__:
        assert getattr(kingdra_cluster, name) is not None
        assert name in dir(kingdra_cluster)
    with pytest.raises(AttributeError, match="no attribute 'KingdraClustr'; it has .*KingdraCluster"):
        kingdra_cluster.KingdraClustr  # noqa: B018


@pytest.mark.parametrize("module", [module for module in GRAPH if module])
def test_names_that_a_module_lists_exist(module):
    if module == "faiss_search":
        pytest.importorskip("faiss")
    loaded = importlib.import_module(f"kingdra_cluster.{module}")
    for name in getattr(loaded, "__all__", ()):
        assert hasattr(loaded, name), name


def definitions(tree):
    """Public classes, functions and methods that a reader meets."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node)


@each_source
def test_everything_public_has_a_docstring(name):
    tree = ast.parse(SOURCES[name].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has none"
    bare = [node.name for node in definitions(tree) if not ast.get_docstring(node)]
    assert not bare


@pytest.mark.parametrize(
    "module", [m for m, path in zip(GRAPH, SOURCES.values(), strict=True) if ">>>" in path.read_text()]
)
def test_examples_in_docstrings_run(module):
    loaded = importlib.import_module(f"kingdra_cluster.{module}")
    finder, options = doctest.DocTestFinder(exclude_empty=True), doctest.NORMALIZE_WHITESPACE
    tests = [test for test in finder.find(loaded, loaded.__name__) if test.examples]
    assert tests
    for test in tests:
        lines = []
        result = doctest.DocTestRunner(optionflags=options).run(test, out=lines.append)
        assert result.failed == 0, "".join(lines)


# Files


@pytest.mark.parametrize("name", EVERYTHING)
def test_files_stay_short(name):
    assert len(EVERYTHING[name].read_text(encoding="utf-8").splitlines()) <= 300


@each_source
def test_functions_stay_short(name):
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_path_of_one_machine_is_written_down(name):
    text = EVERYTHING[name].read_text(encoding="utf-8")
    for folder in ("work", "root", "home"):
        assert not re.search(rf"[\"' ]/{folder}/\w", text), folder


@each_source
def test_the_package_neither_prints_nor_unpickles(name):
    tree = ast.parse(SOURCES[name].read_text(encoding="utf-8"))
    assert not imports(SOURCES[name])[1] & {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert called not in {"print", "eval", "exec", "joblib.load"}
        if called in {"np.load", "numpy.load"}:
            assert arguments.get("allow_pickle") == "False"
        if called.endswith("load_model"):
            assert arguments.get("safe_mode") == "True"


@each_source
def test_no_bare_except_and_no_global_seed(name):
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func).split(".")[-1] not in {"set_random_seed", "seed"}


# Modes


@pytest.fixture(params=MODES)
def mode(request):
    """Any mode, as small as it gets."""
    small = {"n_clusters": 3, "n_epochs": 1, "batch_size": 32, "hidden_units": (8,), "random_state": 0}
    small["backbone"] = {"name": "mlp", "hidden_units": (8,)}
    estimator = MODES[request.param]()
    return estimator.set_params(**{name: value for name, value in small.items() if name in estimator.get_params()})


@pytest.mark.usefixtures("eager")
def test_every_mode_is_an_estimator_by_itself(mode, blobs, tmp_path):
    fitted = mode.fit(blobs)
    probabilities = fitted.predict_proba(blobs)
    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(blobs), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict_proba(sparse.csr_matrix(blobs))[5:7], probabilities[5:7])
    fitted.save(tmp_path / "mode")
    np.testing.assert_array_equal(type(mode).load(tmp_path / "mode").predict_proba(blobs), probabilities)
    assert set(fitted.history_[0]) >= {"loss"}


@pytest.mark.usefixtures("eager")
def test_every_mode_gives_the_same_bits_for_the_same_seed(mode, blobs):
    first = mode.fit(blobs).probabilities_
    np.testing.assert_array_equal(mode.fit(blobs).probabilities_, first)
    assert np.any(mode.set_params(random_state=1).fit(blobs).probabilities_ != first)


def test_every_mode_has_a_classifier_of_stock_layers_that_its_weights_fit(mode, blobs):
    network, classifier = mode.make_network((4,), seed=3), mode.make_classifier((4,), 2.0)
    classifier.set_weights(mode.freeze(network, blobs, 2.0))
    assert {type(layer).__module__.split(".")[0] for layer in classifier.layers} == {"keras"}
    assert network.optimizer.built
    assert classifier.output_shape == (None, 3)


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning")
def test_every_mode_can_be_a_member_and_is_taught(mode, blobs, monkeypatch):
    from kingdra_cluster.labellers import LABELLERS

    monkeypatch.setitem(LABELLERS, "test", lambda graph, n_clusters: np.arange(graph.n_rows) % n_clusters)
    options = {"n_members": 2, "n_rounds": 2, "epochs_first_round": 1, "epochs_per_round": 1, "random_state": 0}
    options |= {"start_votes": 4, "start_balance": 0.7}
    model = kingdra_cluster.KingdraCluster(3, mode=mode, labeller="test", **options).fit(blobs)
    assert model.history_[1]["supervised"]
    np.testing.assert_array_equal(model.predict_proba(blobs), model.probabilities_)
