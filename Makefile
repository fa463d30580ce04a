# make demo   set up, run the whole journey on phantoms, say where the results are
# make test   set up, lint, types, import contract, tests
# make ui     Dagster and MLflow on the demo's data, on 127.0.0.1
# make bars   an hour: the laptop profile on phantoms of three seeds, judged on patients of three others
# make damaged  five minutes: 368 damaged inputs, each refused in words, in time, within its memory
# make bench  ten minutes: loading and learning beside plain baselines

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= $(CURDIR)/demo
DAGSTER_PORT ?= 3000
MLFLOW_PORT ?= 5000

# Nobody is told that this runs.
export DAGSTER_DISABLE_TELEMETRY = 1
export MLFLOW_DISABLE_TELEMETRY = true

.PHONY: help setup demo test lint fast ui bars damaged bench clean

help:
	@sed -n '1,6s/^# //p' Makefile

setup: $(VENV)/.installed

# The stamp is older than a file that says what to install: install again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo "== Installing into $(VENV) (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ui,k8s,s3,dicom,monai,dev]'
	@touch $@

demo: setup
	@echo "== The whole journey on phantoms, in $(DEMO)"
	@mkdir -p $(DEMO)/dagster && cp dagster.yaml $(DEMO)/dagster/
	@DAGSTER_HOME=$(DEMO)/dagster $(BIN)/lung-pipeline demo --home $(DEMO)

lint: setup
	@echo "== Lint, types, import contract"
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports

test: lint
	@echo "== Tests (real data: LUNG_PIPELINE_REFERENCE_DATA, or ../shared/data where it is)"
	@$(BIN)/python -m pytest
	@echo "== All well. Next: make demo, then make ui"

fast: setup
	@$(BIN)/python -m pytest -m 'not slow' -x -q

ui: setup
	@test -d $(DEMO)/dagster || { echo "Nothing to show yet: make demo"; exit 2; }
	@cp dagster.yaml $(DEMO)/dagster/
	@echo "== Dagster http://127.0.0.1:$(DAGSTER_PORT)   MLflow http://127.0.0.1:$(MLFLOW_PORT)   (Ctrl-C ends both)"
	@trap 'kill 0' INT TERM EXIT; \
	export DAGSTER_HOME=$(DEMO)/dagster LUNG_PIPELINE_HOME=$(DEMO); \
	$(BIN)/dagster-daemon run -w workspace.yaml & \
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --workers 1 --host 127.0.0.1 --port $(MLFLOW_PORT) \
	  --backend-store-uri sqlite:///$(DEMO)/mlflow/mlflow.db --artifacts-destination $(DEMO)/mlflow/artifacts & \
	$(BIN)/dagster-webserver -w workspace.yaml -h 127.0.0.1 -p $(DAGSTER_PORT) & \
	wait

bars: setup
	@$(BIN)/python benchmarks/phantoms.py --seeds 901 902 903

damaged: setup
	@$(BIN)/python benchmarks/damaged.py

bench: setup
	@$(BIN)/python benchmarks/loader.py
	@$(BIN)/python benchmarks/training.py

clean:
	@rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
