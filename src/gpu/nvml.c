/* nvml.c - GPUs as NVIDIA's management library says
 *
 * Opened at run time and declared here, so that nothing of NVIDIA's is needed to build. Names,
 * structs and constants follow the NVML API reference (stable since driver 410); the _v2 and _v3
 * symbols are what nvml.h maps the plain names to.
 */
#include "gpu/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

typedef struct nvml_device *nvml_device_t;

struct nvml_pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
_Static_assert(sizeof(struct nvml_pci) == 68, "as in nvml.h");

struct nvml_memory {
    unsigned long long total, free, used;
};

struct nvml_utilization {
    unsigned gpu, memory;
};

struct nvml_event {
    nvml_device_t device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};
_Static_assert(sizeof(struct nvml_event) == 32, "as in nvml.h");

typedef struct nvml_events *nvml_events_t;

enum {
    INVALID_ARGUMENT = 2,
    LINKS_MAX = 64, /* more than any GPU has; the library says when there are no more */
    PCI_ADDRESS_MAX = 16,
};
enum { TEMPERATURE_GPU = 0, EVENT_XID = 0x8, EVENTS_MAX = 64 };

struct nvml {
    void *library;
    bool is_started;
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver_version)(char *text, unsigned size);
    int (*count)(unsigned *ret);
    int (*handle)(unsigned index, nvml_device_t *ret);
    int (*uuid)(nvml_device_t device, char *text, unsigned size);
    int (*name)(nvml_device_t device, char *text, unsigned size);
    int (*pci)(nvml_device_t device, struct nvml_pci *ret);
    int (*memory)(nvml_device_t device, struct nvml_memory *ret);
    /* Not in every library, and not of every GPU. */
    int (*minor)(nvml_device_t device, unsigned *ret);
    int (*utilization)(nvml_device_t device, struct nvml_utilization *ret);
    int (*power)(nvml_device_t device, unsigned *ret_mw);
    int (*power_limit)(nvml_device_t device, unsigned *ret_mw);
    int (*temperature)(nvml_device_t device, int sensor, unsigned *ret);
    int (*module)(nvml_device_t device, unsigned *ret);
    int (*link_state)(nvml_device_t device, unsigned link, int *ret_is_active);
    int (*link_remote)(nvml_device_t device, unsigned link, struct nvml_pci *ret);
    int (*events_new)(nvml_events_t *ret);
    int (*events_free)(nvml_events_t events);
    int (*events_register)(nvml_device_t device, unsigned long long types, nvml_events_t events);
    int (*events_wait)(nvml_events_t events, struct nvml_event *ret, unsigned timeout_ms);
    nvml_events_t events; /* NULL: errors are not told */
    struct {
        nvml_device_t device;
        char uuid[GPU_TEXT_MAX];
        unsigned last;
        uint64_t count;
    } xids[GPUS_MAX];           /* by index */
    unsigned islands[GPUS_MAX]; /* by index; 0: no NVLink is active */
};

void nvml_close(struct nvml *n)
{
    if (!n)
        return;
    if (n->events)
        (void) n->events_free(n->events);
    if (n->is_started)
        (void) n->shutdown();
    if (n->library)
        (void) dlclose(n->library);
    free(n);
}

