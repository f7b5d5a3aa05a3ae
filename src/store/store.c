/* store.c - threads and queues around a backend: group commit, readers, answers in order */
#include "store/internal.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { READERS_MAX = 4, RETRY_MS = 200, TRIES_AT_CLOSE = 10, LATER_US = 5000 };

struct reader {
    struct store *store;
    unsigned number;
    pthread_t thread;
};

/* What the loop has asked for in this round, not yet given to a thread. */
struct outbox {
    struct message *first, **last;
};

struct store {
    const struct backend_ops *ops;
    struct backend *backend;
    struct reserve *reserve; /* NULL: the backend has no file */
    struct queue *writes;    /* batches, and queries when there are no readers */
    struct queue *reads;
    struct queue *results;
    struct watch *watch;
    struct loop *loop;
    struct watch *later;   /* a timer: what nobody waits for has waited long enough */
    bool flush_is_pending; /* at the end of this round */
    struct outbox to_write, to_read;
    pthread_t writer;
    bool writer_runs;
    struct reader readers[READERS_MAX];
    unsigned n_readers;
    uint64_t seq;         /* the writer's */
    int64_t last_time_us; /* the writer's: times never run backwards */
    /* The loop's copies, refreshed with each answer. */
    struct store_health health;
    uint64_t counts[WORKLOAD_STATE_MAX];
    size_t backlog;
    int64_t refresh_us;
};

/* What comes back to the loop. */
enum result_kind { RESULT_COMMITTED, RESULT_QUERY, RESULT_HEALTH };

struct result {
    struct message message;
    enum result_kind kind;
    struct store_batch *batch;
    struct query *query;
    struct store_health health;
    uint64_t counts[WORKLOAD_STATE_MAX];
};

/* ---- the writer's thread ---------------------------------------------------------------------- */

static void stamp(struct store *s, struct store_batch *batch)
{
    vec_foreach(&batch->ops, op) {
        if (op->kind != OP_EVENT)
            continue;
        op->event->seq = ++s->seq;
        if (op->event->time_us < s->last_time_us)
            op->event->time_us = s->last_time_us;
        s->last_time_us = op->event->time_us;
    }
}

