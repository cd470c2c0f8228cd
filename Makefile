# `make run` and `make test` each create the virtual environment if there is none, install, and do their job.
# A run that is there already is kept: one that is finished is shown again, another is gone on with.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PARALLEL = -n 2 --dist loadfile
RUN = kingdra_ladder_im_digits

.PHONY: run test test-all lint docs wheel clean

$(VENV)/installed: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $@

run: $(VENV)/installed
	$(BIN)/python run_exp.py configs/$(RUN).json --n-jobs 2 --resume

test: $(VENV)/installed lint
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-all: $(VENV)/installed lint
	$(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/pip install --quiet --editable ".[docs]"
	touch $@

wheel: $(VENV)/installed
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache
