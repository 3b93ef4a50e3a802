# Each target installs what it needs and is missing; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Python must keep what it compiles, whatever the environment says. Otherwise each process of a run
# compiles its libraries again: seconds for the AWS templates, and for each worker that starts.
export PYTHONDONTWRITEBYTECODE :=

SETUP := infra/local/setup.sh
PYTHON := .venv/bin/python
# Tests that share servers or results run in one process: tests/groups.py.
PYTEST := $(PYTHON) -m pytest --dist loadscope --no-loadscope-reorder -n
# These rooms only compute. The others start servers, worlds and browsers, and wait for them half of
# the time: two processes share those. Meanwhile two nicer ones compute in what is left of the cores.
COMPUTING := $(addprefix tests/cluster_worker/,operations kernels plan pixels)

# The parts of the long tests, each of at most 20 minutes.
LONG := tilings parameters random chains kernels processors engine gigapixel cells scaling bench broker \
	worker rabbitmq4 chaos drill upgrade enforced installed compose server hosts files films gigapixels lighthouse
CATALOGUE := tests/cluster_worker/operations/test_catalogue.py
LONG_tilings := $(CATALOGUE) -k test_every_tiling
LONG_parameters := $(CATALOGUE) -k test_many_random_parameters
LONG_random := tests/cluster_worker/operations/test_random_cases.py
LONG_chains := $(CATALOGUE) -k test_many_random_chains
LONG_kernels := tests/cluster_worker/kernels/test_guarded.py
LONG_processors := tests/cluster_worker/kernels/test_processors.py
LONG_engine := tests/cluster_worker/engine/test_engine.py
LONG_gigapixel := tests/cluster_worker/engine/test_gigapixel.py
LONG_cells := tests/cluster_worker/engine/test_count_cells.py \
	tests/cluster_worker/engine/test_hostile_regions.py
LONG_scaling := tests/app/test_scaling.py
LONG_bench := tests/benchmarks/test_benchmarks.py
LONG_broker := tests/machines/test_broker_node.py
LONG_worker := tests/machines/test_worker_node.py
LONG_rabbitmq4 := tests/machines/test_rabbitmq_4.py
LONG_chaos := tests/chaos/test_storm.py
LONG_drill := tests/infra/test_drill.py
LONG_upgrade := tests/app/test_upgrade.py
LONG_enforced := tests/infra/test_enforced.py
LONG_installed := tests/machines/test_installed.py
LONG_compose := tests/machines/test_compose.py
LONG_server := tests/machines/test_server_node.py
LONG_hosts := tests/hosts
LONG_files := tests/cluster_worker/imagefiles/test_many_files.py \
	tests/cluster_worker/imagefiles/test_strained_files.py \
	tests/cluster_worker/test_real_work.py

LONG_films := tests/site/test_films.py tests/site/test_images.py tests/site/test_real_work.py
LONG_gigapixels := tests/site/test_gigapixels.py
LONG_lighthouse := tests/site/test_lighthouse.py

CDK := infra/node_modules/.bin/cdk

.PHONY: help run test test-long chaos check bench synth deploy cost letters smoke drill restore image release bom generate pictures lock

help: ## List the targets
	@sed -En 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Run the whole app at http://127.0.0.1:8000 (PORT=…; TRACE=1 shows traces); Ctrl-C ends it
	@$(SETUP) run
	@exec $(PYTHON) -m infra.local

test: ## Run the tests with real parts (OPERATION=name or ROOM=name for a part; rooms are folders)
ifdef OPERATION
	@$(SETUP) kernels
	$(PYTEST) 2 -m "not long" --operation $(OPERATION) $(COMPUTING)
else ifdef ROOM
	@$(SETUP) test
	$(PYTHON) -m pytest -m "not long" $(or $(wildcard tests/$(ROOM) tests/cluster_worker/$(ROOM)),tests/$(ROOM))
else
	@$(SETUP) test
	@echo "the rooms that only compute are tested meanwhile, into .run/computing.log"
	@export ROOM_BUDGETS=1; \
	nice -n 19 $(PYTEST) 2 -m "not long" $(COMPUTING) >.run/computing.log 2>&1 & \
	trap "kill $$!" INT TERM; \
	npm --prefix frontend run check || { kill $$!; exit 1; }; \
	$(PYTEST) 2 -m "not long" $(COMPUTING:%=--ignore=%); served=$$?; \
	wait $$!; computed=$$?; \
	cat .run/computing.log; \
	exit $$((served | computed))
