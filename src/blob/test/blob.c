#include "blob/test/scratch.h"

#include "os/clock.h"

#include <stdint.h>
#include <sys/wait.h>

TEST(stores_and_reads)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_text_ struct text t = { 0 };
    char hex[SHA256_HEX_LEN + 1];
    struct sha256 sum = put(s.bs, "hello");
    struct stat st;

    is_str(sha256_format(&sum, hex),
           "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    ok(blob_has(s.bs, &sum));
    ok(blob_read(s.bs, &sum, 100, &t, NULL) == 0);
    is_str(text_str(&t), "hello");
    ok(fstatat(s.fd, "blobs/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", &st,
               0) == 0);
    ok((st.st_mode & 07777) == 0644);
    ok(entries(&s, "blobs/tmp") == 0);

    _cleanup_text_ struct text small = { 0 };
    ok(blob_read(s.bs, &sum, 4, &small, NULL) == -EFBIG);
}

TEST(absent_blob)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct sha256 sum = sha256_of("x", 1);

    ok(!blob_has(s.bs, &sum));
    ok(blob_open(s.bs, &sum, NULL) == -ENOENT);
}

TEST(refuses_other_bytes_than_promised)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
    struct sha256 promised = sha256_of("good", 4), evil = sha256_of("evil", 4);
    struct error err;

    ok(blob_writer_new(s.bs, &w, NULL) == 0);
    ok(blob_writer_add(w, "evil", 4, NULL) == 0);
    ok(blob_writer_end(w, &promised, true, NULL, NULL, &err) == -EBADMSG);
    ok(strncmp(err.text, "the bytes have SHA-256 ", 23) == 0);
    ok(!blob_has(s.bs, &promised) && !blob_has(s.bs, &evil));
}

TEST(dropped_writer_leaves_nothing)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct blob_writer *w = NULL;

    ok(blob_writer_new(s.bs, &w, NULL) == 0);
    ok(blob_writer_add(w, "abc", 3, NULL) == 0);
    ok(entries(&s, "blobs/tmp") == 1);
    blob_writer_free(w);
    ok(entries(&s, "blobs/tmp") == 0);
}

TEST(puts_a_small_one_at_once)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_text_ struct text t = { 0 };
    const char *name = "blobs/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    struct sha256 sum = sha256_of("hello", 5), empty = sha256_of("", 0);
    struct stat st;
    struct error err;

    mode_t mask = umask(077);
    ok(blob_put(s.bs, "hello", 5, &sum, NULL) == 0);
    (void) umask(mask);
    ok(fstatat(s.fd, name, &st, 0) == 0 && (st.st_mode & 07777) == 0644);
    ok(blob_put(s.bs, "hello", 5, &sum, NULL) == 0); /* is there */
    ok(blob_put(s.bs, "", 0, &empty, NULL) == 0 && blob_matches(s.bs, &empty, 0));
    ok(blob_put(s.bs, "evil", 4, &sum, &err) == -EBADMSG);
    ok(strncmp(err.text, "the bytes have SHA-256 ", 23) == 0);

    ok(unlinkat(s.fd, name, 0) == 0);
    int fd = openat(s.fd, name, O_WRONLY | O_CREAT, 0444);
    ok(fd >= 0 && write(fd, "he", 2) == 2 && close(fd) == 0);
    ok(!blob_matches(s.bs, &sum, 5));
    ok(blob_put(s.bs, "hello", 5, &sum, NULL) == 0); /* torn, and mended */
    ok(blob_read(s.bs, &sum, 100, &t, NULL) == 0);
    is_str(text_str(&t), "hello");
    ok(entries(&s, "blobs/tmp") == 0);
}

/* A power loss may leave the name of a blob that was not synced without its bytes. */
TEST(mends_a_torn_blob)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_text_ struct text t = { 0 };
    struct sha256 sum = put(s.bs, "hello");
    const char *name = "blobs/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    ok(unlinkat(s.fd, name, 0) == 0);
    int fd = openat(s.fd, name, O_WRONLY | O_CREAT, 0444);
    ok(fd >= 0 && close(fd) == 0);
    (void) put(s.bs, "hello");
    ok(blob_read(s.bs, &sum, 100, &t, NULL) == 0);
    is_str(text_str(&t), "hello");
}

