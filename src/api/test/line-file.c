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

    line_file_open(path, VIEW_ALL, &f);
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

/* What came, piece by piece: to stdout in small letters, to stderr in capitals. */
static char *make_streams(const char *const *pieces, uint8_t flags)
{
    if (!mkdtemp(dir))
        abort();
    char *path = xasprintf("%s/log", dir);
    _cleanup_free_ char *index_path = xasprintf("%s.idx", path);
    FILE *log = fopen(path, "w"), *index = fopen(index_path, "w");
    uint64_t line = 0;
    bool mid_line = false;

    for (; *pieces; pieces++) {
        const char *s = *pieces;
        struct log_record record = {
            .offset = (uint64_t) ftell(log),
            .line = line,
            .time_us = 1,
            .stream = *s < 'a' ? LOG_STDERR : LOG_STDOUT,
            .flags = (uint8_t) (flags | (mid_line ? LOG_RECORD_MID_LINE : 0)),
        };
        (void) fwrite(&record, sizeof record, 1, index);
        (void) fputs(s, log);
        for (; *s; s++)
            line += *s == '\n';
        mid_line = s[-1] != '\n';
    }
    (void) fclose(log);
    (void) fclose(index);
    return path;
}

static void check_view(const char *path, enum line_view view, const char *want, uint64_t lines)
{
    struct line_file f;
    char got[64];

    line_file_open(path, view, &f);
    ok(f.size == (int64_t) strlen(want));
    ok(line_file_count(&f) == lines);
    for (size_t from = 0; from <= strlen(want); from++) {
        ssize_t n = line_file_read(&f, got, sizeof got - 1, (int64_t) from);
        got[n > 0 ? n : 0] = '\0';
        is_str(got, want + from);
    }
    for (uint64_t line = 0; line < lines; line++) {
        int64_t at = line_file_find(&f, line);
        ok(at == 0 ? line == 0 : want[at - 1] == '\n');
    }
    line_file_done(&f);
}

static const char *const spoken[] = { "a", "B\n", "c\nx", "E", "F\nG", "h\n", "I", NULL };

TEST(streams_are_told_apart)
{
    char *path = make_streams(spoken, LOG_RECORD_EXACT);

    check_view(path, VIEW_ALL, "aB\nc\nxEF\nGh\nI", 5);
    check_view(path, VIEW_STDOUT, "ac\nxh\n", 2);
    check_view(path, VIEW_STDERR, "B\nEF\nGI", 3);
    remove_log(path);
}

TEST(of_an_index_of_old_all_is_stdout)
{
    char *path = make_streams(spoken, 0);

    check_view(path, VIEW_STDOUT, "aB\nc\nxEF\nGh\nI", 5);
    check_view(path, VIEW_STDERR, "", 0);
    remove_log(path);
}

TEST(a_stream_goes_on_as_the_file_grows)
{
    char *path = make_streams(spoken, LOG_RECORD_EXACT), got[8] = "";
    struct line_file f;

    line_file_open(path, VIEW_STDERR, &f);
    FILE *log = fopen(path, "a");
    (void) fputs("J", log);
    (void) fclose(log);
    ok(line_file_read(&f, got, sizeof got - 1, f.size) == 1);
    is_str(got, "J");
    line_file_done(&f);
    remove_log(path);
}

TEST(no_file_has_no_lines)
{
    struct line_file f;

    line_file_open("/nonexistent/log", VIEW_ALL, &f);
    ok(line_file_count(&f) == 0);
    ok(line_file_find(&f, 7) == 0);
    line_file_done(&f);
}

TAP_MAIN
