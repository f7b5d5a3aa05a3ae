/* What every store promises, asked of each of them. */
#include "store/store.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/berth-store-XXXXXX";
static struct loop *loop;
static unsigned waiting;

__attribute__((constructor)) static void make_dir(void)
{
    if (!mkdtemp(dir))
        abort();
}

__attribute__((destructor)) static void remove_dir(void)
{
    (void) remove_tree(AT_FDCWD, dir, NULL);
}

static void settle(void)
{
    while (waiting)
        loop_once(loop, 1000);
}

static struct store *open_store(const char *url, struct store_state *state)
{
    struct store *s = NULL;
    struct error err = { 0 };
    int r = store_open(url, loop, &s, &err);
    if (r >= 0)
        r = store_load(s, state, &err);
    if (r < 0)
        printf("# %s\n", err.text);
    ok(r == 0);
    return s;
}

static void state_done(struct store_state *st)
{
    vec_foreach(&st->orgs, o)
        org_free(*o);
    vec_foreach(&st->projects, p)
        project_free(*p);
    vec_foreach(&st->keys, k)
        key_free(*k);
    vec_foreach(&st->secrets, s)
        secret_free(*s);
    vec_foreach(&st->workloads, w)
        workload_free(*w);
    vec_foreach(&st->tags, t)
        json_decref(t->record);
    vec_done(&st->tags);
    vec_foreach(&st->bookings, b)
        json_decref(b->record);
    vec_done(&st->bookings);
    vec_done(&st->orgs);
    vec_done(&st->projects);
    vec_done(&st->keys);
    vec_done(&st->secrets);
    vec_done(&st->workloads);
    vec_done(&st->outcomes);
}

static const struct id project = { { 1, 2, 3 } };

static struct event *make_event(const struct workload *w, enum workload_event type, json_t *data)
{
    struct event *e = xnew(struct event);
    *e = (struct event){ .id = id_new(),
                         .time_us = clock_now_us(),
                         .project = project,
                         .subject_kind = "job",
                         .subject = w ? w->id : id_new(),
                         .actor = xstrdup("key:test"),
                         .type = workload_event_name(type),
                         .version = 1,
                         .data = data };
    return e;
}

static json_t *submitted(const char *name, const char *tag)
{
    return json_pack("{s:s, s:{s:[s]}, s:{s:s}, s:i}", "name", name, "spec", "command", "true",
                     "tags", "kind", tag, "priority", 0);
}

static void fold(struct store_batch *batch, struct workload **w, enum workload_event type,
                 json_t *data)
{
    struct event *e = make_event(*w, type, data);
    struct error err = { 0 };
    if (workload_apply(w, e, &err) < 0)
        printf("# %s\n", err.text);
    store_add_event(batch, e);
}

static uint64_t last_seq;

static void committed(void *userdata, struct event *const *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ok(events[i]->seq > last_seq);
        last_seq = events[i]->seq;
    }
    waiting--;
}

static struct workload *submit(struct store *s, const char *name, const char *tag)
{
    struct store_batch *batch = store_batch_new();
    struct workload *w = NULL;
    fold(batch, &w, EVENT_SUBMITTED, submitted(name, tag));
    fold(batch, &w, EVENT_QUEUED, json_object());
    store_put_workload(batch, w);
    waiting++;
    store_commit(s, batch, committed, NULL);
    return w;
}

static char listed[4096];

static int differences;

static void note_difference(void *userdata, const char *text)
{
    printf("# %s\n", text);
    differences++;
}

static void take_names(void *userdata, int r, struct workload **items, size_t n,
                       const struct error *err)
{
    listed[0] = '\0';
    ok(r == 0);
    for (size_t i = 0; i < n; i++) {
        strcat(listed, items[i]->name);
        strcat(listed, " ");
    }
    waiting--;
}

static const char *list(struct store *s, struct workload_filter f)
{
    f.project = project;
    f.limit = f.limit ? f.limit : 100;
    waiting++;
    store_list_workloads(s, &f, take_names, NULL);
    settle();
    return listed;
}

static const char *find(struct store *s, const char *what)
{
    waiting++;
    store_find_workload(s, &project, what, take_names, NULL);
    settle();
    return listed;
}

