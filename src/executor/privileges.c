/* privileges.c - limits, capabilities and user of a process that enters a container */
#include "executor/privileges.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct name {
    const char *name;
    int number;
};

static const struct name limits[] = {
    { "RLIMIT_AS", RLIMIT_AS },
    { "RLIMIT_CORE", RLIMIT_CORE },
    { "RLIMIT_CPU", RLIMIT_CPU },
    { "RLIMIT_DATA", RLIMIT_DATA },
    { "RLIMIT_FSIZE", RLIMIT_FSIZE },
    { "RLIMIT_LOCKS", RLIMIT_LOCKS },
    { "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
    { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
    { "RLIMIT_NICE", RLIMIT_NICE },
    { "RLIMIT_NOFILE", RLIMIT_NOFILE },
    { "RLIMIT_NPROC", RLIMIT_NPROC },
    { "RLIMIT_RSS", RLIMIT_RSS },
    { "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
    { "RLIMIT_RTTIME", RLIMIT_RTTIME },
    { "RLIMIT_STACK", RLIMIT_STACK },
    { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
    { NULL, -1 },
};

/* In the order of linux/capability.h. */
static const char *const capabilities[CAP_LAST_CAP + 1] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

int privileges_limits(const json_t *process, struct error *err)
{
    size_t i;
    const json_t *item;

    json_array_foreach(json_object_get(process, "rlimits"), i, item) {
        const char *wanted = json_get_str(item, "type", "");
        struct rlimit value = { .rlim_cur = (rlim_t) json_get_int(item, "soft", 0),
                                .rlim_max = (rlim_t) json_get_int(item, "hard", 0) };
        const struct name *known = limits;
        while (known->name && !str_equal(known->name, wanted))
            known++;
        if (!known->name)
            return error_set(err, -EINVAL, "limit %.40s is not known", wanted);
        if (setrlimit((__rlimit_resource_t) known->number, &value) < 0)
            return error_set(err, -errno, "limit %s: %s", wanted, strerror(errno));
    }
    return 0;
}

static uint64_t capability_set(const json_t *process, const char *set)
{
    const json_t *list = json_object_get(json_object_get(process, "capabilities"), set);
    uint64_t bits = 0;
    size_t i;
    const json_t *item;

    json_array_foreach(list, i, item)
        for (unsigned k = 0; k <= CAP_LAST_CAP; k++)
            if (str_equal(json_string_value(item), capabilities[k]))
                bits |= UINT64_C(1) << k;
    return bits;
}

/* Also those that a newer kernel has: what is not named is dropped. */
static int drop_bounding(uint64_t keep)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!(cap < 64 && keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return -errno;
    return 0;
}

static int set_user(const json_t *user, bool keeps_groups)
{
    gid_t groups[64], gid = (gid_t) json_get_int(user, "gid", 0);
    uid_t uid = (uid_t) json_get_int(user, "uid", 0);
    size_t n = 0, i;
    const json_t *item;

    json_array_foreach(json_object_get(user, "additionalGids"), i, item)
        if (n < sizeof groups / sizeof *groups)
            groups[n++] = (gid_t) json_integer_value(item);
    if ((!keeps_groups && setgroups(n, groups) < 0) || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        return -errno;
    return 0;
}

/* A user other than root keeps none over execve, whatever is set here. */
static int set_capabilities(const json_t *process)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };
    bool root = json_get_int(json_object_get(process, "user"), "uid", 0) == 0;
    uint64_t permitted = root ? capability_set(process, "permitted") : 0;
    uint64_t effective = root ? capability_set(process, "effective") : 0;

    for (int i = 0; i < 2; i++) {
        data[i].permitted = (uint32_t) (permitted >> 32 * i);
        data[i].effective = (uint32_t) (effective >> 32 * i);
    }
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int privileges_drop(const json_t *process, bool keeps_groups, struct error *err)
{
    int r = drop_bounding(capability_set(process, "bounding"));

    if (r >= 0)
        r = set_user(json_object_get(process, "user"), keeps_groups);
    /* The change of user made it one that may be dumped again. */
    if (r >= 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        r = -errno;
    if (r >= 0)
        r = set_capabilities(process);
    if (r >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = -errno;
    return r < 0 ? error_set(err, r, "dropping privileges: %s", strerror(-r)) : 0;
}
