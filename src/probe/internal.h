/* internal.h - what the files of probe/ share */
#ifndef PROBE_INTERNAL_H
#define PROBE_INTERNAL_H

#include "base/text.h"
#include "gpu/gpu.h"
#include "probe/probe.h"

/* Where to look, with the defaults filled in. */
struct place {
    const char *sys, *proc, *hwloc, *nvml, *xml;
};

/* text.c: pure. The value after "NAME:" (blanks around it cut off) in /proc's "name : value" lines;
 * its length, -ENOENT. */
int field_find(const char *text, size_t len, const char *name, const char **ret);
/* The same as bytes, from "NAME: 123 kB"; -EINVAL. */
int field_kilobytes(const char *text, size_t len, const char *name, int64_t *ret_bytes);

/* "pci0000:15/0000:16:00.0", the host bridge and the upstream ports of the switches below it, of where sysfs has a PCI
 * device: "../../../devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0". Owned by the caller; NULL: it is
 * another path. */
char *pcie_path_of(const char *target);
/* The same of the device at ADDRESS; NULL: not known. */
char *pcie_path(const char *sys, const char *address);

/* A small file of the kernel's, without the newline at its end. PATH is DIRECTORY/FORMAT…. */
__attribute__((format(printf, 3, 4))) int kernel_text(struct text *ret, const char *directory,
                                                      const char *fmt, ...);
__attribute__((format(printf, 2, 3))) long long kernel_number(const char *directory,
                                                              const char *fmt, ...);

/* Its first CPU, how many it has, CPU_SIBLINGS_MAX. */
#define CORE_TOO_LARGE "the core of CPU %d has %u SMT siblings; it must be 1 to %d"
/* Add CORE, which has no id yet, unless some of its CPUs are not in ALLOWED. */
void add_core(struct node *node, const struct core *core, const struct cpu_set *allowed);
void add_numa(struct node *node, unsigned id, int64_t memory_bytes);

/* Cores and NUMA nodes, each in kernel order. hwloc: -ENOENT when the library is not there. */
int topology_hwloc(const struct place *place, const struct cpu_set *allowed, struct node *node,
                   struct error *err);
int topology_sysfs(const struct place *place, const struct cpu_set *allowed, struct node *node,
                   struct error *err);
/* Of each NUMA node, whose memory is known. */
void find_huge_pages(const struct place *place, struct node *node);
/* NICs on the PCI bus, those for RDMA first; NUMA nodes are known. */
void find_nics(const struct place *place, struct node *node);
/* GPUs and driver version. NVML: -ENOENT when there is no library or no driver. */
int gpus_nvml(const struct place *place, struct node *node, struct error *err);
/* Say of each GPU which CDI device gives it to a container (those without are at fault), and add
 * the GPUs that only CDI knows. */
void gpus_cdi(const struct place *place, const char *const *directories, struct node *node);
int gpus_pci(const struct place *place, struct node *node, struct error *err);

#endif
