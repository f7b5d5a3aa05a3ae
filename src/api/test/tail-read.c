#include "api/tail-read.h"
#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "task/task.h"
#include "tests/tap.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

/* STATE with tasks whose logs are written by hand. */
struct gang {
    char *state;
    size_t n;
    struct id *ids;
};

static void begin(struct gang *g, size_t n)
{
    char id[ID_TEXT_LEN + 1];

    *g = (struct gang){ .n = n, .ids = xnew_n(struct id, n) };
    if (mkdir_temporary("/tmp", "berth-tail", &g->state, NULL) < 0)
        abort();
    _cleanup_free_ char *attempts = xasprintf("%s/attempts", g->state);
    (void) mkdir(attempts, 0700);
    for (size_t i = 0; i < n; i++) {
        g->ids[i] = (struct id){ 0 };
        memcpy(g->ids[i].bytes, &i, sizeof i);
        g->ids[i].bytes[15] = 1;
        _cleanup_free_ char *dir = xasprintf("%s/%s", attempts, id_format(&g->ids[i], id));
        (void) mkdir(dir, 0700);
    }
}

static void end(struct gang *g)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", g->state);

    ok(system(command) == 0);
    free(g->state);
    free(g->ids);
}

/* A line that came at TIME_US; 0: less than a second after the one before. */
static void write_line(const struct gang *g, size_t rank, int64_t time_us, const char *text)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path =
        xasprintf("%s/attempts/%s/log", g->state, id_format(&g->ids[rank], id));
    _cleanup_free_ char *index_path = xasprintf("%s.idx", path);
    FILE *log = fopen(path, "a"), *index = fopen(index_path, "a");
    struct line_file f;

    line_file_open(path, VIEW_ALL, &f);
    const struct log_record record = { .offset = (uint64_t) f.size,
                                       .line = line_file_count(&f),
                                       .time_us = time_us };
    line_file_done(&f);
    uint8_t bytes[sizeof record];
    log_record_encode(&record, bytes);
    if (time_us)
        (void) fwrite(bytes, sizeof bytes, 1, index);
    (void) fprintf(log, "%s\n", text);
    (void) fclose(log);
    (void) fclose(index);
}

static struct tail_reader reader_of(const struct gang *g, bool merged)
{
    const struct tail_source all = { .last_lines = -1 };
    struct tail_reader t = { .file = "log", .merged = merged, .last = true };

    tail_reader_init(&t, g->state, &all, merged ? g->n : 1);
    return t;
}

static void read_all(struct tail_reader *t)
{
    while (t->due.len > 0)
        tail_read(t);
}

/* What comes after KEY in each event, with blanks between. */
static char *values_of(const struct tail_reader *t, const char *key, char stop)
{
    struct text all = { 0 };

    for (const char *at = text_str(&t->out); (at = strstr(at, key)); at++) {
        const char *value = at + strlen(key), *after = strchr(value, stop);
        text_addf(&all, "%s%.*s", all.len ? " " : "", (int) (after - value), value);
    }
    return text_take(&all);
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    (void) closedir(dir);
    return n;
}

TEST(lines_of_a_gang_come_in_the_order_of_time)
{
    struct gang g;

    begin(&g, 3);
    write_line(&g, 0, 1 * SECOND, "a");
    write_line(&g, 0, 9 * SECOND, "g");
    write_line(&g, 1, 2 * SECOND, "b");
    write_line(&g, 1, 0, "c");
    write_line(&g, 1, 5 * SECOND, "e");
    write_line(&g, 2, 4 * SECOND, "d");
    write_line(&g, 2, 6 * SECOND, "f");
    struct tail_reader t = reader_of(&g, true);
    tail_reader_begin(&t, 1, g.ids);
    read_all(&t);
    _cleanup_free_ char *texts = values_of(&t, "\"text\":\"", '"');
    is_str(texts, "a b c d e f g");
    ok(strstr(t.out.data, "id: 1:2.3.2\ndata: {\"rank\":0,\"line\":1,\"text\":\"g\"}"));
    ok(tail_reader_at_end(&t));

    /* What is added later: only that, and in its order. */
    text_clear(&t.out);
    write_line(&g, 0, 20 * SECOND, "i");
    write_line(&g, 2, 15 * SECOND, "h");
    tail_reader_add(&t, 0);
    tail_reader_add(&t, 2);
    tail_reader_add(&t, 1);
    read_all(&t);
    _cleanup_free_ char *more = values_of(&t, "\"text\":\"", '"');
    is_str(more, "h i");
    tail_reader_done(&t);
    end(&g);
}

