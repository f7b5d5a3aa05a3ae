/* submit.c - what people ask for: submit, stop, signal, update, delete */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static void answer_free(struct idempotent_answer *answer)
{
    if (!answer)
        return;
    free(answer->scope);
    free(answer->body);
    free(answer);
}

void submit_done(struct submit *submit)
{
    workload_spec_free(submit->spec);
    json_decref(submit->tags);
    answer_free(submit->answer);
    submit->spec = NULL;
    submit->tags = NULL;
    submit->answer = NULL;
}

enum { STEM_MAX = 40 };

/* What a name may have of PROGRAM: small letters, digits, single dashes inside. */
static void make_stem(const char *program, char stem[static STEM_MAX + 1])
{
    size_t n = 0;

    for (const char *p = program; *p && n < STEM_MAX; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char) (*p - 'A' + 'a') : *p;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            stem[n++] = c;
        else if (n > 0 && stem[n - 1] != '-')
            stem[n++] = '-';
    }
    while (n > 0 && stem[n - 1] == '-')
        n--;
    stem[n] = '\0';
}

/* "python3-3fa2c1": the program and the end of the id. Owned by the caller. */
static char *make_name(const struct workload_spec *spec, const struct id *id)
{
    const char *program = spec->command[0] ? spec->command[0] : "image";
    const char *slash = strrchr(program, '/');
    char stem[STEM_MAX + 1], text[ID_TEXT_LEN + 1];

    make_stem(slash ? slash + 1 : program, stem);
    return xasprintf("%s-%s", *stem ? stem : "job", id_format(id, text) + ID_TEXT_LEN - 6);
}

static json_t *submitted_data(const struct submit *submit, const char *name)
{
    char id[ID_TEXT_LEN + 1];
    json_t *data = json_object();

    json_put_str(data, "name", name);
    json_put(data, "spec", workload_spec_to_json(submit->spec));
    json_put(data, "tags", submit->tags ? json_deep_copy(submit->tags) : json_object());
    json_put_int(data, "priority", submit->priority);
    if (!id_is_none(&submit->rerun_of))
        json_put_str(data, "rerun_of", id_format(&submit->rerun_of, id));
    return data;
}

/* How what it waits for ended is no part of the event, and needed until it has joined. */
static void copy_endings(const struct workload_spec *from, struct workload_spec *to)
{
    for (size_t i = 0; i < from->n_after && i < to->n_after; i++) {
        to->after[i].has_ended = from->after[i].has_ended;
        to->after[i].has_failed = from->after[i].has_failed;
        to->after[i].begun_us = from->after[i].begun_us;
    }
}

/* The first event makes the job: there is nothing to fold into before. */
static struct job *make_job(struct lifecycle *lc, struct commit *c, const struct submit *submit,
                            const struct id *id, const char *name)
{
    struct event *event = xnew(struct event);
    struct workload *w = NULL;
    struct error err = { 0 };

    event->project = submit->project;
    event->subject_kind = "job";
    event->subject = *id;
    event->type = workload_event_name(EVENT_SUBMITTED);
    commit_event(c, event, submit->actor, submitted_data(submit, name));
    if (workload_apply(&w, event, &err) < 0 || !w)
        abort(); /* what was admitted reads back: held by the tests of workload/ */
    store_add_event(c->batch, event);
    copy_endings(submit->spec, w->spec);
    struct job *job = live_add(lc, w);
    if (!job)
        abort(); /* the project was looked up */
    return job;
}

/* JOB comes into the queue. */
static void enqueue(struct lifecycle *lc, struct commit *c, const struct submit *submit,
                    struct job *job)
{
    int64_t begin_us = job->w->spec->begin_us;
    json_t *data = json_object();

    json_put_int(data, "eligible_us",
                 begin_us > job->w->created_us ? begin_us : job->w->created_us);
    commit_fold(c, job, EVENT_QUEUED, submit->actor, data);
    waits_join(lc, job);
    queue_insert(lc, job);
    store_put_workload(c->batch, job->w);
    if (job->w->spec->source == SOURCE_WORKSPACE)
        store_hold(c->batch, &job->w->project, &job->w->spec->workspace, &job->w->id);
    datasets_note_reads(c, job->w);
}

