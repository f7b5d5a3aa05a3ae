/* waits.c - dependencies: jobs that begin only when others have begun or ended
 *
 * What is waited for is a job or an array. Whoever waits is held in the queue, and looked at again in the
 * tick after something changed about it; once nothing is left to wait for, it stays so. What can never be
 * ends the job, or holds it for good where its specification says so.
 */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct standing {
    bool is_known, has_begun, has_ended, has_failed;
    int64_t begun_us;
};

/* What jobs wait for. */
struct target {
    struct id id;
    bool is_array;
    unsigned n_refs;        /* jobs in the queue that name it */
    bool has_ended;         /* and how is known */
    bool has_failed;        /* something of it did not succeed */
    int64_t begun_us;       /* when it began, or ended without; 0: not known, or not yet */
    struct standing told;   /* to those that wait */
    VEC(struct id) waiters; /* some may be gone */
};

/* Jobs that one tick looks at; the rest comes in the next, so that the loop breathes. */
enum { TICK_LIMIT = 256 };

enum verdict { WAITS, MET, NEVER };

/* The first job of an array has the array's id. */
struct target_key {
    uint8_t bytes[sizeof(struct id) + 1];
};

static struct target_key target_key(const struct id *id, bool is_array)
{
    struct target_key key = { .bytes = { [sizeof(struct id)] = is_array } };

    memcpy(key.bytes, id->bytes, sizeof *id);
    return key;
}

static struct target *target_get(const struct lifecycle *lc, const struct id *id, bool is_array)
{
    struct target_key key = target_key(id, is_array);

    return map_get(lc->targets, key.bytes, sizeof key.bytes);
}

static struct standing standing_of(const struct lifecycle *lc, const struct dependency *d)
{
    const struct target *t = target_get(lc, &d->job, d->is_array);
    const struct array *a = d->is_array ? array_get(lc, &d->job) : NULL;
    const struct job *job = d->is_array ? NULL : live_get(lc, &d->job);

    if (t && t->has_ended)
        return (struct standing){ true, true, true, t->has_failed, t->begun_us };
    if (a)
        return (struct standing){ true, a->n_unstarted == 0, a->n_live == 0, a->n_bad > 0,
                                  a->begun_us };
    if (job)
        return (struct standing){ true, job->began, job->final,
                                  job->final && job->w->state != WORKLOAD_SUCCEEDED,
                                  job->w->started_us ? job->w->started_us : job->w->ended_us };
    return (struct standing){ false, true, true, false, 0 };
}

/* The live job of the project and name of W that came before it; NULL: there is none. */
static const struct job *older_namesake(const struct lifecycle *lc, const struct workload *w)
{
    for (const struct job *job = live_named(lc, &w->project, w->name); job; job = job->same_name)
        if (!job->final && id_compare(&job->w->id, &w->id) < 0)
            return job;
    return NULL;
}

/* What is to be left of the delay of D after its job began. */
static int64_t delay_left_us(const struct lifecycle *lc, const struct dependency *d,
                             const struct standing *s)
{
    int64_t now_us = lc->sources.now_us(lc->sources.userdata);

    return d->delay_s && s->begun_us ? s->begun_us + d->delay_s * US_PER_S - now_us : 0;
}

static enum verdict judge(const struct lifecycle *lc, const struct workload *w,
                          const struct dependency *d)
{
    if (d->when == AFTER_SINGLETON)
        return older_namesake(lc, w) ? WAITS : MET;
    struct standing s = standing_of(lc, d);
    switch ((int) d->when) {
    case AFTER_START:
        return (s.has_begun || s.has_ended) && delay_left_us(lc, d, &s) <= 0 ? MET : WAITS;
    case AFTER_EACH:
    case AFTER_OK:
        return s.has_failed || !s.is_known ? NEVER : s.has_ended ? MET : WAITS;
    case AFTER_NOT_OK:
        return !s.has_ended ? WAITS : s.has_failed ? MET : NEVER;
    default:
        return s.has_ended ? MET : WAITS;
    }
}

/* ---- who waits -------------------------------------------------------------------------------------- */

static const struct store_outcome *outcome_of(const struct lifecycle *lc,
                                              const struct dependency *d)
{
    vec_foreach(&lc->outcomes, o)
        if (id_equal(&o->id, &d->job) && o->is_array == d->is_array &&
            o->with_begun == (d->delay_s > 0))
            return o;
    return NULL;
}

