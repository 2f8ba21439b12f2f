# gradkata: `make grade` grades your katas, `make help` lists what else there is.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help venv grade test lowest escapes fuzz search lint texts pages hour site bench light ways roads arithmetic soak kills classes classkills mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## create .venv and install into it; nothing to do while pyproject.toml stays the same

# Everything goes into .venv, so a Python that the system manages is left as it is.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'gradkata needs Python 3.11 or newer: name one with, for example, make PYTHON=python3.13 grade' >&2; exit 1; }
	@echo 'Installing into $(VENV), once: PyTorch is a large download.' >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Exit 1 of the command says that a kata does not pass yet, which is no fault of make's.
grade: venv ## grade your katas; ARGS="lstm --fresh" is handed on
	@$(BIN)/grade $(ARGS) || { code=$$?; [ $$code -eq 1 ] || exit $$code; }

PYTEST := $(BIN)/pytest -o testpaths=tests -n 2 -W error --timeout 120

test: venv ## run the project's own tests; ARGS="-k floors" is handed on
	$(PYTEST) $(ARGS)

lowest: ## run the tests with the oldest versions that pyproject.toml admits, in .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' $$($(PYTHON) tests/lowest.py)
	.venv-lowest/bin/pytest -o testpaths=tests -n 2 --timeout 120 $(ARGS)

escapes: venv ## run every hostile case, and write down what came of each
	ESCAPES=write $(PYTEST) tests/test_escapes.py $(ARGS)

FUZZ ?= 20000

fuzz: venv ## feed every decoder of a learner's bytes with FUZZ hostile inputs (20000)
	FUZZ=$(FUZZ) $(BIN)/pytest -W error tests/test_fuzz.py $(ARGS)

search: venv ## feed them with ten million, led by what they cover; needs atheris, which Linux has
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[search]'
	$(BIN)/python tests/bench/search.py $(ARGS)

lint: venv ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

texts: venv ## bring the catalogues of what the harness says into step with its sources
	$(BIN)/python -m grader.authoring.proving.catalogue

pages: venv ## write the pages of .github/docs that are made from the code
	$(BIN)/python -m grader.cli.pages

hour: venv ## play a learner's first hour in a terminal, and write its page and pictures; ARGS="--in DIR zh" is handed on
	$(BIN)/python -m tests.hour $(ARGS)

site: venv ## build the documentation into build/site, English and Chinese
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/python .github/site/build.py build/site

bench: venv ## measure the speed of the harness, as ratios of one run
	$(BIN)/python tests/bench/run.py

light: venv ## measure what the verbs cost that judge nothing, of `import click` in the same run
	$(BIN)/python tests/bench/light.py

ways: venv ## grade every solution, right or wrong, both ways, and compare test by test; ARGS="lstm" is handed on
	$(BIN)/python tests/ways.py $(ARGS)

roads: venv ## look for callables of torch that do a from-scratch kata's whole job; ARGS=04_lstm for one
	$(BIN)/python -W ignore tests/bench/roads.py $(ARGS)

arithmetic: venv ## judge as if on other processors and with two threads, and list what differs; ARGS="04 14" for some katas
	$(BIN)/python tests/bench/arithmetic.py $(ARGS)

soak: venv ## run 5,000 workers, a third of them hostile, and count what they leave
	$(BIN)/python tests/bench/soak.py $(ARGS)

kills: venv ## kill 200 random processes of runs, and see that no verdict is wrong and nothing is left
	$(BIN)/python tests/bench/kills.py $(ARGS)

classes: venv ## measure class runs: beside pytest, with two judges, and ARGS=plan for 10,000 files
	$(BIN)/python tests/bench/classes.py $(ARGS)

classkills: venv ## kill 50 random processes of class runs, and compare what they find with an undisturbed one
	$(BIN)/python tests/bench/class_kills.py $(ARGS)

mutants: venv ## hold the grader itself to its tests, by small slips; ARGS=grader/wire is handed on
	$(BIN)/python -m tests.mutants $(ARGS)

clean: ## remove what was installed and cached; your attempts in .grade/ stay
	rm -rf $(VENV) .venv-lowest build dist *.egg-info .hypothesis .mypy_cache .mutants .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
