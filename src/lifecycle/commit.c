/* commit.c - events go to the store in batches; answers and effects follow the commit
 *
 * State in memory is ahead of the store by what is under way. The store answers in the order of the
 * commits, so an effect sees at least the state whose event asked for it, and perhaps a later one:
 * effects check before they act.
 */
#include "lifecycle/internal.h"

#include <assert.h>

int64_t lc_now(struct lifecycle *lc)
{
    int64_t now = lc->sources.now_us(lc->sources.userdata);

    if (now > lc->last_time_us)
        lc->last_time_us = now;
    return lc->last_time_us;
}

int64_t lc_boot(const struct lifecycle *lc) { return lc->sources.boot_us(lc->sources.userdata); }

struct id lc_new_id(const struct lifecycle *lc) { return lc->sources.new_id(lc->sources.userdata); }

void lc_wake(const struct lifecycle *lc)
{
    if (lc->wake)
        lc->wake(lc->wake_userdata);
}

void lc_want_pass(struct lifecycle *lc)
{
    if (lc->pass_wanted)
        return;
    lc->pass_wanted = true;
    lc_wake(lc);
}

struct commit *commit_new(struct lifecycle *lc, struct job *job)
{
    struct commit *c = xnew(struct commit);

    c->lc = lc;
    c->batch = store_batch_new();
    c->job = job;
    if (job)
        job->refs++;
    c->next = lc->commits;
    if (c->next)
        c->next->prev = c;
    lc->commits = c;
    return c;
}

static void commit_free(struct commit *c)
{
    if (c->lc) {
        if (c->prev)
            c->prev->next = c->next;
        else
            c->lc->commits = c->next;
        if (c->next)
            c->next->prev = c->prev;
    }
    for (size_t i = 0; i < c->started.len; i++)
        live_unref(c->started.items[i]);
    if (c->job)
        live_unref(c->job);
    vec_done(&c->started);
    vec_done(&c->epochs);
    store_batch_free(c->batch);
    free(c);
}

void commit_event(struct commit *c, struct event *event, const char *actor, json_t *data)
{
    event->id = lc_new_id(c->lc);
    event->time_us = lc_now(c->lc);
    event->actor = xstrdup(actor);
    event->version = 1;
    event->data = data;
}

void commit_fold(struct commit *c, struct job *job, enum workload_event type, const char *actor,
                 json_t *data)
{
    struct event *event = xnew(struct event);
    struct error err = { 0 };

    event->project = job->w->project;
    event->subject_kind = "job";
    event->subject = job->w->id;
    event->type = workload_event_name(type);
    commit_event(c, event, actor, data);
    int r = workload_apply(&job->w, event, &err);
    assert(r == 0);
    store_add_event(c->batch, event);
    if (workload_state_is_final(job->w->state) && !job->final) {
        job->final = true;
        c->last = true;
        array_note_began(job);
        array_note_final(c->lc, job);
        waits_note(c->lc, job);
    } else if (type == EVENT_RUNNING && !job->began) {
        array_note_began(job);
        waits_note(c->lc, job);
        if (job->array)
            array_note_changed(c->lc, job->array);
    }
}

static void on_committed(void *userdata, struct event *const *events, size_t n)
{
    struct commit *c = userdata;
    struct lifecycle *lc = c->lc;

    for (size_t i = 0; lc && lc->committed && i < n; i++)
        lc->committed(lc->committed_userdata, events[i]);
    if (lc && c->effect)
        c->effect(lc, c);
    if (lc && c->done)
        c->done(c->userdata, c->job ? c->job->w : NULL);
    if (lc && c->ok)
        c->ok(c->userdata);
    if (lc && c->dataset_done)
        datasets_answer(lc, c);
    if (lc && c->last)
        live_drop(lc, c->job);
    commit_free(c);
}

void commit_send(struct commit *c)
{
    struct store_batch *batch = c->batch;

    c->batch = NULL;
    (c->later ? store_commit_later : store_commit)(c->lc->store, batch, on_committed, c);
}

bool lifecycle_is_ahead(struct lifecycle *lc, const struct workload *w)
{
    const struct job *job = live_get(lc, &w->id);
    struct store_health health;

    if (!job || job->refs == 0)
        return false;
    /* Where the disk takes nothing, what memory knows is better than no answer. */
    store_health(lc->store, &health);
    return !health.failing;
}

void lifecycle_settle(struct lifecycle *lc, lifecycle_ok_f done, void *userdata)
{
    struct commit *c = commit_new(lc, NULL);

    c->ok = done;
    c->userdata = userdata;
    commit_send(c);
}

void commits_orphan(struct lifecycle *lc)
{
    for (struct commit *c = lc->commits; c; c = c->next)
        c->lc = NULL;
    lc->commits = NULL;
}
