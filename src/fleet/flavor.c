/* flavor.c - sellable shapes, and the ones a machine gets when the operator names none */
#include "fleet/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>

enum { PIDS_DEFAULT = 4096, CORES_MAX = CPU_SET_MAX };

#define MIB (INT64_C(1) << 20)

static const struct {
    const char *key;
    size_t offset;
} rules[] = {
    { "numa_strict", offsetof(struct flavor, numa_strict) },
    { "network_optimised", offsetof(struct flavor, network_optimised) },
    { "splits_islands", offsetof(struct flavor, splits_islands) },
    { "whole_node", offsetof(struct flavor, whole_node) },
};
enum { N_RULES = sizeof rules / sizeof *rules };

static bool *rule_of(struct flavor *flavor, size_t i)
{
    return (bool *) (void *) ((char *) flavor + rules[i].offset);
}

void flavor_free(struct flavor *flavor)
{
    if (!flavor)
        return;
    free(flavor->name);
    free(flavor->gpu_model);
    free(flavor);
}

json_t *flavor_to_json(const struct flavor *flavor)
{
    json_t *json = json_object();

    json_put_str(json, "name", flavor->name);
    json_put_int(json, "cores", flavor->cores);
    json_put_int(json, "memory", flavor->memory_bytes);
    json_put_int(json, "disk", flavor->disk_bytes);
    json_put_int(json, "gpus", flavor->gpus);
    if (flavor->gpu_milli)
        json_put_int(json, "gpu_milli", flavor->gpu_milli);
    json_put_str(json, "gpu_model", flavor->gpu_model);
    json_put_int(json, "pids", flavor->pids);
    json_put(json, "rdma", json_boolean(flavor->rdma));
    json_put(json, "shared", json_boolean(flavor->shared));
    for (size_t i = 0; i < N_RULES; i++)
        json_put(json, rules[i].key,
                 json_boolean(*rule_of((struct flavor *) (uintptr_t) flavor, i)));
    flavor_put_ratio(json, flavor);
    huge_pages_put(json, &flavor->huge_pages);
    return json;
}

int flavor_read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    const json_t *value = json_object_get(json, key);
    long long bytes = 0;

    *ret = json_is_integer(value) ? json_integer_value(value) : 0;
    if (!value || json_is_integer(value))
        return 0;
    if (!json_is_string(value) || str_to_bytes(json_string_value(value), &bytes) < 0)
        return error_set(err, -EINVAL, "%s: is no size like 4Gi", key);
    *ret = bytes;
    return 0;
}

static int check_known(const json_t *json, struct error *err)
{
    static const char *const known[] = { "name",
                                         "cores",
                                         "memory",
                                         "disk",
                                         "gpus",
                                         "gpu_milli",
                                         "gpu_model",
                                         "pids",
                                         "huge_pages_1g",
                                         "huge_pages_2m",
                                         "rdma",
                                         "shared",
                                         "numa_strict",
                                         "network_optimised",
                                         "splits_islands",
                                         "whole_node",
                                         "min_cores_per_gpu",
                                         "max_cores_per_gpu",
                                         "min_memory_per_gpu",
                                         "max_memory_per_gpu" };
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return error_set(err, -EINVAL, "is not a map");
    json_object_foreach((json_t *) (uintptr_t) json, key, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= str_equal(known[i], key);
        if (!found)
            return error_set(
                err, -EINVAL,
                "%.40s: is not known; a flavor has name, cores, memory, disk, gpus, "
                "gpu_milli, gpu_model, pids, huge_pages_1g, huge_pages_2m, rdma, shared, "
                "numa_strict, network_optimised, splits_islands, whole_node and {min,max}_{cores,memory}_per_gpu",
                key);
    }
    return 0;
}

/* How much of a GPU; what is shared is a part of one. */
static int read_part(const json_t *json, struct flavor *flavor, struct error *err)
{
    const json_t *value = json_object_get(json, "gpu_milli");
    int64_t milli = json_integer_value(value);

    if (!value)
        return 0;
    if (!json_is_integer(value) || milli < 1 || milli > 999)
        return error_set(err, -EINVAL,
                         "flavor %s: gpu_milli: must be 1 to 999, thousandths of a GPU; leave it "
                         "out for whole ones",
                         flavor->name);
    if (flavor->gpus != 1)
        return error_set(err, -EINVAL,
                         "flavor %s: gpu_milli is %" PRId64 " and gpus is %u; a part is of one "
                         "GPU: write gpus: 1",
                         flavor->name, milli, flavor->gpus);
    flavor->gpu_milli = (unsigned) milli;
    return 0;
}

static int read_more(const json_t *json, struct flavor *flavor, struct error *err)
{
    int r = huge_pages_read(json, &flavor->huge_pages, err);

    if (r < 0)
        return error_context(err, r, "flavor %s", flavor->name);
    r = read_part(json, flavor, err);
    return r < 0 ? r : flavor_read_ratio(json, flavor, err);
}

