# The verbs; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

STACK ?= dev
PYTHON ?= python3
VENV := .venv/bin

# Plain `pulumi` as the user has it, else with the backend and the passphrase of this folder.
WITH_ENV = exports="$$($(PYTHON) -m toolchain env)" && eval "$$exports" &&
PULUMI = $(WITH_ENV) pulumi --non-interactive
# Go as the programs are built with it, so that its cache serves both.
WITH_GO = cd toolchain && export PATH="$$PATH:$$PWD/build/go/bin" CGO_ENABLED=0 \
	GOFLAGS="-mod=readonly -trimpath -buildvcs=false" &&
CHECKED := apps loadbalancer toolchain benchmarks tests __main__.py

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: toolchain
toolchain: ## Install what this machine lacks
	@$(PYTHON) -m toolchain

.PHONY: env
env: ## Print what makes plain `pulumi` work in this shell: eval "$(make env)"
	@$(PYTHON) -m toolchain env

.PHONY: up
up: toolchain ## Install what is missing and bring the stack up (STACK=dev)
	@test -e Pulumi.$(STACK).yaml || ! test -e environments/$(STACK).yaml || \
		cp environments/$(STACK).yaml Pulumi.$(STACK).yaml
	@$(PULUMI) stack select --create $(STACK)
	@$(PYTHON) -m toolchain config $(STACK)
	@$(PULUMI) up --yes --skip-preview --stack $(STACK)
	@$(WITH_ENV) echo "Live: $$(pulumi stack output url --stack $(STACK))"
	@echo 'To change it with plain `pulumi` in this shell: eval "$$(make env)"'

.PHONY: down
down: ## Destroy the stack; its config stays
	@$(PULUMI) destroy --yes --skip-preview --stack $(STACK)

.PHONY: recreate
recreate: ## Destroy the stack and bring it up again
	@$(MAKE) down
	@$(MAKE) up

.PHONY: app
app: ## Write the folder of a new app: make app NAME=app3
	@$(PYTHON) -m toolchain > /dev/null
	@$(VENV)/python -m loadbalancer app "$(NAME)"

.PHONY: status
status: ## Show what is declared against what there is (2: they differ)
	@$(WITH_ENV) $(VENV)/python -m loadbalancer status --stack $(STACK)

.PHONY: repair
repair: ## Bring the stack back, after an `up` that was killed or a change by hand
	@$(WITH_ENV) $(VENV)/python -m loadbalancer repair --stack $(STACK) $(if $(FORCE),--force)

.PHONY: watch
watch: ## Show shares, rates and durations as they change, until Ctrl-C
	@$(WITH_ENV) $(VENV)/python -m loadbalancer watch --stack $(STACK)

.PHONY: logs
logs: ## Show all logs as one (APP=app1 STATUS=5xx REQUEST=id TAIL=200 FOLLOW=1)
	@$(WITH_ENV) $(VENV)/python -m loadbalancer logs --stack $(STACK) \
		$(if $(APP),--app="$(APP)") $(if $(STATUS),--status="$(STATUS)") \
		$(if $(REQUEST),--request="$(REQUEST)") $(if $(TAIL),--tail="$(TAIL)") \
		$(if $(FOLLOW),--follow)

.PHONY: rollout
rollout: ## Go to other weights step by step, back if an app fails (TO=app1=0,app2=1 PLAN= DO=)
	@$(WITH_ENV) $(VENV)/python -m loadbalancer rollout $(DO) --stack $(STACK) \
		$(if $(TO),--to="$(TO)") $(PLAN)

.PHONY: history
history: ## Tell what became of the weights, when, by whom and why
	@$(WITH_ENV) $(VENV)/python -m loadbalancer history --stack $(STACK)

.PHONY: rollback
rollback: ## Go back to the weights of an update of the history (N=3; the last stable one)
	@$(WITH_ENV) $(VENV)/python -m loadbalancer rollback --stack $(STACK) $(N)

.PHONY: clean
clean: ## Destroy every stack of this folder and remove the embedded backend (asks first)
	@$(WITH_ENV) $(VENV)/python -m loadbalancer clean $(if $(YES),--yes)

.PHONY: lint
lint: ## Check style and types
	@$(PYTHON) -m toolchain --dev
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy $(CHECKED)
	@$(WITH_GO) unformatted="$$("$$(go env GOROOT)/bin/gofmt" -l cmd shim)"; \
		test -z "$$unformatted" || { echo "not gofmted: $$unformatted"; exit 1; }
	@$(WITH_GO) go vet -tags no_compose ./...

.PHONY: test
test: lint ## Check style and types, and run every test
	@$(WITH_GO) go test -tags no_compose ./cmd/...
	@# Pages apart: a browser drops its connections whenever the host gets or loses a network.
	@$(WITH_ENV) $(VENV)/python -m pytest -n 2 --dist worksteal tests/page
	@$(WITH_ENV) $(VENV)/python -m pytest -n 2 --dist worksteal --ignore tests/page
