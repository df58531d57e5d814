# Eyrie. CI calls only these targets. One build at a time: two cores, no swap.
SHELL := /bin/bash
SWIFT ?= swift
VENV := .build/venv
DEBUG := .build/debug/eyrie
RELEASE := .build/release/eyrie
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help deps deps-tests build release up down check format test test-unit test-outer bench fuzz fuzz-ci bench-apiserver bench-scheduler bench-aws bench-eks bench-network bench-nodes bench-faults generate verify-generated clean

help:             ## lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

deps:             ## installs the Debian packages that are missing (asks once; EYRIE_YES=1 does not ask)
	@scripts/dependencies.sh

deps-tests:       # what the tests need beside that
	@scripts/dependencies.sh tests

deps-fuzz:        # what linking libFuzzer needs beside that; its runtime comes with Swift
	@scripts/dependencies.sh fuzz

build: deps       ## builds the debug binary
	$(SWIFT) build --product eyrie

release: deps     ## builds the release binary
	$(SWIFT) build -c release --product eyrie

up: release       ## from nothing to three running nginx pods
	@scripts/up.sh $(RELEASE)

down:             ## deletes the cluster of `make up` and ends the service
	@scripts/down.sh $(RELEASE)

check: deps-tests       ## format, tidy, build (CI sets EYRIE_STRICT=1: warnings are errors)
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --filter TidyTests

format:           ## formats the sources
	$(SWIFT) format --in-place --recursive --parallel Sources Tests

test: test-unit test-outer  ## all tests: units, then real clients and containers

test-unit: deps-tests $(VENV)/ready
	$(SWIFT) build --build-tests
	@scripts/units.sh $(SWIFT)

test-outer: deps-tests $(VENV)/ready
	$(SWIFT) build --product eyrie
	EYRIE=$(CURDIR)/$(DEBUG) KUBECTL=$(CURDIR)/$(VENV)/bin/kubectl AWS=$(CURDIR)/$(VENV)/bin/aws CLIENTS=$(CURDIR)/.build/clients \
	  $(VENV)/bin/python -m pytest --maxfail=5 --reruns 1 -q -rA --tb=short --durations=20 -p no:cacheprovider Tests/outer

$(VENV)/ready: Tests/outer/requirements.txt Tests/outer/fetch_clients.sh
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -r Tests/outer/requirements.txt
	Tests/outer/fetch_clients.sh .build/clients $(VENV)/bin/python
	touch $@

fuzz: deps-fuzz   ## fuzzes every parser for a bounded count
	$(SWIFT) build -c release --package-path Fuzz
	@Fuzz/run.sh

fuzz-ci: deps-fuzz ## the same for some seconds each, two at once, beside other work: what CI can afford
	$(SWIFT) build -c release --package-path Fuzz
	@FUZZ_RUNS=100000 FUZZ_SECONDS=10 FUZZ_TIMEOUT=30 FUZZ_JOBS=2 Fuzz/run.sh

bench: release $(VENV)/ready  ## measures the figures of README and writes Benchmarks/results.md
	KUBECTL=$(CURDIR)/$(VENV)/bin/kubectl AWS=$(CURDIR)/$(VENV)/bin/aws $(VENV)/bin/python Benchmarks/run.py $(CURDIR)/$(RELEASE)

bench-apiserver: deps  ## measures the API server and writes Benchmarks/results-apiserver.md (KBENCH=PROGRAM: with that generator)
	EYRIE_ONLY=apiserver-bench $(SWIFT) build -c release --product apiserver-bench
	python3 Benchmarks/run_apiserver.py $(CURDIR)/.build/release/apiserver-bench

bench-scheduler: release $(VENV)/ready  ## measures the scheduler, the envelope and a large rollout and writes Benchmarks/results-scheduler.md
	EYRIE_ONLY=scheduler-bench $(SWIFT) build -c release --product scheduler-bench
	python3 Benchmarks/run_scheduler.py $(CURDIR)/.build/release/scheduler-bench
	python3 Benchmarks/run_scheduler.py $(CURDIR)/.build/release/scheduler-bench envelope
	KUBECTL=$(CURDIR)/$(VENV)/bin/kubectl AWS=$(CURDIR)/$(VENV)/bin/aws $(VENV)/bin/python Benchmarks/run_rollout.py $(CURDIR)/$(RELEASE)

bench-aws: deps    ## measures signatures, tokens, policies and log events on one core
	EYRIE_ONLY=aws-bench $(SWIFT) build -c release --product aws-bench
	taskset -c 0 .build/release/aws-bench 20000

bench-eks: release $(VENV)/ready  ## measures the EKS API, a hundred clusters and tokens, and writes Benchmarks/results-eks.md
	EYRIE_ONLY=aws-bench $(SWIFT) build -c release --product aws-bench
	$(VENV)/bin/python Benchmarks/run_eks.py $(CURDIR)/$(RELEASE) $(CURDIR)/.build/release/aws-bench

bench-network: deps  ## measures the service proxy, the cluster's DNS and connections, and writes Benchmarks/results-network.md (root)
	EYRIE_ONLY=network-bench $(SWIFT) build -c release --product network-bench
	python3 Benchmarks/run_network.py $(CURDIR)/.build/release/network-bench

bench-nodes: release deps-tests $(VENV)/ready  ## measures a node with a hundred pods and writes Benchmarks/results-nodes.md (root)
	KUBECTL=$(CURDIR)/$(VENV)/bin/kubectl AWS=$(CURDIR)/$(VENV)/bin/aws $(VENV)/bin/python Benchmarks/run_nodes.py $(CURDIR)/$(RELEASE)

bench-faults: release deps-tests $(VENV)/ready  ## fault rounds on nodes, to Benchmarks/results-faults.md (root; FAULTS="--quick R9 …": shorter, or some)
	KUBECTL=$(CURDIR)/$(VENV)/bin/kubectl AWS=$(CURDIR)/$(VENV)/bin/aws $(VENV)/bin/python Benchmarks/run_faults.py $(CURDIR)/$(RELEASE) $(FAULTS)

generate:         ## makes the generated tables anew
	@scripts/generate.sh

verify-generated: ## fails when the generated tables are not what the generators make
	@scripts/generate.sh && git diff --exit-code -- Sources

clean:
	rm -rf .build
