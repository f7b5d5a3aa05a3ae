/* Bookings: who may be where, which machines a new one gets, and by property that each is honoured */
#include "placement/booking.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>

enum { NODES = 4, STEPS = 2000, STAYS_MAX = 16, WHOLE = 8000 };

static const struct calendar_options options = { .notice_us = 10, .guaranteed_us = 50 };

static void book(struct calendar *c, uint64_t id, uint32_t group, int64_t from_us, int64_t until_us,
                 uint32_t milli)
{
    const struct booking_part part = { 0, milli };

    calendar_add(c, &(struct booking){ id, group, from_us, until_us, &part, 1 });
}

static const struct booking_node empty = { .milli = WHOLE, .has_gpus = true };

static bool lets(const struct calendar *c, struct stay stay)
{
    return !calendar_obstacle(c, 0, &empty, &stay);
}

TEST(who_is_gone_in_time_may_begin)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);

    book(c, 1, 7, 1000, 2000, WHOLE);
    ok(lets(c, (struct stay){ 1, 500, 1000, false, 1000 }));
    ok(!lets(c, (struct stay){ 1, 500, 1001, false, 1000 }));
    ok(!lets(c, (struct stay){ 1, 500, INT64_MAX, false, 1 }));
    ok(lets(c, (struct stay){ 1, 2000, INT64_MAX, false, WHOLE }));
    /* Who may be stopped comes in while it has its guaranteed time before the notice. */
    ok(lets(c, (struct stay){ 1, 940, INT64_MAX, true, 1000 }));
    ok(!lets(c, (struct stay){ 1, 941, INT64_MAX, true, 1000 }));
    ok(!lets(c, (struct stay){ 1, 1500, INT64_MAX, true, 1000 }));
    /* It is the group's own. */
    ok(lets(c, (struct stay){ 7, 1500, INT64_MAX, false, WHOLE }));
    ok(lets(c, (struct stay){ 7, 500, INT64_MAX, false, WHOLE }));
}

TEST(a_part_leaves_the_rest)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);
    const struct stay there = { 1, 0, INT64_MAX, false, 3000 };
    const struct booking_node node = { WHOLE, true, &there, 1 };
    struct stay stay = { 2, 500, INT64_MAX, false, 1000 };

    book(c, 1, 7, 1000, 2000, 4000);
    ok(!calendar_obstacle(c, 0, &node, &stay));
    stay.milli = 1001;
    const struct booking *obstacle = calendar_obstacle(c, 0, &node, &stay);
    ok(obstacle && obstacle->id == 1);
    /* A group that takes more than was booked takes it from what is everybody's. */
    stay = (struct stay){ 7, 1500, INT64_MAX, false, 5000 };
    ok(!calendar_obstacle(c, 0, &node, &stay));
    book(c, 2, 8, 1000, 2000, 2000);
    const struct stay more = { 7, 1200, INT64_MAX, false, 5000 };
    const struct booking_node other = { WHOLE, true, &more, 1 };
    stay = (struct stay){ 1, 1500, INT64_MAX, false, 1000 };
    ok(!calendar_obstacle(c, 0, &other, &stay));
    stay.milli = 1001;
    obstacle = calendar_obstacle(c, 0, &other, &stay);
    ok(obstacle && obstacle->id == 1);
    ok(!calendar_has(c, 1) && !calendar_obstacle(c, 1, &node, &stay));
}

TEST(only_as_many_leave_as_must)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);
    const struct stay stays[] = {
        { 1, 0, 1000, true, 1000 },      { 1, 0, INT64_MAX, false, 3000 },
        { 7, 0, INT64_MAX, true, 1000 }, { 2, 0, INT64_MAX, true, 2000 },
        { 3, 0, INT64_MAX, true, 1000 },
    };
    const struct booking_node node = { WHOLE, true, stays, 5 };
    bool leaves[5];

    book(c, 1, 7, 1000, 2000, 4000);
    ok(!calendar_leave(c, 0, &node, 989, leaves));
    ok(calendar_leave(c, 0, &node, 990, leaves));
    ok(!leaves[0] && !leaves[1] && !leaves[2] && leaves[3] && !leaves[4]);
}

