/* node.c - a machine as discovered, and its JSON form */
#include "fleet/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum { ADDRESS_MAX = 45 };

void node_free(struct node *node)
{
    if (!node)
        return;
    free(node->name);
    free(node->kernel);
    free(node->boot_id);
    free(node->address);
    free(node->driver);
    free(node->cpu_model);
    free(node->fault);
    json_decref(node->tags);
    free(node->site);
    free(node->block);
    free(node->leaf);
    vec_foreach(&node->gpus, gpu)
        gpu_done(gpu);
    vec_foreach(&node->nics, nic)
        nic_done(nic);
    vec_done(&node->cores);
    vec_done(&node->numas);
    vec_done(&node->gpus);
    vec_done(&node->nics);
    vec_done(&node->partitions);
    free(node);
}

static json_t *cores_to_json(const struct node *node)
{
    json_t *array = json_array();

    vec_foreach(&node->cores, core) {
        json_t *json = json_object();
        _cleanup_free_ char *cpus = cpu_siblings_format(&core->cpus);
        json_put_int(json, "id", core->id);
        json_put_int(json, "socket", core->socket);
        json_put_int(json, "numa", core->numa);
        if (core->l3 > 0)
            json_put_int(json, "l3", core->l3);
        json_put_str(json, "cpus", cpus);
        (void) json_array_append_new(array, json);
    }
    return array;
}

static json_t *numas_to_json(const struct node *node)
{
    json_t *array = json_array();

    vec_foreach(&node->numas, numa) {
        json_t *json = json_object();
        json_put_int(json, "id", numa->id);
        json_put_int(json, "memory", numa->memory_bytes);
        huge_pages_put(json, &numa->huge_pages);
        (void) json_array_append_new(array, json);
    }
    return array;
}

json_t *node_to_json(const struct node *node)
{
    json_t *json = json_object();
    char id[ID_TEXT_LEN + 1];

    json_put_str(json, "id", id_format(&node->id, id));
    json_put_str(json, "name", node->name);
    json_put_str(json, "kernel", node->kernel);
    json_put_str(json, "boot_id", node->boot_id);
    json_put_str(json, "address", node->address);
    json_put_str(json, "driver", node->driver);
    json_put_str(json, "cpu_model", node->cpu_model);
    json_put_str(json, "site", node->site);
    json_put_str(json, "block", node->block);
    json_put_str(json, "leaf", node->leaf);
    json_put_int(json, "memory", node->memory_bytes);
    json_put_int(json, "disk", node->disk_bytes);
    if (node->disk_free_bytes > 0)
        json_put_int(json, "disk_free", node->disk_free_bytes);
    json_put_int(json, "reserved_cores", node->reserved_cores);
    json_put_int(json, "reserved_memory", node->reserved_memory_bytes);
    json_put_int(json, "reserved_disk", node->reserved_disk_bytes);
    json_put(json, "cordoned", json_boolean(node->cordoned));
    json_put_str(json, "fault", node->fault);
    json_put_int(json, "others_cores", node->others_cores);
    json_put_int(json, "others_gpus", node->others_gpus);
    json_put_int(json, "others_memory", node->others_memory_bytes);
    json_put(json, "cores", cores_to_json(node));
    json_put(json, "numas", numas_to_json(node));
    json_put(json, "gpus", gpus_to_json(node));
    if (node->nics.len > 0)
        json_put(json, "nics", nics_to_json(node));
    if (node->partitions.len > 0)
        json_put(json, "partitions", partitions_to_json(node));
    return json;
}

int node_read_unsigned(const json_t *json, const char *key, unsigned max, unsigned *ret,
                       struct error *err)
{
    int64_t value = json_get_int(json, key, 0);

    if (value < 0 || value > max)
        return error_set(err, -EINVAL, "%s is %" PRId64 "; it must be 0 to %u", key, value, max);
    *ret = (unsigned) value;
    return 0;
}

int node_read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err)
{
    int64_t value = json_get_int(json, key, 0);

    if (value < 0)
        return error_set(err, -EINVAL, "%s is %" PRId64 "; it must be 0 bytes or more", key, value);
    *ret = value;
    return 0;
}

static int read_core(struct node *node, const json_t *json, struct error *err)
{
    struct core core = { 0 };
    struct cpu_set set;

    int r = node_read_unsigned(json, "id", CPU_SET_MAX - 1, &core.id, err);
    if (r >= 0)
        r = node_read_unsigned(json, "socket", CPU_SET_MAX - 1, &core.socket, err);
    if (r >= 0)
        r = node_read_unsigned(json, "numa", CPU_SET_MAX - 1, &core.numa, err);
    if (r >= 0)
        r = node_read_unsigned(json, "l3", CPU_SET_MAX, &core.l3, err);
    if (r < 0)
        return r;

    const char *cpus = json_get_str(json, "cpus", "");
    r = cpu_set_parse(cpus, &set);
    if (r < 0 || cpu_set_count(&set) == 0)
        return error_set(err, -EINVAL, "cpus '%s' is not a list such as 0-3,8", cpus);
    if (cpu_siblings_of(&set, &core.cpus) < 0)
        return error_set(err, -EINVAL, "cpus '%s' are %u; a core has 1 to %d", cpus,
                         cpu_set_count(&set), CPU_SIBLINGS_MAX);
    if (core.id != node->cores.len)
        return error_set(err, -EINVAL, "core %u is at position %zu", core.id, node->cores.len);
    vec_push(&node->cores, core);
    return 0;
}

