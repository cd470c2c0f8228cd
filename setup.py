"""Build and install kingdra_cluster: `pip install .`, with extras such as `pip install ".[test]"`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (root / "kingdra_cluster" / "__init__.py").read_text()).group(1)
extras = {
    "images": ["pillow>=10"],
    "faiss": ["faiss-cpu>=1.8"],
    "dask": ["distributed>=2024.1"],
    "onnx": ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.16"],
    "tensorboard": ["tensorboard>=2.16"],
    "torch": ["torch>=2.6"],
    "peers": ["umap-learn>=0.5.7", "clustpy>=0.0.3"],
    "docs": ["mkdocs>=1.6", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.27"],
    "test": [
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        "ruff>=0.9",
        "build>=1.2",
        "pandas>=2.2",
        "pillow>=10",
    ],
}

setup(
    name="kingdra_cluster",
    version=version,
    description="Deep clustering by ensemble pseudo-labelling, on Keras 3",
    long_description=(root / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["kingdra_cluster", "kingdra_cluster.*"]),
    package_data={"kingdra_cluster": ["py.typed"]},
    install_requires=[
        "tensorflow>=2.20",
        "keras>=3.13.2",  # CVE-2026-1669, CVE-2026-1462: before, a saved model could read files or run code
        "numpy>=1.26",
        "scipy>=1.12",
        "scikit-learn>=1.6",
        "networkx>=3.2",
        "joblib>=1.4",
        "matplotlib>=3.8",  # these two for run_exp.py: an installation should run a checkout's experiments as it is
        "threadpoolctl>=3.1",
    ],
    extras_require=extras,
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
