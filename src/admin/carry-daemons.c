/* carry-daemons.c - munge, slurmctld, slurmd and the launcher run on this machine, with what they read now
 *
 * By systemd where it runs; where it does not (containers), they are started and ended directly.
 */
#include "admin/carry.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    OUTPUT_MAX = 1 << 16,
    START_MS = 90 * 1000,
    END_TRIES = 1500,
    STAY_TRIES = 50,
    TRY_US = 10000
};

struct daemon {
    const char *unit, *name, *program;
    const char *pid_file, *log;
    const char *owner;   /* of its directories */
    const char *dirs[4]; /* that it writes to */
    const char *reads[6];
};

static const struct daemon munge = {
    .unit = "munge.service",
    .name = "munged",
    .program = "/usr/sbin/munged",
    .pid_file = "/run/munge/munged.pid",
    .log = "/var/log/munge/munged.log",
    .owner = "munge",
    .dirs = { "/run/munge", "/var/lib/munge", "/var/log/munge" },
    .reads = { "/etc/munge/munge.key" },
};
static const struct daemon slurmctld = {
    .unit = "slurmctld.service",
    .name = "slurmctld",
    .program = "/usr/sbin/slurmctld",
    .pid_file = "/run/slurmctld.pid",
    .log = "/var/log/slurm/slurmctld.log",
    .owner = "slurm",
    .dirs = { "/var/lib/slurm", "/var/lib/slurm/slurmctld", "/var/log/slurm" },
    .reads = { "/etc/munge/munge.key", "/etc/slurm/slurm.conf", "/etc/slurm/gres.conf",
               "/etc/slurm/cgroup.conf", "/etc/slurm/topology.conf" },
};
static const struct daemon slurmd = {
    .unit = "slurmd.service",
    .name = "slurmd",
    .program = "/usr/sbin/slurmd",
    .pid_file = "/run/slurmd.pid",
    .log = "/var/log/slurm/slurmd.log",
    .owner = "slurm",
    .dirs = { "/var/lib/slurm", "/var/lib/slurm/slurmd", "/var/log/slurm" },
    .reads = { "/etc/munge/munge.key", "/etc/slurm/slurm.conf", "/etc/slurm/gres.conf",
               "/etc/slurm/cgroup.conf", "/etc/slurm/topology.conf", "/etc/default/slurmd" },
};

static bool has_systemd(void) { return access("/run/systemd/system", F_OK) == 0; }

/* ---- is it there? --------------------------------------------------------------------------------------------- */

/* "PID (NAME) STATE ...", proc(5). One that nobody has reaped does not run. */
static bool is_named(pid_t pid, const char *name)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/stat", pid),
                        *begin = xasprintf("%d (%s) ", pid, name);
    _cleanup_text_ struct text stat = { 0 };

    if (pid <= 1 || file_read(AT_FDCWD, path, 4096, &stat, NULL) < 0 ||
        !str_starts(stat.data, begin))
        return false;
    return !strchr("ZX", stat.data[strlen(begin)]);
}

/* 0: it does not run. */
static pid_t pid_of(const struct daemon *d)
{
    const char *const show[] = {
        "systemctl", "show", "--property=MainPID", "--value", d->unit, NULL
    };
    _cleanup_text_ struct text out = { 0 };

    if (has_systemd())
        (void) process_run(show, OUTPUT_MAX, START_MS, &out, NULL, NULL);
    else
        (void) file_read(AT_FDCWD, d->pid_file, 64, &out, NULL);
    pid_t pid = (pid_t) strtol(text_str(&out), NULL, 10);
    return is_named(pid, d->name) ? pid : 0;
}

/* When the process began, in seconds of the wall clock. */
static double began(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/stat", pid);
    _cleanup_text_ struct text stat = { 0 };
    struct timespec boot, now;
    unsigned long long ticks = 0;

    const char *p =
        file_read(AT_FDCWD, path, 4096, &stat, NULL) >= 0 ? strrchr(stat.data, ')') : NULL;
    /* proc(5): starttime is the 22nd, the 20th behind the name. */
    for (int i = 0; p && i < 20; i++)
        p = strchr(p + 1, ' ');
    if (p)
        ticks = strtoull(p, NULL, 10);
    (void) clock_gettime(CLOCK_BOOTTIME, &boot);
    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (double) now.tv_sec - (double) boot.tv_sec +
           (double) (now.tv_nsec - boot.tv_nsec) / 1e9 +
           (double) ticks / (double) sysconf(_SC_CLK_TCK);
}

