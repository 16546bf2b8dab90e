# One page of commands. `make up` is all a newcomer needs.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
SEED ?= 1
CASES ?= 12

bin := $(VENV)/bin
installed := $(VENV)/.installed

.PHONY: help setup up test check lint conformance chaos chaos-cluster bench pin clean

help:  ## Show these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: $(installed)  ## Create .venv and install everything, once.

up: $(installed)  ## Start the whole mesh on this machine.
	@exec $(bin)/mesh up

test: $(installed)  ## Run all tests (JOBS=2 at a time), and what failed once more.
	$(bin)/python -m tools.suite -n $(JOBS) --dist worksteal $(TESTS)

check: lint  ## Lint, types, floors, catalogue, golden messages and documents.
	$(bin)/python -m pytest -q tests/unit/protocol tests/unit/test_documentation.py tests/integration/test_permissions.py

lint: $(installed)  ## What `check` does beside its tests.
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/python -m tools.generated --check

conformance: $(installed)  ## Real clients against a whole mesh (CLIENTS=openai CASES=100).
	$(bin)/python -m tests.conformance $(CLIENTS) --cases $(CASES) $(WRITE)

chaos: $(installed)  ## Ten thousand requests and a thousand faults, in twenty minutes (SEED=1).
	$(bin)/python -m tests.chaos --seed $(SEED) --requests 10200 --faults 1050 --seconds 1200 --long

chaos-cluster: $(installed)  ## A campaign around three brokers: 1,200 requests, five minutes.
	$(bin)/python -m tests.chaos --seed $(SEED) --requests 1200 --faults 100 --seconds 300 --cluster

bench: $(installed)  ## Start a mesh of its own and measure it.
	$(bin)/python -m benchmarks

pin: $(installed)  ## Renew constraints.txt with the newest versions.
	$(bin)/python -m tools.pin

clean:  ## Remove .venv, caches and what was built.
	rm -rf .venv .conformance build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(installed): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) here: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) tools/bootstrap.py $(VENV)
	@echo "Installing into $(VENV); the first time this takes a few minutes ..."
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