static void stop(struct store *s, struct workload **w)
{
    struct store_batch *batch = store_batch_new();
    fold(batch, w, EVENT_STOPPED, json_object());
    store_put_workload(batch, *w);
    waiting++;
    store_commit(s, batch, committed, NULL);
}

static void lists_and_finds(const char *url)
{
    struct store_state state = { 0 };
    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);
    struct workload *a = submit(s, "alpha", "x"), *b = submit(s, "beta", "y"),
                    *c = submit(s, "alpine", "x");
    settle();
    ok(last_seq == 6);
    is_str(list(s, (struct workload_filter){ 0 }), "alpine beta alpha ");
    is_str(list(s, (struct workload_filter){ .limit = 2 }), "alpine beta ");
    is_str(list(s, (struct workload_filter){ .before = b->id }), "alpha ");
    is_str(list(s, (struct workload_filter){ .name = "alp*" }), "alpine alpha ");
    is_str(list(s, (struct workload_filter){ .name = "beta" }), "beta ");
    is_str(list(s, (struct workload_filter){ .tag_key = "kind", .tag_value = "x" }),
           "alpine alpha ");
    is_str(list(s, (struct workload_filter){ .tag_key = "kind" }), "alpine beta alpha ");
    is_str(list(s, (struct workload_filter){ .tag_key = "none" }), "");
    stop(s, &b);
    settle();
    is_str(list(s, (struct workload_filter){ .states = 1u << WORKLOAD_QUEUED }), "alpine alpha ");
    is_str(list(s, (struct workload_filter){ .states =
                                                 1u << WORKLOAD_STOPPED | 1u << WORKLOAD_QUEUED }),
           "alpine beta alpha ");
    is_str(list(s, (struct workload_filter){ .since_us = b->created_us }), "alpine beta ");
    is_str(list(s, (struct workload_filter){ .until_us = b->created_us }), "alpha ");
    char id[ID_TEXT_LEN + 1];
    is_str(find(s, id_format(&c->id, id)), "alpine ");
    is_str(find(s, "beta"), "beta ");
    is_str(find(s, "gamma"), "");
    uint64_t counts[WORKLOAD_STATE_MAX];
    store_count_states(s, counts);
    ok(counts[WORKLOAD_QUEUED] == 2 && counts[WORKLOAD_STOPPED] == 1);

    /* What is not final is loaded again, whole. */
    struct store_state again = { 0 };
    struct error err = { 0 };
    ok(store_load(s, &again, &err) == 0);
    ok(again.workloads.len == 2 && again.seq == last_seq);
    if (again.workloads.len == 2) {
        _cleanup_json_ json_t *one = workload_to_record(again.workloads.items[0]),
                              *two = workload_to_record(a);
        _cleanup_free_ char *x = json_canonical(one), *y = json_canonical(two);
        is_str(x, y);
    }
    state_done(&again);
    store_close(s);
    workload_free(a);
    workload_free(b);
    workload_free(c);
    state_done(&state);
    loop_once(loop, 0);
    loop_free(loop);
}

/* Job INDEX of the array of jobs 2, 5 and 7, whose id is *ARRAY; the first makes it. */
static struct workload *submit_one_of(struct store *s, unsigned index, struct id *array)
{
    char text[ID_TEXT_LEN + 1];
    _cleanup_free_ char *name = xasprintf("sweep_%u", index);
    struct store_batch *batch = store_batch_new();
    struct workload *w = NULL;
    json_t *data = submitted(name, "x"), *place = json_object();
    struct event *e = make_event(NULL, EVENT_SUBMITTED, data);
    struct error err = { 0 };

    if (index == 2)
        *array = e->subject;
    json_put_str(place, "id", id_format(array, text));
    json_put_int(place, "index", index);
    json_put_int(place, "count", 3);
    json_put(json_object_get(data, "spec"), "array", place);
    ok(workload_apply(&w, e, &err) == 0);
    store_add_event(batch, e);
    fold(batch, &w, EVENT_QUEUED, json_object());
    store_put_workload(batch, w);
    waiting++;
    store_commit(s, batch, committed, NULL);
    return w;
}

