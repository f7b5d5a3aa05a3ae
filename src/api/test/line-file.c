#include "api/internal.h"

#include "base/alloc.h"
#include "task/task.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/berth-lines-XXXXXX";

/* 5,000 lines "line N", every 100th in the index; the last without its line feed. */
static char *make_log(bool with_index)
{
    if (!mkdtemp(dir))
        abort();
    char *path = xasprintf("%s/log", dir);
    _cleanup_free_ char *index_path = xasprintf("%s.idx", path);
    FILE *log = fopen(path, "w"), *index = with_index ? fopen(index_path, "w") : NULL;

    for (unsigned i = 0; i < 5000; i++) {
        const struct log_record record = { .offset = (uint64_t) ftell(log), .line = i };
        if (index && i % 100 == 0)
            (void) fwrite(&record, sizeof record, 1, index);
        (void) fprintf(log, "line %u%s", i, i < 4999 ? "\n" : "");
    }
    (void) fclose(log);
    if (index)
        (void) fclose(index);
    return path;
}

static void remove_log(char *path)
{
    _cleanup_free_ char *index_path = xasprintf("%s.idx", path);

    (void) unlink(path);
    (void) unlink(index_path);
    (void) rmdir(dir);
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    free(path);
}

static void check(bool with_index)
{
    char *path = make_log(with_index);
    struct line_file f;

    line_file_open(path, &f);
    ok(line_file_count(&f) == 5000);
    ok(line_file_find(&f, 0) == 0);
    ok(line_file_find(&f, 5000) == f.size);
    ok(line_file_find(&f, 1u << 30) == f.size);
    for (unsigned i = 0; i < 5000; i += 77) {
        char buf[32] = { 0 }, want[32];
        (void) snprintf(want, sizeof want, "line %u\n", i);
        ok(pread(f.fd, buf, strlen(want), line_file_find(&f, i)) > 0);
        is_str(buf, want);
    }
    line_file_done(&f);
    remove_log(path);
}

TEST(lines_by_the_index) { check(true); }

TEST(lines_without_an_index) { check(false); }

TEST(no_file_has_no_lines)
{
    struct line_file f;

    line_file_open("/nonexistent/log", &f);
    ok(line_file_count(&f) == 0);
    ok(line_file_find(&f, 7) == 0);
    line_file_done(&f);
}

TAP_MAIN
