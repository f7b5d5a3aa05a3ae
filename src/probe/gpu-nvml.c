/* gpu-nvml.c - GPUs as NVIDIA's management library says
 *
 * Opened at run time and declared here, so that nothing of NVIDIA's is needed to build. Names,
 * structs and constants follow the NVML API reference (stable since driver 410); the _v2 and _v3
 * symbols are what nvml.h maps the plain names to.
 */
#include "base/alloc.h"
#include "probe/internal.h"

#include <dlfcn.h>
#include <errno.h>

typedef struct nvml_device *nvml_device_t;

struct nvml_pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

struct nvml_memory {
    unsigned long long total, free, used;
};

#define NVML_TEXT_MAX 96

struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver_version)(char *text, unsigned size);
    int (*count)(unsigned *ret);
    int (*handle)(unsigned index, nvml_device_t *ret);
    int (*uuid)(nvml_device_t device, char *text, unsigned size);
    int (*name)(nvml_device_t device, char *text, unsigned size);
    int (*pci)(nvml_device_t device, struct nvml_pci *ret);
    int (*memory)(nvml_device_t device, struct nvml_memory *ret);
    int (*minor)(nvml_device_t device, unsigned *ret); /* NULL: the library is too old */
    bool is_started;
};

static void nvml_done(struct nvml *n)
{
    if (n->is_started)
        (void) n->shutdown();
    if (n->library)
        (void) dlclose(n->library);
}

static bool find(struct nvml *n, const char *name, void *ret)
{
    void *symbol = dlsym(n->library, name);

    memcpy(ret, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int start(const char *library, struct nvml *n)
{
    if (!library[0])
        return -ENOENT;
    n->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        return -ENOENT;
    if (!find(n, "nvmlInit_v2", &n->init) || !find(n, "nvmlShutdown", &n->shutdown) ||
        !find(n, "nvmlSystemGetDriverVersion", &n->driver_version) ||
        !find(n, "nvmlDeviceGetCount_v2", &n->count) ||
        !find(n, "nvmlDeviceGetHandleByIndex_v2", &n->handle) ||
        !find(n, "nvmlDeviceGetUUID", &n->uuid) || !find(n, "nvmlDeviceGetName", &n->name) ||
        !find(n, "nvmlDeviceGetPciInfo_v3", &n->pci) ||
        !find(n, "nvmlDeviceGetMemoryInfo", &n->memory))
        return -ENOENT;
    (void) find(n, "nvmlDeviceGetMinorNumber", &n->minor);
    if (n->init() != 0)
        return -ENOENT;
    n->is_started = true;
    return 0;
}

/* A GPU that does not answer (it has fallen off the bus) is left out: it cannot be given away. */
static void take_gpu(const struct nvml *n, const struct place *place, unsigned index,
                     struct node *node)
{
    nvml_device_t device;
    struct nvml_pci pci = { 0 };
    struct nvml_memory memory = { 0 };
    unsigned number = index;
    char uuid[NVML_TEXT_MAX], name[NVML_TEXT_MAX], address[16];

    if (n->handle(index, &device) != 0 || n->uuid(device, uuid, sizeof uuid) != 0 ||
        n->name(device, name, sizeof name) != 0 || n->pci(device, &pci) != 0 ||
        n->memory(device, &memory) != 0)
        return;
    pci.bus_id[sizeof pci.bus_id - 1] = '\0';
    if (pci_address_normalise(pci.bus_id, address) < 0)
        return;
    if (n->minor && n->minor(device, &number) != 0)
        number = index;
    const struct gpu gpu = {
        .minor = (int) number,
        .uuid = xstrdup(uuid),
        .vendor = xstrdup("nvidia"),
        .model = xstrdup(name),
        .pci = xstrdup(address),
        .index = index,
        .numa = (int) kernel_number(place->sys, "bus/pci/devices/%s/numa_node", address),
        .memory_bytes = (int64_t) memory.total,
    };
    vec_push(&node->gpus, gpu);
}

int gpus_nvml(const struct place *place, struct node *node, struct error *err)
{
    _cleanup_(nvml_done) struct nvml nvml = { 0 };
    char version[NVML_TEXT_MAX];
    unsigned count = 0;

    int r = start(place->nvml, &nvml);
    if (r < 0)
        return r;
    int code = nvml.count(&count);
    if (code != 0)
        return error_set(err, -EIO, "NVML does not count the GPUs (its error %d)", code);
    if (nvml.driver_version(version, sizeof version) == 0)
        xstr_set(&node->driver, version);
    for (unsigned i = 0; i < count; i++)
        take_gpu(&nvml, place, i, node);
    return 0;
}
