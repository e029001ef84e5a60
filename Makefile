# Thin: each line is one command that a person could type. The first run sets everything up in .venv and .tools.

PY := .venv/bin/python
ARGS ?=
# Most tests wait for servers most of the time.
WORKERS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || echo 2))

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench servers set-up pebble clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

demo: set-up pebble ## Issue, show, renew and revoke certificates from a local test CA, without touching the system
	@$(PY) -m tools.demo

test: set-up pebble ## Run every test; tests whose server is not installed are listed as NOT RUN
	@$(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS)

lint: set-up ## Check style, types, imports, sizes and generated files (under 30 s)
	@$(PY) -m tools.lint

bench: set-up pebble ## Measure start-up, issuance and memory beside certbot
	@$(PY) -m benchmarks $(ARGS)

servers: ## As root on Debian or Ubuntu: install the servers that the wider tests need; starts none of them
	@sh tools/install_servers.sh

clean: ## Remove everything that make has set up
	rm -rf .venv .tools .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

set-up:
	@sh tools/set_up.sh

pebble: set-up
	@$(PY) -m tools.get_pebble >/dev/null
