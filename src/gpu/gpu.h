/* gpu.h - what a GPU needs inside a container, and what its driver says about it
 *
 * CDI (Container Device Interface) specifications are files in which vendors say which device
 * nodes, mounts, variables and hooks a container needs for a device, called VENDOR/CLASS=NAME. Only
 * files that nobody but root can change count: what they name is done as root.
 */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- CDI: what a container gets ---------------------------------------------------------------- */

/* A device node. What the specification leaves out is the host's: see cdi_edits_fill(). */
struct cdi_node {
    char *path;      /* inside */
    char *host_path; /* on the machine */
    char type;       /* 'c' or 'b'; 0: not known yet */
    unsigned major, minor;
    bool has_number;
    char *permissions; /* of "rwm" */
    int mode;          /* -1: not known yet */
    uid_t uid;         /* inside; 0: of whom the command runs as */
    gid_t gid;
};

struct cdi_mount {
    char *source, *target;
    char *type;     /* NULL: a bind */
    char **options; /* NULL-terminated, never NULL */
};

/* Of the OCI runtime specification. */
struct cdi_hook {
    char *point; /* "createContainer" */
    char *path;
    char **args, **env; /* NULL-terminated; NULL: none */
    unsigned timeout_s; /* 0: none */
};

struct cdi_edits {
    VEC(struct cdi_node) nodes;
    VEC(struct cdi_mount) mounts;
    VEC(struct cdi_hook) hooks;
    VEC(char *) env; /* "NAME=value" */
};

void cdi_edits_done(struct cdi_edits *edits);

struct cdi_device {
    char *name;
    struct cdi_edits edits;
};

struct cdi_spec {
    char *kind; /* "nvidia.com/gpu" */
    char *path; /* of its file; NULL when it came from none */
    unsigned priority;
    struct cdi_edits edits; /* of every device */
    VEC(struct cdi_device) devices;
};

/* Pure: the text of a specification, JSON or YAML. What is not understood is refused with the
 * field's path: half a device is worse than none. */
int cdi_parse(const char *bytes, size_t len, struct cdi_spec **ret, struct error *err);
void cdi_spec_free(struct cdi_spec *spec);
DEFINE_CLEANUP(struct cdi_spec *, cdi_spec_free);
json_t *cdi_spec_to_json(const struct cdi_spec *spec);
/* Is NAME of the form VENDOR/CLASS=DEVICE? */
bool cdi_name_is_valid(const char *name);

/* ---- CDI: the machine's specifications --------------------------------------------------------- */

struct cdi_problem {
    char *path;
    struct error why;
};

struct cdi_registry {
    VEC(struct cdi_spec *) specs; /* by priority, then path */
    VEC(struct cdi_problem) problems;
};

/* Read *.json and *.yaml of DIRECTORIES (NULL-terminated; absent ones are fine), the later the
 * higher in priority. Files that do not count are problems. */
void cdi_load(const char *const *directories, struct cdi_registry *ret);
void cdi_registry_done(struct cdi_registry *registry);
/* The device called NAME: of the highest priority that has it; -ENOENT, -ENOTUNIQ when two files of
 * the same priority do. */
int cdi_find(const struct cdi_registry *registry, const char *name,
             const struct cdi_spec **ret_spec, const struct cdi_device **ret_device,
             struct error *err);
/* The device INDEX of the one kind of GPUs ("VENDOR/gpu") that has it, as NAME above; owned by the caller. -ENOENT,
 * -ENOTUNIQ. */
int cdi_gpu_name(const struct cdi_registry *registry, const char *index, char **ret,
                 struct error *err);
/* What a container needs for NAMES (NULL-terminated): the edits of each specification once, then
 * those of its devices. Adds to RET. */
int cdi_collect(const struct cdi_registry *registry, char *const *names, struct cdi_edits *ret,
                struct error *err);
/* Fill in what the specification leaves to the host: type and numbers, mode. */
int cdi_edits_fill(struct cdi_edits *edits, struct error *err);
/* Can only root change PATH, whichever part of it? 0; -EPERM with the part that others can. */
int path_check_trusted(const char *path, struct error *err);

