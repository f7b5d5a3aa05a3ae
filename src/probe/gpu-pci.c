/* gpu-pci.c - GPUs on the PCI bus, where no driver's library speaks for them */
#include "base/alloc.h"
#include "probe/internal.h"

#include <dirent.h>
#include <errno.h>

/* PCI class codes (PCI Code and ID Assignment Specification): base class and subclass. */
#define CLASS_VGA         0x0300
#define CLASS_3D          0x0302
#define CLASS_DISPLAY     0x0380
#define CLASS_ACCELERATOR 0x1200

static const struct {
    unsigned id;
    const char *name;
} vendors[] = { { 0x10de, "nvidia" }, { 0x1002, "amd" } };

static long hex_number(const char *sys, const char *device, const char *file)
{
    _cleanup_text_ struct text text = { 0 };
    char *end;

    if (kernel_text(&text, sys, "bus/pci/devices/%s/%s", device, file) < 0)
        return -1;
    long number = strtol(text_str(&text), &end, 16);
    return *end || end == text_str(&text) ? -1 : number;
}

/* NULL unless it computes: boards have a small VGA chip of the management controller's too. */
static const char *gpu_vendor(const char *sys, const char *device)
{
    long class = hex_number(sys, device, "class") >> 8;
    long vendor = hex_number(sys, device, "vendor");

    if (class != CLASS_VGA && class != CLASS_3D && class != CLASS_DISPLAY &&
        class != CLASS_ACCELERATOR)
        return NULL;
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++)
        if (vendor == (long) vendors[i].id)
            return vendors[i].name;
    return NULL;
}

static void take_gpu(const struct place *place, const char *name, struct node *node)
{
    char address[16];
    const char *vendor = gpu_vendor(place->sys, name);

    if (!vendor || pci_address_normalise(name, address) < 0)
        return;
    long long numa = kernel_number(place->sys, "bus/pci/devices/%s/numa_node", name);
    const struct gpu gpu = {
        .uuid = xstrdup(address),
        .vendor = xstrdup(vendor),
        .model = xasprintf("%04x:%04x", (unsigned) hex_number(place->sys, name, "vendor"),
                           (unsigned) hex_number(place->sys, name, "device")),
        .pci = xstrdup(address),
        .pcie = pcie_path(place->sys, address),
        .index = (unsigned) node->gpus.len,
        .minor = -1,
        .numa = (int) numa,
    };
    vec_push(&node->gpus, gpu);
}

static int plain_names(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int gpus_pci(const struct place *place, struct node *node, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/bus/pci/devices", place->sys);
    struct dirent **entries = NULL;

    int n = scandir(path, &entries, plain_names, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : error_set(err, -errno, "reading %s: %m", path);
    for (int i = 0; i < n; i++) {
        take_gpu(place, entries[i]->d_name, node);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
