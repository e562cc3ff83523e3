# demo: install and fit the embedded digits. test: install what tests need and run them all. check: the quick set.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes, whole files, in their order: by xdist's own, files of few tests come last, the longest among them.
TWO := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test coverage check lint install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/ridgepoint fit digits --latency 0.2ms --time 4m

test: $(VENV)/.tested
	$(TWO) || \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --last-failed --last-failed-no-failures none  # again, alone: clocks

coverage: $(VENV)/.tested
	$(TWO) --cov=ridgepoint --cov-report=term:skip-covered

check: $(VENV)/.tested lint
	$(TWO) -m "not slow"

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) runs
