/* job-after.c - what a job that is submitted waits for
 *
 * One after the other is looked up, in memory and in the store. While one is, another may end: before the
 * submit all stand as they were found, or they are looked up again. What has ended stays so.
 */
#include "api/job-after.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE = 1000 };

static struct after_search *search_of(struct call *call) { return call->state; }

static void look_up(struct call *call);

static struct dependency *pin(struct after_search *s, const struct workload *w)
{
    struct dependency *d = &s->spec->after[s->next++];

    d->job = w->id;
    d->is_pinned = true;
    d->is_array = d->has_ended = d->has_failed = false;
    return d;
}

static void target_found(struct call *call, const struct workload *w)
{
    struct dependency *d = pin(search_of(call), w);

    xstr_set(&d->name, w->name);
    d->has_ended = workload_state_is_final(w->state);
    d->has_failed = d->has_ended && w->state != WORKLOAD_SUCCEEDED;
    d->begun_us = w->started_us ? w->started_us : w->ended_us;
    look_up(call);
}

/* ---- job by job --------------------------------------------------------------------------------------- */

struct listing {
    struct call *call;
    struct id array;
};

static void list_jobs(struct call *call, struct id array, struct id before);

static int by_index(const void *a, const void *b)
{
    const struct counterpart *x = a, *y = b;

    return x->index != y->index ? (x->index < y->index ? -1 : 1)
                                : (x->after > y->after) - (x->after < y->after);
}

/* The first of INDEXES for which dependency AFTER has no job; -1: none is missing. */
static int64_t missing_index(const struct after_search *s, size_t after,
                             const struct array_indexes *indexes)
{
    for (size_t i = 0; i < indexes->n; i++) {
        const struct counterpart key = { .after = after, .index = indexes->list[i] };
        if (!bsearch(&key, s->counterparts.items, s->counterparts.len, sizeof key, by_index))
            return key.index;
    }
    return -1;
}

/* A job that is no array waits for the other one as a whole. */
static void all_listed(struct call *call)
{
    struct after_search *s = search_of(call);
    size_t after = s->next - 1;
    struct dependency *d = &s->spec->after[after];
    struct array_indexes indexes = { 0 };

    qsort(s->counterparts.items, s->counterparts.len, sizeof *s->counterparts.items, by_index);
    int r = array_indexes_parse(s->spec->array->indexes, &indexes, NULL);
    int64_t missing = r < 0 ? -1 : missing_index(s, after, &indexes);
    array_indexes_done(&indexes);
    if (missing >= 0) {
        call_refuse(call, -EINVAL, "after[%zu]: array %s has no job %lld to wait for", after,
                    d->name, (long long) missing);
        return;
    }
    d->is_array = d->has_ended = d->has_failed = false;
    look_up(call);
}

static void jobs_listed(void *userdata, int r, struct workload **items, size_t n,
                        const struct error *err)
{
    struct listing l = *(struct listing *) userdata;
    struct after_search *s = search_of(l.call);

    free(userdata);
    if (r < 0) {
        call_fail(l.call, r, err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct counterpart c = { .after = s->next - 1,
                                 .index = items[i]->spec->array->index,
                                 .job = items[i]->id,
                                 .has_ended = workload_state_is_final(items[i]->state) };
        c.has_failed = c.has_ended && items[i]->state != WORKLOAD_SUCCEEDED;
        vec_push(&s->counterparts, c);
    }
    if (n == PAGE)
        list_jobs(l.call, l.array, items[n - 1]->id);
    else
        all_listed(l.call);
}

/* Which job of ARRAY is which, a page of the store after the other. */
static void list_jobs(struct call *call, struct id array, struct id before)
{
    struct listing *l = xnew(struct listing);
    const struct workload_filter filter = {
        .project = call->project, .array = array, .before = before, .limit = PAGE
    };

    *l = (struct listing){ call, array };
    store_list_workloads(call->api->options.store, &filter, jobs_listed, l);
}

static void array_found(struct call *call, const struct workload *w)
{
    struct after_search *s = search_of(call);
    struct dependency *d = pin(s, w);
    const unsigned *states = w->array_states;

    free(d->name);
    d->name = workload_array_name(w);
    d->is_array = true;
    d->has_ended = !lifecycle_array_lives(call->api->options.lifecycle, &w->id);
    d->has_failed = states && states[WORKLOAD_FAILED] + states[WORKLOAD_STOPPED] > 0;
    d->begun_us = 0;
    if (d->when == AFTER_EACH && s->spec->array)
        list_jobs(call, w->id, id_none);
    else
        look_up(call);
}

/* ---- one after the other --------------------------------------------------------------------------------- */

static bool still_lives(struct lifecycle *lc, const struct dependency *d)
{
    return d->is_array ? lifecycle_array_lives(lc, &d->job) : lifecycle_get(lc, &d->job) != NULL;
}

/* Does all stand as it was found? */
static bool is_fresh(const struct call *call, const struct after_search *s)
{
    struct lifecycle *lc = call->api->options.lifecycle;

    vec_foreach(&s->counterparts, c)
        if (!c->has_ended && !lifecycle_get(lc, &c->job))
            return false;
    for (size_t i = 0; i < s->spec->n_after; i++) {
        const struct dependency *d = &s->spec->after[i];
        bool by_job = d->when == AFTER_EACH && s->counterparts.len > 0;
        if (d->when != AFTER_SINGLETON && !by_job && !d->has_ended && !still_lives(lc, d))
            return false;
    }
    return true;
}

/* The next dependency that has no id yet; when none is left, the submit. */
static void look_up(struct call *call)
{
    struct after_search *s = search_of(call);

    while (s->next < s->spec->n_after && s->spec->after[s->next].when == AFTER_SINGLETON)
        s->next++;
    if (s->next < s->spec->n_after) {
        job_find_any_named(call, s->texts[s->next], target_found, array_found);
    } else if (is_fresh(call, s)) {
        s->found(call);
    } else {
        s->next = s->counterparts.len = 0;
        look_up(call);
    }
}

void after_search_begin(struct call *call, struct workload_spec *spec,
                        void (*found)(struct call *call))
{
    struct after_search *s = search_of(call);

    s->spec = spec;
    s->found = found;
    s->texts = xnew_n(char *, spec->n_after + 1);
    s->n_texts = spec->n_after;
    for (size_t i = 0; i < spec->n_after; i++)
        s->texts[i] = xstrdup(spec->after[i].name);
    look_up(call);
}

void after_search_done(struct after_search *s)
{
    for (size_t i = 0; i < s->n_texts; i++)
        free(s->texts[i]);
    free(s->texts);
    vec_done(&s->counterparts);
}