/* Where memory will not learn how it ends, because it has. */
static void set_ending(const struct lifecycle *lc, struct target *t, const struct dependency *d,
                       const struct store_outcome *o)
{
    const struct job *other = d->is_array ? NULL : live_get(lc, &t->id);
    bool lives = d->is_array ? array_get(lc, &t->id) != NULL : other != NULL;

    if (lives) {
        t->has_ended = other && other->final;
        t->has_failed = t->has_ended && other->w->state != WORKLOAD_SUCCEEDED;
    } else if (d->has_ended) {
        t->has_ended = true;
        t->has_failed = d->has_failed;
    } else if (o && o->n_succeeded + o->n_bad > 0) {
        t->has_ended = true;
        t->has_failed = o->n_bad > 0;
    }
    if (t->has_ended)
        t->begun_us = other         ? other->w->started_us
                      : d->begun_us ? d->begun_us
                      : o           ? o->begun_us
                                    : 0;
}

static void join_target(struct lifecycle *lc, const struct job *job, const struct dependency *d)
{
    struct target_key key = target_key(&d->job, d->is_array);
    struct target *t = map_get(lc->targets, key.bytes, sizeof key.bytes);

    if (!t) {
        t = xnew(struct target);
        t->id = d->job;
        t->is_array = d->is_array;
        map_set(lc->targets, key.bytes, sizeof key.bytes, t);
        set_ending(lc, t, d, outcome_of(lc, d));
    }
    t->n_refs++;
    vec_push(&t->waiters, job->w->id);
}

void waits_recheck(struct lifecycle *lc, const struct id *workload)
{
    vec_push(&lc->recheck, *workload);
    lc_want_pass(lc);
}

/* Only time is missing: the job is looked at again when it has passed. */
static void arm_delay(struct lifecycle *lc, const struct job *job, const struct dependency *d)
{
    struct standing s = standing_of(lc, d);
    int64_t left_us =
        d->when == AFTER_START && (s.has_begun || s.has_ended) ? delay_left_us(lc, d, &s) : 0;

    if (left_us <= 0)
        return;
    const struct timer timer = { .due_us = lc_boot(lc) + left_us,
                                 .kind = TIMER_WAIT,
                                 .workload = job->w->id };
    timer_add(lc, &timer);
}

/* One that is met is enough, and only if none can be any more it can never begin. */
static void settle_any(struct job *job, unsigned n_met, unsigned n_never)
{
    if (n_met > 0)
        job->n_waits = 0;
    if (n_met > 0 || n_never < job->w->spec->n_after)
        job->never = NULL;
}

static void count(struct lifecycle *lc, struct job *job)
{
    const struct workload_spec *spec = job->w->spec;
    unsigned n_never = 0, n_met = 0;

    job->n_waits = 0;
    job->never = NULL;
    for (size_t i = 0; i < spec->n_after; i++) {
        enum verdict verdict = judge(lc, job->w, &spec->after[i]);
        job->n_waits += verdict != MET;
        n_met += verdict == MET;
        n_never += verdict == NEVER;
        if (verdict == NEVER)
            job->never = &spec->after[i];
        if (verdict == WAITS)
            arm_delay(lc, job, &spec->after[i]);
    }
    if (spec->after_any && spec->n_after)
        settle_any(job, n_met, n_never);
}

void waits_join(struct lifecycle *lc, struct job *job)
{
    const struct workload_spec *spec = job->w->spec;

    if (spec->n_after == 0 || job->w->attempts > 0)
        return;
    for (size_t i = 0; i < spec->n_after; i++)
        if (spec->after[i].when == AFTER_SINGLETON)
            lc->n_singletons++;
        else
            join_target(lc, job, &spec->after[i]);
    job->is_waiter = true;
    count(lc, job);
    if (job->never || job->n_waits == 0)
        waits_recheck(lc, &job->w->id);
}

void waits_leave(struct lifecycle *lc, struct job *job)
{
    const struct workload_spec *spec = job->w->spec;

    if (!job->is_waiter)
        return;
    job->is_waiter = false;
    job->n_waits = 0;
    job->never = NULL;
    for (size_t i = 0; i < spec->n_after; i++) {
        const struct dependency *d = &spec->after[i];
        struct target_key key = target_key(&d->job, d->is_array);
        struct target *t = map_get(lc->targets, key.bytes, sizeof key.bytes);
        if (d->when == AFTER_SINGLETON) {
            lc->n_singletons--;
        } else if (t && --t->n_refs == 0) {
            map_remove(lc->targets, key.bytes, sizeof key.bytes);
            vec_done(&t->waiters);
            free(t);
        }
    }
}

