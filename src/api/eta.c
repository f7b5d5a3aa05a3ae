/* eta.c - when those that wait will begin
 *
 * A forecast is made off the loop, of all jobs at once, and shared by all that ask until something changes. While one is
 * made who asks waits for the next: there is never more than one under way.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <stdio.h>

/* Of more jobs nothing is foretold: copying them would hold up the loop. */
enum { JOBS_MAX = 20000, FRESH_S = 30 };

static const struct forecast_options ahead = {
    .horizon_us = INT64_C(30) * 86400 * US_PER_S,
    .passes_max = 2000,
};

struct making {
    struct api *api; /* NULL: the server ends */
    struct snapshot *snapshot;
    struct forecast forecast;
    uint64_t change;
};

struct await {
    struct call *call;
    void (*go)(struct call *call);
};

struct awaits {
    struct await *items; /* a vec */
    size_t len, cap;
};

struct eta {
    struct making *known; /* NULL before the first */
    struct map *by_id;    /* of KNOWN: job's id -> its start */
    int64_t known_us;
    struct making *under_way; /* NULL: none */
    struct awaits now;        /* for the one under way */
    struct awaits later;      /* for the next */
};

static void making_free(struct making *m)
{
    if (!m)
        return;
    forecast_done(&m->forecast);
    snapshot_free(m->snapshot);
    free(m);
}

static void work(void *item)
{
    struct making *m = item;

    forecast_run(m->snapshot, &ahead, &m->forecast);
}

static void keep(struct eta *o, struct making *m)
{
    making_free(o->known);
    map_free(o->by_id);
    o->known = m;
    o->by_id = map_new();
    o->known_us = clock_boot_us();
    for (size_t i = 0; i < m->forecast.n; i++)
        (void) map_set(o->by_id, &m->snapshot->jobs.items[i].id, sizeof(struct id),
                       &m->forecast.starts[i]);
}

static void begin(struct api *api);

static void done(void *item)
{
    struct making *m = item;
    struct api *api = m->api;

    if (!api) {
        making_free(m);
        return;
    }
    struct eta *o = api->eta;
    struct awaits served = o->now;
    o->now = (struct awaits){ 0 };
    o->under_way = NULL;
    keep(o, m);
    vec_foreach(&served, one)
        one->go(one->call);
    vec_done(&served);
    if (o->later.len > 0 && !o->under_way)
        begin(api);
}

static void begin(struct api *api)
{
    struct eta *o = api->eta;
    struct making *m = xnew(struct making);

    m->api = api;
    m->change = lifecycle_changes(api->options.lifecycle);
    m->snapshot = lifecycle_snapshot(api->options.lifecycle);
    o->now = o->later;
    o->later = (struct awaits){ 0 };
    o->under_way = m;
    pool_submit(api->options.pool, work, done, m);
}

static bool is_fresh(const struct api *api)
{
    const struct eta *o = api->eta;

    return o && o->known && o->known->change == lifecycle_changes(api->options.lifecycle) &&
           clock_boot_us() - o->known_us < FRESH_S * US_PER_S;
}

void eta_await(struct call *call, void (*go)(struct call *call))
{
    struct api *api = call->api;
    size_t waiting = lifecycle_waiting(api->options.lifecycle);

    if (waiting == 0 || waiting > JOBS_MAX || is_fresh(api)) {
        go(call);
        return;
    }
    if (!api->eta)
        api->eta = xnew(struct eta);
    vec_push(&api->eta->later, ((struct await){ call, go }));
    if (!api->eta->under_way)
        begin(api);
}

void eta_end(struct api *api)
{
    struct eta *o = take_ptr(api->eta);

    if (!o)
        return;
    if (o->under_way)
        o->under_way->api = NULL;
    vec_foreach(&o->now, one)
        call_refuse(one->call, -EAGAIN, "the server ends");
    vec_foreach(&o->later, one)
        call_refuse(one->call, -EAGAIN, "the server ends");
    vec_done(&o->now);
    vec_done(&o->later);
    making_free(o->known);
    map_free(o->by_id);
    free(o);
}

