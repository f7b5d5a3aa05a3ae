/* booking.c - the calendar of bookings: who may begin where, and who is to leave */
#include "placement/booking.h"

#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "placement/calendar.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint32_t booking_size(const struct room *size)
{
    uint32_t milli = 0;

    for (unsigned i = 0; i < size->n_gpus; i++)
        milli += size->gpu[i];
    return milli ? milli : CAPACITY_GPU;
}

/* Thousandths of ALL, rounded up. */
static uint64_t share_of(uint64_t part, uint64_t of, uint32_t all)
{
    return of > 0 ? (part * all + of - 1) / of : part > 0 ? all : 0;
}

uint32_t booking_share(const struct room *size, const struct ask *ask, unsigned tasks)
{
    uint32_t all = booking_size(size);
    uint64_t cores = share_of((uint64_t) ask->cpu_milli * tasks, (uint64_t) size->cpu_milli, all);
    uint64_t memory =
        share_of((uint64_t) ask->memory_mib * tasks, (uint64_t) size->memory_mib, all);
    uint64_t most = (uint64_t) ask->gpus * ask->gpu_milli * tasks;

    most = cores > most ? cores : most;
    most = memory > most ? memory : most;
    return most < all ? (uint32_t) most : all;
}

void booking_places_free(struct booking_place *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(places[i].node);
    free(places);
}

char *booking_text(const char *whose, int64_t from_us, int64_t until_us)
{
    char from[TIME_TEXT_LEN + 1], until[TIME_TEXT_LEN + 1];

    (void) time_format(from_us, from);
    (void) time_format(until_us, until);
    bool same_day = strncmp(from, until, 10) == 0;
    return xasprintf("booked for %s from %.10s %.5s until %.*s%s%.5s UTC", whose, from, from + 11,
                     same_day ? 0 : 10, until, same_day ? "" : " ", until + 11);
}

/* ---- the calendar --------------------------------------------------------------------------------------- */

struct calendar *calendar_new(const struct calendar_options *options)
{
    struct calendar *c = xnew(struct calendar);

    c->options = *options;
    c->pages = map_new();
    return c;
}

static void booking_free(struct booking *booking)
{
    free((struct booking_part *) (uintptr_t) booking->parts);
    free(booking);
}

