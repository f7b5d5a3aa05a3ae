#include "fleet/fleet.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <errno.h>

/* GPUs on the bus are in another order than the fabric manager's. */
static struct node *make_node(unsigned gpus)
{
    static const unsigned modules[] = { 2, 4, 1, 3, 7, 5, 8, 6 };
    struct node *node = xnew(struct node);

    node->name = xstrdup("n1");
    for (unsigned i = 0; i < gpus; i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("GPU-%u", i),
                                             .model = xstrdup("H100"),
                                             .numa = -1,
                                             .module = modules[i] }));
    return node;
}

/* GPUs of partition ID by position; 0: there is none. */
static uint64_t gpus_of(const struct node *node, unsigned id)
{
    vec_foreach(&node->partitions, partition)
        if (partition->id == id)
            return partition->gpus;
    return 0;
}

TEST(the_table_of_a_board_of_eight)
{
    _cleanup_(node_freep) struct node *node = make_node(8);
    unsigned sizes[9] = { 0 };

    ok(node_check_partitions(node, "hgx8", NULL) == 0 && node->partitions.len == 0);
    node_set_partitions(node, "hgx8");
    ok(node->partitions.len == 15);
    ok(gpus_of(node, 0) == 0xff && gpus_of(node, 1) == 0x0f && gpus_of(node, 2) == 0xf0);
    ok(gpus_of(node, 3) == 0x0c); /* modules 1 and 3 */
    ok(gpus_of(node, 4) == 0x03 && gpus_of(node, 7) == 0x04 && gpus_of(node, 14) == 0x40);
    vec_foreach(&node->partitions, partition)
        sizes[__builtin_popcountll(partition->gpus)]++;
    ok(sizes[8] == 1 && sizes[4] == 2 && sizes[2] == 4 && sizes[1] == 8);
}

/* What another machine says of the same board; the file comes with the test data. */
TEST(it_is_the_table_that_was_published)
{
    const char *data = getenv("BERTH_DATA");
    _cleanup_free_ char *path =
        xasprintf("%s/fleet/fm_partitions_hgx8.csv", data ? data : "../shared/data");
    _cleanup_(node_freep) struct node *node = make_node(8);
    FILE *file = fopen(path, "re");
    char line[256];
    unsigned n = 0;

    node_set_partitions(node, "hgx8");
    while (file && fgets(line, sizeof line, file)) {
        char *modules = strchr(line, ',') ? strchr(strchr(line, ',') + 1, ',') : NULL, *end = NULL;
        uint64_t gpus = 0;
        if (!modules || *line < '0' || *line > '9')
            continue;
        for (unsigned long module; (module = strtoul(modules + 1, &end, 10)) > 0; modules = end - 1)
            for (size_t i = 0; i < 8; i++)
                gpus |= node->gpus.items[i].module == module ? UINT64_C(1) << i : 0;
        ok(gpus_of(node, (unsigned) strtoul(line, NULL, 10)) == gpus && gpus);
        n++;
    }
    ok(!file || (n == 15 && fclose(file) == 0));
}

TEST(a_partition_that_lacks_a_gpu_is_none)
{
    _cleanup_(node_freep) struct node *node = make_node(7); /* module 6 is missing */
    struct error err = { 0 };

    ok(node_check_partitions(node, "hgx8", &err) == -EINVAL);
    is_str(err.text, "partition 0 has module 6; the modules of node n1 are 1-5,7-8");
    node_set_partitions(node, "hgx8");
    ok(node->partitions.len == 11 && !gpus_of(node, 0) && !gpus_of(node, 2) && !gpus_of(node, 6));
    node_set_partitions(node, "none");
    ok(node->partitions.len == 0);
    node_set_partitions(node, " 5=1-4  9=5 ");
    ok(node->partitions.len == 2 && gpus_of(node, 5) == 0x0f && gpus_of(node, 9) == 0x20);
    node_set_partitions(node, "what is this");
    ok(node->partitions.len == 0);
}

TEST(what_is_no_table_is_refused)
{
    static const char *const wrong[][2] = {
        { "", "is empty; it must be hgx8, none, or such as 1=1-4 2=5-8" },
        { "hgx9", "'hgx9' must be a partition and the modules of its GPUs, such as 1=1-4" },
        { "1=", "'1=' must be a partition" },
        { "-1=1", "'-1=1' must be a partition" },
        { "1=1-4 x=5", "'x=5' must be a partition" },
        { "1=1-4 1=5-8", "partition 1 is there twice" },
        { "1=9", "partition 1 has module 9; the modules of node n1 are 1-8" },
    };
    _cleanup_(node_freep) struct node *node = make_node(8), *plain = make_node(1);
    struct error err = { 0 };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ok(node_check_partitions(node, wrong[i][0], &err) == -EINVAL);
        ok(strncmp(err.text, wrong[i][1], strlen(wrong[i][1])) == 0);
    }
    plain->gpus.items[0].module = 0;
    ok(node_check_partitions(plain, "0=1", &err) == -EINVAL);
    is_str(err.text, "the fabric manager's numbers of node n1's GPUs are not known");
}

TAP_MAIN
