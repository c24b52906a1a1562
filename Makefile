# `make help` lists the targets. Everything runs in .venv, which is created on first use.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# A file's tests stay in one process: they share what its fixtures make.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

CONFIG ?= $(if $(DATA),,default)
OPTIONS = $(if $(DATA),--data '$(DATA)') $(if $(MODEL),--model '$(MODEL)') $(if $(METHODS),--methods '$(METHODS)') $(if $(TASKS),--tasks '$(TASKS)') \
          $(foreach pair,$(CONTRAST),--contrast '$(pair)') $(if $(SEEDS),--seeds $(SEEDS)) $(if $(JOBS),--jobs $(JOBS)) \
          $(if $(DEVICE),--device $(DEVICE)) $(if $(EXECUTOR),--executor $(EXECUTOR)) \
          $(if $(ADDRESS),--address '$(ADDRESS)') $(if $(OUT),--out '$(OUT)') $(if $(KEEP),--keep '$(KEEP)') \
          $(if $(LOG_TO),--log-to '$(LOG_TO)')

.DEFAULT_GOAL := help
.PHONY: help install bench quick calibrate claims test test-all lint docs clean

help:  ## list the targets and their options
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'Options of bench and quick:'
	@echo '  METHODS=ppo,dpo   only these methods; all: every one'
	@echo '  TASKS=polite      only these tasks'
	@echo '  CONTRAST=mine,dpo a comparison that can get a verdict; several: CONTRAST="a,dpo b,dpo"'
	@echo '  SEEDS=3           how many seeds'
	@echo '  DATA=prefs.jsonl  your own preferences: a file, a folder or a hub id'
	@echo '  MODEL=tiny        their model: an embedded size, a folder or a hub id'
	@echo '  JOBS=2            processes side by side'
	@echo '  DEVICE=auto       auto, cpu or cuda'
	@echo '  EXECUTOR=local    where jobs run: local, ray or slurm'
	@echo '  ADDRESS=auto      the Ray cluster; by default one of this machine alone'
	@echo '  OUT=folder        the results folder'
	@echo '  KEEP=selected     the trained policies that stay on disk: all, selected or none'
	@echo '  LOG_TO=wandb      training curves are sent to tensorboard, wandb or trackio'
	@echo '  CONFIG=my.yaml    the experiment, of bench only: a file or a built-in name'

install: $(INSTALLED)  ## create .venv and install the pinned dependencies

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt torch setuptools
	$(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable '.[dev]'
	touch $@

bench: $(INSTALLED)  ## run the full comparison; its report is in results/default
	$(BIN)/prefrontier bench '$(CONFIG)' $(OPTIONS)

quick: $(INSTALLED)  ## run a small comparison, 2 minutes; its report is in results/quick
	$(BIN)/prefrontier bench quick $(OPTIONS)

calibrate: $(INSTALLED)  ## measure how often verdicts are right; in results/calibration
	$(BIN)/prefrontier calibrate $(if $(JOBS),--jobs $(JOBS)) $(if $(OUT),--out '$(OUT)')

claims: $(INSTALLED)  ## test published claims, some hours; their page is in results/claims
	$(BIN)/prefrontier claims --until-decided $(if $(JOBS),--jobs $(JOBS)) $(if $(OUT),--out '$(OUT)')

test: $(INSTALLED)  ## run the fast tests
	$(BIN)/pytest $(PARALLEL) -m 'not slow'

test-all: $(INSTALLED)  ## run all tests
	$(BIN)/pytest $(PARALLEL)

docs: $(INSTALLED)  ## write docs/columns.md from the schema of the results
	$(BIN)/prefrontier columns > docs/columns.md

lint: $(INSTALLED)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the cache of models and runs
	rm -rf .cache
