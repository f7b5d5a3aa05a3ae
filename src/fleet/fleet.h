/* fleet.h - the machines: nodes with their cores, memory and GPUs, and the flavors cut from them */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "base/cleanup.h"
#include "base/cpu-set.h"
#include "base/cpu-siblings.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/huge-pages.h"
#include "base/id.h"
#include "base/json.h"
#include "base/vec.h"
#include "fleet/hardware.h"

struct core {
    unsigned id; /* position in node->cores */
    unsigned socket;
    unsigned numa; /* kernel number of its NUMA node */
    unsigned l3;   /* cores that share an L3 cache have the same, from 1; 0: not known */
    struct cpu_siblings cpus;
};

struct numa_node {
    unsigned id;                  /* kernel number */
    int64_t memory_bytes;         /* with its huge pages */
    struct huge_pages huge_pages; /* nobody has these who did not ask for them */
};

enum { NODE_GPUS_MAX = 64 }; /* so that a set of them is a word */

struct gpu {
    char *uuid; /* "GPU-…" of the driver, or the PCI address where there is no driver */
    char *vendor;
    char *model;
    char *pci;   /* "0000:17:00.0" */
    char *cdi;   /* device that gives it to a container, "nvidia.com/gpu=0"; NULL: nothing does */
    char *fault; /* why it cannot be given to anybody, in words; NULL: it can */
    unsigned index;
    int minor; /* of its device node; -1: unknown */
    int numa;  /* -1: unknown */
    int64_t memory_bytes;
    unsigned module; /* number that the fabric manager has for it, from 1; 0: unknown */
    unsigned island; /* GPUs joined by NVLink have the same; 0: joined to none */
    char *
        pcie; /* host bridge and PCIe switches down to it, "pci0000:15/0000:16:00.0"; NULL: unknown */
    char *iommu_group; /* number of the kernel's; GPUs of one can reach each other. NULL: unknown */
};

struct nic {
    char *name;   /* "mlx5_0" */
    char *pcie;   /* as of a GPU */
    int numa;     /* -1: unknown */
    unsigned vfs; /* virtual functions that can be given away; 0: all use it together */
    unsigned gbps;
    bool rdma;
};

/* GPUs that the fabric manager joins with each other and parts from all else. */
struct gpu_partition {
    unsigned id;
    uint64_t gpus; /* bits: positions on the node */
};

/* A machine as discovered (probe/). Reserved capacity is the operator's setting; what remains can
 * be given to tasks. */
struct node {
    struct id id;
    char *name;
    char *kernel;
    char *boot_id;
    char *address; /* at which the other machines reach it, as it sees itself; NULL: not known */
    char *driver;  /* GPU driver's version, NULL without one */
    char *cpu_model;
    VEC(struct core) cores;
    VEC(struct numa_node) numas;
    VEC(struct gpu) gpus;
    VEC(struct nic) nics;
    VEC(struct gpu_partition) partitions; /* none: the fabric manager parts nothing */
    char *site, *block, *leaf;            /* where it stands, by the network; NULL: not known */
    int64_t memory_bytes;
    int64_t disk_bytes;      /* of the state's filesystem */
    int64_t disk_free_bytes; /* free there when it was last looked at; 0: not known */
    unsigned reserved_cores; /* per NUMA node; 0 on machines with 4 cores or fewer (DESIGN 7.12) */
    int64_t reserved_memory_bytes;
    int64_t reserved_disk_bytes;
    bool cordoned;
    char *fault;  /* why no work can begin on it, in words; NULL: it can */
    json_t *tags; /* by which jobs choose machines; whoever knows them sets them. NULL: none */
    /* What runs there that is none of Berth's. */
    unsigned others_cores, others_gpus;
    int64_t others_memory_bytes;
};

/* Is GPU what somebody means by MODEL: its name, or words of it ("h100", "A100 80GB")? NULL: any. */
bool gpu_is_model(const struct gpu *gpu, const char *model);
/* Is GPU what CDI calls NAME: by the name of its device, or with its UUID in the device's place? */
bool gpu_is_device(const struct gpu *gpu, const char *name);

/* What lies between two GPUs, nearest first; the names are those that `nvidia-smi topo` prints. */
enum gpu_path {
    GPU_PATH_NVLINK,
    GPU_PATH_PIX,  /* one PCIe switch */
    GPU_PATH_PXB,  /* several, of one host bridge */
    GPU_PATH_PHB,  /* the host bridge */
    GPU_PATH_NODE, /* of one NUMA node */
    GPU_PATH_SYS,
    GPU_PATH_MAX,
};
const char *gpu_path_name(enum gpu_path path);
enum gpu_path gpu_path(const struct gpu *a, const struct gpu *b);
/* Of each GPU to each, a list of names by position; "X" to itself. */
json_t *node_gpu_paths(const struct node *node);
/* Of each GPU to each NIC, a list of names by position. */
json_t *node_nic_paths(const struct node *node);

/* Has it one of the tags of "KEY", "KEY=VALUE" or several with '|'? */
bool node_has_tag(const struct node *node, const char *wanted);
/* Its memory without huge pages. */
int64_t node_ordinary_bytes(const struct node *node);
/* Its cores without the reserve. */
unsigned node_usable_cores(const struct node *node);
/* The name of what NODE stands in, as it is known or as its tags `site`, `block`, `leaf` say; NULL: not known. */
enum fabric { FABRIC_SITE, FABRIC_BLOCK, FABRIC_LEAF };
const char *node_stands_in(const struct node *node, enum fabric part);
/* The same, or where that is not known the name of the next narrower part that is, whose PART is returned: machines of a leaf stand
 * in one block and on one site, whether anybody said which or not. */
