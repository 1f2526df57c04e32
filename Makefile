# The first call of any target builds .venv from requirements.lock
PYTHON ?= python3
BIN := .venv/bin
NEW_ENOUGH = import sys; print("yes" * (sys.version_info >= (3, 11)))
PYTHON_IS_NEW_ENOUGH = $(if $(shell $(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null),,$(error \
	Python 3.11 or later is needed, which $(PYTHON) is not: make PYTHON=<path to one> $(MAKECMDGOALS)))

.PHONY: report help check test test-latest torture coverage lint bench build docs audit sbom mutants lock clean

report: .venv/ready  ## train what is missing, draw and judge everything: report/index.html; ONLY=symmetry,saturation: some experiments
	$(BIN)/shallowexp-report --train $(ONLY)

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/make \1\t\2/p' Makefile | expand -t 18

test: .venv/ready lint  ## linters and tests
	$(BIN)/pytest -n auto --dist loadfile

test-latest:  ## all tests with the newest versions that resolve, in .venv-latest; PIP_PRE=1 takes release candidates too
	$(PYTHON_IS_NEW_ENOUGH)
	$(PYTHON) -m venv --clear .venv-latest
	.venv-latest/bin/pip install -q --disable-pip-version-check 'pip>=25.1'  # it knows dependency groups
	.venv-latest/bin/pip install -q -e . --group dev
	.venv-latest/bin/pip list | grep -iE '^(hydra-core|mlflow|numba|numpy|omegaconf|pandas|scipy) '
	.venv-latest/bin/pytest -n auto --dist loadfile

torture: .venv/ready  ## what docs/reliability.md says, tried by the thousand and written into its table; one and a half to two hours, as root for full disks
	TORTURE=1 $(BIN)/pytest -n auto tests/cli/test_bad_input.py tests/training/test_kernel.py
	$(BIN)/python -m tests.torture

check: .venv/ready lint  ## linters, types and the tests of pure modules, for every commit
	$(BIN)/pytest -n auto tests/network tests/training tests/config tests/claims tests/test_analysis.py tests/test_architecture.py

coverage: .venv/ready  ## lines and branches of the package that the tests run; those of the kernel without its compiler
	mkdir -p .cache && $(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -W ignore::RuntimeWarning tests/training/test_kernel.py -k "diagnostics or diverges or path or softmax"
	$(BIN)/coverage combine -q && $(BIN)/coverage report

lint: .venv/ready  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready  ## side by side with what a user would take instead
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[bench]' || echo "a peer is missing: its rows say so"
	$(BIN)/python -m benchmarks

build: .venv/ready  ## wheel and source archive in dist/, checked
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

docs: .venv/ready  ## the docs, the report and the API pages, in site/; a broken link fails
	test -f report/index.html || $(MAKE) report
	$(BIN)/python docs/pages.py build/docs
	$(BIN)/zensical build --clean --strict

audit: .cache/audit/ready  ## known vulnerabilities of what requirements.lock names; fails too where their database cannot be asked
	@.cache/audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock 2>.cache/audit/log; \
	status=$$?; tail -n 1 .cache/audit/log; exit $$status

sbom: .cache/audit/ready  ## what requirements.lock names, as CycloneDX: build/sbom.json
	mkdir -p build
	.cache/audit/bin/cyclonedx-py requirements --output-reproducible -o build/sbom.json requirements.lock

.cache/audit/ready:
	$(PYTHON) -m venv .cache/audit
	.cache/audit/bin/pip install -q --disable-pip-version-check 'pip-audit>=2.9' 'cyclonedx-bom>=7'
	touch $@

mutants: .venv/ready .cache/mutants/ready  ## mistakes put into a copy of a module that its tests do not notice: MODULE=claims/statistics
	rm -rf .cache/mutants/tree .cache/mutants/found && git clone -q . .cache/mutants/tree
	cd .cache/mutants/tree && sed 's|ROOT|$(CURDIR)|; s|MODULE|$(MODULE)|; s|TEST|$(dir $(MODULE))test_$(notdir $(MODULE))|' \
		tests/mutants.toml >../toml && ../bin/cosmic-ray baseline ../toml && ../bin/cosmic-ray init ../toml ../found && \
		../bin/cr-filter-operators ../found ../toml && ../bin/cosmic-ray exec ../toml ../found && \
		../bin/cr-report --surviving-only --show-diff ../found

.cache/mutants/ready:
	$(PYTHON) -m venv .cache/mutants
	.cache/mutants/bin/pip install -q --disable-pip-version-check 'cosmic-ray>=8.4'
	touch $@

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON_IS_NEW_ENOUGH)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

lock:  ## exact versions with hashes, for every platform and Python that pyproject.toml allows
	uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --group dev pyproject.toml --python-version 3.11 -o requirements.lock

clean:  ## remove environments, caches and what was built; report/ and mlflow.db stay
	rm -rf .venv .venv-latest .cache build dist site
