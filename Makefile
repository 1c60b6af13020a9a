# SPDX-License-Identifier: LGPL-2.1-or-later
# A front for meson. `make help` lists the targets.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
BUILD := build/plain

.DEFAULT_GOAL := help
.PHONY: help build demo check check-builds lab soak bench bench-overcommit fuzz analyze races coverage install deb format clean

help: ## this list
	@echo "Ballast: moves memory between the guests of a KVM host. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

build: ## build both agents and the tools (build/plain)
	@packaging/setup.sh build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dtests=false >/dev/null
	@ninja -C $(BUILD) --quiet

demo: ## four real guests on a host that runs short of memory, in a minute and a half
	@packaging/setup.sh demo
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dtests=false >/dev/null
	@ninja -C $(BUILD) --quiet
	@python3 tests/lab/demo.py --build $(BUILD)

check: ## all tests, with sanitizers and on real guests; warnings of both compilers
	@packaging/setup.sh check
	@tests/check.sh

check-builds: ## warnings of both compilers at each optimisation
	@packaging/setup.sh check
	@tests/check.sh builds

lab: ## only the tests on real guests
	@packaging/setup.sh check
	@tests/check.sh lab

soak: ## more of the same: random cases, hosts simulated, the daemon killed at random points
	@packaging/setup.sh check
	@tests/check.sh soak

bench: ## figures: cost of the agents, of a cycle, of a report
	@packaging/setup.sh check
	@tests/check.sh bench

bench-overcommit: ## real guests on a host that is too small: with Ballast, without, and its rivals (ARGS=--help)
	@packaging/setup.sh bench
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Dtests=false >/dev/null
	@ninja -C $(BUILD) --quiet
	@python3 -B tests/bench/overcommit/bench.py --build $(BUILD) $(ARGS)

fuzz: ## fuzz every parser for FUZZ_SECONDS (60) each
	@packaging/setup.sh check
	@tests/check.sh fuzz

analyze: ## clang's static analyser
	@packaging/setup.sh analyze
	@tests/check.sh analyze

races: ## the tests of threads and of the daemon with ThreadSanitizer
	@packaging/setup.sh check
	@tests/check.sh races

coverage: ## lines of the rooms that parse and decide that tests and fuzz corpora run
	@packaging/setup.sh check
	@tests/check.sh coverage

install: ## install below DESTDIR and PREFIX (/usr/local)
	@packaging/setup.sh build
	@test -f build/install/build.ninja || meson setup build/install -Dtests=false >/dev/null
	@meson configure build/install -Dprefix=$(PREFIX) -Dsysconfdir=$(SYSCONFDIR)
	@ninja -C build/install --quiet
	@meson install -C build/install --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

deb: ## Debian packages ballast-host and ballast-guest (dist/)
	@packaging/setup.sh deb
	@packaging/deb.sh

format: ## format the sources
	@find base proto policy guest-agent host-agent tests -name '*.[ch]' | xargs clang-format -i

clean: ## remove what was built
	@rm -rf build dist
