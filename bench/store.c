/* store.c - what the store writes durably a second, and how a million finished jobs weigh on it
 *
 *     bench-store write DIR JOBS    fills DIR/jobs.db
 *     bench-store read DIR
 *
 * Prints NAME VALUE lines; bench/store makes rows of them. Two processes, so that memory and loading
 * are those of one that has just started.
 */
#include "store/store.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct id project = { { 1, 2, 3 } };

struct bench {
    struct loop *loop;
    struct store *store;
    unsigned waiting;
    uint64_t made, rows;
    uint64_t stop_at;   /* jobs */
    int64_t stop_at_us; /* boot time; 0: none */
    bool whole_lives;   /* jobs with all of their events, or submits alone */
};

static void die(const struct error *err)
{
    fprintf(stderr, "bench-store: %s\n", err->text);
    exit(1);
}

static void open_bench(struct bench *b, const char *url, struct store_state *state)
{
    struct error err = { 0 };

    b->loop = loop_new();
    if (store_open(url, b->loop, &b->store, &err) < 0 || store_load(b->store, state, &err) < 0)
        die(&err);
}

static void close_bench(struct bench *b)
{
    store_close(b->store);
    loop_free(b->loop);
}

/* ---- jobs --------------------------------------------------------------------------------------- */

static void fold(struct bench *b, struct store_batch *batch, struct workload **w,
                 enum workload_event type, json_t *data)
{
    struct event *e = xnew(struct event);
    struct error err = { 0 };

    *e = (struct event){ .id = id_new(),
                         .time_us = clock_now_us(),
                         .project = project,
                         .subject_kind = "job",
                         .subject = *w ? (*w)->id : id_new(),
                         .actor = xstrdup("key:bench"),
                         .type = workload_event_name(type),
                         .version = 1,
                         .data = data };
    if (workload_apply(w, e, &err) < 0)
        die(&err);
    store_add_event(batch, e);
    b->rows++;
}

static json_t *submitted(uint64_t i)
{
    static const char *const stems[] = { "train", "eval", "tokenize", "export" };
    char name[64], team[16];

    (void) snprintf(name, sizeof name, "%s-%llu", stems[i % 4], (unsigned long long) i);
    (void) snprintf(team, sizeof team, "team-%llu", (unsigned long long) (i % 50));
    return json_pack("{s:s, s:{s:s, s:[s,s,s], s:i, s:I, s:{s:s}}, s:{s:s}, s:i}", "name", name,
                     "spec", "image", "host", "command", "python3", "train.py", "--epochs=3",
                     "cpus", 1, "memory", (json_int_t) 2 << 30, "env", "WANDB_MODE", "offline",
                     "tags", "team", team, "priority", 0);
}

static json_t *starting(void)
{
    char text[ID_TEXT_LEN + 1];
    struct id id = id_new();

    return json_pack("{s:s, s:i, s:i, s:{s:s, s:s, s:s, s:I, s:I}, s:{s:s, s:s}}", "attempt",
                     id_format(&id, text), "number", 1, "epoch", 1, "allocation", "node", "node-1",
                     "cpus", "2-3", "mems", "0", "memory", (json_int_t) 2 << 30, "disk",
                     (json_int_t) 10 << 30, "record", "image",
                     "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
                     "berth", "0.1.0");
}

/* One in 50 fails, one in 1000 was stopped. */
static void live_and_end(struct bench *b, struct store_batch *batch, struct workload **w,
                         uint64_t i)
{
    bool failed = i % 50 == 7;
    int64_t now = clock_now_us();

    fold(b, batch, w, EVENT_STARTING, starting());
    fold(b, batch, w, EVENT_RUNNING,
         json_pack("{s:I, s:{s:s}}", "started_us", (json_int_t) now, "evidence", "cpus", "2-3"));
    fold(b, batch, w, EVENT_ENDED,
         json_pack("{s:s, s:i, s:I}", "cause", "exited", "exit_code", failed ? 1 : 0, "ended_us",
                   (json_int_t) now));
    fold(b, batch, w, failed ? EVENT_FAILED : EVENT_SUCCEEDED, json_object());
    b->rows++; /* the attempt */
}

static void make_job(struct bench *b);

static void committed(void *userdata, struct event *const *events, size_t n)
{
    struct bench *b = userdata;

    b->waiting--;
    if (b->made < b->stop_at && (!b->stop_at_us || clock_boot_us() < b->stop_at_us))
        make_job(b);
}

static void make_job(struct bench *b)
{
    struct store_batch *batch = store_batch_new();
    struct workload *w = NULL;
    uint64_t i = b->made++;

    fold(b, batch, &w, EVENT_SUBMITTED, submitted(i));
    fold(b, batch, &w, EVENT_QUEUED, json_object());
    if (b->whole_lives)
        live_and_end(b, batch, &w, i);
    store_put_workload(batch, w);
    b->rows += 2; /* with its tag */
    workload_free(w);
    b->waiting++;
    store_commit(b->store, batch, committed, b);
}

