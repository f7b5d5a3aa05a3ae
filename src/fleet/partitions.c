/* partitions.c - the fabric manager's table of a machine, as people write it
 *
 * hgx8: NVIDIA Fabric Manager User Guide, "Shared NVSwitch virtualization model", partitions of HGX boards of 8 GPUs. Numbers of
 * GPUs are the fabric manager's ("module", nvmlDeviceGetModuleId), not those of the PCI bus.
 */
#include "fleet/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { PARTITIONS_MAX = 256 };

static const char hgx8[] = "0=1-8 1=1-4 2=5-8 3=1,3 4=2,4 5=5,7 6=6,8 "
                           "7=1 8=2 9=3 10=4 11=5 12=6 13=7 14=8";

struct entry {
    long long id;
    struct cpu_set modules;
};

static int read_entry(const char *word, struct entry *ret, struct error *err)
{
    const char *equals = strchr(word, '=');
    _cleanup_free_ char *id = xstrndup(word, equals ? (size_t) (equals - word) : 0);

    if (!equals || str_to_i64(id, 0, INT_MAX, &ret->id) < 0 ||
        cpu_set_parse(equals + 1, &ret->modules) < 0 || cpu_set_count(&ret->modules) == 0)
        return error_set(err, -EINVAL,
                         "'%.40s' must be a partition and the modules of its GPUs, such as 1=1-4",
                         word);
    return 0;
}

static bool has_partition(const struct node *node, unsigned id)
{
    vec_foreach(&node->partitions, partition)
        if (partition->id == id)
            return true;
    return false;
}

/* Positions of MODULES; those that NODE lacks stay in MODULES. */
static uint64_t positions_of(const struct node *node, struct cpu_set *modules)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < node->gpus.len; i++) {
        unsigned module = node->gpus.items[i].module;
        if (module == 0 || module >= CPU_SET_MAX || !cpu_set_has(modules, module))
            continue;
        cpu_set_remove(modules, module);
        bits |= UINT64_C(1) << i;
    }
    return bits;
}

static int lacks_module(const struct node *node, const struct entry *entry, struct error *err)
{
    struct cpu_set has = { 0 };

    vec_foreach(&node->gpus, gpu)
        if (gpu->module > 0 && gpu->module < CPU_SET_MAX)
            cpu_set_add(&has, gpu->module);
    if (cpu_set_count(&has) == 0)
        return error_set(err, -EINVAL,
                         "the fabric manager's numbers of node %s's GPUs are not known",
                         node->name);
    _cleanup_free_ char *modules = cpu_set_format(&has);
    return error_set(err, -EINVAL, "partition %lld has module %d; the modules of node %s are %s",
                     entry->id, cpu_set_next(&entry->modules, 0), node->name, modules);
}

/* Add the partition of WORD to NODE; with LACKING one of which a GPU is not there is left out. */
static int add_entry(struct node *node, const char *word, bool lacking, struct error *err)
{
    struct entry entry = { 0 };

    int r = read_entry(word, &entry, err);
    if (r < 0)
        return r;
    const struct gpu_partition partition = { .id = (unsigned) entry.id,
                                             .gpus = positions_of(node, &entry.modules) };
    if (has_partition(node, partition.id))
        return error_set(err, -EINVAL, "partition %u is there twice", partition.id);
    if (node->partitions.len == PARTITIONS_MAX)
        return error_set(err, -E2BIG, "there are more than %d partitions", PARTITIONS_MAX);
    if (cpu_set_count(&entry.modules) > 0)
        return lacking ? 0 : lacks_module(node, &entry, err);
    vec_push(&node->partitions, partition);
    return 0;
}

static int set_table(struct node *node, const char *table, bool lacking, struct error *err)
{
    const char *rest = str_equal(table, "hgx8") ? hgx8 : str_equal(table, "none") ? "" : table;
    int r = 0;

    node->partitions.len = 0;
    for (rest += strspn(rest, " "); *rest && r >= 0; rest += strspn(rest, " ")) {
        size_t n = strcspn(rest, " ");
        _cleanup_free_ char *word = xstrndup(rest, n);
        r = add_entry(node, word, lacking, err);
        rest += n;
    }
    if (r >= 0 && rest == table + strspn(table, " "))
        r = error_set(err, -EINVAL, "is empty; it must be hgx8, none, or such as 1=1-4 2=5-8");
    return r;
}

int node_check_partitions(const struct node *node, const char *table, struct error *err)
{
    _cleanup_(node_freep) struct node *trial = node_copy(node);

    return set_table(trial, table, false, err);
}

void node_set_partitions(struct node *node, const char *table)
{
    if (set_table(node, table, true, NULL) < 0)
        node->partitions.len = 0;
}
