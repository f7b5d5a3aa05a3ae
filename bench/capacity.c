/* capacity.c - what a decision costs on clusters of many sizes, on one core
 *
 *     bench-capacity MACHINES DECISIONS [GANG]
 *
 * MACHINES of 8 GPUs, 32 a leaf and 512 a block, are filled to half with requests of mixed shapes; then so many requests
 * come and leave again at that level. Prints one line: machines, decisions a second, p50 and p99 of one in microseconds, bytes a GPU, milliseconds
 * that a gang of GANG whole machines took (0: none).
 */
#include "base/alloc.h"
#include "base/text.h"
#include "bench/measure.h"
#include "placement/placement.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { GPUS = 8, TASKS_MAX = 4000000 };

struct task {
    struct ask ask;
    struct choice choice;
};

/* Sixty shapes: parts of a GPU, one to eight whole ones, and none. */
static struct ask draw(void)
{
    static const uint16_t gpus[] = { 1, 1, 1, 1, 1, 2, 4, 8, 0, 1 };
    static const uint16_t parts[] = { 1000, 1000, 500, 250, 810, 1000 };
    uint32_t which = random_below(10), size = random_below(6);
    struct ask ask = { .gpus = gpus[which] };

    ask.cpu_milli = ask.gpus > 1 ? 8000 * ask.gpus : 2000 * (int32_t) (1 + size);
    ask.memory_mib = ask.cpu_milli * 4;
    if (ask.gpus)
        ask.gpu_milli = ask.gpus > 1 ? CAPACITY_GPU : parts[size];
    return ask;
}

static int compare(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

static struct capacity *build(unsigned machines)
{
    struct capacity *c = capacity_new(&score_yield);
    struct room size = { .cpu_milli = 96000, .memory_mib = 786432, .n_gpus = GPUS, .model = 1 };

    for (unsigned i = 0; i < GPUS; i++)
        size.gpu[i] = CAPACITY_GPU;
    for (unsigned i = 0; i < machines; i++) {
        (void) capacity_add(c, &size);
        capacity_stand(c, i, &(struct spot){ .block = i / 512, .leaf = i / 32 });
    }
    return c;
}

static bool place(struct capacity *c, struct task *task)
{
    task->ask = draw();
    capacity_learn(c, &task->ask);
    if (!capacity_choose(c, &task->ask, &task->choice))
        return false;
    capacity_take(c, &task->ask, &task->choice);
    return true;
}

static size_t fill_half(struct capacity *c, unsigned machines, struct task *tasks)
{
    int64_t want = (int64_t) machines * GPUS * CAPACITY_GPU / 2, have = 0;
    size_t n = 0;

    while (have < want && n < TASKS_MAX && place(c, &tasks[n])) {
        have += tasks[n].ask.gpus * tasks[n].ask.gpu_milli;
        n++;
    }
    return n;
}

/* Milliseconds for N whole machines near each other, all or none. */
static double place_gang(struct capacity *c, unsigned n)
{
    const struct ask ask = { 64000, 65536, GPUS, CAPACITY_GPU, 0, 0 };
    struct choice *places = xnew_n(struct choice, n);
    double began = clock_us();

    if (!together_take(c, &ask, n, (struct wish){ 0 }, places))
        (void) fprintf(stderr, "bench-capacity: fewer than %u machines were whole\n", n);
    double took_us = clock_us() - began;
    free(places);
    return took_us / 1e3;
}

int main(int argc, char **argv)
{
    long long machines, decisions, gang = 0;

    if (argc < 3 || str_to_i64(argv[1], 1, 1000000, &machines) < 0 ||
        str_to_i64(argv[2], 1, 10000000, &decisions) < 0 ||
        (argc > 3 && str_to_i64(argv[3], 0, machines, &gang) < 0)) {
        (void) fputs("usage: bench-capacity MACHINES DECISIONS [GANG]\n", stderr);
        return 2;
    }
    struct task *tasks = xnew_n(struct task, TASKS_MAX);
    double *took = xnew_n(double, (size_t) decisions);
    size_t before = mallinfo2().uordblks;
    struct capacity *c = build((unsigned) machines);
    size_t n = fill_half(c, (unsigned) machines, tasks);

    double began = clock_us();
    for (long long i = 0; i < decisions; i++) {
        size_t leaves = random_below((uint32_t) n);
        double from = clock_us();
        capacity_give(c, &tasks[leaves].ask, &tasks[leaves].choice);
        if (!place(c, &tasks[leaves]))
            tasks[leaves] = tasks[--n];
        took[i] = clock_us() - from;
    }
    double all_us = clock_us() - began;
    size_t bytes = mallinfo2().uordblks - before;
    double gang_ms = gang ? place_gang(c, (unsigned) gang) : 0;
    qsort(took, (size_t) decisions, sizeof *took, compare);
    (void) printf("%lld %.0f %.1f %.1f %.0f %.3f\n", machines, (double) decisions / all_us * 1e6,
                  took[decisions / 2], took[decisions * 99 / 100],
                  (double) bytes / (double) (machines * GPUS), gang_ms);
    capacity_free(c);
    free(tasks);
    free(took);
    return 0;
}
