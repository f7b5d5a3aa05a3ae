/* measure.h - what benchmarks in C share: random numbers, ids, and the time the processor was used */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/id.h"

#include <stdint.h>
#include <time.h>

/* 0 to N - 1, N > 0; the same in every run (SplitMix64: Steele, Lea, Flood, OOPSLA 2014). */
static inline uint32_t random_below(uint32_t n)
{
    static uint64_t state = 1;
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t) ((z ^ (z >> 31)) >> 33) % n;
}

/* An id with a number in it: of a KIND of its own for jobs, projects and so on. */
static inline struct id id_of(unsigned kind, unsigned number)
{
    struct id id = { { (uint8_t) kind } };

    for (unsigned i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t) (number >> 8 * i);
    return id;
}

static inline unsigned number_of(const struct id *id)
{
    unsigned n = 0;

    for (unsigned i = 12; i < 16; i++)
        n = n << 8 | id->bytes[i];
    return n;
}

/* Of this process, in microseconds. */
static inline double clock_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

#endif
