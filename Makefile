# Two commands matter: `make demo` and `make test`. Everything runs in .venv and needs no server and no root.
PYTHON ?= python3
# Python's cache of compiled modules halves the start of every process, even where the shell turns it off.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin
# Tests wait for processes half of the time, so two cores bear three workers; each takes whole files, in the order collected.
WORKERS ?= 3
SHARED_OUT := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup demo test quick faults lint types audit docs format bench dev clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/run.stamp: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (first time: under a minute)"
	@$(PIP) install --no-compile --editable '.[pipeline]' --constraint constraints.txt
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	@echo "Setting up the development tools"
	@$(PIP) install --no-compile --editable '.[dev]' --constraint constraints.txt
	@touch $@

.venv/warm.stamp: .venv/dev.stamp
	@echo "Compiling modules and kernels, once for every worker of the tests"
	@$(BIN)/python -m pytest -q --collect-only > /dev/null 2>&1 & \
	  $(BIN)/python -m pytest -q regime_pipeline_tests/services/chain/test_stages.py > /dev/null 2>&1; wait
	@touch $@

setup: .venv/run.stamp ## make .venv with what running needs

demo: .venv/run.stamp ## simulate markets, run the whole chain through Dagster, name the page to open
	@$(BIN)/regime demo

dev: .venv/run.stamp ## embedded database, Dagster UI and dashboard; Ctrl-C leaves nothing behind
	@$(BIN)/regime up

test: .venv/warm.stamp lint types ## every test; coverage is that of the quick ones (see conftest.py)
	@$(BIN)/python -m pytest $(SHARED_OUT) --cov --cov-report=term:skip-covered --cov-fail-under=90
	@$(BIN)/coverage report --include='regime_pipeline/domain/*,regime_pipeline/policy/*' --fail-under=100 --format=total > /dev/null \
	  || { echo "domain/ and policy/ must be covered to 100 %, branch by branch:"; \
	       $(BIN)/coverage report --include='regime_pipeline/domain/*,regime_pipeline/policy/*' --skip-covered --show-missing; exit 1; }

quick: .venv/dev.stamp ## the tests without the slow ones
	@$(BIN)/python -m pytest $(SHARED_OUT) -m 'not slow and not faults'

faults: .venv/dev.stamp ## kill processes and servers, cut connections, fill disks, install the wheel: nothing half done, nothing lost
	@REGIME_TEST_SOAK=10 $(BIN)/python -m pytest -m 'faults or soak' $(FAULTS)

lint: .venv/dev.stamp ## format, lint, import rules
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/lint-imports --no-logo

types: .venv/dev.stamp ## mypy strict
	@$(BIN)/mypy

.venv/audit.stamp: .venv/dev.stamp
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip --disable-pip-version-check --quiet install --upgrade 'pip>=25' 'pip-audit>=2.10,<3'
	@touch $@

audit: .venv/audit.stamp ## withdrawn releases and known vulnerabilities among the pins; needs a network
	@$(BIN)/python -m pip check
	@.venv/audit/bin/python -m regime_pipeline_tests.architecture.audit $(AUDIT)

.venv/docs.stamp: website/requirements.txt constraints.txt
	@$(PYTHON) -m venv .venv/docs
	@.venv/docs/bin/python -m pip --disable-pip-version-check --quiet install --requirement website/requirements.txt \
	  --constraint constraints.txt
	@touch $@

docs: .venv/docs.stamp ## the documentation as a site, in .site/, with every link checked
	@NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs --quiet build --strict --clean --config-file website/mkdocs.yml
	@echo "Open .site/index.html"

format: .venv/dev.stamp ## mend what the formatter and linter can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: .venv/dev.stamp ## measure, and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks

clean: ## remove .venv, caches and the project home .regime
	@$(BIN)/regime db stop --force >/dev/null 2>&1 || true
	@rm -rf .venv .regime .pytest_cache .mypy_cache .ruff_cache .hypothesis
