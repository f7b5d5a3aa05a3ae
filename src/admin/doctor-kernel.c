/* doctor-kernel.c - kernel version, user namespaces, overlay and idmapped mounts, networks */
#include "admin/doctor.h"
#include "base/alloc.h"
#include "network/network.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define KERNEL_FLOOR_MAJOR 6
#define KERNEL_FLOOR_MINOR 1
#define TRIAL_UID          1879048192U
#define OUTPUT_LIMIT       65536

void check_account(struct doctor *d)
{
    const struct passwd *pw = getpwnam("berth");

    if (pw)
        doctor_add(d, LEVEL_OK, "account",
                   xasprintf("berth, uid %u%s", (unsigned) pw->pw_uid,
                             d->is_root ? "" : "; this is not root: some checks are left out"),
                   NULL);
    else
        doctor_add(d, LEVEL_FAIL, "account",
                   xstrdup("there is no user 'berth' for the server to become"),
                   xstrdup("useradd --system --home-dir /var/lib/berth --no-create-home --shell "
                           "/usr/sbin/nologin berth"));
}

void check_kernel(struct doctor *d)
{
    struct utsname u;
    char *end = NULL;

    (void) uname(&u);
    unsigned long major = strtoul(u.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    bool is_new =
        major > KERNEL_FLOOR_MAJOR || (major == KERNEL_FLOOR_MAJOR && minor >= KERNEL_FLOOR_MINOR);
    doctor_add(d, is_new ? LEVEL_OK : LEVEL_FAIL, "kernel",
               xasprintf("Linux %s%s", u.release, is_new ? "" : ", older than 6.1"),
               is_new ? NULL : xstrdup("apt-get install -y linux-image-amd64 && reboot"));
}

static int write_map(pid_t pid, const char *name)
{
    char path[64], map[64];

    (void) snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int n = snprintf(map, sizeof map, "0 %u 65536", TRIAL_UID);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : write_full(fd, map, (size_t) n);
}

/* A user namespace with the range mapped, as a descriptor. */
static int mapped_userns(struct error *err)
{
    struct clone_args_min {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
    char path[64];

    pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return error_set(err, -errno, "user namespaces: %m");
    if (pid == 0)
        for (;;)
            (void) pause();
    int r = write_map(pid, "uid_map");
    if (r >= 0)
        r = write_map(pid, "gid_map");
    (void) snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fd = -errno;
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    if (r < 0 || fd < 0) {
        (void) safe_close(fd);
        return error_set(err, r < 0 ? r : fd, "mapping a uid range: %s",
                         strerror(r < 0 ? -r : -fd));
    }
    return fd;
}

static int mount_idmapped(const char *lower, int userns, struct error *err)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns };
    _cleanup_close_ int tree = open_tree(AT_FDCWD, lower, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0)
        return error_set(err, -errno, "open_tree: %m");
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return error_set(err, -errno, "idmapped mounts on this file system: %m");
    if (move_mount(tree, "", AT_FDCWD, lower, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, -errno, "move_mount: %m");
    return 0;
}

/* In a directory on the state's own file system: an idmapped lower under an overlay, a write. */
static int try_overlay(void *userdata, struct error *err)
{
    const char *directory = userdata;
    static const char *const names[] = { "lower", "upper", "work", "merged" };
    _cleanup_free_ char *options = xasprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
                                             directory, directory, directory);
    _cleanup_free_ char *lower = xasprintf("%s/lower", directory);
    _cleanup_free_ char *merged = xasprintf("%s/merged", directory);
    _cleanup_free_ char *file = xasprintf("%s/merged/file", directory);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", directory, names[i]);
        if (mkdir(path, 0755) < 0)
            return error_set(err, -errno, "making %s: %m", path);
    }
    int userns = mapped_userns(err);
    if (userns < 0)
        return userns;
    int r = mount_idmapped(lower, userns, err);
    (void) safe_close(userns);
    if (r < 0)
        return r;
    if (mount("overlay", merged, "overlay", MS_NODEV | MS_NOSUID, options) < 0)
        return error_set(err, -errno, "overlay: %m");
    return file_replace(AT_FDCWD, file, 0600, "x", 1, false, err);
}

