# Every target sets up what it needs; Python 3.11+, make and the package registries are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# What Python has once compiled it need not compile again, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lab check notebooks replies screenshots soak bench setup clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup  ## the main job on a real photograph, without a key
	$(BIN)/nbvision demo

test: setup  ## set up and pass all tests
	$(BIN)/python tests/browser/environment.py
	$(BIN)/python -m pytest -n auto --dist worksteal

lab: setup  ## open JupyterLab on the tutorials
	$(BIN)/jupyter lab notebooks

check: setup  ## lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

notebooks: setup  ## run the tutorials again and store what they show
	$(BIN)/python notebooks/refresh.py

replies: setup  ## store what the tutorials are answered, so that they run where nothing answers
	$(BIN)/python notebooks/refresh.py --replies

screenshots: setup  ## take the README's picture of the workbench again, in a real JupyterLab
	$(BIN)/python tests/browser/environment.py
	$(BIN)/python tests/browser/make_screenshots.py

soak: setup  ## kill three hundred kernels while they ask, and count what is lost
	$(BIN)/python tests/killing.py 300

bench: setup  ## measure against what people would use instead
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python -m benchmarks

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:  ## remove what the targets made
	rm -rf $(VENV) dist build demo_output
