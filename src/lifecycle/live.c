/* live.c - the jobs that are not final: by id, by name, and in the order of the queue */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

/* Key of lc->names. */
struct name_key {
    char bytes[16 + 64];
    size_t len;
};

static struct name_key name_key(const struct id *project, const char *name)
{
    struct name_key key = { .len = sizeof project->bytes + strnlen(name, 63) };

    memcpy(key.bytes, project->bytes, sizeof project->bytes);
    memcpy(key.bytes + sizeof project->bytes, name, key.len - sizeof project->bytes);
    return key;
}

struct job *live_add(struct lifecycle *lc, struct workload *w)
{
    const struct project *project = project_get(lc, &w->project);

    if (!project)
        return NULL;
    struct job *job = xnew(struct job);
    _cleanup_free_ char *name = workload_listed_name(w);
    struct name_key key = name_key(&w->project, name);
    job->w = w;
    job->project = project;
    map_set(lc->jobs, w->id.bytes, sizeof w->id.bytes, job);
    job->same_name = map_set(lc->names, key.bytes, key.len, job);
    array_join(lc, job);
    return job;
}

static void forget_name(struct lifecycle *lc, const struct job *job)
{
    _cleanup_free_ char *name = workload_listed_name(job->w);
    struct name_key key = name_key(&job->w->project, name);
    struct job *newest = map_get(lc->names, key.bytes, key.len);

    if (newest == job && job->same_name) {
        map_set(lc->names, key.bytes, key.len, job->same_name);
    } else if (newest == job) {
        map_remove(lc->names, key.bytes, key.len);
    } else {
        while (newest && newest->same_name != job)
            newest = newest->same_name;
        assert(newest);
        newest->same_name = job->same_name;
    }
}

static void live_free(struct job *job)
{
    workload_free(job->w);
    free(job->waits);
    gang_free(job->gang);
    landing_free(job);
    free(job);
}

void live_drop(struct lifecycle *lc, struct job *job)
{
    if (job->gone)
        return;
    map_remove(lc->jobs, job->w->id.bytes, sizeof job->w->id.bytes);
    forget_name(lc, job);
    job->gone = true;
    if (job->refs == 0)
        live_free(job);
}

void live_unref(struct job *job)
{
    assert(job->refs > 0);
    if (--job->refs == 0 && job->gone)
        live_free(job);
}

void live_begin_attempt(struct lifecycle *lc, struct job *job)
{
    const struct attempt *a = job->w->attempt;

    map_set(lc->attempts, a->id.bytes, sizeof a->id.bytes, job);
    for (size_t rank = 0; rank < attempt_n_tasks(a); rank++) {
        const struct id *id = attempt_task_id(a, rank);
        map_set(lc->tasks, id->bytes, sizeof id->bytes, job);
    }
    if (a->n_tasks)
        job->gang = gang_new(a);
}

void live_end_attempt(struct lifecycle *lc, struct job *job)
{
    const struct attempt *a = job->w->attempt;

    map_remove(lc->attempts, a->id.bytes, sizeof a->id.bytes);
    for (size_t rank = 0; rank < attempt_n_tasks(a); rank++) {
        const struct id *id = attempt_task_id(a, rank);
        map_remove(lc->tasks, id->bytes, sizeof id->bytes);
    }
    gang_free(job->gang);
    job->gang = NULL;
}

struct job *live_task(const struct lifecycle *lc, const struct id *task, size_t *ret_rank)
{
    struct job *job = map_get(lc->tasks, task->bytes, sizeof task->bytes);

    for (size_t rank = 0; job && ret_rank && rank < attempt_n_tasks(job->w->attempt); rank++)
        if (id_equal(attempt_task_id(job->w->attempt, rank), task))
            *ret_rank = rank;
    return job;
}

struct job *live_get(const struct lifecycle *lc, const struct id *workload)
{
    return map_get(lc->jobs, workload->bytes, sizeof workload->bytes);
}

struct job *live_named(const struct lifecycle *lc, const struct id *project, const char *name)
{
    struct name_key key = name_key(project, name);

    return map_get(lc->names, key.bytes, key.len);
}

