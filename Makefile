# make lab opens the course, make test checks all of it; both set up .venv first. `make help` lists the rest.
SHELL := /bin/bash
# two BLAS threads on two busy cores can be five times slower than one
export OPENBLAS_NUM_THREADS := 1
BIN := .venv/bin
BENCH := $(if $(wildcard .venv-bench/ready),.venv-bench/bin,$(BIN))
CHAPTERS := $(wildcard notebooks/[0-9]*.ipynb)
ASSIGNMENTS := $(wildcard notebooks/assignments/*/*.ipynb)
LINT = $(BIN)/ruff check . && $(BIN)/ruff format --check .
# chapters first, they are the longest; each file by one worker, as one kernel runs all cells of a notebook
TESTS = $(BIN)/python -m pytest $(CHAPTERS) $(ASSIGNMENTS) tests rnnlib --doctest-modules -n 2 --dist loadfile --no-loadscope-reorder
SETS ?=
NEEDS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ROOT_ARGS := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

.PHONY: help lab test check course-seed release grade feedback grades bench peers notebooks experiments site clean
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

lab: build/release/ready  ## open the course in JupyterLab (LAB_ARGS="--no-browser --port 9000" is passed on)
	$(BIN)/jupyter-lab $(ROOT_ARGS) $(LAB_ARGS) notebooks/00_start_here.ipynb

test: .venv/ready  ## every check: lint, unit tests, every chapter, the browser
	$(LINT)
	$(TESTS)

check: .venv/ready  ## every check but the browser's
	$(LINT)
	$(TESTS) -m "not browser"

course-seed: .venv/ready  ## make the secret that the inputs of graded work are drawn from (outside this folder, once)
	$(BIN)/python -m rnnlib.coursework.grading seed

release: .venv/ready  ## build the students' problem sets in build/release (SETS="ps2_backward" for some)
	$(BIN)/python -m rnnlib.coursework.grading release $(SETS)

grade: .venv/ready  ## grade course/submitted/STUDENT/SET/SET.ipynb (GRADE_ARGS="--dask tcp://host:8786" is passed on)
	$(BIN)/python -m rnnlib.coursework.grading grade $(SETS) $(GRADE_ARGS)

feedback: .venv/ready  ## write a page of feedback for each graded submission
	$(BIN)/python -m rnnlib.coursework.grading feedback $(SETS)

grades: .venv/ready  ## export the gradebook to course/grades.csv
	$(BIN)/python -m rnnlib.coursework.grading grades

bench: .venv/ready  ## measure speed and memory on this machine, beside the peers that are installed
	$(BENCH)/python -m tests.benchmarks

peers: .venv-bench/ready  ## install torch, flax and PyTensor beside the course, for `make bench` alone (gigabytes)

notebooks: .venv/ready  ## run every chapter and problem set (or NOTEBOOKS="notebooks/03_backward.ipynb") and store the outputs
	$(BIN)/python .ci/execute.py $(or $(NOTEBOOKS),$(CHAPTERS) $(ASSIGNMENTS))

experiments: .venv/ready  ## run the long comparisons whose results the chapters show (hours in all; what is stored is not run again)
	for script in notebooks/experiments/*.py; do $(BIN)/python $$script || exit; done

site: .venv/ready  ## export the chapters to build/site, explorables alive without a kernel
	$(BIN)/python .ci/site.py $(CHAPTERS)

clean:           ## remove what the other targets made
	rm -rf .venv .venv-bench build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment: environment.yml's pip section in a virtual environment, installed again only when its files change.
.venv/ready: environment.yml pyproject.toml
	@for p in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if $$p -c '$(NEEDS)' 2>/dev/null; then exec $$p -m venv .venv; fi; done; \
	echo "This course needs Python 3.11 or newer with its venv module; python3 here is $$(python3 --version 2>&1 | tail -1). Install one, or name it: make lab PYTHON=/path/to/python3.12" >&2; exit 1
	@echo "Setting up .venv: about a minute, once."
	@sed -n '/- pip:/,$$ s/^ *- \(.*==.*\)/\1/p' environment.yml > .venv/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r .venv/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The problem sets as learners get them, in notebooks/problem_sets; what they wrote there stays.
build/release/ready: .venv/ready $(ASSIGNMENTS)
	@$(BIN)/python -m rnnlib.coursework.grading release
	@touch $@

.venv-bench/ready: .venv/ready
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r .venv/requirements.txt
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -e ".[bench]"
	@touch $@
