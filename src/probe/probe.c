/* probe.c - put the parts of a node together */
#include "base/alloc.h"
#include "os/clock.h"
#include "probe/internal.h"

#include <errno.h>
#include <sys/statvfs.h>

static const char *or_else(const char *s, const char *otherwise) { return s ? s : otherwise; }

void add_core(struct node *node, const struct core *core, const struct cpu_set *allowed)
{
    if (allowed && !cpu_siblings_within(&core->cpus, allowed))
        return;
    vec_push(&node->cores, *core);
    node->cores.items[node->cores.len - 1].id = (unsigned) node->cores.len - 1;
}

void add_numa(struct node *node, unsigned id, int64_t memory_bytes)
{
    const struct numa_node numa = { .id = id, .memory_bytes = memory_bytes };

    vec_push(&node->numas, numa);
}

/* false: the kernel does not say, so all are. */
static bool allowed_cpus(const struct place *place, struct cpu_set *ret)
{
    _cleanup_text_ struct text status = { 0 };
    const char *list;

    if (kernel_text(&status, place->proc, "self/status") < 0)
        return false;
    int n = field_find(text_str(&status), status.len, "Cpus_allowed_list", &list);
    if (n <= 0)
        return false;
    _cleanup_free_ char *text = xstrndup(list, (size_t) n);
    return cpu_set_parse(text, ret) == 0;
}

static int find_topology(const struct place *place, struct node *node, struct error *err)
{
    struct cpu_set set;
    const struct cpu_set *allowed = !place->xml && allowed_cpus(place, &set) ? &set : NULL;

    int r = topology_hwloc(place, allowed, node, err);
    if (r == -ENOENT && !place->xml)
        r = topology_sysfs(place, allowed, node, err);
    if (r < 0)
        return r == -ENOENT ? error_set(err, r, "reading %s needs hwloc", place->xml) : r;
    if (node->cores.len == 0)
        return error_set(err, -ENODEV,
                         "no whole core is left for tasks: the cpuset of this process shows none "
                         "with all its SMT siblings");
    return 0;
}

static int find_memory(const struct place *place, struct node *node, struct error *err)
{
    _cleanup_text_ struct text meminfo = { 0 };

    vec_foreach(&node->numas, numa)
        node->memory_bytes += numa->memory_bytes;
    if (place->xml && node->memory_bytes > 0)
        return 0;
    node->memory_bytes = 0;
    if (kernel_text(&meminfo, place->proc, "meminfo") < 0 ||
        field_kilobytes(text_str(&meminfo), meminfo.len, "MemTotal", &node->memory_bytes) < 0)
        return error_set(err, -ENODATA, "%s/meminfo does not tell the memory's size", place->proc);
    if (node->numas.len == 0)
        add_numa(node, 0, 0);
    /* A kernel that initialises memory late tells less per node than altogether. */
    if (node->numas.len == 1)
        node->numas.items[0].memory_bytes = node->memory_bytes;
    return 0;
}

static char *first_line(const struct place *place, const char *file)
{
    struct text text = { 0 };

    if (kernel_text(&text, place->proc, "%s", file) < 0)
        return NULL;
    return text_take(&text);
}

static void describe(const struct place *place, const struct probe_options *options,
                     struct node *node)
{
    _cleanup_text_ struct text cpuinfo = { 0 };
    const char *model;
    struct statvfs fs;

    node->name = first_line(place, "sys/kernel/hostname");
    node->kernel = first_line(place, "sys/kernel/osrelease");
    node->boot_id =
        options->proc ? first_line(place, "sys/kernel/random/boot_id") : xstrdup(clock_boot_id());
    if (kernel_text(&cpuinfo, place->proc, "cpuinfo") >= 0) {
        int n = field_find(text_str(&cpuinfo), cpuinfo.len, "model name", &model);
        if (n > 0)
            node->cpu_model = xstrndup(model, (size_t) n);
    }
    if (options->disk && statvfs(options->disk, &fs) == 0) {
        node->disk_bytes = (int64_t) fs.f_blocks * (int64_t) fs.f_frsize;
        node->disk_free_bytes = probe_disk_free(options->disk);
    }
}

int64_t probe_disk_free(const char *path)
{
    struct statvfs fs;

    if (statvfs(path, &fs) < 0)
        return 0;
    return fs.f_bavail ? (int64_t) fs.f_bavail * (int64_t) fs.f_frsize : 1;
}

int probe_node(const struct probe_options *options, struct node **ret, struct error *err)
{
    static const struct probe_options defaults = { 0 };
    _cleanup_(node_freep) struct node *node = xnew(struct node);

    if (!options)
        options = &defaults;
    const struct place place = { .sys = or_else(options->sys, "/sys"),
                                 .proc = or_else(options->proc, "/proc"),
                                 .hwloc = or_else(options->hwloc, "libhwloc.so.15"),
                                 .nvml = or_else(options->nvml, "libnvidia-ml.so.1"),
                                 .xml = options->xml };
    int r = find_topology(&place, node, err);
    if (r < 0)
        return error_context(err, r, "this machine's cores");
    r = find_memory(&place, node, err);
    if (r < 0)
        return r;
    if (!place.xml) {
        find_huge_pages(&place, node);
        find_nics(&place, node);
    }
    describe(&place, options, node);
    r = gpus_nvml(&place, node, err);
    /* A driver that does not work must not keep the machine from its other work. */
    if (r < 0)
        r = gpus_pci(&place, node, err);
    if (r < 0)
        return r;
    if (options->cdi)
        gpus_cdi(&place, options->cdi, node);
    *ret = take_ptr(node);
    return 0;
}