/* Did something that it reads change since it began? A tick is 10 ms. */
static bool is_stale(const struct daemon *d, pid_t pid)
{
    double since = began(pid) + 0.05;

    for (size_t i = 0; i < sizeof d->reads / sizeof *d->reads && d->reads[i]; i++) {
        struct stat st;
        if (stat(d->reads[i], &st) == 0 &&
            (double) st.st_mtim.tv_sec + (double) st.st_mtim.tv_nsec / 1e9 > since)
            return true;
    }
    return false;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

static char *last_line(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char tail[1024] = "";

    if (fd < 0)
        return xasprintf("%s: %s", path, strerror(errno));
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, sizeof tail - 1, size > 1023 ? size - 1023 : 0);
    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    const char *line = strrchr(tail, '\n');
    return xstrdup(line ? line + 1 : tail);
}

static void end(const struct daemon *d)
{
    pid_t pid = pid_of(d);

    if (!pid)
        return;
    (void) kill(pid, SIGTERM);
    for (int i = 0; i < END_TRIES && pid_of(d) == pid; i++)
        (void) usleep(TRY_US);
    if (pid_of(d) == pid)
        (void) kill(pid, SIGKILL);
}

static int make_dirs(const struct daemon *d, struct error *err)
{
    const struct passwd *owner = getpwnam(d->owner);

    if (!owner)
        return error_set(err, -ENOENT, "there is no account '%s': its package makes one", d->owner);
    for (size_t i = 0; i < sizeof d->dirs / sizeof *d->dirs && d->dirs[i]; i++) {
        if (access(d->dirs[i], F_OK) == 0)
            continue;
        int r = mkdir_all(AT_FDCWD, d->dirs[i], 0755, err);
        if (r < 0)
            return r;
        if (chown(d->dirs[i], owner->pw_uid, owner->pw_gid) < 0)
            return error_set(err, -errno, "%s: %s", d->dirs[i], strerror(errno));
    }
    return 0;
}

static int start_directly(const struct daemon *d, const char *node, struct error *err)
{
    const char *argv[] = { d->program, NULL, NULL, NULL };
    struct process process = { .pidfd = -1 };
    const struct passwd *munge_account = getpwnam("munge");

    end(d);
    if (d == &slurmd) {
        argv[1] = "-N";
        argv[2] = node;
    }
    struct process_options options = {
        .argv = argv, .cwd = "/", .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    if (d == &munge && munge_account) {
        options.uid = munge_account->pw_uid;
        options.gid = munge_account->pw_gid;
    }
    int r = process_start(&options, &process, err);
    return r < 0 ? r : process_wait(&process);
}

static int start_by_systemd(const struct daemon *d, struct error *err)
{
    const char *const enable[] = { "systemctl", "enable", "--quiet", d->unit, NULL };
    const char *const restart[] = { "systemctl", "restart", d->unit, NULL };

    (void) process_run(enable, OUTPUT_MAX, START_MS, NULL, NULL, NULL);
    return process_run(restart, OUTPUT_MAX, START_MS, NULL, NULL, err);
}

/* It runs, and still does half a second later: wrong settings end it at once. */
static bool stays(const struct daemon *d)
{
    pid_t pid = 0;

    for (int i = 0; i < STAY_TRIES && !pid; i++) {
        pid = pid_of(d);
        (void) usleep(TRY_US);
    }
    for (int i = 0; i < STAY_TRIES && pid; i++) {
        if (pid_of(d) != pid)
            return false;
        (void) usleep(TRY_US);
    }
    return pid != 0;
}

static int run(struct carry *carry, const struct daemon *d, struct found *found, struct error *err)
{
    pid_t pid = pid_of(d);

    if (pid && !is_stale(d, pid))
        return 0;
    found->changed = true;
    text_addf(&found->detail, "%s%s", found->detail.len ? " " : "", d->name);
    if (carry->order->only_looks)
        return 0;
    int r = make_dirs(d, err);
    if (r >= 0)
        r = has_systemd() ? start_by_systemd(d, err)
                          : start_directly(d, carry->order->self->name, err);
    if (r == 0 && stays(d))
        return 0;
    if (r < 0)
        return r;
    _cleanup_free_ char *line = last_line(d->log);
    return error_set(err, -EIO, "%s does not stay: %s", d->name, line);
}

/* One that was the controller before, and is not now. */
static void retire(struct carry *carry, struct found *found)
{
    static const char *const disable[] = { "systemctl", "disable", "--now", "slurmctld.service",
                                           NULL };

    if (carry->order->is_controller || !pid_of(&slurmctld))
        return;
    found->changed = true;
    text_addf(&found->detail, "%sno slurmctld", found->detail.len ? " " : "");
    if (carry->order->only_looks)
        return;
    if (has_systemd())
        (void) process_run(disable, OUTPUT_MAX, START_MS, NULL, NULL, NULL);
    else
        end(&slurmctld);
}

/* slurmd finds itself by the host's name; a node that joined under another is told which it is. */
static int name_node(struct carry *carry, struct error *err)
{
    _cleanup_free_ char *line = xasprintf("SLURMD_OPTIONS=\"-N %s\"\n", carry->order->self->name);
    _cleanup_text_ struct text here = { 0 };
    char host[256] = "";

    (void) gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    (void) file_read(AT_FDCWD, "/etc/default/slurmd", OUTPUT_MAX, &here, NULL);
    if (carry->order->only_looks || str_equal(text_str(&here), line) ||
        (str_equal(host, carry->order->self->name) && !strstr(text_str(&here), "-N ")))
        return 0;
    return file_replace(AT_FDCWD, "/etc/default/slurmd", 0644, line, strlen(line), true, err);
}

int carry_daemons(struct carry *carry, struct found *found, struct error *err)
{
    retire(carry, found);
    int r = name_node(carry, err);
    if (r >= 0)
        r = run(carry, &munge, found, err);
    if (r >= 0 && carry->order->is_controller)
        r = run(carry, &slurmctld, found, err);
    return r < 0 ? r : run(carry, &slurmd, found, err);
}

/* ---- the launcher ------------------------------------------------------------------------------------------------ */

static bool answers(const char *runtime, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _cleanup_close_ int packets = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void) snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime, name);
    return connect(fd, (struct sockaddr *) &address, sizeof address) == 0 ||
           connect(packets, (struct sockaddr *) &address, sizeof address) == 0;
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool is_empty = true;

    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && is_empty; e = readdir(dir))
        is_empty = e->d_name[0] == '.';
    if (dir)
        (void) closedir(dir);
    return is_empty;
}

