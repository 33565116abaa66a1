# Two commands on a machine that has Python 3.11 or later and make: `make demo` and `make test`.
# Everything else is installed into .venv, at the versions of constraints.txt.

.PHONY: setup test check simulate replay chaos soak bench bench-quick bench-gpu demo adapter-table constraints clean
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := local,faust,test,check,bench,openvino

# Extra arguments: make test PYTEST_ARGS="tests/unit -x", make demo DEMO_ARGS="--quick".
PYTEST_ARGS ?=
# Tests wait for servers about as much as they compute, so there is one worker more than there are cores. Each has
# servers of its own, so at most four; 0: no workers.
TEST_WORKERS ?= $(shell python3 -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))' 2>/dev/null || echo 3)
DEMO_ARGS ?=
# Histories of the simulation, and the one that is told by make replay.
SEEDS ?= 20000
SEED ?= 0
BUG ?=
# The campaign of real kills; CHAOS_ARGS="--seed N" lets it fall as before, "--into FILE" goes on with an earlier one.
MINUTES ?= 20
CHAOS_ARGS ?=
SOAK_ARGS ?=
# Names of benchmarks (B2 B5), and --into FOLDER.
BENCH_ARGS ?=

# Downloads are large: a slow line is not an error.
export UV_HTTP_TIMEOUT ?= 300

help:
	@echo "make demo    the whole thing on this machine, on a real corpus   (DEMO_ARGS=...)"
	@echo "make test    all checks and all tests, with real Kafka           (PYTEST_ARGS=...)"
	@echo "make simulate  random histories under faults, and ten deliberate bugs   (SEEDS=20000)"
	@echo "make replay  one history, step by step                           (SEED=... BUG=...)"
	@echo "make chaos   real kills on real servers, again and again         (MINUTES=20)"
	@echo "make soak    half an hour of arrivals above what the embedder can do   (SOAK_ARGS=\"--minutes 30\")"
	@echo "make bench   every benchmark, about an hour                      (BENCH_ARGS=\"B1 B5\")"
	@echo "make bench-quick  all of them, small, under a minute"
	@echo "make check   lint, format, types, layers"
	@echo "make setup   .venv with pinned versions; the others do it when needed"
	@echo "make clean   stops the local stack and removes its data and all caches"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@python=$${PYTHON:-}; \
	for candidate in python3 python3.11 python3.12 python3.13 python3.14; do \
	    test -z "$$python" || break; \
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; fi; \
	done; \
	test -n "$$python" || { echo "Python 3.11 or later is needed: install it, or name it with PYTHON=..." >&2; exit 1; }; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@echo "fetching the jars of Kafka, Kafka Connect and Debezium"
	@$(BIN)/python -m compose.native.jars || echo "the local stack will try again when it starts"
	@echo "preparing quick starts of Kafka and Kafka Connect"
	@$(BIN)/python -m compose.native.quick_start || true
	@touch $@

test: check
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

simulate: setup
	PYTHONPATH=tests $(BIN)/python tests/simulation/campaign.py --seeds $(SEEDS)

replay: setup
	PYTHONPATH=tests $(BIN)/python tests/simulation/replay.py $(SEED) $(BUG)

# Real servers, real kills, each fault at least twice; the table it prints is that of docs/reliability.md.
chaos: setup
	PYTHONPATH=tests $(BIN)/python -m chaos.campaign --minutes $(MINUTES) $(CHAOS_ARGS)

# Speed, as ratios of two sides in one run: docs/performance.md.
bench: setup
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-quick: setup
	$(BIN)/python -m benchmarks --quick $(BENCH_ARGS)

# Memory, queues and lag under constant and bursty arrival.
soak: setup
	PYTHONPATH=tests $(BIN)/python -m soak.campaign $(SOAK_ARGS)

demo: setup
	$(BIN)/embedstream demo $(DEMO_ARGS)

# The table of laws and index adapters in docs/index-adapters.md, from a run of the shared suite.
adapter-table: setup
	PYTHONPATH=tests $(BIN)/python -m pytest -q -p law_table --law-table docs/index-adapters.md \
	    tests/adapters/test_vector_index_laws.py tests/adapters/test_vector_index_reading_laws.py \
	    tests/adapters/test_vector_index_model.py tests/adapters/test_index_catalog_laws.py \
	    tests/adapters/test_vector_index_filter_laws.py tests/adapters/test_mark_bin_laws.py

# Moves every pin to the newest version that goes together.
constraints: setup
	$(BIN)/uv pip compile pyproject.toml --extra local --extra faust --extra test --extra check --extra bench --extra openvino --universal \
	    --python-version 3.11 --upgrade --no-header --no-annotate --quiet --output-file constraints.txt
	@$(BIN)/uv --version | sed 's/^uv \([^ ]*\).*/uv==\1/' >> constraints.txt

clean:
	@! test -f $(STAMP) || $(BIN)/python -c 'from compose.native.stack import Stack; Stack().remove()'
	rm -rf data build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
