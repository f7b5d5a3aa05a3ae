/* cgroup.c - control groups of attempts: /berth/ATTEMPT in every hierarchy, v1 and v2
 *
 * crun makes the groups and sets the limits; this file finds where they are, reads them back, and
 * removes them. On a hybrid machine crun refuses to work while a controller sits in version 2.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define GROUP       "berth"
#define SUPERVISORS GROUP "/supervisors"

enum { GROUP_FILE_MAX = 16384 };

/* Controllers that sit in version 2 of a hybrid machine, unused: mount them as version 1. */
static int mount_left_over(struct cgroups *cg, const char *unified, char **ret_mounted,
                           struct error *err)
{
    _cleanup_text_ struct text controllers = { 0 };
    _cleanup_free_ char *file = xasprintf("%s/cgroup.controllers", unified);
    char *save = NULL;

    int r = file_read(AT_FDCWD, file, 4096, &controllers, err);
    if (r < 0 || controllers.len <= 1)
        return r;
    for (char *name = strtok_r(controllers.data, " \n", &save); name;
         name = strtok_r(NULL, " \n", &save)) {
        _cleanup_free_ char *path = xasprintf("/sys/fs/cgroup/%s", name);
        r = mkdir_all(AT_FDCWD, path, 0755, err);
        if (r < 0)
            return r;
        /* The kernel refuses with EBUSY what has users. */
        if (mount("none", path, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, name) < 0)
            return error_set(err, -errno,
                             "controller %s is used in cgroup v2 while others are in v1: %s", name,
                             strerror(errno));
        char *more = *ret_mounted ? xasprintf("%s %s", *ret_mounted, name) : xstrdup(name);
        free(*ret_mounted);
        *ret_mounted = more;
        vec_push(&cg->hierarchies, xstrdup(path));
        for (int i = 0; i < CGROUP_N; i++)
            if (str_equal(name, cgroup_controller_name((enum cgroup_controller) i)))
                xstr_set(&cg->roots[i], path);
    }
    return 0;
}

int cgroups_probe(struct cgroups *ret, char **ret_mounted, struct error *err)
{
    *ret_mounted = NULL;
    int r = cgroups_find(ret, err);
    if (r < 0 || ret->unified || !ret->v2)
        return r;
    r = mount_left_over(ret, ret->v2, ret_mounted, err);
    /* Processes are in it, with or without controllers. */
    vec_push(&ret->hierarchies, xstrdup(ret->v2));
    return r;
}

/* cpuset v1 groups are born without CPUs and take nobody then. */
static int inherit_cpuset(const char *root, const char *group)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

    for (size_t i = 0; i < 2; i++) {
        _cleanup_text_ struct text value = { 0 };
        _cleanup_free_ char *from = xasprintf("%s/%s", root, files[i]);
        _cleanup_free_ char *to = xasprintf("%s/%s/%s", root, group, files[i]);
        if (file_read(AT_FDCWD, from, 4096, &value, NULL) < 0)
            continue;
        _cleanup_close_ int fd = open(to, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write_full(fd, value.data, value.len) < 0)
            return -errno;
    }
    return 0;
}

int cgroups_join_supervisors(const struct cgroups *cg, struct error *err)
{
    vec_foreach(&cg->hierarchies, root) {
        _cleanup_free_ char *group = xasprintf("%s/" SUPERVISORS, *root);
        _cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", group);
        int r = mkdir_all(AT_FDCWD, group, 0755, err);
        if (r < 0)
            return r;
        if (!cg->unified) {
            (void) inherit_cpuset(*root, GROUP);
            _cleanup_free_ char *parent = xasprintf("%s/" GROUP, *root);
            (void) inherit_cpuset(parent, "supervisors");
        }
        _cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0)
            return error_set(err, -errno, "%s: %s", procs, strerror(errno));
    }
    return 0;
}

int cgroup_join(const struct cgroups *cg, const char *attempt, struct error *err)
{
    vec_foreach(&cg->hierarchies, root) {
        _cleanup_free_ char *procs = xasprintf("%s/" GROUP "/%s/cgroup.procs", *root, attempt);
        _cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue; /* crun made none here */
        if (fd < 0 || write(fd, "0", 1) < 0)
            return error_set(err, -errno, "joining the job's control group: %s", strerror(errno));
    }
    return 0;
}

static bool set_throttle(const char *group, const char *device)
{
    _cleanup_free_ char *path = xasprintf("%s/blkio.throttle.write_bps_device", group);
    _cleanup_free_ char *rule = xasprintf("%s %lld", device, 1LL << 40);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write_full(fd, rule, strlen(rule)) >= 0;
}

/* Newer kernels count bytes in version 1 only on disks that some rule is about: this one limits
 * nothing (1 TiB/s). Rules are about whole disks, not partitions. */