/* Past the page cache or not, in pieces of any size, with holes at both ends of a large part. */
TEST(large_blobs_are_what_was_given)
{
    enum { LARGE = (40 << 20) + 123 };
    static const struct {
        size_t piece, zeros_from, zeros_to;
    } cases[] = {
        { 65536, 0, 0 },
        { 100003, 20 << 20, 30 << 20 },
        { 4097, 0, 17 << 20 },
        { 1 << 20, (17 << 20) + 4096, LARGE },
        { LARGE, 18 << 20, 19 << 20 },
    };
    _cleanup_scratch_ struct scratch s = scratch_open();

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
        _cleanup_free_ char *bytes = malloc(LARGE), *back = malloc(LARGE);
        struct sha256 sum;
        int64_t size = 0;
        for (size_t i = 0; i < LARGE; i++)
            bytes[i] = i >= cases[c].zeros_from && i < cases[c].zeros_to
                           ? 0
                           : (char) (i * 31 + i / 997 + c);
        ok(blob_writer_new(s.bs, &w, NULL) == 0);
        for (size_t at = 0; at < LARGE; at += cases[c].piece) {
            size_t n = LARGE - at < cases[c].piece ? LARGE - at : cases[c].piece;
            ok(blob_writer_add(w, bytes + at, n, NULL) == 0);
        }
        ok(blob_writer_end(w, NULL, true, &sum, &size, NULL) == 0);
        ok(size == LARGE);
        struct sha256 expected = sha256_of(bytes, LARGE);
        ok(sha256_equal(&sum, &expected));
        _cleanup_close_ int fd = blob_open(s.bs, &sum, &size);
        ok(fd >= 0 && size == LARGE && read_full(fd, back, LARGE) == 0);
        ok(memcmp(bytes, back, LARGE) == 0);
    }
}

static struct blob_writer *resume(struct scratch *s, const struct blob_part *part, int expected)
{
    struct blob_writer *w = NULL;

    ok(blob_writer_resume(s->bs, part, &w, NULL) == expected);
    return w;
}

TEST(a_part_goes_on_where_it_was)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct blob_part part = { .project = id_new(), .sum = sha256_of("hello world", 11) };
    struct blob_part other = { .project = id_new(), .sum = part.sum };
    struct sha256 sum;

    ok(blob_part_size(s.bs, &part) == 0);
    struct blob_writer *w = resume(&s, &part, 0);
    ok(blob_writer_add(w, "hello xx", 8, NULL) == 0);
    (void) resume(&s, &part, -EBUSY);
    blob_writer_free(w);
    ok(blob_part_size(s.bs, &part) == 8 && blob_part_size(s.bs, &other) == 0);

    part.from = 9;
    (void) resume(&s, &part, -ESTALE);
    part.from = 6;
    w = resume(&s, &part, 0);
    ok(blob_writer_add(w, "world", 5, NULL) == 0);
    ok(blob_writer_end(w, &part.sum, true, &sum, NULL, NULL) == 0);
    blob_writer_free(w);
    ok(sha256_equal(&sum, &part.sum) && blob_has(s.bs, &sum));
    ok(entries(&s, "blobs/tmp") == 0);
}

TEST(a_part_that_is_wrong_is_dropped)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    const struct blob_part part = { .project = id_new(), .sum = sha256_of("hello", 5) };
    struct blob_writer *w = resume(&s, &part, 0);

    ok(blob_writer_add(w, "hellx", 5, NULL) == 0);
    ok(blob_writer_end(w, &part.sum, true, NULL, NULL, NULL) == -EBADMSG);
    blob_writer_free(w);
    ok(blob_part_size(s.bs, &part) == 0 && entries(&s, "blobs/tmp") == 0);
}

