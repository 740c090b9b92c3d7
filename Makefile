# Each target does all its set-up, in .venv, from nothing but Python 3.11 and make.

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed

PREFECT ?= 3.8.8
PREFECT_PINNED := $(firstword $(wildcard tests/prefect/$(PREFECT).txt) tests/prefect/other.txt)
PREFECT_PINS := $(if $(filter 3.8.8,$(PREFECT)),constraints.txt,$(PREFECT_PINNED))
PREFECT_VENV := .venv-prefect/$(PREFECT)

.PHONY: demo test install lint test-services test-load test-prefect bench format

demo: install ## the main job: a real local Prefect server, sample flows, and the service on it; checks itself
	$(BIN)/streamer demo --once

test: install ## all tests that need no system package, real Prefect servers included
	$(BIN)/pytest

test-services: install ## what needs a system package: installs it with apt, starts its own instances
	.ci/services
	$(BIN)/pytest -m services
	$(BIN)/pytest --on-postgres

test-load: install ## thousands of runs that beat, fifty of which die, on a fake and on a real server: minutes
	$(BIN)/pytest -m load

test-prefect: install $(PREFECT_VENV)/installed ## the main job on another Prefect, with a .venv of its own: PREFECT=3.4.25
	@echo "Prefect $(PREFECT) with the versions in $(PREFECT_PINS)"
	TEST_PREFECT_PYTHON=$(PREFECT_VENV)/bin/python $(BIN)/pytest tests/end_to_end/test_main_job.py tests/end_to_end/test_states.py

bench: install ## throughput, latency, cost, growth, measured here; with a store of 100,000 runs, or RUNS=1000000
	$(BIN)/python -m benchmarks $(RUNS)

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

$(PREFECT_VENV)/installed: $(PREFECT_PINS)
	$(PYTHON) -m venv $(@D)
	sed '/^prefect==/d' $< > $(@D)/constraints.txt # the version of Prefect itself is the one asked for
	PIP_CONSTRAINT=$(@D)/constraints.txt $(@D)/bin/pip install --quiet prefect==$(PREFECT)
	touch $@