/* ---- NVIDIA without a specification -------------------------------------------------------------- */

#define NVIDIA_VERSION_MAX 32

/* A specification of the machine below ROOT ("/"): device nodes by /proc/driver/nvidia, libraries of
 * the driver's version by the loader's cache. -ENODEV when the driver is not loaded. */
int nvidia_spec_make(const char *root, struct cdi_spec **ret, struct error *err);
/* Write it into the last of DIRECTORIES, unless somebody else's is there. *RET_PATH (owned by the
 * caller): the file; NULL when none was needed. */
int nvidia_spec_write(const char *root, const char *const *directories, char **ret_path,
                      struct error *err);
/* Pure. The version in /proc/driver/nvidia/version; minor and UUID (NULL: not known; owned by the
 * caller) in …/gpus/ADDRESS/information. -EBADMSG. */
int nvidia_parse_version(const char *text, char ret[static NVIDIA_VERSION_MAX]);
int nvidia_parse_gpu(const char *text, unsigned *ret_minor, char **ret_uuid);

/* The libraries of this machine's kind in ld.so.cache, in its order. Pure; -EBADMSG. */
typedef void (*ld_cache_f)(void *userdata, const char *name, const char *path);
int ld_cache_parse(const char *bytes, size_t len, ld_cache_f each, void *userdata);

/* ---- NVML -------------------------------------------------------------------------------------- */

#define GPU_TEXT_MAX 96
#define GPUS_MAX     32

/* A GPU as NVIDIA's management library sees it now. Negative: it does not say. */
struct gpu_state {
    char uuid[GPU_TEXT_MAX], model[GPU_TEXT_MAX];
    char pci[16]; /* "0000:3b:00.0" */
    unsigned index;
    int minor;       /* of its device node */
    unsigned island; /* GPUs that NVLink joined at nvml_open() have the same; 0: joined to none */
    unsigned module; /* its place on the board; 0: not known */
    int64_t memory_bytes, memory_used_bytes;
    int busy_percent; /* part of the last moment in which something ran on it */
    double power_w, power_limit_w;
    int temperature_c;
    unsigned xid;  /* the last error that the driver reported by number; 0: none */
    uint64_t xids; /* how many since nvml_open() */
};

struct gpu_report {
    char driver[GPU_TEXT_MAX];
    unsigned n;
    struct gpu_state gpus[GPUS_MAX];
};

struct nvml;

/* Opened at run time by NAME or path: -ENOENT when there is no library or no driver. */
int nvml_open(const char *library, struct nvml **ret);
void nvml_close(struct nvml *nvml);
DEFINE_CLEANUP(struct nvml *, nvml_close);
/* GPUs that do not answer (they have fallen off the bus) are left out, unless they reported an error before.
 * May block for ever in the
 * kernel: see gpu_reporter_start(). */
int nvml_read(struct nvml *nvml, struct gpu_report *ret, struct error *err);

/* A child process that reads NVML every second: a driver that hangs or crashes takes nobody with
 * it. It ends when its socket is closed. */
struct gpu_reporter {
    int fd; /* SOCK_SEQPACKET, non-blocking; -1: none */
    pid_t pid;
};

/* To be called before there are threads. */
int gpu_reporter_start(const char *library, struct gpu_reporter *ret, struct error *err);
/* The newest report: 1, 0 when there is none yet, -ENOENT when there is no library or no driver (or
 * the child is gone), other negative errno. Waits for up to TIMEOUT_MS for the first. */
int gpu_reporter_read(const struct gpu_reporter *reporter, int timeout_ms, struct gpu_report *ret,
                      struct error *err);
void gpu_reporter_stop(struct gpu_reporter *reporter);
/* "00000000:3B:00.0" or "0000:3b:00.0" to "0000:3b:00.0"; -EINVAL for anything else. */
int pci_address_normalise(const char *text, char ret[static 16]);

#endif
