/* world.h - a whole cloud in one test process: memory store, virtual engine, virtual time
 *
 * The engine is the null engine behind a proxy that watches the hardware: it fails the test when two
 * attempts that run have a core in common, or when a job runs twice at once.
 */
#ifndef LIFECYCLE_TEST_WORLD_H
#define LIFECYCLE_TEST_WORLD_H

#include "base/text.h"
#include "base/time.h"
#include "lifecycle/internal.h"
#include "tests/tap.h"

#include <errno.h>

#define MIB (INT64_C(1) << 20)

struct running {
    struct id attempt, workload;
    struct id gang; /* of whose tasks it is one; id_none: it is alone */
    struct cpu_set cpus;
    bool shared;
};

struct proxy {
    struct engine engine;
    struct engine *null;
    VEC(struct running) running;
    VEC(struct id) prepared; /* neither started nor cancelled yet */
    VEC(struct leftover) deleted;
    bool keeps; /* it cannot delete */
    unsigned n_starts;
};

static struct world {
    struct loop *loop;
    struct store *store;
    struct proxy proxy;
    struct lifecycle *lc;
    json_t *shares; /* what the next lifecycle is told that orgs and projects had; NULL: nothing */
    struct id project;
    const char *actor; /* who submits; NULL: somebody */
    int64_t now_us;
    char boot_id[16];
    struct mirror *mirror; /* of the lifecycle; NULL: nobody looked ahead yet */
    struct mirror_news news;
    struct text record; /* of its planner */
    unsigned ids, cores;
    bool wall_stands; /* the wall clock was set back: it does not move */
    int64_t wall_us;
} world;

/* ---- the proxy --------------------------------------------------------------------------------- */

static void watch_running(struct proxy *p, const struct task_spec *spec)
{
    struct running new = { spec->attempt, spec->workload,
                           spec->gang ? spec->gang->attempt : id_none, spec->allocation->cpus,
                           spec->allocation->shared };

    vec_foreach(&p->running, other) {
        if (id_equal(&other->attempt, &new.attempt))
            return;
        ok(!id_equal(&other->workload, &new.workload) ||
           (spec->gang && id_equal(&other->gang, &new.gang)));
        ok(!cpu_set_intersects(&other->cpus, &new.cpus) || (other->shared && new.shared));
    }
    vec_push(&p->running, new);
}

static void proxy_prepare(struct engine *engine, const struct task_spec *spec)
{
    vec_push(&((struct proxy *) engine)->prepared, spec->attempt);
}

static void proxy_cancel(struct engine *engine, const struct id *attempt)
{
    struct proxy *p = (struct proxy *) engine;

    for (size_t i = p->prepared.len; i > 0; i--)
        if (id_equal(&p->prepared.items[i - 1], attempt))
            vec_remove(&p->prepared, i - 1);
}

static void proxy_start(struct engine *engine, const struct task_spec *spec, const char *token)
{
    struct proxy *p = (struct proxy *) engine;

    p->n_starts++;
    proxy_cancel(engine, &spec->attempt);
    watch_running(p, spec);
    p->null->ops->start(p->null, spec, token);
}

static void proxy_attach(struct engine *engine, const struct task_spec *spec, const char *token,
                         bool launched)
{
    struct proxy *p = (struct proxy *) engine;

    watch_running(p, spec);
    p->null->ops->attach(p->null, spec, token, launched);
}

static void proxy_stop(struct engine *engine, const struct id *attempt, enum end_cause cause,
                       int64_t grace_s)
{
    struct proxy *p = (struct proxy *) engine;
    p->null->ops->stop(p->null, attempt, cause, grace_s);
}

static void proxy_go(struct engine *engine, const struct id *task, const struct task_go *go)
{
    struct proxy *p = (struct proxy *) engine;

    ok(json_array_size(go->peers) > 0 && strlen(go->secret) == TASK_TOKEN_LEN);
    p->null->ops->go(p->null, task, go);
}

static void proxy_signal(struct engine *engine, const struct id *attempt, int signo)
{
    struct proxy *p = (struct proxy *) engine;
    p->null->ops->signal(p->null, attempt, signo);
}

static void forget_running(struct proxy *p, const struct id *attempt)
{
    for (size_t i = 0; i < p->running.len; i++)
        if (id_equal(&p->running.items[i].attempt, attempt)) {
            vec_remove(&p->running, i);
            return;
        }
}

static bool is_live(const struct id *id, const struct id *live, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id_equal(id, &live[i]))
            return true;
    return false;
}