void check_overlay(struct doctor *d)
{
    _cleanup_free_ char *parent = existing_parent(d->state);
    _cleanup_free_ char *directory = NULL;
    struct error err = { 0 };

    if (!d->is_root)
        return;
    if (mkdir_temporary(parent, ".berth-doctor", &directory, &err) < 0) {
        doctor_add(d, LEVEL_FAIL, "overlay", xstrdup(err.text),
                   xasprintf("mount -o remount,rw %s", parent));
        return;
    }
    int r = in_sandbox(try_overlay, directory, &err);
    (void) remove_tree(AT_FDCWD, directory, NULL);
    if (r == 0)
        doctor_add(d, LEVEL_OK, "overlay",
                   xasprintf("overlay over an idmapped layer works on %s; so do user namespaces",
                             parent),
                   NULL);
    else if (strstr(err.text, "user namespaces"))
        doctor_add(d, LEVEL_FAIL, "overlay", xstrdup(err.text),
                   xstrdup("sysctl -w user.max_user_namespaces=15000"));
    else
        doctor_add(
            d, LEVEL_FAIL, "overlay", xasprintf("%s on %s", err.text, parent),
            xstrdup(
                "modprobe overlay; put the state on ext4, xfs or btrfs: berth server --state DIR"));
}

/* The real thing, on a machine of its own: router, bridge, veth, rules, NAT. */
static int try_network(void *userdata, struct error *err)
{
    const struct network_settings *settings = userdata;
    struct network_facts facts;
    struct network *network = NULL;
    int fd = -1;

    if (mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        return error_set(err, -errno, "mounting a tmpfs: %m");
    int r = network_new(settings, &network, err);
    return r < 0 ? r : network_attempt_create(network, NETWORK_EGRESS, 0, &fd, &facts, err);
}

static bool has_default_route(void)
{
    _cleanup_text_ struct text routes = { 0 };

    (void) file_read(AT_FDCWD, "/proc/net/route", OUTPUT_LIMIT, &routes, NULL);
    return strstr(text_str(&routes), "\t00000000\t") != NULL;
}

/* Another firewall's table may drop what Berth's lets through. */
static bool others_drop_forwarded(void)
{
    static const char *const argv[] = { "nft", "list", "chain", "ip", "filter", "FORWARD", NULL };
    _cleanup_text_ struct text out = { 0 };

    return process_run(argv, OUTPUT_LIMIT, 0, &out, NULL, NULL) == 0 &&
           strstr(text_str(&out), "policy drop");
}

static void check_way_out(struct doctor *d)
{
    if (!has_default_route())
        doctor_add(d, LEVEL_WARN, "way out",
                   xstrdup("no default route: jobs reach nothing outside"),
                   xstrdup("ip route add default via GATEWAY"));
    else if (others_drop_forwarded())
        doctor_add(
            d, LEVEL_WARN, "way out",
            xstrdup("another firewall (table ip filter, chain FORWARD) drops forwarded packets"),
            xstrdup("iptables -I FORWARD -i 'bth+' -j ACCEPT; iptables -I FORWARD -o 'bth+' -m "
                    "conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"));
    else
        doctor_add(
            d, LEVEL_OK, "way out",
            xstrdup("a default route; its interface forwards only while jobs with a network run, "
                    "and only their packets"),
            NULL);
}

void check_network(struct doctor *d)
{
    static const char *const list_nft[] = { "nft", "--version", NULL };
    struct network_settings settings = { .runtime = "/run/berth-doctor", .pool = "10.113.0.0/16" };
    struct error err = { 0 };

    if (!d->is_root)
        return;
    if (process_run(list_nft, OUTPUT_LIMIT, 0, NULL, NULL, NULL) != 0) {
        doctor_add(d, LEVEL_FAIL, "network", xstrdup("there is no nft"),
                   xstrdup("apt-get install -y nftables"));
        return;
    }
    if (in_sandbox(try_network, &settings, &err) == 0)
        doctor_add(d, LEVEL_OK, "network", xstrdup("bridge, veth, NAT and packet filter work"),
                   NULL);
    else
        doctor_add(d, LEVEL_FAIL, "network", xstrdup(err.text),
                   xstrdup(
                       "modprobe -a bridge veth nf_tables nft_chain_nat nft_masq nft_fib_inet "
                       "nft_reject_inet nft_ct; or run jobs without: berth server --network none"));
    check_way_out(d);
}