/* A cloud of this machine's own, which its package starts, makes room: one that nobody uses. */
static int end_server(struct carry *carry, struct error *err)
{
    static const char *const disable[] = { "systemctl", "disable", "--now", "berth.service", NULL };
    _cleanup_free_ char *running = xasprintf("%s/running", carry->state);

    if (!answers(carry->runtime, "api.sock"))
        return 0;
    if (!is_empty(running))
        return error_set(err, -EBUSY,
                         "jobs of a cloud of this machine's own run here (berth ps): wait for them "
                         "or stop them");
    if (carry->order->only_looks)
        return 0;
    if (!has_systemd())
        return error_set(err, -EBUSY, "another `berth server` runs on this machine: end it");
    return process_run(disable, OUTPUT_MAX, START_MS, NULL, NULL, err);
}

static int launch(struct carry *carry, struct error *err)
{
    static const char *const enable[] = {
        "systemctl", "enable", "--now", "--quiet", "berth-launcher.service", NULL
    };
    const char *const argv[] = { "/proc/self/exe", "launcher", NULL };
    struct process process = { .pidfd = -1 };

    if (has_systemd())
        return process_run(enable, OUTPUT_MAX, START_MS, NULL, NULL, err);
    const struct process_options options = { .argv = argv,
                                             .cwd = "/",
                                             .stdin_fd = -1,
                                             .stdout_fd = -1,
                                             .stderr_fd = -1,
                                             .new_session = true };
    int r = process_start(&options, &process, err);
    safe_close(process.pidfd);
    return r;
}

int carry_launcher(struct carry *carry, struct found *found, struct error *err)
{
    if (carry->order->is_server || answers(carry->runtime, "launcher.sock"))
        return 0;
    found->changed = true;
    int r = end_server(carry, err);
    if (r < 0 || carry->order->only_looks)
        return r;
    r = launch(carry, err);
    for (int i = 0; r == 0 && i < END_TRIES; i++) {
        if (answers(carry->runtime, "launcher.sock"))
            return 0;
        (void) usleep(TRY_US);
    }
    return r < 0 ? r
                 : error_set(err, -EIO, "berth launcher does not answer at %s/launcher.sock",
                             carry->runtime);
}
