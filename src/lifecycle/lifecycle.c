/* lifecycle.c - from what the store remembers to live state, and back to nothing */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>

static int take_workloads(struct lifecycle *lc, struct store_state *state, struct error *err)
{
    int r = 0;

    vec_foreach(&state->workloads, w) {
        char id[ID_TEXT_LEN + 1];
        if (r >= 0 && live_add(lc, *w))
            continue;
        if (r >= 0)
            r = error_set(err, -EBADMSG, "job %s is of a project that the store does not know",
                          id_format(&(*w)->id, id));
        workload_free(*w);
    }
    vec_done(&state->workloads);
    return r;
}

static void take_outcomes(struct lifecycle *lc, struct store_state *state)
{
    vec_foreach(&state->outcomes, o) {
        struct array *a = o->is_array ? array_get(lc, &o->id) : NULL;
        if (a)
            a->n_bad = o->n_bad;
        vec_push(&lc->outcomes, *o);
    }
    vec_done(&state->outcomes);
}

int lifecycle_new(const struct lifecycle_settings *settings,
                  const struct lifecycle_sources *sources, struct store *store,
                  struct engine *engine, struct store_state *state, struct lifecycle **ret,
                  struct error *err)
{
    _cleanup_(lifecycle_freep) struct lifecycle *lc = xnew(struct lifecycle);

    assert(sources->now_us && sources->boot_us && sources->new_id && sources->random &&
           sources->hash && sources->token && sources->load_manifest && sources->seal &&
           sources->unseal);
    lc->settings = *settings;
    lc->sources = *sources;
    lc->store = store;
    lc->engine = engine;
    lc->run_times = history_new();
    lc->jobs = map_new();
    lc->names = map_new();
    lc->attempts = map_new();
    lc->tasks = map_new();
    lc->arrays = map_new();
    lc->targets = map_new();
    lc->final_versions = map_new();
    lc->shapes_admitted = map_new();
    lc->planner = plan_new(lc);
    lc->plan_due_us = INT64_MAX;
    lc->last_time_us = state->last_time_us;
    tenants_take(lc, state);
    plan_weigh(lc);
    datasets_take(lc, state);
    images_take(lc, state);
    tags_take(lc, state);
    machines_take(lc, state);
    bookings_take(lc, state);
    int r = take_workloads(lc, state, err);
    if (r < 0)
        return r;
    take_outcomes(lc, state);

    act_listen(lc);
    *ret = take_ptr(lc);
    return 0;
}

void lifecycle_free(struct lifecycle *lc)
{
    if (!lc)
        return;
    if (lc->engine && lc->engine->listener.userdata == lc)
        lc->engine->listener = (struct engine_listener){ 0 };
    commits_orphan(lc);
    forget_orphan(lc);
    run_times_done(lc);
    expectation_free(lc->expectation);
    planner_free(lc->planner);
    arrays_done(lc);
    waits_done(lc);
    turns_done(&lc->turns);
    live_done(lc);
    use_done(lc);
    storage_done(lc);
    machines_done(lc);
    bookings_done(lc);
    images_done(lc);
    tenants_done(lc);
    datasets_done(lc);
    vec_foreach(&lc->flavors, flavor)
        flavor_free(*flavor);
    vec_done(&lc->flavors);
    vec_done(&lc->timers);
    map_free(lc->shapes_admitted);
    free(lc);
}

void lifecycle_on_wake(struct lifecycle *lc, void (*wake)(void *userdata), void *userdata)
{
    lc->wake = wake;
    lc->wake_userdata = userdata;
}

void lifecycle_on_event(struct lifecycle *lc,
                        void (*committed)(void *userdata, const struct event *event),
                        void *userdata)
{
    lc->committed = committed;
    lc->committed_userdata = userdata;
}
