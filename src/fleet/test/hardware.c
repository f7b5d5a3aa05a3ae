#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>

#define GIB (INT64_C(1) << 30)

/* Two sockets with odd NUMA numbers, eight GPUs on four PCIe switches, one island, the fabric manager's table. */
static const char fleet[] =
    "{ \"machines\": {\n"
    "    \"hgx\": { \"cpu_model\": \"EPYC\", \"reserved_cores\": 1, \"disk\": \"7Ti\",\n"
    "      \"numas\": [ { \"id\": 3, \"cpus\": \"0-3,8-11\", \"threads\": 2, \"memory\": \"64Gi\", \"huge_pages_1g\": 32 },\n"
    "                 { \"id\": 1, \"socket\": 1, \"cores\": [\"4,12\", \"5,13\", \"6,14\", \"7,15\"], \"memory\": \"64Gi\" } ],\n"
    "      \"l3\": [ \"0-1,8-9\", \"2-3,10-11\", \"4-7,12-15\" ],\n"
    "      \"gpus\": [ { \"model\": \"H100\", \"numa\": 3, \"pcie\": \"a/s0\", \"module\": 2 },\n"
    "                { \"model\": \"H100\", \"numa\": 3, \"pcie\": \"a/s0\", \"module\": 1 },\n"
    "                { \"model\": \"H100\", \"numa\": 1, \"pcie\": \"b/s1\", \"module\": 3, \"memory\": \"80Gi\" } ],\n"
    "      \"islands\": [\"0-2\"], \"partitions\": [ { \"id\": 0, \"modules\": [1, 2, 3] }, { \"id\": 1, \"modules\": [1, 3] },\n"
    "                                              { \"id\": 5, \"modules\": [1] } ],\n"
    "      \"nics\": [ { \"name\": \"mlx5_0\", \"numa\": 3, \"vfs\": 8, \"gbps\": 400 } ] },\n"
    "    \"broken\": { \"like\": \"hgx\", \"without_gpus\": \"0\" } },\n"
    "  \"nodes\": [ { \"name\": \"spare\", \"machine\": \"broken\", \"cordoned\": true } ],\n"
    "  \"sites\": [ { \"name\": \"a\", \"blocks\": [ { \"name\": \"b1\", \"leaves\": [ { \"name\": \"l1\",\n"
    "    \"nodes\": [ { \"name\": \"n[08-10]\", \"machine\": \"hgx\" } ] } ] } ] } ] }\n";

TEST(a_tree_is_read)
{
    struct hardware hw;
    struct error err = { 0 };

    ok(hardware_read(fleet, sizeof fleet - 1, "hw.json", &hw, &err) == 0);
    ok(hw.nodes.len == 4);
    const struct node *spare = hw.nodes.items[0], *n = hw.nodes.items[1];
    is_str(n->name, "n08");
    is_str(hw.nodes.items[3]->name, "n10");
    ok(str_equal(n->site, "a") && str_equal(n->block, "b1") && str_equal(n->leaf, "l1"));
    ok(n->numas.len == 2 && n->numas.items[0].id == 3 &&
       n->numas.items[0].huge_pages.n[HUGE_PAGE_1G] == 32);
    ok(n->memory_bytes == 128 * GIB && n->reserved_cores == 1 && n->disk_bytes == 7168 * GIB);
    ok(n->cores.len == 8 && n->cores.items[1].numa == 3 && n->cores.items[4].socket == 1);
    ok(n->cores.items[1].cpus.cpu[0] == 1 && n->cores.items[1].cpus.cpu[1] == 9);
    ok(n->cores.items[1].l3 == 1 && n->cores.items[2].l3 == 2 && n->cores.items[7].l3 == 3);
    ok(n->gpus.len == 3 && n->gpus.items[2].island == 1 && n->gpus.items[2].numa == 1);
    is_str(n->gpus.items[1].uuid, "GPU-n08-1");
    ok(n->partitions.len == 3 && n->partitions.items[1].gpus == 6);
    ok(n->nics.len == 1 && n->nics.items[0].vfs == 8 && n->nics.items[0].rdma);

    ok(!spare->site && spare->cordoned && spare->gpus.len == 2 && spare->partitions.len == 2);
    ok(spare->partitions.items[0].gpus == 3 && spare->partitions.items[1].gpus == 1);
    hardware_done(&hw);
}

