/* hardware-machine.c - the body of a machine: NUMA nodes, GPUs with their islands and partitions, NICs */
#include "fleet/hardware-internal.h"
#include "fleet/internal.h"

#include "base/alloc.h"

#include <limits.h>

enum { NUMAS_MAX = 64, NICS_MAX = 64, PARTITIONS_MAX = 256 };

const char *const machine_keys[] = { "name",
                                     "machine",
                                     "like",
                                     "cpu_model",
                                     "numas",
                                     "l3",
                                     "gpus",
                                     "islands",
                                     "partitions",
                                     "without_gpus",
                                     "nics",
                                     "reserved_cores",
                                     "reserved_memory",
                                     "disk",
                                     "reserved_disk",
                                     "cordoned",
                                     "fault",
                                     NULL };

struct machine {
    struct node *node;
    struct cpu_set cpus; /* that are some core's */
};

static const struct spot nothing = { 0 };

/* Whoever says KEY first. */
static const struct spot *holder(const struct chain *chain, const char *key)
{
    for (size_t i = 0; i < chain->n; i++)
        if (json_object_get(chain->links[i].json, key))
            return &chain->links[i];
    return chain->n ? &chain->links[0] : &nothing;
}

static bool has_numa(const struct node *node, unsigned id)
{
    vec_foreach(&node->numas, numa)
        if (numa->id == id)
            return true;
    return false;
}

static int add_core(struct reader *r, const struct spot *spot, struct machine *m,
                    const struct cpu_set *cpus, unsigned socket)
{
    struct node *node = m->node;
    struct core core = { .id = (unsigned) node->cores.len,
                         .socket = socket,
                         .numa = node->numas.items[node->numas.len - 1].id };

    if (cpu_set_intersects(&m->cpus, cpus))
        return refuse(r, spot, "has a CPU that belongs to another core already");
    if (cpu_siblings_of(cpus, &core.cpus) < 0)
        return refuse(r, spot, "has %u CPUs; it must be the 1 to %d of one core",
                      cpu_set_count(cpus), CPU_SIBLINGS_MAX);
    cpu_set_union(&m->cpus, cpus);
    vec_push(&node->cores, core);
    return 0;
}

/* "cpus" in as many equal parts as a core has threads: a core has one CPU of each part. */
static int cores_of_set(struct reader *r, const struct spot *spot, struct machine *m,
                        unsigned socket)
{
    _cleanup_spot_ struct spot at = spot_member(spot, "cpus");
    unsigned threads = 1, n = 0, number[CPU_SET_MAX];
    struct cpu_set set = { 0 };

    int code = get_set(r, spot, "cpus", CPU_SET_MAX, &set);
    if (code >= 0)
        code = get_unsigned(r, spot, "threads", 1, CPU_SIBLINGS_MAX, &threads);
    if (code < 0)
        return code;
    for (int cpu = cpu_set_next(&set, 0); cpu >= 0; cpu = cpu_set_next(&set, (unsigned) cpu + 1))
        number[n++] = (unsigned) cpu;
    if (n % threads)
        return refuse(r, &at, "has %u CPUs, which do not make cores of %u threads", n, threads);
    for (unsigned i = 0; i < n / threads && code >= 0; i++) {
        struct cpu_set cpus = { 0 };
        for (unsigned t = 0; t < threads; t++)
            cpu_set_add(&cpus, number[i + t * (n / threads)]);
        code = add_core(r, &at, m, &cpus, socket);
    }
    return code;
}

struct core_list {
    struct machine *m;
    unsigned socket;
};

static int read_listed_core(struct reader *r, const struct spot *spot, void *arg)
{
    const struct core_list *list = arg;
    struct cpu_set cpus;

    int code = set_of(r, spot, CPU_SET_MAX, &cpus);
    return code < 0 ? code : add_core(r, spot, list->m, &cpus, list->socket);
}

