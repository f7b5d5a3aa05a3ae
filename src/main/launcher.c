/* launcher.c - `berth launcher`: on a node of a batch system, makes containers for its steps as root
 *
 * Processes as in the server: the launcher and the keeper of layers, which are root; this one, which listens and is
 * nobody; and a supervisor for each task.
 */
#include "base/alloc.h"
#include "executor/executor.h"
#include "main/machine.h"
#include "main/notify.h"
#include "main/roles.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void launcher_help(struct text *out)
{
    text_add(
        out,
        "usage: berth launcher [--state DIR] [--runtime DIR] [FLAG...]\n"
        "\n"
        "Makes containers for the steps of a batch system on this machine: jobs then have\n"
        "uids, networks and devices of their own, as on a machine that is Berth's alone.\n"
        "A service of root, on every node; settings and flags are those of the server\n"
        "(berth server --help), and `user` is the account that the server's jobs run as.\n"
        "It listens at RUNTIME/launcher.sock. Without it, jobs run as what that account may.\n");
}

static int begin(const struct settings *settings, struct account *account, struct door *ret,
                 struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/launcher.sock", settings->runtime);
    pid_t pid = 0, keeper = 0;

    if (geteuid() != 0)
        return error_set(err, -EPERM, "the launcher starts as root");
    int r = account_find(settings->user, account, err);
    if (r >= 0)
        r = machine_directories(settings, account, err);
    if (r >= 0)
        r = machine_launcher(settings, &ret->launcher, &pid, err);
    if (r >= 0)
        r = layers_start(settings->state, false, &ret->keeper, &keeper, err);
    if (r >= 0)
        r = ret->listener = door_listen(path, account->uid, account->gid, err);
    ret->owner = account->uid;
    ret->state = settings->state;
    ret->limits = (struct door_limits){ .entries_max = settings->image_max_entries,
                                        .bytes_max = settings->image_max_size,
                                        .ratio_max = settings->image_max_ratio,
                                        .layers_max = settings->layers_max,
                                        .spool_max = settings->spool_max };
    return r < 0 ? r : privilege_drop(account, err);
}

static int run(const struct settings *settings, struct error *err)
{
    struct door door = { .listener = -1, .launcher = -1, .keeper = -1 };
    _cleanup_free_ char *notify = notify_take();
    struct account account = { 0 };

    int r = begin(settings, &account, &door, err);
    if (r >= 0) {
        (void) notify_manager(notify, "READY=1");
        log_info("ready", "state", settings->state, "runtime", settings->runtime);
        r = door_serve(&door, err);
    }
    safe_close(door.listener);
    safe_close(door.launcher);
    safe_close(door.keeper);
    return r;
}

int role_launcher(int argc, char **argv)
{
    struct settings settings = { 0 };
    struct error err = { 0 };
    int r = settings_load(argc - 1, argv + 1, (const char *(*) (const char *) ) getenv, &settings,
                          &err);

    if (r == -ECANCELED)
        return 0;
    if (r < 0) {
        log_error("wrong settings", "reason", err.text);
        return 2;
    }
    (void) signal(SIGPIPE, SIG_IGN);
    r = run(&settings, &err);
    if (r < 0)
        log_error("the launcher cannot go on", "reason", err.text);
    settings_done(&settings);
    return r < 0;
}
