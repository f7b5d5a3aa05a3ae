/* Remedies: each is carried out on a copy of the world, and then the pass that decides starts the job. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/random.h"
#include "tests/tap.h"

#define GIB (INT64_C(1) << 30)

enum { NODES_MAX = 32 };

struct size {
    unsigned cores, gpus;
    const char *model;
};

/* A GiB a core. */
static struct node *machine(unsigned number, struct size size)
{
    struct node *node = xnew(struct node);

    node->name = xasprintf("n%u", number + 1);
    node->memory_bytes = size.cores * GIB;
    node->disk_bytes = 100 * GIB;
    vec_push(&node->numas, ((struct numa_node){ .memory_bytes = node->memory_bytes }));
    for (unsigned i = 0; i < size.cores; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < size.gpus; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("GPU-%u-%u", number, i),
                                             .model = xstrdup(size.model) }));
    return node;
}

static struct world {
    struct node *nodes[NODES_MAX];
    size_t n;
    struct flavor flavors[4];
    const struct flavor *flavor_list[4];
    size_t n_flavors;
    const struct placement_grant *grant; /* on the first machine; NULL: none */
    const char *(*booked)(void *, const struct placement_request *, size_t);
} world;

static struct node *add(unsigned cores, unsigned gpus, const char *model)
{
    struct node *node = machine((unsigned) world.n, (struct size){ cores, gpus, model });

    world.nodes[world.n++] = node;
    return node;
}

static void add_flavor(const char *name, unsigned cores, unsigned gpus, const char *model)
{
    struct flavor *f = &world.flavors[world.n_flavors];

    *f = (struct flavor){ .name = (char *) (uintptr_t) name,
                          .cores = cores,
                          .memory_bytes = cores * GIB,
                          .gpus = gpus,
                          .gpu_model = (char *) (uintptr_t) model };
    world.flavor_list[world.n_flavors++] = f;
}

static void clear(void)
{
    for (size_t i = 0; i < world.n; i++)
        node_free(world.nodes[i]);
    world = (struct world){ 0 };
}

static struct remedies find(const struct workload_spec *spec)
{
    struct placement_node nodes[NODES_MAX] = { 0 };
    struct remedies found = { 0 };
    struct workload_spec copy = *spec;
    struct workload job = { .spec = &copy };
    const struct placement_request request = { .workload = &job };
    const struct placement_snapshot at = { .nodes = nodes,
                                           .n_nodes = world.n,
                                           .booked = world.booked };
    struct remedy_question question = {
        .at = &at, .request = &request, .flavors = world.flavor_list, .n_flavors = world.n_flavors
    };

    for (size_t i = 0; i < world.n; i++)
        nodes[i].node = world.nodes[i];
    nodes[0].grants = world.grant;
    nodes[0].n_grants = world.grant != NULL;
    remedies_find(&question, &found);
    return found;
}

/* What is offered, one a line. */
static void is_offered(const struct workload_spec *spec, const char *want)
{
    struct remedies found = find(spec);
    _cleanup_text_ struct text t = { 0 };

    vec_foreach(&found, remedy)
        text_addf(&t, "%s\n", remedy->text);
    is_str(text_str(&t), want);
    remedies_done(&found);
}

static struct workload_spec cores(unsigned n)
{
    return (struct workload_spec){
        .cores = n, .memory_bytes = n * GIB, .nodes = 1, .tasks_per_node = 1
    };
}

TEST(fewer_of_what_is_short)
{
    struct workload_spec spec = cores(4);

    add(8, 0, NULL)->others_cores = 5;
    is_offered(&spec, "ask for 3 cores instead of 4\nadd a machine like n1\n");
    spec.memory_bytes = 7 * GIB;
    world.nodes[0]->others_cores = 0;
    world.nodes[0]->others_memory_bytes = 3 * GIB;
    is_offered(&spec, "ask for 5 GiB of memory instead of 7 GiB\nadd a machine like n1\n");
    world.nodes[0]->others_cores = 5;
    is_offered(&spec, "ask for less of all: 2 cores, 3.5 GiB of memory\nadd a machine like n1\n");
    world.nodes[0]->others_cores = 0;
    spec = cores(2);
    is_offered(&spec, "");
    clear();
}

