/* turns.c - the order in which those that wait go, as it was when somebody looked ahead last; who came since is behind them */
#include "lifecycle/internal.h"

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

static void renew(struct lifecycle *lc, struct turns *t)
{
    const struct placement_request *queue = lc->queue.items + lc->queue.head;

    turns_done(t);
    t->places = map_new();
    t->change = lc->changes;
    for (size_t i = 0; lc->expectation && i < lc->expectation->turns.len; i++) {
        const struct job *job = live_get(lc, &lc->expectation->turns.items[i]);
        if (job && job->w->state == WORKLOAD_QUEUED)
            add(t, job->w);
    }
    for (size_t i = 0; i < lc->queue.len; i++)
        if (!place_of(t, &queue[i].workload->id))
            add(t, queue[i].workload);
}

static const struct turns *turns(struct lifecycle *lc)
{
    struct turns *t = &lc->turns;

    if (!t->places || t->change != lc->changes)
        renew(lc, t);
    return t;
}

size_t turn_of(struct lifecycle *lc, const struct workload *w)
{
    size_t place = place_of(turns(lc), &w->id);

    return place > 0 ? place - 1 : queue_position(&lc->queue, w);
}

const struct workload *turn_at(struct lifecycle *lc, size_t i)
{
    const struct turns *t = turns(lc);

    return i < t->list.len ? t->list.items[i] : lc->queue.items[lc->queue.head + i].workload;
}

void turns_done(struct turns *t)
{
    vec_done(&t->list);
    map_free(t->places);
    t->places = NULL;
}