static void proxy_sweep(struct engine *engine, const struct id *live, size_t n)
{
    struct proxy *p = (struct proxy *) engine;

    for (size_t i = p->running.len; i > 0; i--)
        if (!is_live(&p->running.items[i - 1].attempt, live, n))
            vec_remove(&p->running, i - 1);
    p->null->ops->sweep(p->null, live, n);
}

static void proxy_delete(struct engine *engine, const struct leftover *leftover)
{
    struct proxy *p = (struct proxy *) engine;

    if (!p->keeps)
        vec_push(&p->deleted, *leftover);
    if (p->engine.listener.deleted)
        p->engine.listener.deleted(p->engine.listener.userdata, leftover, p->keeps ? -EBUSY : 0);
}

static void proxy_free(struct engine *engine) {}

static const struct engine_ops proxy_ops = {
    .name = "proxy",
    .start = proxy_start,
    .prepare = proxy_prepare,
    .cancel = proxy_cancel,
    .attach = proxy_attach,
    .go = proxy_go,
    .stop = proxy_stop,
    .signal = proxy_signal,
    .sweep = proxy_sweep,
    .delete = proxy_delete,
    .free = proxy_free,
};

static void proxy_ready(void *userdata, const struct id *task, const char *address)
{
    struct proxy *p = userdata;
    p->engine.listener.ready(p->engine.listener.userdata, task, address);
}

static void proxy_started(void *userdata, const struct id *attempt, const struct task_started *s)
{
    struct proxy *p = userdata;
    if (p->engine.listener.started)
        p->engine.listener.started(p->engine.listener.userdata, attempt, s);
}

static void proxy_ended(void *userdata, const struct id *attempt, const struct task_exit *ex)
{
    struct proxy *p = userdata;
    struct id id = *attempt;

    forget_running(p, &id);
    if (p->engine.listener.ended)
        p->engine.listener.ended(p->engine.listener.userdata, &id, ex);
}

static void proxy_new_null(struct proxy *p)
{
    engine_free(p->null);
    ok(engine_null_new(&p->null) == 0);
    p->null->listener = (struct engine_listener){
        .ready = proxy_ready, .started = proxy_started, .ended = proxy_ended, .userdata = p
    };
    engine_null_advance(p->null, world.now_us);
}

/* ---- sources ----------------------------------------------------------------------------------- */

static int64_t source_now(void *u) { return world.wall_stands ? world.wall_us : world.now_us; }
static int64_t source_boot(void *u) { return world.now_us; }

static struct id source_id(void *u)
{
    uint8_t random[10] = { 0 };
    unsigned n = ++world.ids;
    for (int i = 9; i >= 4; i--, n /= 256)
        random[i] = (uint8_t) n;
    return id_make(world.now_us, random);
}

static void source_random(void *u, void *bytes, size_t n) { memset(bytes, 'r', n); }

static void source_hash(void *u, const void *bytes, size_t n, struct sha256 *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < n; i++)
        ret->bytes[i % 32] = (uint8_t) (ret->bytes[i % 32] * 31 + ((const uint8_t *) bytes)[i]);
}

static void source_token(void *u, const struct id *attempt, unsigned epoch,
                         char buf[static TASK_TOKEN_LEN + 1])
{
    (void) snprintf(buf, TASK_TOKEN_LEN + 1, "%064x", attempt->bytes[15] * 1000u + epoch);
}

static int source_manifest(void *u, const struct sha256 *sum, struct manifest **ret,
                           struct error *err)
{
    return error_set(err, -ENOENT, "no such blob");
}

static int source_unseal(void *u, const struct secret *secret, char **ret)
{
    *ret = xstrndup((const char *) secret->sealed, secret->sealed_len);
    return 0;
}

static int source_seal(void *u, const char *value, uint8_t **ret, size_t *ret_len)
{
    *ret = xmemdup(value, strlen(value));
    *ret_len = strlen(value);
    return 0;
}

/* Whatever a test does, the record of it decides the same again. */
static void source_record(void *userdata, const char *line, size_t len)
{
    text_add_bytes(&world.record, line, len);
}

static void check_record(void)
{
    _cleanup_(replay_freep) struct replay *replay = replay_new();
    const char *text = text_str(&world.record);
    struct error err = { 0 };
    int r = 0;

    for (const char *end; r == 0 && (end = strchr(text, '\n')); text = end + 1)
        r = replay_line(replay, text, (size_t) (end - text), &err);
    ok(r == 0);
    is_str(err.text, "");
    text_done(&world.record);
}

