# `make help` lists the targets; ./lb --help lists the verbs for a stack.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv/bin
LB = $(PYTHON) lb
STACK_OPTION = $(if $(STACK),--stack $(STACK))

# Plain `pulumi` as the user has it, else with the backend and the passphrase of this folder.
WITH_ENV = exports="$$($(LB) env)" && eval "$$exports" &&
# Go as the programs are built with it, so that its cache serves both; toolchain/golang.py puts it
# into this user's cache where there is none on PATH.
GO_BIN = $${XDG_CACHE_HOME:-$$HOME/.cache}/loadbalancer/go/bin
WITH_GO = cd toolchain && export PATH="$$PATH:$(GO_BIN)" CGO_ENABLED=0 \
	GOFLAGS="-mod=readonly -trimpath -buildvcs=false" &&
CHECKED := apps loadbalancer toolchain benchmarks tests __main__.py
DOCKERFILES = $(wildcard */Dockerfile */images/*/Dockerfile)
NGINX_CONFIGS := nginx/nginx.conf nginx/image/placeholder/nginx.conf

# Stacks of one module stay on one worker; pages run apart from them, because a browser drops its
# connections whenever the host gets or loses a network.
PYTEST = $(WITH_ENV) $(VENV)/python -m pytest -n 2 --dist loadgroup
export TEST_TIMES ?= $(CURDIR)/.pytest_cache/times
TIMED := $(PYTHON) tests/timing.py run

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ./lb --help   List the verbs for a stack: status, rollout, logs ..."

.PHONY: up
up: ## Install what is missing and bring the stack up (STACK=dev)
	@$(LB) up $(STACK_OPTION)

.PHONY: down
down: ## Destroy the stack; its config stays (STACK=dev)
	@$(LB) down $(STACK_OPTION)

.PHONY: lint
lint: ## Check style, types, layers, Dockerfiles and the configuration of nginx
	@$(PYTHON) -m toolchain --dev
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy $(CHECKED)
	@$(VENV)/mypy lb
	@PYTHONPATH=. $(VENV)/lint-imports --no-logo
	@$(WITH_GO) unformatted="$$("$$(go env GOROOT)/bin/gofmt" -l cmd shim)"; \
		test -z "$$unformatted" || { echo "not gofmted: $$unformatted"; exit 1; }
	@$(WITH_GO) go vet -tags no_compose ./...
	@$(VENV)/hadolint $(DOCKERFILES)
	@# It does not find the files that only nginx's container has, and says so.
	@found="$$($(VENV)/gixy $(NGINX_CONFIGS) 2>&1)" || { echo "$$found"; exit 1; }

.PHONY: test
test: start-times ## Check style, types and layers, and run every test but those of `make faults`
	@$(TIMED) lint $(MAKE) lint
	@$(PYTHON) -m toolchain tested || $(TIMED) toolchain $(MAKE) test-toolchain
	@$(PYTEST) -m "not faults" tests/page
	@$(PYTEST) -m "not faults" --ignore tests/page --ignore tests/toolchain
	@$(PYTHON) tests/timing.py show

.PHONY: faults
faults: start-times ## Run the long tests: kills, random plans, failing apps, load, the toolchain
	@$(PYTHON) -m toolchain --dev
	@$(TIMED) toolchain $(MAKE) test-toolchain
	@$(TIMED) faults $(MAKE) test-faults
	@$(PYTHON) tests/timing.py show

.PHONY: bench
bench: ## Compare with other balancers, and measure counting, several stacks and many apps
	@$(PYTHON) -m toolchain --dev
	@$(WITH_ENV) $(VENV)/python -m benchmarks.comparison
	@$(WITH_ENV) $(VENV)/python -m benchmarks.metrics_cost
	@$(WITH_ENV) $(VENV)/python -m benchmarks.stacks 3
	@$(WITH_ENV) $(VENV)/python -m benchmarks.growth

.PHONY: start-times test-toolchain test-faults
start-times:
	@mkdir -p "$(dir $(TEST_TIMES))" && : > "$(TEST_TIMES)"

test-toolchain:
	@$(WITH_GO) go test -tags no_compose ./cmd/...
	@$(PYTEST) tests/toolchain
	@$(PYTHON) -m toolchain tested --record

test-faults:
	@# One worker more than in `make test`, since the soak takes one for twenty minutes.
	@$(PYTEST) -n 3 -m faults --ignore tests/toolchain
	@# Examples other than those of `make test`, and ten times as many.
	@$(PYTEST) --hypothesis-profile=thorough tests/unit