static void arrays_are_one(const char *url)
{
    const unsigned queued = 1u << WORKLOAD_QUEUED, stopped = 1u << WORKLOAD_STOPPED;
    struct store_state state = { 0 }, again = { 0 };
    struct error err = { 0 };
    struct id array;

    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);
    struct workload *alone = submit(s, "alone", "x");
    struct workload *jobs[] = { submit_one_of(s, 2, &array), submit_one_of(s, 5, &array),
                                submit_one_of(s, 7, &array) };
    settle();
    is_str(list(s, (struct workload_filter){ .whole_arrays = true }), "sweep_2 alone ");
    is_str(list(s, (struct workload_filter){ .array = array }), "sweep_7 sweep_5 sweep_2 ");
    is_str(list(s, (struct workload_filter){ .whole_arrays = true, .name = "sweep" }), "sweep_2 ");
    is_str(find(s, "sweep"), "sweep_2 ");
    is_str(find(s, "sweep_2"), "sweep_2 ");
    is_str(find(s, "sweep_7"), "sweep_7 ");
    is_str(find(s, "sweep_3"), "");
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *by_id = xasprintf("%s_5", id_format(&array, id));
    is_str(find(s, by_id), "sweep_5 ");
    stop(s, &jobs[1]);
    settle();
    is_str(list(s, (struct workload_filter){ .whole_arrays = true, .states = queued }),
           "sweep_2 alone ");
    is_str(list(s, (struct workload_filter){ .whole_arrays = true, .states = stopped }),
           "sweep_2 ");
    is_str(list(s, (struct workload_filter){ .whole_arrays = true,
                                             .states = stopped,
                                             .tag_key = "kind" }),
           "sweep_2 ");
    is_str(list(s, (struct workload_filter){ .array = array, .states = stopped }), "sweep_5 ");
    ok(store_load(s, &again, &err) == 0 && again.outcomes.len == 1);
    if (again.outcomes.len == 1)
        ok(id_equal(&again.outcomes.items[0].id, &array) && again.outcomes.items[0].n_bad == 1 &&
           again.outcomes.items[0].n_live == 2);
    differences = 0;
    ok(store_verify(s, note_difference, NULL, &err) == 0 && differences == 0);
    state_done(&again);
    store_close(s);
    workload_free(alone);
    for (size_t i = 0; i < 3; i++)
        workload_free(jobs[i]);
    state_done(&state);
    loop_once(loop, 0);
    loop_free(loop);
}

static struct leftover leftovers[8];
static size_t n_leftovers;

static void take_leftovers(void *userdata, int r, const struct leftover *items, size_t n,
                           const struct error *err)
{
    ok(r == 0 && n <= 8);
    n_leftovers = n;
    if (n)
        memcpy(leftovers, items, n * sizeof *items);
    waiting--;
}

static size_t list_leftovers(struct store *s, const struct leftover *after, unsigned limit)
{
    settle();
    waiting++;
    store_list_leftovers(s, after, limit, take_leftovers, NULL);
    settle();
    return n_leftovers;
}

static void deletion_leaves_a_list(const char *url)
{
    struct store_state state = { 0 };
    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);
    struct workload *w[2] = { submit(s, "one", "x"), submit(s, "two", "x") };

    for (int i = 0; i < 2; i++) {
        struct store_batch *batch = store_batch_new();
        stop(s, &w[i]);
        w[i]->attempt = xnew(struct attempt);
        *w[i]->attempt = (struct attempt){
            .id = id_new(), .workload = w[i]->id, .number = 1, .failed_rank = -1
        };
        w[i]->attempt->epoch = 1;
        w[i]->attempt->state = WORKLOAD_STOPPED;
        store_put_workload(batch, w[i]);
        store_delete_workload(batch, w[i], 7);
        waiting++;
        store_commit(s, batch, committed, NULL);
    }
    ok(list_leftovers(s, NULL, 8) == 4);
    ok(id_equal(&leftovers[0].workload, &w[0]->id) && id_is_none(&leftovers[0].attempt));
    ok(id_equal(&leftovers[1].attempt, &w[0]->attempt->id));
    ok(id_equal(&leftovers[3].attempt, &w[1]->attempt->id));
    ok(id_equal(&leftovers[3].project, &project));
    struct leftover first = leftovers[0], second = leftovers[1];
    ok(list_leftovers(s, &first, 2) == 2 && id_equal(&leftovers[0].attempt, &second.attempt));

    struct store_batch *batch = store_batch_new();
    store_delete_leftover(batch, &second);
    waiting++;
    store_commit(s, batch, committed, NULL);
    ok(list_leftovers(s, NULL, 8) == 3 && id_is_none(&leftovers[1].attempt));
    is_str(list(s, (struct workload_filter){ 0 }), "");
    workload_free(w[0]);
    workload_free(w[1]);
    store_close(s);
    loop_free(loop);
    state_done(&state);
}

