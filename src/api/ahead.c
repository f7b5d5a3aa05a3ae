/* ahead.c - looking ahead beside the loop */
#include "api/ahead.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

/* Of more jobs nothing is foretold: a forecast plans all of them. A look is good for as long as nothing changes, but no longer
 * than FRESH_S. A step of what is told the mirror is some 5 ms; PART: of the loop's time a tenth is for that. Who would wait
 * longer than PATIENCE_US is answered by the last look. */
enum { FORETOLD_MAX = 20000, FRESH_S = 30, STEP = 1500, PART = 10, PATIENCE_US = US_PER_S };

static const struct forecast_options options = {
    .horizon_us = INT64_C(30) * 86400 * US_PER_S,
    .passes_max = 2000,
};

/* What somebody wants to know. */
struct query {
    struct call *call; /* NULL: it was answered by the last look, and the next is to know as much */
    handler_f go;      /* of ahead_await() */
    struct id asked;   /* id_none: nobody */
    /* of ahead_plan() */
    ahead_found_f found;
    struct snapshot_job job;
    json_t *spec;
    struct expectation *expectation; /* the answer */
    /* of ahead_snapshot() */
    ahead_text_f text_found;
    char *text; /* the answer */
};

struct queries {
    VEC(struct query) list;
};

/* One look; its thread's until it is done. */
struct look {
    struct api *api; /* NULL: the server ends */
    struct mirror *mirror;
    struct mirror_news news;
    struct queries queries;
    VEC(struct flavor *) flavors;
    struct expectation *old; /* of the look before: to be freed */
    struct expectation *expectation;
    uint64_t change;
};

struct ahead {
    struct look *next; /* what is told for it, while it is no thread's; NULL: it is under way */
    struct look *under_way;
    struct queries later; /* for the next */
    struct watch *timer;  /* goes on with telling */
    bool is_telling;
    uint64_t change;           /* at which it was looked last */
    int64_t looked_us;         /* of the boot clock; 0: never */
    int64_t told_us, due_us;   /* so long the loop was held for it; the next may begin then */
    int64_t began_us, took_us; /* the last one, from its beginning */
};

static void query_done(struct query *query)
{
    snapshot_job_done(&query->job);
    json_decref(query->spec);
    expectation_free(query->expectation);
    free(query->text);
}

static void queries_done(struct queries *queries)
{
    vec_foreach(&queries->list, query)
        query_done(query);
    vec_done(&queries->list);
}

static void look_free(struct look *look)
{
    mirror_news_done(&look->news);
    mirror_free(look->mirror);
    queries_done(&look->queries);
    vec_foreach(&look->flavors, flavor)
        flavor_free(*flavor);
    vec_done(&look->flavors);
    expectation_free(look->old);
    expectation_free(look->expectation);
    free(look);
}

/* ---- on a thread of the pool ------------------------------------------------------------------------ */

static struct expectation_question question_of(const struct look *look)
{
    return (struct expectation_question){
        .flavors = (const struct flavor *const *) look->flavors.items,
        .n_flavors = look->flavors.len,
        .ahead = &options,
        .foretold_max = FORETOLD_MAX,
    };
}

static struct expectation *look_for_all(const struct look *look)
{
    struct expectation_question question = question_of(look);
    _cleanup_free_ struct id *asked = xnew_n(struct id, look->queries.list.len + 1);

    question.asked = asked;
    vec_foreach(&look->queries.list, query)
        if (!id_is_none(&query->asked))
            asked[question.n_asked++] = query->asked;
    return expectation_new(mirror_snapshot(look->mirror), &question);
}

/* As if it had come last. */
static struct expectation *look_with(const struct look *look, const struct snapshot_job *job)
{
    struct snapshot *s = mirror_snapshot(look->mirror);
    struct expectation_question question = question_of(look);

    question.is_planned = true;
    vec_push(&s->jobs, *job);
    struct expectation *expectation = expectation_new(s, &question);
    s->jobs.len--;
    return expectation;
}

static void work(void *item)
{
    struct look *look = item;
    bool is_awaited = false;

    mirror_take(look->mirror, &look->news);
    expectation_free(take_ptr(look->old));
    vec_foreach(&look->queries.list, query) {
        is_awaited |= !query->found && !query->text_found;
        if (query->found)
            query->expectation = look_with(look, &query->job);
        if (query->text_found) {
            _cleanup_json_ json_t *json = snapshot_to_json(mirror_snapshot(look->mirror));
            query->text = json_text(json);
        }
    }
    if (is_awaited)
        look->expectation = look_for_all(look);
}

/* ---- on the loop ------------------------------------------------------------------------------------ */

static void answer(struct query *query)
{
    if (query->go)
        query->go(query->call);
    else if (query->found)
        query->found(query->call, &query->job, query->expectation, take_ptr(query->spec));
    else if (query->text_found)
        query->text_found(query->call, query->text);
}

/* A thread may still read all but whose they are. */
static void refuse(const struct queries *queries)
{
    vec_foreach(&queries->list, query)
        if (query->call)
            call_refuse(query->call, -EAGAIN, "the server ends");
}

static void begin(struct api *api);