void cgroups_count_io(const struct cgroups *cg, dev_t device)
{
    _cleanup_text_ struct text whole = { 0 };

    if (cg->unified || !cg->roots[CGROUP_IO])
        return;
    _cleanup_free_ char *group = xasprintf("%s/" GROUP, cg->roots[CGROUP_IO]);
    _cleanup_free_ char *own = xasprintf("%u:%u", major(device), minor(device));
    _cleanup_free_ char *parent = xasprintf("/sys/dev/block/%s/../dev", own);
    if (set_throttle(group, own) || file_read(AT_FDCWD, parent, 64, &whole, NULL) < 0)
        return;
    whole.data[strcspn(whole.data, "\n")] = '\0';
    (void) set_throttle(group, whole.data);
}

static int open_own(const struct cgroups *cg, enum cgroup_controller controller,
                    const char *attempt, const char *file)
{
    _cleanup_free_ char *path =
        xasprintf("%s/" GROUP "/%s/%s", cg->roots[controller], attempt, file);

    return open(path, O_RDONLY | O_CLOEXEC);
}

char *cgroup_read(const struct cgroups *cg, enum cgroup_controller controller, const char *attempt,
                  const char *v1, const char *v2)
{
    const char *file = cg->unified ? v2 : v1;
    _cleanup_free_ char *text = xcalloc(1, GROUP_FILE_MAX);

    if (!cg->roots[controller] || !file)
        return NULL;
    _cleanup_close_ int fd = cg->step[controller] ? cgroup_step_open(cg, controller, file)
                                                  : open_own(cg, controller, attempt, file);
    ssize_t n = fd < 0 ? -1 : read(fd, text, GROUP_FILE_MAX - 1);
    if (n < 0)
        return NULL;
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    return take_ptr(text);
}

static void kill_in(const char *group)
{
    _cleanup_text_ struct text procs = { 0 };
    _cleanup_free_ char *path = xasprintf("%s/cgroup.procs", group);
    char *save = NULL;

    if (file_read(AT_FDCWD, path, 16 << 20, &procs, NULL) < 0 || !procs.len)
        return;
    for (char *line = strtok_r(procs.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        long long pid = 0;
        if (str_to_i64(line, 2, INT32_MAX, &pid) >= 0)
            (void) kill((pid_t) pid, SIGKILL);
    }
}

void cgroup_kill(const struct cgroups *cg, const char *attempt)
{
    vec_foreach(&cg->hierarchies, root) {
        _cleanup_free_ char *group = xasprintf("%s/" GROUP "/%s", *root, attempt);
        kill_in(group);
    }
}

/* Groups that the container made below its own go first. */
static int remove_group(const char *path, unsigned depth)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    DIR *dir = depth < 16 ? opendir(path) : NULL;
    if (!dir)
        return -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        _cleanup_free_ char *child = xasprintf("%s/%s", path, e->d_name);
        (void) remove_group(child, depth + 1);
    }
    closedir(dir);
    return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct cgroups *cg, const char *attempt)
{
    int result = 0;

    vec_foreach(&cg->hierarchies, root) {
        _cleanup_free_ char *group = xasprintf("%s/" GROUP "/%s", *root, attempt);
        int r = remove_group(group, 0);
        /* A killed process leaves its group a moment after its parent has seen its end. */
        for (int i = 0; r == -EBUSY && i < 200; i++) {
            kill_in(group);
            (void) nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
            r = remove_group(group, 0);
        }
        if (r < 0)
            result = r;
    }
    return result;
}

/* The number behind "KEY " at the start of a line. */
static uint64_t keyed(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (strncmp(p, key, len) == 0 && p[len] == ' ')
            return strtoull(p + len + 1, NULL, 10);
    return 0;
}

uint64_t cgroup_oom_kills(const struct cgroups *cg, const char *attempt)
{
    _cleanup_free_ char *text =
        cgroup_read(cg, CGROUP_MEMORY, attempt, "memory.oom_control", "memory.events");

    uint64_t kills = text ? keyed(text, "oom_kill") : 0;
    return kills > cg->before.oom_kills ? kills - cg->before.oom_kills : 0;
}

/* Negative: nobody counts it. */
static double cpu_seconds(const struct cgroups *cg, const char *attempt)
{
    _cleanup_free_ char *text = cgroup_read(cg, cg->unified ? CGROUP_CPU : CGROUP_CPUACCT, attempt,
                                            "cpuacct.usage", "cpu.stat");

    if (!text)
        return -1;
    return cg->unified ? (double) keyed(text, "usage_usec") / 1e6
                       : (double) strtoull(text, NULL, 10) / 1e9;
}

/* Does the group list PID? The kernel decides where a process is, not a name. */
static bool has_process(const char *procs, pid_t pid)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_free_ char *wanted = xasprintf("\n%d\n", (int) pid);

    if (file_read(AT_FDCWD, procs, 1 << 20, &text, NULL) < 0)
        return false;
    _cleanup_free_ char *all = xasprintf("\n%s", text_str(&text));
    return strstr(all, wanted) != NULL;
}

