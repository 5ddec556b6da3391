# make run   sets everything up in .venv and runs the agent on TRAIL=path, or the demo without it
# make test  sets everything up and runs the tests
# make faults runs the long fault tests: everything around the writer is broken
# make check is what continuous integration runs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FUZZ_TARGETS := judge sieves scan require salvage
FUZZ_SECONDS := 200

.PHONY: run test check lint concurrency model faults tamper-storm legitimate-storm benchmark fuzz fuzz-native fuzz-keep clean

NATIVE := $(wildcard auditwatch/trail/judge/*.[ch])

# Builds the native judge, too; without a C compiler Python judges, and `auditwatch --version` says so.
$(STAMP): pyproject.toml setup.py auditwatch/_version.py $(NATIVE)
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("auditwatch needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[agent]' --group dev
	touch $@

run: $(STAMP)
ifdef TRAIL
	$(BIN)/auditwatch run "$(TRAIL)"
else
	$(BIN)/auditwatch demo
endif

test: $(STAMP)
	$(BIN)/pytest -n auto --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/pytest -n auto --dist worksteal
	$(BIN)/pytest -n auto --doctest-modules auditwatch

# Races hide: a test that passes once may fail one time in ten.
concurrency: $(STAMP)
	for round in 1 2 3 4 5 6 7 8 9 10; do \
	  echo "concurrency, round $$round of 10"; \
	  $(BIN)/pytest -n auto -q -m concurrency || exit 1; \
	done

# Forty times as many histories of the ledger as the tests make. It takes a quarter of an hour.
model: $(STAMP)
	AUDITWATCH_MODEL_EXAMPLES=20000 $(BIN)/pytest -q -n 2 -p no:cacheprovider --timeout 7200 tests/ledger/test_model.py

# The long fault programme takes about ten minutes, and needs root and the tools that docs/robustness.md names. The
# short one is part of the tests.
faults: $(STAMP)
	AUDITWATCH_FAULTS=long $(BIN)/pytest -n auto tests/faults

# Real agents over trails that are edited, and over trails to which nothing happens that should not: what is missed or
# falsely reported is printed with the seed that brings it back. Some 15 minutes each for N=2000.
N := 200

tamper-storm: $(STAMP)
	$(BIN)/python -m tests.faults.storms.tamper --edits $(N) --megabytes 1.4 1.4 1.4 10 $(STORM)

legitimate-storm: $(STAMP)
	$(BIN)/python -m tests.faults.storms.legitimate --histories $(N) $(STORM)

benchmark: $(STAMP)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

# Twenty minutes in all; make fuzz FUZZ_SECONDS=3600 takes an hour per target. What is found stays in .fuzz/;
# `make fuzz-keep` adds inputs that reach more of the code to fuzz/corpus, which tests/fuzz replays.
fuzz: $(STAMP) fuzz-native
	$(BIN)/python -m pip install --quiet --group fuzz
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p .fuzz/$$target; \
	  nice -n 15 $(BIN)/python -m fuzz $$target .fuzz/$$target fuzz/corpus/$$target -max_total_time=$(FUZZ_SECONDS) \
	    -max_len=4096 -timeout=10 -rss_limit_mb=1024 -artifact_prefix=.fuzz/$$target- -print_final_stats=1 || exit 1; \
	done

# The native judge alone, in C, with libFuzzer, which comes with clang (Debian: clang libclang-rt-14-dev).
fuzz-native:
	mkdir -p .fuzz/native
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all fuzz/native.c -o .fuzz/native.out
	nice -n 15 .fuzz/native.out .fuzz/native fuzz/corpus/sieves -max_total_time=$(FUZZ_SECONDS) \
	  -max_len=4096 -timeout=10 -rss_limit_mb=1024 -artifact_prefix=.fuzz/native- -print_final_stats=1

fuzz-keep: $(STAMP)
	for target in $(FUZZ_TARGETS); do \
	  mv fuzz/corpus/$$target .fuzz/$$target-before && mkdir fuzz/corpus/$$target && \
	  $(BIN)/python -m fuzz $$target -merge=1 fuzz/corpus/$$target .fuzz/$$target-before .fuzz/$$target && \
	  rm -r .fuzz/$$target-before || exit 1; \
	done

clean:
	rm -rf build auditwatch.egg-info auditwatch/trail/judge/_native*.so $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
