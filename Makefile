# make demo   set up, run the whole journey on phantoms, say where the results are
# make test   set up, lint, types, import contract, tests
# make ui     Dagster and MLflow on the demo's data, on 127.0.0.1
# make bars   two hours: the laptop profile on phantoms of three seeds, judged on patients of three others
# make damaged  five minutes: 368 damaged inputs, each refused in words, in time, within its memory
# make audit  whether what is installed has known vulnerabilities; asks the package index
# make service  five minutes: Dagster's daemon makes everything of three subsets, and a fourth that arrives
# make kills  half an hour: 40 kills at random moments, each recovered from to the byte
# make bench  some twenty minutes: loading and learning beside plain baselines
# make setup, lint, fast, clean   install only; checks without tests; the fast tests; remove all of it
# Another Python: make demo PYTHON=python3.11

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= $(CURDIR)/demo
DAGSTER_PORT ?= 3000
MLFLOW_PORT ?= 5000
# A worker a core, a file at a time, each with one thread: half the time of one worker with two.
# In the files' order, or files of one long test come last and a core waits for another.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Nobody is told that this runs.
export DAGSTER_DISABLE_TELEMETRY = 1
export MLFLOW_DISABLE_TELEMETRY = true
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION = false

.PHONY: help setup demo test lint fast ui bars damaged audit kills service bench clean

help:
	@sed -n '/^#/!q;s/^# //p' Makefile

setup: $(VENV)/.installed

# The stamp is older than a file that says what to install: install again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "Python 3.11 or 3.12 is needed: make PYTHON=python3.11")'
	@echo "== Installing into $(VENV) (some minutes the first time)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python comes here without venv and pip. On Debian or Ubuntu: apt install python3-venv"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ui,k8s,s3,dicom,monai,dev]'
	@touch $@

demo: setup
	@echo "== The whole journey on phantoms, in $(DEMO)"
	@mkdir -p "$(DEMO)/dagster" && cp dagster.yaml "$(DEMO)/dagster/"
	@DAGSTER_HOME="$(DEMO)/dagster" $(BIN)/lung-pipeline demo --home "$(DEMO)"

lint: setup
	@echo "== Lint, types, import contract"
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports

test: lint
	@echo "== Tests (real data: LUNG_PIPELINE_REFERENCE_DATA, or ../shared/data where it is)"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)
	@echo "== All well. Next: make demo, then make ui"

fast: setup
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow' -x -q

ui: setup
	@test -d "$(DEMO)/dagster" || { echo "Nothing to show yet: make demo"; exit 2; }
	@cp dagster.yaml "$(DEMO)/dagster/"
	@DAGSTER_HOME="$(DEMO)/dagster" exec $(BIN)/lung-pipeline ui --home "$(DEMO)" \
	  --dagster-port $(DAGSTER_PORT) --mlflow-port $(MLFLOW_PORT)

bars: setup
	@$(BIN)/python benchmarks/phantoms.py --seeds 906 907 908

damaged: setup
	@$(BIN)/python benchmarks/damaged.py

audit: setup
	@$(BIN)/python benchmarks/audit.py

service: setup
	@$(BIN)/python benchmarks/service.py

kills: setup
	@$(BIN)/python benchmarks/kills.py

bench: setup
	@$(BIN)/python benchmarks/dagster_costs.py
	@$(BIN)/python benchmarks/loader.py
	@$(BIN)/python benchmarks/training.py

clean:
	@rm -rf $(VENV) "$(DEMO)" .mypy_cache .ruff_cache .pytest_cache .hypothesis
