/* parts.c - GPUs, NICs and partitions of a node, and their JSON form
 *
 * What is not known is left out, so that a machine of which little is known is told in few words.
 */
#include "fleet/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

void gpu_done(struct gpu *gpu)
{
    free(gpu->uuid);
    free(gpu->vendor);
    free(gpu->model);
    free(gpu->pci);
    free(gpu->cdi);
    free(gpu->fault);
    free(gpu->pcie);
    free(gpu->iommu_group);
}

void nic_done(struct nic *nic)
{
    free(nic->name);
    free(nic->pcie);
}

static json_t *gpu_to_json(const struct gpu *gpu)
{
    json_t *json = json_object();

    json_put_str(json, "uuid", gpu->uuid);
    json_put_str(json, "vendor", gpu->vendor);
    json_put_str(json, "model", gpu->model);
    json_put_str(json, "pci", gpu->pci);
    json_put_str(json, "cdi", gpu->cdi);
    json_put_str(json, "fault", gpu->fault);
    json_put_int(json, "index", gpu->index);
    if (gpu->minor >= 0)
        json_put_int(json, "minor", gpu->minor);
    json_put_int(json, "numa", gpu->numa);
    json_put_int(json, "memory", gpu->memory_bytes);
    if (gpu->module > 0)
        json_put_int(json, "module", gpu->module);
    if (gpu->island > 0)
        json_put_int(json, "island", gpu->island);
    json_put_str(json, "pcie", gpu->pcie);
    json_put_str(json, "iommu_group", gpu->iommu_group);
    return json;
}

json_t *gpus_to_json(const struct node *node)
{
    json_t *array = json_array();

    vec_foreach(&node->gpus, gpu)
        (void) json_array_append_new(array, gpu_to_json(gpu));
    return array;
}

json_t *nics_to_json(const struct node *node)
{
    json_t *array = json_array();

    vec_foreach(&node->nics, nic) {
        json_t *json = json_object();
        json_put_str(json, "name", nic->name);
        json_put_str(json, "pcie", nic->pcie);
        json_put_int(json, "numa", nic->numa);
        json_put_int(json, "vfs", nic->vfs);
        json_put_int(json, "gbps", nic->gbps);
        json_put(json, "rdma", json_boolean(nic->rdma));
        (void) json_array_append_new(array, json);
    }
    return array;
}

/* A partition's GPUs as a list of positions, "0-3". */
json_t *partitions_to_json(const struct node *node)
{
    json_t *array = json_array();

    vec_foreach(&node->partitions, partition) {
        const struct cpu_set set = { .bits = { partition->gpus } };
        _cleanup_free_ char *gpus = cpu_set_format(&set);
        json_t *json = json_object();
        json_put_int(json, "id", partition->id);
        json_put_str(json, "gpus", gpus);
        (void) json_array_append_new(array, json);
    }
    return array;
}

/* A number of the kernel's, -1 where it is not known. */
static int read_or_unknown(const json_t *json, const char *key, int max, int *ret,
                           struct error *err)
{
    int64_t value = json_get_int(json, key, -1);

    if (value < -1 || value > max)
        return error_set(err, -EINVAL, "%s is %" PRId64 "; it must be 0 to %d, or -1: unknown", key,
                         value, max);
    *ret = (int) value;
    return 0;
}

static int read_gpu_numbers(const json_t *json, struct gpu *gpu, struct error *err)
{
    int r = node_read_unsigned(json, "index", CPU_SET_MAX - 1, &gpu->index, err);
    if (r >= 0)
        r = node_read_bytes(json, "memory", &gpu->memory_bytes, err);
    if (r >= 0)
        r = read_or_unknown(json, "numa", CPU_SET_MAX - 1, &gpu->numa, err);
    if (r >= 0)
        r = read_or_unknown(json, "minor", INT_MAX, &gpu->minor, err);
    if (r >= 0)
        r = node_read_unsigned(json, "module", CPU_SET_MAX, &gpu->module, err);
    if (r >= 0)
        r = node_read_unsigned(json, "island", NODE_GPUS_MAX, &gpu->island, err);
    return r;
}

int read_gpu(struct node *node, const json_t *json, struct error *err)
{
    struct gpu gpu = { 0 };

    if (!json_get_str(json, "uuid", NULL))
        return error_set(err, -EINVAL, "uuid is missing");
    if (node->gpus.len == NODE_GPUS_MAX)
        return error_set(err, -E2BIG, "more than %d GPUs", NODE_GPUS_MAX);
    int r = read_gpu_numbers(json, &gpu, err);
    if (r < 0)
        return r;

    gpu.uuid = xstrdup(json_get_str(json, "uuid", NULL));
    gpu.vendor = xstrdup(json_get_str(json, "vendor", NULL));
    gpu.model = xstrdup(json_get_str(json, "model", NULL));
    gpu.pci = xstrdup(json_get_str(json, "pci", NULL));
    gpu.cdi = xstrdup(json_get_str(json, "cdi", NULL));
    gpu.fault = xstrdup(json_get_str(json, "fault", NULL));
    gpu.pcie = xstrdup(json_get_str(json, "pcie", NULL));
    gpu.iommu_group = xstrdup(json_get_str(json, "iommu_group", NULL));
    vec_push(&node->gpus, gpu);
    return 0;
}

int read_nic(struct node *node, const json_t *json, struct error *err)
{
    const char *name = json_get_str(json, "name", NULL);
    struct nic nic = { .rdma = json_get_bool(json, "rdma", false) };

    if (!name)
        return error_set(err, -EINVAL, "name is missing");
    int r = read_or_unknown(json, "numa", CPU_SET_MAX - 1, &nic.numa, err);
    if (r >= 0)
        r = node_read_unsigned(json, "vfs", UINT16_MAX, &nic.vfs, err);
    if (r >= 0)
        r = node_read_unsigned(json, "gbps", INT_MAX, &nic.gbps, err);
    if (r < 0)
        return r;
    nic.name = xstrdup(name);
    nic.pcie = xstrdup(json_get_str(json, "pcie", NULL));
    vec_push(&node->nics, nic);
    return 0;
}

int read_partition(struct node *node, const json_t *json, struct error *err)
{
    const char *list = json_get_str(json, "gpus", "");
    uint64_t all = node->gpus.len < 64 ? (UINT64_C(1) << node->gpus.len) - 1 : UINT64_MAX;
    struct gpu_partition partition = { 0 };
    struct cpu_set set;

    int r = node_read_unsigned(json, "id", INT_MAX, &partition.id, err);
    if (r < 0)
        return r;
    if (cpu_set_parse(list, &set) < 0 || !set.bits[0] || cpu_set_next(&set, 64) >= 0 ||
        (set.bits[0] & ~all))
        return error_set(err, -EINVAL, "gpus '%s' are not some of the node's, such as 0-3", list);
    partition.gpus = set.bits[0];
    vec_push(&node->partitions, partition);
    return 0;
}
