# Two commands set everything up: `make demo` runs the main job, `make test` passes the tests.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-train test-views lint docs bench bench-train chaos fuzz soak clean
BIN := .venv/bin

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv, and see that Docker answers (installs it on Debian as root)
	@bash .dev/venv.sh
	@CONTEXTRL_PYTHON=$(BIN)/python bash .dev/docker.sh

demo: setup ## Build a small dataset of coding pairs from nothing
	@$(BIN)/contextrl-data build coding --config demo

test: setup lint ## Run every check: ruff, mypy, pytest (adds the extra [train] to .venv)
	@bash .dev/venv.sh train
	@bash .dev/chromium.sh
	@$(BIN)/python -m pytest -n auto --maxprocesses 4

test-train: setup ## Run the training tests alone
	@bash .dev/venv.sh train
	@$(BIN)/python -m pytest tests/stages/train tests/stages/views

test-views: setup ## Read the exported views with TRL, verl and SkyRL
	@bash .dev/venv.sh train
	@$(BIN)/python -m pytest tests/stages/views

lint: ## Run ruff and mypy
	@bash .dev/venv.sh
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: ## Write docs/cli.md and docs/configuration.md from the code
	@bash .dev/venv.sh
	@$(BIN)/python .dev/reference.py

bench: setup ## Print what is measured: sandbox and evaluation against their rivals, the audit on planted and clean sets
	@set -e; for name in sandbox evaluate secrets audit; do echo "== $$name"; $(BIN)/python tests/benchmarks/bench_$$name.py; done

bench-train: setup ## Print what training is measured by: learning over three seeds, gradients, the cost of L_CA
	@bash .dev/venv.sh bench
	@$(BIN)/python -m pytest tests/stages/train -m '' -s
	@$(BIN)/python tests/benchmarks/bench_train_logits.py

fuzz: setup ## Read 29,000 spoilt rows and pictures, a zstd bomb of 10 GB, lines of 1 GB; print what became of them
	@$(BIN)/python -m pytest tests/hostile -m campaign

soak: setup ## Print whether memory and handles stay flat over 5,000 sandbox runs
	@$(BIN)/python tests/benchmarks/bench_soak.py

FAULTS ?= 200
SEED ?= 1
chaos: setup ## Strike builds with FAULTS=200 faults (kills, full disks, failing servers), resume, and compare every byte
	@bash .dev/venv.sh train
	@PYTHONPATH=tests $(BIN)/python -m chaos --faults $(FAULTS) --seed $(SEED)

clean: ## Remove .venv, caches and built packages; runs under data/runs stay
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
