# make: the default workflow. make help: all targets; they are the words before ## in this file.
# Each makes what it needs first.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 1)
ARGS ?=
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --python $(BIN)/python --require-hashes
# By file: tests of a file share what they make. Files in the order of `testpaths`.
PYTEST := $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder
# Kills at moments of a run, and the one Slurm of the machine: nothing beside them.
ALONE := tests/long/test_crash.py tests/long/test_slurm.py
COMPILE := $(UV) pip compile --universal --generate-hashes --no-header --no-annotate --quiet \
	--python-version 3.11

# Without bytecode every job compiles what it imports anew: 7 s instead of 2.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run try environment resume help test test-long slurm lint format bench docs site requirements clean

run: .venv/run.stamp  ## environment, then the default workflow: 6400 pixels, results/report.html
	$(BIN)/snakemake --cores $(CORES) $(ARGS)

try: .venv/run.stamp  ## environment, then 64 pixels in half a minute: results/try/report.html
	$(BIN)/snakemake --cores $(CORES) --configfile config/try.yaml $(ARGS) -- results/try/report.html

# See docs/resume.md.
resume: .venv/run.stamp  ## goes on after a crash with make run
	$(BIN)/snakemake --unlock
	$(BIN)/snakemake --cores $(CORES) $(ARGS)

environment: .venv/run.stamp  ## the environment alone
	@echo "Ready: source .venv/bin/activate"

help:  ## these lines
	@echo "make TARGET [CORES=n] [ARGS=\"options of snakemake\"]; make alone is make run"
	@sed -n 's/^\([a-z-]*\):.*## */\1 /p' $(MAKEFILE_LIST) | while read -r target words; do \
	  printf '  %-13s %s\n' "$$target" "$$words"; done

test: .venv/test.stamp  ## all tests but the long ones
	$(PYTEST)

test-long: .venv/test.stamp .venv-slurm/stamp .venv-source/stamp .venv-docs/stamp  ## the long tests: crashes, clusters, conda, closures
	$(PYTEST) tests/long $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)
	.venv-source/bin/python -m pytest tests/unit/charge/runs/test_sstcam_source.py

slurm: .venv-slurm/stamp  ## environment for a cluster
	@echo "Slurm: source .venv-slurm/bin/activate, then snakemake --profile profiles/slurm"

lint: .venv/test.stamp  ## ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/codespell

format: .venv/test.stamp  ## the form of the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt workflow

bench: .venv/test.stamp .venv-spefit/spefit.stamp  ## tables of speed
	$(BIN)/python benchmarks/run.py

docs: .venv/run.stamp  ## config/README.md and docs/rules.md from their sources
	PYTHONPATH=workflow/scripts $(BIN)/python docs/tools/config_reference.py
	PYTHONPATH=workflow/scripts $(BIN)/python docs/tools/rule_reference.py

site: .venv-docs/stamp  ## the documentation as a site, its notebook executed: site/html/index.html
	.venv-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs . site/html
	@echo "The site: site/html/index.html"

# The versions in envs/ follow by hand, and a test compares them.
requirements: .venv/uv.stamp  ## raises the pinned versions
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/run.in -o requirements/run.txt
	$(COMPILE) --upgrade requirements/test.in -c requirements/run.txt -o requirements/test.txt
	$(COMPILE) --upgrade requirements/slurm.in -c requirements/run.txt -o requirements/slurm.txt
	$(COMPILE) --upgrade requirements/docs.in -c requirements/run.txt -o requirements/docs.txt
	$(COMPILE) --upgrade requirements/spefit.in -o requirements/spefit.txt
	$(COMPILE) --upgrade requirements/source.in -o requirements/source.txt

clean:  ## removes products and caches; the environments stay
	rm -rf results site .snakemake .pytest_cache .ruff_cache

.venv/uv.stamp: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pixelcal needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	touch $@

.venv/run.stamp: .venv/uv.stamp requirements/run.txt
	$(INSTALL) -r requirements/run.txt
	touch $@

.venv/test.stamp: .venv/run.stamp requirements/test.txt
	$(INSTALL) -r requirements/test.txt
	touch $@

# An environment of its own: where Slurm's clients are installed and its controller is down, the
# executor costs every start of Snakemake 10 s.
.venv-slurm/stamp: .venv/uv.stamp requirements/slurm.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-slurm
	$(UV) pip install --python .venv-slurm/bin/python --require-hashes -r requirements/slurm.txt
	touch $@

# The reference of benchmarks/spe.py needs an older numpy than we do.
.venv-spefit/spefit.stamp: .venv/uv.stamp requirements/spefit.txt
	$(PYTHON) -m venv .venv-spefit
	$(UV) pip install --python .venv-spefit/bin/python --require-hashes -r requirements/spefit.txt
	touch $@

# ctapipe wants an older astropy than the rest.
.venv-source/stamp: .venv/uv.stamp requirements/source.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-source
	$(UV) pip install --python .venv-source/bin/python --require-hashes -r requirements/source.txt
	touch $@

# Sphinx, its theme and a notebook kernel, which nothing else needs.
.venv-docs/stamp: .venv/uv.stamp requirements/docs.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-docs
	$(UV) pip install --python .venv-docs/bin/python --require-hashes -r requirements/docs.txt
	touch $@
