/* Bookings whose machines break, by property: machines break, are drained, go and come back at random. A booking keeps as much as
 * it was made for, no machine is kept twice, and what is still on a broken one is there because nobody can stand in. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "base/text.h"
#include "placement/test/machine.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <errno.h>

#define HOUR (INT64_C(3600) * 1000000)

enum { NODES = 7, BOOKINGS = 6, STEPS = 400 };

struct world {
    struct planner *planner;
    struct node *nodes[NODES];
    bool is_gone[NODES];
    struct kept {
        struct planner_booking booking;
        struct planner_wish wish;
        struct booking_place *places; /* owned; NULL: there is no such booking */
    } kept[BOOKINGS];
    unsigned n_moved, n_stuck;
};

static void put(struct world *w, struct kept *kept, struct booking_place *places, size_t n)
{
    if (kept->places)
        booking_places_free(kept->places, kept->booking.n_places);
    kept->places = places;
    kept->booking.places = places;
    kept->booking.n_places = n;
    planner_book(w->planner, &kept->booking);
}

static void book(struct world *w, struct kept *kept)
{
    struct booking_place *places;
    size_t n;
    bool whole = random_below(2);
    int64_t from_us = random_below(5) * HOUR;

    if (kept->places) {
        planner_unbook(w->planner, &kept->booking.id);
        booking_places_free(kept->places, kept->booking.n_places);
        kept->places = NULL;
        return;
    }
    kept->booking.id.bytes[0] = (uint8_t) (1 + (kept - w->kept));
    kept->booking.project.bytes[0] = (uint8_t) (1 + random_below(3));
    kept->booking.from_us = from_us;
    kept->booking.until_us = from_us + (1 + random_below(3)) * HOUR;
    kept->wish = (struct planner_wish){ .project = kept->booking.project,
                                        .from_us = from_us,
                                        .until_us = kept->booking.until_us,
                                        .nodes = whole ? 1 + random_below(3) : 0,
                                        .gpus = whole ? 0 : 1 + random_below(14) };
    if (planner_choose(w->planner, &kept->wish, 0, &places, &n, NULL) == 0)
        put(w, kept, places, n);
}

static void change(struct world *w)
{
    unsigned i = random_below(NODES);
    struct node *node = w->nodes[i];

    switch (random_below(5)) {
    case 0:
        node->cordoned = random_below(4) == 0;
        break;
    case 1:
        free(node->fault);
        node->fault = random_below(4) == 0 ? xstrdup("broken") : NULL;
        break;
    case 2:
        w->is_gone[i] = random_below(4) == 0;
        break;
    default:
        book(w, &w->kept[random_below(BOOKINGS)]);
        return;
    }
    if (w->is_gone[i])
        planner_drop_node(w->planner, node->name);
    else
        planner_set_node(w->planner, node, 0);
}

static void check_total(const struct kept *kept)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < kept->booking.n_places; i++)
        sum += kept->places[i].milli;
    ok(kept->wish.nodes ? kept->booking.n_places == kept->wish.nodes
                        : sum == kept->wish.gpus * CAPACITY_GPU);
}

static void mend(struct world *w, struct kept *kept)
{
    struct booking_place *places;
    size_t n;
    size_t broken = planner_mend(w->planner, &kept->booking.id, &kept->wish, 0, &places, &n);

    if (places)
        put(w, kept, places, n);
    w->n_moved += places != NULL;
    w->n_stuck += broken > 0;
    size_t found = 0;
    for (size_t i = 0; i < kept->booking.n_places; i++)
        found += !planner_serves(w->planner, kept->places[i].node);
    ok(found == broken);
    check_total(kept);
    struct planner_wish one_more = kept->wish;
    one_more.nodes = one_more.nodes ? 1 : 0;
    one_more.gpus = one_more.gpus ? 1 : 0;
    if (broken == 0)
        return;
    ok(planner_choose(w->planner, &one_more, 0, &places, &n, NULL) == -EBUSY);
}

/* At no time more is kept of a machine than it has. */
static void check_machines(const struct world *w)
{
    for (int64_t at_us = 0; at_us < 9 * HOUR; at_us += HOUR)
        for (unsigned m = 0; m < NODES; m++) {
            uint32_t sum = 0;
            for (const struct kept *k = w->kept; k < w->kept + BOOKINGS; k++)
                for (size_t i = 0; k->places && i < k->booking.n_places; i++)
                    if (k->booking.from_us <= at_us && at_us < k->booking.until_us &&
                        str_equal(k->places[i].node, w->nodes[m]->name))
                        sum += k->places[i].milli;
            ok(sum <= w->nodes[m]->gpus.len * CAPACITY_GPU);
        }
}

static void live(void)
{
    struct world w = { .planner = planner_new(&(struct planner_options){
                           .score = &score_best_fit, .schedule = { .policy = &policy_skip } }) };

    for (unsigned i = 0; i < NODES; i++)
        planner_set_node(w.planner, w.nodes[i] = machine_of(i, 8, i % 3 ? 8 : 4, "H100"), 0);
    for (unsigned step = 0; step < STEPS; step++) {
        change(&w);
        for (struct kept *k = w.kept; k < w.kept + BOOKINGS; k++)
            if (k->places)
                mend(&w, k);
        check_machines(&w);
    }
    ok(w.n_moved > 5 && w.n_stuck > 5);
    for (struct kept *k = w.kept; k < w.kept + BOOKINGS; k++)
        if (k->places)
            booking_places_free(k->places, k->booking.n_places);
    planner_free(w.planner);
    for (unsigned i = 0; i < NODES; i++)
        node_free(w.nodes[i]);
}

TEST(others_stand_in_for_machines_that_take_no_work)
{
    for (unsigned i = 0; i < 8; i++) {
        seed = 88172645463325252U + i;
        live();
    }
}

TAP_MAIN
