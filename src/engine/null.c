/* null.c - the engine without machines: attempts live in virtual time
 *
 * Reports wait in a heap by their time. An attempt knows the ticket of the one entry that is valid
 * for it, so that a stop only adds an entry and makes the old one stale.
 */
#include "engine/engine.h"

#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"

#include <string.h>

enum phase { PHASE_STARTING, PHASE_READY, PHASE_RUNNING, PHASE_ENDED };

struct virtual
{
    struct id id;
    unsigned epoch;
    enum phase phase;
    uint64_t ticket; /* of the valid report; 0: none waits */
    int64_t duration_us;
    int64_t started_us, ended_us;
    bool start_fails;
    bool is_peer; /* of a gang: it is ready before it runs, */
    bool waits;   /* and then waits for go */
    enum end_cause cause;
    int exit_code;
    json_t *evidence;
};

struct report {
    int64_t due_us;
    uint64_t ticket;
    struct virtual *attempt;
};

struct engine_null {
    struct engine engine;
    struct map *attempts; /* by id */
    VEC(struct report) heap;
    uint64_t last_ticket;
    int64_t now_us;
};

static struct engine_null *null_of(struct engine *engine) { return (struct engine_null *) engine; }

/* ---- the heap of reports ----------------------------------------------------------------------- */

static bool is_earlier(const struct report *a, const struct report *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->ticket < b->ticket;
}

static void swap(struct report *a, struct report *b)
{
    struct report t = *a;
    *a = *b;
    *b = t;
}

static void plan(struct engine_null *null, struct virtual *attempt, int64_t due_us)
{
    struct report report = { due_us, ++null->last_ticket, attempt };
    size_t i = null->heap.len;

    attempt->ticket = report.ticket;
    vec_push(&null->heap, report);
    for (; i > 0 && is_earlier(&null->heap.items[i], &null->heap.items[(i - 1) / 2]);
         i = (i - 1) / 2)
        swap(&null->heap.items[i], &null->heap.items[(i - 1) / 2]);
}

static struct report take_first(struct engine_null *null)
{
    struct report first = null->heap.items[0];
    struct report *items = null->heap.items;
    size_t n = --null->heap.len;

    items[0] = items[n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (is_earlier(&items[child], &items[least]))
                least = child;
        if (least == i)
            return first;
        swap(&items[i], &items[least]);
        i = least;
    }
}

static void drop_stale(struct engine_null *null)
{
    while (null->heap.len > 0 && null->heap.items[0].ticket != null->heap.items[0].attempt->ticket)
        take_first(null);
}

/* ---- attempts ---------------------------------------------------------------------------------- */

static void virtual_free(void *p)
{
    struct virtual *attempt = p;

    json_decref(attempt->evidence);
    free(attempt);
}

static const char *find_env(const struct workload_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_env; i++)
        if (str_equal(spec->env[i].name, name))
            return spec->env[i].value;
    return NULL;
}

/* That of the task's rank goes first. */
static const char *env_of(const struct task_spec *spec, const char *name)
{
    const char *value = NULL;

    if (spec->gang) {
        _cleanup_free_ char *of_rank = xasprintf("%s_%u", name, spec->gang->rank);
        value = find_env(spec->workload_spec, of_rank);
    }
    if (!value)
        value = find_env(spec->workload_spec, name);
    return value ? value : "";
}

static long long env_number(const struct task_spec *spec, const char *name)
{
    long long n = 0;

    return str_to_i64(env_of(spec, name), 0, INT32_MAX, &n) < 0 ? 0 : n;
}

static json_t *evidence_of(const struct task_spec *spec)
{
    json_t *json = json_object();
    _cleanup_free_ char *cpus = cpu_set_format(&spec->allocation->cpus);
    _cleanup_free_ char *mems = cpu_set_format(&spec->allocation->mems);

    json_put_str(json, "cpus", cpus);
    json_put_str(json, "mems", mems);
    json_put_int(json, "memory_bytes", spec->allocation->memory_bytes);
    json_put_str(json, "image_digest", "null");
    return json;
}

static struct virtual *find(struct engine_null *null, const struct id *attempt)
{
    return map_get(null->attempts, attempt->bytes, sizeof attempt->bytes);
}

