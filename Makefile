# Each target does all its set-up, in .venv, from nothing but Python 3.11 and make.

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test install lint test-services bench format

demo: install ## the main job: a real local Prefect server, sample flows, and the service on it; checks itself
	$(BIN)/streamer demo --once

test: install ## all tests that need no system package, real Prefect servers included
	$(BIN)/pytest

test-services: install ## what needs a system package: installs it with apt, starts its own instances
	.ci/services
	$(BIN)/pytest -m services

bench: install ## latency and throughput, measured here
	$(BIN)/python -m benchmarks

lint: install ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --editable '.[demo,dev]' # build tools are pinned too
	touch $@
