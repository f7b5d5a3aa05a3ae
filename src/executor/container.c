/* container.c - crun, called by the supervisor alone, and what the kernel says afterwards */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool kernel_has_pages(enum huge_page size)
{
    _cleanup_free_ char *path = xasprintf("/sys/kernel/mm/hugepages/hugepages-%lldkB",
                                          (long long) huge_page_bytes(size) / 1024);

    return faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

static int write_config(struct supervisor *s, const struct container_step *step, bool compiled,
                        struct error *err)
{
    const struct cdi_edits *edits = devices_are_wanted(s->spec) ? &s->edits : NULL;
    _cleanup_free_ char *rootfs = xasprintf("%s/rootfs", s->x->bundle);
    _cleanup_free_ char *config = xasprintf("%s/config.json", s->x->bundle);
    _cleanup_free_ char *cgroup = xasprintf("/berth/%s", s->name);
    _cleanup_free_ char *netns =
        s->launch->netns < 0 ? NULL : xasprintf("/proc/1/fd/%d", s->launch->netns);
    struct rlimit files = { 0 };
    struct rlimit memlock = { 0 };
    (void) getrlimit(RLIMIT_NOFILE, &files);
    (void) getrlimit(RLIMIT_MEMLOCK, &memlock);
    const struct cgroups *groups = &s->x->cgroups;
    struct bundle_facts facts = {
        .rootfs = rootfs,
        .cgroup = s->x->mode->own_groups ? cgroup : NULL,
        .hostname = s->hostname,
        .netns = netns,
        .own_ids = s->x->mode->own_ids,
        .env = s->env,
        .command = (char *const *) (uintptr_t) (step ? step->command : s->command),
        .user = step && step->is_root ? NULL : &s->user,
        .seccomp = compiled ? s->x->seccomp : NULL,
        .nofile_hard = files.rlim_max,
        .edits = step ? step->edits : edits,
        .memlock_hard = memlock.rlim_max,
        .unified = groups->unified,
    };
    for (int size = 0; size < HUGE_PAGE_MAX; size++)
        facts.limits_pages[size] = cgroups_has(groups, CGROUP_HUGETLB) && kernel_has_pages(size);
    _cleanup_json_ json_t *json = bundle_config(s->spec, s->image, &facts);
    json_decref(s->process);
    s->process = json_incref(json_object_get(json, "process"));
    _cleanup_free_ char *text = json_text(json);
    _cleanup_close_ int fd = open(config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_full(fd, text, strlen(text));
    explicit_bzero(text, strlen(text));
    return r < 0 ? error_set(err, r, "%s: %s", config, strerror(-r)) : 0;
}

/* The last line that crun logged: time="…" level=error msg="…" */
static int crun_failed(struct supervisor *s, int code, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/crun.log", s->x->bundle);
    _cleanup_text_ struct text log = { 0 };

    if (file_read(AT_FDCWD, path, 65536, &log, NULL) < 0 || !log.len)
        return error_set(err, -EIO, "crun ended with code %d and no message", code);
    while (log.len && log.data[log.len - 1] == '\n')
        log.data[--log.len] = '\0';
    const char *last = strrchr(log.data, '\n');
    last = last ? last + 1 : log.data;
    const char *words = strstr(last, "Z: "); /* a time goes before */
    return error_set(err, -EIO, "crun: %s", words ? words + 3 : last);
}

static int read_pid(struct supervisor *s, pid_t *ret, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/pid", s->x->bundle);
    _cleanup_text_ struct text text = { 0 };
    long long pid = 0;

    int r = file_read(AT_FDCWD, path, 32, &text, err);
    if (r < 0)
        return r;
    if (str_to_i64(text_str(&text), 2, INT32_MAX, &pid) < 0)
        return error_set(err, -EBADMSG, "crun wrote '%s' as the container's pid", text.data);
    *ret = (pid_t) pid;
    return 0;
}

static int call_crun(struct supervisor *s, const char *const *words, bool is_silent,
                     struct error *err)
{
    _cleanup_free_ char *root = xasprintf("--root=%s", s->crun_root);
    _cleanup_free_ char *log = xasprintf("--log=%s/crun.log", s->x->bundle);
    const char *argv[12] = { "crun", root,
                             s->x->mode->own_groups ? "--cgroup-manager=cgroupfs"
                                                    : "--cgroup-manager=disabled",
                             log };
    _cleanup_close_ int input = process_empty_input();
    _cleanup_close_ int unheard = is_silent ? memfd_create("unheard", MFD_CLOEXEC) : -1;
    int ends[2] = { unheard, unheard };
    if (input < 0 || (is_silent && unheard < 0))
        return error_set(err, -errno, "standard input and output for the container: %s",
                         strerror(errno));
    if (!is_silent)
        pump_ends(s->pump, ends);
    struct process_options options = {
        .argv = argv,
        .program_fd = s->x->crun.fd,
        .stdin_fd = input,
        .stdout_fd = ends[0],
        .stderr_fd = ends[1],
    };
    struct process crun = { .pidfd = -1 };

    for (size_t i = 0; words[i]; i++)
        argv[4 + i] = words[i];
    int r = process_start(&options, &crun, err);
    if (r < 0)
        return r;
    int code = process_wait(&crun);
    return code == 0 ? 0 : crun_failed(s, code < 0 ? 255 : code, err);
}

/* In one go, or in two where there is something to look at before the command can touch it. */
static int run_crun(struct supervisor *s, const struct container_step *step, struct error *err)
{
    _cleanup_free_ char *bundle = xasprintf("--bundle=%s", s->x->bundle);
    _cleanup_free_ char *pid_file = xasprintf("--pid-file=%s/pid", s->x->bundle);
    const char *const run[] = { "run", "--detach", pid_file, bundle, s->name, NULL };
    const char *const create[] = { "create", pid_file, bundle, s->name, NULL };
    const char *const start[] = { "start", s->name, NULL };
    bool is_looked_at = !step && devices_are_wanted(s->spec);

    int r = call_crun(s, is_looked_at ? create : run, step && step->is_silent, err);
    if (r >= 0)
        r = read_pid(s, &s->container.pid, err);
    if (r < 0 || !is_looked_at)
        return r;
    json_decref(s->devices);
    s->devices = devices_read(s);
    return call_crun(s, start, true, err);
}

/* STEP NULL: the job's command. */
static int start_command(struct supervisor *s, const struct container_step *step, bool compiled,
                         struct error *err)
{
    _cleanup_free_ char *config = xasprintf("%s/config.json", s->x->bundle);

    int r = write_config(s, step, compiled, err);
    if (r >= 0)
        r = run_crun(s, step, err);
    /* It held secrets. */
    (void) unlink(config);
    if (s->spec->has_secrets)
        (void) remove_tree(AT_FDCWD, s->crun_root, NULL); /* crun's copy */
    if (r < 0)
        return r;
    s->container.pidfd = pidfd_open_pid(s->container.pid);
    return s->container.pidfd < 0
               ? error_set(err, s->container.pidfd, "the container's process is not there")
               : 0;
}

/* The value behind "KEY:\t" in /proc/PID/status; owned by the caller. */
static char *status_field(const char *status, const char *key)
{
    _cleanup_free_ char *head = xasprintf("\n%s:", key);
    const char *p = strstr(status, head);
    if (!p)
        return NULL;
    p += strlen(head);
    p += strspn(p, " \t");
    return xstrndup(p, strcspn(p, "\n"));
}

static char *read_status(const struct supervisor *s)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_free_ char *path = xasprintf("/proc/%d/status", (int) s->container.pid);

    (void) file_read(AT_FDCWD, path, 65536, &text, NULL);
    return text_take(&text);
}

/* crun returns when it has told the first process to go on, which sets the filter and then becomes the
 * command. One that has ended already cannot be asked. */
static int await_filter(const struct supervisor *s, struct error *err)
{
    for (int i = 0; i < 1000; i++) {
        _cleanup_free_ char *status = read_status(s);
        _cleanup_free_ char *mode = status_field(status, "Seccomp");
        _cleanup_free_ char *state = status_field(status, "State");
        if (!mode || !state || *state == 'Z' || *state == 'X' || str_equal(mode, "2"))
            return 0;
        (void) nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    }
    return error_set(err, -EPERM, "the kernel shows no system call filter for the container");
}

static bool takes_compiled(const struct supervisor *s)
{
    return s->x->seccomp && s->x->crun.takes_filter && *s->x->crun.takes_filter;
}

/* Its process has ended: its state and groups make room for the next. */
static void make_room(struct supervisor *s)
{
    s->container.pidfd = safe_close(s->container.pidfd);
    s->container.pid = 0;
    (void) remove_tree(AT_FDCWD, s->crun_root, NULL);
    if (s->x->mode->own_groups)
        (void) cgroup_remove(&s->x->cgroups, s->name);
    (void) mkdir(s->crun_root, 0711);
}

static void undo_start(struct supervisor *s)
{
    (void) pidfd_signal(s->container.pidfd, SIGKILL);
    while (waitpid(s->container.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    make_room(s);
}

static int start_filtered(struct supervisor *s, bool compiled, struct error *err)
{
    int r = start_command(s, NULL, compiled, err);
    if (r < 0)
        return r;
    s->started_us = clock_now_us();
    s->started_boot_us = clock_boot_us();
    return await_filter(s, err);
}

int container_start(struct supervisor *s, struct error *err)
{
    bool compiled = takes_compiled(s);
    int r = start_filtered(s, compiled, err);

    /* This crun does not do what it says that it can. What ran without a filter is ended at once and is
     * begun again with the plain profile, as is everything after it. */
    if (r == -EPERM && compiled && s->container.pid > 0) {
        *s->x->crun.takes_filter = false;
        undo_start(s);
        r = start_filtered(s, false, err);
    }
    return r;
}

int container_run(struct supervisor *s, const struct container_step *step, struct error *err)
{
    int r = start_command(s, step, takes_compiled(s), err);
    if (r < 0)
        return r;
    /* Whoever wants to stop the attempt is heard meanwhile. */
    s->in_step = true;
    (void) loop_run(s->loop);
    s->in_step = false;
    make_room(s);
    if (s->cause != END_NONE)
        return error_set(err, -ECANCELED, "stopped before the command began");
    return WIFEXITED(s->status) ? WEXITSTATUS(s->status) : 128 + WTERMSIG(s->status);
}

static void put_read(json_t *json, const char *key, char *value)
{
    json_put_str(json, key, value);
    free(value);
}

static void put_number(json_t *json, const char *key, char *value)
{
    long long n = 0;

    if (value && str_to_i64(value, 0, INT64_MAX, &n) >= 0)
        json_put_int(json, key, n);
    free(value);
}

/* What the attempt's groups allow. */
static void put_groups(struct supervisor *s, json_t *json)
{
    const struct cgroups *cg = &s->x->cgroups;
    _cleanup_free_ char *cgroup = xasprintf("/berth/%s", s->name);

    put_read(json, "cpus",
             cgroup_read(cg, CGROUP_CPUSET, s->name, "cpuset.cpus", "cpuset.cpus.effective"));
    put_read(json, "mems",
             cgroup_read(cg, CGROUP_CPUSET, s->name, "cpuset.mems", "cpuset.mems.effective"));
    put_number(json, "memory_bytes",
               cgroup_read(cg, CGROUP_MEMORY, s->name, "memory.limit_in_bytes", "memory.max"));
    put_number(json, "pids", cgroup_read(cg, CGROUP_PIDS, s->name, "pids.max", "pids.max"));
    json_put_str(json, "cgroup", cgroup);
}

/* What the step allows; the groups of a step may be few or none. */
static void put_step(struct supervisor *s, const char *status, json_t *json)
{
    const struct cgroups *cg = &s->x->cgroups;
    int64_t memory = cgroup_step_memory(cg);

    json_put_str(json, "mode", s->x->mode->name);
    put_read(json, "cpus", status_field(status, "Cpus_allowed_list"));
    put_read(json, "mems", status_field(status, "Mems_allowed_list"));
    if (memory >= 0)
        json_put_int(json, "memory_bytes", memory);
    json_put_str(json, "cgroup", cg->step[CGROUP_MEMORY]);
    json_t *gpus = json_array();
    for (char **gpu = s->spec->allocation->gpus; gpu && *gpu; gpu++)
        (void) json_array_append_new(gpus, json_string(*gpu));
    json_put(json, "gpus", gpus);
}

json_t *container_evidence(struct supervisor *s)
{
    _cleanup_free_ char *status = read_status(s);
    char digest[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    if (s->x->mode->own_groups)
        put_groups(s, json);
    else
        put_step(s, status, json);
    json_put_int(json, "uid_base", s->spec->uid_base);
    json_put_int(json, "init_pid", s->container.pid);
    json_put_int(json, "started_boot_us", s->started_boot_us);
    put_number(json, "seccomp", status_field(status, "Seccomp"));
    put_number(json, "no_new_privileges", status_field(status, "NoNewPrivs"));
    json_put_str(json, "image_digest", sha256_format(&s->image->digest, digest));
    json_put_str(json, "git_commit", s->git_commit);
    if (s->launch->net.address[0])
        json_put_str(json, "address", s->launch->net.address);
    if (s->devices)
        (void) json_object_update(json, s->devices);
    if (s->storage_speed)
        json_put(json, "storage", json_incref(s->storage_speed));
    if (s->relays)
        json_put(json, "ports", relays_json(s->relays));
    return json;
}

static bool has_default_action(const struct supervisor *s, int signo)
{
    _cleanup_free_ char *status = read_status(s);
    _cleanup_free_ char *caught = status_field(status, "SigCgt");
    _cleanup_free_ char *ignored = status_field(status, "SigIgn");
    uint64_t bit = UINT64_C(1) << (signo - 1);

    return caught && ignored && !(strtoull(caught, NULL, 16) & bit) &&
           !(strtoull(ignored, NULL, 16) & bit);
}

static bool ends_by_default(int signo)
{
    static const int gentle[] = { SIGCHLD, SIGURG,  SIGWINCH, SIGCONT,
                                  SIGSTOP, SIGTSTP, SIGTTIN,  SIGTTOU };

    for (size_t i = 0; i < sizeof gentle / sizeof *gentle; i++)
        if (gentle[i] == signo)
            return false;
    return true;
}

void container_signal(struct supervisor *s, int signo)
{
    if (s->ended || s->container.pidfd < 0 || signo < 1 || signo > 64)
        return;
    if (signo != SIGKILL && ends_by_default(signo) && has_default_action(s, signo)) {
        s->emulated_signal = signo;
        signo = SIGKILL;
    }
    (void) pidfd_signal(s->container.pidfd, signo);
}
