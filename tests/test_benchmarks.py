"""Every benchmark runs in its smoke form and saves what it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITHOUT_SMOKE = {"labellers.py", "peer_methods.py", "peers.py", "quality.py"}  # tests of their own


def benchmarks():
    """Scripts that have a command line."""
    paths = sorted((ROOT / "benchmarks").glob("*.py"))
    return [
        path.name for path in paths if "__main__" in path.read_text(encoding="utf-8") and path.name not in WITHOUT_SMOKE
    ]


@pytest.mark.parametrize("name", benchmarks())
def test_smoke(name, tmp_path):
    output = tmp_path / "folder" / "report.json"
    command = [sys.executable, str(ROOT / "benchmarks" / name), "--smoke", "--output", str(output)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) > 3
    assert "machine" in json.loads(output.read_text(encoding="utf-8"))