static int read_numa(struct node *node, const json_t *json, struct error *err)
{
    struct numa_node numa = { 0 };

    int r = node_read_unsigned(json, "id", CPU_SET_MAX - 1, &numa.id, err);
    if (r >= 0)
        r = node_read_bytes(json, "memory", &numa.memory_bytes, err);
    if (r >= 0)
        r = huge_pages_read(json, &numa.huge_pages, err);
    if (r >= 0)
        vec_push(&node->numas, numa);
    return r;
}

static int read_items(struct node *node, const json_t *json, const char *key,
                      int (*read)(struct node *, const json_t *, struct error *), struct error *err)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(json, key), i, item) {
        int r = i < CPU_SET_MAX ? read(node, item, err)
                                : error_set(err, -E2BIG, "more than %d items", CPU_SET_MAX);
        if (r < 0)
            return error_context(err, r, "%s[%zu]", key, i);
    }
    return 0;
}

static int read_capacity(struct node *node, const json_t *json, struct error *err)
{
    int r = node_read_bytes(json, "memory", &node->memory_bytes, err);
    if (r >= 0)
        r = node_read_bytes(json, "disk", &node->disk_bytes, err);
    if (r >= 0)
        r = node_read_bytes(json, "disk_free", &node->disk_free_bytes, err);
    if (r >= 0)
        r = node_read_unsigned(json, "reserved_cores", CPU_SET_MAX, &node->reserved_cores, err);
    if (r >= 0)
        r = node_read_bytes(json, "reserved_memory", &node->reserved_memory_bytes, err);
    if (r >= 0)
        r = node_read_bytes(json, "reserved_disk", &node->reserved_disk_bytes, err);
    return r;
}

/* An address of either family; whether it is one at all is found out by whoever uses it. */
static int read_address(struct node *node, const json_t *json, struct error *err)
{
    const char *address = json_get_str(json, "address", NULL);

    if (!address)
        return 0;
    if (!*address || strlen(address) > ADDRESS_MAX ||
        address[strspn(address, "0123456789abcdef:.")])
        return error_set(err, -EINVAL, "address '%s' is not one such as 10.0.0.7 or fd00::7",
                         address);
    node->address = xstrdup(address);
    return 0;
}

int node_from_json(const json_t *json, struct node **ret, struct error *err)
{
    _cleanup_(node_freep) struct node *node = xnew(struct node);
    const char *id = json_get_str(json, "id", NULL);

    if (id && id_parse(id, &node->id) < 0)
        return error_set(err, -EINVAL, "id '%s' is not a UUID", id);
    int r = name_check("name", json_get_str(json, "name", ""), err);
    if (r < 0)
        return r;

    node->name = xstrdup(json_get_str(json, "name", NULL));
    node->kernel = xstrdup(json_get_str(json, "kernel", NULL));
    node->boot_id = xstrdup(json_get_str(json, "boot_id", NULL));
    node->driver = xstrdup(json_get_str(json, "driver", NULL));
    node->cpu_model = xstrdup(json_get_str(json, "cpu_model", NULL));
    node->site = xstrdup(json_get_str(json, "site", NULL));
    node->block = xstrdup(json_get_str(json, "block", NULL));
    node->leaf = xstrdup(json_get_str(json, "leaf", NULL));
    node->cordoned = json_get_bool(json, "cordoned", false);
    r = read_address(node, json, err);
    if (r >= 0)
        r = read_capacity(node, json, err);
    if (r >= 0)
        r = read_items(node, json, "cores", read_core, err);
    if (r >= 0)
        r = read_items(node, json, "numas", read_numa, err);
    if (r >= 0)
        r = read_items(node, json, "gpus", read_gpu, err);
    if (r >= 0)
        r = read_items(node, json, "nics", read_nic, err);
    if (r >= 0)
        r = read_items(node, json, "partitions", read_partition, err);
    if (r < 0)
        return error_context(err, r, "node %s", node->name);

    *ret = take_ptr(node);
    return 0;
}

static bool has_one(const json_t *tags, const char *wanted, size_t len)
{
    _cleanup_free_ char *key = xstrndup(wanted, len);
    char *equals = strchr(key, '=');

    if (equals)
        *equals = '\0';
    const char *value = json_get_str(tags, key, NULL);
    return value && (!equals || str_equal(value, equals + 1));
}

const char *node_stands_in(const struct node *node, enum fabric part)
{
    static const char *const tags[] = { "site", "block", "leaf" };
    const char *const known[] = { node->site, node->block, node->leaf };
    const char *tag = json_get_str(node->tags, tags[part], NULL);

    return tag && *tag ? tag : known[part];
}

const char *node_stands_within(const struct node *node, enum fabric *part)
{
    const char *name = node_stands_in(node, *part);

    while (!name && *part < FABRIC_LEAF)
        name = node_stands_in(node, ++*part);
    return name;
}

int64_t node_ordinary_bytes(const struct node *node)
{
    int64_t bytes = node->memory_bytes;

    vec_foreach(&node->numas, numa)
        bytes -= huge_pages_bytes(&numa->huge_pages);
    return bytes > 0 ? bytes : 0;
}

bool node_has_tag(const struct node *node, const char *wanted)
{
    for (const char *p = wanted; *p;) {
        size_t n = strcspn(p, "|");
        if (has_one(node->tags, p, n))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}