const char *node_stands_within(const struct node *node, enum fabric *part);
/* hops.c: the narrowest part of the fabric that both are known to stand in; false: there is none. */
bool nodes_stand_together(const struct node *a, const struct node *b, enum fabric *ret);
/* "site", "block", "leaf". */
const char *fabric_name(enum fabric part);
/* Switches on the way between two that stand together in PART: its own, and one of each narrower part on either side. */
unsigned fabric_hops(enum fabric part);
/* What GPUs there are, in words: "2 x NVIDIA H100 80GB HBM3", "none"; owned by the caller. */
char *node_gpus_text(const struct node *node);

/* partitions.c: the fabric manager's table as people write it: "hgx8", that of a board of 8 GPUs behind NVSwitches; "none"; or
 * "1=1-4 2=5-8", each partition with the modules of its GPUs.
 * Is TABLE one for NODE? -EINVAL says what is wrong, or which module is not there. */
int node_check_partitions(const struct node *node, const char *table, struct error *err);
/* NODE has TABLE from now on, without the partitions of which it lacks a GPU; of what is no table, none. */
void node_set_partitions(struct node *node, const char *table);

void node_free(struct node *node);
DEFINE_CLEANUP(struct node *, node_free);
/* With its fault, tags and others. Owned by the caller, who may give it to another thread. */
struct node *node_copy(const struct node *node);
json_t *node_to_json(const struct node *node);
int node_from_json(const json_t *json, struct node **ret, struct error *err);

/* What is decided and known of a machine beside its hardware: it outlives the server. */
struct node_record {
    char *name;
    bool cordoned; /* takes no new work */
    bool drained;  /* and is meant to be empty */
    char *reason;  /* of the cordon, in words; NULL: none was given */
    char *
        partitions; /* the operator's word for the fabric manager's table; NULL: as it is reported */
    char *actor;    /* who cordoned it */
    int64_t cordoned_us;
    int64_t joined_us;     /* 0: it did not join */
    struct sha256 machine; /* of one that joined: what tells it from others, whatever its name */
    struct node *node;     /* as it reported itself last; NULL: it did not join */
    char *url;             /* by which it reaches the server; NULL: not said */
    char *orders_key; /* base64 of the public key that orders are sealed for; NULL: it takes none */
    json_t *order;    /* the last that it was given, and what became of it; NULL: none */
};

void node_record_free(struct node_record *machine);
DEFINE_CLEANUP(struct node_record *, node_record_free);
json_t *node_record_to_json(const struct node_record *machine);
int node_record_from_json(const json_t *json, struct node_record **ret, struct error *err);

/* A sellable shape. */
struct flavor {
    char *name; /* "cpu.1" */
    /* whole cores with their SMT siblings; of a shared flavor: a share of the pool */
    unsigned cores;
    int64_t memory_bytes;
    int64_t disk_bytes; /* writable layer + workspace + artifacts + log */
    unsigned gpus;
    unsigned gpu_milli; /* of its one GPU, which tasks of one org share; 0: GPUs are its own */
    char *gpu_model;    /* NULL: any; see gpu_is_model() */
    unsigned pids;
    struct huge_pages huge_pages; /* beside the memory */
    bool rdma;                    /* /dev/infiniband and as much locked memory as it likes */
    bool shared;                  /* tasks of one org may share cores (marked "not isolated") */
    /* Its rules; see workload_spec. */
    bool numa_strict, network_optimised, splits_islands;
    bool whole_node; /* a task has a machine to itself */
    /* What goes with a GPU at least and at most, also where memory or all is asked for by number; 0: not said. */
    int64_t min_cores_per_gpu, max_cores_per_gpu;
    int64_t min_memory_per_gpu, max_memory_per_gpu;
};

void flavor_free(struct flavor *flavor);
DEFINE_CLEANUP(struct flavor *, flavor_free);
json_t *flavor_to_json(const struct flavor *flavor);
int flavor_from_json(const json_t *json, struct flavor **ret, struct error *err);
/* Thousandths of a GPU. */
unsigned flavor_gpu_milli(const struct flavor *flavor);

/* What is asked for of a machine, as far as it tells which flavor is meant and what goes with GPUs. */
struct hardware_ask {
    const char *flavor;    /* by name; NULL: by numbers */
    const char *gpu_model; /* NULL: any; see gpu_is_model() */
    unsigned gpu_milli;
    unsigned cores;
    int64_t memory_bytes;
};
/* The flavor whose rules hold for ASK: its own, else one for such GPUs (parts or whole ones), with as many, else the first.
 * NULL: there is none. */
const struct flavor *flavor_for(const struct flavor *const *flavors, size_t n,
                                const struct hardware_ask *ask);
/* -EINVAL: cores or memory are too few or too many for its GPUs, by the flavor's word. */
int flavor_check_ratio(const struct flavor *flavor, const struct hardware_ask *ask,
                       struct error *err);
/* The same, by flavor_for(). */
int flavor_check_ratio_of(const struct flavor *const *flavors, size_t n,
                          const struct hardware_ask *ask, struct error *err);

/* The flavors that fit NODE when the operator names none: cpu.1, cpu.2, cpu.4, …, cpu.shared and,
 * with GPUs, gpu.1, gpu.2, …; memory and disk in proportion. Returns the count; each is owned by the caller. */
size_t flavor_defaults(const struct node *node, struct flavor *ret[], size_t max);

#endif
