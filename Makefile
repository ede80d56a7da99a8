# The project's verbs. Everything sets itself up; see CONTRIBUTING.md.
#   PYTHON=python3.13   another interpreter      VENV=.venv-3.13   another environment
#   ARGS="-k rename"    arguments for pytest or the bench
#   MOMENTS=50 SEED=7   how many moments a soak has, and which
#   WORKERS=0           test in one process; default: one for each core and one more, because
#                       tests wait for servers

VENV ?= .venv
WORKERS ?= $(shell expr $$(nproc) + 1)
export VENV PYTHON
# The tests start hundreds of processes: what one has compiled, the others read.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
MOMENTS ?= 200
SEED := $(or $(SEED),$(shell date +%s))
SOAKED := $(addprefix tests/acceptance/test_,kills.py changed_kills.py daemon_kills.py) \
  tests/integration/test_equivalence.py \
  $(addprefix tests/unit/oidc/test_differential,.py _keys.py)

.PHONY: help demo test cover soak check format bench image lock setup clean

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## /  make \1  /p' $(MAKEFILE_LIST)

demo: ## see the main job: a small company, its first sync, changes, explain
	@scripts/bootstrap demo
	@$(BIN)/python -m demo

test: ## all tests, with the real servers that they need
	@scripts/bootstrap dev
	@scripts/system-packages
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

cover: ## all tests, and which lines and branches they reach; takes twice as long
	@scripts/bootstrap dev
	@scripts/system-packages
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term $(ARGS)

soak: ## sudden ends at 200 random moments of each kind, and long histories; takes an hour
	@scripts/bootstrap dev
	@scripts/system-packages
	@echo "the same again: make soak MOMENTS=$(MOMENTS) SEED=$(SEED)"
	@SYNCD_SOAK=$(MOMENTS) SYNCD_SOAK_SEED=$(SEED) $(BIN)/python -m pytest \
	  -n $(WORKERS) --dist worksteal $(ARGS) $(SOAKED)

check: ## linters, types and contracts, without the tests
	@scripts/bootstrap dev
	@scripts/check

format: ## put the code in its form
	@scripts/bootstrap dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: ## speed and memory beside ldapsearch; takes minutes
	@scripts/bootstrap dev
	@scripts/system-packages
	@$(BIN)/python -m bench $(ARGS)

image: ## build the container image without a registry and run it; as root, minutes
	@scripts/image-test $(ARGS)

lock: ## solve the versions anew and write requirements/*.txt
	@scripts/bootstrap dev
	scripts/lock

setup: ## the environment for development, nothing more
	@scripts/bootstrap dev

clean: ## remove what the other verbs made
	rm -rf $(VENV) build dist bench/out .coverage .coverage.* .hypothesis .*_cache
