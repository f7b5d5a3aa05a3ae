/* The profile against the same question answered minute by minute: the earliest time is the earliest, all tasks have room from
 * then on for as long as they run, and what was put down first stands. */
#include "placement/profile.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <stdlib.h>

enum { NODES = 4, SPANS = 60, TIME = 120 };

static const uint16_t sizes[NODES] = { 8, 8, 4, 1 };

static struct room size_of(size_t node)
{
    struct room room = {
        .cpu_milli = 64000, .memory_mib = 65536, .n_gpus = sizes[node], .model = 1 + (node == 2)
    };

    for (unsigned i = 0; i < room.n_gpus; i++)
        room.gpu[i] = CAPACITY_GPU;
    return room;
}

/* What is put on machines, kept plainly. */
struct plain {
    struct profile_span spans[SPANS];
    size_t nodes[SPANS], n;
};

struct left {
    int64_t cpu_milli, memory_mib;
    int gpus;
};

static struct left left_at(const struct plain *plain, size_t node, int64_t at)
{
    const struct room size = size_of(node);
    struct left left = { size.cpu_milli, size.memory_mib, size.n_gpus };
    uint32_t gpus = 0;

    for (size_t i = 0; i < plain->n; i++) {
        const struct profile_span *span = &plain->spans[i];
        if (plain->nodes[i] != node || at < span->from_us || at >= span->until_us)
            continue;
        left.cpu_milli -= span->cpu_milli;
        left.memory_mib -= span->memory_mib;
        left.gpus -= span->gpus ? 0 : span->n_gpus;
        gpus |= span->gpus;
    }
    left.gpus -= __builtin_popcount(gpus);
    return left;
}

static unsigned fits_at(const struct plain *plain, const struct profile_wish *wish, size_t node,
                        int64_t from)
{
    const struct room size = size_of(node);
    int64_t end = wish->length_us == INT64_MAX ? 4 * TIME : from + wish->length_us;
    unsigned least = wish->is_apart ? 1 : wish->tasks;

    if (!room_holds(&size, wish->ask))
        return 0;
    for (int64_t at = from; at < end && at < 4 * TIME; at++) {
        const struct left left = left_at(plain, node, at);
        unsigned n = 0;
        while (n < least && left.cpu_milli >= (int64_t) (n + 1) * wish->ask->cpu_milli &&
               left.memory_mib >= (int64_t) (n + 1) * wish->ask->memory_mib &&
               left.gpus >= (int) (n + 1) * wish->ask->gpus)
            n++;
        least = n;
    }
    return least;
}

/* From when on TASKS fit in one domain. */
static int64_t earliest(const struct plain *plain, const struct profile_wish *wish)
{
    for (int64_t from = wish->from_us; from < 3 * TIME; from++) {
        unsigned sums[NODES] = { 0 };
        for (size_t node = 0; node < NODES; node++)
            sums[wish->domains ? wish->domains[node] : 0] += fits_at(plain, wish, node, from);
        for (size_t domain = 0; domain < NODES; domain++)
            if (sums[domain] >= wish->tasks)
                return from;
    }
    return INT64_MAX;
}

static void put(struct profile *profile, struct plain *plain, size_t node,
                const struct profile_span *span)
{
    profile_put(profile, node, span);
    plain->nodes[plain->n] = node;
    plain->spans[plain->n++] = *span;
}

static void drop(struct profile *profile, struct plain *plain, size_t i)
{
    uint64_t id = plain->spans[i].id;

    for (size_t node = 0; node < NODES; node++)
        profile_drop(profile, node, id);
    for (size_t k = plain->n; k-- > 0;)
        if (plain->spans[k].id == id) {
            plain->n--;
            plain->spans[k] = plain->spans[plain->n];
            plain->nodes[k] = plain->nodes[plain->n];
        }
}

static const uint32_t leaves[NODES] = { 0, 0, 1, 1 };

