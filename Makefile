# Every chore is one command; CI uses the same ones in .ci/run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
INSTALLED := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: install run test lint format ui docs pictures bench bench-peers clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (two to three minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m models.kernels
	@touch $@

run: install  ## train, compare and plot models on a sine wave
	@$(BIN)/tidecast train

test: install  ## in two processes: half of the tests wait for servers
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: install
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

ui: install  ## show this folder's runs in the MLflow UI
	@$(BIN)/mlflow server --backend-store-uri sqlite:///mlflow.db --default-artifact-root ./artifacts --host 127.0.0.1 --port 5000 --allowed-hosts 127.0.0.1:5000,localhost:5000

docs: install  ## write the reference of all options from the code
	@$(BIN)/python -c 'from flows.commands.app import app; print(app.generate_docs(output_format="markdown"))' > docs/cli.md

pictures: install  ## draw the README's pictures again; needs chromium
	@$(BIN)/python -m docs.pictures

bench: install  ## measure speed and memory, as ratios within one run
	@for name in training memory backtest overhead gpu; do $(BIN)/python -m benchmarks.$$name || exit 1; done

$(PEERS)/.installed: benchmarks/peers-constraints.txt
	@echo "Installing neuralforecast and darts into $(PEERS) (a few minutes, once)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --constraint benchmarks/peers-constraints.txt torch neuralforecast darts
	@touch $@

bench-peers: install $(PEERS)/.installed  ## measure other libraries on the same work
	@$(BIN)/python -m benchmarks.peers

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
