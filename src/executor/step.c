/* step.c - one supervisor in a step of a batch system, as any account (docs/design/0014)
 *
 * A user namespace in which this account is root makes possible what the launcher does as root: mounts,
 * an overlay, a PID namespace. Nobody else exists in it, so the uids of images are all this account's.
 * Control groups are the step's. The process is forked before its parent has threads, and is told what
 * to run when all that it needs is there.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const struct mode mode_step = { .name = "step" };

/* ---- the supervisor ------------------------------------------------------------------------------ */

static int open_spool(const struct executor *x, const char *name, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", x->state, name);

    return mkdir_all(AT_FDCWD, path, 0711, err);
}

static int open_spools(struct executor *x, struct error *err)
{
    static const char *const names[] = { "attempts", "running", "bundle", "runtime", NULL };
    int r = 0;

    for (const char *const *name = names; *name && r >= 0; name++)
        r = open_spool(x, *name, err);
    return r;
}

/* Groups that cannot be found are no hindrance: they are only evidence here. */
static void find_groups(struct executor *x)
{
    _cleanup_text_ struct text text = { 0 };

    (void) cgroups_find(&x->cgroups, NULL);
    if (file_read(AT_FDCWD, "/proc/self/cgroup", 65536, &text, NULL) >= 0 && text.len)
        cgroups_parse_step(text.data, &x->cgroups);
    cgroup_step_begin(&x->cgroups);
}

/* `network: none`: a network of its own with loopback alone, for the supervisor too. */
static int leave_network(struct error *err)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

    if (unshare(CLONE_NEWNET) < 0)
        return error_set(err, -errno, "making an empty network: %s", strerror(errno));
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        return error_set(err, -errno, "loopback: %s", strerror(errno));
    return 0;
}

static int make_ready(struct executor *x, struct launch *launch, struct error *err)
{
    char name[ID_TEXT_LEN + 1];
    enum network_policy policy = NETWORK_NONE;
    int r = open_spools(x, err);

    if (r >= 0)
        r = launch_prepare(x, &launch->request, &launch->range, err);
    if (r < 0)
        return r;
    find_groups(x);
    x->seccomp = seccomp_compile();
    x->attempts_fd = open_beneath_nosymlink(x->state_fd, "attempts", O_RDONLY | O_DIRECTORY, 0);
    _cleanup_json_ json_t *json = attempt_spec(x, id_format(&launch->request.attempt, name));
    (void) network_policy_parse(json_get_str(json, "network", "none"), &policy);
    if (policy != NETWORK_NONE)
        return 0;
    if (json_object_get(json, "gang"))
        return error_set(err, -EOPNOTSUPP,
                         "tasks of one job reach each other by this machine's network alone: ask "
                         "for 'network: egress', or for one node on which Berth's launcher runs");
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL;
    r = task_spec_from_json(json, &spec, err);
    if (r >= 0)
        r = relays_listen(spec, launch, err);
    return r < 0 ? r : leave_network(err);
}

static _Noreturn void step_main(struct executor *x, const char *address, int peer, int secrets)
{
    struct launch launch = { .peer = peer, .token = -1, .secrets = secrets, .netns = -1 };

    /* Its end is the container's: a supervisor without a parent belongs to no step. */
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (recv(peer, &launch.request, sizeof launch.request, 0) != sizeof launch.request)
        _exit(0);
    x->state_fd = open(x->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void) snprintf(launch.net.address, sizeof launch.net.address, "%s", address);
    if (make_ready(x, &launch, &launch.net_error) < 0 && !launch.net_error.code)
        launch.net_error.code = -EIO;
    supervise(x, &launch);
}

/* ---- its parent ----------------------------------------------------------------------------------- */

static int write_file_of(pid_t pid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int) pid, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : write_full(fd, content, strlen(content));
}

static int map_account(pid_t pid, struct error *err)
{
    _cleanup_free_ char *uids = xasprintf("0 %u 1", (unsigned) geteuid());
    _cleanup_free_ char *gids = xasprintf("0 %u 1", (unsigned) getegid());
    int r = write_file_of(pid, "setgroups", "deny");

    if (r >= 0)
        r = write_file_of(pid, "uid_map", uids);
    if (r >= 0)
        r = write_file_of(pid, "gid_map", gids);
    return r < 0 ? error_set(err, r, "mapping this account into a user namespace: %s", strerror(-r))
                 : 0;
}