TEST(sqlite_deletion_leaves_a_list)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/deletion.db", dir);
    deletion_leaves_a_list(url);
}

TEST(memory_deletion_leaves_a_list) { deletion_leaves_a_list("memory:"); }

TEST(sqlite_shows_arrays_as_one)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/arrays.db", dir);
    arrays_are_one(url);
}

TEST(memory_shows_arrays_as_one) { arrays_are_one("memory:"); }

TEST(sqlite_lists_and_finds)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/a.db", dir);
    lists_and_finds(url);
}

TEST(memory_lists_and_finds) { lists_and_finds("memory:"); }

/* ---- every filter, against a plain search ------------------------------------------------------ */

enum { MANY = 400 };

static bool matches(const struct workload *w, const struct workload_filter *f)
{
    size_t n = f->name ? strlen(f->name) : 0;
    const char *tag = f->tag_key ? json_get_str(w->tags, f->tag_key, NULL) : NULL;

    return (!f->states || f->states & 1u << w->state) &&
           (!n || (f->name[n - 1] == '*' ? strncmp(w->name, f->name, n - 1) == 0
                                         : strcmp(w->name, f->name) == 0)) &&
           (!f->tag_key || (tag && (!f->tag_value || strcmp(tag, f->tag_value) == 0))) &&
           (!f->since_us || w->created_us >= f->since_us) &&
           (!f->until_us || w->created_us < f->until_us) &&
           (id_is_none(&f->before) || id_compare(&w->id, &f->before) < 0);
}

static int newest_first(const void *a, const void *b)
{
    const struct workload *const *x = a, *const *y = b;
    return id_compare(&(*y)->id, &(*x)->id);
}

static const char *search(struct workload **all, const struct workload_filter *f)
{
    static char found[sizeof listed];
    unsigned n = 0;

    found[0] = '\0';
    for (int i = 0; i < MANY && n < f->limit; i++)
        if (matches(all[i], f)) {
            strcat(found, all[i]->name);
            strcat(found, " ");
            n++;
        }
    return found;
}

static unsigned dice(unsigned sides)
{
    static uint64_t x = 88172645463325252u; /* xorshift: the same in each run */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned) (x >> 33) % sides;
}

static struct workload_filter throw_filter(struct workload **all)
{
    static const char *const names[] = { "job-1*", "job-17", "other*", "*", "none*" };
    static const char *const values[] = { "a", "b", "zero" };
    struct workload_filter f = { .limit = 1 + dice(20) };

    if (dice(2))
        f.states = 1 + dice((1u << WORKLOAD_STATE_MAX) - 1);
    if (dice(3) == 0)
        f.states = 1u << WORKLOAD_STOPPED;
    if (dice(2))
        f.name = names[dice(5)];
    if (dice(2))
        f.tag_key = dice(8) ? "kind" : "none";
    if (f.tag_key && dice(2))
        f.tag_value = values[dice(3)];
    if (dice(4) == 0)
        f.since_us = all[dice(MANY)]->created_us;
    if (dice(4) == 0)
        f.until_us = all[dice(MANY)]->created_us;
    if (dice(4) == 0)
        f.before = all[dice(MANY)]->id;
    return f;
}

static void filters_agree(const char *url)
{
    struct store_state state = { 0 };
    struct workload *all[MANY];
    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);

    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-%d", i % 3 ? "job" : "other", i);
        all[i] = submit(s, name, i % 2 ? "a" : "b");
        if (i % 23 == 0)
            stop(s, &all[i]);
    }
    settle();
    qsort(all, MANY, sizeof all[0], newest_first);
    for (int i = 0; i < 500; i++) {
        struct workload_filter f = throw_filter(all);
        is_str(list(s, f), search(all, &f));
    }
    for (int i = 0; i < MANY; i++)
        workload_free(all[i]);
    struct error err = { 0 };
    ok(store_verify(s, note_difference, NULL, &err) == 0);
    store_close(s);
    state_done(&state);
    loop_free(loop);
}

