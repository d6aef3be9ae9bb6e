# make demo   the whole node on this machine, with made-up studies  (ARGS=--exit ends by itself)
# make test   the tests
# make check  style, types and import contracts, cheapest first

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check install clean

demo: $(STAMP)
	$(BIN)/triage-node demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check triage_node tests migrations
	$(BIN)/ruff format --check triage_node tests migrations
	$(BIN)/lint-imports
	$(BIN)/mypy

install: $(STAMP)

# pip says nothing for a minute while it unpacks: the second line of the recipe does, every other second, until its shell ends.
$(STAMP): setup.cfg setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	@(n=0; while sleep 2 && kill -0 $$$$ 2>/dev/null; do n=$$((n + 2)); echo "  installing into $(VENV) ... $$n s"; done) & \
	trap "kill $$! 2>/dev/null" EXIT; \
	echo "installing into $(VENV)"; \
	$(PYTHON) -m venv $(VENV) && \
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[test,check,training]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) var build dist *.egg-info
