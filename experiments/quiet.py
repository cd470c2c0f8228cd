"""Keep TensorFlow's start-up chatter out of the way: it prints before it reads any setting of its own."""

import os
import re
import sys
import threading
from contextlib import contextmanager

CHATTER = re.compile(rb"[IWE]0000 00:00:|WARNING: All log messages before absl|To enable the following instructions:")


@contextmanager
def without_chatter():
    """Drop TensorFlow's start-up lines from standard error, those of worker processes too, while the block runs.

    File descriptor 2 becomes a pipe, which worker processes inherit; a thread passes on everything else.
    """
    sys.stderr.flush()
    real = os.dup(2)
    source, sink = os.pipe()
    os.dup2(sink, 2)
    os.close(sink)
    relay = threading.Thread(target=_relay, args=(source, real), daemon=True)
    relay.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)
        relay.join(timeout=0.2)  # workers that stay alive hold the pipe open; the thread ends with the process


def _relay(source, target):
    pending = b""
    while block := os.read(source, 65536):
        *lines, pending = re.split(rb"(?<=[\r\n])", pending + block)
        for line in lines:
            if not CHATTER.match(line):
                os.write(target, line)
    os.write(target, pending)