static int open_groups(const struct cgroups *cg, const char *path, pid_t pid,
                       struct step_groups *ret)
{
    vec_foreach(&cg->hierarchies, root) {
        _cleanup_free_ char *procs = xasprintf("%s%s/cgroup.procs", *root, path);
        if (!has_process(procs, pid))
            continue;
        int fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        vec_push(&ret->procs, fd);
    }
    return 0;
}

int step_groups_open(const struct cgroups *cg, pid_t pid, uid_t owner, struct step_groups *ret,
                     struct error *err)
{
    _cleanup_free_ char *process = xasprintf("/proc/%d", (int) pid);
    _cleanup_free_ char *path = xasprintf("%s/cgroup", process);
    _cleanup_text_ struct text text = { 0 };
    struct stat st;
    char *save = NULL;

    int r = file_read(AT_FDCWD, path, 65536, &text, err);
    if (r < 0)
        return r;
    if (stat(process, &st) < 0 || (st.st_uid != owner && st.st_uid != 0))
        return error_set(err, -EPERM, "process %d is not this account's", (int) pid);
    ret->membership = xstrdup(text_str(&text));
    for (char *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line && r >= 0;
         line = strtok_r(NULL, "\n", &save)) {
        const char *group = strrchr(line, ':');
        if (group && strstr(group, "/job_"))
            r = open_groups(cg, group + 1, pid, ret);
    }
    return r < 0 ? error_set(err, r, "the step's control groups: %s", strerror(-r)) : 0;
}

int step_groups_enter(const struct step_groups *groups, struct cgroups *cg, struct error *err)
{
    vec_foreach(&groups->procs, fd) {
        int r = write_full(*fd, "0", 1);
        if (r < 0)
            return error_set(err, r, "entering the step's control groups: %s", strerror(-r));
    }
    cgroups_parse_step(groups->membership, cg);
    cgroup_step_begin(cg);
    return cg->step[CGROUP_MEMORY] || cg->step[CGROUP_CPUSET];
}

void step_groups_done(struct step_groups *groups)
{
    vec_foreach(&groups->procs, fd)
        safe_close(*fd);
    vec_done(&groups->procs);
    free(groups->membership);
}

/* The smallest along the way up: batch systems set it on the job, and let its steps below use it all. */
int64_t cgroup_step_memory(const struct cgroups *cg)
{
    const char *root = cg->roots[CGROUP_MEMORY];
    _cleanup_free_ char *group = xstrdup(cg->step[CGROUP_MEMORY]);
    int64_t least = -1;

    for (; root && group && *group; *strrchr(group, '/') = '\0') {
        _cleanup_text_ struct text text = { 0 };
        _cleanup_free_ char *path =
            xasprintf("%s%s/%s", root, group, cg->unified ? "memory.max" : "memory.limit_in_bytes");
        if (file_read(AT_FDCWD, path, 64, &text, NULL) < 0 || !isdigit(*text_str(&text)))
            continue;
        unsigned long long n = strtoull(text_str(&text), NULL, 10);
        if (n < INT64_MAX / 2 && (least < 0 || (int64_t) n < least))
            least = (int64_t) n;
    }
    return least;
}

static uint64_t memory_peak(const struct cgroups *cg, const char *attempt)
{
    _cleanup_free_ char *peak =
        cgroup_read(cg, CGROUP_MEMORY, attempt, "memory.max_usage_in_bytes", "memory.peak");

    return peak ? strtoull(peak, NULL, 10) : 0;
}

void cgroup_step_begin(struct cgroups *cg)
{
    if (cg->step[CGROUP_MEMORY]) {
        cg->before.oom_kills = cgroup_oom_kills(cg, NULL);
        cg->before.memory_peak = memory_peak(cg, NULL);
    }
    if (cg->step[cg->unified ? CGROUP_CPU : CGROUP_CPUACCT])
        cg->before.cpu_s = cpu_seconds(cg, NULL);
}

static double seconds(const struct timeval *time)
{
    return (double) time->tv_sec + (double) time->tv_usec / 1e6;
}

void cgroup_usage(const struct cgroups *cg, const char *attempt, json_t *usage)
{
    uint64_t peak = memory_peak(cg, attempt);
    double cpu = cpu_seconds(cg, attempt);
    struct rusage children = { 0 };

    (void) getrusage(RUSAGE_CHILDREN, &children);
    if (cpu < 0)
        cpu = seconds(&children.ru_utime) + seconds(&children.ru_stime);
    else
        cpu -= cg->before.cpu_s;
    if (!peak)
        peak = (uint64_t) children.ru_maxrss * 1024;
    json_put(usage, "cpu_seconds", json_real(cpu));
    if (peak > cg->before.memory_peak)
        json_put_int(usage, "memory_peak_bytes", (int64_t) peak);
}
