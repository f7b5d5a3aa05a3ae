/* A layer's bytes, whole or on their way: they all come, once, with their digest, or why not. */
#include "image/layer-bytes.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/hash.h"
#include "tests/tap.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LEN = 5000000 }; /* more than goes round */

static char content[LEN];

static void make_content(void)
{
    for (size_t i = 0; i < LEN; i++)
        content[i] = (char) (i * 7 + i / 1000);
}

/* Read to the end; how many bytes, or why not. */
static int64_t drain(struct layer_bytes *b, struct error *err)
{
    int64_t total = 0;
    const void *bytes;
    ssize_t n;

    while ((n = layer_bytes_next(b, &bytes, err)) > 0) {
        ok(memcmp(bytes, content + total, (size_t) n) == 0);
        total += n;
    }
    return n < 0 ? n : total;
}

static int file_of(const void *bytes, size_t n)
{
    make_content();
    int fd = memfd_create("blob", MFD_CLOEXEC);

    ok(fd >= 0 && write_full(fd, bytes, n) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

TEST(whole)
{
    _cleanup_close_ int blob = file_of(content, LEN);
    _cleanup_(layer_bytes_freep) struct layer_bytes *b = NULL;
    const void *bytes;

    ok(layer_bytes_open(blob, -1, &b, NULL) == 0);
    ok(drain(b, NULL) == LEN);
    ok(layer_bytes_next(b, &bytes, NULL) == 0); /* the end stays */
    struct sha256 is = layer_bytes_sum(b), should = sha256_of(content, LEN);
    ok(sha256_equal(&is, &should));
}

TEST(empty)
{
    _cleanup_close_ int blob = file_of("", 0);
    _cleanup_(layer_bytes_freep) struct layer_bytes *b = NULL;

    ok(layer_bytes_open(blob, -1, &b, NULL) == 0);
    ok(drain(b, NULL) == 0);
}

TEST(broken)
{
    static const char gzip[100] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03 this was never packed";
    _cleanup_close_ int blob = file_of(gzip, sizeof gzip);
    _cleanup_(layer_bytes_freep) struct layer_bytes *b = NULL;
    struct error err = { 0 };

    ok(layer_bytes_open(blob, -1, &b, NULL) == 0);
    ok(drain(b, &err) == -EBADMSG);
    ok(strstr(err.text, "it is broken"));
}

/* Where the reader stands in BLOB stays. */
static void append(int blob, size_t at, size_t n)
{
    ok(pwrite(blob, content + at, n, (off_t) at) == (ssize_t) n);
}

TEST(arriving)
{
    _cleanup_close_ int blob = file_of(content, 0);
    _cleanup_(layer_bytes_freep) struct layer_bytes *b = NULL;
    const void *bytes;
    int pipe_fds[2];
    size_t half = LEN / 2, seen = 0;

    ok(pipe(pipe_fds) == 0);
    append(blob, 0, half);
    ok(layer_bytes_open(blob, pipe_fds[0], &b, NULL) == 0);
    /* What is there can be read long before the rest is. */
    while (seen < half - (1 << 19)) {
        ssize_t n = layer_bytes_next(b, &bytes, NULL);
        ok(n > 0 && memcmp(bytes, content + seen, (size_t) n) == 0);
        seen += (size_t) n;
    }
    append(blob, half, LEN - half);
    ok(write(pipe_fds[1], "", 1) == 1);
    safe_close(pipe_fds[1]);
    for (ssize_t n; (n = layer_bytes_next(b, &bytes, NULL)) > 0; seen += (size_t) n)
        ok(memcmp(bytes, content + seen, (size_t) n) == 0);
    ok(seen == LEN);
    layer_bytes_free(take_ptr(b));
    safe_close(pipe_fds[0]);
}

TEST(never_whole)
{
    _cleanup_close_ int blob = file_of(content, LEN);
    _cleanup_(layer_bytes_freep) struct layer_bytes *b = NULL;
    int pipe_fds[2];

    ok(pipe(pipe_fds) == 0);
    safe_close(pipe_fds[1]);
    ok(layer_bytes_open(blob, pipe_fds[0], &b, NULL) == 0);
    ok(drain(b, NULL) == -ECANCELED);
    layer_bytes_free(take_ptr(b));
    safe_close(pipe_fds[0]);
}

/* Whoever has enough need not read to the end, nor wait for it. */
TEST(left)
{
    _cleanup_close_ int blob = file_of(content, LEN);
    struct layer_bytes *b;
    const void *bytes;
    int pipe_fds[2];

    ok(pipe(pipe_fds) == 0);
    ok(layer_bytes_open(blob, pipe_fds[0], &b, NULL) == 0);
    ok(layer_bytes_next(b, &bytes, NULL) > 0);
    layer_bytes_free(b);
    safe_close(pipe_fds[0]);
    safe_close(pipe_fds[1]);
}

TAP_MAIN
