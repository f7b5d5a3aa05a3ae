/* gpu-cdi.c - which CDI device is which GPU
 *
 * Specifications give a GPU several names (its index, its UUID) and have names for several GPUs at
 * once ("all"). Devices with the same nodes are one; a device that holds another one's nodes and
 * more is no GPU of its own.
 */
#include "base/alloc.h"
#include "probe/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct candidate {
    const struct cdi_spec *spec;
    const struct cdi_device *device;
    bool is_taken; /* another name of a device that stands for the GPU, or more than one GPU */
};

struct candidates {
    VEC(struct candidate) list;
};

static bool is_gpu_kind(const char *kind)
{
    const char *class = strchr(kind, '/');

    return class && str_equal(class + 1, "gpu");
}

static bool has_node(const struct cdi_device *device, const char *path)
{
    vec_foreach(&device->edits.nodes, node)
        if (str_equal(node->path, path))
            return true;
    return false;
}

/* Are all nodes of A also B's? */
static bool is_within(const struct cdi_device *a, const struct cdi_device *b)
{
    vec_foreach(&a->edits.nodes, node)
        if (!has_node(b, node->path))
            return false;
    return true;
}

static void judge(struct candidates *all, size_t i)
{
    struct candidate *c = &all->list.items[i];

    for (size_t k = 0; k < all->list.len && !c->is_taken; k++) {
        const struct candidate *other = &all->list.items[k];
        if (k == i || !str_equal(other->spec->kind, c->spec->kind) ||
            !is_within(other->device, c->device))
            continue;
        bool is_same = is_within(c->device, other->device);
        c->is_taken = !is_same || k < i;
    }
}

static void find_candidates(const struct cdi_registry *registry, struct candidates *ret)
{
    vec_foreach(&registry->specs, spec) {
        if (!is_gpu_kind((*spec)->kind))
            continue;
        vec_foreach(&(*spec)->devices, device)
            if (device->edits.nodes.len > 0) {
                const struct candidate c = { .spec = *spec, .device = device };
                vec_push(&ret->list, c);
            }
    }
    for (size_t i = 0; i < ret->list.len; i++)
        judge(ret, i);
}

static char *name_of(const struct candidate *c)
{
    return xasprintf("%s=%s", c->spec->kind, c->device->name);
}

/* The PCI address behind a node of a driver that shows it in sysfs (/dev/dri/renderD128). */
static bool pci_of(const struct place *place, const struct cdi_device *device, char ret[static 16])
{
    vec_foreach(&device->edits.nodes, node) {
        struct stat st;
        char target[256];
        if (stat(node->host_path, &st) < 0 || !S_ISCHR(st.st_mode))
            continue;
        _cleanup_free_ char *link =
            xasprintf("%s/dev/char/%u:%u/device", place->sys, major(st.st_rdev), minor(st.st_rdev));
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        const char *last = strrchr(target, '/');
        if (pci_address_normalise(last ? last + 1 : target, ret) == 0)
            return true;
    }
    return false;
}

static bool is_device_of(const struct place *place, const struct candidate *c,
                         const struct gpu *gpu)
{
    char path[32], address[16];

    if (str_starts(c->spec->kind, "nvidia.com/") && gpu->minor >= 0) {
        (void) snprintf(path, sizeof path, "/dev/nvidia%d", gpu->minor);
        return str_equal(c->device->name, gpu->uuid) || has_node(c->device, path);
    }
    return gpu->pci && pci_of(place, c->device, address) && str_equal(address, gpu->pci);
}

static void match(const struct place *place, struct candidates *all, struct gpu *gpu)
{
    vec_foreach(&all->list, c) {
        if (c->is_taken || !is_device_of(place, c, gpu))
            continue;
        c->is_taken = true;
        gpu->cdi = name_of(c);
        return;
    }
    gpu->fault = xstrdup(gpu->minor < 0 ? "no driver and no CDI specification speaks for it"
                                        : "no CDI specification names it");
}

/* A GPU that only its specification tells of. */
static void add_gpu(const struct place *place, const struct candidate *c, struct node *node)
{
    char address[16] = "";
    bool has_pci = pci_of(place, c->device, address);
    struct gpu gpu = {
        .uuid = name_of(c),
        .vendor = xstrndup(c->spec->kind, strcspn(c->spec->kind, ".")),
        .model = xstrdup(c->spec->kind),
        .cdi = name_of(c),
        .index = (unsigned) node->gpus.len,
        .numa = -1,
        .minor = -1,
    };
    if (has_pci) {
        gpu.pci = xstrdup(address);
        gpu.pcie = pcie_path(place->sys, address);
        gpu.numa = (int) kernel_number(place->sys, "bus/pci/devices/%s/numa_node", address);
    }
    vec_push(&node->gpus, gpu);
}

void gpus_cdi(const struct place *place, const char *const *directories, struct node *node)
{
    struct cdi_registry registry = { 0 };
    struct candidates all = { 0 };

    cdi_load(directories, &registry);
    find_candidates(&registry, &all);
    vec_foreach(&node->gpus, gpu)
        match(place, &all, gpu);
    vec_foreach(&all.list, c)
        if (!c->is_taken)
            add_gpu(place, c, node);
    vec_done(&all.list);
    cdi_registry_done(&registry);
}