TEST(keeps_holes_and_hashes_them_as_zeros)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
    _cleanup_free_ char *bytes = calloc(1, 3 << 20);
    struct sha256 sum, expected;
    struct stat st;
    int64_t size;

    bytes[5000] = 'x';
    bytes[(1 << 20) + 1] = 'y';
    expected = sha256_of(bytes, 3 << 20);
    ok(blob_writer_new(s.bs, &w, NULL) == 0);
    for (size_t i = 0; i < 3 << 20; i += 100000) { /* pieces that no block size divides */
        size_t n = (3 << 20) - i < 100000 ? (3 << 20) - i : 100000;
        ok(blob_writer_add(w, bytes + i, n, NULL) == 0);
    }
    ok(blob_writer_end(w, &expected, true, &sum, &size, NULL) == 0);
    ok(size == 3 << 20);
    _cleanup_close_ int fd = blob_open(s.bs, &sum, &size);
    ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 3 << 20);
    ok(st.st_blocks * 512 < 1 << 20);
    _cleanup_text_ struct text back = { 0 };
    ok(blob_read(s.bs, &sum, 4 << 20, &back, NULL) == 0);
    ok(back.len == 3 << 20 && memcmp(back.data, bytes, back.len) == 0);
}

TEST(opening_sweeps_what_the_dead_left)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    struct blob_store *again = NULL;
    struct blob_writer *alive = NULL;
    char cmd[200];

    int fd = openat(s.fd, "blobs/tmp/tmp-dead", O_WRONLY | O_CREAT, 0600);
    ok(fd >= 0 && futimens(fd, old) == 0 && close(fd) == 0);
    ok(mkdirat(s.fd, "trees/tmp-dead", 0755) == 0);
    ok(utimensat(s.fd, "trees/tmp-dead", old, 0) == 0);
    fd = openat(s.fd, "blobs/tmp/tmp-young", O_WRONLY | O_CREAT, 0600);
    ok(fd >= 0 && close(fd) == 0);
    ok(blob_writer_new(s.bs, &alive, NULL) == 0);
    (void) snprintf(cmd, sizeof cmd, "touch -d @1000 $(ls -d %s/blobs/tmp/* | grep -v young)",
                    s.dir);
    ok(system(cmd) == 0);

    ok(blob_store_open(s.dir, &again, NULL) == 0);
    ok(entries(&s, "blobs/tmp") == 2); /* the young one and the one that is being written */
    ok(entries(&s, "trees") == 0);
    blob_store_close(again);
    blob_writer_free(alive);
}

/* Several processes bring the same and different blobs into one new store. */
TEST(processes_at_once)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    pid_t pids[4];

    for (int p = 0; p < 4; p++) {
        pids[p] = fork();
        if (pids[p] != 0)
            continue;
        struct blob_store *bs = NULL;
        char text[32];
        int bad = blob_store_open(s.dir, &bs, NULL) < 0;
        for (int i = 0; i < 60 && !bad; i++) {
            (void) snprintf(text, sizeof text, "%d", i % 2 ? i : i + 1000 * p);
            struct sha256 sum = put(bs, text);
            bad = !blob_has(bs, &sum);
        }
        _exit(bad || tap_failures);
    }
    for (int p = 0; p < 4; p++) {
        int status;
        ok(waitpid(pids[p], &status, 0) == pids[p] && status == 0);
    }
    for (int i = 1; i < 60; i += 2) {
        char text[32];
        (void) snprintf(text, sizeof text, "%d", i);
        struct sha256 sum = sha256_of(text, strlen(text));
        _cleanup_text_ struct text t = { 0 };
        ok(blob_read(s.bs, &sum, 100, &t, NULL) == 0);
        is_str(text_str(&t), text);
    }
    ok(entries(&s, "blobs/tmp") == 0);
}

TEST(state_that_is_not_there)
{
    struct blob_store *bs = NULL;
    struct error err;

    ok(blob_store_open("/nonexistent/berth", &bs, &err) == -ENOENT);
    is_str(err.text, "opening state directory /nonexistent/berth: No such file or directory");
}

TAP_MAIN
