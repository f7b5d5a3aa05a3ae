/* bundle.c - config.json of the OCI runtime specification 1.0.2, as crun reads it */
#include "executor/internal.h"

#include "base/alloc.h"

#include <string.h>
#include <sys/resource.h>

#define NOFILE_WANTED 65536

/* Those that a program may expect of root inside; none reaches beyond the user namespace. */
static const char *const capabilities[] = {
    "CAP_CHOWN",      "CAP_DAC_OVERRIDE", "CAP_FSETID",
    "CAP_FOWNER",     "CAP_SETGID",       "CAP_SETUID",
    "CAP_SETFCAP",    "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL",         NULL,
};

static const char *const masked_paths[] = {
    "/proc/acpi",          "/proc/asound",
    "/proc/kcore",         "/proc/keys",
    "/proc/latency_stats", "/proc/scsi",
    "/proc/sched_debug",   "/proc/timer_list",
    "/proc/timer_stats",   "/sys/firmware",
    "/sys/fs/selinux",     "/sys/dev/block",
    "/sys/kernel",         NULL,
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static json_t *strings(const char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        (void) json_array_append_new(array, json_string(*list));
    return array;
}

/* Of a process: arguments and values of the environment need not be UTF-8; JSON must be. */
static json_t *lossy_strings(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        (void) json_array_append_new(array, json_string_lossy(*list, strlen(*list)));
    return array;
}

/* Who is not root inside has none at hand; a program that becomes root gets them. */
static json_t *capability_sets(bool root)
{
    static const char *const sets[] = { "bounding", "effective", "permitted", NULL };
    json_t *json = json_object();

    for (const char *const *set = sets; *set && (root || set == sets); set++)
        json_put(json, *set, strings(capabilities));
    return json;
}

static json_t *rlimit(const char *name, uint64_t value)
{
    /* Unlimited is the largest number that a limit has, and more than JSON readers agree on. */
    json_int_t number = value > INT64_MAX ? INT64_MAX : (json_int_t) value;
    return json_pack("{s:s,s:I,s:I}", "type", name, "hard", number, "soft", number);
}

static json_t *user(const struct image_user *user, bool own_ids)
{
    json_t *json = json_pack("{s:I,s:I}", "uid", (json_int_t) (user ? user->uid : 0), "gid",
                             (json_int_t) (user ? user->gid : 0));
    json_t *groups = json_array();

    for (size_t i = 0; own_ids && user && i < user->n_groups; i++)
        (void) json_array_append_new(groups, json_integer(user->groups[i]));
    if (json_array_size(groups))
        json_put(json, "additionalGids", groups);
    else
        json_decref(groups);
    return json;
}

/* The image's entrypoint, then the command of the job or else of the image. What Berth itself runs in the
 * container (PLAIN) has no entrypoint before it. */
static json_t *arguments(const struct image *image, char *const *command, bool plain)
{
    bool own = command && command[0];
    json_t *list = plain ? json_array() : lossy_strings(image->config.entrypoint);
    json_t *rest = lossy_strings(own ? command : image->config.command);

    (void) json_array_extend(list, rest);
    json_decref(rest);
    return list;
}

static json_t *process(const struct task_spec *spec, const struct image *image,
                       const struct bundle_facts *facts)
{
    json_t *json = json_object(), *limits = json_array();
    char *const *command = facts->command ? facts->command : spec->workload_spec->command;
    uint64_t nofile = facts->nofile_hard < NOFILE_WANTED ? facts->nofile_hard : NOFILE_WANTED;
    /* Who sent files wants to be where they are. */
    bool own_files = spec->workload_spec->source != SOURCE_NONE;
    const char *workdir = own_files ? NULL : image->config.workdir;

    json_put(json, "terminal", json_false());
    json_put(json, "user", user(facts->user, facts->own_ids));
    json_put(json, "args", arguments(image, command, facts->command != NULL));
    json_put(json, "env", lossy_strings(facts->env));
    json_put_str(json, "cwd", workdir ? workdir : "/workspace");
    json_put(json, "capabilities", capability_sets(!facts->user || facts->user->uid == 0));
    (void) json_array_append_new(limits, rlimit("RLIMIT_NOFILE", nofile));
    (void) json_array_append_new(limits, rlimit("RLIMIT_CORE", 0));
    if (facts->edits)
        (void) json_array_append_new(limits, rlimit("RLIMIT_MEMLOCK", facts->memlock_hard));
    json_put(json, "rlimits", limits);
    json_put(json, "noNewPrivileges", json_true());
    return json;
}

static void add_mount(json_t *mounts, const char *target, const char *type,
                      const char *const *options)
{
    json_t *mount = json_object();

    json_put_str(mount, "destination", target);
    json_put_str(mount, "type", type);
    json_put_str(mount, "source", type);
    json_put(mount, "options", strings(options));
    (void) json_array_append_new(mounts, mount);
}

static json_t *mounts(const struct task_spec *spec, const struct bundle_facts *facts)
{
    static const char *const proc[] = { "nosuid", "noexec", "nodev", NULL };
    static const char *const dev[] = { "nosuid", "strictatime", "mode=755", "size=65536k", NULL };
    /* The group of terminals comes last: it is nobody where one id is mapped. */
    const char *pts[] = { "nosuid",      "noexec",
                          "newinstance", "ptmxmode=0666",
                          "mode=0620",   facts->own_ids ? "gid=5" : NULL,
                          NULL };
    static const char *const queue[] = { "nosuid", "noexec", "nodev", NULL };
    json_t *list = json_array();
    _cleanup_free_ char *size =
        xasprintf("size=%lld", (long long) (spec->allocation->memory_bytes / 2));
    const char *shm[] = { "nosuid", "noexec", "nodev", "mode=1777", size, NULL };

    add_mount(list, "/proc", "proc", proc);
    add_mount(list, "/dev", "tmpfs", dev);
    add_mount(list, "/dev/pts", "devpts", pts);
    add_mount(list, "/dev/shm", "tmpfs", shm);
    add_mount(list, "/dev/mqueue", "mqueue", queue);
    return list;
}

static json_t *namespaces(const struct bundle_facts *facts)
{
    static const char *const kinds[] = { "user", "pid", "ipc", "uts", "mount", "cgroup", NULL };
    json_t *list = json_array();

    for (const char *const *kind = kinds; *kind; kind++)
        (void) json_array_append_new(list, json_pack("{s:s}", "type", *kind));
    if (facts->netns)
        (void) json_array_append_new(list, json_pack("{s:s,s:s}", "type", "network", "path",
                                                     facts->netns));
    return list;
}

/* As many as the task has; none where it has none, or it would take those of others. */
static json_t *huge_page_limits(const struct allocation *a, const struct bundle_facts *facts)
{
    static const char *const names[] = { [HUGE_PAGE_1G] = "1GB", [HUGE_PAGE_2M] = "2MB" };
    json_t *list = json_array();

    for (int size = 0; size < HUGE_PAGE_MAX; size++) {
        int64_t bytes = 0;
        for (size_t i = 0; i < a->n_parts; i++)
            bytes += a->parts[i].huge_pages.n[size] * huge_page_bytes(size);
        if (bytes > 0 || facts->limits_pages[size])
            (void) json_array_append_new(list, json_pack("{s:s,s:I}", "pageSize", names[size],
                                                         "limit", (json_int_t) bytes));
    }
    return list;
}

static json_t *resources(const struct task_spec *spec, const struct bundle_facts *facts)
{
    const struct allocation *a = spec->allocation;
    json_t *json = json_object(), *cpu = json_object(), *memory = json_object();
    _cleanup_free_ char *cpus = cpu_set_format(&a->cpus), *mems = cpu_set_format(&a->mems);
    unsigned pids = spec->workload_spec->pids;

    json_put_int(memory, "limit", a->memory_bytes);
    json_put(json, "memory", memory);
    if (*cpus)
        json_put_str(cpu, "cpus", cpus);
    if (*mems)
        json_put_str(cpu, "mems", mems);
    if (a->shared && spec->workload_spec->cores) {
        json_put_int(cpu, "period", 100000);
        json_put_int(cpu, "quota", 100000 * (int64_t) spec->workload_spec->cores);
    }
    json_put(json, "cpu", cpu);
    json_put(json, "pids", json_pack("{s:I}", "limit", (json_int_t) (pids ? pids : 4096)));
    json_t *pages = huge_page_limits(a, facts);
    if (json_array_size(pages) > 0)
        json_put(json, "hugepageLimits", json_incref(pages));
    json_decref(pages);
    json_put(json, "devices", json_pack("[{s:b,s:s}]", "allow", 0, "access", "rwm"));
    return json;
}

static json_t *id_mapping(uint32_t inside, uint32_t outside, uint32_t count)
{
    return json_pack("[{s:I,s:I,s:I}]", "containerID", (json_int_t) inside, "hostID",
                     (json_int_t) outside, "size", (json_int_t) count);
}

static void put_id_mappings(json_t *json, const struct task_spec *spec,
                            const struct bundle_facts *facts)
{
    const struct image_user *user = facts->user;
    bool range = facts->own_ids;
    uint32_t count = range ? UIDS_PER_PROJECT : 1;

    json_put(json, "uidMappings",
             id_mapping(range || !user ? 0 : user->uid, spec->uid_base, count));
    json_put(json, "gidMappings",
             id_mapping(range || !user ? 0 : user->gid, spec->uid_base, count));
}

static json_t *linux_part(const struct task_spec *spec, const struct bundle_facts *facts)
{
    json_t *json = json_object();

    json_put(json, "namespaces", namespaces(facts));
    put_id_mappings(json, spec, facts);
    if (facts->cgroup) {
        json_put(json, "resources", resources(spec, facts));
        json_put_str(json, "cgroupsPath", facts->cgroup);
    }
    json_put(json, "maskedPaths", strings(masked_paths));
    json_put(json, "readonlyPaths", strings(readonly_paths));
    json_put_str(json, "rootfsPropagation", "private");
    if (!facts->seccomp)
        json_put(json, "seccomp", seccomp_profile());
    return json;
}

json_t *bundle_config(const struct task_spec *spec, const struct image *image,
                      const struct bundle_facts *facts)
{
    json_t *json = json_object(), *root = json_object(), *annotations = json_object();

    json_put_str(json, "ociVersion", "1.0.2");
    json_put(json, "process", process(spec, image, facts));
    json_put_str(root, "path", facts->rootfs);
    json_put(json, "root", root);
    json_put_str(json, "hostname", facts->hostname);
    json_put(json, "mounts", mounts(spec, facts));
    json_put(json, "linux", linux_part(spec, facts));
    json_put_str(annotations, "run.oci.seccomp_bpf_data", facts->seccomp);
    json_put(json, "annotations", annotations);
    if (facts->edits)
        devices_put(facts->edits, json);
    return json;
}
