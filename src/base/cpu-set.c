#include "base/cpu-set.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { WORDS = CPU_SET_MAX / 64 };

void cpu_set_add(struct cpu_set *set, unsigned n)
{
    if (n < CPU_SET_MAX)
        set->bits[n / 64] |= UINT64_C(1) << (n % 64);
}

void cpu_set_remove(struct cpu_set *set, unsigned n)
{
    if (n < CPU_SET_MAX)
        set->bits[n / 64] &= ~(UINT64_C(1) << (n % 64));
}

bool cpu_set_has(const struct cpu_set *set, unsigned n)
{
    return n < CPU_SET_MAX && (set->bits[n / 64] >> (n % 64) & 1);
}

unsigned cpu_set_count(const struct cpu_set *set)
{
    unsigned n = 0;

    for (size_t i = 0; i < WORDS; i++)
        n += (unsigned) __builtin_popcountll(set->bits[i]);
    return n;
}

bool cpu_set_intersects(const struct cpu_set *a, const struct cpu_set *b)
{
    for (size_t i = 0; i < WORDS; i++)
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
    for (size_t i = 0; i < WORDS; i++)
        set->bits[i] |= other->bits[i];
}

void cpu_set_subtract(struct cpu_set *set, const struct cpu_set *other)
{
    for (size_t i = 0; i < WORDS; i++)
        set->bits[i] &= ~other->bits[i];
}

int cpu_set_next(const struct cpu_set *set, unsigned n)
{
    for (size_t i = n / 64; i < WORDS; i++, n = 0) {
        uint64_t word = set->bits[i] >> (n % 64) << (n % 64);
        if (word)
            return (int) (i * 64) + __builtin_ctzll(word);
    }
    return -1;
}

/* A number of at most four digits; a fifth is out of any range. */
static int take_number(const char **p, unsigned *ret)
{
    unsigned n = 0;

    if (!isdigit((unsigned char) **p))
        return -EINVAL;
    for (; isdigit((unsigned char) **p); (*p)++) {
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
    const char *p = list;

    while (*p) {
        unsigned first, last;
        int r = take_number(&p, &first);
        last = first;
        if (r == 0 && *p == '-') {
            p++;
            r = take_number(&p, &last);
        }
        if (r < 0)
            return r;
        if (last < first || (*p && *p != ',') || (*p == ',' && !p[1]))
            return -EINVAL;
        for (unsigned n = first; n <= last; n++)
            cpu_set_add(&set, n);
        p += *p == ',';
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
        text_addf(&t, "%s%d", t.len ? "," : "", first);
        if (last > first)
            text_addf(&t, "-%d", last);
        first = cpu_set_next(set, (unsigned) last + 1);
    }
    return text_take(&t);
}