static void done(void *item)
{
    struct look *look = item;
    struct api *api = look->api;

    if (!api) {
        look_free(look);
        return;
    }
    struct ahead *o = api->ahead;
    struct queries served = look->queries;
    int64_t now_us = clock_boot_us();
    look->queries = (struct queries){ 0 };
    o->took_us = now_us - o->began_us;
    o->due_us = now_us + (PART - 1) * o->told_us;
    if (look->expectation) {
        o->change = look->change;
        o->looked_us = now_us;
        look->old = lifecycle_look(api->options.lifecycle, take_ptr(look->expectation));
    }
    o->under_way = NULL;
    o->next = look;
    vec_foreach(&served.list, query)
        answer(query);
    queries_done(&served);
    if (api->ahead && o->later.list.len > 0)
        begin(api);
}

static void copy_flavors(const struct api *api, struct look *look)
{
    const struct flavor *const *flavors;
    size_t n;

    vec_foreach(&look->flavors, flavor)
        flavor_free(*flavor);
    look->flavors.len = 0;
    lifecycle_flavors(api->options.lifecycle, &flavors, &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *json = flavor_to_json(flavors[i]);
        struct flavor *copy = NULL;
        if (flavor_from_json(json, &copy, NULL) >= 0)
            vec_push(&look->flavors, copy);
    }
}

/* A step of telling the mirror what changed; after the last it is looked. */
static void step(void *userdata)
{
    struct api *api = userdata;
    struct ahead *o = api->ahead;
    struct look *look = o->next;
    int64_t from_us = clock_boot_us();
    bool is_whole = lifecycle_tell_news(api->options.lifecycle, STEP, &look->news);

    o->told_us += clock_boot_us() - from_us;
    if (!is_whole) {
        timer_set(o->timer, (PART - 1) * (clock_boot_us() - from_us));
        return;
    }
    o->is_telling = false;
    look->change = lifecycle_changes(api->options.lifecycle);
    look->queries = o->later;
    o->later = (struct queries){ 0 };
    copy_flavors(api, look);
    o->next = NULL;
    o->under_way = look;
    pool_submit(api->options.pool, work, done, look);
}

static void begin(struct api *api)
{
    struct ahead *o = api->ahead;
    int64_t now_us = clock_boot_us();

    if (o->under_way || o->is_telling)
        return;
    o->is_telling = true;
    o->told_us = 0;
    o->began_us = now_us;
    if (o->due_us > now_us)
        timer_set(o->timer, o->due_us - now_us);
    else
        step(api);
}

static struct ahead *ahead_of(struct api *api)
{
    if (!api->ahead) {
        api->ahead = xnew(struct ahead);
        api->ahead->next = xnew(struct look);
        api->ahead->next->api = api;
        api->ahead->next->mirror = mirror_new();
        api->ahead->timer = loop_timer(api->options.loop, 0, step, api);
        timer_clear(api->ahead->timer);
    }
    return api->ahead;
}

static void add(struct api *api, const struct query *query)
{
    struct ahead *o = ahead_of(api);

    vec_push(&o->later.list, *query);
    begin(api);
}

/* The next look is to know as much as the last. */
static void renew(struct api *api, const struct query *query)
{
    vec_foreach(&api->ahead->later.list, other)
        if (!other->found && !other->text_found && id_equal(&other->asked, &query->asked))
            return;
    add(api, &(struct query){ .asked = query->asked });
}

/* Does the last look, fresh or not, say all of it? */
static bool is_known(const struct api *api, const struct id *asked)
{
    const struct ahead *o = api->ahead;
    const struct expectation *last = lifecycle_expectation(api->options.lifecycle);

    if (!o || !last || !asked)
        return o && last;
    const struct expectation_job *seen = expectation_find(last, asked);
    return seen && seen->is_asked;
}

static bool is_fresh(const struct api *api)
{
    const struct ahead *o = api->ahead;

    return o->change == lifecycle_changes(api->options.lifecycle) &&
           clock_boot_us() - o->looked_us < FRESH_S * US_PER_S;
}

/* Would the next look be awaited for long? */
static bool is_slow(const struct ahead *o)
{
    int64_t pause_us = o->due_us - clock_boot_us();

    return (pause_us > 0 ? pause_us : 0) + o->took_us > PATIENCE_US;
}

void ahead_await(struct call *call, const struct id *asked, handler_f go)
{
    struct api *api = call->api;
    const struct query query = { .call = call, .go = go, .asked = asked ? *asked : id_none };

    if (lifecycle_waiting(api->options.lifecycle) == 0) {
        go(call);
        return;
    }
    bool is_good = is_known(api, asked), is_as_now = is_good && is_fresh(api);
    if (is_as_now || (is_good && is_slow(api->ahead))) {
        if (!is_as_now)
            renew(api, &query);
        go(call);
        return;
    }
    add(api, &query);
}

void ahead_plan(struct call *call, const struct snapshot_job *job, json_t *spec,
                ahead_found_f found)
{
    add(call->api, &(struct query){ .call = call, .found = found, .job = *job, .spec = spec });
}

void ahead_snapshot(struct call *call, ahead_text_f found)
{
    add(call->api, &(struct query){ .call = call, .text_found = found });
}

void ahead_end(struct api *api)
{
    struct ahead *o = take_ptr(api->ahead);

    if (!o)
        return;
    watch_free(o->timer);
    refuse(&o->later);
    queries_done(&o->later);
    if (o->next)
        look_free(o->next);
    if (o->under_way) {
        o->under_way->api = NULL;
        refuse(&o->under_way->queries);
    }
    free(o);
}