static int read_numa(struct reader *r, const struct spot *spot, void *arg)
{
    static const char *const keys[] = {
        "id", "socket", "memory", "huge_pages_1g", "huge_pages_2m", "cpus", "threads", "cores", NULL
    };
    struct machine *m = arg;
    struct numa_node numa = { .id = UINT_MAX };
    struct core_list list = { .m = m };

    int code = check_object(r, spot, keys);
    if (code >= 0)
        code = get_unsigned(r, spot, "id", 0, CPU_SET_MAX - 1, &numa.id);
    if (code >= 0)
        code = get_unsigned(r, spot, "socket", 0, CPU_SET_MAX - 1, &list.socket);
    for (int i = 0; i < HUGE_PAGE_MAX && code >= 0; i++)
        code = get_unsigned(r, spot, huge_page_key(i), 0, HUGE_PAGES_LIMIT, &numa.huge_pages.n[i]);
    if (code >= 0)
        code = get_bytes(r, spot, "memory", &numa.memory_bytes);
    if (code < 0)
        return code;
    if (numa.id == UINT_MAX)
        return refuse(r, spot, "has no id; it must be the kernel's number of the NUMA node");
    if (has_numa(m->node, numa.id))
        return refuse(r, spot, "is NUMA node %u again", numa.id);
    if (huge_pages_bytes(&numa.huge_pages) > numa.memory_bytes)
        return refuse(r, spot, "has %u huge pages of 1 GiB and %u of 2 MiB, more than its memory",
                      numa.huge_pages.n[HUGE_PAGE_1G], numa.huge_pages.n[HUGE_PAGE_2M]);
    vec_push(&m->node->numas, numa);
    m->node->memory_bytes += numa.memory_bytes;
    code = cores_of_set(r, spot, m, list.socket);
    return code < 0 ? code : each_item(r, spot, "cores", CPU_SET_MAX, read_listed_core, &list);
}

/* CPUs that share an L3 cache, with all of each core's. */
static int read_l3(struct reader *r, const struct spot *spot, void *arg)
{
    struct node *node = ((struct machine *) arg)->node;
    unsigned number = 1;
    struct cpu_set set;

    int code = set_of(r, spot, CPU_SET_MAX, &set);
    if (code < 0)
        return code;
    vec_foreach(&node->cores, core)
        number = core->l3 >= number ? core->l3 + 1 : number;
    vec_foreach(&node->cores, core) {
        if (!cpu_siblings_intersect(&core->cpus, &set))
            continue;
        if (!cpu_siblings_within(&core->cpus, &set) || core->l3)
            return refuse(r, spot, "%s core %u, CPU %u and its siblings",
                          core->l3 ? "has, as another L3 cache does," : "has only a part of",
                          core->id, core->cpus.cpu[0]);
        cpu_set_remove_siblings(&set, &core->cpus);
        core->l3 = number;
    }
    if (cpu_set_count(&set) > 0)
        return refuse(r, spot, "has CPU %d, which is no core's", cpu_set_next(&set, 0));
    return 0;
}

static int check_numa(struct reader *r, const struct spot *spot, const struct node *node, int numa)
{
    _cleanup_spot_ struct spot at = spot_member(spot, "numa");

    if (numa < 0 || has_numa(node, (unsigned) numa))
        return 0;
    return refuse(r, &at, "is %d, and the machine has no such NUMA node", numa);
}

static int read_gpu_texts(struct reader *r, const struct spot *spot, struct gpu *gpu)
{
    const struct {
        const char *key;
        char **ret;
    } texts[] = { { "uuid", &gpu->uuid },   { "vendor", &gpu->vendor },
                  { "model", &gpu->model }, { "pci", &gpu->pci },
                  { "pcie", &gpu->pcie },   { "iommu_group", &gpu->iommu_group },
                  { "fault", &gpu->fault } };
    int code = 0;

    for (size_t i = 0; i < sizeof texts / sizeof *texts && code >= 0; i++)
        code = get_string(r, spot, texts[i].key, texts[i].ret);
    if (code >= 0 && !gpu->model)
        code = refuse(r, spot, "has no model; it must be the name of the GPU, such as \"H100\"");
    return code;
}

static int check_gpu(struct reader *r, const struct spot *spot, const struct node *node,
                     const struct gpu *gpu)
{
    vec_foreach(&node->gpus, other)
        if ((gpu->module > 0 && other->module == gpu->module) ||
            (gpu->uuid && str_equal(other->uuid, gpu->uuid)))
            return refuse(r, spot, "has the module or uuid of gpus[%u]", other->index);
    return check_numa(r, spot, node, gpu->numa);
}

