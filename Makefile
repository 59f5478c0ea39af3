# Every target works in a fresh clone: uv comes into .venv first, and the exact versions from uv.lock.
UV := .venv/bin/uv
RUN := $(UV) run --frozen
.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-all lint format types arch tidy check sim chaos bench docs ui release clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

$(UV):
	python3 -m venv .venv
	.venv/bin/pip install -q uv

setup: $(UV) ## the environment, with everything that tests need
	$(UV) sync --frozen --inexact

run: $(UV) ## the service on the folder .workflow-scheduler
	$(RUN) workflow-scheduler up

demo: $(UV) ## five sample workflows, and why each of them runs
	$(RUN) workflow-scheduler demo

test: $(UV) ## unit, conformance and tidy tests
	$(RUN) pytest tests/unit tests/conformance tests/tidy

test-all: $(UV) ## every test; fails on a skipped one
	$(RUN) pytest --fail-on-skip

format: $(UV) ## format the code
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

lint: $(UV) ## format and lint, checked only
	$(RUN) ruff format --check .
	$(RUN) ruff check .

types: $(UV) ## mypy, strict
	$(RUN) mypy

arch: $(UV) ## floors and contracts between the packages
	$(RUN) lint-imports

tidy: $(UV) ## sizes, banned calls, documentation
	$(RUN) pytest tests/tidy

check: lint types arch test ## everything that is quick; under two minutes on two cores

sim: $(UV) ## simulated faults and crashes, 10,000 sequences of schedule changes and of answers, ten times the examples of properties
	WFS_TIME_SEQUENCES=$(or $(WFS_TIME_SEQUENCES),10000) WFS_WAIT_SEQUENCES=$(or $(WFS_WAIT_SEQUENCES),10000) \
	  $(RUN) pytest --hypothesis-profile=long tests/unit tests/simulation

chaos: $(UV) ## a thousand kills at random points under load
	WFS_KILLS=1000 $(RUN) pytest tests/acceptance/test_kill9.py

bench: $(UV) ## the figures of docs/explanation/performance.md
	$(RUN) python -m bench

docs: $(UV) ## write the reference pages that are made from the code
	$(RUN) python docs/generate.py

ui: ## build the web app from web/ into the package (needs Node.js 20)
	cd web && npm ci --no-progress && npm run build

release: check test-all ## build the distributions in dist/
	$(RUN) python docs/generate.py --check
	$(UV) build

clean: ## remove what tools leave behind
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