TEST(the_calendar_knows_what_comes_next)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);

    ok(calendar_is_empty(c) && calendar_next_us(c, 0) == INT64_MAX);
    book(c, 2, 7, 3000, 4000, 1);
    book(c, 1, 8, 1000, 2000, 1);
    ok(calendar_next_us(c, 0) == 990 && calendar_next_us(c, 990) == 1000);
    ok(calendar_next_us(c, 1000) == 2000 && calendar_next_us(c, 2000) == 2990);
    ok(calendar_remove(c, 1) && !calendar_remove(c, 1) && calendar_has(c, 0));
    calendar_expire(c, 3999);
    ok(!calendar_is_empty(c));
    calendar_expire(c, 4000);
    ok(calendar_is_empty(c) && !calendar_has(c, 0));
}

TEST(a_share_is_the_largest_of_cores_memory_and_gpus)
{
    struct room with = { .cpu_milli = 64000, .memory_mib = 65536, .n_gpus = 9 };
    const struct room without = { .cpu_milli = 64000, .memory_mib = 65536 };

    for (unsigned i = 0; i < 8; i++) /* the ninth is broken */
        with.gpu[i] = CAPACITY_GPU;
    ok(booking_size(&with) == 8000 && booking_size(&without) == 1000);
    ok(booking_share(&with, &(struct ask){ 8000, 8192, 2, 1000, 0 }, 1) == 2000);
    ok(booking_share(&with, &(struct ask){ 32000, 8192, 0, 0, 0 }, 1) == 4000);
    ok(booking_share(&with, &(struct ask){ 1, 16384, 0, 0, 0 }, 2) == 4000);
    ok(booking_share(&with, &(struct ask){ 1, 1, 1, 250, 0 }, 1) == 250);
    ok(booking_share(&without, &(struct ask){ 16000, 1, 0, 0, 0 }, 1) == 250);
    ok(booking_share(&without, &(struct ask){ 16000, 1, 0, 0, 0 }, 9) == 1000);
    ok(booking_share(&(struct room){ 0 }, &(struct ask){ 1, 0, 0, 0, 0 }, 1) == 1000);
}

/* ---- the machines of a new booking --------------------------------------------------------------------- */

static int choose(const struct calendar *c, const struct booking_node *nodes, size_t machines,
                  unsigned gpus, char text[static 64], struct error *err)
{
    const struct booking_wish wish = { 9, 0, 1000, 2000, machines, gpus };
    _cleanup_free_ struct booking_part *parts = NULL;
    size_t n = 0;
    int r = booking_choose(c, nodes, 5, &wish, &parts, &n, err);

    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        (void) snprintf(text + strlen(text), 64 - strlen(text), "%s%zu:%u", i ? " " : "",
                        parts[i].node, parts[i].milli);
    return r;
}

TEST(machines_are_chosen)
{
    _cleanup_(calendar_freep) struct calendar *c = calendar_new(&options);
    struct stay busy = { 1, 0, INT64_MAX, false, 3000 };
    const struct booking_node nodes[] = {
        { 8000, true, NULL, 0 },  { 4000, true, NULL, 0 },  { 8000, true, NULL, 0 },
        { 1000, false, NULL, 0 }, { 8000, true, &busy, 1 },
    };
    char text[64];
    struct error err = { 0 };

    ok(choose(c, nodes, 0, 3, text, &err) == 0);
    is_str(text, "1:3000");
    ok(choose(c, nodes, 0, 5, text, &err) == 0);
    is_str(text, "4:5000");
    ok(choose(c, nodes, 0, 19, text, &err) == 0);
    is_str(text, "0:8000 1:3000 2:8000");
    ok(choose(c, nodes, 2, 0, text, &err) == 0);
    is_str(text, "1:4000 3:1000");
    book(c, 1, 7, 1500, 3000, 2000);
    ok(choose(c, nodes, 0, 24, text, &err) == -EBUSY);
    is_str(err.text,
           "gpus: 23 of 28 that would do are free then, and 24 are wanted: 2 are booked, 3 "
           "are held by what may still run and cannot be stopped");
    ok(choose(c, nodes, 4, 0, text, &err) == -EBUSY);
    is_str(err.text,
           "nodes: 3 of 5 that would do are free then, and 4 are wanted: of 1 something is "
           "booked, on 1 runs what may still be there and cannot be stopped");
    busy.until_us = 1000;
    ok(choose(c, nodes, 4, 0, text, &err) == 0);
    is_str(text, "1:4000 2:8000 3:1000 4:8000");
    ok(choose(c, nodes, 0, 26, text, &err) == 0);
    /* Who is there and may be stopped leaves in time, unless it is guaranteed longer. */
    busy = (struct stay){ 1, 940, INT64_MAX, true, 8000 };
    ok(choose(c, nodes, 4, 0, text, &err) == 0);
    busy.from_us = 941;
    ok(choose(c, nodes, 4, 0, text, &err) == -EBUSY);
    /* Its own are no obstacle. */
    busy.group = 9;
    ok(choose(c, nodes, 4, 0, text, &err) == 0);
}

