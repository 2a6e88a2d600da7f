# `make demo` and `make test` do all set-up themselves; they need Python 3.11 or newer, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DBT := $(VENV)/dbt
DBT_INSTALLED := $(DBT)/.installed
# Two for each of two cores: half of a test's time is waiting, for a daemon or a server.
WORKERS := -n 4 --dist worksteal
ARGS ?=

# Some containers keep Python from storing what it compiles. The tests start hundreds of processes, and each would
# compile the project again, and each worker the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo dev test check format docs bench bench-year bench-plan staleness crashes month mutants soak \
	soak-hour daemon clean

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Make the virtual environment with the pinned versions.

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: pass PYTHON=/path/to/python3.11."; exit 1; }
	@echo "Installing some hundred packages into $(VENV), which takes a few minutes once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# What dbt needs and what mypy needs do not go together, so it has an environment of its own. Only a test uses it.
$(DBT_INSTALLED): constraints-dbt.txt | $(INSTALLED)
	@$(PYTHON) -m venv $(DBT)
	@$(DBT)/bin/pip install --quiet --disable-pip-version-check --constraint constraints-dbt.txt dbt-core dbt-postgres
	@touch $@

demo: $(INSTALLED) ## Everything on invented data, without an account: make demo ARGS="--days 2 --exit"
	$(BIN)/b2chat demo $(ARGS)

dev: $(INSTALLED) ## Database, webserver and daemon for the account in .env.
	$(BIN)/b2chat dev $(ARGS)

test: check $(DBT_INSTALLED) ## All checks, then the whole suite on both PostgreSQL versions.
	$(BIN)/pytest $(WORKERS) $(ARGS)
	@if [ -x /usr/lib/postgresql/15/bin/initdb ]; then \
		B2CHAT_TEST_POSTGRES=15 $(BIN)/pytest $(WORKERS) -m "postgres and not any_postgres" $(ARGS); \
	else \
		echo; echo "NOT RUN: the tests on PostgreSQL 15, since /usr/lib/postgresql/15/bin holds no server."; echo; \
	fi

check: $(INSTALLED) ## Format, lint, types, definitions, and the specification against the design.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m b2chat_pipeline_tests.specification.compare
	cd $(CURDIR) && env -u B2CHAT_TIMEZONE $(BIN)/python -c 'import b2chat_pipeline.definitions as d; d.defs().resolve_asset_graph()'

soak: $(INSTALLED) ## Many random walks of an account and its loads, instead of the suite's few: make soak WALKS=500
	B2CHAT_TEST_WALKS=$(or $(WALKS),200) $(BIN)/pytest b2chat_pipeline_tests/test_state_machine.py $(ARGS)

soak-hour: $(INSTALLED) ## An hour of hourly runs and re-reads by the real daemon: does anything grow that should not?
	$(BIN)/python -m b2chat_pipeline_tests.soak $(ARGS)

daemon: $(INSTALLED) ## Hurt the real daemon and what is under it, which takes minutes.
	$(BIN)/pytest -m minutes b2chat_pipeline_tests/test_real_daemon.py $(ARGS)

format: $(INSTALLED) ## Format and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## Write the generated parts of the documentation.
	$(BIN)/python -m b2chat_pipeline.warehouse.documentation > docs/data_dictionary.md
	$(BIN)/python -m b2chat_pipeline.assets.columns
	$(BIN)/python -m b2chat_pipeline.assets.lineage
	$(BIN)/python -m b2chat_pipeline.transform.calls
	$(BIN)/python -c 'from b2chat_pipeline.settings import env_example; print(env_example(), end="")' > .env.example

bench: $(INSTALLED) ## How fast the load and the models are, as ratios: make bench ARGS="--rounds 1 --only loads"
	$(BIN)/python -m b2chat_pipeline_tests.bench $(ARGS)

bench-year: $(INSTALLED) ## A year of hours backfilled through the daemon, against one process; takes some ten minutes.
	$(BIN)/python -m b2chat_pipeline_tests.bench --only year $(ARGS)

bench-plan: $(INSTALLED) ## What `b2chat load --plan` says of a month, against what the load then takes; some minutes.
	$(BIN)/python -m b2chat_pipeline_tests.bench --only plan $(ARGS)

staleness: $(INSTALLED) ## How long a change takes to show, on forty days: make staleness ARGS="--chats 1000 --hours 24"
	$(BIN)/python -m b2chat_pipeline_tests.bench.staleness $(ARGS)

crashes: $(INSTALLED) ## Kill a load at every moment there is, which takes minutes; `make test` tries those that differ most.
	B2CHAT_TEST_EVERY_MOMENT=1 $(BIN)/pytest $(WORKERS) b2chat_pipeline_tests/test_crashes.py $(ARGS)

month: $(INSTALLED) ## Thirty days of the daemon's decisions, with everything that goes wrong: make month DAYS=10 SEED=7
	B2CHAT_TEST_DAYS=$(or $(DAYS),30) B2CHAT_TEST_SEED=$(or $(SEED),6) \
		$(BIN)/pytest b2chat_pipeline_tests/test_month.py -m minutes -n 0 -s $(ARGS)

mutants: $(INSTALLED) ## Would anybody notice if a SQL model were wrong? Takes minutes: make mutants ARGS="--only chat_metrics"
	$(BIN)/python -m b2chat_pipeline_tests.model_mutants $(ARGS)

clean: ## Remove the virtual environment and what the demo keeps.
	rm -rf $(VENV) .b2chat build