static void produce(struct bench *b, unsigned producers)
{
    for (unsigned i = 0; i < producers; i++)
        make_job(b);
    while (b->waiting)
        loop_once(b->loop, 1000);
}

static void measure_writes(const char *dir, unsigned producers)
{
    enum { SECONDS = 3 };
    _cleanup_free_ char *url = xasprintf("sqlite:%s/writes-%u.db", dir, producers);
    struct store_state state = { 0 };
    struct bench b = { .stop_at = UINT64_MAX };

    open_bench(&b, url, &state);
    int64_t began = clock_boot_us();
    b.stop_at_us = began + SECONDS * 1000000;
    produce(&b, producers);
    double seconds = (double) (clock_boot_us() - began) / 1e6;
    printf("rows_%u %.0f\nsubmits_%u %.0f\n", producers, (double) b.rows / seconds, producers,
           (double) b.made / seconds);
    close_bench(&b);
}

static void fill(const char *url, uint64_t jobs)
{
    struct store_state state = { 0 };
    struct bench b = { .stop_at = jobs, .whole_lives = true };

    open_bench(&b, url, &state);
    produce(&b, 1000);
    close_bench(&b);
}

/* ---- lists -------------------------------------------------------------------------------------- */

static void listed(void *userdata, int r, struct workload **items, size_t n,
                   const struct error *err)
{
    struct bench *b = userdata;

    if (r < 0)
        die(err);
    b->rows = n;
    b->waiting--;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void measure_list(struct bench *b, const char *name, struct workload_filter filter)
{
    enum { ROUNDS = 200 };
    int64_t took[ROUNDS];

    filter.project = project;
    filter.limit = 100;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = clock_boot_us();
        b->waiting++;
        store_list_workloads(b->store, &filter, listed, b);
        while (b->waiting)
            loop_once(b->loop, 1000);
        took[i] = clock_boot_us() - began;
    }
    qsort(took, ROUNDS, sizeof took[0], by_size);
    printf("list_%s_p99 %.2f\nlist_%s_median %.2f\nlist_%s_items %llu\n", name,
           (double) took[ROUNDS * 99 / 100] / 1000, name, (double) took[ROUNDS / 2] / 1000, name,
           (unsigned long long) b->rows);
}

static long status_kb(const char *key)
{
    _cleanup_text_ struct text text = { 0 };

    if (file_read(AT_FDCWD, "/proc/self/status", 65536, &text, NULL) < 0)
        return 0;
    const char *line = strstr(text_str(&text), key);
    return line ? strtol(line + strlen(key), NULL, 10) : 0;
}

static void measure_reads(const char *url)
{
    struct store_state state = { 0 };
    struct bench b = { 0 };
    int64_t began = clock_boot_us();

    open_bench(&b, url, &state);
    printf("load_ms %.1f\n", (double) (clock_boot_us() - began) / 1000);
    measure_list(&b, "all", (struct workload_filter){ 0 });
    measure_list(&b, "common-state",
                 (struct workload_filter){ .states = 1u << WORKLOAD_SUCCEEDED });
    measure_list(&b, "rare-state", (struct workload_filter){ .states = 1u << WORKLOAD_FAILED });
    measure_list(&b, "no-such-state", (struct workload_filter){ .states = 1u << WORKLOAD_RUNNING });
    measure_list(&b, "tag", (struct workload_filter){ .tag_key = "team", .tag_value = "team-7" });
    measure_list(&b, "tag-key", (struct workload_filter){ .tag_key = "team" });
    measure_list(&b, "tag-and-state",
                 (struct workload_filter){
                     .tag_key = "team", .tag_value = "team-8", .states = 1u << WORKLOAD_FAILED });
    measure_list(&b, "name", (struct workload_filter){ .name = "train-4000" });
    measure_list(&b, "few-names", (struct workload_filter){ .name = "train-40*" });
    measure_list(&b, "many-names", (struct workload_filter){ .name = "export-*" });
    measure_list(&b, "name-and-state",
                 (struct workload_filter){ .name = "export-*", .states = 1u << WORKLOAD_FAILED });
    measure_list(&b, "since", (struct workload_filter){ .since_us = clock_now_us() - 60000000 });
    measure_list(&b, "until", (struct workload_filter){ .until_us = clock_now_us() - 10000000 });
    printf("memory_mb %.1f\n", (double) status_kb("VmHWM:") / 1024);
    close_bench(&b);
}

int main(int argc, char **argv)
{
    bool writes = argc == 4 && strcmp(argv[1], "write") == 0;

    if (!writes && !(argc == 3 && strcmp(argv[1], "read") == 0)) {
        fprintf(stderr, "usage: bench-store write DIR JOBS | read DIR\n");
        return 2;
    }
    _cleanup_free_ char *url = xasprintf("sqlite:%s/jobs.db", argv[2]);
    if (writes) {
        measure_writes(argv[2], 16);
        measure_writes(argv[2], 256);
        fill(url, strtoull(argv[3], NULL, 10));
    } else {
        measure_reads(url);
    }
    return 0;
}