TEST(it_goes_on_where_the_id_says)
{
    struct gang g;
    unsigned attempt = 0;

    begin(&g, 2);
    write_line(&g, 0, 1 * SECOND, "a");
    write_line(&g, 1, 2 * SECOND, "b");
    write_line(&g, 0, 3 * SECOND, "c");
    struct tail_reader t = reader_of(&g, true);
    ok(tail_reader_resume(&t, "4:1.1", &attempt) && attempt == 4);
    tail_reader_begin(&t, 4, g.ids);
    read_all(&t);
    _cleanup_free_ char *texts = values_of(&t, "\"text\":\"", '"');
    is_str(texts, "c");
    ok(!tail_reader_resume(&t, "4", &attempt));
    ok(!tail_reader_resume(&t, "4:1", &attempt));
    ok(!tail_reader_resume(&t, "4:x.y", &attempt));
    tail_reader_done(&t);

    struct tail_reader one = reader_of(&g, false);
    ok(tail_reader_resume(&one, "4:0", &attempt));
    tail_reader_begin(&one, 4, g.ids);
    read_all(&one);
    _cleanup_free_ char *rest = values_of(&one, "\"text\":\"", '"');
    is_str(rest, "c");
    tail_reader_done(&one);
    end(&g);
}

TEST(a_thousand_tasks_cost_no_descriptor_each)
{
    enum { N = 1000, LINES = 5 };
    struct gang g;
    char text[32];
    unsigned before = open_descriptors(), most = 0, pieces = 0;

    begin(&g, N);
    for (unsigned k = 0; k < LINES; k++)
        for (unsigned i = 0; i < N; i++) {
            (void) snprintf(text, sizeof text, "%u", k * N + i);
            write_line(&g, i, (1 + (int64_t) k * N + i) * SECOND, text);
        }
    struct tail_reader t = reader_of(&g, true);
    tail_reader_begin(&t, 1, g.ids);
    for (; t.due.len > 0; pieces++) {
        tail_read(&t);
        most = open_descriptors() > most ? open_descriptors() : most;
    }
    ok(most <= before);
    _cleanup_free_ char *lines = values_of(&t, "\"text\":\"", '"');
    long want = 0;
    for (char *at = lines; *at; want++)
        if (strtol(at, &at, 10) != want)
            break;
    ok(want == N * LINES);
    /* A place in each piece, not in each line. */
    _cleanup_free_ char *places = values_of(&t, "event: place\nid: 1", '\n');
    unsigned n_places = 0;
    for (const char *at = places; *at; at++)
        n_places += *at == ':';
    ok(n_places > 1 && n_places <= pieces + 1); /* one at the beginning */
    ok(strstr(places, ".5.4") && str_equal(places + strlen(places) - 4, ".5.5"));
    tail_reader_done(&t);
    end(&g);
}

/* What a machine that is not ours sent may lead anywhere. */
TEST(an_index_that_lies_loses_nothing)
{
    struct gang g;
    char id[ID_TEXT_LEN + 1];

    begin(&g, 2);
    write_line(&g, 0, 1 * SECOND, "first line");
    write_line(&g, 0, 0, "second line");
    write_line(&g, 1, 3 * SECOND, "other");
    _cleanup_free_ char *path =
        xasprintf("%s/attempts/%s/log.idx", g.state, id_format(&g.ids[0], id));
    FILE *index = fopen(path, "a");
    const struct log_record bad[] = { { .offset = 5, .line = 1, .time_us = 9 * SECOND },
                                      { .offset = 3, .line = 1, .time_us = 2 * SECOND },
                                      { .offset = 1 << 20, .line = 2, .time_us = 1 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[sizeof bad[i]];
        log_record_encode(&bad[i], bytes);
        (void) fwrite(bytes, sizeof bytes, 1, index);
    }
    (void) fclose(index);
    struct tail_reader t = reader_of(&g, true);
    tail_reader_begin(&t, 1, g.ids);
    read_all(&t);
    ok(strstr(t.out.data, "\"first line\""));
    ok(strstr(t.out.data, "\"second line\""));
    ok(strstr(t.out.data, "\"other\""));
    tail_reader_done(&t);
    end(&g);
}

TAP_MAIN
