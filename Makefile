# Everything begins here: `make demo` to see pmon at work, `make test` to check it.
# Needed: Python >= 3.11 with its headers, a C compiler, make, git. The rest is fetched into .venv,
# and a livekit-server into ~/.cache/pmon unless a new enough one is on PATH.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin

# The newest Python that can make a virtual environment and build an extension.
USABLE := import ensurepip, os, sys, sysconfig; header = sysconfig.get_path("include") + "/Python.h"; \
	sys.exit(sys.version_info < (3, 11) or not os.path.exists(header))
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	if $$p -c '$(USABLE)' 2>/dev/null; then echo $$p; break; fi; done)

INSTALLED := $(VENV)/.installed
SOURCES := pyproject.toml constraints.txt setup.py \
	$(wildcard src/pmon/*.pyx src/pmon/*.pxd src/pmon/*.pxi src/pmon/*.h)

.PHONY: help
help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

$(INSTALLED): $(SOURCES)
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(USABLE)' || { \
		echo "pmon needs Python 3.11 or newer with venv and C headers; name one with PYTHON=" >&2; \
		exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e .
	touch $@

.PHONY: install
install: $(INSTALLED)  ## Make .venv with pmon and its tools

.PHONY: demo
demo: $(INSTALLED)  ## Three participants talk on a real livekit-server; pmon says who, and how long
	$(BIN)/pmon demo

.PHONY: server
server: $(INSTALLED)  ## Find or build the livekit-server of the demo and the tests
	$(BIN)/python -m pmon.cli.livekit_server

.PHONY: test
test: lint types contracts unit sanitize integration quick-bench  ## All checks that need no root, within minutes

.PHONY: lint
lint: $(INSTALLED)  ## ruff and cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint src

.PHONY: types
types: $(INSTALLED)  ## mypy, and the stubs of the compiled modules against what was compiled
	$(BIN)/mypy
	$(BIN)/stubtest pmon._dsp pmon._tap --allowlist tests/stubtest-allowlist.txt

.PHONY: contracts
contracts: $(INSTALLED)  ## Which part may import which
	$(BIN)/lint-imports

.PHONY: unit
unit: $(INSTALLED)  ## Unit tests
	$(BIN)/pytest tests/unit

.PHONY: integration
integration: server  ## Tests on a real livekit-server
	$(BIN)/pytest tests/integration -m "not system"

HARNESS_S := 3
.PHONY: sanitize
sanitize:  ## The tap's C code under ThreadSanitizer, AddressSanitizer and UBSan; HARNESS_S=60 for longer
	mkdir -p build
	for s in thread address,undefined; do \
		$(CC) -std=gnu11 -fsanitize=$$s -fno-sanitize-recover=all -g -O1 -Wall -Wextra \
			tests/native/harness.c -o build/harness -lpthread && build/harness $(HARNESS_S) || exit 1; \
	done

.PHONY: quick-bench
quick-bench: $(INSTALLED)
	$(BIN)/pytest benchmarks --benchmark-only --benchmark-max-time=0.3

.PHONY: bench
bench: $(INSTALLED)  ## Benchmarks, long enough to compare
	$(BIN)/pytest benchmarks --benchmark-only

AGENTS := build/agents
$(AGENTS)/.installed: benchmarks/agents-requirements.txt | $(INSTALLED)
	$(BIN)/python -m venv --clear $(AGENTS)
	$(AGENTS)/bin/python -m pip install --quiet -r benchmarks/agents-requirements.txt
	touch $@

.PHONY: bench-agents
bench-agents: $(AGENTS)/.installed

CAPACITY := PYTHONPATH=benchmarks $(BIN)/python -m capacity
# As CAPACITY_FLAGS="--only 'talking 120'"; --list names the blocks.
CAPACITY_FLAGS :=
.PHONY: bench-capacity
bench-capacity: server bench-agents  ## What watching costs, on two idle cores; more than an hour
	$(CAPACITY) --markdown build/capacity.md $(CAPACITY_FLAGS)

.PHONY: quick-capacity
quick-capacity: server  ## The same with a few people for two minutes: whether it works
	$(CAPACITY) --quick --out build/quick-capacity.json

.PHONY: test-system
test-system: server  ## What takes many minutes or a whole machine; a missing tool is a failure
	$(BIN)/pytest tests/integration -m system --durations=0

.PHONY: format
format: $(INSTALLED)  ## Format the code, fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: speech
speech: $(INSTALLED)  ## Make the committed speech again (needs espeak-ng and flite)
	$(BIN)/python scripts/make_speech.py

.PHONY: load-media
load-media: $(INSTALLED)  ## Make the media of the load generator again
	$(BIN)/python -m pip install --quiet 'av>=18'
	$(BIN)/python scripts/make_loadgen_media.py

.PHONY: clean
clean:  ## Remove .venv and all that was built; the cached livekit-server stays
	rm -rf $(VENV) build dist src/*.egg-info src/pmon/*.so
	rm -rf .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
