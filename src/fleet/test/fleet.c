#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>

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
        cpu_siblings_add(&core.cpus, i);
        cpu_siblings_add(&core.cpus, cores + i);
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
        { "{\"name\":\"a\",\"cores\":[{\"id\":0,\"cpus\":\"0-8\"}]}",
          "cores[0]: cpus '0-8' are 9; a core has 1 to 8" },
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

TEST(default_flavors_leave_half_of_what_is_free)
{
    _cleanup_(node_freep) struct node *node = machine(4);
    struct flavor *flavors[16];

    node->disk_free_bytes = 40 * GIB;
    size_t n = flavor_defaults(node, flavors, 16);
    ok(n > 2 && flavors[0]->disk_bytes == 5 * GIB && flavors[2]->disk_bytes == 20 * GIB);
    for (size_t i = 0; i < n; i++)
        flavor_free(flavors[i]);
}

TEST(default_flavors_share_the_machine)
{
    _cleanup_(node_freep) struct node *node = machine(6);
    struct flavor *flavors[16];

    size_t n = flavor_defaults(node, flavors, 16);
    ok(n == 6);
    is_str(flavors[5]->name, "gpu.1");
    ok(flavors[5]->gpus == 1 && flavors[5]->cores == 6 && flavors[5]->memory_bytes == 64 * GIB);
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

TEST(a_flavor_is_written_as_people_write_sizes)
{
    struct flavor *flavor = NULL;
    struct error err = { 0 };
    _cleanup_json_ json_t *good =
        json_pack("{s:s,s:i,s:s}", "name", "a", "cores", 2, "memory", "4Gi");
    _cleanup_json_ json_t *size = json_pack("{s:s,s:s}", "name", "a", "memory", "much");
    _cleanup_json_ json_t *field =
        json_pack("{s:s,s:i,s:s}", "name", "a", "cpus", 2, "memory", "4Gi");

    ok(flavor_from_json(good, &flavor, &err) == 0 && flavor->memory_bytes == 4 * GIB);
    flavor_free(flavor);
    ok(flavor_from_json(size, &flavor, &err) == -EINVAL);
    is_str(err.text, "memory: is no size like 4Gi");
    ok(flavor_from_json(field, &flavor, &err) == -EINVAL);
    ok(str_starts(err.text, "cpus: is not known; a flavor has name, cores,"));
}

TEST(a_flavor_may_be_a_part_of_one_gpu)
{
    static const struct {
        int gpus, milli;
        const char *says;
    } wrong[] = {
        { 1, 0, "flavor a: gpu_milli: must be 1 to 999, thousandths of a GPU" },
        { 1, 1000, "flavor a: gpu_milli: must be 1 to 999, thousandths of a GPU" },
        { 2, 250, "flavor a: gpu_milli is 250 and gpus is 2; a part is of one GPU: write gpus: 1" },
        { 0, 250, "flavor a: gpu_milli is 250 and gpus is 0; a part is of one GPU: write gpus: 1" },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        _cleanup_json_ json_t *json = json_pack("{s:s,s:s,s:i,s:i}", "name", "a", "memory", "4Gi",
                                                "gpus", wrong[i].gpus, "gpu_milli", wrong[i].milli);
        struct flavor *flavor = NULL;
        ok(flavor_from_json(json, &flavor, &err) == -EINVAL && !flavor);
        ok(str_starts(err.text, wrong[i].says));
    }
    _cleanup_(flavor_freep) struct flavor *flavor = NULL, *again = NULL;
    _cleanup_json_ json_t *json =
        json_pack("{s:s,s:s,s:i,s:i}", "name", "a", "memory", "4Gi", "gpus", 1, "gpu_milli", 250);
    ok(flavor_from_json(json, &flavor, &err) == 0 && flavor->gpu_milli == 250);
    _cleanup_json_ json_t *written = flavor_to_json(flavor);
    ok(flavor_from_json(written, &again, &err) == 0 && again->gpu_milli == 250);
}

static struct flavor *with_ratio(const char *name, const char *more, const char *says)
{
    struct text text = { 0 };
    struct error err = { 0 };
    struct flavor *flavor = NULL;

    text_addf(&text, "{\"name\":\"%s\",\"memory\":\"64Gi\",%s}", name, more);
    _cleanup_json_ json_t *json = json_loads(text_str(&text), 0, NULL);
    text_done(&text);
    int r = flavor_from_json(json, &flavor, &err);
    ok(r == (says ? -EINVAL : 0));
    if (says)
        is_str(err.text, says);
    return flavor;
}

TEST(flavors_say_what_goes_with_a_gpu)
{
    static const struct {
        const char *more, *says;
    } wrong[] = {
        { "\"cores\":4,\"gpus\":2,\"min_cores_per_gpu\":3",
          "flavor a: cpus: is 4 with 2 GPUs; flavor a has min_cores_per_gpu 3: ask for 6 or more" },
        { "\"cores\":9,\"gpus\":2,\"max_cores_per_gpu\":4",
          "flavor a: cpus: is 9 with 2 GPUs; flavor a has max_cores_per_gpu 4: ask for 8 or fewer" },
        { "\"gpus\":1,\"min_memory_per_gpu\":\"65Gi\"",
          "flavor a: memory: is 64 GiB with 1 GPU; flavor a has min_memory_per_gpu 65 GiB: ask for "
          "65 GiB or more" },
        { "\"gpus\":1,\"gpu_milli\":500,\"max_memory_per_gpu\":\"96Gi\"",
          "flavor a: memory: is 64 GiB with 0.5 GPUs; flavor a has max_memory_per_gpu 96 GiB: ask "
          "for 48 GiB or less" },
        { "\"max_cores_per_gpu\":4",
          "flavor a: max_cores_per_gpu: is for flavors with GPUs; gpus is 0" },
        { "\"gpus\":1,\"max_cores_per_gpu\":0", "flavor a: max_cores_per_gpu: must be 1 to 1024" },
        { "\"gpus\":1,\"max_cores_per_gpu\":\"x\"",
          "flavor a: max_cores_per_gpu: must be 1 to 1024" },
        { "\"gpus\":1,\"max_memory_per_gpu\":-1",
          "flavor a: max_memory_per_gpu: must be 1 byte to 1 PiB" },
        { "\"gpus\":1,\"min_cores_per_gpu\":5,\"max_cores_per_gpu\":4",
          "flavor a: min_cores_per_gpu is more than max_cores_per_gpu" },
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(!with_ratio("a", wrong[i].more, wrong[i].says));
    _cleanup_(flavor_freep) struct flavor *flavor =
        with_ratio("a",
                   "\"cores\":4,\"gpus\":1,\"min_cores_per_gpu\":2,\"max_cores_per_gpu\":4,"
                   "\"min_memory_per_gpu\":\"1Gi\",\"max_memory_per_gpu\":\"64Gi\"",
                   NULL);
    _cleanup_json_ json_t *written = flavor_to_json(flavor);
    _cleanup_(flavor_freep) struct flavor *again = NULL;
    ok(flavor_from_json(written, &again, NULL) == 0 && again->min_cores_per_gpu == 2 &&
       again->max_cores_per_gpu == 4 && again->min_memory_per_gpu == GIB &&
       again->max_memory_per_gpu == 64 * GIB);
}

/* A part of a GPU has a whole core: one is never too many, and none too few. */
TEST(parts_of_gpus_keep_the_ratio_in_whole_cores)
{
    const struct flavor flavor = { .min_cores_per_gpu = 3, .max_cores_per_gpu = 5 };
    unsigned wrong = 0;

    for (unsigned milli = 1; milli <= 4000; milli++)
        for (unsigned cores = 1; cores <= 24; cores++) {
            const struct hardware_ask ask = { .gpu_milli = milli, .cores = cores };
            bool enough = (cores + 1) * 1000 > 3 * milli;
            bool few = (cores - 1) * 1000 < 5 * milli;
            wrong += (flavor_check_ratio(&flavor, &ask, NULL) == 0) != (enough && few);
        }
    ok(wrong == 0);
    ok(flavor_check_ratio(&flavor, &(struct hardware_ask){ .cores = 99 }, NULL) == 0);
}

TEST(the_flavor_that_is_meant_is_the_one_of_such_gpus)
{
    char h100[] = "NVIDIA H100 80GB HBM3", a100[] = "NVIDIA A100",
         names[4][2] = { "a", "b", "c", "d" };
    const struct flavor flavors[] = {
        { .name = names[0] },
        { .name = names[1], .gpus = 1, .gpu_model = a100 },
        { .name = names[2], .gpus = 8, .gpu_model = h100 },
        { .name = names[3], .gpus = 1, .gpu_milli = 250, .gpu_model = h100 },
    };
    const struct flavor *const list[] = { &flavors[0], &flavors[1], &flavors[2], &flavors[3] };
    static const struct {
        struct hardware_ask ask;
        int is;
    } asks[] = {
        { { .flavor = "a", .gpu_milli = 8000 }, 0 },
        { { .flavor = "none", .gpu_milli = 8000 }, -1 },
        { { .gpu_milli = 1000 }, 1 },
        { { .gpu_milli = 3000 }, 1 },
        { { .gpu_milli = 8000 }, 2 },
        { { .gpu_milli = 2000, .gpu_model = "h100" }, 2 },
        { { .gpu_milli = 500, .gpu_model = "h100" }, 3 },
        { { .gpu_milli = 500, .gpu_model = "a100" }, -1 },
    };

    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        ok(flavor_for(list, 4, &asks[i].ask) == (asks[i].is < 0 ? NULL : list[asks[i].is]));
}

TEST(gpus_bring_their_share_of_the_machine)
{
    _cleanup_(node_freep) struct node *node = machine(8);
    struct flavor *flavors[16];

    for (unsigned i = 0; i < 3; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xstrdup("G"), .model = xstrdup("H200") }));
    node->gpus.items[3].fault = xstrdup("it has fallen off the bus");
    size_t n = flavor_defaults(node, flavors, 16);
    is_str(flavors[n - 3]->name, "gpu.1");
    is_str(flavors[n - 2]->name, "gpu.2");
    is_str(flavors[n - 1]->name, "gpu.3");
    ok(flavors[n - 3]->cores == 2 && flavors[n - 2]->cores == 5 && flavors[n - 1]->cores == 8);
    ok(flavors[n - 3]->memory_bytes * 3 <= node->memory_bytes);
    for (size_t i = 0; i < n; i++)
        flavor_free(flavors[i]);
    _cleanup_free_ char *text = node_gpus_text(node);
    is_str(text, "3 x H200, 1 x H200 (not to be used: it has fallen off the bus)");
}