static const struct lifecycle_sources sources = {
    source_now,      source_boot,   source_id,   source_random, source_hash,   source_token,
    source_manifest, source_unseal, source_seal, NULL,          source_record, NULL,
};

/* ---- life -------------------------------------------------------------------------------------- */

static struct node *world_node(void)
{
    struct node *node = xnew(struct node);

    node->name = xstrdup("n1");
    node->boot_id = xstrdup(world.boot_id);
    node->kernel = xstrdup("6.1.0");
    node->memory_bytes = world.cores * 64 * MIB;
    node->disk_bytes = world.cores * 1024 * MIB;
    for (unsigned i = 0; i < world.cores; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    vec_push(&node->numas, ((struct numa_node){ 0, node->memory_bytes }));
    return node;
}

static void world_begin(void)
{
    static const struct lifecycle_settings settings = {
        .uid_first = 1000000,
        .network_default = "egress",
        .network_choice = true,
        .publish_address = "127.0.0.1",
        .api_socket = "api.sock",
        .grace_default_s = 30,
        .version = "test",
    };
    struct flavor *flavors[16];
    struct store_state state = { 0 };
    struct error err = { 0 };

    ok(store_load(world.store, &state, &err) == 0);
    ok(lifecycle_new(&settings, &sources, world.store, &world.proxy.engine, &state, &world.lc,
                     &err) == 0);
    struct node *node = world_node();
    size_t n = flavor_defaults(node, flavors, 16);
    for (size_t i = 0; i < n; i++)
        lifecycle_add_flavor(world.lc, flavors[i]);
    lifecycle_set_node(world.lc, node);
    if (world.shares)
        ok(lifecycle_recall_shares(world.lc, world.shares, &err) == 0);
    lifecycle_recover(world.lc);
}

/* Until everything given to the store is committed and its effects are done. */
static void settle(void)
{
    while (world.lc->commits)
        loop_once(world.loop, 1000);
    ok(world.proxy.prepared.len == 0);
}

static void world_open_at(const char *store, unsigned cores)
{
    struct error err = { 0 };
    struct id org;

    world = (struct world){ .now_us = 1700000000 * US_PER_S, .cores = cores, .boot_id = "boot-1" };
    world.loop = loop_new();
    world.proxy.engine.ops = &proxy_ops;
    proxy_new_null(&world.proxy);
    ok(store_open(store, world.loop, &world.store, &err) == 0);
    world_begin();
    ok(lifecycle_create_org(world.lc, &(struct new_tenant){ .name = "acme", .actor = "test" }, NULL,
                            NULL, &org, &err) == 0);
    ok(lifecycle_create_project(world.lc, &(struct new_tenant){ .name = "p1", .actor = "test" },
                                NULL, NULL, &world.project, &err) == 0);
    settle();
}

static void world_open(unsigned cores) { world_open_at("memory:", cores); }

/* As the server does beside its loop before it says why. */
static inline void look_for(const struct id *asked)
{
    const struct forecast_options ahead = { .horizon_us = US_PER_S * 86400, .passes_max = 1000 };
    const struct flavor *const *flavors;
    struct expectation_question question = {
        .asked = asked, .n_asked = asked != NULL, .ahead = &ahead, .foretold_max = 1000
    };

    lifecycle_flavors(world.lc, &flavors, &question.n_flavors);
    question.flavors = flavors;
    if (!world.mirror)
        world.mirror = mirror_new();
    (void) lifecycle_tell_news(world.lc, SIZE_MAX, &world.news);
    mirror_take(world.mirror, &world.news);
    expectation_free(
        lifecycle_look(world.lc, expectation_new(mirror_snapshot(world.mirror), &question)));
}

static inline json_t *why_of(const struct id *id)
{
    look_for(id);
    return lifecycle_why_at_length(world.lc, lifecycle_get(world.lc, id));
}

static void forget_mirror(void)
{
    mirror_free(take_ptr(world.mirror));
    mirror_news_done(&world.news);
}

static void world_close(void)
{
    forget_mirror();
    check_record();
    lifecycle_free(world.lc);
    store_close(world.store);
    engine_free(world.proxy.null);
    vec_done(&world.proxy.running);
    vec_done(&world.proxy.prepared);
    vec_done(&world.proxy.deleted);
    loop_free(world.loop);
}

/* As kill -9 and a start: memory is gone, the store and what runs are not. */
static void crash(void)
{
    struct store_health health;

    forget_mirror();
    check_record();
    lifecycle_free(world.lc);
    world.proxy.prepared.len = 0;
    do {
        loop_once(world.loop, 1);
        store_health(world.store, &health);
    } while (health.backlog > 0);
    world_begin();
}

/* The machine starts anew: nothing runs any more. */
static inline void reboot(void)
{
    world.boot_id[5]++;
    proxy_new_null(&world.proxy);
    world.proxy.running.len = 0;
    crash();
}

/* Let time pass and everything happen that is due. */
static void pass_time(int64_t us)
{
    int64_t until = world.now_us + us;

    for (;;) {
        engine_null_advance(world.proxy.null, world.now_us);
        settle();
        int64_t wait = lifecycle_wait_us(world.lc), next = engine_null_next(world.proxy.null);
        if (wait == 0) {
            lifecycle_tick(world.lc);
            continue;
        }
        int64_t due = wait == INT64_MAX ? INT64_MAX : world.now_us + wait;
        if (next < due)
            due = next;
        if (due > until)
            break;
        if (due > world.now_us)
            world.now_us = due;
    }
    world.now_us = until;
    engine_null_advance(world.proxy.null, until);
}

static void remember(void *userdata, const struct workload *w) { *(struct id *) userdata = w->id; }

/* Submit a job from the JSON of its spec. */
static int submit_json(const char *spec, const char *name, int priority, struct id *ret,
                       struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    struct submit submit = { .project = world.project,
                             .actor = world.actor ? world.actor : "key:test",
                             .name = name,
                             .priority = priority };

    ok(json_parse(spec, strlen(spec), &json, err) == 0);
    ok(workload_spec_from_json(json, &submit.spec, err) == 0);
    int r = lifecycle_submit(world.lc, &submit, remember, ret, err);
    if (r >= 0)
        settle();
    return r;
}

/* The job as the store has it. */
struct found {
    struct workload *w;
    bool done;
};

static void on_found(void *userdata, int r, struct workload **items, size_t n,
                     const struct error *err)
{
    struct found *found = userdata;

    found->done = true;
    if (n == 1) {
        found->w = items[0];
        items[0] = NULL;
    }
}

/* Owned by the caller; NULL when there is none. */
static struct workload *stored(const struct id *id)
{
    char text[ID_TEXT_LEN + 1];
    struct found found = { 0 };

