#include "blob/test/scratch.h"

#include "base/alloc.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void write_file(int dirfd, const char *path, const char *bytes, mode_t mode)
{
    int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    ok(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t) strlen(bytes) && close(fd) == 0);
}

static int results(struct scratch *s)
{
    ok(mkdirat(s->fd, "out", 0755) == 0);
    return openat(s->fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(collects_files)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s);
    size_t skipped = 99;

    write_file(out, "model.gguf", "weights", 0600);
    ok(mkdirat(out, "logs", 0755) == 0);
    write_file(out, "logs/x.sh", "run", 0700);
    write_file(out, "empty", "", 0600);
    ok(linkat(out, "model.gguf", out, "again", 0) == 0);
    ok(blob_collect(s.bs, out, 1 << 20, &m, &skipped, NULL) == 0);
    ok(skipped == 0 && m->n == 4 && m->size_bytes == 17);
    const struct manifest_entry *e = manifest_find(m, "logs/x.sh");
    ok(e && e->executable && e->size_bytes == 3 && blob_has(s.bs, &e->sum));
    const struct manifest_entry *twin = manifest_find(m, "again");
    e = manifest_find(m, "model.gguf");
    ok(e && twin && sha256_equal(&e->sum, &twin->sum));
    e = manifest_find(m, "empty");
    ok(e && e->size_bytes == 0 && blob_has(s.bs, &e->sum));
}

TEST(collects_many_files)
{
    enum { FILES = 100, LARGE = 600000 };
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s);
    _cleanup_free_ char *large = xcalloc(1, LARGE + 1);
    char name[16];
    size_t skipped = 99;

    memset(large, 'l', LARGE);
    for (int i = 0; i < FILES; i++) {
        (void) snprintf(name, sizeof name, "%d", i);
        write_file(out, name, i % 10 == 9 ? large + i : name, 0600);
    }
    ok(blob_collect(s.bs, out, 1 << 30, &m, &skipped, NULL) == 0);
    ok(skipped == 0 && m->n == FILES);
    for (int i = 0; i < FILES; i++) {
        (void) snprintf(name, sizeof name, "%d", i);
        const char *content = i % 10 == 9 ? large + i : name;
        const struct manifest_entry *e = manifest_find(m, name);
        struct sha256 sum = sha256_of(content, strlen(content));
        ok(e && sha256_equal(&e->sum, &sum) && blob_matches(s.bs, &sum, (int64_t) strlen(content)));
    }
    ok(entries(&s, "blobs/tmp") == 0);
}

TEST(leaves_out_what_is_no_regular_file)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s), sock = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    size_t skipped = 0, expected = 6;

    write_file(out, "kept", "x", 0600);
    write_file(s.fd, "secret", "secret", 0600);
    ok(symlinkat("/etc/passwd", out, "passwd") == 0);
    ok(symlinkat("../secret", out, "up") == 0);
    ok(symlinkat("/etc", out, "etc") == 0);
    ok(mkfifoat(out, "fifo", 0600) == 0);
    (void) snprintf(addr.sun_path, sizeof addr.sun_path, "%s/out/sock", s.dir);
    ok(bind(sock, (struct sockaddr *) &addr, sizeof addr) == 0);
    write_file(out, "bad\xff", "x", 0600);
    if (mknodat(out, "null", S_IFCHR | 0600, makedev(1, 3)) == 0)
        expected++;
    ok(blob_collect(s.bs, out, 1 << 20, &m, &skipped, NULL) == 0);
    ok(m && m->n == 1 && manifest_find(m, "kept"));
    ok(skipped == expected);
}

TEST(limit_leaves_out_what_does_not_fit)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s);
    size_t skipped = 0;

    write_file(out, "big", "0123456789", 0600);
    write_file(out, "small", "01", 0600);
    ok(blob_collect(s.bs, out, 5, &m, &skipped, NULL) == 0);
    ok(skipped == 1 && m->n == 1 && manifest_find(m, "small"));
}

TEST(huge_sparse_file_in_little_memory_and_space)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s);
    struct rusage before, after;
    struct stat st;
    int64_t size = 0;

    int fd = openat(out, "sparse", O_WRONLY | O_CREAT, 0600);
    ok(fd >= 0 && ftruncate(fd, 256 << 20) == 0 && pwrite(fd, "end", 3, (256 << 20) - 3) == 3);
    ok(close(fd) == 0);
    ok(getrusage(RUSAGE_SELF, &before) == 0);
    ok(blob_collect(s.bs, out, INT64_C(1) << 40, &m, NULL, NULL) == 0);
    ok(getrusage(RUSAGE_SELF, &after) == 0);
    ok(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
    ok(m && m->n == 1);
    _cleanup_close_ int blob = m && m->n ? blob_open(s.bs, &m->entries[0].sum, &size) : -1;
    ok(blob >= 0 && fstat(blob, &st) == 0 && size == 256 << 20 && st.st_blocks * 512 < 1 << 20);
}

TEST(depth_is_bounded)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s), at = dup(out);
    size_t skipped = 0;

    write_file(out, "top", "x", 0600);
    for (int i = 0; i < 300; i++) {
        ok(mkdirat(at, "d", 0755) == 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        ok(close(at) == 0);
        at = next;
    }
    ok(blob_collect(s.bs, out, 1 << 20, &m, &skipped, NULL) == 0);
    ok(m && m->n == 1 && skipped == 1);
}

/* A store that cannot be written to is no reason to pretend that there was nothing. */
TEST(failing_store_is_an_error)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int out = results(&s);
    struct error err;

    write_file(out, "a", "x", 0600);
    ok(unlinkat(s.fd, "blobs/tmp", AT_REMOVEDIR) == 0);
    ok(blob_collect(s.bs, out, 1 << 20, &m, NULL, &err) == -ENOENT);
    ok(!m && strncmp(err.text, "collecting a: ", 14) == 0);
}

TAP_MAIN
