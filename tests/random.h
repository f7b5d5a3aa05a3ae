/* random.h - random numbers for tests: the same ones in every run (xorshift64: Marsaglia, Journal of Statistical Software 8(14)) */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>

/* Not 0. A test that runs several rounds sets it for each. */
static uint64_t seed = 88172645463325252U;

/* 0 to N - 1; N > 0. */
static inline unsigned random_below(unsigned n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (unsigned) (seed >> 33) % n;
}

#endif
