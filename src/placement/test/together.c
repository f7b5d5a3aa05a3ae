/* Places for many tasks, by property: on random machines at random spots, with gangs that come and leave and machines that
 * close. All or none of a gang is placed; none is refused while a domain as wide as it allows holds it, and it lies in the
 * narrowest that did, there in as few domains of the next level as can be (all counted a second time, naively); tasks that are to
 * be apart are; ranks of a domain follow each other; and machines outside of a limit are left alone. */
#include "placement/together.h"

#include "base/alloc.h"
#include "placement/score.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { NODES = 40, GANGS = 64, TASKS = 24, STEPS = 1500 };

struct gang {
    struct ask ask;
    unsigned n;
    struct choice places[TASKS];
};

struct world {
    struct capacity *capacity;
    struct spot spots[NODES];
    struct gang gangs[GANGS];
    size_t n_gangs;
};

static struct room machine(unsigned gpus)
{
    struct room room = {
        .cpu_milli = 64000, .memory_mib = 1 << 18, .n_gpus = (uint16_t) gpus, .model = 1
    };

    for (unsigned g = 0; g < gpus; g++)
        room.gpu[g] = CAPACITY_GPU;
    return room;
}

static void make(struct world *w, const struct score *score)
{
    *w = (struct world){ .capacity = capacity_new(score) };
    for (size_t i = 0; i < NODES; i++) {
        struct room room = machine(random_below(3) ? 8 : 4);
        w->spots[i] = (struct spot){ random_below(2), random_below(2), random_below(3) };
        (void) capacity_add(w->capacity, &room);
        capacity_stand(w->capacity, i, &w->spots[i]);
    }
}

static bool same(const struct world *w, enum level level, size_t a, size_t b)
{
    const struct spot *x = &w->spots[a], *y = &w->spots[b];

    return (level < LEVEL_SITE || x->site == y->site) &&
           (level < LEVEL_BLOCK || x->block == y->block) &&
           (level < LEVEL_LEAF || x->leaf == y->leaf) && (level < LEVEL_NODE || a == b);
}

/* Tasks that go onto NODE, one after the other. */
static unsigned goes_into(const struct world *w, size_t node, const struct ask *ask, bool apart)
{
    struct room room = *capacity_room(w->capacity, node);
    unsigned n = 0;

    if (capacity_is_closed(w->capacity, node))
        return 0;
    for (; n < TASKS && !(apart && n == 1) && room_holds(&room, ask); n++)
        (void) room_take(&room, ask);
    return n;
}

/* The narrowest level of which one domain holds N tasks; -1: none does. */
static int narrowest(const struct world *w, const struct ask *ask, unsigned n, bool apart)
{
    for (int level = LEVEL_NODE; level >= LEVEL_ALL; level--)
        for (size_t i = 0; i < NODES; i++) {
            unsigned sum = 0;
            for (size_t k = 0; k < NODES; k++)
                sum += same(w, (enum level) level, i, k) ? goes_into(w, k, ask, apart) : 0;
            if (sum >= n)
                return level;
        }
    return -1;
}

/* In how few domains of the next level N tasks could be, within one of LEVEL: those with the most room first. */
static unsigned fewest(const struct world *w, const struct ask *ask, unsigned n, bool apart,
                       enum level level)
{
    unsigned best = UINT32_MAX;

    for (size_t i = 0; i < NODES; i++) {
        unsigned sums[NODES] = { 0 }, left = n, used = 0;
        for (size_t k = 0; k < NODES; k++)
            for (size_t m = 0; m <= k && same(w, level, i, k); m++)
                if (same(w, level + 1, m, k)) { /* the first machine there stands for all */
                    sums[m] += goes_into(w, k, ask, apart);
                    break;
                }
        for (unsigned most = 1; left > 0 && most > 0; used++) {
            size_t at = 0;
            for (size_t k = 1; k < NODES; k++)
                at = sums[k] > sums[at] ? k : at;
            most = sums[at];
            left -= most < left ? most : left;
            sums[at] = 0;
        }
        best = left == 0 && used < best ? used : best;
    }
    return best;
}

/* Domains of LEVEL in which GANG is. */
static unsigned domains_of(const struct world *w, const struct gang *gang, enum level level)
{
    unsigned used = 1;

    for (unsigned i = 1; i < gang->n; i++)
        used += !same(w, level, gang->places[i].node, gang->places[i - 1].node);
    return used;
}

static void check_places(const struct world *w, const struct gang *gang, bool apart)
{
    for (enum level level = LEVEL_SITE; level < LEVEL_MAX; level++)
        for (unsigned i = 2; i < gang->n; i++)
            for (unsigned k = 0; k + 1 < i; k++) /* who was left is not come back to */
                ok(same(w, level, gang->places[i].node, gang->places[i - 1].node) ||
                   !same(w, level, gang->places[i].node, gang->places[k].node));
    for (unsigned i = 1; apart && i < gang->n; i++)
        ok(gang->places[i].node != gang->places[i - 1].node);
}

static struct ask draw(void)
{
    static const uint16_t parts[] = { 1000, 1000, 500, 300 };
    struct ask ask = { .cpu_milli = 1000, .memory_mib = 1024 };

    ask.gpus = (uint16_t) (random_below(5) == 0 ? 0 : 1u << random_below(4));
    ask.gpu_milli = ask.gpus == 0 ? 0 : ask.gpus == 1 ? parts[random_below(4)] : CAPACITY_GPU;
    return ask;
}

