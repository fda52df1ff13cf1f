# Two commands, on a machine with only Python 3.11+, git and make: `make demo` and `make test`.
# Everything is installed into .venv once, in the versions that constraints.txt names.

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs openapi benchmark

BIN := .venv/bin
# PIP_CONSTRAINT is read by every pip; since pip 25.3 the build's own environment needs its own.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt \
	PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq
# pip learned to read dependency groups in 25.1; the one that comes with Python may be older.
DEV_REQUIREMENTS := import tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
	print(*project["build-system"]["requires"], *project["dependency-groups"]["dev"], sep="\n")
# GitHub's description of its API: 13 MB that only tests read, so it comes from npm when asked for.
OPENAPI := @octokit/openapi@23.0.2
OPENAPI_FILE := .venv/github-openapi-$(lastword $(subst @, ,$(OPENAPI))).json
# Without its byte code every start of the program, and of the tests, compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE
# Half of the time tests wait, for programs and for clocks: two for each of two cores.
WORKERS ?= 4
# Where the documents are built as a site
SITE ?= build/site
# What looks for barriers in our pages; only tests read it.
AXE := axe-core@4.14.1
AXE_FILE := .venv/axe-core-$(lastword $(subst @, ,$(AXE))).js
# More arguments for pytest: make test ARGS="-k trigger"
ARGS ?=

help:
	@echo "make demo       see an issue go from a label to a merge; no account, no network"
	@echo "make test       run all tests"
	@echo "make lint       run the linters, the type checker and the import contracts"
	@echo "make docs       build the documents as a site; a link that leads nowhere is an error"
	@echo "make openapi    get GitHub's description of its API, with npm, for the tests that need it"
	@echo "make axe        get axe-core, with npm, for the tests of the pages that need it"
	@echo "make benchmark  run the benchmarks against their limits"

demo: .venv/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/repoagents demo
	@echo 'To type repoagents in this shell: export PATH="$(CURDIR)/$(BIN):$$PATH"'

test: .venv/installed-dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: .venv/installed-dev
	@$(BIN)/sphinx-build -q -W --keep-going -b html -c docs . $(SITE)
	@echo "$(SITE)/docs/index.html"

openapi: $(OPENAPI_FILE)

axe: $(AXE_FILE)

benchmark: .venv/installed-dev
	@for limit in benchmarks/*.py; do echo "== $$limit"; $(BIN)/python "$$limit" || exit 1; done

# npm checks what it gets against the registry's checksum.
$(OPENAPI_FILE): | .venv/made
	@command -v npm >/dev/null || { echo "make openapi needs npm, which comes with Node.js" >&2; exit 1; }
	@echo "Getting $(OPENAPI) (once, 30 MB) ..."
	@rm -rf .venv/npm .venv/github-openapi-*.json && mkdir .venv/npm
	@npm pack --silent --pack-destination .venv/npm $(OPENAPI) >/dev/null
	@tar -xzf .venv/npm/*.tgz -C .venv/npm package/generated/api.github.com.json
	@mv .venv/npm/package/generated/api.github.com.json $@
	@rm -rf .venv/npm && touch $@

$(AXE_FILE): | .venv/made
	@command -v npm >/dev/null || { echo "make axe needs npm, which comes with Node.js" >&2; exit 1; }
	@echo "Getting $(AXE) (once, 0.6 MB) ..."
	@rm -rf .venv/npm-axe .venv/axe-core-*.js && mkdir .venv/npm-axe
	@npm pack --silent --pack-destination .venv/npm-axe $(AXE) >/dev/null
	@tar -xzf .venv/npm-axe/*.tgz -C .venv/npm-axe package/axe.min.js
	@mv .venv/npm-axe/package/axe.min.js $@
	@rm -rf .venv/npm-axe && touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing the test tools (once, a minute or two) ..."
	@$(BIN)/python -c '$(DEV_REQUIREMENTS)' > .venv/dev-requirements.txt
	@$(PIP) -r .venv/dev-requirements.txt
	@touch $@

.venv/installed: pyproject.toml constraints.txt .venv/made
	@echo "Installing the program (once, about a minute) ..."
	@$(PIP) -e .
	@touch $@

.venv/made:
	@found=; if ! $(BIN)/python -c "import pip" 2>/dev/null; then \
		for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
			if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
			then found=$$candidate; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "No Python 3.11 or newer was found: install one, or name it: make PYTHON=PATH" >&2; \
			exit 1; \
		fi; \
		if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$found lacks the venv module (on Debian and Ubuntu: apt install python3-venv)," >&2; \
			echo "or name another Python: make PYTHON=PATH" >&2; \
			exit 1; \
		fi; \
		echo "Making .venv with $$found ..."; \
		"$$found" -m venv --clear .venv || exit 1; \
	fi
	@touch $@
