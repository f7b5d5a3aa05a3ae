/* turns.c - the order in which those that wait go: first who has a place already, then as the policy of the planner says,
 * then who is held or must wait until some time, by priority and time
 */
#include "lifecycle/internal.h"

#include "base/time.h"

/* Of more than these the order of priority and time is told: to ask for another one would hold up the loop. */
enum { TURNS_MAX = 20000 };

static void add(struct turns *t, const struct workload *w)
{
    vec_push(&t->list, w);
    (void) map_set(t->places, &w->id, sizeof w->id, (void *) (uintptr_t) t->list.len);
}

/* From 1; 0: it is not among them. */
static size_t place_of(const struct turns *t, const struct id *id)
{
    return (size_t) (uintptr_t) map_get(t->places, id, sizeof *id);
}

static void ask_planner(struct lifecycle *lc, struct turns *t)
{
    struct planner_ids ids = { 0 };

    planner_order(lc->planner, plan_now(lc), TURNS_MAX, &ids);
    vec_foreach(&ids, id) {
        const struct job *job = live_get(lc, id);
        if (job && job->w->state == WORKLOAD_QUEUED && !place_of(t, id))
            add(t, job->w);
    }
    vec_done(&ids);
}

static void renew(struct lifecycle *lc, struct turns *t)
{
    const struct placement_request *queue = lc->queue.items + lc->queue.head;

    turns_done(t);
    t->places = map_new();
    t->change = lc->changes;
    t->at_us = lc_boot(lc);
    for (size_t i = 0; i < lc->queue.len; i++)
        if (planner_awaits(lc->planner, &queue[i].workload->id) > 0)
            add(t, queue[i].workload);
    ask_planner(lc, t);
    for (size_t i = 0; i < lc->queue.len; i++)
        if (!place_of(t, &queue[i].workload->id))
            add(t, queue[i].workload);
}

/* NULL: there are too many. */
static const struct turns *turns(struct lifecycle *lc)
{
    struct turns *t = &lc->turns;

    if (lc->queue.len > TURNS_MAX)
        return NULL;
    if (!t->places || t->change != lc->changes || lc_boot(lc) - t->at_us >= US_PER_S)
        renew(lc, t);
    return t;
}

size_t turn_of(struct lifecycle *lc, const struct workload *w)
{
    const struct turns *t = turns(lc);
    size_t place = t ? place_of(t, &w->id) : 0;

    return place > 0 ? place - 1 : queue_position(&lc->queue, w);
}

const struct workload *turn_at(struct lifecycle *lc, size_t i)
{
    const struct turns *t = turns(lc);

    return t && i < t->list.len ? t->list.items[i] : lc->queue.items[lc->queue.head + i].workload;
}

void turns_done(struct turns *t)
{
    vec_done(&t->list);
    map_free(t->places);
    t->places = NULL;
}
