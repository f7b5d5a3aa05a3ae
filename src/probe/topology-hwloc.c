/* topology-hwloc.c - cores and memory from hwloc, opened at run time
 *
 * Only functions that the library exports are called, through pointers of the header's own types.
 */
#include "probe/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <hwloc.h>

struct hwloc_calls {
    void *library;
    typeof(&hwloc_topology_init) init;
    typeof(&hwloc_topology_destroy) destroy;
    typeof(&hwloc_topology_load) load;
    typeof(&hwloc_topology_set_flags) set_flags;
    typeof(&hwloc_topology_set_xml) set_xml;
    typeof(&hwloc_topology_get_allowed_cpuset) allowed;
    typeof(&hwloc_get_type_depth) type_depth;
    typeof(&hwloc_get_obj_by_depth) by_depth;
    typeof(&hwloc_bitmap_next) next;
    hwloc_topology_t topology;
};

static void calls_done(struct hwloc_calls *h)
{
    if (h->topology)
        h->destroy(h->topology);
    if (h->library)
        (void) dlclose(h->library);
}

/* The only cast from an object to a function pointer that C leaves to POSIX (dlsym(3)). */
static bool find(struct hwloc_calls *h, const char *name, void *ret)
{
    void *symbol = dlsym(h->library, name);

    memcpy(ret, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int open_library(const char *name, struct hwloc_calls *h)
{
    if (!name[0])
        return -ENOENT;
    h->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!h->library)
        return -ENOENT;
    if (!find(h, "hwloc_topology_init", &h->init) ||
        !find(h, "hwloc_topology_destroy", &h->destroy) ||
        !find(h, "hwloc_topology_load", &h->load) ||
        !find(h, "hwloc_topology_set_flags", &h->set_flags) ||
        !find(h, "hwloc_topology_set_xml", &h->set_xml) ||
        !find(h, "hwloc_topology_get_allowed_cpuset", &h->allowed) ||
        !find(h, "hwloc_get_type_depth", &h->type_depth) ||
        !find(h, "hwloc_get_obj_by_depth", &h->by_depth) || !find(h, "hwloc_bitmap_next", &h->next))
        return -ENOENT;
    return 0;
}

static int load(struct hwloc_calls *h, const char *xml, struct error *err)
{
    hwloc_topology_t topology;

    if (h->init(&topology) < 0)
        return error_set(err, -ENOMEM, "hwloc does not start");
    h->topology = topology;
    if (xml && h->set_xml(topology, xml) < 0)
        return error_set(err, -EINVAL, "%s is not a topology that hwloc knows", xml);
    /* With what we may not use, so that a core of which only one sibling is ours is seen as such. */
    (void) h->set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    if (h->load(topology) < 0)
        return error_set(err, -EINVAL, "hwloc cannot read %s", xml ? xml : "this machine");
    return 0;
}

static struct cpu_set to_set(const struct hwloc_calls *h, hwloc_const_bitmap_t bitmap)
{
    struct cpu_set set = { 0 };

    for (int n = h->next(bitmap, -1); n >= 0 && n < CPU_SET_MAX; n = h->next(bitmap, n))
        cpu_set_add(&set, (unsigned) n);
    return set;
}

static unsigned socket_of(hwloc_obj_t core)
{
    for (hwloc_obj_t o = core->parent; o; o = o->parent)
        if (o->type == HWLOC_OBJ_PACKAGE)
            return o->os_index == HWLOC_UNKNOWN_INDEX ? o->logical_index : o->os_index;
    return 0;
}

/* From 1, in hwloc's order; 0: there is none. */
static unsigned l3_of(hwloc_obj_t core)
{
    for (hwloc_obj_t o = core->parent; o; o = o->parent)
        if (o->type == HWLOC_OBJ_L3CACHE)
            return o->logical_index + 1;
    return 0;
}

static void take_numas(const struct hwloc_calls *h, struct node *node)
{
    hwloc_obj_t numa;

    for (unsigned i = 0; (numa = h->by_depth(h->topology, HWLOC_TYPE_DEPTH_NUMANODE, i)); i++)
        /* Without CPUs it is a GPU's or CXL memory, which belongs to no core. */
        if (h->next(numa->cpuset, -1) >= 0)
            add_numa(node, numa->os_index, (int64_t) numa->attr->numanode.local_memory);
}

/* Several where memory of different kinds is local to a core: the first that add_numa() knows. */
static unsigned numa_of(const struct hwloc_calls *h, const struct node *node, hwloc_obj_t core)
{
    for (int n = h->next(core->nodeset, -1); n >= 0; n = h->next(core->nodeset, n))
        vec_foreach(&node->numas, numa)
            if (numa->id == (unsigned) n)
                return numa->id;
    return node->numas.len ? node->numas.items[0].id : 0;
}

static int take_cores(const struct hwloc_calls *h, const struct cpu_set *allowed, struct node *node,
                      struct error *err)
{
    int depth = h->type_depth(h->topology, HWLOC_OBJ_CORE);
    hwloc_obj_t core;

    /* Without cores (some virtual machines) every PU is one. */
    if (depth < 0)
        depth = h->type_depth(h->topology, HWLOC_OBJ_PU);
    for (unsigned i = 0; (core = h->by_depth(h->topology, depth, i)); i++) {
        struct core one = { .socket = socket_of(core),
                            .numa = numa_of(h, node, core),
                            .l3 = l3_of(core) };
        struct cpu_set siblings = to_set(h, core->cpuset);
        if (cpu_siblings_of(&siblings, &one.cpus) < 0)
            return error_set(err, -ERANGE, CORE_TOO_LARGE, cpu_set_next(&siblings, 0),
                             cpu_set_count(&siblings), CPU_SIBLINGS_MAX);
        if (one.cpus.n > 0)
            add_core(node, &one, allowed);
    }
    return 0;
}

int topology_hwloc(const struct place *place, const struct cpu_set *allowed, struct node *node,
                   struct error *err)
{
    _cleanup_(calls_done) struct hwloc_calls h = { 0 };

    int r = open_library(place->hwloc, &h);
    if (r < 0)
        return r;
    r = load(&h, place->xml, err);
    if (r < 0)
        return r;
    struct cpu_set ours = to_set(&h, h.allowed(h.topology));
    if (allowed) {
        struct cpu_set others = ours;
        cpu_set_subtract(&others, allowed);
        cpu_set_subtract(&ours, &others);
    }
    take_numas(&h, node);
    return take_cores(&h, &ours, node, err);
}