/* Somebody comes, and is put down as early as can be. */
static void come(struct profile *profile, struct plain *plain, uint64_t id)
{
    static const uint16_t gpus[] = { 0, 1, 1, 2, 4, 8 };
    const struct ask ask = { .cpu_milli = (int32_t) random_below(12) * 1000,
                             .memory_mib = 1024,
                             .gpus = gpus[random_below(6)],
                             .gpu_milli = CAPACITY_GPU,
                             .models = random_below(8) == 0 ? 2 : 0 };
    const struct profile_wish wish = { .ask = &ask,
                                       .tasks = 1 + random_below(3) / 2 * random_below(4),
                                       .from_us = random_below(TIME / 2),
                                       .length_us = random_below(12) == 0
                                                        ? INT64_MAX
                                                        : 1 + random_below(TIME / 3),
                                       .is_apart = random_below(4) == 0,
                                       .domains = random_below(3) == 0 ? leaves : NULL };
    size_t nodes[8];
    int64_t at = profile_earliest(profile, &wish, nodes);
    ok(at == earliest(plain, &wish));
    if (at == INT64_MAX)
        return;
    for (unsigned i = 0; i < wish.tasks; i++) {
        int64_t end = wish.length_us == INT64_MAX ? INT64_MAX : at + wish.length_us;
        struct profile_span span = profile_span_of(id, &ask, at, end);
        ok(!wish.is_apart || i == 0 || nodes[i] > nodes[i - 1]);
        ok(!wish.domains || leaves[nodes[i]] == leaves[nodes[0]]);
        ok(profile_lets(profile, &wish, nodes[i], &span));
        ok(profile_fits(profile, &wish, nodes[i], at) >= 1);
        put(profile, plain, nodes[i], &span);
    }
}

TEST(the_earliest_time_is_the_earliest)
{
    for (uint64_t from = 1; from <= 40; from++) {
        _cleanup_(profile_freep) struct profile *profile = profile_new();
        struct plain *plain = xnew(struct plain);
        seed = from * 88172645463325252U;
        for (size_t node = 0; node < NODES; node++) {
            const struct room size = size_of(node);
            profile_set_node(profile, node, &size);
        }
        for (uint64_t id = 1; id <= 60; id++) {
            if (plain->n > 0 && random_below(3) == 0)
                drop(profile, plain, random_below((uint32_t) plain->n));
            if (plain->n + 8 < SPANS)
                come(profile, plain, id);
            for (size_t node = 0; node < NODES; node++)
                for (int64_t at = 0; at < 2 * TIME; at += 7)
                    ok(left_at(plain, node, at).gpus >= 0);
        }
        free(plain);
    }
}

static bool is_own(void *userdata, const struct profile_span *span)
{
    return span->id == *(const uint64_t *) userdata;
}

/* A machine of 8, of which 4 are kept from 100 on: others must be gone or elsewhere, but whose it is. */
TEST(what_is_kept_is_no_obstacle_to_whom_it_is_kept_for)
{
    _cleanup_(profile_freep) struct profile *profile = profile_new();
    const struct room size = size_of(0);
    const struct ask ask = { .gpus = 6, .gpu_milli = CAPACITY_GPU };
    const struct profile_span kept = {
        .id = 7, .from_us = 100, .until_us = 200, .n_gpus = 4, .is_passable = true
    };
    struct profile_wish wish = { .ask = &ask, .tasks = 1, .from_us = 60, .length_us = 50 };
    uint64_t own = 7;
    size_t node;

    profile_set_node(profile, 0, &size);
    profile_put(profile, 0, &kept);
    ok(profile_earliest(profile, &wish, &node) == 200);
    wish.length_us = 40;
    ok(profile_earliest(profile, &wish, &node) == 60);
    wish.length_us = INT64_MAX;
    wish.passes = is_own;
    wish.userdata = &own;
    ok(profile_earliest(profile, &wish, &node) == 60);
    own = 8;
    ok(profile_earliest(profile, &wish, &node) == 200);
    profile_drop(profile, 0, 7);
    ok(profile_earliest(profile, &wish, &node) == 60);
}

/* Two halves run on one GPU: they are one GPU that is not free. */
TEST(parts_of_a_gpu_share_it)
{
    _cleanup_(profile_freep) struct profile *profile = profile_new();
    const struct room size = size_of(3);
    const struct profile_wish wish = { .ask = &(const struct ask){ .gpus = 1, .gpu_milli = 500 },
                                       .tasks = 1,
                                       .length_us = 10 };
    struct profile_span half = profile_span_of(1, wish.ask, 0, 50);
    size_t node;

    profile_set_node(profile, 0, &size);
    half.gpus = 1;
    profile_put(profile, 0, &half);
    half.id = 2;
    half.until_us = 60;
    ok(profile_lets(profile, &wish, 0, &half));
    profile_put(profile, 0, &half);
    ok(profile_earliest(profile, &wish, &node) == 60);
}

TAP_MAIN
