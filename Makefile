# `make help` lists what can be done here. MODE=docker|local forces a kind of stack for `make up`.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv/bin
STACK := $(VENV)/python -m deploy.stack
TEST_ROUNDS ?= 1
export PYTHON MODE
# without the cache every process that is started, some hundreds in the tests, compiles what it imports anew
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help up down reset urls tokens ps logs in time-travel verify demo test test-long test-docker test-bare check lock venv clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: ## make .venv from the locked requirements
	@deploy/local/venv.sh

up: venv ## start everything, wait until it is ready, print addresses and demo logins (MODE=docker|local)
	@$(STACK) up

down: venv ## stop everything; the data stays
	@$(STACK) down

reset: venv ## stop everything and drop the data
	@$(STACK) reset

urls: venv ## addresses of the running stack as JSON
	@$(STACK) urls

tokens: venv ## the operator's tokens of the running stack as JSON (for the internal routes of docs/operations.md)
	@$(STACK) tokens

ps: venv ## what runs
	@$(STACK) ps

logs: venv ## the end of the logs (S=service for one)
	@$(STACK) logs $(S)

in: venv ## an operator's command with a service's settings (S=billing-worker DO="python -m ...")
	@test -n "$(S)" -a -n "$(DO)" || { echo "usage: make in S=billing-worker DO='python -m billing_api.manage verify_ledger'" >&2; exit 2; }
	@$(STACK) in $(S) $(DO)

time-travel: venv ## move the suite's clock forward and wait until all that is due is done (DAYS=n)
	@test -n "$(DAYS)" || { echo "usage: make time-travel DAYS=30" >&2; exit 2; }
	@$(STACK) time-travel $(DAYS)

verify: venv ## whether PayAPI, BillingAPI, UserAPI and the provider agree on all money and rights
	@$(STACK) verify

demo: venv ## one customer's story through every service, against the running stack
	@$(STACK) run tests.e2e.demo

test: venv ## every test but the long ones, on servers of their own (WORKERS=3: they often wait)
	@$(VENV)/python -m deploy.local.packages
	$(VENV)/pytest -n $(or $(WORKERS),3) -m "not e2e and not long and not docker and not bare"
	$(VENV)/pytest -m "e2e and not long"

test-long: venv ## long rounds of races, models and kill points (TEST_ROUNDS=1; more for longer)
	@$(VENV)/python -m deploy.local.packages
	TEST_ROUNDS=$(TEST_ROUNDS) $(VENV)/pytest -n $(or $(WORKERS),2) -m "long and not e2e and not docker and not bare" --timeout 600 || [ $$? = 5 ]
	TEST_ROUNDS=$(TEST_ROUNDS) $(VENV)/pytest -m "long and e2e" --timeout 600 || [ $$? = 5 ]

test-docker: venv ## proofs on the containers of the running compose stack (make up MODE=docker, make demo first)
	$(VENV)/pytest -m docker -p no:randomly

test-bare: venv ## a stranger's machine in containers of a bare Debian (BARE_TESTS=1: make test there, too)
	$(VENV)/pytest -m bare -p no:randomly -s

check: venv ## formatting, types, import contracts, security, shell, Docker and YAML lint, secrets
	@PATH="$(CURDIR)/$(VENV):$$PATH" deploy/check.sh

lock: venv ## lock the requirements again after a change of requirements/*.in
	@PATH="$(CURDIR)/$(VENV):$$PATH" requirements/lock

clean: ## remove caches (not the data: see reset)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