size_t queue_position(const struct queue_order *q, const struct workload *w)
{
    size_t low = 0, high = q->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (placement_compare(q->items[q->head + middle].workload, w) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for one more at both ends. */
static void queue_grow(struct queue_order *q)
{
    size_t cap = q->len < 32 ? 128 : q->len * 4;
    struct placement_request *items = xnew_n(struct placement_request, cap);
    size_t head = (cap - q->len) / 4;

    if (q->len)
        memcpy(items + head, q->items + q->head, q->len * sizeof *items);
    free(q->items);
    q->items = items;
    q->head = head;
    q->cap = cap;
}

void queue_insert(struct lifecycle *lc, struct job *job)
{
    struct queue_order *q = &lc->queue;
    struct placement_request request = { .workload = job->w,
                                         .owner = job->project->org,
                                         .held = job_hold(lc, job) };

    lc->changes++;
    if (q->head == 0 || q->head + q->len == q->cap)
        queue_grow(q);
    size_t at = queue_position(q, job->w);
    struct placement_request *first = q->items + q->head;
    if (at < q->len / 2) {
        memmove(first - 1, first, at * sizeof *first);
        q->head--;
    } else {
        memmove(first + at + 1, first + at, (q->len - at) * sizeof *first);
    }
    q->len++;
    q->items[q->head + at] = request;
    plan_submit(lc, job);
}

void queue_hold(struct lifecycle *lc, struct job *job)
{
    struct queue_order *q = &lc->queue;
    size_t at = queue_position(q, job->w);

    if (at >= q->len || q->items[q->head + at].workload != job->w)
        return;
    lc->changes++;
    q->items[q->head + at].held = job_hold(lc, job);
    planner_hold(lc->planner, &job->w->id, job_hold(lc, job) != NULL);
    lc_want_pass(lc);
}

void queue_remove(struct lifecycle *lc, const struct job *job)
{
    planner_end(lc->planner, &job->w->id, plan_now(lc));
    queue_leave(lc, job);
}

void queue_leave(struct lifecycle *lc, const struct job *job)
{
    struct queue_order *q = &lc->queue;
    size_t at = queue_position(q, job->w);
    struct placement_request *first = q->items + q->head;

    lc->changes++;
    assert(at < q->len && first[at].workload == job->w);
    if (at < q->len / 2) {
        memmove(first + 1, first, at * sizeof *first);
        q->head++;
    } else {
        memmove(first + at, first + at + 1, (q->len - at - 1) * sizeof *first);
    }
    q->len--;
}

void live_done(struct lifecycle *lc)
{
    struct job *job;

    map_foreach(lc->jobs, pos, job) {
        job->gone = true;
        if (job->refs == 0)
            live_free(job);
    }
    map_free(lc->jobs);
    map_free(lc->names);
    map_free(lc->attempts);
    map_free(lc->tasks);
    map_free(lc->final_versions);
    free(lc->queue.items);
}

struct workload *lifecycle_get(struct lifecycle *lc, const struct id *workload)
{
    struct job *job = live_get(lc, workload);

    return job ? job->w : NULL;
}

/* The one whose id begins with PREFIX; NULL when there is none or more than one. What the jobs of an
 * array have in common stands for the array. */
static struct job *find_by_prefix(struct lifecycle *lc, const struct id *project,
                                  const char *prefix)
{
    struct job *found = NULL, *job;

    map_foreach(lc->jobs, pos, job) {
        char text[ID_TEXT_LEN + 1];
        if (!id_equal(&job->w->project, project) ||
            (workload_in_array(job->w) && !workload_heads_array(job->w)) ||
            !str_starts(id_format(&job->w->id, text), prefix))
            continue;
        if (found)
            return NULL;
        found = job;
    }
    return found;
}

static struct job *find_text(struct lifecycle *lc, const struct id *project, const char *text)
{
    enum { PREFIX_MIN = 4 };
    struct job *job = NULL;
    struct id id;

    if (id_parse(text, &id) == 0) {
        job = live_get(lc, &id);
        return job && id_equal(&job->w->project, project) ? job : NULL;
    }
    if (strlen(text) <= 63)
        job = live_named(lc, project, text);
    if (!job && strlen(text) >= PREFIX_MIN && strspn(text, "0123456789abcdef-") == strlen(text))
        job = find_by_prefix(lc, project, text);
    return job;
}

/* NAME_INDEX or ID_INDEX, where the array's first job lives. */
static struct job *find_indexed(struct lifecycle *lc, const struct id *project, const char *text)
{
    unsigned index = 0;
    _cleanup_free_ char *base = array_text_split(text, &index);
    const struct job *head = base ? find_text(lc, project, base) : NULL;

    if (!head || !head->array || !workload_heads_array(head->w))
        return NULL;
    vec_foreach(&head->array->jobs, job)
        if (*job && (*job)->w->spec->array->index == index)
            return *job;
    return NULL;
}

struct workload *lifecycle_find(struct lifecycle *lc, const struct id *project,
                                const char *name_or_id)
{
    struct job *job = find_text(lc, project, name_or_id);

    if (!job)
        job = find_indexed(lc, project, name_or_id);
    return job ? job->w : NULL;
}

static bool is_wanted(const struct workload *w, const struct id *project)
{
    return !project || id_is_none(project) || id_equal(project, &w->project);
}

struct workload **lifecycle_queue(struct lifecycle *lc, const struct id *project, size_t *ret_n)
{
    struct workload **list = xnew_n(struct workload *, map_len(lc->jobs) + 1);
    struct job *job;
    size_t n = 0;

    /* Those that hold hardware first, in the order of their submission. */
    map_foreach(lc->jobs, pos, job)
        if (job->w->state != WORKLOAD_QUEUED && !job->final && is_wanted(job->w, project))
            list[n++] = job->w;
    for (size_t i = 0; i < lc->queue.len; i++) {
        job = live_get(lc, &turn_at(lc, i)->id);
        if (job && is_wanted(job->w, project))
            list[n++] = job->w;
    }
    *ret_n = n;
    return list;
}
