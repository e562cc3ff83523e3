# demo: install and fit the embedded digits. check: style, types and the quick tests. test: all laws.
# extras: the laws of runtimes that `test` leaves out, each in an environment of its own.
# soak: laws on all their cases, and many more kills and malformed inputs. explore: laws with inputs drawn anew.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# Two processes; the one that is done takes half of what the other has left.
TWO := $(PYTEST) -n 2 --dist worksteal
# Without kept bytecode each of the processes that tests start would compile torch anew, for a quarter of a minute.
export PYTHONDONTWRITEBYTECODE :=
# uv does in seconds what takes pip minutes, and is not everywhere.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable
INSTALL_BY_PIP = $(BIN)/pip install --quiet --constraint constraints.txt --editable

.PHONY: demo test extras soak explore seconds coverage check docs lint install clean

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	-$(BIN)/pip install --quiet --constraint constraints.txt uv

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) . || $(INSTALL_BY_PIP) .
	touch $@

$(VENV)/.tested: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) '.[test]' || $(INSTALL_BY_PIP) '.[test]'
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	$(BIN)/ridgepoint fit digits --latency 0.2ms --time 4m

# What a busy machine's clock alone has failed is run again with nobody beside it, twice at most.
AGAIN := $(PYTEST) --last-failed --last-failed-no-failures none --clocks-again
test: $(VENV)/.tested
	$(TWO) --cache-clear $(SKIPS) || { [ $$? = 1 ] && { $(AGAIN) || $(AGAIN); }; }
	$(PYTEST) -m alone $$(grep -rl "mark.alone" tests --include "test_*.py")

# What is large, or excludes the versions of others. Core ML's tools come with ExecuTorch.
EXTRAS := executorch litert-convert
INTO = $(BIN)/uv pip install --quiet --python $(VENV)-$*/bin/python
WANTED = --editable '.[$*]' pytest pytest-timeout pytest-xdist hypothesis filelock
TESTS_OF_EXTRAS := tests/testing tests/tasks/test_tasks_elsewhere.py tests/deploy/test_deploy_coreml.py \
	tests/report/test_report_snippets.py

extras: $(EXTRAS:%=extras-%)

extras-%: $(VENV)-%/.tested
	OMP_NUM_THREADS=1 $(VENV)-$*/bin/python -m pytest -n 2 --dist worksteal $(SKIPS) $(TESTS_OF_EXTRAS) \
		-k "executorch or litert or coreml or model.pte or model.tflite"

.PRECIOUS: $(VENV)-%/.tested
$(VENV)-%/.tested: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)-$*
	$(INTO) --constraint constraints.txt $(WANTED) 2>/dev/null || $(INTO) $(WANTED) || $(VENV)-$*/bin/pip install --quiet $(WANTED)
	touch $@

soak: $(VENV)/.tested
	$(TWO) -m soak
	$(BIN)/python tests/fuzz/run.py --count 1000 --jobs 2
	$(BIN)/python tests/run/kills.py --count 200
	$(BIN)/python tests/run/kills.py --count 10 --verbs anytime
	$(BIN)/python tests/run/calibration_kills.py
	$(BIN)/python tests/workers/worker_kills.py 20

# The laws over random networks, spaces and documents, with inputs drawn anew; `make test` draws the same ones each time.
explore: $(VENV)/.tested
	$(TWO) --hypothesis-profile explore $$(grep -rl "from hypothesis" tests --include "test_*.py")

# What every test takes, for `make check` and for who begins with what.
seconds: $(VENV)/.tested
	$(TWO) --write-seconds

coverage: $(VENV)/.tested
	$(TWO) --cov=ridgepoint --cov-report=term:skip-covered

check: $(VENV)/.tested lint
	$(TWO) -m "not slow and not soak"

# The site, in site/; a link that leads nowhere ends it. Look at it with: python -m http.server --directory site
docs: $(VENV)/.documented
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.documented: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) '.[docs]' || $(INSTALL_BY_PIP) '.[docs]'
	touch $(VENV)/.installed $@

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(EXTRAS:%=$(VENV)-%) runs site
