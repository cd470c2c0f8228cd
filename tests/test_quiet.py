"""Start-up chatter is dropped from standard error; everything else passes, in order."""

import subprocess
import sys

SCRIPT = """
import os, subprocess, sys
from experiments.quiet import without_chatter
print("before", file=sys.stderr)
with without_chatter():
    os.write(2, b"I0000 00:00:17953.1 12 port.cc:153] chatter\\n")
    print("kept", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'E0000 00:00:1 chatter\\\\nof a worker\\\\n')"])
    os.write(2, b"progress 50 %\\rno line end")
print("after", file=sys.stderr)
"""


def test_only_chatter_is_dropped():
    error = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True).stderr
    assert error == b"before\nkept\nof a worker\nprogress 50 %\rno line endafter\n"