static int read_gpu_item(struct reader *r, const struct spot *spot, void *arg)
{
    static const char *const keys[] = { "uuid", "vendor", "model",       "pci",   "memory", "numa",
                                        "pcie", "module", "iommu_group", "fault", NULL };
    struct node *node = ((struct machine *) arg)->node;
    struct gpu gpu = { .index = (unsigned) node->gpus.len, .minor = -1 };

    int code = check_object(r, spot, keys);
    if (code >= 0)
        code = read_gpu_texts(r, spot, &gpu);
    if (code >= 0)
        code = get_bytes(r, spot, "memory", &gpu.memory_bytes);
    if (code >= 0)
        code = get_unsigned(r, spot, "module", 1, CPU_SET_MAX, &gpu.module);
    if (code >= 0)
        code = get_number_or_unknown(r, spot, "numa", CPU_SET_MAX - 1, &gpu.numa);
    if (code >= 0)
        code = check_gpu(r, spot, node, &gpu);
    if (code < 0) {
        gpu_done(&gpu);
        return code;
    }
    if (!gpu.uuid)
        gpu.uuid = xasprintf("GPU-%s-%zu", node->name, node->gpus.len);
    vec_push(&node->gpus, gpu);
    return 0;
}

static int read_island(struct reader *r, const struct spot *spot, void *arg)
{
    struct node *node = ((struct machine *) arg)->node;
    unsigned number = 1;
    struct cpu_set set;

    int code = set_of(r, spot, (unsigned) node->gpus.len, &set);
    if (code < 0)
        return code;
    vec_foreach(&node->gpus, gpu)
        number = gpu->island >= number ? gpu->island + 1 : number;
    for (size_t i = 0; i < node->gpus.len; i++) {
        if (!cpu_set_has(&set, (unsigned) i))
            continue;
        if (node->gpus.items[i].island)
            return refuse(r, spot, "has GPU %zu, which is in another island already", i);
        node->gpus.items[i].island = number;
    }
    return 0;
}

static int module_bit(struct reader *r, const struct spot *spot, const struct node *node,
                      uint64_t *bits)
{
    for (size_t i = 0; i < node->gpus.len; i++) {
        const struct gpu *gpu = &node->gpus.items[i];
        if (!json_is_integer(spot->json) || gpu->module == 0 ||
            json_integer_value(spot->json) != gpu->module)
            continue;
        if (*bits & UINT64_C(1) << i)
            return refuse(r, spot, "is module %u again", gpu->module);
        *bits |= UINT64_C(1) << i;
        return 0;
    }
    return refuse(r, spot, "is not the module of a GPU of this machine");
}

struct modules {
    const struct node *node;
    uint64_t bits;
};

static int read_module(struct reader *r, const struct spot *spot, void *arg)
{
    struct modules *modules = arg;

    return module_bit(r, spot, modules->node, &modules->bits);
}

static int read_partition_item(struct reader *r, const struct spot *spot, void *arg)
{
    static const char *const keys[] = { "id", "modules", NULL };
    struct node *node = ((struct machine *) arg)->node;
    struct modules modules = { .node = node };
    struct gpu_partition partition = { .id = UINT_MAX };

    int code = check_object(r, spot, keys);
    if (code >= 0)
        code = get_unsigned(r, spot, "id", 0, INT_MAX, &partition.id);
    if (code >= 0)
        code = each_item(r, spot, "modules", HARDWARE_GPUS_MAX, read_module, &modules);
    if (code < 0)
        return code;
    if (partition.id == UINT_MAX || modules.bits == 0)
        return refuse(r, spot,
                      "must have an id and modules, such as { \"id\": 1, \"modules\": "
                      "[1, 2, 3, 4] }");
    vec_foreach(&node->partitions, other)
        if (other->id == partition.id)
            return refuse(r, spot, "is partition %u again", partition.id);
    partition.gpus = modules.bits;
    vec_push(&node->partitions, partition);
    return 0;
}

