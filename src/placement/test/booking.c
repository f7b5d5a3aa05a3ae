/* Bookings: who may be where, which machines a new one gets, and by property that each is honoured */
#include "placement/booking.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { NODES = 5, STEPS = 3000 };

static const struct calendar_options options = { .notice_us = 10, .guaranteed_us = 50 };

static void book(struct calendar *c, uint64_t id, uint64_t project, int64_t from_us,
                 int64_t until_us, size_t node)
{
    calendar_add(c, &(struct booking){ id, project, from_us, until_us, &node, 1 });
}

TEST(who_is_gone_in_time_may_begin)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);

    book(c, 1, 7, 1000, 2000, 0);
    ok(calendar_lets(c, 0, &(struct stay){ 1, 500, 1000, false }));
    ok(!calendar_lets(c, 0, &(struct stay){ 1, 500, 1001, false }));
    ok(!calendar_lets(c, 0, &(struct stay){ 1, 500, INT64_MAX, false }));
    ok(calendar_lets(c, 1, &(struct stay){ 1, 500, INT64_MAX, false }));
    ok(calendar_lets(c, 0, &(struct stay){ 1, 2000, INT64_MAX, false }));
    /* Who may be stopped comes in while it has its guaranteed time before the notice. */
    ok(calendar_lets(c, 0, &(struct stay){ 1, 940, INT64_MAX, true }));
    ok(!calendar_lets(c, 0, &(struct stay){ 1, 941, INT64_MAX, true }));
    ok(!calendar_lets(c, 0, &(struct stay){ 1, 1500, INT64_MAX, true }));
    /* It is the project's own. */
    ok(calendar_lets(c, 0, &(struct stay){ 7, 1500, INT64_MAX, false }));
    ok(calendar_leave_us(c, 0, &(struct stay){ 7, 1500, INT64_MAX, false }) == INT64_MAX);
    ok(calendar_leave_us(c, 0, &(struct stay){ 1, 0, 1001, true }) == 990);
    ok(calendar_leave_us(c, 0, &(struct stay){ 1, 0, 1000, true }) == INT64_MAX);
    ok(calendar_leave_us(c, 0, &(struct stay){ 1, 2000, INT64_MAX, true }) == INT64_MAX);
    ok(calendar_obstacle(c, 0, &(struct stay){ 1, 1500, INT64_MAX, false })->id == 1);
}

TEST(the_calendar_knows_what_comes_next)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);

    ok(calendar_is_empty(c) && calendar_next_us(c, 0) == INT64_MAX);
    book(c, 2, 7, 3000, 4000, 0);
    book(c, 1, 8, 1000, 2000, 0);
    ok(calendar_next_us(c, 0) == 990 && calendar_next_us(c, 990) == 1000);
    ok(calendar_next_us(c, 1000) == 2000 && calendar_next_us(c, 2000) == 2990);
    ok(calendar_booked(c, 0, 0, INT64_MAX)->id == 1);
    ok(calendar_booked(c, 0, 2000, INT64_MAX)->id == 2 && !calendar_booked(c, 0, 2000, 3000));
    ok(calendar_remove(c, 1) && !calendar_remove(c, 1) && calendar_remove(c, 2));
    ok(calendar_is_empty(c) && !calendar_booked(c, 0, 0, INT64_MAX));
}

static int choose(const struct calendar *c, const struct booking_node *nodes,
                  struct booking_wish wish, char text[static 32], struct error *err)
{
    _cleanup_free_ size_t *found = NULL;
    size_t n = 0;

    if (!wish.until_us)
        wish.from_us = 1000, wish.until_us = 2000;
    int r = booking_choose(c, nodes, NODES, &wish, &found, &n, err);
    for (size_t i = 0; i < n; i++)
        text[i] = (char) ('0' + found[i]);
    text[n] = '\0';
    return r;
}