    store_find_workload(world.store, &world.project, id_format(id, text), on_found, &found);
    while (!found.done)
        loop_once(world.loop, 1000);
    return found.w;
}

/* ---- rows = fold(events) ----------------------------------------------------------------------- */

struct folding {
    struct map *jobs; /* id -> workload */
    uint64_t after;
    bool done, end;
};

static void on_events(void *userdata, int r, struct event **items, size_t n,
                      const struct error *err)
{
    struct folding *f = userdata;

    ok(r >= 0);
    for (size_t i = 0; i < n; i++) {
        const struct event *e = items[i];
        struct error why = { 0 };
        ok(e->seq > f->after);
        f->after = e->seq;
        if (!str_equal(e->subject_kind, "job"))
            continue;
        struct workload *w = map_remove(f->jobs, e->subject.bytes, sizeof e->subject.bytes);
        ok(workload_apply(&w, e, &why) == 0);
        is_str(why.text, "");
        if (w)
            map_set(f->jobs, w->id.bytes, sizeof w->id.bytes, w);
    }
    f->end = n == 0;
    f->done = true;
}

static char *record_of(const struct workload *w)
{
    _cleanup_json_ json_t *json = w ? workload_to_record(w) : json_null();
    return json_canonical(json);
}

/* Every job as its events fold, as the store has it and, while it lives, as memory has it. */
static void verify(void)
{
    struct folding f = { .jobs = map_new() };
    struct workload *w;

    while (!f.end) {
        f.done = false;
        store_list_events(world.store, &id_none, &id_none, f.after, 1000, on_events, &f);
        while (!f.done)
            loop_once(world.loop, 1000);
    }
    map_foreach(f.jobs, pos, w) {
        _cleanup_(workload_freep) struct workload *row = stored(&w->id);
        const struct workload *live = lifecycle_get(world.lc, &w->id);
        _cleanup_free_ char *folded = record_of(w), *kept = record_of(row),
                            *lives = record_of(live);
        is_str(kept, folded);
        if (live)
            is_str(lives, folded);
        workload_free(w);
    }
    map_free(f.jobs);
}

static inline void verify_settled(void)
{
    settle();
    verify();
}

#endif