/* Where those of INDEX begin. */
static size_t first_counterpart(const struct submit *submit, unsigned index)
{
    size_t low = 0, high = submit->n_counterparts;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (submit->counterparts[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What the job of this INDEX waits for in other arrays. */
static void set_counterparts(const struct submit *submit, unsigned index)
{
    size_t i = first_counterpart(submit, index);

    for (; i < submit->n_counterparts && submit->counterparts[i].index == index; i++) {
        const struct counterpart *other = &submit->counterparts[i];
        struct dependency *d = &submit->spec->after[other->after];
        d->job = other->job;
        d->has_ended = other->has_ended;
        d->has_failed = other->has_failed;
        d->begun_us = 0;
    }
}

/* All jobs of an array, in one commit; the first stands for it. */
static struct job *make_array(struct lifecycle *lc, struct commit *c, struct submit *submit)
{
    struct array_indexes indexes = { 0 };
    struct array_place *place = submit->spec->array;
    struct id id = lc_new_id(lc);
    _cleanup_free_ char *name = submit->name ? xstrdup(submit->name) : make_name(submit->spec, &id);
    struct job *head = NULL;

    if (array_indexes_parse(place->indexes, &indexes, NULL) < 0 || indexes.n == 0)
        abort(); /* admission has read it */
    place->id = id;
    place->count = (unsigned) indexes.n;
    place->first = indexes.list[0];
    place->last = indexes.list[indexes.n - 1];
    place->step = indexes.step;
    place->limit = indexes.limit;
    for (size_t i = 0; i < indexes.n; i++) {
        _cleanup_free_ char *own = xasprintf("%s_%u", name, indexes.list[i]);
        place->index = indexes.list[i];
        set_counterparts(submit, place->index);
        struct job *job = make_job(lc, c, submit, &id, own);
        if (!head)
            head = job;
        enqueue(lc, c, submit, job);
        job->refs++;
        vec_push(&c->started, job);
        if (i == 0)
            xstr_set(&place->indexes, NULL); /* the first has it */
        id = lc_new_id(lc);
    }
    array_indexes_done(&indexes);
    if (head && head->array)
        array_fill(lc, head->array);
    return head;
}

static struct job *make_alone(struct lifecycle *lc, struct commit *c, const struct submit *submit)
{
    struct id id = lc_new_id(lc);
    _cleanup_free_ char *name = submit->name ? xstrdup(submit->name) : make_name(submit->spec, &id);
    struct job *job = make_job(lc, c, submit, &id, name);

    enqueue(lc, c, submit, job);
    return job;
}

static void store_answer(struct commit *c, struct submit *submit)
{
    struct idempotent_answer *answer = submit->answer;

    if (!answer)
        return;
    free(answer->body);
    answer->body = submit->format(submit->format_userdata, c->job->w);
    answer->created_us = c->job->w->created_us;
    store_put_answer(c->batch, answer);
}

/* Until its time; one timer is enough for all of an array. */
static void await_begin(struct lifecycle *lc, const struct job *job)
{
    int64_t wait_us = job->w->eligible_us - lc_now(lc);

    if (wait_us <= 0)
        return;
    const struct timer timer = {
        .due_us = lc_boot(lc) + wait_us,
        .kind = TIMER_ELIGIBLE,
        .workload = job->w->id,
        .eligible_us = job->w->eligible_us,
    };
    timer_add(lc, &timer);
}

int lifecycle_submit(struct lifecycle *lc, struct submit *submit, lifecycle_done_f done,
                     void *userdata, struct error *err)
{
    const struct project *project = project_get(lc, &submit->project);
    int r = project ? admit(lc, submit, project, err)
                    : error_set(err, -ENOENT, "there is no such project");
    if (r < 0) {
        submit_done(submit);
        return r;
    }

    struct commit *c = commit_new(lc, NULL);
    bool is_array = submit->spec->array && submit->spec->array->count == 0;
    struct job *job = is_array ? make_array(lc, c, submit) : make_alone(lc, c, submit);
    if (!job)
        abort();
    job->refs++;
    c->job = job;
    c->done = done;
    c->userdata = userdata;
    store_answer(c, submit);
    commit_send(c);
    images_want(lc, job->w, submit->actor);
    await_begin(lc, job);
    submit_done(submit);
    lc_want_pass(lc);
    return 0;
}

/* A job that waits ends at once: nothing of it runs. */
static void stop_queued(struct lifecycle *lc, struct job *job, const char *actor, struct commit *c)
{
    json_t *data = json_object();

    queue_remove(lc, job);
    json_put_str(data, "cause", end_cause_name(END_STOPPED));
    json_put_str(data, "reason", "it was stopped before it began");
    commit_fold(c, job, EVENT_STOPPED, actor, data);
    store_put_workload(c->batch, job->w);
    commit_send(c);
}

int lifecycle_stop(struct lifecycle *lc, const struct id *workload, const char *actor,
                   int64_t grace_s, lifecycle_done_f done, void *userdata, struct error *err)
{
    struct job *job = live_get(lc, workload);

    if (!job)
        return error_set(err, -ENOENT, "there is no such job that has not ended");
    if (job->final)
        return error_set(err, -EBUSY, "the job has ended: it is %s",
                         workload_state_name(job->w->state));

    struct commit *c = commit_new(lc, job);
    c->done = done;
    c->userdata = userdata;
    if (job->w->state == WORKLOAD_QUEUED) {
        stop_queued(lc, job, actor, c);
        return 0;
    }
    struct stop_order order = { END_STOPPED, actor, grace_s < 0 ? job->w->spec->grace_s : grace_s,
                                NULL };
    act_stop(lc, job, &order, c);
    return 0;
}

int lifecycle_signal(struct lifecycle *lc, const struct id *workload, int signo, struct error *err)
{
    struct job *job = live_get(lc, workload);

    if (!job)
        return error_set(err, -ENOENT, "there is no such job that has not ended");
    if (job->w->state != WORKLOAD_RUNNING)
        return error_set(err, -EBUSY, "the job is %s; only a running job takes signals",
                         workload_state_name(job->w->state));
    for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
        if (!job->gang || gang_lives(job, rank))
            lc->engine->ops->signal(lc->engine, attempt_task_id(job->w->attempt, rank), signo);
    return 0;
}

static int updated_data(const struct workload *w, const struct job_change *change, json_t **ret,
                        struct error *err)
{
    _cleanup_json_ json_t *data = json_object();
    json_t *merged = NULL;

    if (change->priority && (*change->priority < -1000 || *change->priority > 1000))
        return error_set(err, -EINVAL, "priority: is %d; it must be -1000 to 1000",
                         *change->priority);
    int r = change->tags ? tags_merge(w->tags, change->tags, &merged, err) : 0;
    if (r < 0)
        return r;
    json_put(data, "tags", merged);
    if (change->priority)
        json_put_int(data, "priority", *change->priority);
    *ret = take_ptr(data);
    return 0;
}

/* A workload that is in the store only may have been read before another change of it was committed;
 * folding into the old state would lose that change. */
static int check_fresh(struct lifecycle *lc, const struct workload *w, struct error *err)
{
    enum { KEEP_MAX = 65536 };
    uintptr_t last = (uintptr_t) map_get(lc->final_versions, w->id.bytes, sizeof w->id.bytes);

    if (!workload_state_is_final(w->state) || w->version < last)
        return error_set(err, -EBUSY, "the job changed meanwhile; ask again");
    if (map_len(lc->final_versions) >= KEEP_MAX) {
        map_free(lc->final_versions);
        lc->final_versions = map_new();
    }
    map_set(lc->final_versions, w->id.bytes, sizeof w->id.bytes,
            (void *) (uintptr_t) (w->version + 1));
    return 0;
}

/* Stands in for the live job, with a copy of W; ends with the commit. */
static struct job *stand_in(const struct workload *w, struct error *err)
{
    _cleanup_json_ json_t *record = workload_to_record(w);
    struct workload *copy = NULL;

    if (workload_from_record(record, &copy, err) < 0)
        return NULL;
    struct job *job = xnew(struct job);
    job->w = copy;
    job->final = true;
    job->gone = true;
    return job;
}

int lifecycle_update(struct lifecycle *lc, const struct workload *w,
                     const struct job_change *change, lifecycle_done_f done, void *userdata,
                     struct error *err)
{
    struct job *job = live_get(lc, &w->id);
    json_t *data = NULL;

    int r = updated_data(job ? job->w : w, change, &data, err);
    if (r >= 0 && !job)
        r = check_fresh(lc, w, err);
    if (r < 0) {
        json_decref(data);
        return r;
    }

    bool queued = job && job->w->state == WORKLOAD_QUEUED;
    if (!job)
        job = stand_in(w, err);
    if (!job) {
        json_decref(data);
        return -EBADMSG;
    }
    struct commit *c = commit_new(lc, job);
    c->done = done;
    c->userdata = userdata;
    if (queued)
        queue_remove(lc, job);
    commit_fold(c, job, EVENT_UPDATED, change->actor, data);
    if (queued)
        queue_insert(lc, job);
    store_put_workload(c->batch, job->w);
    commit_send(c);
    return 0;
}

static void delete_committed(struct lifecycle *lc, struct commit *c) { forget(lc); }

int lifecycle_delete(struct lifecycle *lc, const struct workload *w, const char *actor,
                     lifecycle_done_f done, void *userdata, struct error *err)
{
    if (live_get(lc, &w->id) || !workload_state_is_final(w->state))
        return error_set(err, -EBUSY, "the job is %s; only a job that has ended can be deleted",
                         workload_state_name(w->state));
    if (waits_name(lc, &w->id, false) ||
        (workload_in_array(w) && waits_name(lc, &w->spec->array->id, true)))
        return error_set(err, -EBUSY, "a job in the queue waits for job %s (--after)", w->name);

    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    event->project = w->project;
    event->subject_kind = "job";
    event->subject = w->id;
    event->type = workload_event_name(EVENT_DELETED);
    commit_event(c, event, actor, json_object());
    store_add_event(c->batch, event);
    store_delete_workload(c->batch, w, event->time_us);
    c->effect = delete_committed;
    c->done = done;
    c->userdata = userdata;
    commit_send(c);
    return 0;
}