int flavor_from_json(const json_t *json, struct flavor **ret, struct error *err)
{
    const char *name = json_get_str(json, "name", "");
    int64_t cores = json_get_int(json, "cores", 1);
    int64_t memory = 0, disk = 0;
    int64_t gpus = json_get_int(json, "gpus", 0);
    int64_t pids = json_get_int(json, "pids", PIDS_DEFAULT);

    int r = check_known(json, err);
    if (r >= 0)
        r = name_check("name", name, err);
    if (r >= 0)
        r = flavor_read_bytes(json, "memory", &memory, err);
    if (r >= 0)
        r = flavor_read_bytes(json, "disk", &disk, err);
    if (r < 0)
        return r;
    if (cores < 1 || cores > CORES_MAX)
        return error_set(err, -EINVAL, "flavor %s: cores is %" PRId64 "; it must be 1 to %d", name,
                         cores, CORES_MAX);
    if (memory < MIB)
        return error_set(err, -EINVAL,
                         "flavor %s: memory is %" PRId64 " bytes; it must be 1 MiB or more", name,
                         memory);
    if (disk < 0)
        return error_set(err, -EINVAL, "flavor %s: disk is %" PRId64 "; it must be 0 bytes or more",
                         name, disk);
    if (gpus < 0 || gpus > CORES_MAX)
        return error_set(err, -EINVAL, "flavor %s: gpus is %" PRId64 "; it must be 0 to %d", name,
                         gpus, CORES_MAX);
    if (pids < 1 || pids > 4194304)
        return error_set(err, -EINVAL, "flavor %s: pids is %" PRId64 "; it must be 1 to 4194304",
                         name, pids);

    _cleanup_(flavor_freep) struct flavor *flavor = xnew(struct flavor);
    flavor->name = xstrdup(name);
    flavor->cores = (unsigned) cores;
    flavor->memory_bytes = memory;
    flavor->disk_bytes = disk;
    flavor->gpus = (unsigned) gpus;
    flavor->gpu_model = xstrdup(json_get_str(json, "gpu_model", NULL));
    flavor->pids = (unsigned) pids;
    flavor->rdma = json_get_bool(json, "rdma", false);
    flavor->shared = json_get_bool(json, "shared", false);
    for (size_t i = 0; i < N_RULES; i++)
        *rule_of(flavor, i) = json_get_bool(json, rules[i].key, false);
    r = read_more(json, flavor, err);
    if (r < 0)
        return r;
    *ret = take_ptr(flavor);
    return 0;
}

struct capacity {
    unsigned cores;
    int64_t memory_bytes;
    int64_t disk_bytes;
};

/* The disk that default flavors share: half of what is free, for results stay and files of others come. */
static int64_t disk_to_share(const struct node *node)
{
    if (node->disk_free_bytes == 0)
        return node->disk_bytes - node->reserved_disk_bytes;
    return (node->disk_free_bytes - node->reserved_disk_bytes) / 2;
}

unsigned node_usable_cores(const struct node *node)
{
    unsigned reserved = 0;

    vec_foreach(&node->numas, numa) {
        unsigned here = 0;
        vec_foreach(&node->cores, core)
            here += core->numa == numa->id;
        reserved += here < node->reserved_cores ? here : node->reserved_cores;
    }
    return (unsigned) node->cores.len > reserved ? (unsigned) node->cores.len - reserved : 0;
}

/* What tasks may get of NODE. */
static struct capacity usable(const struct node *node)
{
    struct capacity c = {
        .cores = node_usable_cores(node),
        .memory_bytes = node_ordinary_bytes(node) - node->reserved_memory_bytes,
        .disk_bytes = disk_to_share(node),
    };
    if (c.memory_bytes < 0)
        c.memory_bytes = 0;
    if (c.disk_bytes < 0)
        c.disk_bytes = 0;
    return c;
}

/* SHARE of WHOLE in ALL parts, down to whole MiB so that the shares of all cores fit together. */
static int64_t share_of(int64_t whole, unsigned share, unsigned all)
{
    return whole / MIB * share / all * MIB;
}

static struct flavor *make(char *name, const struct capacity *c, unsigned cores)
{
    struct flavor *flavor = xnew(struct flavor);

    flavor->name = name;
    flavor->cores = cores;
    flavor->memory_bytes = share_of(c->memory_bytes, cores, c->cores);
    flavor->disk_bytes = share_of(c->disk_bytes, cores, c->cores);
    flavor->pids = PIDS_DEFAULT;
    return flavor;
}

/* The next size up: doubled, but all of them where that would be too many. */
static unsigned next_size(unsigned size, unsigned all)
{
    return size < all && size * 2 > all ? all : size * 2;
}

/* gpu.1, gpu.2, … with the cores and memory that are their share of the machine. */
static size_t add_gpu_flavors(const struct node *node, const struct capacity *c,
                              struct flavor *ret[], size_t max)
{
    unsigned all = 0;
    size_t n = 0;

    vec_foreach(&node->gpus, gpu)
        all += !gpu->fault;
    for (unsigned gpus = 1; gpus <= all && n < max; gpus = next_size(gpus, all)) {
        unsigned cores = c->cores * gpus / all;
        ret[n] = make(xasprintf("gpu.%u", gpus), c, cores > 0 ? cores : 1);
        ret[n]->memory_bytes = share_of(c->memory_bytes, gpus, all);
        ret[n]->disk_bytes = share_of(c->disk_bytes, gpus, all);
        ret[n++]->gpus = gpus;
    }
    return n;
}

size_t flavor_defaults(const struct node *node, struct flavor *ret[], size_t max)
{
    struct capacity c = usable(node);
    size_t n = 0;

    if (c.cores == 0)
        return 0;
    for (unsigned cores = 1; cores <= c.cores && n + 1 < max; cores *= 2)
        ret[n++] = make(xasprintf("cpu.%u", cores), &c, cores);
    /* The whole machine, where that is no power of two. */
    if ((c.cores & (c.cores - 1)) != 0 && n + 1 < max)
        ret[n++] = make(xasprintf("cpu.%u", c.cores), &c, c.cores);
    if (n < max) {
        /* A quarter of a core's memory: the pool takes several of them a core. */
        ret[n] = make(xstrdup("cpu.shared"), &c, 1);
        ret[n]->memory_bytes = share_of(ret[n]->memory_bytes, 1, 4);
        ret[n]->disk_bytes = share_of(ret[n]->disk_bytes, 1, 4);
        ret[n++]->shared = true;
    }
    return n + add_gpu_flavors(node, &c, ret + n, max - n);
}
