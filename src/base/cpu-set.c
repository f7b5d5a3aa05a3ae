/* cpu-set.c - sets of CPU or memory-node numbers as bits, and the kernel's list form */
#include "base/cpu-set.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { WORDS = CPU_SET_MAX / 64 };

void cpu_set_add(struct cpu_set *set, unsigned n)
{
    assert(n < CPU_SET_MAX);
    set->bits[n / 64] |= UINT64_C(1) << n % 64;
}

void cpu_set_remove(struct cpu_set *set, unsigned n)
{
    assert(n < CPU_SET_MAX);
    set->bits[n / 64] &= ~(UINT64_C(1) << n % 64);
}

bool cpu_set_has(const struct cpu_set *set, unsigned n)
{
    return n < CPU_SET_MAX && set->bits[n / 64] >> n % 64 & 1;
}

unsigned cpu_set_count(const struct cpu_set *set)
{
    unsigned count = 0;

    for (int i = 0; i < WORDS; i++)
        count += (unsigned) __builtin_popcountll(set->bits[i]);
    return count;
}

bool cpu_set_intersects(const struct cpu_set *a, const struct cpu_set *b)
{
    for (int i = 0; i < WORDS; i++)
        if (a->bits[i] & b->bits[i])
            return true;
    return false;
}

bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

void cpu_set_union(struct cpu_set *set, const struct cpu_set *other)
{
    for (int i = 0; i < WORDS; i++)
        set->bits[i] |= other->bits[i];
}

void cpu_set_subtract(struct cpu_set *set, const struct cpu_set *other)
{
    for (int i = 0; i < WORDS; i++)
        set->bits[i] &= ~other->bits[i];
}

int cpu_set_next(const struct cpu_set *set, unsigned n)
{
    for (unsigned i = n / 64; i < WORDS; i++) {
        uint64_t word = set->bits[i];
        if (i == n / 64)
            word &= ~UINT64_C(0) << n % 64;
        if (word)
            return (int) (i * 64) + __builtin_ctzll(word);
    }
    return -1;
}

/* A decimal number at **P, which is moved behind it. */
static int parse_number(const char **p, unsigned *ret)
{
    unsigned n = 0;

    if (**p < '0' || **p > '9')
        return -EINVAL;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        n = n * 10 + (unsigned) (**p - '0');
        if (n >= CPU_SET_MAX)
            return -ERANGE;
    }
    *ret = n;
    return 0;
}

int cpu_set_parse(const char *list, struct cpu_set *ret)
{
    struct cpu_set set = { 0 };

    for (const char *p = list; *p;) {
        unsigned first = 0;
        int r = parse_number(&p, &first);
        if (r < 0)
            return r;

        unsigned last = first;
        if (*p == '-') {
            p++;
            r = parse_number(&p, &last);
            if (r < 0)
                return r;
        }
        if (last < first)
            return -EINVAL;
        for (unsigned n = first; n <= last; n++)
            cpu_set_add(&set, n);

        if (*p == '\0')
            break;
        if (*p++ != ',' || *p == '\0')
            return -EINVAL;
    }
    *ret = set;
    return 0;
}

char *cpu_set_format(const struct cpu_set *set)
{
    struct text t = { 0 };

    for (int first = cpu_set_next(set, 0); first >= 0;) {
        int last = first;
        while (cpu_set_has(set, (unsigned) last + 1))
            last++;
        text_addf(&t, first == last ? "%s%d" : "%s%d-%d", t.len ? "," : "", first, last);
        first = cpu_set_next(set, (unsigned) last + 1);
    }
    return text_take(&t);
}
