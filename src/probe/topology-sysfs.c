/* topology-sysfs.c - cores and memory from /sys/devices/system, where hwloc is not there
 *
 * Kernel documentation: ABI/stable/sysfs-devices-system-cpu and -node.
 */
#include "probe/internal.h"

#include <errno.h>
#include <stdio.h>

static int read_set(const char *sys, const char *name, struct cpu_set *ret)
{
    _cleanup_text_ struct text text = { 0 };

    int r = kernel_text(&text, sys, "devices/system/%s", name);
    return r < 0 ? r : cpu_set_parse(text_str(&text), ret);
}

static int siblings_of(const char *sys, unsigned cpu, struct cpu_set *ret)
{
    static const char *const names[] = { "core_cpus_list", "thread_siblings_list" };
    char path[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void) snprintf(path, sizeof path, "cpu/cpu%u/topology/%s", cpu, names[i]);
        if (read_set(sys, path, ret) == 0)
            return 0;
    }
    /* No topology at all: a core of its own. */
    *ret = (struct cpu_set){ 0 };
    cpu_set_add(ret, cpu);
    return 0;
}

/* Kernel documentation: ABI/stable/sysfs-devices-system-cpu, cache. The first CPU of each cache seen is in FIRSTS; they come in
 * order, so a cache keeps its number, which is 1 and more. 0: there is none. */
static unsigned l3_of(const char *sys, unsigned cpu, struct cpu_set *firsts)
{
    struct cpu_set shared;
    unsigned number = 0;
    char path[64];

    (void) snprintf(path, sizeof path, "cpu/cpu%u/cache/index3/shared_cpu_list", cpu);
    if (kernel_number(sys, "devices/system/cpu/cpu%u/cache/index3/level", cpu) != 3 ||
        read_set(sys, path, &shared) < 0 || cpu_set_count(&shared) == 0)
        return 0;
    int first = cpu_set_next(&shared, 0);
    cpu_set_add(firsts, (unsigned) first);
    for (int n = cpu_set_next(firsts, 0); n >= 0 && n <= first;
         n = cpu_set_next(firsts, (unsigned) n + 1))
        number++;
    return number;
}

struct numa_cpus {
    unsigned id;
    struct cpu_set cpus;
};
typedef VEC(struct numa_cpus) numa_list;

static void numa_list_done(numa_list *v) { vec_done(v); }

/* Memory nodes that have CPUs; others (GPU or CXL memory) belong to no core. */
static void read_numas(const struct place *place, struct node *node, numa_list *ret)
{
    struct cpu_set online;
    char path[64];

    if (read_set(place->sys, "node/online", &online) < 0)
        return;
    for (int id = cpu_set_next(&online, 0); id >= 0;
         id = cpu_set_next(&online, (unsigned) id + 1)) {
        _cleanup_text_ struct text meminfo = { 0 };
        struct numa_cpus numa = { .id = (unsigned) id };
        char field[32];
        int64_t bytes;

        (void) snprintf(path, sizeof path, "node/node%d/cpulist", id);
        (void) snprintf(field, sizeof field, "Node %d MemTotal", id);
        if (read_set(place->sys, path, &numa.cpus) < 0 || cpu_set_count(&numa.cpus) == 0 ||
            kernel_text(&meminfo, place->sys, "devices/system/node/node%d/meminfo", id) < 0 ||
            field_kilobytes(text_str(&meminfo), meminfo.len, field, &bytes) < 0)
            continue;
        add_numa(node, numa.id, bytes);
        vec_push(ret, numa);
    }
}

static unsigned numa_of(const numa_list *numas, unsigned cpu)
{
    vec_foreach(numas, numa)
        if (cpu_set_has(&numa->cpus, cpu))
            return numa->id;
    return numas->len ? numas->items[0].id : 0;
}

int topology_sysfs(const struct place *place, const struct cpu_set *allowed, struct node *node,
                   struct error *err)
{
    _cleanup_(numa_list_done) numa_list numas = { 0 };
    struct cpu_set online, seen = { 0 }, firsts = { 0 };

    int r = read_set(place->sys, "cpu/online", &online);
    if (r < 0)
        return error_set(err, r, "%s/devices/system/cpu/online: %s", place->sys, strerror(-r));
    read_numas(place, node, &numas);
    for (int cpu = cpu_set_next(&online, 0); cpu >= 0;
         cpu = cpu_set_next(&online, (unsigned) cpu + 1)) {
        struct core core = { .numa = numa_of(&numas, (unsigned) cpu) };
        struct cpu_set siblings;
        if (cpu_set_has(&seen, (unsigned) cpu))
            continue;
        r = siblings_of(place->sys, (unsigned) cpu, &siblings);
        if (r < 0)
            return r;
        if (cpu_siblings_of(&siblings, &core.cpus) < 0)
            return error_set(err, -ERANGE, CORE_TOO_LARGE, cpu, cpu_set_count(&siblings),
                             CPU_SIBLINGS_MAX);
        cpu_set_union(&seen, &siblings);
        long long socket =
            kernel_number(place->sys, "devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        core.socket = socket < 0 ? 0 : (unsigned) socket;
        core.l3 = l3_of(place->sys, (unsigned) cpu, &firsts);
        add_core(node, &core, allowed);
    }
    return 0;
}
