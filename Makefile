# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
# .venv is made on the first call, from hashed locks, and costs nothing afterwards (dev/setup).

BIN := .venv/bin
# The floor rises with the tests, never falls: make coverage COVERAGE_FLOOR=0 is for a part of the suite.
COVERAGE_FLOOR ?= 85
# One more than the two cores of the smallest machine: many tests wait for processes that they started.
WORKERS ?= 3
# More words for the command behind a target: make demo ARGS="--rounds 3", make test ARGS=tests/core
ARGS ?=

export PYTHON
# Images often say so. Here each worker and each command that a test starts would compile all its imports once more,
# which was a third of the time before the first test.
unexport PYTHONDONTWRITEBYTECODE
# The tests run in as many processes as there are cores; threads of BLAS in each would only wait for one another.
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup base dev demo test coverage test-postgresql test-all chaos schedules bench fmt lint types imports docs package check lock clean \
	install test-and-coverage fma-django-compile sam-build-remote sam-build-local

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-18s %s\n", $$1, $$2 }'

setup: dev ## the environment for everything below, in .venv

base:
	@dev/setup base

dev:
	@dev/setup dev

demo: base ## a server and its participants on this machine, over real HTTP
	@$(BIN)/foedus demo $(ARGS)

DEFAULT_SUITE := -n $(WORKERS) --dist worksteal -m "not slow and not chaos" --ignore=tests/docs --ignore=tests/repo
test: dev ## the default test suite; what `make docs` looks at is not in it
	@$(BIN)/pytest $(DEFAULT_SUITE) $(ARGS)
	@$(if $(ARGS),:,$(MAKE) --no-print-directory test-postgresql)

# Watching every branch doubles the time of the suite, so it is not what everybody waits for.
coverage: dev ## the same suite, with branch coverage and its floor
	@$(BIN)/pytest $(DEFAULT_SUITE) --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR) $(ARGS)

# What touches the database, once more on PostgreSQL: both are promised, and they lock and count differently.
ON_POSTGRESQL := tests/records tests/services/learning/test_rounds.py tests/services/learning/test_together.py \
	tests/services/learning/test_still_here.py tests/services/learning/test_retaining.py \
	tests/services/learning/test_uploads.py tests/services/shell tests/services/customers tests/services/market tests/connectors/ledger/test_local.py tests/services/statistics \
	tests/faces/native/test_contributions.py tests/faces/native/test_participants.py tests/faces/native/test_projects.py \
	tests/faces/native/test_rounds.py
test-postgresql: dev ## the tests of services and faces on a throw-away PostgreSQL
	@$(BIN)/python dev/with-postgresql $(BIN)/pytest -n $(WORKERS) -q -m "not slow and not chaos" $(wildcard $(ON_POSTGRESQL))

test-all: dev ## every test, also those that take minutes or want optional tools
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --hypothesis-profile=thorough $(ARGS)

KILLS ?= 1000
chaos: dev ## so many KILLS of processes, and networks cut, on purpose, for an hour (KILLS=80: some minutes); its reports are in build/chaos/
	@rm -rf build/chaos
	@FOEDUS_TEST_KILLS=$(KILLS) $(BIN)/pytest -m chaos $(ARGS)

SCHEDULES ?= 10000
schedules: dev ## so many SCHEDULES of rounds in virtual time, on all processors, and how long they took
	@$(BIN)/python -m tests.chaos.many $(SCHEDULES)

bench: dev ## measure
	@$(BIN)/python benchmarks/run.py $(ARGS)

fmt: dev ## put the code into its form, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lint: dev ## ruff: rules and form
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: dev ## mypy, strict
	@$(BIN)/mypy

imports: dev ## import-linter: dependencies point inwards
	@$(BIN)/lint-imports

docs: dev ## links, code blocks and command lines in the documentation; promises about the repository
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile tests/docs tests/repo $(ARGS)

package: dev ## build the wheel and try it
	@$(BIN)/python dev/wheel.py

check: ## all that must be green before a push
	@dev/check

lock: dev ## write the locks anew from pyproject.toml (ARGS=--upgrade for the newest releases)
	@dev/lock $(ARGS)

install: dev ## the environment, and the hooks of git
	@$(BIN)/uv tool run pre-commit install --hook-type pre-commit --hook-type pre-push

test-and-coverage: coverage ## another name for coverage

fma-django-compile: dev ## the wheel that functions are made of, in artifacts/
	@rm -rf artifacts && HATCH_BUILD_NO_HOOKS=true $(BIN)/python -m hatchling build -t wheel -d artifacts

sam-build-remote: fma-django-compile ## the functions' package for the cloud, in deploy/build/
	@$(BIN)/python deploy/function/build.py remote --wheel artifacts/*.whl $(ARGS)

sam-build-local: fma-django-compile ## the same for this machine, with a database of its own
	@$(BIN)/python deploy/function/build.py local --wheel artifacts/*.whl --target deploy/build/function-local $(ARGS)

clean: ## remove .venv, caches and whatever was built
	@rm -rf .venv build dist artifacts deploy/build .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
