# Every target makes the virtual environment first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-browser check bench faults atari clean

demo: $(READY)  ## The main job, end to end, in under six minutes
	$(BIN)/worldgan demo --out demo

test: $(READY)  ## All tests, a core each
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

test-browser: $(READY)  ## The page of `worldgan play` in Chromium, which is installed if it is missing (as root, on Debian)
	command -v chromium || { apt-get update && apt-get install --yes --no-install-recommends chromium; }
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[browser]'
	$(BIN)/python -c 'from worldgan.export import npm; npm.runtime()'  # fetched here: tests are refused a network
	$(BIN)/pytest -s tests/browser

check: $(READY)  ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## What this machine can do, and how much of it simulation and training get
	$(BIN)/python benchmarks/roofline.py --families gan mse
	$(BIN)/python benchmarks/simulate.py

faults: $(READY)  ## Kill, fill, cut, flip and mutate everything, and write docs/reliability.md; an hour or two
	$(BIN)/python tests/faults/run.py --out docs/results/faults.json --page docs/reliability.md

atari: $(READY)  ## The main job on Breakout and Pong, about 100 minutes; run it again to go on
	PATH="$(CURDIR)/$(BIN):$$PATH" benchmarks/atari.sh

# The virtual environment, with every extra that the tests use.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[atari,minatar,minigrid,crafter,control,onnx,openvino,minari,hub,play,sb3,cluster,dev]'
	touch $@

clean:  ## Remove the virtual environment and everything generated
	rm -rf $(VENV) demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