bool waits_name(const struct lifecycle *lc, const struct id *target, bool is_array)
{
    return target_get(lc, target, is_array) != NULL;
}

/* ---- what changes ------------------------------------------------------------------------------------ */

/* Of an array most changes say nothing new. */
static void tell(struct lifecycle *lc, struct target *t)
{
    const struct dependency d = { .job = t->id, .is_array = t->is_array };
    struct standing now = standing_of(lc, &d);

    if (now.has_begun == t->told.has_begun && now.has_ended == t->told.has_ended &&
        now.has_failed == t->told.has_failed)
        return;
    t->told = now;
    vec_foreach(&t->waiters, id)
        waits_recheck(lc, id);
}

/* The others of the name of JOB may be next. */
static void tell_namesakes(struct lifecycle *lc, const struct job *job)
{
    if (lc->n_singletons == 0)
        return;
    for (const struct job *other = live_named(lc, &job->w->project, job->w->name); other;
         other = other->same_name)
        if (other->is_waiter)
            waits_recheck(lc, &other->w->id);
}

void waits_note(struct lifecycle *lc, struct job *job)
{
    struct target *t = target_get(lc, &job->w->id, false);

    if (job->final) {
        waits_leave(lc, job);
        tell_namesakes(lc, job);
    }
    if (!t)
        return;
    if (job->final) {
        t->has_ended = true;
        t->begun_us = job->w->started_us ? job->w->started_us : job->w->ended_us;
        t->has_failed = job->w->state != WORKLOAD_SUCCEEDED;
    }
    tell(lc, t);
}

void waits_note_array(struct lifecycle *lc, const struct array *a)
{
    struct target *t = target_get(lc, &a->id, true);

    if (!t)
        return;
    if (a->n_live == 0) {
        t->has_ended = true;
        t->has_failed = a->n_bad > 0;
        t->begun_us = a->begun_us;
    }
    tell(lc, t);
}

/* The job or array that D names, "parts_2" where jobs wait one by one; owned by the caller. */
static char *target_text(const struct workload *w, const struct dependency *d)
{
    bool by_job = d->when == AFTER_EACH && !d->is_array && workload_in_array(w);

    return by_job ? xasprintf("job %s_%u", d->name, w->spec->array->index)
                  : xasprintf("%s %s", d->is_array ? "array" : "job", d->name);
}

static char *never_text(const struct lifecycle *lc, const struct job *job)
{
    const struct dependency *d = job->never;
    bool is_known = standing_of(lc, d).is_known;
    _cleanup_free_ char *target = target_text(job->w, d);

    return xasprintf("it can never begin: %s %s", target,
                     !is_known                 ? "was deleted, and nobody knows how it ended"
                     : d->when == AFTER_NOT_OK ? "succeeded, and was to fail"
                     : d->is_array             ? "did not succeed as a whole, and was to"
                                               : "did not succeed, and was to");
}

/* It ends without having begun. */
static void give_up(struct lifecycle *lc, struct job *job)
{
    _cleanup_free_ char *reason = never_text(lc, job);
    struct commit *c = commit_new(lc, job);
    json_t *data = json_object();

    json_put_str(data, "cause", end_cause_name(END_DEPENDENCY));
    json_put_str(data, "reason", reason);
    queue_remove(lc, job);
    commit_fold(c, job, EVENT_FAILED, "system", data);
    store_put_workload(c->batch, job->w);
    commit_send(c);
}

static void look_again(struct lifecycle *lc, struct job *job)
{
    count(lc, job);
    if (job->never && !job->w->spec->hold_never) {
        give_up(lc, job);
        return;
    }
    if (job->n_waits == 0)
        waits_leave(lc, job);
    queue_hold(lc, job);
}

void waits_tick(struct lifecycle *lc)
{
    size_t i = 0;

    /* What ends here may be waited for in turn: more is added while it goes. */
    arrays_tick(lc);
    for (; i < lc->recheck.len && i < TICK_LIMIT; i++) {
        struct id id = lc->recheck.items[i];
        struct job *job = live_get(lc, &id);
        if (job && !job->final && job->is_waiter && job->w->state == WORKLOAD_QUEUED)
            look_again(lc, job);
        if (i + 1 == lc->recheck.len)
            arrays_tick(lc);
    }
    lc->recheck.len -= i;
    if (lc->recheck.len == 0)
        return;
    memmove(lc->recheck.items, lc->recheck.items + i, lc->recheck.len * sizeof *lc->recheck.items);
}

