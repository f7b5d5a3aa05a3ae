/* What is free, by property: over random machines, requests, departures and closings nothing is given twice, nobody is
 * refused while a machine holds the request (counted a second time, naively), and a capacity that has seen everything
 * chooses as one that was just made of the same rooms. For every score. */
#include "placement/score.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

enum { NODES = 24, TASKS_MAX = 512, STEPS = 3000, SHAPES = 12 };

struct task {
    struct ask ask;
    struct choice choice;
};

struct world {
    struct capacity *capacity;
    struct room sizes[NODES];
    bool closed[NODES];
    struct ask shapes[SHAPES];
    struct task tasks[TASKS_MAX];
    size_t n_tasks;
};

static void world_done(struct world *w) { capacity_free(w->capacity); }

static void world_make(struct world *w, const struct score *score)
{
    static const uint16_t parts[] = { 160, 320, 470, 500, 650, 810, 1000 };

    *w = (struct world){ .capacity = capacity_new(score) };
    uint64_t models[] = { capacity_model(w->capacity, "A"), capacity_model(w->capacity, "B") };
    for (size_t i = 0; i < NODES; i++) {
        struct room *size = &w->sizes[i];
        size->cpu_milli = (int32_t) (8 + random_below(90)) * 1000;
        size->memory_mib = (int32_t) (16 + random_below(500)) * 1024;
        size->n_gpus = (uint16_t) random_below(9);
        size->model = size->n_gpus ? models[random_below(2)] : 0;
        for (unsigned g = 0; g < size->n_gpus; g++)
            size->gpu[g] = CAPACITY_GPU;
        (void) capacity_add(w->capacity, size);
    }
    for (size_t i = 0; i < SHAPES; i++) {
        struct ask *ask = &w->shapes[i];
        ask->cpu_milli = (int32_t) (1 + random_below(16)) * 500;
        ask->memory_mib = (int32_t) (1 + random_below(32)) * 512;
        ask->gpus = (uint16_t) (i % 4 == 0 ? 0 : i % 4 == 1 ? 1 + random_below(4) : 1);
        if (ask->gpus)
            ask->gpu_milli = ask->gpus > 1 ? CAPACITY_GPU : parts[random_below(7)];
        if (ask->gpus && random_below(4) == 0)
            ask->models = models[random_below(2)];
    }
}

/* What is free on NODE, from the sizes and the tasks alone. */
static bool count(const struct world *w, size_t node, struct room *ret)
{
    *ret = w->sizes[node];
    for (size_t i = 0; i < w->n_tasks; i++) {
        const struct task *task = &w->tasks[i];
        if (task->choice.node != node)
            continue;
        ret->cpu_milli -= task->ask.cpu_milli;
        ret->memory_mib -= task->ask.memory_mib;
        for (unsigned g = 0; g < CAPACITY_GPUS_MAX; g++) {
            if (!(task->choice.gpus & 1u << g))
                continue;
            if (g >= ret->n_gpus || ret->gpu[g] < task->ask.gpu_milli)
                return false;
            ret->gpu[g] = (uint16_t) (ret->gpu[g] - task->ask.gpu_milli);
        }
    }
    return ret->cpu_milli >= 0 && ret->memory_mib >= 0;
}

static bool anybody_holds(const struct world *w, const struct ask *ask)
{
    struct room room;

    for (size_t i = 0; i < NODES; i++)
        if (!w->closed[i] && count(w, i, &room) && room_holds(&room, ask))
            return true;
    return false;
}

static bool alike(const struct room *a, const struct room *b)
{
    return a->cpu_milli == b->cpu_milli && a->memory_mib == b->memory_mib &&
           a->n_gpus == b->n_gpus && a->model == b->model &&
           memcmp(a->gpu, b->gpu, sizeof a->gpu) == 0;
}

/* A capacity made now of what is free now. */
static struct capacity *make_again(const struct world *w, const struct score *score)
{
    struct capacity *again = capacity_new(score);
    struct room room;

    for (size_t i = 0; i < NODES; i++) {
        bool is_right = count(w, i, &room);
        ok(is_right);
        ok(alike(&room, capacity_room(w->capacity, i)));
        (void) capacity_add(again, &room);
        capacity_close(again, i, w->closed[i]);
    }
    return again;
}

static void arrive(struct world *w)
{
    const struct ask *ask = &w->shapes[random_below(SHAPES)];
    struct task *task = &w->tasks[w->n_tasks];

    capacity_learn(w->capacity, ask);
    bool placed = capacity_choose(w->capacity, ask, &task->choice);
    ok(placed == anybody_holds(w, ask));
    if (!placed)
        return;
    ok(!w->closed[task->choice.node]);
    ok((unsigned) __builtin_popcount(task->choice.gpus) == ask->gpus);
    task->ask = *ask;
    capacity_take(w->capacity, ask, &task->choice);
    w->n_tasks++;
    struct room room;
    ok(count(w, task->choice.node, &room));
}

