# `make train` and `make test` need only python3 (3.11 or newer) and make: the rest installs itself into .venv.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 3

.PHONY: train test test-slow test-extras check lowest docs figures clean

## train: learn to draw digits from the built-in MNIST, then say where the pictures are
train: .venv/.train
	$(BIN)/dcgan train $(if $(STEPS),--steps $(STEPS))

# A file's tests stay together, since some share what they have opened; more threads than cores only get in each other's way.
# One process more than the two cores of a small machine: browsers, servers and new processes are often waited for.
## test: the tests, in three processes (`make test WORKERS=8` on a larger machine)
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile

## test-slow: the tests that take minutes
test-slow: .venv/.dev
	$(BIN)/python -m pytest -m slow --timeout 3600

# Some of these packages bring hundreds of others, so they have an environment of their own, outside of CI.
## test-extras: the tests that need W&B, MLflow, TensorBoard, Trackio, ffmpeg or datasets, in a .venv-extras of their own
test-extras: .venv-extras/.made
	OMP_NUM_THREADS=1 DCGAN_EXTRAS=1 .venv-extras/bin/python -m pytest -m "not slow" $$(grep -rl "tests.extras import" tests)

.venv-extras/.made: pyproject.toml
	$(PYTHON) -m venv .venv-extras
	.venv-extras/bin/pip install --quiet --disable-pip-version-check -e '.[dev,extras]'
	@touch $@

## check: format, lint, types, and the layers of the packages
check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## docs: the site in two languages, as plain files in site/
docs: .venv/.docs
	$(BIN)/python -m docs.build_site

## figures: draw the figures of the learning pages anew (a minute or two)
figures: .venv/.train
	$(BIN)/python -m docs.figures

## lowest: the tests with the lowest versions that pyproject.toml allows, in a .venv-lowest of their own
lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -m "not slow" -W default --numprocesses $(WORKERS) --dist loadfile

clean:
	rm -rf .venv .venv-lowest .venv-extras build dist site src/*.egg-info

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.train: .venv/.made pyproject.toml
	@echo "Installing into .venv (PyTorch is large: this takes a few minutes, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.dev: .venv/.made pyproject.toml
	@echo "Installing into .venv (PyTorch is large: this takes a few minutes, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/.train

.venv/.docs: .venv/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@ .venv/.train