TEST(sqlite_filters_agree_with_a_search)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/f.db", dir);
    filters_agree(url);
}

TEST(memory_filters_agree_with_a_search) { filters_agree("memory:"); }

static size_t tags_of(const struct store_state *state, const char *key)
{
    size_t n = 0;

    vec_foreach(&state->tags, t)
        n += json_object_get(t->record, key) != NULL;
    return n;
}

static void keeps_tags(const char *url)
{
    struct store_state before = { 0 }, after = { 0 };
    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &before);
    struct id subjects[] = { id_new(), id_new(), id_new() };
    _cleanup_json_ json_t *old = json_object(), *new = json_object();
    json_put_str(old, "old", "1");
    json_put_str(new, "new", "2");

    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < 3; i++)
        store_put_tags(batch, &subjects[i], old);
    store_put_tags(batch, &subjects[1], new);
    store_put_tags(batch, &subjects[2], NULL);
    waiting++;
    store_commit(s, batch, committed, NULL);
    settle();
    ok(store_load(s, &after, NULL) == 0);
    ok(after.tags.len == 2 && tags_of(&after, "old") == 1 && tags_of(&after, "new") == 1);
    state_done(&before);
    state_done(&after);
    store_close(s);
    loop_free(loop);
}

static void keeps_bookings(const char *url)
{
    struct store_state before = { 0 }, after = { 0 };
    struct id kept = id_new(), dropped = id_new();
    _cleanup_json_ json_t *record = json_object();
    struct store_batch *batch = store_batch_new();

    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &before);
    json_put_str(record, "name", "course");
    store_put_booking(batch, &kept, record);
    store_put_booking(batch, &dropped, record);
    store_put_booking(batch, &dropped, NULL);
    waiting++;
    store_commit(s, batch, committed, NULL);
    settle();
    ok(store_load(s, &after, NULL) == 0);
    ok(before.bookings.len == 0 && after.bookings.len == 1);
    ok(after.bookings.len == 1 && id_equal(&after.bookings.items[0].subject, &kept) &&
       json_equal(after.bookings.items[0].record, record));
    state_done(&before);
    state_done(&after);
    store_close(s);
    loop_free(loop);
}

TEST(sqlite_keeps_bookings)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/bookings.db", dir);
    keeps_bookings(url);
}

TEST(memory_keeps_bookings) { keeps_bookings("memory:"); }

TEST(sqlite_keeps_tags)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/tags.db", dir);
    keeps_tags(url);
}

TEST(memory_keeps_tags) { keeps_tags("memory:"); }

static void take_missing(void *userdata, int r, const struct sha256 *missing, size_t n,
                         const struct error *err)
{
    ok(r == 0);
    *(size_t *) userdata = n;
    waiting--;
}

static void take_answer(void *userdata, int r, const struct idempotent_answer *answer,
                        const struct error *err)
{
    ok(r == 0);
    snprintf(listed, sizeof listed, "%d %s", answer ? answer->status : 0,
             answer ? answer->body : "none");
    waiting--;
}

static void take_manifest(void *userdata, int r, struct manifest *m, const struct error *err)
{
    ok(r == 0);
    snprintf(listed, sizeof listed, "%s", m && m->n ? m->entries[0].path : "none");
    waiting--;
}