/* ---- in words --------------------------------------------------------------------------------------- */

static char *words(const struct forecast_start *start, int64_t in_s)
{
    char in[32];

    (void) seconds_to_str(in_s, in);
    switch ((int) start->basis) {
    case FORECAST_NOW:
        return in_s > 0 ? xasprintf("in %s: nothing has to end first", in) : xstrdup("now");
    case FORECAST_DECLARED:
        return xasprintf("in %s or sooner, by the max_time of what goes before it", in);
    case FORECAST_HISTORY:
        return xasprintf("in about %s, by how long jobs of these projects ran lately", in);
    default:
        return xstrdup(
            "not known: something that goes before it declares no max_time, and its project's jobs have not "
            "shown how long they run");
    }
}

static json_t *eta_json(const struct forecast_start *start, int64_t now_us)
{
    bool is_known = start->start_us != INT64_MAX;
    int64_t us = start->start_us > now_us ? start->start_us : now_us;
    int64_t in_s = is_known ? (us - now_us + US_PER_S - 1) / US_PER_S : 0;
    _cleanup_free_ char *text = words(start, in_s);
    char time[TIME_TEXT_LEN + 1];
    json_t *json = json_object();

    if (is_known) {
        json_put_str(json, "begins", time_format(us, time));
        json_put_int(json, "seconds", in_s);
    }
    json_put_str(json, "basis", forecast_basis_name(start->basis));
    json_put_str(json, "text", text);
    return json;
}

void eta_put(const struct api *api, const struct workload *w, json_t *json)
{
    const struct eta *o = api->eta;

    if (w->state != WORKLOAD_QUEUED || !o || !o->by_id)
        return;
    const struct forecast_start *start = map_get(o->by_id, &w->id, sizeof w->id);
    if (!start)
        return;
    /* What no hardware will end, nobody foretells. */
    size_t at = (size_t) (start - o->known->forecast.starts);
    if (!o->known->snapshot->jobs.items[at].held)
        json_put(json, "eta", eta_json(start, clock_now_us()));
}

/* ---- of a job that is not submitted ----------------------------------------------------------------- */

struct planned {
    struct call *call;
    json_t *plan;
    struct snapshot *snapshot; /* the job is its last */
    struct forecast forecast;
};

static void planned_work(void *item)
{
    struct planned *p = item;

    forecast_run(p->snapshot, &ahead, &p->forecast);
}

static void planned_done(void *item)
{
    struct planned *p = item;

    json_put(json_object_get(p->plan, "placement"), "eta",
             eta_json(&p->forecast.starts[p->forecast.n - 1], p->snapshot->now_us));
    call_answer(p->call, 200, p->plan);
    forecast_done(&p->forecast);
    snapshot_free(p->snapshot);
    free(p);
}

static bool add_job(const struct call *call, const json_t *plan, int priority, struct snapshot *s)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    char id[ID_TEXT_LEN + 1];
    const struct project *project = lifecycle_project(lc, id_format(&call->project, id));
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL;
    struct error err = { 0 };

    if (!project || workload_spec_from_json(json_object_get(plan, "spec"), &spec, &err) < 0)
        return false;
    struct snapshot_job job = { .id = id_new(),
                                .org = project->org,
                                .project = project->id,
                                .priority = priority,
                                .since_us = s->now_us,
                                .eligible_us = s->now_us,
                                .spec = workload_wishes_copy(spec) };
    vec_push(&s->jobs, job);
    return true;
}

void eta_answer_plan(struct call *call, json_t *plan, int priority)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    const json_t *placement = json_object_get(plan, "placement");
    _cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;

    if (!json_object_get(placement, "allocation") && lifecycle_waiting(lc) <= JOBS_MAX)
        snapshot = lifecycle_snapshot(lc);
    if (!snapshot || !add_job(call, plan, priority, snapshot)) {
        call_answer(call, 200, plan);
        return;
    }
    struct planned *p = xnew(struct planned);
    p->call = call;
    p->plan = plan;
    p->snapshot = take_ptr(snapshot);
    pool_submit(call->api->options.pool, planned_work, planned_done, p);
}
