/* doctor-machine.c - ports, disk, clock, cores */
#include "admin/doctor.h"
#include "base/alloc.h"
#include "os/fd.h"
#include "probe/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <time.h>

#define DISK_WARN (INT64_C(10) << 30)
#define DISK_FAIL (INT64_C(1) << 30) /* settings' reserved_disk: submits are refused below it */
#define YEAR_2024 1704067200

static bool server_answers(const struct doctor *d)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) snprintf(a.sun_path, sizeof a.sun_path, "%s/api.sock", d->runtime);
    return fd >= 0 && connect(fd, (const struct sockaddr *) &a, sizeof a) == 0;
}

static int try_to_bind(const struct addrinfo *a)
{
    _cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -errno;
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
}

static void report_port(struct doctor *d, const char *address, const char *port, int r)
{
    if (r == 0)
        doctor_add(d, LEVEL_OK, "port", xasprintf("%s is free", address), NULL);
    else if (r == -EADDRINUSE && server_answers(d))
        doctor_add(d, LEVEL_OK, "port", xasprintf("berth server has %s", address), NULL);
    else if (r == -EADDRINUSE)
        doctor_add(d, LEVEL_FAIL, "port", xasprintf("%s is taken by another program", address),
                   xasprintf("ss -ltnp 'sport = :%s'; or: berth server --listen 127.0.0.1:PORT",
                             port));
    else
        doctor_add(d, LEVEL_FAIL, "port", xasprintf("%s: %s", address, strerror(-r)),
                   xstrdup("ip address; or: berth server --listen 127.0.0.1:PORT"));
}

/* HOST:PORT or [HOST]:PORT; what is no such thing the server refuses by itself. */
static void check_address(struct doctor *d, const char *address)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    bool is_bracketed = address[0] == '[' && colon && colon > address && colon[-1] == ']';
    _cleanup_free_ char *host =
        xstrndup(address + is_bracketed,
                 colon ? (size_t) (colon - address) - 2 * (size_t) is_bracketed : 0);

    if (!colon || getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        doctor_add(d, LEVEL_FAIL, "port", xasprintf("%s is no address to listen on", address),
                   xstrdup("berth server --listen 127.0.0.1:PORT"));
        return;
    }
    report_port(d, address, colon + 1, try_to_bind(found));
    freeaddrinfo(found);
}

void check_ports(struct doctor *d)
{
    _cleanup_free_ char *list = xstrdup(d->listen);
    char *save = NULL;

    for (char *address = strtok_r(list, ",", &save); address; address = strtok_r(NULL, ",", &save))
        check_address(d, address);
}

static const struct {
    unsigned long magic;
    const char *name;
    bool is_fit; /* as an overlay's upper, and keeps what was fsynced */
} file_systems[] = {
    { EXT4_SUPER_MAGIC, "ext4", true },   { XFS_SUPER_MAGIC, "xfs", true },
    { BTRFS_SUPER_MAGIC, "btrfs", true }, { F2FS_SUPER_MAGIC, "f2fs", true },
    { 0x2fc12fc1, "zfs", true },          { TMPFS_MAGIC, "tmpfs", false },
    { NFS_SUPER_MAGIC, "nfs", false },    { OVERLAYFS_SUPER_MAGIC, "overlay", false },
    { FUSE_SUPER_MAGIC, "fuse", false },
};

/* The first directory on the way to PATH that the account `berth` could not pass; owned by the caller. */
static char *closed_parent(const char *path)
{
    struct stat st;

    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        char *parent = xstrndup(path, (size_t) (p - path));
        if (stat(parent, &st) == 0 && !(st.st_mode & S_IXOTH))
            return parent;
        free(parent);
    }
    return NULL;
}

static void check_file_system(struct doctor *d, const char *directory, const struct statfs *fs)
{
    for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++)
        if ((unsigned long) fs->f_type == file_systems[i].magic && !file_systems[i].is_fit)
            doctor_add(d, LEVEL_WARN, "disk",
                       xasprintf("%s is on %s, which loses state or cannot hold containers' layers",
                                 directory, file_systems[i].name),
                       xstrdup("berth server --state DIR, on ext4, xfs or btrfs"));
}

void check_disk(struct doctor *d)
{
    _cleanup_free_ char *directory = existing_parent(d->state);
    _cleanup_free_ char *closed = closed_parent(d->state);
    struct statfs fs;
    char buf[32];

    if (statfs(directory, &fs) < 0) {
        doctor_add(d, LEVEL_FAIL, "disk", xasprintf("%s: %s", directory, strerror(errno)),
                   xasprintf("mount | grep ' %s '", directory));
        return;
    }
    int64_t free_bytes = (int64_t) fs.f_bavail * (int64_t) fs.f_bsize;
    enum level level = free_bytes < DISK_FAIL   ? LEVEL_FAIL
                       : free_bytes < DISK_WARN ? LEVEL_WARN
                                                : LEVEL_OK;
    doctor_add(d, level, "disk",
               xasprintf("%s free for the state in %s", bytes_to_str(free_bytes, buf), d->state),
               level == LEVEL_OK
                   ? NULL
                   : xasprintf("du -xh --max-depth=2 %s | sort -h | tail", directory));
    check_file_system(d, directory, &fs);
    if (closed)
        doctor_add(d, LEVEL_FAIL, "disk",
                   xasprintf("%s is closed to others: neither user 'berth' nor containers can pass",
                             closed),
                   xasprintf("chmod o+x %s; or: berth server --state DIR elsewhere", closed));
}

void check_time(struct doctor *d)
{
    struct timex t = { 0 };
    int state = adjtimex(&t);

    if (time(NULL) < YEAR_2024)
        doctor_add(d, LEVEL_FAIL, "clock", xstrdup("the clock is years behind"),
                   xstrdup("date -s 'YYYY-MM-DD HH:MM:SS' && hwclock --systohc"));
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        doctor_add(d, LEVEL_WARN, "clock",
                   xstrdup("nothing keeps the clock in step; times of events may be off"),
                   xstrdup("apt-get install -y systemd-timesyncd && timedatectl set-ntp true"));
    else
        doctor_add(d, LEVEL_OK, "clock", xasprintf("in step, within %ld ms", t.maxerror / 1000),
                   NULL);
}

static void add_cores(struct doctor *d, const struct node *node)
{
    unsigned cpus = 0;
    char buf[32];

    vec_foreach(&node->cores, core)
        cpus += core->cpus.n;
    doctor_add(d, LEVEL_OK, "cores",
               xasprintf("%zu whole core%s (%u CPUs) on %zu NUMA node%s, %s of memory: %s",
                         node->cores.len, node->cores.len == 1 ? "" : "s", cpus, node->numas.len,
                         node->numas.len == 1 ? "" : "s", bytes_to_str(node->memory_bytes, buf),
                         node->cpu_model ? node->cpu_model : "unknown processor"),
               NULL);
}

void check_cores(struct doctor *d)
{
    _cleanup_(node_freep) struct node *node = NULL;
    const struct probe_options options = { .nvml = "" };
    struct error err = { 0 };

    if (probe_node(&options, &node, &err) < 0)
        doctor_add(d, LEVEL_FAIL, "cores", xstrdup(err.text),
                   xstrdup("grep Cpus_allowed_list /proc/self/status; lscpu -e"));
    else
        add_cores(d, node);
}
