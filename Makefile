# Five verbs. Each makes .venv and installs into it by itself.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format bench

demo: .venv/installed  ## the main job on data that is already there
	$(BIN)/inceptorch demo

test: check  ## everything that CI runs
	$(BIN)/python -m pytest

check: .venv/installed  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## measure again, one script after the other, and rewrite the tables
	for script in startup construct lines index input near_duplicates steps overhead estimate killed lrn photos protocols leaked demo head finetune scratch_rate cifar10 recipes studies scaling agreement engines first_answer folder serve install tables; do $(BIN)/python -m bench.$$script || exit 1; done

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("inceptorch needs Python 3.11 or later; name one with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
