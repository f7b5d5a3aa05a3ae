/* gpu-nvml.c - GPUs as NVIDIA's management library says, asked for by a child with a deadline */
#include "base/alloc.h"
#include "probe/internal.h"

#include <errno.h>

enum { DEADLINE_MS = 10000 };

static void take_gpu(const struct place *place, const struct gpu_state *state, struct node *node)
{
    const struct gpu gpu = {
        .uuid = xstrdup(state->uuid),
        .vendor = xstrdup("nvidia"),
        .model = xstrdup(state->model),
        .pci = xstrdup(state->pci),
        .pcie = pcie_path(place->sys, state->pci),
        .index = state->index,
        .minor = state->minor,
        .module = state->module,
        .island = state->island <= NODE_GPUS_MAX ? state->island : 0,
        .numa = (int) kernel_number(place->sys, "bus/pci/devices/%s/numa_node", state->pci),
        .memory_bytes = state->memory_bytes,
    };
    vec_push(&node->gpus, gpu);
}

int gpus_nvml(const struct place *place, struct node *node, struct error *err)
{
    _cleanup_(gpu_reporter_stop) struct gpu_reporter reporter = { .fd = -1 };
    struct gpu_report report;

    if (!place->nvml[0])
        return -ENOENT;
    int r = gpu_reporter_start(place->nvml, &reporter, err);
    if (r >= 0)
        r = gpu_reporter_read(&reporter, DEADLINE_MS, &report, err);
    if (r <= 0)
        return r ? r : -ENOENT;
    if (report.driver[0])
        xstr_set(&node->driver, report.driver);
    for (unsigned i = 0; i < report.n; i++)
        take_gpu(place, &report.gpus[i], node);
    return 0;
}
