# Each target installs what it needs and is missing; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SETUP := infra/local/setup.sh
PYTHON := .venv/bin/python
# These tests only compute, without servers or MPI worlds, so they may share the cores.
SHARED := tests/cluster_worker/test_catalogue.py tests/cluster_worker/test_memory.py

CDK := infra/node_modules/.bin/cdk

.PHONY: help run test test-long check bench synth deploy cost letters smoke generate lock

help: ## List the targets
	@sed -En 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Run the whole app at http://127.0.0.1:8000 (PORT=… for another port); Ctrl-C ends it
	@$(SETUP) run
	@exec $(PYTHON) -m infra.local

test: ## Run all tests but the long ones, with a real broker, browser and MPI
	@$(SETUP) test
	npm --prefix frontend run check
	$(PYTHON) -m pytest -m "not long" -n auto $(SHARED)
	$(PYTHON) -m pytest -m "not long" $(SHARED:%=--ignore=%)

test-long: ## Run the tests that take minutes
	@$(SETUP) test
	$(PYTHON) -m pytest -m long -n auto $(SHARED)
	$(PYTHON) -m pytest -m long $(SHARED:%=--ignore=%)

check: ## Check format, lint and types, and run the fast tests
	@$(SETUP) check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -m "not slow and not long"

bench: ## Compare with other libraries, and write docs/bench (PART="operations files" for some)
	@$(SETUP) bench
	$(PYTHON) -m tests.benchmarks $(PART)

synth: ## Write the CloudFormation template and check it against the rules (C="-c size=production")
	@$(SETUP) synth
	$(CDK) synth --quiet $(C)
	.venv/bin/cfn-lint --ignore-checks W3005 -- cdk.out/*.template.json

deploy: ## Deploy the whole app to AWS, or update it (C="-c size=production")
	@$(SETUP) synth
	$(CDK) deploy $(C)

cost: ## Estimate the cost of the settings, idle and per 1,000 images (C="-c size=production")
	@$(SETUP) check
	@$(PYTHON) -m infra.cost $(C)

letters: ## List the dead letters (STACK=dip); SEND=all, or SEND="JOB …", sends them back
	@$(SETUP) check
	@$(PYTHON) -m infra.letters $(if $(STACK),--stack $(STACK)) $(if $(SEND),--send $(SEND))

smoke: ## Send a photograph through a deployed site (URL=https://…)
	@$(SETUP) check
	@$(PYTHON) -m infra.smoke $(URL)

generate: ## Write catalogue, OpenAPI document, docs/operations and the lists for review
	@$(SETUP) check
	PYTHONPATH=.:api $(PYTHON) -m chalicelib.contract
	$(PYTHON) -m tests.documents

lock: ## Update requirements.lock, cluster_worker/requirements.lock and frontend/package-lock.json
	@$(SETUP) check
	.venv/bin/pip-compile --quiet --upgrade --allow-unsafe --generate-hashes --all-extras \
		--strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o requirements.lock pyproject.toml
	.venv/bin/pip-compile --quiet --generate-hashes --extra worker --constraint requirements.lock \
		--strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o cluster_worker/requirements.lock pyproject.toml
	npm --prefix frontend install --package-lock-only --omit-lockfile-registry-resolved
