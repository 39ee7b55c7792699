# One entry point. `make` alone lists what there is.

SHELL := /bin/bash
VENV := .venv
CHECKS := .venv-checks
RELEASE := .venv-release
BIN := $(VENV)/bin

# The first Python that is new enough and can make virtual environments; PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PINNED := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
NO_PYTHON := outdial needs Python 3.11 or newer with its venv module (on Debian: apt install python3-venv); \
	name one with make PYTHON=/path/to/python3

.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint audit format bench chaos explore fuzz compose-check image release release-prepare release-check requirements clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: $(VENV)/.runtime ## Make .venv with everything outdial needs to run

demo: $(VENV)/.runtime ## Dial sample leads on an embedded stack, show the results
	@$(BIN)/outdial demo

up: $(VENV)/.runtime ## Keep the embedded stack running to play with
	@$(BIN)/outdial up

test: $(VENV)/.dev ## Run all tests (real server, real workers, simulated PBXs)
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m ops.audit --offline

audit: $(VENV)/.dev ## Check pins, hashes and licences of packages; known weaknesses too, where there is a network
	@$(BIN)/python -m ops.audit

format: $(VENV)/.dev ## Put the code into form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.runtime ## Measure speed against plain Celery (about 3 minutes)
	@$(BIN)/python -m ops.bench

chaos: $(VENV)/.runtime ## Break everything under load, see what is kept (6 minutes; CHAOS='--seed 7')
	@$(BIN)/python -m ops.chaos $(CHAOS)

explore: $(VENV)/.runtime ## Try every order of steps in small worlds, 1,200,000 states (EXPLORE='--states 20000')
	@$(BIN)/python -m ops.explore $(EXPLORE)

fuzz: $(VENV)/.dev ## Hold the intake against its OpenAPI description, 2,500 cases (FUZZ='--seed 7')
	@$(BIN)/python -m tests.fuzz $(FUZZ)

compose-check: $(CHECKS)/.done ## Hold Dockerfile, compose file and cluster files against schemas and rules
	@$(CHECKS)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@if test -x $(CHECKS)/bin/hadolint; then $(CHECKS)/bin/hadolint Dockerfile; \
		else echo "hadolint is not made for this machine: the Dockerfile goes unchecked"; fi
	@$(CHECKS)/bin/python -m ops.docker.rules docker-compose.yml
	@if test -d ops/kubernetes; then $(CHECKS)/bin/python -m ops.kubernetes; fi

image: ## Build the container image outdial:VERSION (needs docker)
	docker build --build-arg REVISION=$$(git rev-parse HEAD) -t outdial:$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) .

release: $(RELEASE)/.done ## Build and try out the version of pyproject.toml, into dist/VERSION; tags and pushes nothing
	@$(RELEASE)/bin/python -m ops.release

release-prepare: $(RELEASE)/.done ## Write VERSION=1.2.0 where it belongs, and its section of the changelog
	@test -n "$(VERSION)" || { echo "Give the version: make release-prepare VERSION=1.2.0" >&2; exit 2; }
	@$(RELEASE)/bin/python -m ops.release prepare "$(VERSION)"

release-check: $(RELEASE)/.done ## Build the packages of HEAD, try them in an empty environment, keep nothing
	@$(RELEASE)/bin/python -m ops.release check

requirements: ## Pin the requirement files anew (needs uv)
	uv pip compile pyproject.toml --extra local --extra report --extra sql-results --group build $(PINNED) -o requirements/runtime.txt
	uv pip compile pyproject.toml --extra flower --extra report --extra sql-results --extra tracing --group build $(PINNED) -o requirements/image.txt
	uv pip compile --group pyproject.toml:checks $(PINNED) -o requirements/checks.txt
	uv pip compile --group pyproject.toml:release --group pyproject.toml:build $(PINNED) -o requirements/release.txt
	uv pip compile pyproject.toml --all-extras --group build --group dev $(PINNED) -o requirements/dev.txt

clean: ## Remove what make made
	rm -rf $(VENV) $(CHECKS) $(RELEASE) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "$(NO_PYTHON)" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python requirements/runtime.txt pyproject.toml
	@echo "Installing pinned packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing pinned packages for tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(CHECKS)/.done: requirements/checks.txt
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@echo "Installing pinned packages for checks"
	@$(PYTHON) -m venv $(CHECKS)
	@$(CHECKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checks.txt
	@touch $@

$(RELEASE)/.done: requirements/release.txt
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@echo "Installing pinned packages for releases"
	@$(PYTHON) -m venv $(RELEASE)
	@$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/release.txt
	@touch $@