static void keeps_data(const char *url)
{
    struct store_state state = { 0 };
    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);
    struct sha256 sums[2] = { sha256_of("a", 1), sha256_of("b", 1) };
    struct error err = { 0 };
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    ok(manifest_add(m, "dir/file", &sums[0], 1, false, NULL, &err) == 0);
    ok(manifest_seal(m, &err) == 0);
    size_t len;
    _cleanup_free_ char *bytes = manifest_format(m, &len);
    struct sha256 name = sha256_of(bytes, len);

    struct store_batch *batch = store_batch_new();
    store_put_blob_refs(batch, &project, sums, 1, 5);
    store_put_manifest(batch, &project, &name, bytes, len, 5);
    struct idempotent_answer answer = {
        .scope = (char[]){ "p/jobs/k" }, .status = 201, .body = (char[]){ "{}" }, .created_us = 7
    };
    store_put_answer(batch, &answer);
    waiting++;
    store_commit(s, batch, committed, NULL);

    size_t missing = 9;
    waiting++;
    store_missing_blobs(s, &project, sums, 2, take_missing, &missing);
    settle();
    ok(missing <= 2);
    waiting++;
    store_missing_blobs(s, &project, sums, 2, take_missing, &missing);
    settle();
    ok(missing == 1);
    /* What one project has sent is not there for another. */
    struct id other = { { 9 } };
    waiting++;
    store_missing_blobs(s, &other, sums, 2, take_missing, &missing);
    settle();
    ok(missing == 2);
    waiting++;
    store_get_manifest(s, &project, &name, take_manifest, NULL);
    settle();
    is_str(listed, "dir/file");
    waiting++;
    store_get_manifest(s, &other, &name, take_manifest, NULL);
    settle();
    is_str(listed, "none");
    waiting++;
    store_get_answer(s, "p/jobs/k", take_answer, NULL);
    settle();
    is_str(listed, "201 {}");
    batch = store_batch_new();
    store_delete_answers_before(batch, 8);
    waiting++;
    store_commit(s, batch, committed, NULL);
    settle();
    waiting++;
    store_get_answer(s, "p/jobs/k", take_answer, NULL);
    settle();
    is_str(listed, "0 none");
    store_close(s);
    state_done(&state);
    loop_free(loop);
}

TEST(sqlite_keeps_data)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/b.db", dir);
    keeps_data(url);
}

TEST(memory_keeps_data) { keeps_data("memory:"); }

TEST(two_servers_cannot_open_one_database_and_a_newer_one_is_refused)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/c.db", dir);
    struct error err = { 0 };
    struct store *one = NULL, *two = NULL;
    loop = loop_new();
    ok(store_open(url, loop, &one, &err) == 0);
    ok(store_open(url, loop, &two, &err) == -EBUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int) getpid());
    ok(strstr(err.text, pid));
    store_close(one);
    _cleanup_free_ char *command = xasprintf("sqlite3 %s/c.db 'PRAGMA user_version=99'", dir);
    if (system(command) == 0) {
        ok(store_open(url, loop, &two, &err) == -EPROTONOSUPPORT);
        ok(strstr(err.text, "newer"));
    }
    loop_free(loop);
}

/* ---- what was acknowledged survives SIGKILL ----------------------------------------------------- */

static void report(void *userdata, struct event *const *events, size_t n)
{
    int fd = *(int *) userdata;
    for (size_t i = 0; i < n; i++)
        (void) !write(fd, &events[i]->seq, sizeof events[i]->seq);
    waiting--;
}

static void write_for_ever(const char *url, int fd)
{
    struct store_state state = { 0 };
    struct error err;
    struct store *s = NULL;
    loop = loop_new();
    if (store_open(url, loop, &s, &err) < 0 || store_load(s, &state, &err) < 0)
        _exit(1);
    for (;;) {
        struct store_batch *batch = store_batch_new();
        struct workload *w = NULL;
        fold(batch, &w, EVENT_SUBMITTED, submitted("victim", "t"));
        fold(batch, &w, EVENT_QUEUED, json_object());
        store_put_workload(batch, w);
        workload_free(w);
        waiting++;
        store_commit(s, batch, report, &fd);
        while (waiting > 20)
            loop_once(loop, 1000);
    }
}

TEST(what_was_acknowledged_survives_kill)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/d.db", dir);
    uint64_t acknowledged = 0;

    for (int round = 0; round < 50; round++) {
        int p[2];
        ok(pipe2(p, O_CLOEXEC) == 0);
        pid_t pid = fork();
        if (pid == 0)
            write_for_ever(url, p[1]);
        close(p[1]);
        uint64_t seq;
        for (int i = 0; i < 1 + 37 * round % 200 && read(p[0], &seq, sizeof seq) > 0; i++)
            acknowledged = seq;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(p[0], &seq, sizeof seq) > 0)
            acknowledged = seq;
        close(p[0]);
        loop = loop_new();
        struct store_state state = { 0 };
        struct store *s = open_store(url, &state);
        ok(state.seq >= acknowledged);
        ok(state.workloads.len * 2 == state.seq);
        struct error err = { 0 };
        if (round % 10 == 9)
            ok(store_verify(s, note_difference, NULL, &err) == 0);
        store_close(s);
        state_done(&state);
        loop_free(loop);
    }
    ok(acknowledged > 0);
    ok(differences == 0);
}

