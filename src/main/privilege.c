/* privilege.c - the one place where a role gives up what it does not need */
#include "main/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int account_find(const char *user, struct account *ret, struct error *err)
{
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (!pw)
        return error_set(err, errno ? -errno : -ENOENT,
                         "there is no user '%s'; make it with: "
                         "useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin %s",
                         user, user);
    if (pw->pw_uid == 0)
        return error_set(err, -EPERM, "user '%s' is root; name an ordinary account", user);
    *ret = (struct account){ .uid = pw->pw_uid, .gid = pw->pw_gid };
    return 0;
}

static int clear_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int privilege_drop(const struct account *account, struct error *err)
{
    if (setgroups(0, NULL) < 0 || setresgid(account->gid, account->gid, account->gid) < 0)
        return error_set(err, -errno, "giving up groups: %s", strerror(errno));
    /* The bounding set can only be emptied while still root. */
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (setresuid(account->uid, account->uid, account->uid) < 0)
        return error_set(err, -errno, "becoming uid %u: %s", account->uid, strerror(errno));
    int r = clear_capabilities();
    if (r < 0)
        return error_set(err, r, "giving up capabilities: %s", strerror(-r));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_set(err, -errno, "giving up privileges: %s", strerror(errno));
    if (setuid(0) == 0)
        return error_set(err, -EPERM, "root came back after it was given up");
    return 0;
}
