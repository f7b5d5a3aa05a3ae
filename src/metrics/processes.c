/* processes.c - what a tree of processes has used, where no control group counts it
 *
 * Who has ended and was waited for counts in its parent, so a tree whose head reaps what it inherits loses
 * nothing. Memory that processes share is counted once, as far as that can be seen.
 */
#include "metrics/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096, TEXT_MAX = 65536 };

struct tree {
    VEC(pid_t) pids; /* those at the end have not been looked at */
    uint64_t ticks, faults, read_bytes, written_bytes;
    int64_t own_pages, shared_pages; /* of the one that shares most */
};

/* "7 (a name) S ppid …": field 12 is majflt, 13 cmajflt, 14 utime, 15 stime, 16 cutime, 17 cstime. */
int parse_process_stat(const char *text, struct process_stat *ret)
{
    const char *p = strrchr(text, ')');
    unsigned long long f[18] = { 0 };

    if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
        return -EINVAL;
    p += 4;
    for (int i = 4; i < 18; i++) {
        char *end;
        f[i] = strtoull(p, &end, 10);
        if (end == p)
            return -EINVAL;
        p = end;
    }
    *ret = (struct process_stat){ .ticks = f[14] + f[15],
                                  .ended_ticks = f[16] + f[17],
                                  .faults = f[12] + f[13] };
    return 0;
}

static int read_text(int dir, const char *name, char *text, size_t size)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? 0 : -ENOENT;
}

static void add_memory(struct tree *t, int dir)
{
    char text[256], *p = text;

    if (read_text(dir, "statm", text, sizeof text) < 0)
        return;
    (void) strtoll(p, &p, 10); /* its address space */
    long long resident = strtoll(p, &p, 10), shared = strtoll(p, &p, 10);
    t->own_pages += resident > shared ? resident - shared : 0;
    if (shared > t->shared_pages)
        t->shared_pages = shared;
}

/* Only of those that this account may look into. */
static void add_io(struct tree *t, int dir)
{
    char text[512];

    if (read_text(dir, "io", text, sizeof text) < 0)
        return;
    t->read_bytes += keyed_number(text, "read_bytes:");
    t->written_bytes += keyed_number(text, "write_bytes:");
}

static void add_children(struct tree *t, int tasks, const char *thread)
{
    static char text[TEXT_MAX]; /* one thread samples; used up before this returns */
    _cleanup_free_ char *name = xasprintf("%s/children", thread);
    char *end;

    if (read_text(tasks, name, text, sizeof text) < 0)
        return;
    for (char *p = text; t->pids.len < PROCESSES_MAX; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            return;
        vec_push(&t->pids, (pid_t) pid);
    }
}

static int add_process(struct tree *t, pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d", (int) pid);
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct process_stat stat;
    char text[1024];

    if (dir < 0 || read_text(dir, "stat", text, sizeof text) < 0 ||
        parse_process_stat(text, &stat) < 0)
        return -ESRCH;
    t->ticks += stat.ticks + stat.ended_ticks;
    t->faults += stat.faults;
    add_memory(t, dir);
    add_io(t, dir);
    int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd < 0 ? NULL : fdopendir(fd);
    if (!threads) {
        safe_close(fd);
        return 0;
    }
    for (const struct dirent *e; (e = readdir(threads));)
        if (*e->d_name != '.')
            add_children(t, dirfd(threads), e->d_name);
    closedir(threads);
    return 0;
}

int processes_read(pid_t pid, struct counters *ret)
{
    struct tree t = { 0 };
    int64_t page = sysconf(_SC_PAGESIZE);
    int r = add_process(&t, pid);

    for (size_t i = 0; r >= 0 && i < t.pids.len; i++)
        (void) add_process(&t, t.pids.items[i]);
    vec_done(&t.pids);
    if (r < 0)
        return r;
    if (!(ret->known & KNOWN_CPU))
        ret->cpu_us = t.ticks * 1000000 / (uint64_t) sysconf(_SC_CLK_TCK);
    if (!(ret->known & KNOWN_MEMORY)) {
        ret->anonymous_bytes = t.own_pages * page;
        ret->memory_bytes = ret->anonymous_bytes + t.shared_pages * page;
        ret->faults = t.faults;
    }
    if (!(ret->known & KNOWN_IO)) {
        ret->read_bytes = t.read_bytes;
        ret->written_bytes = t.written_bytes;
    }
    ret->known |= KNOWN_CPU | KNOWN_MEMORY | KNOWN_IO;
    return 0;
}