static void null_start(struct engine *engine, const struct task_spec *spec, const char *token)
{
    struct engine_null *null = null_of(engine);

    if (find(null, &spec->attempt))
        return;
    struct virtual *attempt = xnew(struct virtual);
    attempt->id = spec->attempt;
    attempt->epoch = spec->epoch;
    attempt->duration_us = env_number(spec, "NULL_SECONDS") * US_PER_S;
    attempt->exit_code = (int) env_number(spec, "NULL_EXIT");
    attempt->cause = attempt->exit_code > 128 ? END_SIGNALED : END_EXITED;
    attempt->is_peer = attempt->waits = spec->gang != NULL;
    attempt->start_fails = str_equal(env_of(spec, "NULL_START"), "fail");
    attempt->evidence = evidence_of(spec);
    map_set(null->attempts, attempt->id.bytes, sizeof attempt->id.bytes, attempt);
    plan(null, attempt, null->now_us);
}

static void report_ready(struct engine_null *null, struct virtual *attempt)
{
    if (null->engine.listener.ready)
        null->engine.listener.ready(null->engine.listener.userdata, &attempt->id, "127.0.0.1");
}

static void null_go(struct engine *engine, const struct id *id, const struct task_go *go)
{
    struct engine_null *null = null_of(engine);
    struct virtual *attempt = find(null, id);

    if (!attempt || attempt->phase != PHASE_READY)
        return;
    attempt->waits = false;
    attempt->phase = PHASE_STARTING;
    plan(null, attempt, null->now_us);
}

static void null_attach(struct engine *engine, const struct task_spec *spec, const char *token,
                        bool launched)
{
    struct engine_null *null = null_of(engine);
    struct virtual *attempt = find(null, &spec->attempt);

    if (!attempt) {
        null_start(engine, spec, token);
        attempt = find(null, &spec->attempt);
        if (!launched || !attempt)
            return;
        /* It ran, and nobody knows anything of it: lost. */
        attempt->phase = PHASE_ENDED;
        attempt->cause = END_SUPERVISOR_LOST;
        attempt->exit_code = -1;
        attempt->ended_us = null->now_us;
        return;
    }
    /* Say again what was said, in case it was not heard. */
    if (attempt->is_peer && (attempt->phase == PHASE_READY || attempt->phase == PHASE_RUNNING))
        report_ready(null, attempt);
    if (attempt->phase == PHASE_RUNNING && null->engine.listener.started) {
        struct task_started started = { attempt->epoch, attempt->started_us, NULL,
                                        attempt->evidence };
        null->engine.listener.started(null->engine.listener.userdata, &attempt->id, &started);
    }
    if (attempt->phase == PHASE_ENDED)
        plan(null, attempt, null->now_us);
}

static void end_now(struct engine_null *null, struct virtual *attempt, enum end_cause cause,
                    int exit_code)
{
    attempt->phase = PHASE_ENDED;
    attempt->cause = cause;
    attempt->exit_code = exit_code;
    attempt->ended_us = null->now_us;
    plan(null, attempt, null->now_us);
}

static void null_stop(struct engine *engine, const struct id *id, enum end_cause cause,
                      int64_t grace_s)
{
    struct engine_null *null = null_of(engine);
    struct virtual *attempt = find(null, id);

    if (attempt && attempt->phase != PHASE_ENDED)
        end_now(null, attempt, cause, 143);
}

static void null_signal(struct engine *engine, const struct id *id, int signo)
{
    struct engine_null *null = null_of(engine);
    struct virtual *attempt = find(null, id);

    if (attempt && attempt->phase == PHASE_RUNNING)
        end_now(null, attempt, END_SIGNALED, 128 + signo);
}

/* Keep only what is in LIVE. */
static void null_sweep(struct engine *engine, const struct id *live, size_t n)
{
    struct engine_null *null = null_of(engine);
    struct map *keep = map_new();
    struct virtual *attempt;

    for (size_t i = 0; i < n; i++) {
        attempt = map_remove(null->attempts, live[i].bytes, sizeof live[i].bytes);
        if (attempt)
            map_set(keep, live[i].bytes, sizeof live[i].bytes, attempt);
    }
    map_foreach(null->attempts, pos, attempt)
        attempt->ticket = 0;
    size_t kept = 0;
    for (size_t i = 0; i < null->heap.len; i++)
        if (null->heap.items[i].attempt->ticket == null->heap.items[i].ticket)
            null->heap.items[kept++] = null->heap.items[i];
    null->heap.len = 0;
    for (size_t i = 0; i < kept; i++) {
        struct report report = null->heap.items[i];
        plan(null, report.attempt, report.due_us);
    }
    map_free_with(null->attempts, virtual_free);
    null->attempts = keep;
}

