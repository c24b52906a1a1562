# `make help` lists the targets. Everything runs in .venv, which is made on first use.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

CONFIG ?= $(if $(DATA),,default)
OPTIONS = $(if $(DATA),--data '$(DATA)') $(if $(MODEL),--model '$(MODEL)') $(if $(METHODS),--methods '$(METHODS)') $(if $(TASKS),--tasks '$(TASKS)') \
          $(if $(SEEDS),--seeds $(SEEDS)) $(if $(JOBS),--jobs $(JOBS)) \
          $(if $(DEVICE),--device $(DEVICE)) $(if $(OUT),--out '$(OUT)')

.DEFAULT_GOAL := help
.PHONY: help install bench quick calibrate test lint clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done
	@echo '  options of bench and quick (CONFIG for bench only): CONFIG=path METHODS=ppo,dpo TASKS=polite DATA=prefs.jsonl MODEL=tiny SEEDS=3 JOBS=2 DEVICE=auto OUT=folder'

install: $(INSTALLED)  ## make .venv and install the pinned dependencies

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt torch setuptools
	$(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable '.[dev]'
	touch $@

bench: $(INSTALLED)  ## run the comparison and write its report to results/default
	$(BIN)/prefrontier bench '$(CONFIG)' $(OPTIONS)

quick: $(INSTALLED)  ## the same comparison, small
	$(BIN)/prefrontier bench quick $(OPTIONS)

calibrate: $(INSTALLED)  ## measure how often the verdicts are right; results/calibration
	$(BIN)/prefrontier calibrate $(if $(JOBS),--jobs $(JOBS)) $(if $(OUT),--out '$(OUT)')

test: $(INSTALLED)  ## run the tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the cache of models and runs
	rm -rf .cache
