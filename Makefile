# `make demo` shows the product on a fresh machine, `make test` proves it; both set up .venv first.
# `make demo` installs what the product needs; `make test` adds the development tools to it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The pair that is tested; pyproject.toml allows a range.
TORCH ?= torch==2.14.1 torchvision==0.29.1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup tools demo browser test lint format docs clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.tools: $(VENV)/.ready
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[train,ray]' --group dev
	touch $@

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --group docs
	touch $@

setup: $(VENV)/.ready  ## Make .venv with what the product needs

tools: $(VENV)/.tools  ## Add what tests and training need

demo: setup  ## Index the bundled pictures with the bundled model, search them, draw the hits to demo-out/
	$(BIN)/tips demo --out demo-out

browser:  ## Install Debian's Chromium for the tests of the page, where that is possible
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y chromium; } >/dev/null 2>&1 \
	  || echo "NOT CHECKED: Chromium cannot be installed here; the tests of the page in a browser are skipped."

# The two processes of the tests share the cores: threads of torch and numpy beside them cost time.
test: tools lint browser  ## Lint, check types and run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder

lint: tools
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: tools  ## Format the code
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs  ## Build the pages, the reference of the commands and of the modules: build/docs
	$(BIN)/mkdocs build

clean:  ## Remove everything that the targets made
	rm -rf $(VENV) demo-out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
