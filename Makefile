# make demo | make test | make test-all | make lock | make descriptor | make clean
# Needs Python 3.11 or later with venv, and nothing else: everything goes into .venv.
# Another interpreter: make test PYTHON=/path/to/python3.11

ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
endif

BIN := .venv/bin
# The environment is rebuilt when what it is made from changes, not when a file is merely touched.
KEY := $(shell cat pyproject.toml requirements.lock | cksum | cut -d ' ' -f 1)
READY := .venv/.ready-$(KEY)
TORCH := $(shell grep '^torch==' requirements.lock)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all checks lock descriptor clean

help:
	@echo "make demo      simulate a small dataset with a planted answer, run on it, report in demo-output/derivatives"
	@echo "make test      every check: style, types, import direction, unit tests, command line, validator"
	@echo "make test-all  the same with the slow tests and those on the real data beside the repository"
	@echo "make lock      write requirements.lock from what is installed in .venv"
	@echo "make descriptor  write descriptors/bids-brainalign.json from the options of the BIDS app"
	@echo "make clean     remove .venv, caches and demo-output"

setup: $(READY)

# torch comes first and alone: where a CPU build is provided locally, pip then takes that one.
$(READY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11" >&2; exit 1; }
	@echo "== set-up: installing into .venv (once, some minutes; torch is a large download)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@rm -f .venv/.ready-*
	@$(PIP) install "$(TORCH)"
	@$(PIP) install -c requirements.lock -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/brainalign demo demo-output

# Steps run in this order and stop at the first that fails. One pytest call does the unit tests,
# the command line, the validator and the container, in that order (tests/conftest.py), so that its
# closing line counts everything and comes last. Two workers take a file each, in that order.
test: checks
	@echo "== pytest: unit, command line, validator, container"
	@$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-all: checks
	@echo "== pytest: everything"
	@$(BIN)/python -m pytest -q

checks: $(READY)
	@echo "== ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: .venv/bin/ruff format ." >&2; exit 1; }
	@echo "== mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "== import-linter"
	@$(BIN)/lint-imports --no-logo --no-cache

lock:
	@{ echo "# Exact versions of every dependency; written by 'make lock', used as: pip install -c requirements.lock"; \
	  $(BIN)/python -m pip --quiet freeze --exclude bids-brainalign \
	  | sed 's/+[A-Za-z0-9.]*$$//' | LC_ALL=C sort -f; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

descriptor: $(READY)
	@$(BIN)/brainalign descriptor > descriptors/bids-brainalign.json.new
	@mv descriptors/bids-brainalign.json.new descriptors/bids-brainalign.json

clean:
	@rm -rf .venv build dist bids_brainalign.egg-info demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
