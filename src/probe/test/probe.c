/* Machines of the test's own, as trees of /sys and /proc, hwloc files and a library that says
 * NVML. */
#include "base/alloc.h"
#include "os/fd.h"
#include "probe/internal.h"
#include "tests/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct error err;

/* Two sockets of two cores with two siblings each: CPU n and n + 4 share a core; a NUMA node a
 * socket, and a third with memory alone (a GPU's). */
static void make_machine(const char *allowed)
{
    _cleanup_free_ char *status =
        xasprintf("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\n", allowed);

    machine_make();
    put("0-7\n", "sys/devices/system/cpu/online");
    for (int cpu = 0; cpu < 8; cpu++) {
        char siblings[16], socket[8];
        (void) snprintf(siblings, sizeof siblings, "%d,%d\n", cpu % 4, cpu % 4 + 4);
        (void) snprintf(socket, sizeof socket, "%d\n", cpu % 4 / 2);
        put(siblings, "sys/devices/system/cpu/cpu%d/topology/core_cpus_list", cpu);
        put(socket, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
    }
    put("0-2\n", "sys/devices/system/node/online");
    put("0-1,4-5\n", "sys/devices/system/node/node0/cpulist");
    put("2-3,6-7\n", "sys/devices/system/node/node1/cpulist");
    put("\n", "sys/devices/system/node/node2/cpulist");
    for (int node = 0; node < 3; node++) {
        char meminfo[64];
        (void) snprintf(meminfo, sizeof meminfo, "Node %d MemTotal:       %d kB\n", node,
                        1000 + node);
        put(meminfo, "sys/devices/system/node/node%d/meminfo", node);
    }
    put(status, "proc/self/status");
    put("MemTotal:        2001 kB\nMemFree:  1 kB\n", "proc/meminfo");
    put("processor\t: 0\nmodel name\t: Test CPU @ 2.00GHz\n\n", "proc/cpuinfo");
    put("node-a\n", "proc/sys/kernel/hostname");
    put("6.1.0-test\n", "proc/sys/kernel/osrelease");
    put("0c5b5f4e-0000-4000-8000-000000000000\n", "proc/sys/kernel/random/boot_id");
}

static int look(const char *nvml, struct node **ret)
{
    _cleanup_free_ char *sys = xasprintf("%s/sys", root);
    _cleanup_free_ char *proc = xasprintf("%s/proc", root);
    const struct probe_options options = { .sys = sys, .proc = proc, .hwloc = "", .nvml = nvml };

    return probe_node(&options, ret, &err);
}

static bool core_is(const struct node *node, size_t i, const char *cpus, unsigned numa)
{
    _cleanup_free_ char *have = cpu_siblings_format(&node->cores.items[i].cpus);

    return strcmp(have, cpus) == 0 && node->cores.items[i].numa == numa &&
           node->cores.items[i].socket == numa;
}

TEST(cores_are_whole_and_know_their_memory)
{
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("0-7");
    ok(look("", &node) == 0);
    ok(node->cores.len == 4);
    ok(core_is(node, 0, "0,4", 0) && core_is(node, 1, "1,5", 0));
    ok(core_is(node, 2, "2,6", 1) && core_is(node, 3, "3,7", 1));
    ok(node->numas.len == 2); /* the one without CPUs is not for tasks */
    ok(node->numas.items[1].memory_bytes == 1001 * 1024);
    ok(node->memory_bytes == 2001 * 1024);
    is_str(node->name, "node-a");
    is_str(node->cpu_model, "Test CPU @ 2.00GHz");
    ok(node->gpus.len == 0 && !node->driver);
    machine_drop();
}

TEST(cores_know_their_l3_cache)
{
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("0-7");
    for (int cpu = 0; cpu < 8; cpu++) {
        /* Cores 0 and 2 have one each, core 3 has only a second level. */
        put(cpu % 4 < 2 ? "0-1,4-5\n" : "2,6\n",
            "sys/devices/system/cpu/cpu%d/cache/index3/shared_cpu_list", cpu);
        put(cpu % 4 < 3 ? "3\n" : "2\n", "sys/devices/system/cpu/cpu%d/cache/index3/level", cpu);
    }
    ok(look("", &node) == 0 && node->cores.len == 4);
    ok(node->cores.items[0].l3 == 1 && node->cores.items[1].l3 == 1);
    ok(node->cores.items[2].l3 == 2 && node->cores.items[3].l3 == 0);
    machine_drop();
}

TEST(huge_pages_are_counted_on_their_numa_node)
{
    static const char directory[] = "sys/devices/system/node";
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("0-7");
    put("Node 1 MemTotal:       8388608 kB\n", "%s/node1/meminfo", directory);
    put("2\n", "%s/node1/hugepages/hugepages-1048576kB/nr_hugepages", directory);
    put("40\n", "%s/node1/hugepages/hugepages-2048kB/nr_hugepages", directory);
    put("7\n", "%s/node2/hugepages/hugepages-2048kB/nr_hugepages", directory);
    put("1\n", "%s/node0/hugepages/hugepages-1048576kB/nr_hugepages", directory); /* > memory */
    ok(look("", &node) == 0);
    ok(huge_pages_equal(&node->numas.items[0].huge_pages, &(struct huge_pages){ 0 }));
    ok(huge_pages_equal(&node->numas.items[1].huge_pages, &(struct huge_pages){ { 2, 40 } }));
    machine_drop();
}

static void put_link(const char *target, const char *path)
{
    _cleanup_free_ char *at = xasprintf("%s/%s", root, path);

    ok(symlink(target, at) == 0);
}

TEST(nics_have_their_numa_node_and_virtual_functions)
{
    static const char *const addresses[] = { "0000:18:00.0", "0000:18:00.1", "0000:99:00.0" };
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("0-7");
    for (size_t i = 0; i < 3; i++)
        put(i == 2 ? "1\n" : "0\n", "sys/bus/pci/devices/%s/numa_node", addresses[i]);
    put("4\n", "sys/bus/pci/devices/0000:18:00.0/sriov_numvfs");
    put("400 Gb/sec (4X NDR)\n", "sys/class/infiniband/mlx5_0/ports/1/rate");
    put("", "sys/class/infiniband/mlx5_1/x"); /* a virtual function of the first */
    put("", "sys/class/net/ib0/x");           /* the same NIC as mlx5_0 */
    put("25000\n", "sys/class/net/eth0/speed");
    put("", "sys/class/net/lo/x"); /* no hardware */
    put_link("../../../bus/pci/devices/0000:18:00.0", "sys/class/infiniband/mlx5_0/device");
    put_link("../../../bus/pci/devices/0000:18:00.1", "sys/class/infiniband/mlx5_1/device");
    put("", "sys/bus/pci/devices/0000:18:00.1/physfn/x");
    put_link("../../../bus/pci/devices/0000:18:00.0", "sys/class/net/ib0/device");
    put_link("../../../bus/pci/devices/0000:99:00.0", "sys/class/net/eth0/device");
    ok(look("", &node) == 0);
    ok(node->nics.len == 2);
    const struct nic *rdma = &node->nics.items[0], *plain = &node->nics.items[1];
    is_str(rdma->name, "mlx5_0");
    ok(rdma->rdma && rdma->numa == 0 && rdma->vfs == 4 && rdma->gbps == 400);
    is_str(plain->name, "eth0");
    ok(!plain->rdma && plain->numa == 1 && plain->vfs == 0 && plain->gbps == 25);
    machine_drop();
}

TEST(a_core_of_which_a_sibling_is_not_ours_is_not_given_away)
{
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("1-5");
    ok(look("", &node) == 0);
    ok(node->cores.len == 1 && core_is(node, 0, "1,5", 0));
    machine_drop();
}

TEST(without_a_whole_core_it_says_so)
{
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("3");
    ok(look("", &node) == -ENODEV);
    ok(strstr(err.text, "SMT siblings") != NULL);
    machine_drop();
}

TEST(a_core_of_more_siblings_than_there_are_is_refused)
{
    struct node *node = NULL;

    make_machine("0-7");
    put("0-8\n", "sys/devices/system/cpu/cpu0/topology/core_cpus_list");
    ok(look("", &node) == -ERANGE);
    ok(strstr(err.text, "the core of CPU 0 has 9 SMT siblings; it must be 1 to 8"));
    machine_drop();
}

static void put_pci(const char *address, const char *class, const char *vendor)
{
    put(class, "sys/bus/pci/devices/%s/class", address);
    put(vendor, "sys/bus/pci/devices/%s/vendor", address);
    put("0x2330\n", "sys/bus/pci/devices/%s/device", address);
    put("1\n", "sys/bus/pci/devices/%s/numa_node", address);
}

TEST(gpus_without_a_driver_are_found_on_the_bus)
{
    _cleanup_(node_freep) struct node *node = NULL;

    make_machine("0-7");
    put_pci("0000:1b:00.0", "0x030200\n", "0x10de\n");
    put_pci("0000:ab:00.0", "0x120000\n", "0x1002\n");
    put_pci("0000:02:00.0", "0x030000\n", "0x1a03\n"); /* the management controller's screen */
    put_pci("0000:03:00.0", "0x020000\n", "0x10de\n"); /* not a GPU */
    ok(look("", &node) == 0);
    ok(node->gpus.len == 2);
    is_str(node->gpus.items[0].uuid, "0000:1b:00.0");
    is_str(node->gpus.items[0].model, "10de:2330");
    ok(node->gpus.items[0].numa == 1);
    is_str(node->gpus.items[1].vendor, "amd");
    machine_drop();
}

/* Built beside this program. */
static char *fake_nvml(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    ok(n > 0);
    self[n > 0 ? n : 0] = '\0';
    *strrchr(self, '/') = '\0';
    return xasprintf("%s/probe/libfake-nvml.so", self);
}

TEST(gpus_with_a_driver_are_what_nvml_says)
{
    _cleanup_(node_freep) struct node *node = NULL;
    _cleanup_free_ char *nvml = fake_nvml();

    make_machine("0-7");
    put_pci("0000:1b:00.0", "0x030200\n", "0x10de\n");
    ok(look(nvml, &node) == 0);
    is_str(node->driver, "535.261.03");
    ok(node->gpus.len == 2);
    is_str(node->gpus.items[0].uuid, "GPU-00000000-0000-0000-0000-000000000000");
    is_str(node->gpus.items[0].pci, "0000:1b:00.0");
    ok(node->gpus.items[0].numa == 1 && node->gpus.items[0].memory_bytes == 85520809984);
    is_str(node->gpus.items[1].pci, "0000:ab:00.0");
    ok(node->gpus.items[1].numa == -1);
    machine_drop();
}

TEST(gpus_that_nvlink_joins_are_an_island)
{
    _cleanup_(node_freep) struct node *node = NULL, *alone = NULL;
    _cleanup_free_ char *nvml = fake_nvml();

    make_machine("0-7");
    ok(setenv("FAKE_NVML_LINKS", "00000000:C0:00.0", 1) == 0);
    ok(look(nvml, &node) == 0 && node->gpus.len == 2);
    ok(unsetenv("FAKE_NVML_LINKS") == 0);
    ok(node->gpus.items[0].island == 1 && node->gpus.items[1].island == 1);
    ok(node->gpus.items[0].module == 1 && node->gpus.items[1].module == 2);
    ok(look(nvml, &alone) == 0 && alone->gpus.items[0].island == 0);
    machine_drop();
}

TEST(a_lost_gpu_is_left_out_and_a_broken_driver_leads_to_the_bus)
{
    _cleanup_(node_freep) struct node *lost = NULL, *broken = NULL;
    _cleanup_free_ char *nvml = fake_nvml();

    make_machine("0-7");
    put_pci("0000:1b:00.0", "0x030200\n", "0x10de\n");
    ok(setenv("FAKE_NVML_LOST", "1", 1) == 0);
    ok(look(nvml, &lost) == 0 && lost->gpus.len == 1);
    ok(unsetenv("FAKE_NVML_LOST") == 0 && setenv("FAKE_NVML_BROKEN", "1", 1) == 0);
    ok(look(nvml, &broken) == 0 && broken->gpus.len == 1 && !broken->driver);
    ok(unsetenv("FAKE_NVML_BROKEN") == 0);
    machine_drop();
}

TEST(the_kernel_and_hwloc_agree_about_this_machine)
{
    const struct probe_options by_kernel = { .hwloc = "", .nvml = "" }, by_hwloc = { .nvml = "" };
    _cleanup_(node_freep) struct node *a = NULL, *b = NULL;

    if (probe_node(&by_kernel, &a, &err) < 0)
        return; /* a cpuset without a whole core: nothing to compare */
    ok(probe_node(&by_hwloc, &b, &err) == 0);
    ok(a->cores.len == b->cores.len && a->numas.len == b->numas.len);
    for (size_t i = 0; i < a->cores.len && i < b->cores.len; i++)
        ok(cpu_siblings_equal(&a->cores.items[i].cpus, &b->cores.items[i].cpus) &&
           a->cores.items[i].numa == b->cores.items[i].numa &&
           a->cores.items[i].l3 == b->cores.items[i].l3);
}

/* The file NAME among the topologies that come with the test data; NULL without them. */
static char *topology(const char *name)
{
    const char *data = getenv("BERTH_DATA");
    char *path = xasprintf("%s/fleet/topologies/%s", data ? data : "../shared/data", name);

    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static int load(const char *name, struct node **ret)
{
    _cleanup_free_ char *xml = topology(name);
    const struct probe_options options = { .xml = xml, .nvml = "" };

    return xml ? probe_node(&options, ret, &err) : -ENOENT;
}

TEST(topologies_of_other_machines_are_read)
{
    _cleanup_(node_freep) struct node *dgx = NULL, *power = NULL, *newer = NULL;

    if (load("hwloc_DGX2_V100x16_lstopo.xml", &dgx) == -ENOENT)
        return;
    ok(dgx && dgx->cores.len == 4 && dgx->numas.len == 2);
    ok(dgx && dgx->cores.items[3].numa == 1 && dgx->memory_bytes == 1621972275200);
    ok(load("hwloc_power8gpudistances.xml", &power) == 0);
    ok(power && power->cores.items[0].cpus.n == 2);
    ok(load("hwloc3_nvidia-dgx-gb10_lstopo_REJECTED-by-2.9.xml", &newer) != 0 || newer);
}

TEST(fields_end_where_their_line_does)
{
    static const char text[] = "MemTotal:\nMemFree: 5 kB\nMemTotalX: 7 kB";
    const char *value;
    int64_t bytes;

    ok(field_find(text, sizeof text - 1, "MemTotal", &value) == 0);
    ok(field_kilobytes(text, sizeof text - 1, "MemTotal", &bytes) == -EINVAL);
    ok(field_kilobytes(text, sizeof text - 1, "MemFree", &bytes) == 0 && bytes == 5120);
    ok(field_kilobytes(text, sizeof text - 1, "MemTotalX", &bytes) == 0 && bytes == 7168);
    ok(field_find(text, sizeof text - 1, "Mem", &value) == -ENOENT);
}

TEST(a_pcie_path_is_the_host_bridge_and_its_switches)
{
    static const struct {
        const char *target, *path;
    } cases[] = {
        { "../../../devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0",
          "pci0000:15/0000:16:00.0" },
        { "../../../devices/pci0000:15/0000:15:01.0/a/b/c/d/0000:18:00.0", "pci0000:15/a/c" },
        { "../../../devices/pci0000:15/0000:15:01.0/0000:16:00.0", "pci0000:15" },
        { "../../../devices/pci0000:00/0000:00:02.0", "pci0000:00" },
        { "../../../devices/pci0000:00", "" },
        { "../../../devices/vio/71", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *path = pcie_path_of(cases[i].target);
        is_str(path ? path : "", cases[i].path);
    }
}

TEST(pci_addresses_have_one_form)
{
    char address[16];

    ok(pci_address_normalise("00000000:3B:00.0", address) == 0);
    is_str(address, "0000:3b:00.0");
    ok(pci_address_normalise("0000:3b:00.0", address) == 0);
    ok(pci_address_normalise("0000:3b:00.0x", address) < 0);
    ok(pci_address_normalise("3b:00.0", address) < 0);
    ok(pci_address_normalise("10000:3b:00.0", address) == 0 && str_equal(address, "10000:3b:00.0"));
    ok(pci_address_normalise("99999990:3:0.2", address) < 0);
    ok(pci_address_normalise("", address) < 0);
}

TAP_MAIN
