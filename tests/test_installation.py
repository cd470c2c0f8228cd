"""What is installed suffices for what is run, and `make run` keeps what is there."""

import ast
import re
import shutil
import subprocess
import sys

import pytest
from test_contracts import ROOT, imports, source_files

NAMES = {"scikit-learn": "sklearn", "pillow": "PIL"}  # where the package and its import differ


def requirements():
    """Import names of what setup.py asks for: always, and by extra."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    call = next(node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    always = next(keyword.value for keyword in call.keywords if keyword.arg == "install_requires")

    def names(node):
        texts = [item.value for item in ast.walk(node) if isinstance(item, ast.Constant)]
        found = [re.match(r"[\w-]+", text)[0] for text in texts]
        return {NAMES.get(name, name) for name in found}

    extras = {key.value: names(node) for key, node in zip(values["extras"].keys, values["extras"].values, strict=True)}
    return names(always), extras


def needed(*folders):
    """Packages that the files of some folders import."""
    outer = set().union(*(imports(path)[1] for path in source_files(*folders).values()))
    return outer - set(sys.stdlib_module_names) - {"kingdra_cluster", "experiments", "datasets"}


def test_an_installation_runs_the_package_and_the_experiments_and_holds_nothing_else():
    always, extras = requirements()
    extra = ("faiss", "dask", "onnx", "tensorboard", "torch", "images")
    optional = set().union(*(extras[name] for name in extra)) | {"faiss", "pandas"}  # pandas where X is of it
    assert needed("kingdra_cluster", "experiments", "datasets") - optional == always


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("name", ["", "kingdra_ladder_im_digits"])
def test_make_run_removes_nothing(name):
    shown = subprocess.run(["make", "-n", "run", f"RUN={name}"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "rm " not in shown.stdout
    assert "--resume" in shown.stdout