static void null_delete(struct engine *engine, const struct leftover *leftover)
{
    if (engine->listener.deleted)
        engine->listener.deleted(engine->listener.userdata, leftover, 0);
}

static void null_free(struct engine *engine)
{
    struct engine_null *null = null_of(engine);

    map_free_with(null->attempts, virtual_free);
    vec_done(&null->heap);
    free(null);
}

static const struct engine_ops null_ops = {
    .name = "null",
    .start = null_start,
    .attach = null_attach,
    .go = null_go,
    .stop = null_stop,
    .signal = null_signal,
    .sweep = null_sweep,
    .delete = null_delete,
    .free = null_free,
};

int engine_null_new(struct engine **ret)
{
    struct engine_null *null = xnew(struct engine_null);

    null->engine.ops = &null_ops;
    null->attempts = map_new();
    *ret = &null->engine;
    return 0;
}

void engine_null_fleet(struct engine *engine, const struct engine_machine *machines, size_t n)
{
    if (engine->listener.fleet)
        engine->listener.fleet(engine->listener.userdata, machines, n);
}

/* ---- time -------------------------------------------------------------------------------------- */

static void report_started(struct engine_null *null, struct virtual *attempt, int64_t now_us)
{
    attempt->phase = PHASE_RUNNING;
    attempt->started_us = now_us;
    plan(null, attempt, now_us + attempt->duration_us);
    if (!null->engine.listener.started)
        return;
    struct task_started started = { attempt->epoch, now_us, NULL, attempt->evidence };
    null->engine.listener.started(null->engine.listener.userdata, &attempt->id, &started);
}

static void report_ended(struct engine_null *null, struct virtual *attempt, int64_t now_us)
{
    struct task_exit ex = { .epoch = attempt->epoch };

    if (attempt->phase == PHASE_RUNNING)
        attempt->ended_us = now_us;
    attempt->phase = PHASE_ENDED;
    attempt->ticket = 0;
    ex.cause = attempt->cause;
    ex.exit_code = attempt->exit_code;
    ex.started_us = attempt->started_us;
    ex.ended_us = attempt->ended_us;
    if (null->engine.listener.ended)
        null->engine.listener.ended(null->engine.listener.userdata, &attempt->id, &ex);
}

static void deliver(struct engine_null *null, const struct report *report)
{
    struct virtual *attempt = report->attempt;

    if (attempt->phase != PHASE_STARTING) {
        report_ended(null, attempt, report->due_us);
    } else if (attempt->start_fails) {
        attempt->phase = PHASE_ENDED;
        attempt->cause = END_START_FAILED;
        attempt->exit_code = -1;
        attempt->ended_us = report->due_us;
        report_ended(null, attempt, report->due_us);
    } else if (attempt->waits) {
        attempt->phase = PHASE_READY;
        attempt->ticket = 0;
        report_ready(null, attempt);
    } else {
        report_started(null, attempt, report->due_us);
    }
}

void engine_null_advance(struct engine *engine, int64_t now_us)
{
    struct engine_null *null = null_of(engine);

    for (drop_stale(null); null->heap.len > 0 && null->heap.items[0].due_us <= now_us;
         drop_stale(null)) {
        struct report report = take_first(null);
        if (null->now_us < report.due_us)
            null->now_us = report.due_us;
        deliver(null, &report);
    }
    if (null->now_us < now_us)
        null->now_us = now_us;
}

int64_t engine_null_next(const struct engine *engine)
{
    const struct engine_null *null = (const struct engine_null *) engine;
    int64_t next = INT64_MAX;

    /* Stale entries may lie on top; they are few, and only drop_stale() may remove them. */
    for (size_t i = 0; i < null->heap.len; i++) {
        const struct report *report = &null->heap.items[i];
        if (report->ticket == report->attempt->ticket && report->due_us < next)
            next = report->due_us;
        if (i == 0 && next != INT64_MAX)
            return next;
    }
    return next;
}
