/* finish.c - the end of an attempt: what it left is collected or removed, then exit.json says how */
#include "executor/internal.h"
#include "executor/session.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- disk ---------------------------------------------------------------------------------------- */

#define SAMPLE_US INT64_C(2000000)

/* Bytes on disk below FD (closed here), without following links or crossing mounts. */
static int64_t usage_below(int fd, int64_t limit)
{
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int64_t total = 0;

    if (!dir) {
        safe_close(fd);
        return 0;
    }
    for (struct dirent *e; total <= limit && (e = readdir(dir));) {
        struct stat st;
        if (str_equal(e->d_name, ".") || str_equal(e->d_name, "..") ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        total += st.st_blocks * 512;
        if (S_ISDIR(st.st_mode))
            total += usage_below(openat(dirfd(dir), e->d_name,
                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                                 limit - total);
    }
    closedir(dir);
    return total;
}

static void on_sample(void *userdata)
{
    struct supervisor *s = userdata;
    int64_t limit = s->spec->allocation->disk_bytes, begun = clock_boot_us();
    int own = openat(s->x->running_fd, s->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int artifacts = openat(s->artifacts, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    int64_t used = pump_log_bytes(s->pump);
    used += usage_below(own, limit - used);
    used += usage_below(artifacts, limit - used);
    control_set_disk(s->control, used);
    if (used > limit) {
        char text[32];
        if (!s->reason)
            s->reason =
                xasprintf("the job used more than its disk limit of %s", bytes_to_str(limit, text));
        supervisor_stop(s, END_DISK_LIMIT, 0);
    }
    /* Large trees are looked at less often. */
    int64_t took = (clock_boot_us() - begun) * 20;
    timer_set(s->disk_timer, took > SAMPLE_US ? took : SAMPLE_US);
}

void supervisor_watch_disk(struct supervisor *s)
{
    if (s->spec->allocation->disk_bytes > 0)
        s->disk_timer = loop_timer(s->loop, SAMPLE_US, on_sample, s);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void judge_status(struct supervisor *s, struct task_exit *ex)
{
    if (WIFEXITED(s->status)) {
        ex->cause = END_EXITED;
        ex->exit_code = WEXITSTATUS(s->status);
        return;
    }
    int signo = WTERMSIG(s->status);
    if (signo == SIGKILL && s->emulated_signal)
        signo = s->emulated_signal;
    ex->cause = END_SIGNALED;
    ex->exit_code = 128 + signo;
}

static void judge(struct supervisor *s, const struct error *failed, struct task_exit *ex)
{
    ex->exit_code = -1;
    if (s->ended)
        judge_status(s, ex);
    bool stopped = failed && failed->code == -ECANCELED && s->cause != END_NONE;
    if (failed && !stopped) {
        ex->cause = END_START_FAILED;
        xstr_set(&ex->reason, failed->text);
    } else if (s->cause != END_NONE) {
        ex->cause = s->cause;
    } else if (ex->exit_code != 0 && cgroup_oom_kills(&s->x->cgroups, s->name) > 0) {
        char text[32];
        ex->cause = END_OUT_OF_MEMORY;
        ex->reason = xasprintf("the job needed more than its memory of %s",
                               bytes_to_str(s->spec->allocation->memory_bytes, text));
    }
    if (!ex->reason)
        ex->reason = xstrdup(s->reason);
}

static void hint(struct supervisor *s, struct task_exit *ex)
{
    struct network_failures failures = { 0 };
    enum network_policy policy = NETWORK_EGRESS;

    if (ex->exit_code <= 0 || network_policy_parse(s->spec->network, &policy) < 0 ||
        s->launch->netns < 0 || setns(s->launch->netns, CLONE_NEWNET) < 0)
        return;
    _cleanup_text_ struct text snmp = { 0 };
    if (file_read(AT_FDCWD, "/proc/thread-self/net/snmp", 65536, &snmp, NULL) >= 0)
        (void) network_parse_failures(text_str(&snmp), snmp.len, &failures);
    (void) setns(s->own_netns, CLONE_NEWNET);
    if (policy == NETWORK_NONE && failures.no_route)
        ex->hint = xstrdup("the job could not reach the network: its setting is 'network: none'; "
                           "ask for 'network: egress' if the operator allows it");
    else if (policy == NETWORK_EGRESS && failures.unreachable && !s->launch->net.has_way_out)
        ex->hint = xstrdup("the job could not reach the network: this machine has no way out");
}

static bool is_empty(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    unsigned n = 0;

    if (!dir) {
        safe_close(fd);
        return false;
    }
    while (n < 3 && readdir(dir))
        n++;
    closedir(dir);
    return n < 3;
}

/* Before the first blob is written: so that it is not removed as one that nobody knows. */
static int announce(struct supervisor *s, struct error *err)
{
    _cleanup_close_ int fd = openat(s->dir, "collecting", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    return fd < 0 ? error_set(err, -errno, "collecting: %s", strerror(errno)) : 0;
}

static int store_manifest(struct supervisor *s, const struct manifest *manifest, struct sha256 *ret,
                          struct error *err)
{
    _cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
    size_t len = 0;
    _cleanup_free_ char *text = manifest_format(manifest, &len);

    int r = blob_writer_new(s->blobs, &writer, err);
    if (r >= 0)
        r = blob_writer_add(writer, text, len, err);
    return r < 0 ? r : blob_writer_end(writer, NULL, true, ret, NULL, err);
}

static void collect(struct supervisor *s, struct task_exit *ex)
{
    _cleanup_(manifest_freep) struct manifest *manifest = NULL;
    struct error err = { 0 };
    struct sha256 sum;
    size_t skipped = 0;
    char hex[SHA256_HEX_LEN + 1];

    if (s->artifacts < 0)
        return;
    int r = is_empty(s->artifacts) ? 0 : announce(s, &err);
    if (r >= 0)
        r = blob_collect(s->blobs, s->artifacts, INT64_MAX, &manifest, &skipped, &err);
    if (r >= 0 && manifest->n == 0 && !skipped && !s->spec->workload_spec->n_outputs)
        return;
    if (r >= 0)
        r = store_manifest(s, manifest, &sum, &err);
    ex->artifacts = json_object();
    if (r < 0) {
        json_put_str(ex->artifacts, "error", err.text);
        return;
    }
    json_put_int(ex->artifacts, "count", (int64_t) manifest->n);
    json_put_int(ex->artifacts, "bytes", manifest->size_bytes);
    json_put_str(ex->artifacts, "manifest", sha256_format(&sum, hex));
    if (skipped)
        json_put_int(ex->artifacts, "skipped", (int64_t) skipped);
    if (ex->cause == END_EXITED && ex->exit_code == 0 &&
        datasets_collect(s, manifest, ex->artifacts, &err) < 0 && !ex->reason)
        ex->reason = xstrdup(err.text);
}

/* Never without an end: a container that the supervisor could not start as a whole goes too. */
static void end_container(struct supervisor *s)
{
    if (s->container.pid <= 0 || s->ended)
        return;
    (void) pidfd_signal(s->container.pidfd, SIGKILL);
    /* The kernel keeps the first process until those of sessions are reaped. */
    pid_t pid;
    do
        pid = waitpid(-1, &s->status, 0);
    while ((pid > 0 && pid != s->container.pid) || (pid < 0 && errno == EINTR));
    s->ended = pid == s->container.pid;
}

/* Whole or not there for everybody while the machine is up; returns the file, -1 on failure. */
static int write_exit(struct supervisor *s, struct task_exit *ex)
{
    _cleanup_json_ json_t *json = task_exit_to_json(ex);
    _cleanup_free_ char *text = json_text(json);
    static const char temporary[] = "exit.json.tmp";
    (void) unlinkat(s->dir, temporary, 0);
    _cleanup_close_ int fd =
        openat(s->dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 || write_full(fd, text, strlen(text)) < 0 ||
        renameat(s->dir, temporary, s->dir, "exit.json") < 0)
        return -1;
    return take_fd(&fd);
}

static void measure(struct supervisor *s, struct task_exit *ex)
{
    ex->usage = json_object();
    cgroup_usage(&s->x->cgroups, s->name, ex->usage);
    if (s->pump)
        pump_usage(s->pump, ex->usage);
    if (s->started_boot_us)
        json_put(ex->usage, "duration_seconds",
                 json_real((double) (clock_boot_us() - s->started_boot_us) / 1e6));
}

void supervisor_finish(struct supervisor *s, const struct error *failed)
{
    struct task_exit ex = { .epoch = s->launch->request.epoch };

    end_container(s);
    sessions_free(s->sessions);
    if (s->pump)
        pump_finish(s->pump);
    relays_free(s->relays);
    s->relays = NULL;
    judge(s, failed, &ex);
    ex.started_us = s->started_us;
    ex.ended_us = clock_now_us();
    measure(s, &ex);
    if (s->spec) {
        hint(s, &ex);
        if (gang_leave(s)) {
            collect(s, &ex);
            results_drop(s, ex.artifacts);
        }
        if (s->spec->push)
            (void) announce(s, NULL);
        storage_collect(s, &ex);
    }

    if (s->x->mode->own_groups)
        (void) cgroup_remove(&s->x->cgroups, s->name);
    _cleanup_close_ int file = write_exit(s, &ex);
    if (s->control)
        control_send(s->control, "exit");
    /* Nobody waits for the disk: the server commits the end that it was told. For an end that no server
     * hears of, before a power loss. What is not whole after one reads as lost, which it may be. */
    if (file >= 0)
        (void) fdatasync(file);
    /* The hardware is free; its files may take a while. What a kill leaves here is swept. */
    rootfs_remove(s);
}

void supervisor_leave(struct supervisor *s)
{
    end_container(s);
    rootfs_remove(s);
    _exit(0);
}
