# `make help` lists the targets. The first run creates .venv; a second run installs nothing.
PYTHON ?= python3
DATA ?= data/sample
bin := .venv/bin
pip := $(bin)/python -m pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help submit test check leaderboard sample clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Quorum needs Python 3.11 or newer; this is {sys.version}")'
	@echo "installing requirements.txt into .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(pip) "$$(grep -o '^torch==[^ ]*' requirements.txt)"
	@$(pip) -r requirements.txt
	@$(pip) --no-deps --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.txt
	@echo "installing requirements-dev.txt into .venv (once)"
	@$(pip) -r requirements-dev.txt
	@touch $@

submit: .venv/.run ## answer, check and score a submission (DATA=folder; the sample otherwise)
	@$(bin)/python scripts/submit.py $(DATA)

leaderboard: .venv/.run ## print the local leaderboard
	@$(bin)/python scripts/leaderboard.py

sample: .venv/.run ## make data/sample again (the same bytes every time)
	@$(bin)/python scripts/make_sample.py data/sample

check: .venv/.dev ## style and types: ruff, mypy --strict
	@$(bin)/ruff check . && $(bin)/ruff format --check . && $(bin)/mypy

test: check ## style, types and every test
	@$(bin)/pytest

clean: ## remove what make made, the environment included
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