static void leave(struct world *w)
{
    size_t i = random_below((uint32_t) w->n_tasks);

    capacity_give(w->capacity, &w->tasks[i].ask, &w->tasks[i].choice);
    w->tasks[i] = w->tasks[--w->n_tasks];
}

static void step(struct world *w)
{
    uint32_t what = random_below(100);

    if (what < 3) {
        size_t i = random_below(NODES);
        w->closed[i] = !w->closed[i];
        capacity_close(w->capacity, i, w->closed[i]);
    } else if (w->n_tasks == TASKS_MAX || (what < 40 && w->n_tasks > 0)) {
        leave(w);
    } else {
        arrive(w);
    }
}

/* Scores that learn are compared by what they choose with the same deck: one just made has none. */
static void play(const struct score *score, uint64_t from)
{
    struct world *w = xnew(struct world);

    seed = from;
    world_make(w, score);
    for (unsigned i = 0; i < STEPS; i++) {
        step(w);
        if (i % 250 != 0)
            continue;
        struct capacity *again = make_again(w, score);
        for (size_t s = 0; !score->learns && s < SHAPES; s++) {
            struct choice a = { 0 }, b = { 0 };
            bool holds = capacity_choose(w->capacity, &w->shapes[s], &a);
            ok(holds == capacity_choose(again, &w->shapes[s], &b));
            ok(!holds || (a.node == b.node && a.gpus == b.gpus));
        }
        capacity_free(again);
    }
    world_done(w);
    free(w);
}

TEST(nothing_is_given_twice_and_nobody_refused_for_nothing)
{
    for (const struct score *const *score = scores; *score; score++)
        for (uint64_t from = 1; from <= 3; from++)
            play(*score, from * 88172645463325252U);
}

/* The same calls, the same answers: views that were dropped and made again decide nothing. */
TEST(the_same_calls_give_the_same_plan)
{
    enum { MORE = 700 }; /* shapes, more than there are views */
    uint64_t plans[2] = { 0 };

    for (unsigned round = 0; round < 2; round++) {
        struct world *w = xnew(struct world);
        seed = 7;
        world_make(w, &score_yield);
        for (unsigned i = 0; i < MORE; i++) {
            struct ask ask = { .cpu_milli = 100 + (int32_t) i, .gpus = 1, .gpu_milli = 100 };
            struct choice choice;
            capacity_learn(w->capacity, &ask);
            if (!capacity_choose(w->capacity, &ask, &choice))
                continue;
            if (i % 3)
                capacity_take(w->capacity, &ask, &choice);
            plans[round] = plans[round] * 31 + choice.node * 17 + choice.gpus;
        }
        world_done(w);
        free(w);
    }
    ok(plans[0] == plans[1]);
}

TEST(a_yield_is_what_still_goes_in)
{
    const struct asked asked[] = { { { 1000, 1024, 1, 500, 0 }, 10 } };
    struct deck *deck = deck_new(asked, 1, 0);
    struct room room = { 8000, 8192, 2, { 1000, 700 }, 1, 0 },
                turned = { 8000, 8192, 2, { 700, 1000 }, 1, 0 };

    ok(deck_yield(deck, &room) == DECK_STREAMS * 1500);
    ok(deck_yield(deck, &turned) == deck_yield(deck, &room));
    room.cpu_milli = 2500; /* cores for two */
    ok(deck_yield(deck, &room) == DECK_STREAMS * 1000);
    room.gpu[0] = room.gpu[1] = 499;
    ok(deck_yield(deck, &room) == 0);
    ok(deck_fragmentation(deck, &room) == 998);
    deck_free(deck);
    ok(deck_new(asked, 0, 0) == NULL);
}

TEST(a_request_goes_where_it_spoils_least)
{
    struct capacity *c = capacity_new(&score_yield);
    const struct room big = {
        96000, 393216, 8, { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000 }, 1
    };
    const struct room poor = { 4000, 16384, 1, { 1000 }, 1 }; /* too few cores for a whole GPU */
    const struct ask whole = { 8000, 16384, 1, 1000, 0 }, small = { 2000, 4096, 1, 500, 0 };
    struct choice choice;

    (void) capacity_add(c, &big);
    (void) capacity_add(c, &poor);
    for (unsigned i = 0; i < 64; i++)
        capacity_learn(c, i % 4 ? &whole : &small);
    ok(capacity_choose(c, &small, &choice) && choice.node == 1);
    ok(capacity_choose(c, &whole, &choice) && choice.node == 0);
    capacity_free(c);
}

TAP_MAIN
