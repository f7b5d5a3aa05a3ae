# A thin front of meson: see docs/building.md
BUILD ?= build

.PHONY: all
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD)
