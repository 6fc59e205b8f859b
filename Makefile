# `make` lists what can be done here. It needs Python 3.11 or newer and nothing else: everything
# is installed into .venv, at the versions of constraints.txt, from wherever this machine's pip is
# configured to look. PYTHON=/path/to/python chooses the interpreter.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/made-in

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A pip configured for --user or --require-virtualenv still has to fill .venv.
export PIP_USER := 0
export PIP_REQUIRE_VIRTUALENV := 0
# Run this checkout, not another one that happens to be on the path; and compile it once, not at each start.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(STAMP) ## the main job, end to end, on a real PostgreSQL (KEEP=1: stay up before the revoke)
	@$(PY) -m demo

# Tests wait more than they work, so there is one worker more than there are cores on a small machine.
PARALLEL := -n 3 --dist loadfile

# The pure rooms are run first and alone, so that only their own tests count for their coverage.
.PHONY: test
test: $(STAMP) ## the fast ring (at most 3 minutes), with all branches of wire and domain
	$(PY) -m coverage run -m pytest -q -rs -m "not slow" tests/wire tests/domain
	$(PY) -m coverage report
	$(PY) -m pytest -q -rs -m "not slow" $(PARALLEL) --ignore=tests/wire --ignore=tests/domain

.PHONY: test-all
test-all: $(STAMP) ## everything that this machine can run (FULL=1: in full sizes)
	$(PY) -m pytest -q -rs $(PARALLEL)

# Peers are installed where that can be done; what is built stays in the user's cache.
.PHONY: bench
bench: $(STAMP) ## compare with peers, write docs/benchmarks.md: an hour (QUICK=1: 3 minutes, prints)
ifneq ($(filter-out 0,$(QUICK)),)
	@$(PY) -m bench --quick
else
	$(PY) -m pip install -q -c constraints.txt --no-build-isolation -e '.[bench]'
	@$(PY) -m bench --out docs
endif

.PHONY: fuzz
fuzz: $(STAMP) ## hostile frames against a live relay and agent for 10 minutes (SECONDS=60 SEED=…)
	@$(PY) -m tests.fuzz $(or $(SECONDS),600) $(SEED)

.PHONY: lint
lint: $(STAMP) ## form, strict types, and the arrows between the rooms
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy src tests $(wildcard demo bench)
	$(VENV)/bin/lint-imports

.PHONY: dev
dev: $(STAMP) ## make or renew .venv, and say how to use it
	@echo "Ready: . $(VENV)/bin/activate"

# The stamp holds where it was made: a copied or moved checkout, or a Python that has gone since,
# makes a new environment, as its links would lead elsewhere.
ifneq ($(shell $(PY) -c 'print(open("$(STAMP)").read())' 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# A python3.x may be there and not run (pyenv), hence the trial. Debian's python3 comes without
# ensurepip: there, pip installs itself into .venv, where Debian allows it.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	python=; \
	for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
		if "$$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Aditus needs Python 3.11 or newer, and $(or $(PYTHON),python3) is none: install one" \
			"(Debian, Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 2; \
	fi; \
	if [ "$$($(PY) -c 'print(open("$(STAMP)").read())' 2>/dev/null)" != "$(CURDIR)" ]; then \
		bare=; \
		if ! "$$python" -c 'import ensurepip' 2>/dev/null; then \
			bare=--without-pip; \
			"$$python" -m pip --version >/dev/null 2>&1 || { \
				echo "$$python has neither ensurepip nor pip, so nothing can be installed with it: install" \
					"its venv package (Debian, Ubuntu: python3-venv), then run make again." >&2; exit 2; }; \
		fi; \
		echo "Making $(VENV) with $$("$$python" --version): once, about half a minute" >&2; \
		"$$python" -m venv --clear $$bare $(VENV); \
		if [ "$$bare" ]; then \
			"$$python" -m pip install -q -c constraints.txt pip \
				--target "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
		fi; \
	fi; \
	$(PY) -m pip install -q -c constraints.txt hatchling; \
	$(PY) -m pip install -q -c constraints.txt --no-build-isolation -e '.[dev]'; \
	printf '%s' "$(CURDIR)" > $(STAMP)