endif

test-long: ## Run the tests that take minutes (PART=name for one: see LONG in the Makefile)
	@$(SETUP) test
	@$(foreach part,$(or $(PART),$(LONG)),echo "long tests: $(part)" && \
		$(PYTHON) -m pytest -m long -n $(if $(filter $(part),tilings parameters random kernels processors),2,0) $(LONG_$(part)) &&) true

chaos: ## Strike the app for ten minutes, then check that nothing was lost (SEED=1 SECONDS=600)
	@$(SETUP) test
	@$(PYTHON) -m tests.chaos $(if $(SEED),--seed $(SEED)) --seconds $(or $(SECONDS),600)

check: ## Check format, lint and types, and run the fast tests
	@$(SETUP) check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy
	$(PYTEST) 2 -m "not slow and not long"

bench: ## Compare with other libraries, and write docs/bench (PART="operations files" for some)
	@$(SETUP) bench
	$(PYTHON) -m tests.benchmarks $(PART)

synth: ## Write the CloudFormation template and check it against the rules (C="-c size=production")
	@$(SETUP) synth
	$(CDK) synth --quiet $(C)
	.venv/bin/cfn-lint --ignore-checks W3005 W3010 -- cdk.out/*.template.json

deploy: ## Check the account, then deploy the app to AWS or update it (REQUIRE_APPROVAL=never)
	@$(SETUP) synth
	@$(PYTHON) -m infra.account $(C)
	$(CDK) deploy $(if $(REQUIRE_APPROVAL),--require-approval $(REQUIRE_APPROVAL)) $(C)

cost: ## Estimate the cost of the settings, idle and per 1,000 images (C="-c size=production")
	@$(SETUP) check
	@$(PYTHON) -m infra.cost $(C)

letters: ## List the dead letters (STACK=dip); SEND=all, or SEND="JOB …", sends them back
	@$(SETUP) check
	@$(PYTHON) -m infra.letters $(if $(STACK),--stack $(STACK)) $(if $(SEND),--send $(SEND))

smoke: ## Send a photograph through a deployed site (URL=https://…)
	@$(SETUP) check
	@$(PYTHON) -m infra.smoke $(URL)

drill: ## Kill a worker in the middle of a batch (URL=…, STACK=dip on AWS, IMAGES=24), and report
	@$(SETUP) check
	@$(PYTHON) -m infra.drill $(or $(URL),http://127.0.0.1:8000) $(if $(STACK),--stack $(STACK)) \
		$(if $(IMAGES),--images $(IMAGES))

restore: ## Copy the rows of a restored table into the app's (FROM=dip-restored TABLE=…)
	@$(SETUP) check
	@$(PYTHON) -m infra.restore $(FROM) $(TABLE)

image: ## Build the worker's image with its kernels, tagged dip-worker:VERSION
	docker build --file cluster_worker/Dockerfile --tag dip-worker:$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) .

release: ## Number the next release, name its changes, commit and tag (VERSION=1.2.0)
	@$(SETUP) check
	@$(PYTHON) -m infra.release $(VERSION)

bom: ## Write bills of materials (CycloneDX) and licences of what is shipped to .run/bom
	@$(SETUP) run
	@$(PYTHON) -m infra.bom

generate: ## Write catalogue, OpenAPI document, docs/operations and the lists for review
	@$(SETUP) check
	PYTHONPATH=.:api $(PYTHON) -m chalicelib.contract
	$(PYTHON) -m tests.documents

pictures: ## Take the pictures in docs anew (PICTURE=trace for one: app, measured or trace)
	@$(SETUP) test
	@$(PYTHON) -m tests.site.docs_pictures $(PICTURE)

lock: ## Update the locks of packages: requirements.lock, those of worker and set-up, the site's
	@$(SETUP) check
	.venv/bin/pip-compile --quiet --upgrade --allow-unsafe --generate-hashes --all-extras \
		--strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o requirements.lock pyproject.toml
	.venv/bin/pip-compile --quiet --generate-hashes --extra worker --constraint requirements.lock \
		--strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o cluster_worker/requirements.lock pyproject.toml
	echo uv | .venv/bin/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --strip-extras -o infra/local/setup.lock -
	npm --prefix frontend install --package-lock-only --omit-lockfile-registry-resolved
