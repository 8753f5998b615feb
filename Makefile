# make lab opens the course, make test checks all of it; both set up .venv first. `make help` lists the rest.
SHELL := /bin/bash
BIN := .venv/bin
BENCH := $(if $(wildcard .venv-bench/ready),.venv-bench/bin,$(BIN))
CHAPTERS := $(wildcard notebooks/[0-9]*.ipynb)
ASSIGNMENTS := $(wildcard notebooks/assignments/*/*.ipynb)
# chapters first, they are the longest; each file by one worker, as one kernel runs all cells of a notebook
TESTS = $(BIN)/python -m pytest $(CHAPTERS) $(ASSIGNMENTS) tests rnnlib --doctest-modules -n 2 --dist loadfile --no-loadscope-reorder --durations=20
SETS ?=
JAX ?=
NEEDS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHONS = $(PYTHON) python3 python3.13 python3.12 python3.11 python
FOUND = $(shell for p in $(PYTHONS); do $$p -c '$(NEEDS)' 2>/dev/null && echo $$p && break; done)
PIP = -m pip install --quiet --no-compile --disable-pip-version-check
# Each worker and kernel would compile everything anew
unexport PYTHONDONTWRITEBYTECODE
ROOT_ARGS := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

.PHONY: help lab test check say parts checks left-out course-seed release collect grade feedback return grades bench jax-bound peers adapters results notebooks experiments distributed site clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:            ## this list
	@echo "You need Python 3.11 or newer with its venv module, make, and the network the first time."
	@echo "make test also wants Chromium and bubblewrap. It installs them where that needs no password, and leaves out, in words, what it can't."
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

lab: .venv/ready build/problem_sets  ## open the course in JupyterLab (LAB_ARGS="--no-browser --port 9000" is passed on)
	@echo "Opening the course in JupyterLab. Stop it with Ctrl-C, twice."
	$(BIN)/jupyter-lab --config=jupyter_server_config.py $(ROOT_ARGS) $(LAB_ARGS) notebooks/00_start_here.ipynb

test: PARTS := browser sandbox
test: say .venv/ready-test parts checks left-out  ## every check: lint, unit tests, every chapter, the browser

check: PARTS := sandbox
check: ONLY := -m "not browser"
check: say .venv/ready-test parts checks left-out  ## every check but the browser's

# What the two are made of. First and last they say what this machine lacks, and which tests are left out for it.
say:
	@$(if $(FOUND),$(FOUND) -m tests.parts say $(PARTS))

parts: .venv/ready-test
	@$(BIN)/python -m tests.parts install $(PARTS)

checks: .venv/ready-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(TESTS) $(ONLY) || { code=$$?; $(BIN)/python -m tests.parts left_out; exit $$code; }

left-out:
	@$(BIN)/python -m tests.parts left_out

course-seed: .venv/ready-teach  ## make the secret that the inputs of graded work are drawn from (outside this folder, once)
	$(BIN)/python -m rnnlib.coursework.grading seed

release: .venv/ready-teach  ## build the students' problem sets in build/release (SETS="ps2_backward" for some)
	$(BIN)/python -m rnnlib.coursework.grading release $(SETS)

collect: .venv/ready-teach  ## sort a platform's download in course/downloaded/SET by participant number
	$(BIN)/python -m rnnlib.coursework.grading collect $(SETS)

grade: .venv/ready-teach  ## grade course/submitted/STUDENT/SET/SET.ipynb (GRADE_ARGS="--dask tcp://host:8786" is passed on)
	$(BIN)/python -m rnnlib.coursework.grading grade $(SETS) $(GRADE_ARGS)

feedback: .venv/ready-teach  ## write a page of feedback for each graded submission
	$(BIN)/python -m rnnlib.coursework.grading feedback $(SETS)

return: .venv/ready-teach  ## put feedback into an archive that the platform takes back, course/return/SET.zip
	$(BIN)/python -m rnnlib.coursework.grading return $(SETS)

grades: .venv/ready-teach  ## export the gradebook to course/grades.csv
	$(BIN)/python -m rnnlib.coursework.grading grades

bench: .venv/ready  ## measure gradients, speed and memory on this machine, beside the peers that are installed (about 15 minutes)
	$(BENCH)/python -m tests.benchmarks

jax-bound: .venv/ready  ## time a scan under the newest jax (or JAX="==0.12.0"): can the bound in pyproject.toml go?
	$(BIN)/python -m venv build/jax-bound
	build/jax-bound/bin/pip install --quiet --disable-pip-version-check --upgrade "jax$(JAX)"
	build/jax-bound/bin/python tests/benchmarks/jax_bound.py

peers: .venv-bench/ready  ## install torch, flax, Keras and PyTensor beside the course, for `make bench` and `make adapters` (gigabytes)

adapters: .venv-bench/ready  ## hold nets of torch, flax and Keras, brought over by clinic.adapters, against the course's own
	.venv-bench/bin/python -m pytest tests/clinic/test_adapters.py tests/clinic/test_adapters_modules.py

results: .venv/ready  ## write RESULTS.md from what is stored (KEEP="tests bench" first stores what these measured last)
	$(BIN)/python -m tests.results $(KEEP)

notebooks: .venv/ready  ## run every chapter and problem set (or NOTEBOOKS="notebooks/03_backward.ipynb") and store the outputs
	$(BIN)/python .ci/execute.py $(or $(NOTEBOOKS),$(CHAPTERS) $(ASSIGNMENTS))

experiments: .venv/ready  ## run the long comparisons whose results the chapters show (hours in all; what is stored is not run again)
	for script in notebooks/experiments/*.py; do $(BIN)/python $$script || exit; done

distributed: .venv/ready  ## two processes train one net over gloo, one is killed, and both go on from a checkpoint (a minute)
	$(BIN)/python notebooks/experiments/distributed.py --again

site: .venv/ready  ## export the chapters to build/site, explorables alive without a kernel
	$(BIN)/python .ci/site.py $(CHAPTERS)

clean:           ## remove what the other targets made
	rm -rf .venv .venv-bench build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment, a set of pins a file. All are resolved together, so that a later set only adds to .venv. Installed again when a file changes.
.venv/ready: environment.yml pyproject.toml
	@$(if $(FOUND),$(FOUND) -m venv .venv,\
	  echo "This course needs Python 3.11 or newer with its venv module; python3 here is $$(python3 --version 2>&1 | tail -1). Install one, or name it: make lab PYTHON=/path/to/python3.12" >&2; exit 1)
	@echo "Setting up .venv for the chapters and problem sets: about a minute, once."
	@sed -n '/- pip:/,$$ s/^ *- \(.*==.*\)/\1/p' environment.yml > .venv/learn.txt
	@$(BIN)/python $(PIP) -r .venv/learn.txt -c .ci/teach.txt -c .ci/test.txt
	@$(BIN)/python $(PIP) --no-deps -e .
	@touch $@

.venv/ready-teach: .venv/ready .ci/teach.txt
	@echo "Adding to .venv what teaching needs."
	@$(BIN)/python $(PIP) -r .venv/learn.txt -r .ci/teach.txt -c .ci/test.txt
	@touch $@

.venv/ready-test: .venv/ready-teach .ci/test.txt
	@echo "Adding to .venv what testing needs."
	@$(BIN)/python $(PIP) -r .venv/learn.txt -r .ci/teach.txt -r .ci/test.txt
	@touch $@

.venv-bench/ready: .venv/ready .ci/bench.txt
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python $(PIP) -r .venv/learn.txt -r .ci/teach.txt -r .ci/test.txt -r .ci/bench.txt
	@.venv-bench/bin/python $(PIP) --no-deps -e .
	@touch $@

# The problem sets as learners get them, in notebooks/problem_sets; what they wrote there stays.
build/problem_sets: .venv/ready $(ASSIGNMENTS)
	@$(BIN)/python -m rnnlib.coursework.handout
	@mkdir -p build && touch $@
