# Passthrough to tasks.ts: `make deploy`, `make lint test`, `make -n deploy` (a rehearsal on paper), `make -k -j4 …`.
# All goals go to ONE runner, in order; variables (`make deploy DEPLOY_TO=jetson`) reach it through the environment.
# A task's params cannot travel through make: npm run task deploy -- --to jetson
# GNU make 3.81 (macOS) is enough: no !=, .ONESHELL, .SHELLFLAGS, $(file), and `make` has no say in what is up to date.

.SUFFIXES:
.PHONY: slipway-run
.DEFAULT_GOAL := slipway-run

ifeq ($(OS),Windows_NT)
$(error slipway does not run on native Windows: use WSL 2, and make inside it)
endif

# Single-letter options are MAKEFLAGS' first word, unless that is a long option or a variable. Behind a long option
# make 3.81 writes them as a word of their own with a dash; there no option with a value has that shape.
FIRST_FLAGS := $(filter-out -%,$(firstword $(MAKEFLAGS)))
DASHED_FLAGS := $(filter-out --% -j% -l% -I% -O% -W% $(MAKEOVERRIDES),$(filter -%,$(MAKEFLAGS)))
LETTERS := $(if $(findstring =,$(FIRST_FLAGS)),,$(FIRST_FLAGS))$(if $(filter --%,$(firstword $(MAKEFLAGS))),$(DASHED_FLAGS))
DRY := $(findstring n,$(LETTERS))
KEEP_GOING := $(findstring k,$(LETTERS))

ifneq ($(findstring t,$(LETTERS)),)
$(error make -t would mark tasks as done that were not: run make without -t)
endif
ifneq ($(findstring q,$(LETTERS)),)
$(error make cannot tell whether a task is up to date: make -n GOAL shows what would run)
endif

# What cannot be a task's name: an option to the runner, a target of this file, or what a shell would read.
NOTHING :=
UNSAFE := ; & | < > ( ) $$ ` " ' \ * ? [ ] { } ~ ! \# = @ + , ^ . /
NO_TASKS := $(filter -% slipway-run Makefile,$(MAKECMDGOALS)) \
  $(foreach goal,$(MAKECMDGOALS),$(if $(strip $(foreach char,$(UNSAFE),$(findstring $(char),$(goal)))),$(goal)))
ifneq ($(strip $(NO_TASKS)),)
$(error $(firstword $(NO_TASKS)) names no task: `make` lists them; options go through npm: npm run task deploy -- --to jetson)
endif

# node_modules is up to date when npm's own note of what it installed is newer than the lock file.
LOCK := node_modules/.package-lock.json
INSTALLED := $(wildcard $(LOCK))
STALE := $(if $(INSTALLED),$(if $(shell find $(LOCK) -newer package-lock.json 2>/dev/null),,stale),absent)

# Asked only before an install, and never by -n: one message that names all that is missing.
ifneq ($(STALE),)
ifeq ($(DRY),)
MISSING := $(shell set --; \
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' >/dev/null 2>&1 \
    || set -- "$$@" "Node 20.19 or newer (found: $$(node --version 2>/dev/null || echo none))"; \
  npm --version >/dev/null 2>&1 || set -- "$$@" "npm (found: none)"; \
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
    || set -- "$$@" "Python 3.10 or newer with venv (found: $$(python3 --version 2>/dev/null || echo none))"; \
  for one in "$$@"; do printf '%s%s' "$$and" "$$one"; and=' and '; done)
ifneq ($(MISSING),)
$(error slipway needs $(MISSING); install what is missing, then run make again)
endif
ifneq ($(shell test -L node_modules && echo link),)
$(error node_modules is a link, and npm would empty the folder that it leads to: run npm ci there, or remove the link)
endif
endif
endif

# `exec`, so that one process stands behind make and signals reach the runner.
RUN = exec node scripts/launch.cjs tasks.ts $(MAKECMDGOALS)$(if $(DRY), --dry-run)$(if $(KEEP_GOING), --keep-going)$(JOBS)
# Only inside a recipe does MAKEFLAGS hold -jN; a bare -j says no number, and a word of a variable's value is no option.
JOBS = $(addprefix $(NOTHING) ,$(filter-out -j $(MAKEOVERRIDES),$(filter -j%,$(MAKEFLAGS))))

# Every goal is this one target, made once, in every goal's name. `+` runs it under -n, too, where it plans.
ifeq ($(DRY)$(STALE),nabsent)
slipway-run:
	npm ci --ignore-scripts
	@$(RUN)
else
slipway-run:
	$(if $(STALE),npm ci --ignore-scripts)
	+@$(RUN)
endif

# A pattern, because a goal may be a folder's name (test, docker) or hold a colon (test:backend).
%: slipway-run
	@$(if $(filter-out $(firstword $(MAKECMDGOALS)),$@),$(if $(DRY),# $@: in the same run,:))

Makefile: ;
