/* nics.c - NICs with their NUMA node and virtual functions, as sysfs tells them
 *
 * Kernel documentation: ABI/stable/sysfs-class-infiniband, ABI/testing/sysfs-class-net, ABI/testing/sysfs-bus-pci.
 */
#include "probe/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NICS_MAX = 64 };

/* The PCI address of CLASS/NAME, "" where it is no PCI device or a virtual function: these are counted with their NIC. */
static void address_of(const struct place *place, const char *class, const char *name,
                       char ret[static 16])
{
    _cleanup_free_ char *device = xasprintf("%s/class/%s/%s/device", place->sys, class, name);
    _cleanup_free_ char *physical = xasprintf("%s/physfn", device);
    char target[512];
    ssize_t n = readlink(device, target, sizeof target - 1);

    ret[0] = '\0';
    if (n <= 0 || access(physical, F_OK) == 0)
        return;
    target[n] = '\0';
    const char *last = strrchr(target, '/');
    if (pci_address_normalise(last ? last + 1 : target, ret) < 0)
        ret[0] = '\0';
}

/* "400 Gb/sec (4X NDR)"; 0: not known. */
static unsigned port_gbps(const struct place *place, const char *name)
{
    _cleanup_text_ struct text rate = { 0 };
    long long n = 0;

    if (kernel_text(&rate, place->sys, "class/infiniband/%s/ports/1/rate", name) < 0 || !rate.len)
        return 0;
    rate.data[strcspn(rate.data, " .")] = '\0';
    return str_to_i64(rate.data, 0, INT_MAX, &n) < 0 ? 0 : (unsigned) n;
}

static unsigned link_gbps(const struct place *place, const char *name)
{
    long long mbps = kernel_number(place->sys, "class/net/%s/speed", name);

    return mbps > 0 && mbps / 1000 < INT_MAX ? (unsigned) (mbps / 1000) : 0;
}

static int numa_of_nic(const struct place *place, const struct node *node, const char *address)
{
    long long numa = kernel_number(place->sys, "bus/pci/devices/%s/numa_node", address);

    if (numa >= 0 && numa < CPU_SET_MAX)
        return (int) numa;
    return node->numas.len == 1 ? (int) node->numas.items[0].id : -1;
}

static bool is_known(const struct node *node, const char *const *addresses, const char *address)
{
    for (size_t i = 0; i < node->nics.len; i++)
        if (str_equal(addresses[i], address))
            return true;
    return false;
}

struct found {
    const struct place *place;
    struct node *node;
    char *addresses[NICS_MAX]; /* of the NICs of the node */
};

static void take_nic(struct found *found, const char *class, const char *name, bool rdma)
{
    const struct place *place = found->place;
    struct node *node = found->node;
    char address[16];

    address_of(place, class, name, address);
    if (!*address || node->nics.len == NICS_MAX ||
        is_known(node, (const char *const *) found->addresses, address))
        return;
    long long vfs = kernel_number(place->sys, "bus/pci/devices/%s/sriov_numvfs", address);
    const struct nic nic = { .name = xstrdup(name),
                             .pcie = pcie_path(place->sys, address),
                             .numa = numa_of_nic(place, node, address),
                             .vfs = vfs > 0 && vfs <= UINT16_MAX ? (unsigned) vfs : 0,
                             .gbps = rdma ? port_gbps(place, name) : link_gbps(place, name),
                             .rdma = rdma };
    found->addresses[node->nics.len] = xstrdup(address);
    vec_push(&node->nics, nic);
}

static int plain_names(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* mlx5_2 before mlx5_10 */
static int by_number(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

static void take_class(struct found *found, const char *class, bool rdma)
{
    _cleanup_free_ char *path = xasprintf("%s/class/%s", found->place->sys, class);
    struct dirent **entries = NULL;

    int n = scandir(path, &entries, plain_names, by_number);
    for (int i = 0; i < n; i++) {
        take_nic(found, class, entries[i]->d_name, rdma);
        free(entries[i]);
    }
    free(entries);
}

void find_nics(const struct place *place, struct node *node)
{
    struct found found = { .place = place, .node = node };

    take_class(&found, "infiniband", true);
    take_class(&found, "net", false); /* of one that is there by its RDMA device already, nothing */
    for (size_t i = 0; i < NICS_MAX; i++)
        free(found.addresses[i]);
}