static void page_free(void *p)
{
    struct page *page = p;

    if (page)
        vec_done(&page->entries);
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

const struct page *calendar_page(const struct calendar *c, size_t node)
{
    return c->bookings.len ? map_get(c->pages, &node, sizeof node) : NULL;
}

bool calendar_has(const struct calendar *c, size_t node) { return calendar_page(c, node) != NULL; }

static void note(struct calendar *c, const struct booking *booking, const struct booking_part *part)
{
    struct page *page = map_get(c->pages, &part->node, sizeof part->node);

    if (!page) {
        page = xnew(struct page);
        (void) map_set(c->pages, &part->node, sizeof part->node, page);
    }
    size_t at = page->entries.len;
    const struct page_entry entry = { booking, part->milli };
    vec_push(&page->entries, entry);
    for (; at > 0 && page->entries.items[at - 1].booking->from_us > booking->from_us; at--)
        page->entries.items[at] = page->entries.items[at - 1];
    page->entries.items[at] = entry;
}

void calendar_add(struct calendar *c, const struct booking *booking)
{
    struct booking *copy = xnew(struct booking);
    struct booking_part *parts = xnew_n(struct booking_part, booking->n_parts + 1);

    assert(booking->from_us < booking->until_us);
    *copy = *booking;
    copy->parts = parts;
    vec_push(&c->bookings, copy);
    for (size_t i = 0; i < booking->n_parts; i++) {
        parts[i] = booking->parts[i];
        note(c, copy, &parts[i]);
    }
}

static void forget(struct calendar *c, size_t node, const struct booking *booking)
{
    struct page *page = map_get(c->pages, &node, sizeof node);

    for (size_t i = 0; i < page->entries.len; i++)
        if (page->entries.items[i].booking == booking) {
            vec_remove(&page->entries, i);
            break;
        }
    if (page->entries.len == 0)
        page_free(map_remove(c->pages, &node, sizeof node));
}

static void remove_at(struct calendar *c, size_t i)
{
    struct booking *booking = c->bookings.items[i];

    for (size_t k = 0; k < booking->n_parts; k++)
        forget(c, booking->parts[k].node, booking);
    vec_remove(&c->bookings, i);
    booking_free(booking);
}

bool calendar_remove(struct calendar *c, uint64_t id)
{
    for (size_t i = 0; i < c->bookings.len; i++)
        if (c->bookings.items[i]->id == id) {
            remove_at(c, i);
            return true;
        }
    return false;
}

void calendar_expire(struct calendar *c, int64_t now_us)
{
    for (size_t i = c->bookings.len; i-- > 0;)
        if (c->bookings.items[i]->until_us <= now_us)
            remove_at(c, i);
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

/* ---- who is where at a time -------------------------------------------------------------------------------- */

bool calendar_is_within(const struct calendar *c, uint32_t group, uint32_t ancestor)
{
    return c->options.is_within ? c->options.is_within(c->options.userdata, group, ancestor)
                                : group == ancestor;
}

static bool is_active(const struct page_entry *entry, int64_t at_us)
{
    return entry->booking->from_us <= at_us && entry->booking->until_us > at_us;
}

/* The booking in which somebody of GROUP is at that time; NULL: none. */
static const struct page_entry *own(const struct calendar *c, const struct page *page,
                                    uint32_t group, int64_t at_us)
{
    vec_foreach(&page->entries, entry)
        if (is_active(entry, at_us) && calendar_is_within(c, group, entry->booking->group))
            return entry;
    return NULL;
}

/* Some of the stays of a machine at a time. */
struct moment {
    const struct calendar *calendar;
    const struct page *page;
    const struct booking_node *node;
    int64_t now_us, at_us;
    const struct stay *newcomer; /* NULL: none */
    bool only_fixed;             /* without those who are told to leave in time */
    const bool *leaves;          /* by stay; NULL: nobody does */
};

bool stay_is_fixed(const struct calendar *c, const struct stay *stay, int64_t now_us, int64_t at_us)
{
    int64_t leave_us = at_us - c->options.notice_us;

    return !stay->preemptible ||
           stay->from_us + c->options.guaranteed_us > (leave_us > now_us ? leave_us : now_us);
}

static bool counts(const struct moment *m, size_t i)
{
    const struct stay *stay = &m->node->stays[i];

    return stay->until_us > m->at_us && !(m->leaves && m->leaves[i]) &&
           (!m->only_fixed || stay_is_fixed(m->calendar, stay, m->now_us, m->at_us));
}

void take_add(struct take *take, const struct stay *stay)
{
    take->milli += stay->milli;
    take->whole += stay->gpus ? 0 : stay->milli;
    take->gpus |= stay->gpus;
}

uint64_t take_sum(const struct take *take)
{
    uint64_t by_gpus = take->whole + (uint64_t) __builtin_popcount(take->gpus) * CAPACITY_GPU;

    return take->milli > by_gpus ? take->milli : by_gpus;
}

/* What those whom ENTRY is for take; NULL: those who are in no booking. */
static uint64_t taken_in(const struct moment *m, const struct page_entry *entry)
{
    struct take take = { 0 };

    for (size_t i = 0; i < m->node->n_stays; i++)
        if (counts(m, i) && own(m->calendar, m->page, m->node->stays[i].group, m->at_us) == entry)
            take_add(&take, &m->node->stays[i]);
    if (m->newcomer && own(m->calendar, m->page, m->newcomer->group, m->at_us) == entry)
        take_add(&take, m->newcomer);
    return take_sum(&take);
}

/* What is missing of the machine then: who takes more than his booking keeps takes the rest from what is everybody's. */
static uint64_t missing(const struct moment *m)
{
    uint64_t wanted = taken_in(m, NULL);

    vec_foreach(&m->page->entries, entry) {
        if (!is_active(entry, m->at_us))
            continue;
        uint64_t taken = taken_in(m, entry);
        wanted += taken > entry->milli ? taken : entry->milli;
    }
    return wanted > m->node->milli ? wanted - m->node->milli : 0;
}

/* Would the newcomer take at that time what is kept? */
static bool is_in_the_way(const struct moment *with)
{
    struct moment without = *with;

    without.newcomer = NULL;
    return missing(with) > missing(&without);
}

static const struct booking *obstacle_at(const struct moment *m)
{
    if (!is_in_the_way(m))
        return NULL;
    vec_foreach(&m->page->entries, entry)
        if (is_active(entry, m->at_us) &&
            !calendar_is_within(m->calendar, m->newcomer->group, entry->booking->group))
            return entry->booking;
    return NULL;
}

/* Nobody comes later than the newcomer, so it is enough to look at it when it begins and whenever a booking does. */
const struct booking *calendar_obstacle(const struct calendar *c, size_t index,
                                        const struct booking_node *node, const struct stay *stay)
{
    struct moment m = { .calendar = c,
                        .page = calendar_page(c, index),
                        .node = node,
                        .now_us = stay->from_us,
                        .at_us = stay->from_us,
                        .newcomer = stay };
    const struct booking *found = m.page ? obstacle_at(&m) : NULL;

    if (!m.page || found)
        return found;
    m.only_fixed = true;
    vec_foreach(&m.page->entries, entry) {
        m.at_us = entry->booking->from_us;
        if (m.at_us <= stay->from_us || m.at_us >= stay->until_us)
            continue;
        int64_t leave_us = m.at_us - c->options.notice_us;
        bool is_stopped_in_time = stay->preemptible && leave_us > stay->from_us &&
                                  leave_us - stay->from_us >= c->options.guaranteed_us;
        found = is_stopped_in_time ? NULL : obstacle_at(&m);
        if (found)
            return found;
    }
    return NULL;
}

static bool may_leave(const struct moment *m, size_t i, int64_t now_us)
{
    const struct stay *stay = &m->node->stays[i];

    return stay->preemptible && now_us - stay->from_us >= m->calendar->options.guaranteed_us &&
           counts(m, i);
}

/* Mark stay FIRST, and with it those of the same booking who have parts of the same GPUs and may leave too, if IS_SHARED; undone if
 * that is of no use. */
static bool mark(struct moment *m, size_t first, bool is_shared, int64_t now_us, bool *leaves)
{
    const struct stay *stays = m->node->stays, *stay = &stays[first];
    const struct page_entry *inside = own(m->calendar, m->page, stay->group, m->at_us);
    _cleanup_free_ bool *marked = xnew_n(bool, m->node->n_stays);
    uint64_t before = missing(m);

    for (size_t i = first; i < m->node->n_stays; i++)
        marked[i] =
            i == first || (is_shared && stays[i].gpus & stay->gpus && may_leave(m, i, now_us) &&
                           own(m->calendar, m->page, stays[i].group, m->at_us) == inside);
    for (size_t i = first; i < m->node->n_stays; i++)
        leaves[i] = leaves[i] || marked[i];
    bool helps = missing(m) < before;
    for (size_t i = first; i < m->node->n_stays && !helps; i++)
        leaves[i] = leaves[i] && !marked[i];
    return helps;
}

/* Until nothing is missing any more, or nobody is left who may be stopped. Those who share a GPU make room together alone. */
static bool leave_for(struct moment *m, int64_t now_us, bool *leaves)
{
    bool any = false, goes_on = true;

    m->leaves = leaves;
    while (goes_on) {
        goes_on = false;
        for (int is_shared = 0; is_shared < 2; is_shared++)
            for (size_t i = 0; i < m->node->n_stays && missing(m) > 0; i++)
                if (may_leave(m, i, now_us) && (!is_shared || m->node->stays[i].gpus) &&
                    mark(m, i, is_shared, now_us, leaves))
                    any = goes_on = true;
    }
    return any;
}

bool calendar_leave(const struct calendar *c, size_t index, const struct booking_node *node,
                    int64_t now_us, bool *ret)
{
    struct moment m = {
        .calendar = c, .page = calendar_page(c, index), .node = node, .at_us = now_us
    };
    bool any = false;

    for (size_t i = 0; i < node->n_stays; i++)
        ret[i] = false;
    if (!m.page)
        return false;
    vec_foreach(&m.page->entries, entry) {
        const struct booking *b = entry->booking;
        if (b->until_us <= now_us || b->from_us - c->options.notice_us > now_us)
            continue;
        m.at_us = b->from_us > now_us ? b->from_us : now_us;
        any = leave_for(&m, now_us, ret) || any;
    }
    return any;
}
