# Each verb makes .venv and installs what it needs by itself. LOCKED=1 installs exactly what the lock files name.
PYTHON ?= python3
BIN := .venv/bin
LOCK := $(if $(LOCKED),-locked)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-fast coverage check format docs site lock sbom bench

demo: .venv/demo$(LOCK)  ## the main job on data that is already there
	$(BIN)/inceptorch demo

test: check site  ## everything that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-fast: .venv/installed$(LOCK)  ## the tests of about a minute: none that are slow or need a browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not browser"

coverage: .venv/installed$(LOCK)  ## the tests again, with the lines that they run; fails below the floor in pyproject.toml
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: .venv/installed$(LOCK)  ## lint, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: .venv/installed$(LOCK)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/installed$(LOCK)  ## write the reference from the code, and build the site into build/site
	$(BIN)/python docs/generate.py
	$(MAKE) site

site: .venv/installed$(LOCK)  ## the site alone; a link that leads nowhere is an error
	rm -rf build/pages && mkdir -p build/pages
	cp -R README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs build/pages
	$(BIN)/zensical build --strict

lock: .venv/installed$(LOCK)  ## pin the newest versions and their hashes, for every platform
	$(BIN)/uv pip compile $(COMPILE) --extra dev -o requirements-dev.lock
	$(BIN)/uv pip compile $(COMPILE) --extra demo -c requirements-dev.lock -o requirements.lock
COMPILE := pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

sbom: .venv/installed$(LOCK)  ## a bill of materials of .venv, as CycloneDX
	$(BIN)/uv tool run --from cyclonedx-bom cyclonedx-py environment .venv --pyproject pyproject.toml -o sbom.json

bench: .venv/installed$(LOCK)  ## measure again and rewrite the tables
	$(BIN)/python -m bench --all

# The demo needs a part of what the tests need, and each has its own stamp.
.venv/demo: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[demo]'
	touch $@

.venv/installed: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[dev]'
	touch $@ .venv/demo

.venv/demo-locked: requirements.lock | .venv/bin/python
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps -e .
	touch $@

.venv/installed-locked: requirements-dev.lock | .venv/bin/python
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps -e .
	touch $@ .venv/demo-locked

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("inceptorch needs Python 3.11 or later; name one with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
