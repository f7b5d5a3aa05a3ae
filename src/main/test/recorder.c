/* A record ends where it would be too large or the disk is full, and is as whole until there as if it went on. */
#include "main/recorder.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LINES = 200 };

/* "line 7", a newline. */
static const char *line_of(unsigned i)
{
    static char line[32];

    (void) snprintf(line, sizeof line, "line %03u\n", i);
    return line;
}

/* LINES lines into a file of at most BYTES_MAX, on a disk that takes DISK_BYTES; what the file holds then. */
static char *record(int64_t bytes_max, rlim_t disk_bytes)
{
    _cleanup_free_ char *directory = NULL;
    _cleanup_(text_done) struct text text = { 0 };
    struct loop *loop = loop_new();
    struct pool *pool = pool_new(loop, 1);
    struct recorder *recorder = NULL;
    struct rlimit before;

    ok(mkdir_temporary("/tmp", "berth-recorder", &directory, NULL) == 0);
    _cleanup_free_ char *path = xasprintf("%s/record.jsonl", directory);
    (void) getrlimit(RLIMIT_FSIZE, &before);
    (void) setrlimit(RLIMIT_FSIZE, &(struct rlimit){ disk_bytes, before.rlim_max });
    ok(recorder_open(directory, bytes_max, pool, &recorder, NULL) == 0);
    for (unsigned i = 0; i < LINES; i++) {
        recorder_line(recorder, line_of(i), strlen(line_of(i)));
        if (i % 7 == 0)
            while (pool_backlog(pool) > 0)
                loop_once(loop, 100);
    }
    pool_free(pool);
    loop_once(loop, 0);
    recorder_close(recorder);
    loop_free(loop);
    (void) setrlimit(RLIMIT_FSIZE, &before);
    ok(file_read(AT_FDCWD, path, 1 << 20, &text, NULL) == 0);
    (void) unlink(path);
    (void) rmdir(directory);
    return xstrdup(text_str(&text));
}

/* The lines from the first on without a hole; the last may be torn. Returns how many are whole. */
static unsigned check_lines(const char *text)
{
    unsigned n = 0;

    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        const char *line = line_of(n++);
        ok(strncmp(text, line, strlen(line)) == 0);
    }
    ok(strncmp(line_of(n), text, strlen(text)) == 0);
    return n;
}

TEST(all_is_written)
{
    _cleanup_free_ char *text = record(RECORDER_BYTES_MAX, RLIM_INFINITY);

    ok(check_lines(text) == LINES);
}

TEST(a_record_that_would_be_too_large_ends)
{
    _cleanup_free_ char *text = record(100, RLIM_INFINITY);

    ok(check_lines(text) == 11 && strlen(text) == 99);
}

TEST(a_disk_that_is_full_ends_it)
{
    (void) signal(SIGXFSZ, SIG_IGN);
    _cleanup_free_ char *text = record(RECORDER_BYTES_MAX, 500);

    ok(check_lines(text) == 55 && strlen(text) == 500);
}

TAP_MAIN