TEST(another_model_or_fewer_gpus)
{
    struct workload_spec spec = cores(2);
    char h100[] = "H100";

    spec.gpus = 4;
    spec.gpu_model = h100;
    add(8, 4, "NVIDIA H100")->others_gpus = 1;
    add(8, 4, "NVIDIA A100");
    is_offered(&spec, "ask for 3 GPUs instead of 4\n"
                      "ask for GPUs of model NVIDIA A100 instead of H100\n"
                      "add a machine like n1\n");
    world.nodes[1]->cordoned = true;
    is_offered(&spec, "ask for 3 GPUs instead of 4\nadd a machine like n1\n");
    spec.gpu_model = NULL;
    is_offered(&spec, "ask for 3 GPUs instead of 4\nuncordon node n2\nadd a machine like n1\n");
    clear();
}

TEST(what_a_flavor_forbids_is_not_offered)
{
    struct workload_spec spec = cores(4);

    add(8, 1, "H100")->others_cores = 5;
    add_flavor("g", 4, 1, "H100");
    spec.gpus = 1;
    is_offered(&spec, "ask for 3 cores instead of 4\nadd a machine like n1\n");
    world.flavors[0].min_cores_per_gpu = 4;
    is_offered(&spec, "add a machine like n1\n");
    clear();
}

TEST(less_of_a_gpu)
{
    struct workload_spec spec = cores(1);
    struct allocation *a = xnew(struct allocation);
    const struct placement_grant grant = { .allocation = a };

    add(8, 2, "H100");
    a->node = xstrdup("n1");
    a->gpus = xnew_n(char *, 2);
    a->gpus[0] = xstrdup(world.nodes[0]->gpus.items[0].uuid);
    a->gpu_milli = 700;
    world.nodes[0]->others_gpus = 1;
    world.grant = &grant;
    spec.gpus = 1;
    spec.gpu_milli = 500;
    is_offered(&spec, "ask for 0.3 of a GPU instead of 0.5\nadd a machine like n1\n");
    spec.gpu_milli = 300;
    is_offered(&spec, "");
    clear();
    allocation_free(a);
}

TEST(another_flavor_the_nearest_that_fits)
{
    struct workload_spec spec = cores(8);
    char name[] = "gpu.4";

    spec.flavor = name;
    spec.gpus = 4;
    add(8, 4, "H100")->others_gpus = 2;
    add_flavor("cpu.1", 1, 0, NULL);
    add_flavor("gpu.1", 2, 1, NULL);
    add_flavor("gpu.2", 4, 2, NULL);
    add_flavor("gpu.4", 8, 4, NULL);
    is_offered(&spec, "ask for flavor gpu.2 instead of gpu.4\nadd a machine like n1\n");
    clear();
}

TEST(fewer_nodes_or_more_machines)
{
    struct workload_spec spec = cores(4);

    spec.nodes = 4;
    add(4, 0, NULL);
    add(4, 0, NULL)->cordoned = true;
    add(4, 0, NULL)->fault = xstrdup("drained: bad memory");
    add(4, 0, NULL);
    is_offered(&spec, "ask for 2 nodes instead of 4\nadd 2 machines like n1\n");
    spec.nodes = 3;
    is_offered(&spec, "ask for 2 nodes instead of 3\nuncordon node n2\n"
                      "bring back node n3: drained: bad memory\nadd a machine like n1\n");
    clear();
}