static pid_t clone_step(struct error *err)
{
    struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
                               .exit_signal = SIGCHLD };
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid >= 0)
        return (pid_t) pid;
    return error_set(err, -errno,
                     errno == EPERM || errno == ENOSPC || errno == EUSERS
                         ? "this machine does not let ordinary accounts make user namespaces (%s): "
                           "sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces"
                         : "making a user namespace: %s",
                     strerror(errno));
}

int step_start(const struct step_settings *settings, struct step *ret, struct error *err)
{
    _cleanup_close_ int secrets = memfd_create("secrets", MFD_CLOEXEC);
    int pair[2];

    if (secrets < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "a socket pair: %s", strerror(errno));
    _cleanup_close_ int ours = pair[0], theirs = pair[1];
    pid_t pid = clone_step(err);
    if (pid == 0) {
        struct executor x = { .mode = &mode_step,
                              .state = xstrdup(settings->spool),
                              .runtime = xasprintf("%s/runtime", settings->spool),
                              .bundle = xasprintf("%s/bundle", settings->spool),
                              .image_options = { .root = "/", .state = settings->spool },
                              .crun = { .fd = -1 },
                              .cdi = settings->cdi,
                              .driver_root = settings->driver_root };
        safe_close(take_fd(&ours));
        step_main(&x, settings->address, take_fd(&theirs), take_fd(&secrets));
    }
    if (pid < 0)
        return pid;
    int r = map_account(pid, err);
    *ret = (struct step){ .pid = pid,
                          .pidfd = pidfd_open_pid(pid),
                          .peer = take_fd(&ours),
                          .secrets = take_fd(&secrets) };
    if (r < 0)
        step_done(ret);
    return r;
}

int step_connect(const char *path, char **ret_state, struct error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct launcher_hello hello = { 0 };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void) snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &to, sizeof to) < 0 ||
        recv(fd, &hello, sizeof hello, 0) != sizeof hello)
        return error_set(err, -ENOENT, "there is no launcher for this account at %s", path);
    hello.state[sizeof hello.state - 1] = '\0';
    if (ret_state)
        *ret_state = xstrdup(hello.state);
    return take_fd(&fd);
}

int step_ask(const char *path, const char *address, struct step *ret, char **ret_state,
             struct error *err)
{
    _cleanup_close_ int secrets = memfd_create("secrets", MFD_CLOEXEC);
    _cleanup_close_ int fd = step_connect(path, ret_state, err);

    if (fd < 0)
        return -ENOENT;
    if (secrets < 0)
        return error_set(err, -errno, "memory for secrets: %s", strerror(errno));
    *ret = (struct step){
        .pidfd = -1, .launcher = path, .peer = -1, .secrets = take_fd(&secrets), .address = address
    };
    return 0;
}

static int begin_there(struct step *step, struct launcher_request *request, struct error *err)
{
    struct launcher_answer answer = { 0 };
    _cleanup_close_ int door = step_connect(step->launcher, NULL, err);
    int pair[2];

    if (door < 0)
        return -ENOENT;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "a socket pair: %s", strerror(errno));
    step->peer = pair[0];
    (void) snprintf(request->address, sizeof request->address, "%s", step->address);
    int r =
        packet_send(door, request, sizeof *request, (const int[2]){ pair[1], step->secrets }, 2);
    safe_close(pair[1]);
    if (r < 0 || recv(door, &answer, sizeof answer, 0) != sizeof answer)
        return error_set(err, -EIO, "the node's launcher does not answer");
    answer.text[sizeof answer.text - 1] = '\0';
    return answer.code < 0 ? error_set(err, answer.code, "the node's launcher: %s", answer.text)
                           : 0;
}

int step_begin(struct step *step, const struct task_spec *spec, struct error *err)
{
    struct launcher_request request = { .op = LAUNCHER_START,
                                        .attempt = spec->attempt,
                                        .project = spec->project,
                                        .workload = spec->workload,
                                        .epoch = spec->epoch,
                                        .uid_base = spec->uid_base,
                                        .range = spec->range };
    int r = 0;

    if (step->launcher)
        r = begin_there(step, &request, err);
    else if (send(step->peer, &request, sizeof request, MSG_NOSIGNAL) != sizeof request)
        r = error_set(err, -errno, "the supervisor has gone: %s", strerror(errno));
    step->secrets = safe_close(step->secrets);
    return r;
}

void step_done(struct step *step)
{
    step->peer = safe_close(step->peer);
    step->secrets = safe_close(step->secrets);
    if (step->pidfd < 0)
        return;
    (void) pidfd_signal(step->pidfd, SIGKILL);
    while (waitpid(step->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    step->pidfd = safe_close(step->pidfd);
}
