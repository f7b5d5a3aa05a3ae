/* booking.c - the calendar of bookings: who may be where, until when; and the machines of a new one */
#include "placement/booking.h"

#include "base/map.h"
#include "base/vec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* The bookings of one machine, in the order in which they begin; they do not overlap. */
struct page {
    size_t node;
    VEC(const struct booking *) bookings;
};

struct calendar {
    struct calendar_options options;
    VEC(struct booking *) bookings; /* owned, with their nodes */
    struct map *pages;              /* by machine */
};

struct calendar *calendar_new(const struct calendar_options *options)
{
    struct calendar *c = xnew(struct calendar);

    c->options = *options;
    c->pages = map_new();
    return c;
}

static void booking_free(struct booking *booking)
{
    free((size_t *) (uintptr_t) booking->nodes);
    free(booking);
}

static void page_free(void *p)
{
    struct page *page = p;

    if (page)
        vec_done(&page->bookings);
    free(page);
}

void calendar_free(struct calendar *c)
{
    if (!c)
        return;
    map_free_with(c->pages, page_free);
    vec_foreach(&c->bookings, booking)
        booking_free(*booking);
    vec_done(&c->bookings);
    free(c);
}

bool calendar_is_empty(const struct calendar *c) { return c->bookings.len == 0; }

static const struct page *page_of(const struct calendar *c, size_t node)
{
    return c->bookings.len ? map_get(c->pages, &node, sizeof node) : NULL;
}

static void note(struct calendar *c, size_t node, const struct booking *booking)
{
    struct page *page = map_get(c->pages, &node, sizeof node);

    if (!page) {
        page = xnew(struct page);
        page->node = node;
        (void) map_set(c->pages, &page->node, sizeof page->node, page);
    }
    size_t at = page->bookings.len;
    vec_push(&page->bookings, booking);
    for (; at > 0 && page->bookings.items[at - 1]->from_us > booking->from_us; at--)
        page->bookings.items[at] = page->bookings.items[at - 1];
    page->bookings.items[at] = booking;
}

void calendar_add(struct calendar *c, const struct booking *booking)
{
    struct booking *copy = xnew(struct booking);
    size_t *nodes = xnew_n(size_t, booking->n_nodes + 1);

    assert(booking->from_us < booking->until_us);
    *copy = *booking;
    copy->nodes = nodes;
    vec_push(&c->bookings, copy);
    for (size_t i = 0; i < booking->n_nodes; i++) {
        assert(!calendar_booked(c, booking->nodes[i], booking->from_us, booking->until_us));
        nodes[i] = booking->nodes[i];
        note(c, nodes[i], copy);
    }
}

static void forget(struct calendar *c, size_t node, const struct booking *booking)
{
    struct page *page = map_get(c->pages, &node, sizeof node);

    for (size_t i = 0; i < page->bookings.len; i++)
        if (page->bookings.items[i] == booking) {
            vec_remove(&page->bookings, i);
            break;
        }
    if (page->bookings.len == 0)
        page_free(map_remove(c->pages, &node, sizeof node));
}

bool calendar_remove(struct calendar *c, uint64_t id)
{
    for (size_t i = 0; i < c->bookings.len; i++) {
        struct booking *booking = c->bookings.items[i];
        if (booking->id != id)
            continue;
        for (size_t k = 0; k < booking->n_nodes; k++)
            forget(c, booking->nodes[k], booking);
        vec_remove(&c->bookings, i);
        booking_free(booking);
        return true;
    }
    return false;
}

const struct booking *calendar_booked(const struct calendar *c, size_t node, int64_t from_us,
                                      int64_t until_us)
{
    const struct page *page = page_of(c, node);

    if (page)
        vec_foreach(&page->bookings, booking)
            if ((*booking)->from_us < until_us && (*booking)->until_us > from_us)
                return *booking;
    return NULL;
}

const struct booking *calendar_obstacle(const struct calendar *c, size_t node,
                                        const struct stay *stay)
{
    const struct page *page = page_of(c, node);

    if (!page)
        return NULL;
    vec_foreach(&page->bookings, pos) {
        const struct booking *b = *pos;
        int64_t leave_us = b->from_us - c->options.notice_us;
        if (b->project == stay->project || b->until_us <= stay->from_us)
            continue;
        if (b->from_us >= stay->until_us ||
            (stay->preemptible && leave_us - stay->from_us >= c->options.guaranteed_us &&
             leave_us > stay->from_us))
            return NULL; /* it is gone before this one, and so before all later ones */
        return b;
    }
    return NULL;
}

bool calendar_lets(const struct calendar *c, size_t node, const struct stay *stay)
{
    return !calendar_obstacle(c, node, stay);
}

int64_t calendar_leave_us(const struct calendar *c, size_t node, const struct stay *stay)
{
    const struct page *page = page_of(c, node);

    if (page)
        vec_foreach(&page->bookings, pos) {
            const struct booking *b = *pos;
            if (b->project != stay->project && b->until_us > stay->from_us)
                return b->from_us < stay->until_us ? b->from_us - c->options.notice_us : INT64_MAX;
        }
    return INT64_MAX;
}