TEST(a_node_of_a_tree_reads_back_as_written)
{
    struct hardware hw;
    struct error err = { 0 };
    _cleanup_(node_freep) struct node *again = NULL;

    ok(hardware_read(fleet, sizeof fleet - 1, "hw.json", &hw, NULL) == 0);
    _cleanup_json_ json_t *json = node_to_json(hw.nodes.items[1]), *twice = NULL;
    ok(node_from_json(json, &again, &err) == 0);
    is_str(err.text, "");
    twice = node_to_json(again);
    ok(json_equal(json, twice) && again->partitions.len == 3 && again->nics.len == 1);
    hardware_done(&hw);
}

#define NUMAS "\"numas\":[{\"id\":0,\"cpus\":\"0-3\",\"memory\":\"8Gi\"}]"

TEST(what_is_wrong_is_named_with_file_line_and_field)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "", "hw: is empty" },
        { "{\n\"nodes\": [\n1,]}", "hw: line 3, column 3" },
        { "{}", "hw:1: has no nodes" },
        { "[]", "hw:1: is []; it must be an object" },
        { "{\"node\":[]}", "hw:1: node: is not known; there are machines, sites, nodes" },
        { "{\"nodes\":\n{}}", "hw:2: nodes: is {}; it must be a list" },
        { "{\"nodes\":[\n{}]}", "hw:2: nodes[0]: must have a name" },
        { "{\"nodes\":[{\"name\":\"a\"}]}", "hw:1: nodes[0]: has no cores" },
        { "{\"nodes\":[{\"name\":\"a[9-1]\"," NUMAS "}]}", "nodes[0].name: must have a name" },
        { "{\"nodes\":[{\"name\":\"A b\"," NUMAS "}]}", "nodes[0].name: " },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS "},\n{\"name\":\"a\"," NUMAS "}]}",
          "hw:2: nodes[1].name: node a is there already" },
        { "{\"nodes\":[{\"name\":\"a\",\n\"machine\":\"x\"}]}",
          "hw:2: nodes[0].machine: must be the name of one of \"machines\"" },
        { "{\"machines\":{\"x\":{\"like\":\"y\"},\n\"y\":{\"like\":\"x\"}},"
          "\"nodes\":[{\"name\":\"a\",\"machine\":\"x\"}]}",
          "hw:2: machines.y.like: goes in a circle: x is like itself" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\n\"cpus\":\"0-9999\"}]}]}",
          "hw:2: nodes[0].numas[0].cpus: is \"0-9999\"; it must be a list such as" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"cpus\":\"0-2\",\"threads\":2}]}]}",
          "has 3 CPUs, which do not make cores of 2 threads" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"cores\":[\"0,1\",\"1,2\"]}]}]}",
          "numas[0].cores[1]: has a CPU that belongs to another core already" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"cores\":[\"0\",\"1-9\"]}]}]}",
          "numas[0].cores[1]: has 9 CPUs; it must be the 1 to 8 of one core" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"cpus\":\"0\"}]}]}", "numas[0]: has no id" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"cpus\":\"0\"},{\"id\":0}]}]}",
          "numas[1]: is NUMA node 0 again" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"memory\":\"-1\"}]}]}",
          "memory: is \"-1\"; it must be bytes or a size such as 64Gi, at most 1Pi" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"memory\":9000000000000000000}]}]}",
          "at most 1Pi" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"memory\":\"1Gi\",\"huge_pages_1g\":2}]}]}",
          "has 2 huge pages of 1 GiB and 0 of 2 MiB, more than its memory" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"l3\":[\"0-1\",\n\"1-2\"]}]}",
          "hw:2: nodes[0].l3[1]: has, as another L3 cache does, core 1, CPU 1 and its siblings" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"l3\":[\"2-4\"]}]}",
          "l3[0]: has CPU 4, which is no core's" },
        { "{\"nodes\":[{\"name\":\"a\",\"numas\":[{\"id\":0,\"cpus\":\"0-3\",\"threads\":2}],\"l3\":[\"0-2\"]}]}",
          "l3[0]: has only a part of core 1, CPU 1 and its siblings" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"gpus\":[{}]}]}", "gpus[0]: has no model" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"gpus\":[{\"model\":\"T4\",\"numa\":7}]}]}",
          "gpus[0].numa: is 7, and the machine has no such NUMA node" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"gpus\":[{\"model\":\"T4\",\"module\":1},\n"
          "{\"model\":\"T4\",\"module\":1}]}]}",
          "hw:2: nodes[0].gpus[1]: has the module or uuid of gpus[0]" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS
          ",\"gpus\":[{\"model\":\"T4\"}],\"islands\":[\"0-1\"]}]}",
          "islands[0]: is \"0-1\"; it must be a list such as \"0-3,8\" of numbers below 1" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS
          ",\"gpus\":[{\"model\":\"T4\"}],\"islands\":[\"0\",\"0\"]}]}",
          "islands[1]: has GPU 0, which is in another island already" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"gpus\":[{\"model\":\"T4\",\"module\":4}],"
          "\"partitions\":[{\"id\":0,\"modules\":[5]}]}]}",
          "partitions[0].modules[0]: is not the module of a GPU of this machine" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"gpus\":[{\"model\":\"T4\",\"module\":4}],"
          "\"partitions\":[{\"id\":0}]}]}",
          "partitions[0]: must have an id and modules" },
        { "{\"nodes\":[{\"name\":\"a\"," NUMAS ",\"nics\":[{\"name\":\"x\"},{\"name\":\"x\"}]}]}",
          "nics[1]: is NIC x again" },
        { "{\"sites\":[{\"blocks\":[]}]}", "sites[0]: has no name" },
        { "{\"sites\":[{\"name\":\"a\",\"leaves\":[]}]}",
          "sites[0].leaves: is not known; there are name, nodes, blocks" },
        { "{\"nodes\":[{\"name\":\"b\"," NUMAS "},{\"name\":\"a[1-100000]\"," NUMAS "}]}",
          "nodes[1].name: makes more than 100000 nodes in all" },
        { "{\"nodes\":[{\"name\":\"a[1-3000]\",\"numas\":[{\"id\":0,\"cpus\":\"0-1023\"}]}]}",
          "nodes[0].name: makes more than 2097152 cores in all" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = { 0 };
        struct hardware hw;
        ok(hardware_read(wrong[i].text, strlen(wrong[i].text), "hw", &hw, &err) < 0);
        if (!strstr(err.text, wrong[i].says))
            is_str(err.text, wrong[i].says);
        ok(hw.nodes.len == 0);
    }
}

TEST(paths_between_gpus_are_classed)
{
    struct hardware hw;

    ok(hardware_read(fleet, sizeof fleet - 1, "hw.json", &hw, NULL) == 0);
    struct gpu *gpus = hw.nodes.items[1]->gpus.items;
    ok(gpu_path(&gpus[0], &gpus[2]) == GPU_PATH_NVLINK);
    gpus[0].island = gpus[1].island = gpus[2].island = 0;
    ok(gpu_path(&gpus[0], &gpus[1]) == GPU_PATH_PIX);
    ok(gpu_path(&gpus[0], &gpus[2]) == GPU_PATH_SYS);
    gpus[2].numa = 3;
    ok(gpu_path(&gpus[0], &gpus[2]) == GPU_PATH_NODE);
    xstr_set(&gpus[2].pcie, "a/s2");
    ok(gpu_path(&gpus[0], &gpus[2]) == GPU_PATH_PHB);
    xstr_set(&gpus[2].pcie, "a/s0/t");
    ok(gpu_path(&gpus[0], &gpus[2]) == GPU_PATH_PXB);
    is_str(gpu_path_name(GPU_PATH_PXB), "PXB");
    hardware_done(&hw);
}

TAP_MAIN
