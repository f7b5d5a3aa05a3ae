/* booking-choose.c - the machines of a new booking */
#include "placement/calendar.h"

#include <errno.h>
#include <stdlib.h>

/* What a machine has for the wish all the time, and what keeps the rest. */
struct offer {
    uint32_t milli;
    uint32_t booked;
    bool is_chosen;
};

/* At one time: what others have booked, and what of the rest those take who are there still. */
static void look_at(const struct calendar *c, size_t index, const struct booking_node *node,
                    const struct booking_wish *wish, int64_t at_us, struct offer *ret)
{
    const struct page *page = calendar_page(c, index);
    uint64_t booked = 0;
    struct take others = { 0 };

    for (size_t i = 0; page && i < page->entries.len; i++) {
        const struct page_entry *entry = &page->entries.items[i];
        if (entry->booking->from_us <= at_us && entry->booking->until_us > at_us)
            booked += entry->milli;
    }
    for (size_t i = 0; i < node->n_stays; i++) {
        const struct stay *stay = &node->stays[i];
        if (stay->until_us > at_us && stay_is_fixed(c, stay, wish->now_us, at_us) &&
            !calendar_is_within(c, stay->group, wish->group))
            take_add(&others, stay);
    }
    uint64_t busy = take_sum(&others);
    uint64_t taken = booked + busy < node->milli ? booked + busy : node->milli;
    if (node->milli - taken >= ret->milli)
        return;
    ret->milli = node->milli - (uint32_t) taken;
    ret->booked = booked < node->milli ? (uint32_t) booked : node->milli;
}

static struct offer offer_of(const struct calendar *c, size_t index,
                             const struct booking_node *node, const struct booking_wish *wish)
{
    const struct page *page = calendar_page(c, index);
    struct offer offer = { .milli = node->milli };

    if (wish->gpus && !node->has_gpus)
        return (struct offer){ 0 };
    look_at(c, index, node, wish, wish->from_us, &offer);
    for (size_t i = 0; page && i < page->entries.len; i++) {
        int64_t at_us = page->entries.items[i].booking->from_us;
        if (at_us > wish->from_us && at_us < wish->until_us)
            look_at(c, index, node, wish, at_us, &offer);
    }
    return offer;
}

/* Whole machines: the smallest come first, those without GPUs before all. */
static bool is_better_whole(const struct booking_node *a, const struct booking_node *b)
{
    return a->has_gpus != b->has_gpus ? b->has_gpus : a->milli < b->milli;
}

static size_t best_whole(const struct booking_node *nodes, const struct offer *offers, size_t n)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++)
        if (nodes[i].milli > 0 && !offers[i].is_chosen && offers[i].milli == nodes[i].milli &&
            (best == n || is_better_whole(&nodes[i], &nodes[best])))
            best = i;
    return best;
}

/* GPUs: the machine that has the fewest of those that have enough, else the one that has most. */
static size_t best_gpus(const struct offer *offers, size_t n, unsigned wanted)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        unsigned has = offers[i].milli / CAPACITY_GPU;
        if (offers[i].is_chosen || has == 0)
            continue;
        unsigned best_has = best < n ? offers[best].milli / CAPACITY_GPU : 0;
        bool enough = has >= wanted, best_enough = best_has >= wanted;
        if (best == n || (enough != best_enough ? enough
                          : enough              ? has < best_has
                                                : has > best_has))
            best = i;
    }
    return best;
}

static bool choose(const struct booking_node *nodes, struct offer *offers, size_t n,
                   const struct booking_wish *wish)
{
    size_t machines = wish->nodes;
    unsigned gpus = wish->gpus;

    while (gpus > 0 || machines > 0) {
        size_t best = gpus ? best_gpus(offers, n, gpus) : best_whole(nodes, offers, n);
        if (best == n)
            return false;
        unsigned has = offers[best].milli / CAPACITY_GPU;
        offers[best].is_chosen = true;
        if (gpus == 0) {
            machines--;
            continue;
        }
        if (has > gpus)
            has = gpus;
        offers[best].milli = has * CAPACITY_GPU;
        gpus -= has;
    }
    return true;
}

static const char *is_are(size_t n) { return n == 1 ? "is" : "are"; }

static int refuse(const struct booking_node *nodes, const struct offer *offers, size_t n,
                  const struct booking_wish *wish, struct error *err)
{
    size_t all = 0, free_nodes = 0, booked_nodes = 0;
    unsigned gpus = 0, free_gpus = 0, booked_gpus = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_free = offers[i].milli == nodes[i].milli;
        all += nodes[i].milli > 0;
        free_nodes += nodes[i].milli > 0 && is_free;
        booked_nodes += nodes[i].milli > 0 && !is_free && offers[i].booked > 0;
        if (!nodes[i].has_gpus)
            continue;
        gpus += nodes[i].milli / CAPACITY_GPU;
        free_gpus += offers[i].milli / CAPACITY_GPU;
        booked_gpus += offers[i].booked / CAPACITY_GPU;
    }
    if (wish->gpus)
        return error_set(err, -EBUSY,
                         "gpus: %u of %u that would do %s free then, and %u %s wanted: %u %s "
                         "booked, %u %s held by what may still run and cannot be stopped",
                         free_gpus, gpus, is_are(free_gpus), wish->gpus, is_are(wish->gpus),
                         booked_gpus, is_are(booked_gpus), gpus - free_gpus - booked_gpus,
                         is_are(gpus - free_gpus - booked_gpus));
    return error_set(err, -EBUSY,
                     "nodes: %zu of %zu that would do %s free then, and %zu %s wanted: of %zu "
                     "something is booked, on %zu runs what may still be there and cannot be "
                     "stopped",
                     free_nodes, all, is_are(free_nodes), wish->nodes, is_are(wish->nodes),
                     booked_nodes, all - free_nodes - booked_nodes);
}

int booking_choose(const struct calendar *c, const struct booking_node *nodes, size_t n,
                   const struct booking_wish *wish, struct booking_part **ret, size_t *ret_n,
                   struct error *err)
{
    _cleanup_free_ struct offer *offers = xnew_n(struct offer, n + 1);
    _cleanup_free_ struct offer *before = xnew_n(struct offer, n + 1);

    for (size_t i = 0; i < n; i++)
        offers[i] = before[i] = offer_of(c, i, &nodes[i], wish);
    if (!choose(nodes, offers, n, wish))
        return refuse(nodes, before, n, wish, err);
    struct booking_part *parts = xnew_n(struct booking_part, n + 1);
    size_t n_parts = 0;
    for (size_t i = 0; i < n; i++)
        if (offers[i].is_chosen)
            parts[n_parts++] = (struct booking_part){ i, offers[i].milli };
    *ret = parts;
    *ret_n = n_parts;
    return 0;
}