/* ---- by property ------------------------------------------------------------------------------------ */

struct world {
    struct calendar *calendar;
    struct machine {
        struct stay stays[STAYS_MAX];
        size_t n;
    } machines[NODES];
    struct booking booked[STEPS]; /* with parts that are freed with the world */
    uint32_t n_booked;
    unsigned refused, began, stopped, kept_out, n_shared;
};

static struct booking_node node_of(const struct machine *m)
{
    return (struct booking_node){ WHOLE, true, m->stays, m->n };
}

static void try_to_book(struct world *w, int64_t now_us)
{
    struct booking_node nodes[NODES];
    struct booking_part *parts = NULL;
    struct booking_wish wish = { .group = 1 + random_below(3),
                                 .now_us = now_us,
                                 .from_us = now_us + options.notice_us + random_below(300) };
    size_t n;

    if (random_below(2))
        wish.nodes = 1 + random_below(2);
    else
        wish.gpus = 1 + random_below(12);
    wish.until_us = wish.from_us + 1 + random_below(200);
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = node_of(&w->machines[i]);
    /* One booking of a group at a time, so that they can be counted simply. */
    for (uint32_t i = 0; i < w->n_booked; i++)
        if (w->booked[i].parts && w->booked[i].group == wish.group &&
            w->booked[i].until_us > wish.from_us && w->booked[i].from_us < wish.until_us)
            return;
    if (booking_choose(w->calendar, nodes, NODES, &wish, &parts, &n, NULL) < 0) {
        w->refused++;
        return;
    }
    unsigned gpus = 0;
    for (size_t i = 0; i < n; i++)
        gpus += parts[i].milli / CAPACITY_GPU;
    ok(wish.nodes ? n == wish.nodes && gpus == 8 * wish.nodes : gpus == wish.gpus);
    w->booked[w->n_booked] =
        (struct booking){ w->n_booked, wish.group, wish.from_us, wish.until_us, parts, n };
    calendar_add(w->calendar, &w->booked[w->n_booked++]);
}

static void unbook(struct world *w)
{
    struct booking *b = w->n_booked ? &w->booked[random_below(w->n_booked)] : NULL;

    if (!b || !b->parts)
        return;
    (void) calendar_remove(w->calendar, b->id);
    free((struct booking_part *) (uintptr_t) b->parts);
    b->parts = NULL;
}

static void drop(struct machine *m, size_t i) { m->stays[i] = m->stays[--m->n]; }

static void leave(struct world *w, size_t index, int64_t now_us)
{
    struct machine *m = &w->machines[index];
    bool leaves[STAYS_MAX];

    for (size_t i = m->n; i-- > 0;)
        if (m->stays[i].until_us <= now_us)
            drop(m, i);
    const struct booking_node node = node_of(m);
    if (!calendar_leave(w->calendar, index, &node, now_us, leaves))
        return;
    for (size_t i = m->n; i-- > 0;)
        if (leaves[i]) {
            ok(m->stays[i].preemptible);
            ok(now_us - m->stays[i].from_us >= options.guaranteed_us);
            drop(m, i);
            w->stopped++;
        }
}

/* A third have a part of a GPU, some of them of one that others have a part of. */
static void draw_part(const struct machine *m, struct stay *stay)
{
    uint32_t left = CAPACITY_GPU;

    if (random_below(3))
        return;
    stay->gpus = 1u << random_below(8);
    stay->milli = 1 + random_below(500);
    for (size_t i = 0; i < m->n; i++)
        left -= m->stays[i].gpus & stay->gpus ? m->stays[i].milli : 0;
    stay->milli = stay->milli < left ? stay->milli : left;
}

