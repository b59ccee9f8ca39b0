# Two commands on a fresh machine with Python 3.11: make demo, make test.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo lint test test-all notebooks bench clean

help:
	@echo "make demo      train three nets on digits under the monitor, compare what their layers received (2 minutes)"
	@echo "make test      ruff, mypy, the fast tests, the first tutorial (under 10 minutes)"
	@echo "make test-all  the same with the slow tests (up to 40 minutes)"
	@echo "make notebooks renders the tutorials that have changed, with their pictures, into tutorials/notebooks"
	@echo "make bench     what watching costs: steps, budget, start, memory, growth (about an hour; keep the machine quiet)"
	@echo "make install   only set up: $(VENV) with the exact versions of $(CONSTRAINTS)"
	@echo "make clean     remove $(VENV), caches and build leavings; logs/ stays"
	@echo
	@echo "Everything sets up what it needs. Settings, with their values now:"
	@echo "  PYTHON=$(PYTHON)  VENV=$(VENV)  CONSTRAINTS=$(CONSTRAINTS)"
	@echo "  TESTS=\"$(TESTS)\"  what pytest is to run, such as TESTS=tests/test_house.py; all tests if empty"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) setuptools -e '.[zoo,plot,test]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/python -m zoo demo

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup -m "not slow" $(TESTS)

test-all: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup $(TESTS)

notebooks: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[docs]'
	$(BIN)/python tutorials/render.py

bench: $(INSTALLED)
	for claim in sampled_steps_cost_little auto_keeps_its_budget starting_stays_cheap cost_grows_linearly; do \
		$(BIN)/python benchmarks/$$claim.py || exit; \
	done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find kerasgrad zoo tests tutorials benchmarks -name __pycache__ -prune -exec rm -rf {} +
