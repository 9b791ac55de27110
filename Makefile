# The only interface to this repository. `make` alone says what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 3
ARGS ?=

# A lock holds every package of its set with its hashes, so there is nothing left to resolve.
install = $(PIP) install --no-deps --require-hashes --requirement $(1)

.PHONY: help serve test check quick chaos bench docs matrix reference lock clean \
	format-check lint types contracts coverage clients servers FORCE

help: ## Say what there is.
	@echo 'Antiphon: a self-hosted server for the Responses API. Needs Python 3.11 or newer, make and a C compiler.'
	@echo
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'Start here:  make serve                      then point an OpenAI client at http://127.0.0.1:8080/v1'
	@echo '             make serve ARGS="--port 9000"   arguments go to "antiphon serve"'
	@echo '             make check quick                before a commit (about a minute)'
	@echo '             make test                       before a pull request: all that CI runs'

serve: $(DONE)/package ## Set up, fetch the embedded model once, and serve.
	@$(BIN)/antiphon models fetch
	@exec $(BIN)/antiphon serve $(ARGS)

test: check coverage docs ## All that CI runs: check, every test with coverage, the documentation.

check: format-check lint types contracts ## Format, lint, types and import contracts.

quick: $(DONE)/package $(DONE)/test servers ## Unit tests and laws, in about half a minute.
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m 'not slow and not whole and not model and not clients' \
		--ignore=tests/acceptance --ignore=tests/conformance --ignore=tests/test_examples.py $(ARGS)

chaos: $(DONE)/package $(DONE)/test servers ## Kill servers, workers and the database while a hundred clients read.
	$(BIN)/pytest -q -n 0 --log-cli-level=INFO tests/chaos/test_chaos.py $(ARGS)

bench: $(DONE)/package $(DONE)/test ## Measure: what an event, a request and a stream cost.
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DONE)/package $(DONE)/docs ## Build the documentation into site/; a warning is an error.
	$(BIN)/zensical build --strict --clean

matrix: $(DONE)/package $(DONE)/test clients ## Run every client, and write docs/clients.md from what each can do.
	$(BIN)/python -m tests.clients
	$(BIN)/python -m scripts.clients

reference: $(DONE)/package $(DONE)/test ## Write the reference pages in docs/ from the code, after a change of what they tell.
	$(BIN)/python -m scripts.reference

lock: $(DONE)/lock $(DONE)/test ## Refresh the locks in requirements/ (the only target that looks for newer versions).
	scripts/lock $(BIN)/uv

clean: ## Remove what was made here: environment, caches, reports.
	rm -rf $(VENV) site dist build .coverage .coverage.* .cache .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# --- parts of check and test --------------------------------------------------------------------------------------

format-check: $(DONE)/check
	$(BIN)/ruff format --check --quiet

lint: $(DONE)/check
	$(BIN)/ruff check --quiet

types: $(DONE)/package $(DONE)/test $(DONE)/check
	$(BIN)/mypy --no-error-summary
	$(BIN)/basedpyright --warnings

contracts: $(DONE)/package $(DONE)/check
	$(BIN)/lint-imports --no-cache --no-logo

# Floors of branch coverage, in per cent: the pure heart, and the rest.
CORE_FLOOR ?= 100
FLOOR ?= 95
CORE := */antiphon/core/*,*/antiphon/protocol/*

coverage: $(DONE)/package $(DONE)/test clients servers
	rm -f .coverage .coverage.*
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --include='$(CORE)' --fail-under=$(CORE_FLOOR)
	$(BIN)/coverage report --omit='$(CORE)' --fail-under=$(FLOOR)

# --- the environment: each step leaves a stamp, so that a second run costs nothing --------------------------------

# Runs each time and touches its target only when it made the environment anew, which makes all other stamps old.
$(DONE)/environment: FORCE
	@scripts/environment $(VENV) $@

FORCE:

$(DONE)/runtime: requirements/runtime.txt $(DONE)/environment
	@echo 'Installing what Antiphon needs to run (once).'
	@$(call install,$<)
	@touch $@

$(DONE)/package: pyproject.toml $(DONE)/runtime
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DONE)/test: requirements/test.txt $(DONE)/runtime
	@echo 'Installing what the tests need (once).'
	@$(call install,$<)
	@touch $@

$(DONE)/check $(DONE)/docs $(DONE)/lock: $(DONE)/%: requirements/%.txt $(DONE)/environment
	@echo 'Installing what "$*" needs (once).'
	@$(call install,$<)
	@touch $@

# Servers and a browser that tests start and no package of Python brings.
servers: $(DONE)/servers

$(DONE)/servers: scripts/servers $(DONE)/environment
	@scripts/servers build/servers
	@touch $@

# Clients that others wrote, each in a place of its own: what they need does not fit into one environment.
CLIENTS := build/clients
NODE_LOCK := tests/conformance/node/package-lock.json

clients: $(CLIENTS)/openai-1/.done $(CLIENTS)/openai-2/.done $(CLIENTS)/frameworks/.done $(CLIENTS)/node/.done

$(CLIENTS)/node/.done: $(NODE_LOCK) $(DONE)/test
	@echo 'Installing the clients in Node (once).'
	@rm -rf $(@D) && mkdir -p $(@D)
	@cp $(NODE_LOCK) $(dir $(NODE_LOCK))package.json $(@D)
	@$(BIN)/npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

$(CLIENTS)/%/.done: requirements/clients/%.txt $(DONE)/environment
	@echo 'Installing the client "$*" (once).'
	@rm -rf $(@D)
	@$(BIN)/python -m venv --without-pip $(@D)
	@$(PIP) --python $(@D)/bin/python install --no-compile --no-deps --require-hashes --requirement $<
	@touch $@
