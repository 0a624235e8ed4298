# Everything is installed into ./.venv, by hash from the locks in requirements/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Tests and checks start hundreds of processes; without compiled modules the imports of each take twice as long.
unexport PYTHONDONTWRITEBYTECODE
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes

.PHONY: demo test quick without-services coverage pictures soak check install format lock bench bench-consumer bench-quality bench-intelligence clean

demo: .venv/runtime ## Run the whole retention and offer workflow on real customers
	$(BIN)/holdfast demo

install: .venv/runtime ## Install the command and the embedded services

test: .venv/all ## Run every test, journeys included; in PROCESSES (3) processes, each with its own services
	@# In order of folders: by default files with few tests, which are the journeys, come last and leave processes idle.
	$(BIN)/pytest -n $(or $(PROCESSES),3) --dist loadfile --no-loadscope-reorder

soak: .venv/all ## Random faults for SECONDS (600) from SEED (a new one), then compare with an undisturbed run
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

bench: .venv/all .venv/peers/installed ## Measure next to others, about a quarter of an hour; ARGS="--quick" or "--only whole,latency"
	$(BIN)/python -m benchmarks $(ARGS)

bench-consumer: .venv/all .venv/peers/installed ## Compare the consumer with others, all doing nothing
	$(BIN)/python -m benchmarks.consumer

check: .venv/all ## Lint, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

quick: .venv/all ## Run the checks and the tests that need no service, properties with a quarter of their examples
	@# Side by side: the checks use one core.
	$(MAKE) --jobs 2 check without-services

without-services: .venv/all
	$(BIN)/pytest -q -n 2 --hypothesis-profile quick tests/unit tests/properties

coverage: .venv/all ## Measure the branch coverage of the tests that need no service
	$(BIN)/pytest -q -n 2 tests/unit tests/properties --ignore tests/unit/test_cost_guard.py --cov --cov-report=term:skip-covered --cov-report=html:var/coverage

pictures: .venv/all ## Take the pictures of README.md again, of the console on the demo's data
	$(BIN)/pytest -q tests/browser/test_demo.py -k console
	for each in live customer segment performance analytics; do cp "var/screenshots/readme-$$each.png" "docs/pictures/$$each.png"; done

format: .venv/all
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# What a worker may be set to use; the image has it.
IMAGE := --extra tracing --extra registry --extra holidays
lock: .venv/bootstrap ## Resolve the dependencies again
	for lock in runtime console training local all; do \
	  case $$lock in runtime) extras="$(IMAGE)";; console) extras="$(IMAGE) --extra console";; training) extras="$(IMAGE) --extra training";; local) extras="--extra local --extra console";; all) extras=--all-extras;; esac; \
	  $(BIN)/uv pip compile --quiet --universal --no-header --no-emit-index-url --no-annotate --generate-hashes \
	    --python-version 3.11 $$extras pyproject.toml --constraint requirements/all.txt -o requirements/$$lock.txt; \
	done

.venv/bootstrap: requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "Holdfast needs Python 3.11, 3.12 or 3.13; none was found. Install one, or name it: make PYTHON=/path/to/python3.13" >&2; exit 2; }
	@echo "installing into ./.venv with $$($(PYTHON) --version)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/runtime: .venv/bootstrap requirements/local.txt pyproject.toml
	$(UV) -r requirements/bootstrap.txt -r requirements/local.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/all: .venv/runtime requirements/all.txt
	$(UV) -r requirements/all.txt
	@touch $@

# Their requirements contradict ours.
.venv/peers/installed: .venv/bootstrap requirements/peers.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/peers
	$(BIN)/uv pip install --quiet --python .venv/peers/bin/python --require-hashes -r requirements/peers.txt
	@touch $@

DATA ?= ../shared/data
bench-quality: .venv/all ## Measure the models on public data, against boosting, linear models and rules
	$(BIN)/python -m benchmarks.quality --data $(DATA)

bench-intelligence: .venv/all ## Measure sentiment, recommendations, similarity, search and analytics on public data
	$(BIN)/python -m benchmarks.intelligence --data $(DATA)

clean: ## Remove what was installed and the embedded services' data
	rm -rf .venv var
