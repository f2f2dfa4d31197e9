# alfred's commands. `make help` lists them; each makes what it needs, from pins with hashes.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Another interpreter: make PYTHON=python3.12 test
PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest/bin
# More tests at once than there are cores, since many wait; those of a file share what they set up.
AT_ONCE = --numprocesses $$($(PYTHON) -c 'import os; print(os.cpu_count() + 2)') --dist loadfile --no-loadscope-reorder
# What calls numpy, scipy, matplotlib, rich, tqdm and the extras; the rest needs none of them.
LIBRARIES_USED := tests/analysis tests/examples tests/export tests/figures tests/report tests/search tests/utils

.PHONY: help demo test test-all lint lowest bench pins upgrade clean setup servers

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r target what; do \
		printf '%-14s %s\n' "$$target" "$$what"; done

demo: ## walk the six steps from schedules to comparisons on examples/digits
	@$(PYTHON) tools/setup.py .venv requirements/demo.txt requirements/dev.txt
	@$(BIN)/python examples/demo.py

test: lint ## check and test everything that needs neither root nor a server
	$(BIN)/python -m pytest $(AT_ONCE) -m "not server"

test-all: servers lint lowest ## the same with servers (installed as root) and with the lowest allowed versions
	$(BIN)/python -m pytest $(AT_ONCE)

lint: setup ## check style, types and the direction of imports
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

lowest: ## run the unit tests with the lowest versions that pyproject.toml allows
	@$(PYTHON) tools/setup.py .venv-lowest requirements/lowest.txt
	$(LOWEST)/python -m pytest $(AT_ONCE) -W default -m "not server" $(LIBRARIES_USED)

bench: setup ## list the benchmarks, programs that anyone can run
	@for program in benchmarks/*.py benchmarks/faults/*.py; do [ -e "$$program" ] || continue; \
		printf '%-40s %s\n' "$$program" "$$(sed -n '1s/"""//gp' "$$program")"; done

pins: ## bring requirements/*.txt up to pyproject.toml; what is pinned and fits stays
	@$(PYTHON) tools/setup.py --pins

upgrade: ## pin the newest versions of everything
	@$(PYTHON) tools/setup.py --upgrade

clean: ## remove what these commands made
	rm -rf .venv .venv-lowest .tools build demo dist .hypothesis .*_cache
	find alfred examples tests tools -name __pycache__ -prune -exec rm -rf {} +

setup:
	@$(PYTHON) tools/setup.py .venv requirements/dev.txt

servers:
	@tools/install_servers requirements/debian.txt
