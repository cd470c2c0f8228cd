"""Every golden file is named, or matched by a pattern, in a test that reads it."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCES = "".join(path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py"))
PATTERNS = re.findall(r"[\"/]([a-z][a-z0-9_*]+\.(?:npz|json))\"", SOURCES)


@pytest.mark.parametrize("name", sorted(path.name for path in (TESTS / "golden").iterdir()))
def test_a_golden_file_is_read_by_some_test(name):
    assert any(fnmatch(name, pattern) for pattern in PATTERNS)
