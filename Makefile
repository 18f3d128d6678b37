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
test: lint types contracts unit quick-sanitize integration quick-bench  ## All checks that need no root, within minutes

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

# Two files of tests at a time, each in a process of its own with a server of its own.
IN_PAIRS := -n 2 --dist loadfile

.PHONY: unit
unit: $(INSTALLED)  ## Unit tests
	$(BIN)/pytest $(IN_PAIRS) tests/unit

.PHONY: coverage
coverage: $(INSTALLED)  ## Which branches the unit tests reach: 95 % of what needs no loop
	$(BIN)/pytest $(IN_PAIRS) tests/unit --cov --cov-report=json:build/coverage.json
	$(BIN)/python scripts/check_coverage.py build/coverage.json

.PHONY: integration
integration: server  ## Tests on a real livekit-server
	$(BIN)/pytest $(IN_PAIRS) tests/integration -m "not system"

# The tap's C core with threads of its own, and then both compiled modules in a copy of the sources.
SANITIZED := build/sanitized
SANITIZED_SO := $(SANITIZED)/.built
HARNESS := $(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -Isrc/pmon tests/native/harness.c -pthread
HARNESS_S ?= 3
CHURN_S ?= 600
# What an interpreter never frees at its end is no leak. Python's own allocator would hide from the
# sanitizer where one object ends and the next begins.
WITH_SANITIZED = LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(CURDIR)/$(SANITIZED)/src

.PHONY: sanitize
sanitize: sanitize-harness sanitize-modules  ## Sanitizers on the compiled parts; HARNESS_S=60 for longer

.PHONY: quick-sanitize
quick-sanitize: sanitize-harness
	$(MAKE) fuzz-harness FUZZ_N=50000
	$(MAKE) sanitize-modules SANITIZED_TESTS="tests/unit/test_tap.py tests/unit/test_tap_bytes.py tests/unit/test_dsp_kernels.py"

.PHONY: sanitize-harness
sanitize-harness:
	mkdir -p build
	for s in thread address,undefined; do \
		$(HARNESS) -fsanitize=$$s -fno-sanitize-recover=all -o build/harness && \
			build/harness $(HARNESS_S) || exit 1; \
	done

SANITIZED_TESTS ?= $(wildcard tests/unit/test_tap*.py) tests/unit/test_meters.py tests/unit/test_fuzz.py \
	tests/unit/test_dsp_kernels.py tests/unit/test_dsp_meters.py tests/unit/test_dsp_mic.py \
	tests/unit/test_dsp_native.py
.PHONY: sanitize-modules
sanitize-modules: $(SANITIZED_SO)
	$(WITH_SANITIZED) $(BIN)/pytest -q -p no:cacheprovider $(SANITIZED_TESTS)

$(SANITIZED_SO): $(INSTALLED)
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	tar --exclude='*.so' -cf - src setup.py pyproject.toml README.md LICENSE | tar -xf - -C $(SANITIZED)
	cd $(SANITIZED) && PMON_SANITIZE=1 $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace --parallel 2
	touch $@

.PHONY: sanitize-churn
sanitize-churn: $(SANITIZED_SO) server  ## Ten minutes of coming and going under sanitizers; CHURN_S=60 for less
	$(WITH_SANITIZED) PMON_CHURN_S=$(CHURN_S) $(BIN)/pytest -p no:cacheprovider \
		tests/integration/test_churn.py -m system -s

# Inputs that reach something new stay in build/fuzz and are where the next run begins.
FUZZED := build/fuzz
FUZZ_N ?=
FUZZ := PYTHONPATH=$(CURDIR)/src:tests/unit:tests/fuzz $(BIN)/python tests/fuzz/fuzz.py
FUZZ_C := $(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -Isrc/pmon \
	-fsanitize=address,undefined -fno-sanitize-recover=all
.PHONY: fuzz
fuzz: fuzz-harness  ## A million strange inputs for each parser, 20,000 for settings and HTTP; or FUZZ_N=1000
	$(BIN)/python -m pip install --quiet -c constraints.txt --group fuzz
	set -e; for parser in job_metadata agent_messages tap_bytes; do \
		$(FUZZ) $$parser $(or $(FUZZ_N),1000000); done
	set -e; for parser in settings http; do \
		$(FUZZ) $$parser $(or $(FUZZ_N),20000); done

.PHONY: fuzz-keep
fuzz-keep: $(INSTALLED)  ## Take what was found in build/fuzz into tests/fuzz/corpus, as far as it adds to it
	set -e; for parser in job_metadata agent_messages tap_bytes settings http; do \
		$(FUZZ) $$parser keep; done

.PHONY: fuzz-harness
fuzz-harness: $(INSTALLED)
	mkdir -p $(FUZZED)/tap_bytes
	$(FUZZ_C) -fsanitize-coverage=trace-pc -c tests/fuzz/tap_bytes.c -o $(FUZZED)/tap_bytes.o
	$(FUZZ_C) tests/fuzz/engine.c $(FUZZED)/tap_bytes.o -pthread -o $(FUZZED)/harness
	TAP_FIELDS="$$($(FUZZ) --tap-fields)" ASAN_OPTIONS=quarantine_size_mb=4 \
		$(FUZZED)/harness $(or $(FUZZ_N),1000000) 1 $(FUZZED)/tap_bytes tests/fuzz/corpus/tap_bytes

SDKS ?= 1.1.21 1.2.0 1.2.1
SDK_TESTS := $(wildcard tests/unit/test_tap*.py) \
	tests/integration/test_native.py tests/integration/test_native_events.py
.PHONY: sdks
sdks: server  ## The native tier's tests on each version of the SDK that it is said to work on
	set -e; for version in $(SDKS); do \
		test -d build/livekit-$$version || $(BIN)/python -m pip install --quiet --no-deps \
			--target build/livekit-$$version livekit==$$version; \
		export PYTHONPATH=$(CURDIR)/build/livekit-$$version; \
		$(BIN)/python -c "from livekit.rtc.version import __version__ as v; \
			assert v == '$$version', v; print('livekit', v)"; \
		$(BIN)/pytest $(IN_PAIRS) -q -m "not system" $(SDK_TESTS); \
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
bench-capacity: server bench-agents  ## What watching costs, on two idle cores; about an hour
	$(CAPACITY) --markdown build/capacity.md $(if $(CAPACITY_FLAGS),,--command 'make $@') \
		$(CAPACITY_FLAGS)

.PHONY: quick-capacity
quick-capacity: server  ## The same with a few people for three minutes: whether it works
	$(CAPACITY) --quick --out build/quick-capacity.json

# As SPEECH_FLAGS="--part tune --no-hours". The voices are Debian's; what is missing is named.
SPEECH_FLAGS :=
.PHONY: bench-speech
bench-speech: $(INSTALLED)  ## How well speech is found, beside other detectors; some ten minutes
	$(BIN)/python -m pip install --quiet -c constraints.txt --group bench-speech
	PYTHONPATH=benchmarks $(BIN)/python -m speech --markdown build/speech.md \
		--json build/speech.json $(if $(SPEECH_FLAGS),,--command 'make $@') $(SPEECH_FLAGS)

.PHONY: test-system
test-system: server sdks docs wheel  ## What takes many minutes or a whole machine; a missing tool is a failure
	$(MAKE) sanitize-modules
	$(MAKE) sanitize-churn CHURN_S=120
	$(BIN)/pytest $(IN_PAIRS) tests/integration -m "system and not alone" --durations=0 \
		--ignore tests/integration/test_churn.py
	PMON_WHEEL="$$(echo dist/*.whl)" $(BIN)/pytest tests/integration -m "system and alone" --durations=0

# Tools of a release have much that pmon must not come to need: they stand apart.
RELEASE := build/release
$(RELEASE)/.installed: pyproject.toml constraints.txt | $(INSTALLED)
	$(BIN)/python -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE)/bin/python -m pip install --quiet -c constraints.txt --group release
	touch $@

# auditwheel looks at which symbols of which glibc are needed, and names the tag that is true. The
# flags that this Python was itself linked with, a path to its libraries among them, stay out.
.PHONY: wheel
wheel: $(RELEASE)/.installed  ## A source package, and from it a wheel for other machines too, in dist/, tested
	rm -rf dist build/wheel
	LDSHARED="$(CC) -shared" $(RELEASE)/bin/python -m build --outdir build/wheel .
	PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH" auditwheel repair --wheel-dir dist build/wheel/*.whl
	cp build/wheel/*.tar.gz dist
	$(RELEASE)/bin/auditwheel show dist/*.whl
	$(MAKE) test-wheel

WHEEL_TESTS := tests/wheel tests/unit/test_interpreters.py tests/unit/test_dsp_meters.py
.PHONY: test-wheel
test-wheel: $(RELEASE)/.installed  ## The wheel in dist/, in a fresh environment outside of here
	set -e; where=$$(mktemp -d); trap 'rm -rf "$$where"' EXIT; \
	$(RELEASE)/bin/python -m venv "$$where/venv"; \
	"$$where/venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'; \
	"$$where/venv/bin/python" -m pip install --quiet -c constraints.txt --group wheel-test dist/*.whl; \
	mkdir "$$where/tests"; cp -r $(WHEEL_TESTS) "$$where/tests"; \
	cd "$$where" && venv/bin/python -m pytest tests

.PHONY: version-is
version-is:  # before a release: make version-is VERSION=1.2.3
	grep -qxF 'version = "$(VERSION)"' pyproject.toml

# What pmon brings to a machine with all its extras, and nothing else.
RUNTIME := build/runtime
$(RUNTIME)/.installed: $(SOURCES) | $(INSTALLED)
	$(BIN)/python -m venv --clear --without-pip $(RUNTIME)
	$(BIN)/python -m pip --python $(RUNTIME)/bin/python install --quiet -c constraints.txt \
		'.[analyze,history,postgres,silero]'
	touch $@

.PHONY: sbom
sbom: $(RUNTIME)/.installed $(RELEASE)/.installed  ## What pmon consists of, in build/sbom.json (CycloneDX)
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o build/sbom.json $(RUNTIME)/bin/python

# --strict: where PyPI does not answer, it is not "no known vulnerabilities".
.PHONY: audit
audit: $(RUNTIME)/.installed $(RELEASE)/.installed  ## Known vulnerabilities of what pmon brings (asks PyPI)
	$(RELEASE)/bin/python -m pip --python $(RUNTIME)/bin/python list --format freeze --exclude pmon-livekit \
		> build/runtime.txt
	$(RELEASE)/bin/pip-audit --strict --no-deps --disable-pip -r build/runtime.txt

PYTHONS ?= python3.11 python3.12 python3.13 python3.14 python3.14t
.PHONY: pythons
pythons:  ## Unit tests on each Python from 3.11 on that is to be had here
	failed=; for python in $(PYTHONS); do \
		if ! $$python -c '$(USABLE)' 2>/dev/null; then echo "no $$python here"; continue; fi; \
		$(MAKE) unit PYTHON=$$python VENV=build/$$(basename $$python) || failed="$$failed $$python"; \
	done; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

.PHONY: docs
docs: $(INSTALLED)  ## The documentation as a site in build/site
	$(BIN)/python -m pip install --quiet -c constraints.txt --group docs
	$(BIN)/python scripts/make_reference.py
	$(BIN)/mkdocs build --quiet

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