TEST(rules_that_are_in_the_way)
{
    struct workload_spec spec = cores(2);
    char n1[] = "n1", *names[] = { n1, NULL };

    add(4, 0, NULL)->others_cores = 3;
    add(4, 0, NULL)->others_cores = 1;
    spec.machines.names = names;
    is_offered(&spec, "ask for 1 core instead of 2\nlet it run on any machine, without on_nodes\n");
    spec.machines = (struct machine_rules){ .exclusive = true };
    is_offered(&spec, "let it share its machines, without exclusive\nadd a machine like n1\n");
    clear();
}

/* Two cores are free on each of two NUMA nodes. */
TEST(another_flavor_has_other_rules)
{
    struct node *node = add(8, 0, NULL);
    struct allocation has = { .memory_bytes = 4 * GIB };
    const struct placement_grant grant = { .allocation = &has };
    struct workload_spec spec = cores(4);

    ok(cpu_set_parse("0-1,4-5", &has.cpus) == 0);
    for (unsigned i = 4; i < 8; i++)
        node->cores.items[i].numa = 1;
    node->numas.items[0].memory_bytes = 4 * GIB;
    vec_push(&node->numas, ((struct numa_node){ .id = 1, .memory_bytes = 4 * GIB }));
    world.grant = &grant;
    add_flavor("strict.4", 4, 0, NULL);
    add_flavor("loose.4", 4, 0, NULL);
    add_flavor("whole.4", 4, 0, NULL);
    world.flavors[0].numa_strict = world.flavors[2].whole_node = true;
    spec.flavor = world.flavors[0].name;
    spec.numa_strict = true;
    is_offered(&spec, "ask for flavor loose.4 instead of strict.4\nadd a machine like n1\n");
    spec.flavor = world.flavors[2].name;
    spec.numa_strict = false;
    spec.machines.exclusive = true;
    is_offered(&spec, "ask for flavor loose.4 instead of whole.4\nadd a machine like n1\n");
    clear();
}

/* n1 and n2 stand in a leaf, n3 in another. */
TEST(what_is_to_stand_together)
{
    struct workload_spec spec = cores(4);

    for (unsigned i = 0; i < 3; i++)
        add(4, 0, NULL)->tags = json_pack("{s:s}", "leaf", i < 2 ? "l1" : "l2");
    world.nodes[0]->others_cores = 4;
    spec.nodes = 2;
    spec.machines.within = WITHIN_LEAF;
    is_offered(&spec, "ask for 1 node instead of 2\n"
                      "let its machines stand apart, not within one leaf\n"
                      "add a machine like n1\n");
    world.nodes[1]->cordoned = true;
    is_offered(&spec, "ask for 1 node instead of 2\n"
                      "add a machine like n3\n");
    world.nodes[0]->others_cores = 0;
    world.nodes[2]->cordoned = true;
    is_offered(&spec, "ask for 1 node instead of 2\n"
                      "uncordon node n2\n"
                      "add a machine like n1\n");
    clear();
}

/* The first machine is kept for others from some hours on. */
static const char *in_two_hours(void *userdata, const struct placement_request *request,
                                size_t index)
{
    const struct workload_spec *spec = request->workload->spec;

    (void) userdata;
    if (index > 0 || spec->preemptible || (spec->max_time_s && spec->max_time_s <= 7200))
        return NULL;
    return "booked for p1";
}

TEST(what_is_over_before_a_booking_or_makes_way)
{
    struct workload_spec spec = cores(2);

    add(4, 0, NULL);
    world.booked = in_two_hours;
    is_offered(&spec, "declare a max_time of 2h: then it is over before what is booked begins\n"
                      "let it be preemptible: then it makes way when what is booked begins\n"
                      "add a machine like n1\n");
    spec.max_time_s = 10000;
    is_offered(&spec, "declare a max_time of 2h: then it is over before what is booked begins\n"
                      "let it be preemptible: then it makes way when what is booked begins\n"
                      "add a machine like n1\n");
    spec.max_time_s = 7000;
    is_offered(&spec, "");
    clear();
}

/* ---- by property -------------------------------------------------------------------------------------- */