static int write_batch(struct store *s, struct store_batch *batch, struct error *err)
{
    stamp(s, batch);
    vec_foreach(&batch->ops, op) {
        int r = s->ops->apply(s->backend, op, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One transaction around all BATCHES (a list of messages). */
static int write_all(struct store *s, struct message *batches, struct error *err)
{
    uint64_t seq = s->seq;
    int64_t last = s->last_time_us;
    int r = s->ops->begin(s->backend, err);

    for (struct message *m = batches; m && r >= 0; m = m->next)
        r = write_batch(s, (struct store_batch *) m, err);
    if (r >= 0)
        r = s->ops->commit(s->backend, err);
    if (r < 0) {
        s->ops->rollback(s->backend);
        s->seq = seq;
        s->last_time_us = last;
    }
    return r;
}

static void look_at_disk(struct store *s, struct store_health *health)
{
    if (!s->reserve)
        return;
    health->disk_free_bytes = reserve_disk_free(s->reserve);
    health->reserve_low = !reserve_restore(s->reserve);
}

static struct result *result_new(struct store *s, enum result_kind kind)
{
    struct result *result = xnew(struct result);
    result->kind = kind;
    result->health.seq = s->seq;
    look_at_disk(s, &result->health);
    return result;
}

static void report_failure(struct store *s, const struct error *err)
{
    struct result *result = result_new(s, RESULT_HEALTH);
    result->health.failing = true;
    memcpy(result->health.text, err->text, sizeof result->health.text);
    queue_push(s->results, &result->message);
}

/* Tries until it works: an event that was acted upon in memory is not forgotten. The reserve is
 * given to the file system before the second try. A store that is closed on a disk that refuses
 * gives up after a while (false): nothing of it was answered, as with a power loss. */
static bool write_until_done(struct store *s, struct message *batches)
{
    struct error err = { 0 };

    for (unsigned tries = 0; write_all(s, batches, &err) < 0;) {
        bool released = s->reserve && reserve_release(s->reserve);
        report_failure(s, &err);
        if (queue_is_closed(s->writes) && ++tries >= TRIES_AT_CLOSE)
            return false;
        if (!released) {
            struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
            (void) nanosleep(&pause, NULL);
        }
        err = (struct error){ 0 };
    }
    return true;
}

static void drop_batches(struct message *batches)
{
    for (struct message *next; batches; batches = next) {
        next = batches->next;
        store_batch_free((struct store_batch *) batches);
    }
}

static void answer_query(struct store *s, unsigned reader, struct query *q)
{
    q->r = s->ops->answer(s->backend, reader, q);
    struct result *result = xnew(struct result);
    result->kind = RESULT_QUERY;
    result->query = q;
    queue_push(s->results, &result->message);
}

static void answer_batches(struct store *s, struct message *batches)
{
    struct message *results = NULL, **last = &results;

    for (struct message *next; batches; batches = next) {
        next = batches->next;
        struct result *result = next ? xnew(struct result) : result_new(s, RESULT_COMMITTED);
        result->kind = RESULT_COMMITTED;
        result->batch = (struct store_batch *) batches;
        result->health.seq = s->seq;
        if (!next)
            (void) s->ops->counts(s->backend, result->counts, NULL);
        *last = &result->message;
        last = &result->message.next;
    }
    queue_push_all(s->results, results);
}

/* Split what was drained into runs of batches and single queries, keeping the order. */
static void work(struct store *s, struct message *list)
{
    while (list) {
        struct store_batch *first = (struct store_batch *) list;
        if (first->is_query) {
            struct query *q = (struct query *) list;
            list = list->next;
            answer_query(s, 0, q);
            continue;
        }
        struct message *last = list;
        while (last->next && !((struct store_batch *) last->next)->is_query)
            last = last->next;
        struct message *rest = last->next;
        last->next = NULL;
        if (write_until_done(s, list))
            answer_batches(s, list);
        else
            drop_batches(list);
        list = rest;
    }
}

static void *write_on(void *userdata)
{
    struct store *s = userdata;
    struct message *list;

    while ((list = queue_wait(s->writes)))
        work(s, list);
    return NULL;
}

static void *read_on(void *userdata)
{
    struct reader *reader = userdata;
    struct message *m;

    while ((m = queue_take(reader->store->reads)))
        answer_query(reader->store, reader->number, (struct query *) m);
    return NULL;
}

/* ---- the loop's side --------------------------------------------------------------------------- */

static void finish_batch(struct store_batch *batch)
{
    VEC(struct event *) events = { 0 };

    vec_foreach(&batch->ops, op)
        if (op->kind == OP_EVENT)
            vec_push(&events, op->event);
    if (batch->done)
        batch->done(batch->userdata, events.items, events.len);
    vec_done(&events);
    store_batch_free(batch);
}

static void ask(struct store *s, struct query *q);

static void refreshed(void *userdata, struct event *const *events, size_t n)
{
    struct query *q = userdata;
    ask(q->store, q);
}

/* What is said to be there is going to be relied on: it must not be collected right after. The writer
 * refreshes it and the question is asked again, as it may have been collected just before. */
static bool refresh(struct store *s, struct query *q)
{
    if (q->kind != QUERY_MISSING || q->r < 0 || !q->is_stale || !s->writes)
        return false;
    struct store_batch *batch = store_batch_new();
    store_touch_blob_refs(batch, &q->project, q->sums.items, q->sums.len, clock_now_us());
    q->store = s;
    q->is_stale = false;
    q->stale_us = 0;
    q->missing.len = 0;
    store_commit(s, batch, refreshed, q);
    return true;
}

static void finish_query(struct query *q)
{
    const struct error *err = q->r < 0 ? &q->err : NULL;

    switch (q->kind) {
    case QUERY_WORKLOADS:
    case QUERY_FIND:
        q->on_workloads(q->userdata, q->r, q->workloads.items, q->workloads.len, err);
        break;
    case QUERY_ATTEMPTS:
        q->on_attempts(q->userdata, q->r, q->attempts.items, q->attempts.len, err);
        break;
    case QUERY_LEFTOVERS:
        q->on_leftovers(q->userdata, q->r, q->leftovers.items, q->leftovers.len, err);
        break;
    case QUERY_EVENTS:
        q->on_events(q->userdata, q->r, q->events.items, q->events.len, err);
        break;
    case QUERY_ARTIFACTS:
    case QUERY_MANIFEST:
        q->on_manifest(q->userdata, q->r, q->manifest, err);
        break;
    case QUERY_MISSING:
        q->on_missing(q->userdata, q->r, q->missing.items, q->missing.len, err);
        break;
    case QUERY_KEPT:
        q->on_kept(q->userdata, q->r, q->kept.items, q->kept.len, &q->cursor, err);
        break;
    case QUERY_ANSWER:
        q->on_answer(q->userdata, q->r, q->answer, err);
        break;
    case QUERY_USES:
        q->on_uses(q->userdata, q->r, q->uses.items, q->uses.len, err);
        break;
    case QUERY_COUNT:
        break;
    }
    query_free(q);
}

static void note_health(struct store *s, const struct result *result)
{
    uint64_t commits = s->health.commits, batches = s->health.batches;

    s->health = result->health;
    s->health.commits = commits + (result->kind == RESULT_COMMITTED);
    s->health.batches = batches;
    if (result->kind == RESULT_COMMITTED)
        memcpy(s->counts, result->counts, sizeof s->counts);
}

static void finish(struct store *s, struct message *list)
{
    for (struct message *next; list; list = next) {
        next = list->next;
        struct result *result = (struct result *) list;
        /* Only the last answer of a commit carries counts and health. */
        if (result->kind == RESULT_HEALTH ||
            (result->kind == RESULT_COMMITTED && result->batch->message.next == NULL))
            note_health(s, result);
        if (result->kind == RESULT_COMMITTED) {
            s->backlog--;
            s->health.batches++;
            finish_batch(result->batch);
        } else if (result->kind == RESULT_QUERY) {
            if (!refresh(s, result->query))
                finish_query(result->query);
        }
        free(result);
    }
}

static void on_results(void *userdata, uint32_t events)
{
    struct store *s = userdata;
    finish(s, queue_drain(s->results));
}

/* ---- to the threads, once a round ---------------------------------------------------------------- */

static void outbox_put(struct outbox *box, struct message *message)
{
    if (!box->first)
        box->last = &box->first;
    message->next = NULL;
    *box->last = message;
    box->last = &message->next;
}

static void flush(void *userdata)
{
    struct store *s = userdata;

    s->flush_is_pending = false;

    queue_push_all(s->writes, take_ptr(s->to_write.first));
    queue_push_all(s->reads, take_ptr(s->to_read.first));
    timer_clear(s->later);
}

/* Waking a thread for each message would begin a transaction with the first, and end it, before the
 * others of the same round of the loop have come. Its timers belong to the round: the end of a job and
 * the start of the next, which the freed hardware allows, are one transaction. */
static void flush_this_round(struct store *s)
{
    if (!s->flush_is_pending)
        loop_defer(s->loop, flush, s);
    s->flush_is_pending = true;
}

/* ---- opening and closing ----------------------------------------------------------------------- */

static int find_backend(const char *url, const struct backend_ops **ret, const char **ret_path,
                        struct error *err)
{
    static const struct backend_ops *const all[] = { &backend_sqlite, &backend_memory };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t n = strlen(all[i]->name);
        if (strncmp(url, all[i]->name, n) == 0 && url[n] == ':') {
            *ret = all[i];
            *ret_path = url + n + 1;
            return 0;
        }
    }
    return error_set(err, -EINVAL, "store '%s' is neither sqlite:PATH nor memory:", url);
}

static void start_threads(struct store *s)
{
    sigset_t all, before;

    s->writes = queue_new();
    s->reads = queue_new();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&s->writer, NULL, write_on, s) != 0)
        abort();
    s->writer_runs = true;
    for (unsigned i = 0; i < s->ops->n_readers && i < READERS_MAX; i++) {
        s->readers[i] = (struct reader){ .store = s, .number = i };
        if (pthread_create(&s->readers[i].thread, NULL, read_on, &s->readers[i]) != 0)
            abort();
        s->n_readers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

#define KEEP_DEFAULT_US (24 * 3600 * INT64_C(1000000))

void store_keep_for(struct store *s, int64_t keep_us) { s->refresh_us = keep_us / 4; }

int store_open(const char *url, struct loop *loop, struct store **ret, struct error *err)
{
    _cleanup_(store_closep) struct store *s = xnew(struct store);
    const char *path = "";
    s->loop = loop;
    int r = find_backend(url, &s->ops, &path, err);
    if (r >= 0)
        r = s->ops->open(path, &s->backend, err);
    if (r >= 0)
        r = s->ops->counts(s->backend, s->counts, err);
    if (r < 0)
        return r;
    if (*path)
        s->reserve = reserve_open(path);
    look_at_disk(s, &s->health);
    store_keep_for(s, KEEP_DEFAULT_US);
    s->results = queue_new();
    s->watch = loop_watch(loop, queue_fd(s->results), EPOLLIN, on_results, s);
    s->later = loop_timer(loop, 0, flush, s);
    timer_clear(s->later);
    *ret = take_ptr(s);
    return 0;
}

static void stop_threads(struct store *s)
{
    flush(s);
    queue_close(s->writes);
    queue_close(s->reads);
    if (s->writer_runs)
        (void) pthread_join(s->writer, NULL);
    for (unsigned i = 0; i < s->n_readers; i++)
        (void) pthread_join(s->readers[i].thread, NULL);
    s->writer_runs = false;
    s->n_readers = 0;
    queue_free(s->writes);
    queue_free(s->reads);
    s->writes = s->reads = NULL;
}

void outcome_add(struct store_outcome *outcome, enum workload_state state, unsigned n)
{
    if (!workload_state_is_final(state))
        outcome->n_live += n;
    else if (state == WORKLOAD_SUCCEEDED)
        outcome->n_succeeded += n;
    else
        outcome->n_bad += n;
}

void outcome_add_begun(struct store_outcome *outcome, const char *time)
{
    int64_t us = 0;

    if (time && *time && time_parse(time, &us) >= 0 && us > outcome->begun_us)
        outcome->begun_us = us;
}

static int load_outcome(struct store *s, struct store_state *state, struct map *seen,
                        struct store_outcome outcome, struct error *err)
{
    char key[ID_TEXT_LEN + 8];

    (void) id_format(&outcome.id, key);
    (void) snprintf(key + ID_TEXT_LEN, sizeof key - ID_TEXT_LEN, "%d%d", outcome.is_array,
                    outcome.with_begun);
    if (map_set_str(seen, key, s))
        return 0;
    int r = s->ops->outcome(s->backend, &outcome, err);
    if (r >= 0)
        vec_push(&state->outcomes, outcome);
    return r;
}

static struct store_outcome outcome_wanted(const struct dependency *d)
{
    return (struct store_outcome){ .id = d->job,
                                   .is_array = d->is_array,
                                   .with_begun = d->delay_s > 0 };
}

/* Of the arrays of jobs that live, and of what they wait for. */
static int load_outcomes(struct store *s, struct store_state *state, struct error *err)
{
    _cleanup_(map_freep) struct map *seen = map_new();
    int r = 0;

    vec_foreach(&state->workloads, w) {
        const struct workload_spec *spec = (*w)->spec;
        if (r >= 0 && workload_in_array(*w))
            r = load_outcome(s, state, seen,
                             (struct store_outcome){ .id = spec->array->id, .is_array = true },
                             err);
        for (size_t i = 0; r >= 0 && i < spec->n_after; i++)
            if (spec->after[i].is_pinned)
                r = load_outcome(s, state, seen, outcome_wanted(&spec->after[i]), err);
    }
    return r;
}

int store_load(struct store *s, struct store_state *ret, struct error *err)
{
    if (s->writes)
        stop_threads(s); /* loaded before: what was given is written first */
    int r = s->ops->load(s->backend, ret, err);
    if (r >= 0)
        r = load_outcomes(s, ret, err);
    if (r < 0)
        return r;
    s->seq = s->health.seq = ret->seq;
    s->last_time_us = ret->last_time_us;
    start_threads(s);
    return 0;
}

static void give(struct store *s, struct store_batch *batch, store_committed_f done, void *userdata)
{
    batch->done = done;
    batch->userdata = userdata;
    s->backlog++;
    outbox_put(&s->to_write, &batch->message);
}

void store_commit(struct store *s, struct store_batch *batch, store_committed_f done,
                  void *userdata)
{
    give(s, batch, done, userdata);
    flush_this_round(s);
}

void store_commit_later(struct store *s, struct store_batch *batch, store_committed_f done,
                        void *userdata)
{
    if (!s->to_write.first)
        timer_set(s->later, LATER_US);
    give(s, batch, done, userdata);
}

/* Below the reserve there may be no commits that would notice when there is room again. */
static void look_again(struct store *s)
{
    if (s->health.reserve_low && s->backlog == 0 && s->writes)
        store_commit(s, store_batch_new(), NULL, NULL);
}

void store_health(struct store *s, struct store_health *ret)
{
    look_again(s);
    *ret = s->health;
    ret->backlog = s->backlog;
}

void store_count_states(struct store *s, uint64_t ret[WORKLOAD_STATE_MAX])
{
    memcpy(ret, s->counts, sizeof s->counts);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->writes)
        stop_threads(s);
    watch_free(s->watch);
    loop_undefer(s->loop, flush, s);
    watch_free(s->later);
    if (s->results) {
        finish(s, queue_drain(s->results));
        queue_free(s->results);
    }
    reserve_free(s->reserve);
    if (s->backend)
        s->ops->close(s->backend);
    free(s);
}

/* ---- asking ------------------------------------------------------------------------------------ */

static struct query *query_new(enum query_kind kind, void *userdata)
{
    struct query *q = xnew(struct query);
    q->is_query = true;
    q->kind = kind;
    q->userdata = userdata;
    return q;
}

void query_free(struct query *q)
{
    free((char *) (uintptr_t) q->filter.name);
    free((char *) (uintptr_t) q->filter.tag_key);
    free((char *) (uintptr_t) q->filter.tag_value);
    free(q->text);
    vec_foreach(&q->workloads, w)
        workload_free(*w);
    vec_foreach(&q->attempts, a)
        attempt_free(*a);
    vec_foreach(&q->events, e)
        event_free(*e);
    vec_foreach(&q->uses, u)
        free(u->name);
    vec_done(&q->uses);
    vec_done(&q->workloads);
    vec_done(&q->attempts);
    vec_done(&q->events);
    vec_done(&q->leftovers);
    vec_done(&q->sums);
    vec_done(&q->missing);
    vec_done(&q->kept);
    manifest_free(q->manifest);
    answer_free(q->answer);
    free(q);
}

static void ask(struct store *s, struct query *q)
{
    outbox_put(s->ops->n_readers ? &s->to_read : &s->to_write, &q->message);
    flush_this_round(s);
}

void store_list_workloads(struct store *s, const struct workload_filter *filter,
                          store_workloads_f done, void *userdata)
{
    struct query *q = query_new(QUERY_WORKLOADS, userdata);
    q->filter = *filter;
    q->filter.name = xstrdup(filter->name);
    q->filter.tag_key = xstrdup(filter->tag_key);
    q->filter.tag_value = xstrdup(filter->tag_value);
    q->on_workloads = done;
    ask(s, q);
}

void store_find_workload(struct store *s, const struct id *project, const char *name_or_id,
                         store_workloads_f done, void *userdata)
{
    struct query *q = query_new(QUERY_FIND, userdata);
    q->project = *project;
    q->text = xstrdup(name_or_id);
    q->on_workloads = done;
    ask(s, q);
}

void store_list_attempts(struct store *s, const struct id *workload, store_attempts_f done,
                         void *userdata)
{
    struct query *q = query_new(QUERY_ATTEMPTS, userdata);
    q->subject = *workload;
    q->on_attempts = done;
    ask(s, q);
}

void store_list_leftovers(struct store *s, const struct leftover *after, unsigned limit,
                          store_leftovers_f done, void *userdata)
{
    struct query *q = query_new(QUERY_LEFTOVERS, userdata);
    if (after)
        q->after_leftover = *after;
    q->limit = limit;
    q->on_leftovers = done;
    ask(s, q);
}

void store_list_events(struct store *s, const struct id *project, const struct id *subject,
                       uint64_t after, unsigned limit, store_events_f done, void *userdata)
{
    struct query *q = query_new(QUERY_EVENTS, userdata);
    q->project = *project;
    q->subject = *subject;
    q->after = after;
    q->limit = limit;
    q->on_events = done;
    ask(s, q);
}

void store_get_artifacts(struct store *s, const struct id *workload, store_manifest_f done,
                         void *userdata)
{
    struct query *q = query_new(QUERY_ARTIFACTS, userdata);
    q->subject = *workload;
    q->on_manifest = done;
    ask(s, q);
}

void store_get_manifest(struct store *s, const struct id *project, const struct sha256 *sum,
                        store_manifest_f done, void *userdata)
{
    struct query *q = query_new(QUERY_MANIFEST, userdata);
    q->project = *project;
    q->sum = *sum;
    q->on_manifest = done;
    ask(s, q);
}

void store_missing_blobs(struct store *s, const struct id *project, const struct sha256 *sums,
                         size_t n, store_missing_f done, void *userdata)
{
    struct query *q = query_new(QUERY_MISSING, userdata);
    q->project = *project;
    for (size_t i = 0; i < n; i++)
        vec_push(&q->sums, sums[i]);
    q->stale_us = clock_now_us() - s->refresh_us;
    q->on_missing = done;
    ask(s, q);
}

void store_list_dataset_uses(struct store *s, const struct id *dataset, unsigned number,
                             unsigned limit, store_uses_f done, void *userdata)
{
    struct query *q = query_new(QUERY_USES, userdata);
    q->subject = *dataset;
    q->after = number;
    q->limit = limit;
    q->on_uses = done;
    ask(s, q);
}

void store_list_kept(struct store *s, enum kept_kind kind, const struct kept_cursor *cursor,
                     store_kept_f done, void *userdata)
{
    struct query *q = query_new(QUERY_KEPT, userdata);
    q->kept_kind = kind;
    q->cursor = *cursor;
    q->on_kept = done;
    ask(s, q);
}

void store_get_answer(struct store *s, const char *scope, store_answer_f done, void *userdata)
{
    struct query *q = query_new(QUERY_ANSWER, userdata);
    q->text = xstrdup(scope);
    q->on_answer = done;
    ask(s, q);
}

int store_verify(struct store *s, void (*report)(void *userdata, const char *text), void *userdata,
                 struct error *err)
{
    return s->ops->check(s->backend, report, userdata, err);
}
