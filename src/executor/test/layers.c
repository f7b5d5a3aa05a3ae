/* Which unpacked layers go, and which stay. */
#include "executor/layer-store.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { HOUR_S = 3600 };

static char *folder;

__attribute__((destructor)) static void forget(void) { free(folder); }

/* A layer of 100 bytes, used so long ago. */
static void add(int layers, char name, int64_t ago_s)
{
    char hex[SHA256_HEX_LEN + 1];
    const struct timespec times[2] = { { .tv_sec = time(NULL) - ago_s },
                                       { .tv_nsec = UTIME_OMIT } };

    memset(hex, name, SHA256_HEX_LEN);
    hex[SHA256_HEX_LEN] = '\0';
    ok(mkdirat(layers, hex, 0755) == 0);
    _cleanup_close_ int fd = openat(layers, hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    (void) fsetxattr(fd, "user.berth.bytes", "100", 3, 0);
    ok(file >= 0 && utimensat(layers, hex, times, 0) == 0);
}

static bool has(int layers, char name)
{
    char hex[SHA256_HEX_LEN + 1];

    memset(hex, name, SHA256_HEX_LEN);
    hex[SHA256_HEX_LEN] = '\0';
    return faccessat(layers, hex, F_OK, 0) == 0;
}

static int open_store(void)
{
    const char *parent = getenv("TMPDIR");

    free(folder);
    folder = NULL;
    ok(mkdir_temporary(parent ? parent : "/tmp", "layers", &folder, NULL) >= 0);
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(the_least_recently_used_go_down_to_the_limit)
{
    _cleanup_close_ int layers = open_store();

    add(layers, 'a', 3 * HOUR_S);
    add(layers, 'b', 4 * HOUR_S);
    add(layers, 'c', 2 * HOUR_S);
    ok(layers_shed(layers, 1000, 600, NULL) == 0);
    ok(has(layers, 'a') && has(layers, 'b') && has(layers, 'c'));
    ok(layers_shed(layers, 200, 600, NULL) == 0);
    ok(has(layers, 'a') && !has(layers, 'b') && has(layers, 'c'));
    ok(layers_shed(layers, 0, 600, NULL) == 0);
    ok(!has(layers, 'a') && !has(layers, 'c'));
    (void) remove_tree(AT_FDCWD, folder, NULL);
}

TEST(what_is_in_use_or_was_just_now_stays)
{
    _cleanup_close_ int layers = open_store();
    struct sha256 sum;

    add(layers, 'a', 3 * HOUR_S);
    add(layers, 'b', 10);
    add(layers, 'c', 3 * HOUR_S);
    _cleanup_free_ char *path = xasprintf("%s/%.*s", folder, SHA256_HEX_LEN,
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                          "aaaaaaaa");
    _cleanup_close_ int held = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(held >= 0 && flock(held, LOCK_SH) == 0);
    ok(sha256_parse("cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", &sum) >= 0);
    ok(layer_touch(layers, &sum) == 1);
    ok(layers_shed(layers, 0, 600, NULL) == 0);
    ok(has(layers, 'a') && has(layers, 'b') && has(layers, 'c'));
    (void) remove_tree(AT_FDCWD, folder, NULL);
}

TEST(what_was_left_by_the_dead_goes_and_what_is_being_made_stays)
{
    _cleanup_close_ int layers = open_store();
    _cleanup_free_ char *mine = xasprintf("tmp.%d.0", (int) getpid());
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    (void) waitpid(pid, NULL, 0);
    _cleanup_free_ char *dead = xasprintf("tmp.%d.0", (int) pid);
    ok(mkdirat(layers, mine, 0755) == 0 && mkdirat(layers, dead, 0755) == 0);
    ok(layers_shed(layers, 0, 600, NULL) == 0);
    ok(faccessat(layers, mine, F_OK, 0) == 0 && faccessat(layers, dead, F_OK, 0) < 0);
    (void) remove_tree(AT_FDCWD, folder, NULL);
}

TAP_MAIN