static bool starts(const struct workload_spec *spec)
{
    struct placement_node nodes[NODES_MAX] = { 0 };
    struct workload_spec copy = *spec;
    struct workload job = { .spec = &copy };
    struct placement_request request = { .workload = &job };
    struct placement_snapshot snapshot = {
        .nodes = nodes, .n_nodes = world.n, .queue = &request, .n_queue = 1, .booked = world.booked
    };
    struct placement_plan plan;

    for (size_t i = 0; i < world.n; i++)
        nodes[i].node = world.nodes[i];
    placement_pass(&snapshot, &plan);
    bool placed = plan.decisions[0].allocations != NULL;
    placement_plan_done(&plan);
    return placed;
}

static void patch_spec(struct workload_spec *spec, const json_t *patch)
{
    const char *flavor = json_get_str(patch, "flavor", NULL);

    for (size_t i = 0; flavor && i < world.n_flavors; i++) {
        const struct flavor *f = &world.flavors[i];
        if (!str_equal(f->name, flavor))
            continue;
        spec->cores = f->cores;
        spec->memory_bytes = f->memory_bytes;
        spec->gpus = f->gpus;
        spec->gpu_model = f->gpu_model;
    }
    spec->cores = (unsigned) json_get_int(patch, "cpus", spec->cores);
    spec->gpus = (unsigned) json_get_int(patch, "gpus", spec->gpus);
    spec->nodes = (unsigned) json_get_int(patch, "nodes", spec->nodes);
    spec->tasks_per_node = (unsigned) json_get_int(patch, "tasks_per_node", spec->tasks_per_node);
    spec->memory_bytes = json_get_int(patch, "memory", spec->memory_bytes);
    spec->disk_bytes = json_get_int(patch, "disk", spec->disk_bytes);
    spec->gpu_model = (char *) (uintptr_t) json_get_str(patch, "gpu_model", spec->gpu_model);
    spec->max_time_s = json_get_int(patch, "max_time", spec->max_time_s);
    spec->preemptible = json_get_bool(patch, "preemptible", spec->preemptible);
    if (json_object_get(patch, "within"))
        spec->machines.within = WITHIN_ANY;
    spec->machines.exclusive = json_get_bool(patch, "exclusive", spec->machines.exclusive);
}

static struct node *named(const char *name)
{
    for (size_t i = 0; i < world.n; i++)
        if (str_equal(world.nodes[i]->name, name))
            return world.nodes[i];
    return NULL;
}

static bool works(const struct workload_spec *spec, const struct remedy *remedy)
{
    struct workload_spec changed = *spec;
    struct node *was[NODES_MAX];
    char *faults[NODES_MAX] = { 0 };
    size_t n = world.n, i;
    const json_t *name;

    if (remedy->patch)
        patch_spec(&changed, remedy->patch);
    json_array_foreach(remedy->nodes, i, name) {
        struct node *node = was[i] = named(json_string_value(name));
        for (unsigned k = 0; k < remedy->count; k++)
            add((unsigned) node->cores.len, (unsigned) node->gpus.len,
                node->gpus.len ? node->gpus.items[0].model : NULL)
                ->tags = json_incref(node->tags);
        faults[i] = node->fault;
        node->cordoned = node->cordoned && remedy->kind == REMEDY_ADD;
        node->fault = remedy->kind == REMEDY_REPAIR ? NULL : node->fault;
    }
    bool good = starts(&changed);
    json_array_foreach(remedy->nodes, i, name) {
        was[i]->fault = faults[i];
        was[i]->cordoned |= remedy->kind == REMEDY_UNCORDON;
    }
    while (world.n > n)
        node_free(world.nodes[--world.n]);
    return good;
}