int64_t calendar_next_us(const struct calendar *c, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    vec_foreach(&c->bookings, pos) {
        const struct booking *b = *pos;
        const int64_t times[] = { b->from_us - c->options.notice_us, b->from_us, b->until_us };
        for (size_t i = 0; i < sizeof times / sizeof *times; i++)
            if (times[i] > now_us && times[i] < next_us)
                next_us = times[i];
    }
    return next_us;
}

/* ---- which machines ------------------------------------------------------------------------------------ */

/* Why machines are not to be had. */
struct tally {
    size_t serve, booked, busy;
    unsigned gpus; /* of those that are to be had */
};

static bool is_to_be_had(const struct calendar *c, const struct booking_node *nodes, size_t node,
                         const struct booking_wish *wish, struct tally *tally)
{
    bool serves = nodes[node].would_do && (wish->gpus == 0 || nodes[node].gpus > 0);
    bool booked = serves && calendar_booked(c, node, wish->from_us, wish->until_us);
    bool busy = serves && !booked && nodes[node].busy_until_us > wish->from_us;

    tally->serve += serves;
    tally->booked += booked;
    tally->busy += busy;
    if (!serves || booked || busy)
        return false;
    tally->gpus += nodes[node].gpus;
    return true;
}

/* The machine that leaves the fewest of WANTED GPUs over, or if none has so many the largest. */
static size_t best_for(const struct booking_node *nodes, const bool *is_free, size_t n,
                       unsigned wanted)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        if (!is_free[i])
            continue;
        if (best == n) {
            best = i;
            continue;
        }
        bool enough = nodes[i].gpus >= wanted, best_enough = nodes[best].gpus >= wanted;
        if (enough != best_enough ? enough
            : enough              ? nodes[i].gpus < nodes[best].gpus
                                  : nodes[i].gpus > nodes[best].gpus)
            best = i;
    }
    return best;
}

/* IS_FREE of those that are chosen becomes false. */
static size_t choose_gpus(const struct booking_node *nodes, bool *is_free, size_t n,
                          unsigned wanted)
{
    size_t chosen = 0;

    while (wanted > 0) {
        size_t node = best_for(nodes, is_free, n, wanted);
        is_free[node] = false;
        wanted -= nodes[node].gpus < wanted ? nodes[node].gpus : wanted;
        chosen++;
    }
    return chosen;
}

/* Without GPUs to count those without any come first: the others are worth more. */
static size_t choose_nodes(const struct booking_node *nodes, bool *is_free, size_t n, size_t wanted)
{
    for (size_t i = 0; i < wanted; i++)
        is_free[best_for(nodes, is_free, n, 0)] = false;
    return wanted;
}

static int refuse(const struct booking_wish *wish, const struct tally *tally, struct error *err)
{
    size_t free_nodes = tally->serve - tally->booked - tally->busy;

    if (wish->gpus)
        return error_set(err, -EBUSY,
                         "gpus: %u are wanted; the %zu machine%s that %s to be had then %s %u: of "
                         "%zu with such GPUs %zu %s booked, and on %zu runs what may not be gone "
                         "by then and cannot be stopped",
                         wish->gpus, free_nodes, free_nodes == 1 ? "" : "s",
                         free_nodes == 1 ? "is" : "are", free_nodes == 1 ? "has" : "have",
                         tally->gpus, tally->serve, tally->booked,
                         tally->booked == 1 ? "is" : "are", tally->busy);
    return error_set(err, -EBUSY,
                     "nodes: %zu %s wanted, and %zu %s to be had then: of %zu that would do %zu %s "
                     "booked, and on %zu runs what may not be gone by then and cannot be stopped",
                     wish->nodes, wish->nodes == 1 ? "is" : "are", free_nodes,
                     free_nodes == 1 ? "is" : "are", tally->serve, tally->booked,
                     tally->booked == 1 ? "is" : "are", tally->busy);
}

int booking_choose(const struct calendar *c, const struct booking_node *nodes, size_t n,
                   const struct booking_wish *wish, size_t **ret, size_t *ret_n, struct error *err)
{
    _cleanup_free_ bool *is_free = xnew_n(bool, n + 1), *was_free = xnew_n(bool, n + 1);
    struct tally tally = { 0 };

    for (size_t i = 0; i < n; i++)
        is_free[i] = was_free[i] = is_to_be_had(c, nodes, i, wish, &tally);
    if (wish->gpus ? tally.gpus < wish->gpus
                   : tally.serve - tally.booked - tally.busy < wish->nodes)
        return refuse(wish, &tally, err);
    size_t chosen = wish->gpus ? choose_gpus(nodes, is_free, n, wish->gpus)
                               : choose_nodes(nodes, is_free, n, wish->nodes);
    size_t *found = xnew_n(size_t, chosen + 1), len = 0;
    for (size_t i = 0; i < n; i++)
        if (was_free[i] && !is_free[i])
            found[len++] = i;
    *ret = found;
    *ret_n = len;
    return 0;
}