/* ---- a full disk -------------------------------------------------------------------------------- */

static void fill_disk(const char *path)
{
    static const char zeros[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    while (write(fd, zeros, 512) > 0)
        ;
    close(fd);
}

static struct store_health health_of(struct store *s)
{
    struct store_health health;
    store_health(s, &health);
    return health;
}

static unsigned n_submitted;

static void submit_one(struct store *s)
{
    workload_free(submit(s, "one", "x"));
    n_submitted++;
}

/* What the write-ahead log has room for is written without asking for more: several may pass. */
static void use_up_reserve(struct store *s, const char *filler)
{
    while (!health_of(s).reserve_low) {
        fill_disk(filler);
        submit_one(s);
        settle();
    }
}

static void submit_until_refused(struct store *s, const char *filler)
{
    do {
        fill_disk(filler);
        submit_one(s);
        while (waiting && !health_of(s).failing)
            loop_once(loop, 100);
    } while (!waiting);
}

TEST(a_full_disk_is_survived)
{
    _cleanup_free_ char *mount_point = xasprintf("%s/small", dir);
    _cleanup_free_ char *url = xasprintf("sqlite:%s/e.db", mount_point);
    _cleanup_free_ char *filler = xasprintf("%s/filler", mount_point);
    struct store_state state = { 0 };

    ok(mkdir(mount_point, 0700) == 0);
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=150m") < 0) {
        printf("# not root: skipped\n");
        return;
    }
    loop = loop_new();
    last_seq = n_submitted = 0;
    struct store *s = open_store(url, &state);
    submit_one(s);
    settle();
    ok(!health_of(s).reserve_low);

    /* Full: the reserve is given up for what runs, and new work is to be refused. */
    use_up_reserve(s, filler);
    ok(last_seq == 2 * n_submitted);

    /* Full again, without a reserve: the store waits and says so. */
    submit_until_refused(s, filler);
    ok(health_of(s).failing && health_of(s).text[0]);
    ok(waiting == 1 && last_seq == 2 * (n_submitted - 1));

    /* Room: everything goes on, and the reserve is taken again. */
    ok(unlink(filler) == 0);
    settle();
    ok(last_seq == 2 * n_submitted && !health_of(s).failing);
    while (health_of(s).reserve_low)
        loop_once(loop, 100);
    struct error err = { 0 };
    ok(store_verify(s, note_difference, NULL, &err) == 0);

    /* What cannot be written is given up at the end, and was not answered. */
    use_up_reserve(s, filler);
    submit_until_refused(s, filler);
    store_close(s);
    ok(waiting == 1);
    waiting = 0;
    state_done(&state);
    loop_free(loop);
    ok(umount(mount_point) == 0);
}

TEST(a_backup_is_a_store_of_its_own)
{
    _cleanup_free_ char *url = xasprintf("sqlite:%s/g.db", dir);
    _cleanup_free_ char *to = xasprintf("%s/copy.db", dir);
    _cleanup_free_ char *copy = xasprintf("sqlite:%s", to);
    struct store_state state = { 0 }, copied = { 0 };
    struct error err = { 0 };
    struct stat st;

    loop = loop_new();
    last_seq = 0;
    struct store *s = open_store(url, &state);
    workload_free(submit(s, "alpha", "x"));
    settle();
    ok(store_backup(url, to, &err) == 0);
    ok(store_backup(url, to, &err) == -EEXIST);
    ok(stat(to, &st) == 0 && (st.st_mode & 0777) == 0600);
    workload_free(submit(s, "beta", "x"));
    settle();
    struct store *other = open_store(copy, &copied);
    is_str(list(other, (struct workload_filter){ 0 }), "alpha ");
    ok(store_verify(other, note_difference, NULL, &err) == 0);
    store_close(other);
    store_close(s);
    state_done(&state);
    state_done(&copied);
    loop_free(loop);
}

TAP_MAIN