static void make_world(void)
{
    static const char *const models[] = { "H100", "A100", "T4" };
    unsigned n = 1 + random_below(6);

    clear();
    world.booked = random_below(2) ? in_two_hours : NULL;
    add_flavor("cpu.2", 2, 0, NULL);
    add_flavor("gpu.1", 2, 1, NULL);
    add_flavor("gpu.2", 4, 2, "A100");
    add_flavor("gpu.4", 8, 4, "H100");
    for (unsigned i = 0; i < n; i++) {
        struct node *node = add(1 + random_below(16), random_below(5), models[random_below(3)]);
        node->others_cores = random_below((unsigned) node->cores.len + 1);
        node->others_gpus = random_below((unsigned) node->gpus.len + 1);
        node->others_memory_bytes = random_below((unsigned) node->cores.len) * GIB;
        node->cordoned = random_below(4) == 0;
        node->fault = random_below(6) ? NULL : xstrdup("down");
        node->tags = json_pack("{s:s}", "leaf", random_below(2) ? "l1" : "l2");
    }
}

static struct workload_spec make_spec(void)
{
    struct workload_spec spec = cores(1 + random_below(8));
    char *const models[] = { NULL, world.flavors[3].gpu_model, world.flavors[2].gpu_model };

    spec.nodes = 1 + random_below(3);
    spec.tasks_per_node = 1 + random_below(2);
    spec.machines.exclusive = random_below(5) == 0;
    spec.machines.within = random_below(3) ? WITHIN_ANY : WITHIN_LEAF;
    spec.max_time_s = random_below(4) * 3000;
    if (random_below(4) == 0) {
        const struct flavor *f = &world.flavors[random_below(4)];
        spec.flavor = f->name;
        spec.cores = f->cores;
        spec.memory_bytes = f->memory_bytes;
        spec.gpus = f->gpus;
        spec.gpu_model = f->gpu_model;
    } else {
        spec.gpus = random_below(4);
        spec.gpu_model = spec.gpus ? models[random_below(3)] : NULL;
    }
    return spec;
}

TEST(what_is_offered_works)
{
    unsigned offered[REMEDY_MAX] = { 0 };

    for (unsigned round = 0; round < 3000; round++) {
        make_world();
        struct workload_spec spec = make_spec();
        struct remedies found = find(&spec);
        if (starts(&spec))
            ok(found.len == 0);
        vec_foreach(&found, remedy) {
            offered[remedy->kind]++;
            ok(works(&spec, remedy));
        }
        remedies_done(&found);
    }
    for (unsigned kind = 0; kind < REMEDY_MAX; kind++)
        if (kind != REMEDY_DISK && kind != REMEDY_ANYWHERE && kind != REMEDY_PRIORITY)
            ok(offered[kind] > 0);
    clear();
}
static size_t n_asked;

static const char *all_is_booked(void *userdata, const struct placement_request *request, size_t i)
{
    (void) userdata, (void) request, (void) i;
    n_asked++;
    return "booked";
}

/* Each machine that is looked at and has room is asked for once. */
TEST(a_large_fleet_is_looked_at_so_often_and_no_more)
{
    enum { LARGE = 20000, STEPS = 400000 };
    struct placement_node *nodes = xnew_n(struct placement_node, LARGE);
    struct workload_spec spec = cores(16);
    struct workload job = { .spec = &spec };
    const struct placement_request request = { .workload = &job };
    const struct placement_snapshot at = { .nodes = nodes,
                                           .n_nodes = LARGE,
                                           .booked = all_is_booked };
    const struct remedy_question question = { .at = &at, .request = &request };
    struct remedies found = { 0 };

    add(16, 0, NULL);
    for (size_t i = 0; i < LARGE; i++)
        nodes[i].node = world.nodes[0];
    n_asked = 0;
    remedies_find(&question, &found);
    /* Whether it fits at all, what is closed of either kind, and what is to be added are looked at beside. */
    ok(n_asked > LARGE && n_asked <= STEPS + (size_t) 4 * LARGE);
    /* What costs one look is offered even so. */
    ok(found.len > 0 && found.items[found.len - 1].kind == REMEDY_ADD);
    remedies_done(&found);
    free(nodes);
    clear();
}

TAP_MAIN
