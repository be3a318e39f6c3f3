# The front door. Every goal sees to what it needs: packages, sources, build, models; what is there is left alone.
#: make run        set up, build, and watch a model complete a file that is being edited
#: make test       set up, build, and run the tests
#: make build      set up, and build everything
#: make bench      build llama.cpp's benchmark and server, and measure beside them (20 minutes)
#: make setup      system packages and the sources of llama.cpp, only
#: make lab        build the lab too: pie-lab, which measures, and the programs in lab/programs
#: make test-lab   build the lab, and run its tests
#: make test-asan  the unit and property tests under AddressSanitizer and UBSan, but for those of resident memory,
#:                 which a sanitizer adds to
#: make test-tsan  those of library, session and server under ThreadSanitizer
#: make fuzz       fuzz what reads requests, FUZZ_SECONDS (30) for each target
#: make lint       check format, C++ (clang-tidy; SINCE=COMMIT: what changed since) and shell scripts
#: make format     rewrite our C++ files in the house format
#: make clean      remove build/; the cache ($XDG_CACHE_HOME/pie, default ~/.cache/pie) stays
#:
#: PIE_LLAMA_DIR=PATH builds against another llama.cpp source tree than the pinned one.

PIE := build/release/bin/pie
MODEL := qwen2.5-coder-0.5b
TEST_MODELS := smollm2-135m $(MODEL)
FUZZ_SECONDS := 30
pull = for name in $(1); do $(PIE) model path $$name >/dev/null 2>&1 || $(PIE) model pull $$name || exit; done

CTEST := ctest --parallel $(shell nproc) --no-tests=error --output-on-failure --test-dir

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build run lab test test-lab test-asan test-tsan fuzz bench lint format clean

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

setup:
	@scripts/install_packages.sh build
	@scripts/fetch_llama.sh

build: setup
	@scripts/build.sh release

lab: setup
	@scripts/fetch_grammars.sh
	@scripts/build.sh release --lab

run: setup
	@scripts/build.sh release pie
	@$(call pull,$(MODEL))
	@$(PIE) demo

test: build
	@scripts/install_packages.sh test
	@$(call pull,$(TEST_MODELS))
	@$(CTEST) build/release --label-exclude '^(gpu|slow|lab)$$'

test-lab: lab
	@$(call pull,$(TEST_MODELS))
	@$(CTEST) build/release --label-regex '^lab$$' --label-exclude '^(gpu|slow)$$'

test-asan: setup
	@scripts/build.sh asan
	@$(CTEST) build/asan --label-regex '^(unit|property)$$' --label-exclude '^(model|resident)$$'

test-tsan: setup
	@scripts/build.sh tsan library_tests session_tests server_tests
	@$(CTEST) build/tsan --label-regex '^room:(library|session|server)$$' --label-exclude '^(model|slow|resident)$$'

fuzz:
	@scripts/install_packages.sh build fuzz
	@scripts/build.sh fuzz
	@scripts/fuzz.sh $(FUZZ_SECONDS)

bench: lab
	@$(call pull,$(MODEL))
	@peers=$$(scripts/build_peers.sh) && build/release/bin/pie-lab bench --against "$$peers/llama-bench" "$$peers/llama-server" \
	    --out build/bench

lint: setup
	@scripts/install_packages.sh lint
	@scripts/fetch_grammars.sh
	@scripts/build.sh dev --lab pie_commit
	@scripts/lint.sh $(SINCE)

format:
	@scripts/install_packages.sh lint
	@scripts/format.sh

clean:
	rm -rf build
