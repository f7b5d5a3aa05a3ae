/* arrays.c - job arrays: how many of one may run at once, and what is left of it
 *
 * The jobs of an array are jobs like others, made by one commit. Where the array has a limit, that many of
 * its jobs have a turn, lowest index first; the others are held in the queue. A job keeps its turn until it
 * is final, also while it waits for another attempt.
 */
#include "lifecycle/internal.h"

#include <stdlib.h>

/* Jobs that one turn of the loop stops: others are answered in between. */
enum { STOP_LIMIT = 256 };

struct array *array_get(const struct lifecycle *lc, const struct id *id)
{
    return map_get(lc->arrays, id->bytes, sizeof id->bytes);
}

static bool has_begun(const struct workload *w)
{
    return w->attempts > 1 || (w->attempt && w->attempt->started_us != 0);
}

static void note_begun(struct array *a, int64_t us)
{
    if (us > a->begun_us)
        a->begun_us = us;
}

void array_join(struct lifecycle *lc, struct job *job)
{
    const struct array_place *place = job->w->spec->array;

    job->began = has_begun(job->w);
    if (!workload_in_array(job->w))
        return;
    struct array *a = array_get(lc, &place->id);
    if (!a) {
        a = xnew(struct array);
        a->id = place->id;
        a->limit = place->limit;
        map_set(lc->arrays, a->id.bytes, sizeof a->id.bytes, a);
    }
    job->array = a;
    job->array_at = a->jobs.len;
    vec_push(&a->jobs, job);
    a->n_live++;
    a->n_unstarted += !job->began;
    if (job->began)
        note_begun(a, job->w->started_us);
}

void array_note_began(struct job *job)
{
    if (job->began)
        return;
    job->began = true;
    if (!job->array)
        return;
    job->array->n_unstarted--;
    note_begun(job->array, job->w->started_us ? job->w->started_us : job->w->ended_us);
}

void array_note_changed(struct lifecycle *lc, struct array *a)
{
    if (a->dirty)
        return;
    a->dirty = true;
    vec_push(&lc->arrays_dirty, a);
    lc_want_pass(lc);
}

void array_note_final(struct lifecycle *lc, struct job *job)
{
    struct array *a = job->array;

    if (!a)
        return;
    a->jobs.items[job->array_at] = NULL;
    a->n_live--;
    a->n_turns -= job->has_turn;
    a->n_bad += job->w->state != WORKLOAD_SUCCEEDED;
    job->has_turn = false;
    job->array = NULL;
    array_note_changed(lc, a);
}

static void give_turn(struct array *a, struct job *job)
{
    job->has_turn = true;
    a->n_turns++;
}

void array_fill(struct lifecycle *lc, struct array *a)
{
    for (; a->next < a->jobs.len && a->n_turns < a->limit; a->next++) {
        struct job *job = a->jobs.items[a->next];
        if (!job || job->has_turn)
            continue;
        give_turn(a, job);
        queue_hold(lc, job);
    }
}

bool array_holds(const struct job *job)
{
    return job->array && job->array->limit && !job->has_turn;
}

static void array_free(struct array *a)
{
    vec_done(&a->jobs);
    free(a);
}

void arrays_tick(struct lifecycle *lc)
{
    vec_foreach(&lc->arrays_dirty, item) {
        struct array *a = *item;
        a->dirty = false;
        waits_note_array(lc, a);
        array_fill(lc, a);
        if (a->n_live > 0)
            continue;
        map_remove(lc->arrays, a->id.bytes, sizeof a->id.bytes);
        array_free(a);
    }
    lc->arrays_dirty.len = 0;
}

static int by_id(const void *a, const void *b)
{
    const struct job *const *x = a, *const *y = b;

    return id_compare(&(*x)->w->id, &(*y)->w->id);
}

void arrays_recover(struct lifecycle *lc)
{
    struct array *a;

    map_foreach(lc->arrays, pos, a) {
        qsort(a->jobs.items, a->jobs.len, sizeof(struct job *), by_id);
        for (size_t i = 0; i < a->jobs.len; i++) {
            struct job *job = a->jobs.items[i];
            job->array_at = i;
            if (a->limit && (job->w->state != WORKLOAD_QUEUED || job->w->attempts > 0))
                give_turn(a, job);
        }
    }
}

void arrays_start(struct lifecycle *lc)
{
    struct array *a;

    map_foreach(lc->arrays, pos, a)
        array_fill(lc, a);
}

void arrays_done(struct lifecycle *lc)
{
    struct array *a;

    map_foreach(lc->arrays, pos, a)
        array_free(a);
    map_free(lc->arrays);
    vec_done(&lc->arrays_dirty);
}

/* ---- requests ------------------------------------------------------------------------------------- */

unsigned lifecycle_stop_array(struct lifecycle *lc, const struct id *array, const char *actor,
                              int64_t grace_s, size_t *left)
{
    struct array *a = array_get(lc, array);
    unsigned n = 0;

    if (!a || *left > a->jobs.len)
        *left = a ? a->jobs.len : 0;
    /* From the last: nobody gets a turn in between, but the first would be given it. */
    for (; *left > 0 && n < STOP_LIMIT; --*left) {
        struct job *job = a->jobs.items[*left - 1];
        struct error err = { 0 };
        if (job && lifecycle_stop(lc, &job->w->id, actor, grace_s, NULL, NULL, &err) == 0)
            n++;
    }
    return n;
}

bool lifecycle_array_lives(struct lifecycle *lc, const struct id *array)
{
    const struct array *a = array_get(lc, array);

    return a && a->n_live > 0;
}
