# make book   the executed page, from a bare Python 3.11, 3.12 or 3.13
# make test   all tests: the package, the notebooks (one execution), the page
# make help   the rest

PYTHON ?= python3

ENV := .venv
RUN := $(ENV)/bin/python
# Two stamps: what readers need, and that with what developers need.
BOOK := $(ENV)/ready-book
TESTS := $(ENV)/ready-test
# a worker a core, one thread each: small products are fastest so
TEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(RUN) -m pytest -n auto --maxprocesses 4

.PHONY: help book test course env lab colab constraints student instructor nbgrader otter slides scorm format matrix clean

help:
	@echo "make book    execute the notebooks and build the page (OPEN=1 opens it)"
	@echo "make test    run every test"
	@echo "make lab     work in JupyterLab"
	@echo "make format  tidy code and strip notebooks of outputs"
	@echo "make matrix  test every Python, the oldest and newest packages, every torch (hours)"
	@echo "make course  write what course.toml says into the files that say so"
	@echo "make slides  a deck of slides for each session of a class"
	@echo "make scorm   the built pages as a ZIP that learning platforms import (EDITION=student)"
	@echo "make student, make instructor   editions without solutions; with everything and the rubrics"
	@echo "make nbgrader, make otter   the exercises as these graders want them"
	@echo "make colab   write the notebooks that Colab opens, to _build/colab"
	@echo "make constraints  write the installed versions, with hashes, to constraints.txt"
	@echo "make clean   remove pages and executed notebooks (the environment is $(ENV))"
	@echo ""
	@echo "Settings: PYTHON=python3.12, EXPLAINREC_SETTINGS=ci|cpu|gpu, EXPLAINREC_DATA=folder,"
	@echo "UV_TORCH_BACKEND=cpu|cu128|... (PyTorch's build; by itself it suits the machine)"

book: $(BOOK)
	@$(RUN) book/_tools/build.py
	@if [ -n "$(OPEN)" ]; then $(RUN) -m webbrowser "file://$(CURDIR)/_build/html/index.html"; fi

# Package and house first (fast), then the notebooks and the page, then what came out of them.
test: $(TESTS)
	$(TEST) tests --ignore=tests/notebooks --ignore=tests/site
	$(RUN) book/_tools/build.py
	$(RUN) book/_tools/editions.py student instructor slides
	$(RUN) book/_tools/scorm.py
	$(TEST) tests/notebooks tests/site

lab: $(BOOK)
	$(RUN) -m jupyter lab book

colab: $(BOOK)
	$(RUN) book/_tools/colab.py

# Editions from the executed notebooks: only what changed runs again.
student instructor nbgrader otter slides: $(BOOK)
	@$(RUN) book/_tools/editions.py $@

# The pages that students see as a rule, or an edition's.
scorm: $(or $(EDITION),book)
	@$(RUN) book/_tools/scorm.py $(EDITION)

# One line changed in course.toml suffices: what reads the book comes after it.
book test lab colab student instructor nbgrader otter slides scorm: course
course: $(BOOK)
	@$(RUN) book/_tools/identity.py

format: $(TESTS)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	find book -name '*.ipynb' -not -path '*/.*' -exec $(RUN) -m nbstripout {} +

# The declared versions, proved. A row is a Python with the oldest or the newest packages (the
# tests of the package; types and style are those of the newest), or a release of torch (the
# engine's tests). `make matrix/torch-2.6` runs one row.
ENGINE := $(wildcard tests/oracles/test_lrp_* tests/laws/test_*programs.py \
  tests/unit/test_lrp_*)
PACKAGE := tests --ignore=tests/notebooks --ignore=tests/site
PYTHONS := 3.11 3.12 3.13
TORCHES := 2.6 2.7 2.8 2.9 2.10 2.11 2.12 2.13 2.14 2.15
ROWS := $(PYTHONS:%=python-%-lowest) $(PYTHONS:%=python-%-newest) $(TORCHES:%=torch-%)

# The versions that are installed here, where they suit every Python; with hashes, without hosts.
PINS := constraints.txt
constraints: $(TESTS)
	$(RUN) -m uv pip freeze -q --exclude-editable | sed '/ @ /d; s/+.*//' >$(PINS).part
	$(RUN) -m uv pip compile -q --universal --python-version $(firstword $(PYTHONS)) \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --extra test \
	  pyproject.toml -o $(PINS).part
	{ echo "# The versions that passed, by 'make constraints'. How to use it: README.md."; \
	  cat $(PINS).part; } >$(PINS).new
	mv $(PINS).new $(PINS) && rm $(PINS).part

# Each row in turn, whatever became of the one before; red if one is.
matrix: $(TESTS)
	@$(MAKE) --keep-going --no-print-directory -j1 $(ROWS:%=matrix/%)

matrix/python-%-lowest: $(TESTS)
	$(call matrix_row,$*,--resolution lowest-direct,$(PACKAGE) --ignore=tests/house)
matrix/python-%-newest: $(TESTS)
	$(call matrix_row,$*,,$(PACKAGE))
matrix/torch-%: $(TESTS)
	$(call matrix_row,$(PYTHON),'torch==$*.*',$(ENGINE))

# $1 Python, $2 what the environment is to hold, $3 tests. The environment goes when it has passed.
define matrix_row
	$(RUN) -m uv venv -q --clear --python $1 .matrix/$(@F)
	$(RUN) -m uv pip install -q --python .matrix/$(@F) --only-binary :all: $2 \
	  -r pyproject.toml --extra test
	$(RUN) -m uv pip install -q --python .matrix/$(@F) --no-deps -e .
	OMP_NUM_THREADS=1 .matrix/$(@F)/bin/python -m pytest -q -n auto --maxprocesses 4 $3
	rm -rf .matrix/$(@F)
endef

clean:
	rm -rf _build .executed .matrix

# The environment: made again when pyproject.toml changes. uv is fast; pip does the same slowly.
env: $(BOOK)

$(BOOK): pyproject.toml
	$(call install,book)

$(TESTS): pyproject.toml
	$(call install,test)
	@touch $(BOOK)

# PyTorch's own index has builds without GPU libraries; uv chooses what suits the machine. Where
# that index cannot be reached, the build on PyPI, which runs everywhere, is as good, but larger.
UV := $(RUN) -m uv pip install --python $(RUN)
REACHED := $(UV) --dry-run --no-deps --reinstall --torch-backend=cpu torch >/dev/null 2>&1

define install
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "This needs Python 3.11, 3.12 or 3.13; $(PYTHON) is: `$(PYTHON) --version 2>&1`."; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(ENV): once, and again when pyproject.toml changes."
	@test -x $(RUN) || $(PYTHON) -m venv $(ENV)
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip
	@$(RUN) -m pip install -q --disable-pip-version-check uv || true
	@if [ -z "$$UV_TORCH_BACKEND" ] && $(REACHED) && $(UV) --torch-backend=auto -e '.[$(1)]'; then :; \
	elif $(UV) -e '.[$(1)]'; then :; \
	else echo "Without uv: pip."; \
	  $(RUN) -m pip install --disable-pip-version-check -e '.[$(1)]'; fi
	@touch $@
endef
