/* fake-nvml.c - a library with NVML's names: two GPUs, the second fallen off the bus when
 * FAKE_NVML_LOST is set; FAKE_NVML_BROKEN makes it refuse to start. FAKE_NVML_LOAD names a file with what
 * the first one does: busy (%), power (mW), temperature (C), memory used (bytes); it is read at each
 * question. Structs are written out again here, as the real library does not share our declarations
 * either. A file FAKE_NVML_LOAD.xid with a number is an error of the first GPU, told once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    SUCCESS = 0,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15
};

typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
    void *device;
    unsigned long long eventType, eventData;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

static int numbers[2] = { 0, 1 };

struct load {
    unsigned busy, power_mw, temperature;
    unsigned long long used;
};

/* The second GPU does nothing. */
static int read_load(void *device, struct load *ret)
{
    const char *path = getenv("FAKE_NVML_LOAD");
    FILE *file = path && *(int *) device == 0 ? fopen(path, "re") : NULL;

    *ret = (struct load){ .busy = 0, .power_mw = 70000, .temperature = 30 };
    if (file) {
        if (fscanf(file, "%u %u %u %llu", &ret->busy, &ret->power_mw, &ret->temperature,
                   &ret->used) != 4)
            *ret = (struct load){ 0 };
        (void) fclose(file);
    }
    return path ? SUCCESS : NOT_SUPPORTED;
}

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned int size);
EXPORT int nvmlDeviceGetCount_v2(unsigned int *count);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device);
EXPORT int nvmlDeviceGetUUID(void *device, char *text, unsigned int size);
EXPORT int nvmlDeviceGetName(void *device, char *text, unsigned int size);
EXPORT int nvmlDeviceGetPciInfo_v3(void *device, nvmlPciInfo_t *pci);
EXPORT int nvmlDeviceGetMemoryInfo(void *device, nvmlMemory_t *memory);
EXPORT int nvmlDeviceGetUtilizationRates(void *device, nvmlUtilization_t *ret);
EXPORT int nvmlDeviceGetPowerUsage(void *device, unsigned int *ret);
EXPORT int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *ret);
EXPORT int nvmlEventSetCreate(void **set);
EXPORT int nvmlEventSetFree(void *set);
EXPORT int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set);
EXPORT int nvmlEventSetWait_v2(void *set, nvmlEventData_t *data, unsigned int timeout_ms);
EXPORT int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *ret);

EXPORT int nvmlDeviceGetModuleId(void *device, unsigned int *ret);
EXPORT int nvmlDeviceGetNvLinkState(void *device, unsigned int link, int *active);
EXPORT int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *device, unsigned int link, nvmlPciInfo_t *pci);

int nvmlInit_v2(void) { return getenv("FAKE_NVML_BROKEN") ? DRIVER_NOT_LOADED : SUCCESS; }

int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned int size)
{
    (void) snprintf(text, size, "535.261.03");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    if (index == 1 && getenv("FAKE_NVML_LOST"))
        return GPU_IS_LOST;
    *device = &numbers[index];
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned int size)
{
    (void) snprintf(text, size, "GPU-00000000-0000-0000-0000-00000000000%d", *(int *) device);
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *text, unsigned int size)
{
    (void) device;
    (void) snprintf(text, size, "NVIDIA H100 80GB HBM3");
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *device, nvmlPciInfo_t *pci)
{
    memset(pci, 0, sizeof *pci);
    (void) snprintf(pci->busId, sizeof pci->busId, "00000000:%s:00.0",
                    *(int *) device ? "AB" : "1B");
    return SUCCESS;
}

int nvmlDeviceGetModuleId(void *device, unsigned int *ret)
{
    *ret = (unsigned) *(int *) device + 1;
    return SUCCESS;
}

/* With FAKE_NVML_LINKS each GPU has two links, the second of which leads to the switch of this address. */
int nvmlDeviceGetNvLinkState(void *device, unsigned int link, int *active)
{
    (void) device;
    *active = link == 1;
    return !getenv("FAKE_NVML_LINKS") ? NOT_SUPPORTED : link < 2 ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *device, unsigned int link, nvmlPciInfo_t *pci)
{
    (void) device, (void) link;
    memset(pci, 0, sizeof *pci);
    (void) snprintf(pci->busId, sizeof pci->busId, "%s", getenv("FAKE_NVML_LINKS"));
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, nvmlMemory_t *memory)
{
    struct load load;

    (void) read_load(device, &load);
    *memory = (nvmlMemory_t){ .total = 85520809984ULL,
                              .free = 85520809984ULL - load.used,
                              .used = load.used };
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, nvmlUtilization_t *ret)
{
    struct load load;
    int code = read_load(device, &load);

    *ret = (nvmlUtilization_t){ .gpu = load.busy };
    return code;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *ret)
{
    struct load load;
    int code = read_load(device, &load);

    *ret = load.power_mw;
    return code;
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *ret)
{
    (void) device;
    *ret = 700000;
    return getenv("FAKE_NVML_LOAD") ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *ret)
{
    struct load load;
    int code = read_load(device, &load);

    *ret = load.temperature;
    return sensor == 0 ? code : NOT_SUPPORTED;
}

int nvmlEventSetCreate(void **set)
{
    *set = numbers;
    return SUCCESS;
}

int nvmlEventSetFree(void *set) { return set == numbers ? SUCCESS : NOT_SUPPORTED; }

int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set)
{
    return device && types == 8 && set == numbers ? SUCCESS : NOT_SUPPORTED;
}

int nvmlEventSetWait_v2(void *set, nvmlEventData_t *data, unsigned int timeout_ms)
{
    static unsigned long long told;
    const char *load = getenv("FAKE_NVML_LOAD");
    char path[4096];
    int code = TIMEOUT;

    (void) set;
    (void) timeout_ms;
    (void) snprintf(path, sizeof path, "%s.xid", load ? load : "/dev/null/none");
    FILE *file = fopen(path, "re");
    *data = (nvmlEventData_t){ .device = &numbers[0], .eventType = 8 };
    if (!file)
        return TIMEOUT;
    if (fscanf(file, "%llu", &data->eventData) == 1 && data->eventData != told)
        code = SUCCESS;
    told = data->eventData;
    (void) fclose(file);
    return code;
}
