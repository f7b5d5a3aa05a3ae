/* node-account.c - the account that jobs run as has the same number on every machine */
#include "admin/node-account.h"

#include "base/alloc.h"
#include "os/process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUT_MAX = 4096, RUN_MS = 300000 };

static int check(const char *name, uid_t uid, gid_t gid, struct error *err)
{
    const struct passwd *user = getpwuid(uid);
    const struct group *group;

    if (user && !str_equal(user->pw_name, name))
        return error_set(err, -EEXIST, "its uid on the server, %u, is that of %s here", uid,
                         user->pw_name);
    group = getgrgid(gid);
    if (group && !str_equal(group->gr_name, name))
        return error_set(err, -EEXIST, "its gid on the server, %u, is that of %s here", gid,
                         group->gr_name);
    return 0;
}

static int run(const char *const *argv, struct error *err)
{
    _cleanup_text_ struct text said = { 0 };

    int r = process_run(argv, OUTPUT_MAX, RUN_MS, NULL, &said, err);
    if (r <= 0)
        return r;
    said.data = said.data ? said.data : xstrdup("");
    said.data[strcspn(said.data, "\n")] = '\0';
    return error_set(err, -EBUSY, "%s", said.data);
}

/* What runs as it: this machine's own service, which is started again by whoever asked for this. */
static void stop_service(void)
{
    static const char *const stop[] = { "systemctl", "stop", "berth-node.service", NULL };

    if (access("/run/systemd/system", F_OK) == 0)
        (void) process_run(stop, OUTPUT_MAX, RUN_MS, NULL, NULL, NULL);
}

int node_account_set(const char *name, uid_t uid, gid_t gid, const char *state, struct error *err)
{
    const struct passwd *here = getpwnam(name);

    if (!here)
        return error_set(err, -ENOENT, "there is no account '%s' here", name);
    uid_t old_uid = here->pw_uid;
    gid_t old_gid = here->pw_gid;
    if (old_uid == uid && old_gid == gid)
        return 1;
    _cleanup_free_ char *new_uid = xasprintf("%u", uid), *new_gid = xasprintf("%u", gid);
    _cleanup_free_ char *both = xasprintf("%u:%u", uid, gid);
    _cleanup_free_ char *from = xasprintf("--from=%u:%u", old_uid, old_gid);
    const char *const group[] = { "groupmod", "-g", new_gid, name, NULL };
    const char *const user[] = { "usermod", "-u", new_uid, name, NULL };
    const char *const files[] = { "chown", "-Rh", from, both, state, NULL };

    int r = check(name, uid, gid, err);
    if (r < 0)
        return r;
    stop_service();
    /* It refuses while something runs as that account: first, so that nothing is half done. */
    if (old_uid != uid)
        r = run(user, err);
    /* It takes the account's own group along. */
    if (r >= 0 && old_gid != gid)
        r = run(group, err);
    return r < 0 ? r : run(files, err);
}