/* Of all who are in GROUP, or of all if it is ANY: thousandths of cores, and of GPUs of which they have anything. */
enum { ANY = 99 };
static void add_up(const struct machine *m, uint32_t group, uint32_t *ret_cores, uint32_t *ret_gpus)
{
    uint32_t bits = 0;

    *ret_cores = *ret_gpus = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct stay *stay = &m->stays[i];
        if (group != ANY && stay->group != group)
            continue;
        *ret_cores += stay->milli;
        *ret_gpus += stay->gpus ? 0 : stay->milli;
        bits |= stay->gpus;
    }
    *ret_gpus += (uint32_t) __builtin_popcount(bits) * CAPACITY_GPU;
}

static void come(struct world *w, size_t index, int64_t now_us)
{
    struct machine *m = &w->machines[index];
    uint32_t cores, gpus;
    struct stay stay = { random_below(5), now_us, now_us + 1 + random_below(150), random_below(2),
                         1 + random_below(4000) };
    const struct booking_node node = node_of(m);

    draw_part(m, &stay);
    if (random_below(3) == 0)
        stay.until_us = stay.preemptible ? INT64_MAX : now_us + 500;
    if (m->n == STAYS_MAX || stay.milli == 0)
        return;
    m->stays[m->n++] = stay;
    add_up(m, ANY, &cores, &gpus);
    m->n--;
    if (cores > WHOLE || gpus > WHOLE)
        return;
    if (calendar_obstacle(w->calendar, index, &node, &stay)) {
        w->kept_out++;
        return;
    }
    for (size_t i = 0; i < m->n; i++)
        w->n_shared += (m->stays[i].gpus & stay.gpus) != 0;
    m->stays[m->n++] = stay;
    w->began++;
}

static uint32_t kept(const struct booking *b, size_t index, int64_t now_us)
{
    if (b->parts && b->from_us <= now_us && b->until_us > now_us)
        for (size_t i = 0; i < b->n_parts; i++)
            if (b->parts[i].node == index)
                return b->parts[i].milli;
    return 0;
}

/* What of a booking its group does not use is free: cores, and whole GPUs. */
static void check(const struct world *w, size_t index, int64_t now_us)
{
    const struct machine *m = &w->machines[index];
    uint32_t cores = 0;

    for (uint32_t group = 0; group < 5; group++) {
        uint32_t milli = 0, own_cores, own_gpus;
        for (uint32_t i = 0; i < w->n_booked; i++)
            milli += w->booked[i].group == group ? kept(&w->booked[i], index, now_us) : 0;
        add_up(m, group, &own_cores, &own_gpus);
        cores += own_cores < milli ? milli : own_cores;
    }
    ok(cores <= WHOLE);
    /* Groups that are in no booking share GPUs: none of these is counted twice. */
    uint32_t all_cores, all_gpus, unused = 0;
    add_up(m, ANY, &all_cores, &all_gpus);
    for (uint32_t i = 0; i < w->n_booked; i++) {
        uint32_t milli = kept(&w->booked[i], index, now_us), own_cores, own_gpus;
        add_up(m, w->booked[i].group, &own_cores, &own_gpus);
        unused += own_gpus < milli ? milli - own_gpus : 0;
    }
    ok(all_gpus + unused <= WHOLE);
}

TEST(a_booking_is_always_honoured)
{
    for (unsigned run = 0; run < 12; run++) {
        struct world *w = xnew(struct world);
        w->calendar = calendar_new(&options);
        seed = 99 + run;
        for (int64_t now_us = 0; now_us < STEPS; now_us++) {
            if (random_below(20) == 0)
                try_to_book(w, now_us);
            if (random_below(100) == 0)
                unbook(w);
            for (size_t i = 0; i < NODES; i++) {
                leave(w, i, now_us);
                if (random_below(3) == 0)
                    come(w, i, now_us);
                check(w, i, now_us);
            }
        }
        ok(w->n_booked > 10 && w->refused > 0 && w->began > 100 && w->stopped > 5);
        ok(w->kept_out > 10 && w->n_shared > 10);
        for (uint32_t i = 0; i < w->n_booked; i++)
            free((struct booking_part *) (uintptr_t) w->booked[i].parts);
        calendar_free(w->calendar);
        free(w);
    }
}

TAP_MAIN
