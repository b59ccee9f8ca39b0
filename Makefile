# Two commands on a fresh machine with Python 3.11 or later: make demo, make test.

CONSTRAINTS ?= constraints.txt

# The first interpreter that runs, is not too old, and has wheels of TensorFlow; python3 where none is, for its message.
ifeq ($(origin PYTHON),undefined)
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON := $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUITS)' 2>/dev/null; then echo $$python; break; fi; done),python3)
VENV ?= .venv
else
# Named by hand: an environment of its own for each version, so that one made by another interpreter is never used instead.
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
endif

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo lint test test-all wheel notebooks reference bench clean

# What ruff and mypy look at: everything, or what has changed since the last commit where only some tests are asked for.
ifneq ($(strip $(TESTS)),)
CHANGED := $(wildcard $(shell git diff --name-only HEAD -- '*.py' 2>/dev/null; \
	git ls-files --others --exclude-standard -- '*.py' 2>/dev/null))
TYPED := $(filter kerasgrad/% zoo/%,$(CHANGED))
endif

help:
	@echo "make demo      train three nets on digits under the monitor, compare what their layers received (2 minutes)"
	@echo "make test      ruff, mypy, the fast tests, the first tutorial (under 10 minutes)"
	@echo "make test-all  the same with the slow tests (up to 40 minutes)"
	@echo "make wheel     builds the wheel, installs it into a clean environment with the newest versions and tries it there"
	@echo "make notebooks renders the tutorials that have changed, with their pictures, into tutorials/notebooks"
	@echo "make reference renews the pages of docs/ that come from the code: statistics and rules"
	@echo "make bench     what watching costs: steps, budget, start, memory, growth (about an hour; keep the machine quiet)"
	@echo "make install   only set up: $(VENV) with the exact versions of $(CONSTRAINTS)"
	@echo "make clean     remove $(VENV), caches and build leavings; logs/ stays"
	@echo
	@echo "Everything sets up what it needs. Settings, with their values now:"
	@echo "  PYTHON=$(PYTHON)  VENV=$(VENV)  CONSTRAINTS=$(CONSTRAINTS)"
	@echo "  TESTS=\"$(TESTS)\"  what pytest is to run, such as TESTS=tests/test_house.py, after ruff and mypy have seen"
	@echo "  what has changed since the last commit; all tests and all files if empty"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "kerasgrad needs Python 3.11 or later. PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1)." \
			"Name another: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) setuptools -e '.[zoo,plot,test]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/python -m zoo demo

lint: $(INSTALLED)
ifeq ($(strip $(TESTS)),)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
else
	$(if $(CHANGED),$(BIN)/ruff check $(CHANGED))
	$(if $(CHANGED),$(BIN)/ruff format --check $(CHANGED))
	$(if $(TYPED),$(BIN)/mypy $(TYPED))
endif

test: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup -m "not slow" $(TESTS)

test-all: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup $(TESTS)

wheel:
	PYTHON=$(PYTHON) tests/wheel.sh

notebooks: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[docs]'
	$(BIN)/python tutorials/render.py

reference: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python docs/reference.py

bench: $(INSTALLED)
	for claim in sampled_steps_cost_little auto_keeps_its_budget starting_stays_cheap cost_grows_linearly; do \
		$(BIN)/python benchmarks/$$claim.py || exit; \
	done

clean:
	rm -rf .venv .venv-* $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find kerasgrad zoo tests tutorials benchmarks -name __pycache__ -prune -exec rm -rf {} +
