"""Every benchmark runs in its smoke form and saves what it prints."""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.memory import SECONDS, PeakMemory, family, together_mb

ROOT = Path(__file__).parents[1]
WITHOUT_SMOKE = {"labellers.py", "peer_methods.py", "peers.py", "quality.py", "tables.py"}  # tests of their own
OWN_PROCESS = {"kills.py"}  # it starts itself again
COMPILED = {"augment.py", "end_to_end.py", "ensemble.py", "step.py"}  # measured against processes, or as they are used


def benchmarks():
    """Scripts that have a command line."""
    paths = sorted((ROOT / "benchmarks").glob("*.py"))
    return [
        path.name for path in paths if "__main__" in path.read_text(encoding="utf-8") and path.name not in WITHOUT_SMOKE
    ]


@pytest.mark.parametrize("name", benchmarks())
def test_smoke(name, tmp_path, monkeypatch, capsys, request):
    if name not in COMPILED | OWN_PROCESS:
        request.getfixturevalue("eager")
    output = (tmp_path / "folder" / name).with_suffix(".json")
    options = ["--smoke", "--output", str(output)]
    monkeypatch.chdir(tmp_path)
    if name in OWN_PROCESS:
        command = [sys.executable, str(ROOT / "benchmarks" / name), *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
        assert run.returncode == 0, run.stderr
        printed = run.stdout
    else:
        importlib.import_module(f"benchmarks.{Path(name).stem}").main(options)
        printed = capsys.readouterr().out
    assert len(printed.splitlines()) >= 3  # a head, what is below it and a line
    if output.is_dir():  # of the benchmarks that keep a file a run
        assert all(json.loads(path.read_text(encoding="utf-8")) for path in output.glob("*.json"))
        assert list(output.glob("*.json"))
        return
    assert "machine" in json.loads(output.read_text(encoding="utf-8"))
    for table, (file, _) in tables.TABLES.items():
        if output.stem == file:
            assert tables.table(table, output.parent).count("\n|") > 1


def test_the_pages_show_the_saved_reports(tmp_path):
    tables.main(["--check"])
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- table step -->\n| 1 |\n<!-- end -->\nb\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md is not made from"):
        tables.main([str(page), "--check", "--results", str(tmp_path)])
    tables.main([str(page), "--results", str(tmp_path)])
    assert page.read_text() == "a\n<!-- table step -->\nNot measured yet: no step.json.\n<!-- end -->\nb\n"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system does not tell shared pages apart")
def test_memory_is_that_of_a_process_and_its_descendants_shared_pages_counted_once():
    grow = "import subprocess, sys; b = b'x' * 100_000_000; print('ready', flush=True); input()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    command = [sys.executable, "-c", child]
    with PeakMemory(os.getpid()) as peak:
        before = together_mb(family(os.getpid()))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
            assert running.stdout.readline() == b"ready\n"
            assert running.pid in family(os.getpid())
            during = together_mb(family(os.getpid()))
            time.sleep(3 * SECONDS)  # for the one that watches to look
            running.communicate(b"\n")
        assert 100 < during - before < 200
    assert peak.mb > before + 100
    assert together_mb([running.pid]) == 0  # it has gone