TEST(machines_are_chosen)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);
    struct booking_node nodes[NODES] = {
        { true, 8, 0 }, { true, 4, 0 }, { true, 8, 0 }, { true, 0, 0 }, { true, 8, INT64_MAX },
    };
    char text[32];
    struct error err = { 0 };

    ok(choose(c, nodes, (struct booking_wish){ .gpus = 3 }, text, &err) == 0);
    is_str(text, "1");
    ok(choose(c, nodes, (struct booking_wish){ .gpus = 12 }, text, &err) == 0);
    is_str(text, "01");
    ok(choose(c, nodes, (struct booking_wish){ .gpus = 20 }, text, &err) == 0);
    is_str(text, "012");
    ok(choose(c, nodes, (struct booking_wish){ .nodes = 2 }, text, &err) == 0);
    is_str(text, "13");
    ok(choose(c, nodes, (struct booking_wish){ .gpus = 21 }, text, &err) == -EBUSY);
    is_str(err.text,
           "gpus: 21 are wanted; the 3 machines that are to be had then have 20: of 4 with "
           "such GPUs 0 are booked, and on 1 runs what may not be gone by then and cannot "
           "be stopped");
    book(c, 1, 7, 1500, 3000, 3);
    ok(choose(c, nodes, (struct booking_wish){ .nodes = 4 }, text, &err) == -EBUSY);
    is_str(err.text,
           "nodes: 4 are wanted, and 3 are to be had then: of 5 that would do 1 is booked, "
           "and on 1 runs what may not be gone by then and cannot be stopped");
    nodes[4].busy_until_us = 1000;
    ok(choose(c, nodes, (struct booking_wish){ .nodes = 4 }, text, &err) == 0);
    is_str(text, "0124");
}

/* ---- by property ------------------------------------------------------------------------------------ */

static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t) (seed >> 33) % n;
}

/* One job a machine. */
struct world {
    struct calendar *calendar;
    struct {
        struct stay stay;
        bool runs;
    } jobs[NODES];
    uint64_t n_booked;
    unsigned refused, began, stopped;
};

static void try_to_book(struct world *w, int64_t now_us)
{
    struct booking_node nodes[NODES];
    _cleanup_free_ size_t *found = NULL;
    struct booking_wish wish = { .from_us = now_us + options.notice_us + random_below(300),
                                 .nodes = 1 + random_below(3) };
    size_t n;

    wish.until_us = wish.from_us + 1 + random_below(200);
    for (size_t i = 0; i < NODES; i++) {
        bool stays = w->jobs[i].runs && !w->jobs[i].stay.preemptible;
        nodes[i] = (struct booking_node){ true, 8, stays ? w->jobs[i].stay.until_us : INT64_MIN };
    }
    if (booking_choose(w->calendar, nodes, NODES, &wish, &found, &n, NULL) < 0) {
        w->refused++;
        return;
    }
    ok(n == wish.nodes);
    calendar_add(w->calendar, &(struct booking){ ++w->n_booked, 1 + random_below(3), wish.from_us,
                                                 wish.until_us, found, n });
}

static void leave(struct world *w, size_t node, int64_t now_us)
{
    struct stay *stay = &w->jobs[node].stay;

    if (!w->jobs[node].runs)
        return;
    if (stay->until_us <= now_us) {
        w->jobs[node].runs = false;
        return;
    }
    const struct stay rest = { stay->project, now_us, stay->until_us, stay->preemptible };
    if (calendar_leave_us(w->calendar, node, &rest) <= now_us) {
        ok(stay->preemptible);
        w->jobs[node].runs = false;
        w->stopped++;
    }
}

static void come(struct world *w, size_t node, int64_t now_us)
{
    struct stay stay = { random_below(4), now_us,
                         random_below(3) ? now_us + 1 + random_below(150) : INT64_MAX,
                         random_below(2) };

    if (stay.until_us == INT64_MAX && !stay.preemptible)
        stay.until_us = now_us + 400;
    if (w->jobs[node].runs || !calendar_lets(w->calendar, node, &stay))
        return;
    w->jobs[node].stay = stay;
    w->jobs[node].runs = true;
    w->began++;
}

TEST(a_booking_is_always_honoured)
{
    for (unsigned run = 0; run < 20; run++) {
        struct world w = { .calendar = calendar_new(&options) };
        seed = 99 + run;
        for (int64_t now_us = 0; now_us < STEPS; now_us++) {
            if (random_below(10) == 0)
                try_to_book(&w, now_us);
            if (random_below(50) == 0 && w.n_booked)
                (void) calendar_remove(w.calendar, 1 + random_below((uint32_t) w.n_booked));
            for (size_t node = 0; node < NODES; node++) {
                leave(&w, node, now_us);
                come(&w, node, now_us);
                const struct booking *b = calendar_booked(w.calendar, node, now_us, now_us + 1);
                ok(!b || !w.jobs[node].runs || w.jobs[node].stay.project == b->project);
            }
        }
        ok(w.n_booked > 50 && w.refused > 10 && w.began > 100 && w.stopped > 10);
        calendar_free(w.calendar);
    }
}

TAP_MAIN