void waits_done(struct lifecycle *lc)
{
    struct target *t;

    map_foreach(lc->targets, pos, t) {
        vec_done(&t->waiters);
        free(t);
    }
    map_free(lc->targets);
    vec_done(&lc->recheck);
    vec_done(&lc->outcomes);
}

const char *waits_plan(const struct lifecycle *lc, const struct workload *w)
{
    unsigned n_met = 0;

    for (size_t i = 0; i < w->spec->n_after; i++) {
        const struct dependency *d = &w->spec->after[i];
        n_met += d->has_ended || judge(lc, w, d) == MET;
    }
    bool is_met =
        w->spec->after_any ? n_met > 0 || w->spec->n_after == 0 : n_met == w->spec->n_after;
    return is_met ? NULL : "it waits for another job";
}

/* ---- holding, and why ---------------------------------------------------------------------------------- */

const char *job_hold(const struct lifecycle *lc, const struct job *job)
{
    const char *image = images_hold(lc, job->w);

    if (image)
        return image;
    if (job->is_waiter && job->n_waits > 0)
        return "it waits for another job";
    return array_holds(job) ? "it waits for its turn in its array" : NULL;
}

static char *array_progress(const struct array *a)
{
    return xasprintf("%zu of its jobs are left, %u of them have not begun", (size_t) a->n_live,
                     a->n_unstarted);
}

static char *waits_text(const struct lifecycle *lc, const struct job *job,
                        const struct dependency *d)
{
    static const char *const to[AFTER_WHEN_MAX] = {
        [AFTER_OK] = "to succeed",  [AFTER_ANY] = "to end",      [AFTER_NOT_OK] = "to fail",
        [AFTER_START] = "to begin", [AFTER_EACH] = "to succeed",
    };
    const struct job *other =
        d->when == AFTER_SINGLETON ? older_namesake(lc, job->w) : live_get(lc, &d->job);
    const struct array *a = d->is_array ? array_get(lc, &d->job) : NULL;
    char id[ID_TEXT_LEN + 1];

    if (d->when == AFTER_SINGLETON)
        return xasprintf("waits for job %s of the same name to end: it came first",
                         other ? id_format(&other->w->id, id) : job->w->name);
    struct standing s = standing_of(lc, d);
    int64_t left_us = s.has_begun ? delay_left_us(lc, d, &s) : 0;
    _cleanup_free_ char *target = target_text(job->w, d);
    char wait[32];
    if (left_us > 0)
        return xasprintf("waits for some time after %s began: %s are left", target,
                         seconds_to_str((left_us + US_PER_S - 1) / US_PER_S, wait));
    _cleanup_free_ char *progress = a ? array_progress(a) : NULL;
    return xasprintf("waits for %s %s: %s%s", target, to[d->when], progress ? "" : "it is ",
                     progress ? progress
                     : other  ? workload_state_name(other->w->state)
                              : "over");
}

static char *dependency_why(const struct lifecycle *lc, const struct job *job)
{
    const struct workload_spec *spec = job->w->spec;
    _cleanup_free_ char *text = NULL;

    if (job->never)
        return never_text(lc, job);
    for (size_t i = 0; i < spec->n_after && !text; i++)
        if (judge(lc, job->w, &spec->after[i]) == WAITS)
            text = waits_text(lc, job, &spec->after[i]);
    if (!text || spec->n_after == 1)
        return text ? take_ptr(text) : xstrdup("it is looked at again with the next pass");
    if (spec->after_any)
        return xasprintf("%s; one of %zu dependencies is enough", text, spec->n_after);
    return xasprintf("%s; %zu of %zu dependencies are met", text, spec->n_after - job->n_waits,
                     spec->n_after);
}

char *job_hold_why(const struct lifecycle *lc, const struct job *job, const char **ret_rule)
{
    *ret_rule = "image";
    if (images_hold(lc, job->w))
        return images_why(lc, job->w);
    *ret_rule = "dependency";
    if (job->is_waiter && job->n_waits > 0)
        return dependency_why(lc, job);
    if (!array_holds(job))
        return NULL;
    *ret_rule = "array_limit";
    _cleanup_free_ char *name = workload_array_name(job->w);
    return xasprintf("array %s runs at most %u at a time: %u of its %u jobs left have their turn",
                     name, job->array->limit, job->array->n_turns, job->array->n_live);
}
