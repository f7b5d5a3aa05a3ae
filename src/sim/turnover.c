/* turnover.c - requests that come and leave again */
#include "sim/turnover.h"

#include "base/vec.h"

#include <math.h>
#include <stdlib.h>

/* Each GPU has so much of everything else that it never lacks. */
enum { CPU_MILLI = 8000, MEMORY_MIB = 65536 };

struct visit {
    double end;
    struct ask ask;
    struct choice choice;
};

struct run {
    const struct turnover_options *o;
    enum turnover_rule rule;
    struct capacity *capacity;
    VEC(struct visit) visits; /* a heap: who leaves first is first */
    uint64_t requests,
        luck; /* random states: rules that need luck see the same requests as the others */
    double now;
};

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (OOPSLA'14). From 0 to below 1. */
static double draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double) (z >> 11) * 0x1p-53;
}

static double draw_exponential(uint64_t *state) { return -log(1 - draw(state)); }

/* ---- who is there ----------------------------------------------------------------------------------- */

static void swap(struct visit *a, struct visit *b)
{
    struct visit visit = *a;

    *a = *b;
    *b = visit;
}

static void begin_visit(struct run *x, const struct visit *visit)
{
    size_t at = x->visits.len;

    vec_push(&x->visits, *visit);
    for (; at > 0 && x->visits.items[at].end < x->visits.items[(at - 1) / 2].end; at = (at - 1) / 2)
        swap(&x->visits.items[at], &x->visits.items[(at - 1) / 2]);
}

static void leave(struct run *x)
{
    struct visit *visits = x->visits.items;
    size_t at = 0, n = --x->visits.len;

    capacity_give(x->capacity, &visits[0].ask, &visits[0].choice);
    visits[0] = visits[n];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && visits[child + 1].end < visits[child].end)
            child++;
        if (visits[at].end <= visits[child].end)
            break;
        swap(&visits[at], &visits[child]);
    }
}

/* ---- who comes --------------------------------------------------------------------------------------- */

static unsigned gpus_free(const struct room *room)
{
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] == CAPACITY_GPU;
    return n;
}

/* By chance a machine is as likely as it has room for the request. */
static bool choose_without_score(struct run *x, const struct ask *ask, struct choice *ret)
{
    double best = 0;

    for (size_t i = 0; i < x->o->machines; i++) {
        unsigned n = gpus_free(capacity_room(x->capacity, i));
        double chance = draw(&x->luck);
        if (n < ask->gpus)
            continue;
        unsigned times = n / ask->gpus;
        double good = x->rule == TURNOVER_SPREAD ? n : pow(chance, 1.0 / times);
        if (good > best && capacity_choose_on(x->capacity, ask, i, ret))
            best = good;
    }
    return best > 0;
}

static bool choose(struct run *x, const struct ask *ask, struct choice *ret)
{
    if (x->rule != TURNOVER_SCORE)
        return choose_without_score(x, ask, ret);
    capacity_learn(x->capacity, ask);
    return capacity_choose(x->capacity, ask, ret);
}

static unsigned draw_size(struct run *x)
{
    unsigned total = 0, size = 0;

    for (unsigned i = 0; i < x->o->n_sizes; i++)
        total += x->o->sizes[i].weight;
    unsigned drawn = (unsigned) (draw(&x->requests) * total);
    while (drawn >= x->o->sizes[size].weight)
        drawn -= x->o->sizes[size++].weight;
    return size;
}

static void arrive(struct run *x, struct turnover_figures *f)
{
    unsigned size = draw_size(x), gpus = x->o->sizes[size].gpus;
    struct visit visit = { .end = x->now + draw_exponential(&x->requests),
                           .ask = { .cpu_milli = (int32_t) gpus * CPU_MILLI,
                                    .memory_mib = (int32_t) gpus * MEMORY_MIB,
                                    .gpus = (uint16_t) gpus,
                                    .gpu_milli = CAPACITY_GPU } };

    f->asked[size]++;
    if (!choose(x, &visit.ask, &visit.choice)) {
        f->refused[size]++;
        return;
    }
    capacity_take(x->capacity, &visit.ask, &visit.choice);
    begin_visit(x, &visit);
}

/* Requests in the time that one stays on average. */
static double rate_of(const struct turnover_options *o)
{
    double gpus = 0, weight = 0;

    for (unsigned i = 0; i < o->n_sizes; i++) {
        gpus += (double) o->sizes[i].gpus * o->sizes[i].weight;
        weight += o->sizes[i].weight;
    }
    return o->load / 100.0 * o->machines * o->gpus / (gpus / weight);
}

static void run_once(const struct turnover_options *o, enum turnover_rule rule,
                     const struct score *score, unsigned seed, struct turnover_figures *f)
{
    struct run x = { .o = o,
                     .rule = rule,
                     .capacity = capacity_new(score),
                     .requests = seed,
                     .luck = ~(uint64_t) seed };
    struct room size = { .cpu_milli = (int32_t) o->gpus * CPU_MILLI,
                         .memory_mib = (int32_t) o->gpus * MEMORY_MIB,
                         .n_gpus = (uint16_t) o->gpus,
                         .model = 1 };
    double rate = rate_of(o);

    for (unsigned i = 0; i < o->gpus; i++)
        size.gpu[i] = CAPACITY_GPU;
    for (unsigned i = 0; i < o->machines; i++)
        (void) capacity_add(x.capacity, &size);
    for (unsigned i = 0; i < o->requests; i++) {
        x.now += draw_exponential(&x.requests) / rate;
        while (x.visits.len > 0 && x.visits.items[0].end <= x.now)
            leave(&x);
        arrive(&x, f);
    }
    vec_done(&x.visits);
    capacity_free(x.capacity);
}

void turnover_run(const struct turnover_options *options, enum turnover_rule rule,
                  const struct score *score, struct turnover_figures *ret)
{
    *ret = (struct turnover_figures){ 0 };
    for (unsigned seed = 1; seed <= options->runs; seed++)
        run_once(options, rule, score, seed, ret);
}
