# One verb per wish. `make` alone lists them. Everything is installed into .venv, once, at the versions of the lock files.
.PHONY: help run demo test check bench verify env clean

# Packages already in .venv for exactly these files leave a mark that carries their checksum: then nothing is installed.
RUN_MARK := .venv/run-$(shell cat requirements.txt requirements.lock | cksum | cut -d' ' -f1).ok
DEV_MARK := .venv/dev-$(shell cat requirements*.txt requirements*.lock | cksum | cut -d' ' -f1).ok
# A Python that was moved or upgraded away leaves an environment that cannot start: forget its marks.
$(shell .venv/bin/python -c '' 2>/dev/null || rm -f .venv/*.ok)
PY := .venv/bin/python
# Each of the many processes of a test would compile our source anew where this is set.
export PYTHONDONTWRITEBYTECODE :=

help:   ## list the verbs
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/'

run: $(RUN_MARK)   ## start it: live venues, or the simulated market if none answers
	@$(PY) app.py

demo: $(RUN_MARK)   ## start it on the simulated market; needs no network
	@$(PY) app.py serve --source sim

# Several at once, because most tests wait for sockets, processes or a page; machine code and the byte code of the tests are made before,
# or each would make its own.
# Pages come after the others: beside them they would go on drawing for as long as everything takes, and all of it would take longer.
# What fails beside others has to pass alone.
ALONE := --last-failed --last-failed-no-failures none
DEALT := --dist loadfile --no-loadscope-reorder
PLAIN := -m "not browser and not full"
PAGES := -m "browser and not full" tests/browser

test: $(DEV_MARK)   ## everything: lint, types, tests
	( $(PY) -c "from dope.market.ready import compile_all; compile_all()" && { $(PY) -m pytest -qq --collect-only >/dev/null || true; } ) & \
	$(MAKE) --no-print-directory check && wait $$!
	$(PY) -m pytest -q -n 4 $(DEALT) $(PLAIN) || $(PY) -m pytest -q $(PLAIN) $(ALONE)
	$(PY) -m pytest -q -n 3 $(DEALT) $(PAGES) || $(PY) -m pytest -q $(PAGES) $(ALONE)

check: $(DEV_MARK)   ## lint and types only
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(DEV_MARK)   ## CPU, latency and memory beside plain comparators; takes minutes, fails on no time
	$(PY) -m bench.run
	$(PY) -m bench.parts
	$(PY) -m bench.venues
	$(PY) -m bench.recorded
	$(PY) -m bench.latency
	$(PY) -m bench.watched
	$(PY) -m bench.memory
	$(PY) -m bench.store
	$(PY) -m bench.crowd

verify: $(DEV_MARK)   ## tests of full size and the benchmarks behind the promises, into tests/REPORT.md; some 30 minutes
	$(PY) -m tests.verify

env: $(DEV_MARK)   ## write .env.example and the settings table of the README anew
	$(PY) -m tests.settings_pages

clean:   ## remove the environment and caches; recordings and models stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(RUN_MARK): requirements.txt requirements.lock
	@PYTHON="$(PYTHON)"; \
	for each in $$PYTHON python3.11 python3; do \
	  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { found=$$each; break; }; \
	done; \
	[ -n "$$found" ] || { echo "DOPE needs Python 3.11 or newer; tried: $$PYTHON python3.11 python3. Name yours: make run PYTHON=/path/to/python" >&2; exit 1; }; \
	$(PY) -m pip --version >/dev/null 2>&1 || $$found -m venv --clear .venv
	$(PY) -m pip install -r requirements.txt -c requirements.lock
	@rm -f .venv/run-*.ok; touch $@

$(DEV_MARK): $(RUN_MARK) requirements-dev.txt requirements-dev.lock
	$(PY) -m pip install -r requirements-dev.txt -c requirements.lock -c requirements-dev.lock
	@rm -f .venv/dev-*.ok; touch $@
