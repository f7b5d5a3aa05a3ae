#include "fleet/fleet.h"

#include "base/alloc.h"
#include "tests/tap.h"

#define GIB (INT64_C(1) << 30)

/* Two sockets with a NUMA node each, CORES cores of two threads. */
static struct node *machine(unsigned cores)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup("n1");
    node->kernel = xstrdup("6.1.0");
    node->memory_bytes = 64 * GIB;
    node->disk_bytes = 100 * GIB;
    for (unsigned i = 0; i < cores; i++) {
        struct core core = { .id = i, .socket = i * 2 / cores, .numa = i * 2 / cores };
        cpu_set_add(&core.cpus, i);
        cpu_set_add(&core.cpus, cores + i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < 2; i++)
        vec_push(&node->numas, ((struct numa_node){ .id = i, .memory_bytes = 32 * GIB }));
    vec_push(&node->gpus, ((struct gpu){ .uuid = xstrdup("GPU-1"),
                                         .model = xstrdup("H200"),
                                         .numa = 1,
                                         .memory_bytes = GIB }));
    return node;
}

TEST(a_node_reads_back_as_written)
{
    _cleanup_(node_freep) struct node *node = machine(8), *again = NULL;
    struct error err = { 0 };
    _cleanup_json_ json_t *json = node_to_json(node), *twice = NULL;

    ok(node_from_json(json, &again, &err) == 0);
    twice = node_to_json(again);
    ok(json_equal(json, twice));
}

TEST(a_wrong_node_is_refused_with_its_field)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "{}", "name" },
        { "{\"name\":\"a\",\"memory\":-1}", "memory" },
        { "{\"name\":\"a\",\"cores\":[{\"id\":0,\"cpus\":\"x\"}]}", "cores[0]" },
        { "{\"name\":\"a\",\"cores\":[{\"id\":1,\"cpus\":\"1\"}]}", "position 0" },
        { "{\"name\":\"a\",\"gpus\":[{}]}", "gpus[0]: uuid" },
        { "{\"name\":\"a\",\"id\":\"7\"}", "UUID" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = { 0 };
        struct node *node = NULL;
        _cleanup_json_ json_t *json = NULL;
        ok(json_parse(wrong[i].text, strlen(wrong[i].text), &json, &err) == 0);
        ok(node_from_json(json, &node, &err) < 0 && strstr(err.text, wrong[i].says));
    }
}

TEST(default_flavors_share_the_machine)
{
    _cleanup_(node_freep) struct node *node = machine(6);
    struct flavor *flavors[16];

    size_t n = flavor_defaults(node, flavors, 16);
    ok(n == 5);
    is_str(flavors[0]->name, "cpu.1");
    is_str(flavors[2]->name, "cpu.4");
    is_str(flavors[3]->name, "cpu.6");
    is_str(flavors[4]->name, "cpu.shared");
    ok(flavors[0]->memory_bytes * 6 <= 64 * GIB && flavors[3]->memory_bytes == 64 * GIB);
    ok(flavors[4]->shared && flavors[4]->memory_bytes * 4 <= flavors[0]->memory_bytes);
    for (size_t i = 0; i < n; i++) {
        struct flavor *again = NULL;
        _cleanup_json_ json_t *json = flavor_to_json(flavors[i]), *twice = NULL;
        ok(flavor_from_json(json, &again, NULL) == 0);
        twice = flavor_to_json(again);
        ok(json_equal(json, twice));
        flavor_free(again);
        flavor_free(flavors[i]);
    }
}

TEST(reserved_capacity_is_not_sold)
{
    _cleanup_(node_freep) struct node *node = machine(8);
    struct flavor *flavors[16];

    node->reserved_cores = 1;
    node->reserved_memory_bytes = 4 * GIB;
    size_t n = flavor_defaults(node, flavors, 16);
    is_str(flavors[n - 2]->name, "cpu.6");
    ok(flavors[n - 2]->memory_bytes == 60 * GIB);
    for (size_t i = 0; i < n; i++)
        flavor_free(flavors[i]);
}

TAP_MAIN