static bool find(struct nvml *n, const char *name, void *ret)
{
    void *symbol = dlsym(n->library, name);

    memcpy(ret, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool find_all(struct nvml *n)
{
    (void) find(n, "nvmlDeviceGetMinorNumber", &n->minor);
    (void) find(n, "nvmlDeviceGetUtilizationRates", &n->utilization);
    (void) find(n, "nvmlDeviceGetPowerUsage", &n->power);
    (void) find(n, "nvmlDeviceGetEnforcedPowerLimit", &n->power_limit);
    (void) find(n, "nvmlDeviceGetTemperature", &n->temperature);
    (void) find(n, "nvmlDeviceGetModuleId", &n->module);
    (void) find(n, "nvmlDeviceGetNvLinkState", &n->link_state);
    (void) find(n, "nvmlDeviceGetNvLinkRemotePciInfo_v2", &n->link_remote);
    (void) find(n, "nvmlEventSetCreate", &n->events_new);
    (void) find(n, "nvmlEventSetFree", &n->events_free);
    (void) find(n, "nvmlDeviceRegisterEvents", &n->events_register);
    (void) find(n, "nvmlEventSetWait_v2", &n->events_wait);
    return find(n, "nvmlInit_v2", &n->init) && find(n, "nvmlShutdown", &n->shutdown) &&
           find(n, "nvmlSystemGetDriverVersion", &n->driver_version) &&
           find(n, "nvmlDeviceGetCount_v2", &n->count) &&
           find(n, "nvmlDeviceGetHandleByIndex_v2", &n->handle) &&
           find(n, "nvmlDeviceGetUUID", &n->uuid) && find(n, "nvmlDeviceGetName", &n->name) &&
           find(n, "nvmlDeviceGetPciInfo_v3", &n->pci) &&
           find(n, "nvmlDeviceGetMemoryInfo", &n->memory);
}

/* Errors that the driver reports by number from now on. */
static void watch_xids(struct nvml *n)
{
    unsigned count = 0;

    if (!n->events_new || !n->events_free || !n->events_register || !n->events_wait ||
        n->events_new(&n->events) != 0) {
        n->events = NULL;
        return;
    }
    (void) n->count(&count);
    for (unsigned i = 0; i < count && i < GPUS_MAX; i++)
        if (n->handle(i, &n->xids[i].device) != 0 ||
            n->uuid(n->xids[i].device, n->xids[i].uuid, GPU_TEXT_MAX) != 0 ||
            n->events_register(n->xids[i].device, EVENT_XID, n->events) != 0)
            n->xids[i].device = NULL;
}

static void take_xids(struct nvml *n)
{
    struct nvml_event event;

    for (int i = 0; n->events && i < EVENTS_MAX; i++) {
        if (n->events_wait(n->events, &event, 0) != 0)
            return;
        for (unsigned k = 0; k < GPUS_MAX && event.type == EVENT_XID; k++) {
            if (!event.device || n->xids[k].device != event.device)
                continue;
            n->xids[k].last = (unsigned) event.data;
            n->xids[k].count++;
        }
    }
}

/* What the NVLinks of a GPU lead to, and itself: GPUs, or the switches of the board. */
struct ends {
    unsigned n;
    char addresses[LINKS_MAX + 1][PCI_ADDRESS_MAX];
};

static void read_ends(const struct nvml *n, unsigned index, struct ends *ret)
{
    nvml_device_t device;
    struct nvml_pci pci;

    ret->n = 0;
    if (n->handle(index, &device) != 0)
        return;
    for (unsigned link = 0; link < LINKS_MAX; link++) {
        int is_active = 0, code = n->link_state(device, link, &is_active);
        if (code == INVALID_ARGUMENT)
            break; /* it has no more */
        if (code != 0 || !is_active || n->link_remote(device, link, &pci) != 0)
            continue;
        pci.bus_id[sizeof pci.bus_id - 1] = '\0';
        ret->n += pci_address_normalise(pci.bus_id, ret->addresses[ret->n]) == 0;
    }
    if (ret->n > 0 && n->pci(device, &pci) == 0) {
        pci.bus_id[sizeof pci.bus_id - 1] = '\0';
        ret->n += pci_address_normalise(pci.bus_id, ret->addresses[ret->n]) == 0;
    }
}

static bool have_common_end(const struct ends *a, const struct ends *b)
{
    for (unsigned i = 0; i < a->n; i++)
        for (unsigned k = 0; k < b->n; k++)
            if (str_equal(a->addresses[i], b->addresses[k]))
                return true;
    return false;
}

/* Of the first COUNT GPUs, those of islands A and B are of the one with the lower number. */
static void join_islands(unsigned *islands, unsigned count, unsigned a, unsigned b)
{
    for (unsigned i = 0; i < count; i++)
        if (islands[i] == (a > b ? a : b))
            islands[i] = a > b ? b : a;
}

/* GPUs whose links lead to each other, or to the same switch, are of one island; it has the number of its first, from 1. */
static void find_islands(struct nvml *n)
{
    unsigned count = 0;

    if (!n->link_state || !n->link_remote || n->count(&count) != 0)
        return;
    count = count < GPUS_MAX ? count : GPUS_MAX;
    struct ends *ends = xnew_n(struct ends, count + 1);
    for (unsigned i = 0; i < count; i++) {
        read_ends(n, i, &ends[i]);
        n->islands[i] = ends[i].n ? i + 1 : 0;
        for (unsigned k = 0; k < i; k++)
            if (have_common_end(&ends[i], &ends[k]))
                join_islands(n->islands, i + 1, n->islands[i], n->islands[k]);
    }
    free(ends);
}

int nvml_open(const char *library, struct nvml **ret)
{
    _cleanup_(nvml_closep) struct nvml *n = xnew(struct nvml);

    if (!library[0])
        return -ENOENT;
    n->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!n->library || !find_all(n) || n->init() != 0)
        return -ENOENT;
    n->is_started = true;
    watch_xids(n);
    find_islands(n);
    *ret = take_ptr(n);
    return 0;
}

static void read_load(const struct nvml *n, nvml_device_t device, struct gpu_state *gpu)
{
    struct nvml_utilization utilization;
    unsigned mw = 0, limit_mw = 0, temperature = 0;

    gpu->busy_percent =
        n->utilization && n->utilization(device, &utilization) == 0 ? (int) utilization.gpu : -1;
    gpu->power_w = n->power && n->power(device, &mw) == 0 ? mw / 1000.0 : -1;
    gpu->power_limit_w =
        n->power_limit && n->power_limit(device, &limit_mw) == 0 ? limit_mw / 1000.0 : -1;
    gpu->temperature_c =
        n->temperature && n->temperature(device, TEMPERATURE_GPU, &temperature) == 0
            ? (int) temperature
            : -1;
}

static bool read_gpu(const struct nvml *n, unsigned index, struct gpu_state *gpu)
{
    nvml_device_t device;
    struct nvml_pci pci = { 0 };
    struct nvml_memory memory = { 0 };
    unsigned number = index;

    if (n->handle(index, &device) != 0 || n->uuid(device, gpu->uuid, sizeof gpu->uuid) != 0 ||
        n->name(device, gpu->model, sizeof gpu->model) != 0 || n->pci(device, &pci) != 0 ||
        n->memory(device, &memory) != 0)
        return false;
    pci.bus_id[sizeof pci.bus_id - 1] = '\0';
    if (pci_address_normalise(pci.bus_id, gpu->pci) < 0)
        return false;
    if (n->minor && n->minor(device, &number) != 0)
        number = index;
    gpu->index = index;
    if (index < GPUS_MAX) {
        gpu->xid = n->xids[index].last;
        gpu->xids = n->xids[index].count;
        gpu->island = n->islands[index];
    }
    if (n->module && n->module(device, &gpu->module) != 0)
        gpu->module = 0;
    gpu->minor = (int) number;
    gpu->memory_bytes = (int64_t) memory.total;
    gpu->memory_used_bytes = (int64_t) memory.used;
    read_load(n, device, gpu);
    return true;
}

/* One that does not answer any more, but has said why. */
static bool read_lost(const struct nvml *n, unsigned index, struct gpu_state *gpu)
{
    if (index >= GPUS_MAX || n->xids[index].count == 0)
        return false;
    *gpu = (struct gpu_state){ .index = index,
                               .minor = (int) index,
                               .memory_used_bytes = -1,
                               .busy_percent = -1,
                               .power_w = -1,
                               .power_limit_w = -1,
                               .temperature_c = -1,
                               .xid = n->xids[index].last,
                               .xids = n->xids[index].count };
    memcpy(gpu->uuid, n->xids[index].uuid, sizeof gpu->uuid);
    return true;
}

int nvml_read(struct nvml *n, struct gpu_report *ret, struct error *err)
{
    unsigned count = 0;

    *ret = (struct gpu_report){ 0 };
    take_xids(n);
    int code = n->count(&count);
    if (code != 0)
        return error_set(err, -EIO, "NVML does not count the GPUs (its error %d)", code);
    if (n->driver_version(ret->driver, sizeof ret->driver) != 0)
        ret->driver[0] = '\0';
    for (unsigned i = 0; i < count && ret->n < GPUS_MAX; i++)
        ret->n += read_gpu(n, i, &ret->gpus[ret->n]) || read_lost(n, i, &ret->gpus[ret->n]);
    return 0;
}
