"""Shared by all tests: one thread, quiet logs, small data."""

import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of NumPy's products, too: read when NumPy is imported

import numpy as np  # noqa: E402

THIRD_PARTY_WARNINGS = (
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",  # TensorFlow on NumPy 2
    "ignore:Even though the `tf.config:UserWarning",  # tf.data stays compiled under the fixture `eager`
)


def pytest_configure(config):
    for line in THIRD_PARTY_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def claim_one_thread():
    """Give TensorFlow, where it is imported at all, one thread before its first operation: fits run in this process."""
    if "tensorflow" in sys.modules:
        from kingdra_cluster.members import claim_threads

        claim_threads(1)


@pytest.fixture(autouse=True)
def one_thread():
    """Claim it before every test, for one may have imported TensorFlow."""
    claim_one_thread()


@pytest.fixture(autouse=True, scope="module")
def one_thread_for_a_module():
    """Claim it before a module's own fixtures, which may run operations."""
    claim_one_thread()


@pytest.fixture
def eager():
    """Run without tracing, which takes longer than the few steps of a tiny network."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def digits():
    """The first 300 handwritten digits, 0 to 16 a pixel, read-only."""
    from sklearn.datasets import load_digits

    X = load_digits().data[:300]
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def blobs():
    """90 rows in three groups that anybody can tell apart, read-only."""
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(3, 4), 30, axis=0) * 4 + rng.normal(scale=0.3, size=(90, 4))
    X.flags.writeable = False
    return X
