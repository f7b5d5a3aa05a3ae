# A thin front of meson: see docs/building.md
BUILD ?= build
SETUP ?=
# Tests wait as much as they compute: half as many again as there are CPUs run at a time.
MESON_TEST = meson test -C $(1) --num-processes $$(($$(nproc) * 3 / 2)) --print-errorlogs --no-suite deep $(TESTARGS)

.PHONY: all test test-asan check-deep bench run stop deb bundle fuzz format clean install-deps

all: $(BUILD)/build.ninja
	@ninja --quiet -C $(BUILD) berth

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo 'meson is missing: run tools/install-deps build' >&2; exit 1; }
	@meson setup $(BUILD) $(SETUP) >$(BUILD).setup.log || { cat $(BUILD).setup.log; exit 1; }
	@mv $(BUILD).setup.log $(BUILD)/setup.log

# The whole suite: lint, unit, contract, system, issues, fuzz corpus replay.
test:
	@tools/install-deps build test
	@tools/configure-tests $(BUILD)
	@ninja --quiet -C $(BUILD)
	@$(call MESON_TEST,$(BUILD))

test-asan:
	@tools/install-deps build test
	@tools/configure-tests build-asan -Db_sanitize=address,undefined
	@ninja --quiet -C build-asan
	@$(call MESON_TEST,build-asan)

check-deep:
	@tools/install-deps build test deep
	@tools/check-deep

fuzz:
	@tools/install-deps build deep
	@tools/fuzz $(or $(SECONDS_EACH),60)

bench:
	@tools/install-deps build run bench
	@$(MAKE) --no-print-directory all
	@bench/run $(BENCH)

# A working cloud on this machine, and a training job through it. `make stop` ends it.
run:
	@tools/install-deps build run
	@tools/as-invoker $(MAKE) --no-print-directory all
	@tools/tour start

stop:
	@tools/tour stop

# A Debian package, and an archive that installs it without a network: build-deb/.
deb:
	@tools/install-deps build package
	@tools/build-deb

bundle:
	@tools/install-deps build package
	@tools/build-bundle

format:
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

clean:
	@rm -rf build build-*

install-deps:
	@tools/install-deps build run test