static void arrive(struct world *w)
{
    struct gang *gang = &w->gangs[w->n_gangs];
    struct wish wish = { (uint8_t) random_below(LEVEL_MAX), random_below(3) == 0 };

    gang->ask = draw();
    gang->n = 1 + random_below(TASKS);
    int level = narrowest(w, &gang->ask, gang->n, wish.apart);
    bool is_wide = level >= 0 && level < LEVEL_LEAF && gang->n > 1;
    unsigned least = is_wide ? fewest(w, &gang->ask, gang->n, wish.apart, (enum level) level) : 0;
    bool placed = together_take(w->capacity, &gang->ask, gang->n, wish, gang->places);
    ok(placed == (level >= (int) wish.within || (gang->n == 1 && level >= 0)));
    if (!placed)
        return;
    ok(gang->n == 1 || together_spans(w->capacity, gang->places, gang->n) == (enum level) level);
    check_places(w, gang, wish.apart);
    ok(!is_wide || domains_of(w, gang, (enum level)(level + 1)) == least);
    w->n_gangs++;
}

static void leave(struct world *w)
{
    size_t at = random_below((uint32_t) w->n_gangs);
    struct gang *gang = &w->gangs[at];

    for (unsigned i = 0; i < gang->n; i++)
        capacity_give(w->capacity, &gang->ask, &gang->places[i]);
    *gang = w->gangs[--w->n_gangs];
}

static void limit(struct world *w)
{
    enum level level = (enum level) random_below(LEVEL_NODE);
    size_t n = locality_domains(capacity_locality(w->capacity), level);

    capacity_limit(w->capacity, level, random_below((uint32_t) n));
}

static void play(const struct score *score, uint64_t from)
{
    struct world *w = xnew(struct world);

    seed = from;
    make(w, score);
    for (unsigned i = 0; i < STEPS; i++) {
        uint32_t what = random_below(100);
        if (what < 3)
            capacity_close(w->capacity, random_below(NODES), random_below(3) == 0);
        else if (what < 6)
            limit(w);
        else if (w->n_gangs == GANGS || (what < 52 && w->n_gangs > 0))
            leave(w);
        else
            arrive(w);
    }
    capacity_limit(w->capacity, LEVEL_ALL, 0);
    while (w->n_gangs > 0)
        leave(w);
    for (size_t i = 0; i < NODES; i++) {
        const struct room *is_free = capacity_room(w->capacity, i);
        ok(is_free->cpu_milli == capacity_size(w->capacity, i)->cpu_milli);
        ok(is_free->gpu[0] == CAPACITY_GPU);
    }
    capacity_free(w->capacity);
    free(w);
}

TEST(gangs_are_placed_whole_and_as_near_as_can_be)
{
    for (uint64_t from = 1; from <= 3; from++) {
        play(&score_best_fit, from * 88172645463325252U);
        play(&score_yield, from * 88172645463325252U);
    }
}

/* Two leaves: the one that a gang fills is better than the one that it would break. */
TEST(a_gang_goes_where_least_is_left_over)
{
    struct capacity *c = capacity_new(&score_yield);
    const struct ask ask = { 1000, 1024, .gpus = 8, .gpu_milli = CAPACITY_GPU };
    struct choice places[10];
    struct room room = machine(8);

    for (size_t i = 0; i < 14; i++) {
        (void) capacity_add(c, &room);
        capacity_stand(c, i, &(struct spot){ .leaf = i < 10 ? 7 : 3 });
    }
    ok(together_take(c, &ask, 4, (struct wish){ 0 }, places));
    ok(places[0].node == 10 && places[3].node == 13);
    ok(together_take(c, &ask, 10, (struct wish){ .within = LEVEL_LEAF }, places));
    ok(places[0].node == 0 && places[9].node == 9);
    ok(!together_take(c, &ask, 1, (struct wish){ 0 }, places));
    capacity_free(c);
}

/* One block would be filled by it, from four leaves; in the other it is in two. */
TEST(a_gang_goes_where_it_crosses_the_fewest_leaves)
{
    struct capacity *c = capacity_new(&score_yield);
    const struct ask ask = { 1000, 1024, .gpus = 8, .gpu_milli = CAPACITY_GPU };
    struct choice places[4];
    struct room room = machine(8);

    for (uint32_t i = 0; i < 9; i++) {
        (void) capacity_add(c, &room);
        capacity_stand(c, i, &(struct spot){ 0, i < 4 ? 0 : 1, i < 4 ? i : i / 2 });
    }
    ok(together_take(c, &ask, 4, (struct wish){ 0 }, places));
    ok(together_spans(c, places, 4) == LEVEL_BLOCK);
    for (unsigned i = 0; i < 4; i++)
        ok(places[i].node == 4 + i);
    capacity_free(c);
}

TEST(tasks_share_a_machine_unless_they_are_to_be_apart)
{
    struct capacity *c = capacity_new(&score_yield);
    const struct ask ask = { 1000, 1024, .gpus = 2, .gpu_milli = CAPACITY_GPU };
    struct choice places[4];
    struct room room = machine(8);

    for (size_t i = 0; i < 4; i++)
        (void) capacity_add(c, &room);
    ok(together_take(c, &ask, 4, (struct wish){ 0 }, places));
    ok(together_spans(c, places, 4) == LEVEL_NODE);
    ok(!together_take(c, &ask, 4, (struct wish){ .apart = true }, places));
    ok(together_take(c, &ask, 3, (struct wish){ .apart = true }, places));
    ok(together_spans(c, places, 3) == LEVEL_LEAF);
    capacity_free(c);
}

TAP_MAIN