static int read_nic_item(struct reader *r, const struct spot *spot, void *arg)
{
    static const char *const keys[] = { "name", "pcie", "numa", "vfs", "gbps", "rdma", NULL };
    struct node *node = ((struct machine *) arg)->node;
    struct nic nic = { .rdma = true };

    int code = check_object(r, spot, keys);
    if (code >= 0)
        code = get_unsigned(r, spot, "vfs", 0, UINT16_MAX, &nic.vfs);
    if (code >= 0)
        code = get_unsigned(r, spot, "gbps", 0, 1 << 20, &nic.gbps);
    if (code >= 0)
        code = get_bool(r, spot, "rdma", &nic.rdma);
    if (code >= 0)
        code = get_number_or_unknown(r, spot, "numa", CPU_SET_MAX - 1, &nic.numa);
    if (code >= 0)
        code = check_numa(r, spot, node, nic.numa);
    if (code >= 0)
        code = get_string(r, spot, "pcie", &nic.pcie);
    if (code >= 0)
        code = get_string(r, spot, "name", &nic.name);
    if (code >= 0 && !nic.name)
        code = refuse(r, spot, "has no name");
    vec_foreach(&node->nics, other)
        if (code >= 0 && str_equal(other->name, nic.name))
            code = refuse(r, spot, "is NIC %s again", nic.name);
    if (code < 0) {
        nic_done(&nic);
        return code;
    }
    vec_push(&node->nics, nic);
    return 0;
}

/* BITS without bit I; those above it move down. */
static uint64_t without_bit(uint64_t bits, size_t i)
{
    uint64_t below = (UINT64_C(1) << i) - 1;

    return (bits & below) | ((bits >> 1) & ~below);
}

/* A partition that lacks a GPU is none. */
static void remove_gpu(struct node *node, size_t i)
{
    for (size_t k = node->partitions.len; k-- > 0;) {
        struct gpu_partition *partition = &node->partitions.items[k];
        if (partition->gpus & UINT64_C(1) << i)
            vec_remove(&node->partitions, k);
        else
            partition->gpus = without_bit(partition->gpus, i);
    }
    gpu_done(&node->gpus.items[i]);
    vec_remove(&node->gpus, i);
}

static int remove_missing(struct reader *r, const struct chain *chain, struct node *node)
{
    struct cpu_set missing = { 0 };

    int code = get_set(r, holder(chain, "without_gpus"), "without_gpus", (unsigned) node->gpus.len,
                       &missing);
    for (size_t i = node->gpus.len; i-- > 0 && code >= 0;)
        if (cpu_set_has(&missing, (unsigned) i))
            remove_gpu(node, i);
    return code;
}

static int read_parts(struct reader *r, const struct chain *chain, struct node *node)
{
    static const struct {
        const char *key;
        size_t max;
        item_reader *read;
    } parts[] = {
        { "numas", NUMAS_MAX, read_numa },
        { "l3", CPU_SET_MAX, read_l3 },
        { "gpus", HARDWARE_GPUS_MAX, read_gpu_item },
        { "islands", HARDWARE_GPUS_MAX, read_island },
        { "partitions", PARTITIONS_MAX, read_partition_item },
        { "nics", NICS_MAX, read_nic_item },
    };
    struct machine m = { .node = node };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int code = each_item(r, holder(chain, parts[i].key), parts[i].key, parts[i].max,
                             parts[i].read, &m);
        if (code < 0)
            return code;
    }
    if (node->cores.len == 0)
        return refuse(r, &chain->links[0],
                      "has no cores; it must have, or its machine, \"numas\": [{ \"id\": 0, "
                      "\"cpus\": \"0-63\", \"memory\": \"256Gi\" }]");
    return remove_missing(r, chain, node);
}

int machine_read(struct reader *r, const struct chain *chain, struct node *node)
{
    int code = read_parts(r, chain, node);
    if (code >= 0)
        code = get_string(r, holder(chain, "cpu_model"), "cpu_model", &node->cpu_model);
    if (code >= 0)
        code = get_string(r, holder(chain, "fault"), "fault", &node->fault);
    if (code >= 0)
        code = get_bool(r, holder(chain, "cordoned"), "cordoned", &node->cordoned);
    if (code >= 0)
        code = get_unsigned(r, holder(chain, "reserved_cores"), "reserved_cores", 0, CPU_SET_MAX,
                            &node->reserved_cores);
    if (code >= 0)
        code = get_bytes(r, holder(chain, "reserved_memory"), "reserved_memory",
                         &node->reserved_memory_bytes);
    if (code >= 0)
        code = get_bytes(r, holder(chain, "disk"), "disk", &node->disk_bytes);
    if (code >= 0)
        code = get_bytes(r, holder(chain, "reserved_disk"), "reserved_disk",
                         &node->reserved_disk_bytes);
    return code;
}
