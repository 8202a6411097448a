# The suite in a few words. `make reproduce` on a fresh clone does everything; `make help` lists the rest.
# CORES=4 limits the cores, CONFIG=configs/smoke.yaml lays another config over config.yaml, ARGS='--dry-run'
# hands anything else to Snakemake or pytest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CORES ?= all
CONFIG ?=
ARGS ?=
# A night's run does not stop at its first failure; `KEEP_GOING=` lets it.
KEEP_GOING ?= --keep-going
REPORT ?= results/report.html
# The shell takes these from its environment, whatever signs are in them (ARGS falls into words).
export CORES CONFIG REPORT

VENV := .venv
READY := $(VENV)/.installed
# Snakemake's jobs call `python`: it must be the environment's.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Nothing of the user's other installations may leak in.
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH
# A machine that is set not to keep compiled modules would compile ours anew in every job.
unexport PYTHONDONTWRITEBYTECODE

# Snakemake and other libraries keep a cache in the home. Where that cannot be written (containers, nodes of a
# cluster), theirs goes where our downloads go.
HAS_CACHE := $(shell cache="$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}"; \
  mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" && echo yes)
ifeq ($(HAS_CACHE),)
export XDG_CACHE_HOME := $(CURDIR)/.cache/home
endif

SNAKEMAKE = snakemake --cores "$$CORES" $(ARGS)
OVER = $(if $(CONFIG),--configfile "$$CONFIG")

# Said in one line before Snakemake reads the files, which it does with a reader that can be led astray. What the
# command line changes is checked by the workflow alone.
CHECK = $(if $(findstring --config,$(ARGS)),true,\
  python -m chameleon check --configfile config.yaml $(if $(CONFIG),"$$CONFIG") > /dev/null)

# A run that was killed (kill -9, power) leaves Snakemake's lock behind. It is removed only where no Snakemake is
# alive to own it; what was complete stays, what was half done starts over.
UNLOCK = if [ -n "$$(ls -A .snakemake/locks 2>/dev/null)" ] && command -v pgrep > /dev/null \
  && ! pgrep -x snakemake > /dev/null; then \
    echo "make: removing the lock of a run that was cut off"; snakemake --unlock $(OVER) > /dev/null 2>&1; fi

.PHONY: help reproduce smoke one-gpu test coverage test-exports test-conda test-slurm fuzz check chaos bench clean lock setup

help:
	@sed -n 's/^## //p' Makefile

## make setup      the environment: .venv with the exact versions of requirements.lock
setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@for python in python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	  python=; \
	done; \
	test -n "$$python" || { echo "make: needs Python 3.11 or newer (python3.11 or python3 on PATH)" >&2; exit 1; }; \
	$$python -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What the end of a run that failed names as the command that goes on.
reproduce: export CHAMELEON_COMMAND = make reproduce $(MAKEOVERRIDES)

## make reproduce  everything: fetch the text, train, evaluate; tables, figures and results/report.html
reproduce: $(READY)
	@$(CHECK)
	@$(UNLOCK)
	$(SNAKEMAKE) $(KEEP_GOING) $(OVER)
	snakemake --report "$$REPORT" $(OVER)

## make smoke      the whole workflow at toy size (configs/smoke.yaml): does it run on this machine?
smoke: $(READY)
	@$(UNLOCK)
	$(SNAKEMAKE) --configfile configs/smoke.yaml

## make one-gpu    configs/one_gpu.yaml, packed for a machine with a GPU that has torch, numpy and transformers alone
one-gpu: CONFIG := $(or $(CONFIG),configs/one_gpu.yaml)
one-gpu: $(READY)
	@$(CHECK)
	@$(UNLOCK)
	$(SNAKEMAKE) --until tokens $(OVER)
	python -m chameleon carry $(OVER)
	@echo "There, in a copy of this folder:  python3 -m chameleon play carried.tar.gz --jobs 6 --minutes 9"
	@echo "Here, with what it leaves:        .venv/bin/chameleon merge played.tar.gz $(OVER) && make reproduce CONFIG=$$CONFIG"

## make test       the tests
test: $(READY)
	python -m pytest -n logical --maxprocesses 8 $(ARGS)

## make coverage   the tests again, twice as long, and which lines of the packages they run (at least 85 %)
coverage: $(READY)
	python -m pytest --cov --cov-report=term -n logical --maxprocesses 8 $(ARGS)

## make fuzz       at least 2,000 malformed inputs for the readers of users' files, others each time (minutes)
fuzz: $(READY)
	CHAMELEON_FUZZ=full python -m pytest tests/fuzz $(ARGS)

## make test-exports  mixtures as trainers' own libraries read them (ten minutes; an environment for each)
test-exports: $(READY)
	python tests/exports/run.py $(ARGS)

## make test-conda    the smoke run in the environment of envs/suite.yaml, made by py-rattler (half an hour)
test-conda: $(READY)
	PYTHONPATH=tests/workflow python tests/conda/run.py

## make test-slurm  the workflow on a SLURM made here: jobs, a node, Snakemake are killed; the plan's seconds (root; minutes)
test-slurm: $(READY)
	PYTHONPATH=tests/workflow:tests/chaos python tests/slurm/through_slurm.py $(ARGS)
	PYTHONPATH=tests/workflow:tests/chaos python tests/slurm/foretold.py $(ARGS)

## make check      formatters, linters, types, the layers of the imports (ARGS is not used)
check: $(READY)
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo
	snakefmt --check Snakefile workflow
	snakemake --lint

## make chaos      kills, full and read-only disks, damaged files under a smoke-sized run (an hour or two)
chaos: $(READY)
	PYTHONPATH=tests/workflow python tests/chaos/chaos.py $(ARGS)

## make bench      the timing scripts in benchmarks/ (half an hour; quiet machine); rewrites docs/PERFORMANCE.md
bench: $(READY)
	python benchmarks/run_all.py $(ARGS)

## make lock       rewrite requirements.lock and envs/suite.yaml from requirements.in (needs the network)
lock:
	rm -rf .lock-venv
	python3.11 -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.in
	.lock-venv/bin/python -m pip freeze --all > .lock-venv/freeze.txt
	.lock-venv/bin/python envs/lock.py < .lock-venv/freeze.txt
	rm -rf .lock-venv

## make clean      empty results/; the downloads (.cache) and the environment (.venv) stay
clean:
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