TEST(gpus_are_known_by_words_of_their_model)
{
    char model[] = "NVIDIA H100 80GB HBM3";
    const struct gpu gpu = { .model = model };

    ok(gpu_is_model(&gpu, NULL) && gpu_is_model(&gpu, "h100") && gpu_is_model(&gpu, model));
    ok(gpu_is_model(&gpu, "H100 80GB") && gpu_is_model(&gpu, "hbm3"));
    ok(!gpu_is_model(&gpu, "H1") && !gpu_is_model(&gpu, "100") && !gpu_is_model(&gpu, ""));
    ok(!gpu_is_model(&gpu, "H200") && !gpu_is_model(&(struct gpu){ 0 }, "H100"));
}

TEST(reserved_capacity_is_not_sold)
{
    _cleanup_(node_freep) struct node *node = machine(8);
    struct flavor *flavors[16];

    node->reserved_cores = 1;
    node->reserved_memory_bytes = 4 * GIB;
    size_t n = flavor_defaults(node, flavors, 16);
    is_str(flavors[n - 3]->name, "cpu.6");
    ok(flavors[n - 3]->memory_bytes == 60 * GIB);
    for (size_t i = 0; i < n; i++)
        flavor_free(flavors[i]);
}

/* Hops between machines that stand at A and B, NULL: not known; 0: nothing is known in common. */
static unsigned hops(const char *const a[3], const char *const b[3])
{
    struct node x = { 0 }, y = { 0 };
    enum fabric part;

    x.site = (char *) (uintptr_t) a[0], x.block = (char *) (uintptr_t) a[1];
    x.leaf = (char *) (uintptr_t) a[2];
    y.site = (char *) (uintptr_t) b[0], y.block = (char *) (uintptr_t) b[1];
    y.leaf = (char *) (uintptr_t) b[2];
    return nodes_stand_together(&x, &y, &part) ? fabric_hops(part) : 0;
}

TEST(hops_are_counted_from_where_machines_stand)
{
    static const char *const
        known[] = { "s1", "b1", "l1" },
        *const other_leaf[] = { "s1", "b1", "l2" }, *const other_block[] = { "s1", "b2", "l1" },
        *const other_site[] = { "s2", "b1", "l1" }, *const leaf_alone[] = { NULL, NULL, "l1" },
        *const block_alone[] = { NULL, "b1", NULL }, *const nowhere[] = { NULL, NULL, NULL };

    ok(hops(known, known) == 1 && hops(known, other_leaf) == 3);
    ok(hops(known, other_block) == 5 && hops(known, other_site) == 0);
    ok(hops(leaf_alone, leaf_alone) == 1 && hops(block_alone, block_alone) == 3);
    ok(hops(leaf_alone, known) == 0 && hops(nowhere, nowhere) == 0);
}

TAP_MAIN
