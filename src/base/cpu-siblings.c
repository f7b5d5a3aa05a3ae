/* cpu-siblings.c - the CPUs of one core */
#include "base/cpu-siblings.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void cpu_siblings_add(struct cpu_siblings *siblings, unsigned cpu)
{
    unsigned i = siblings->n;

    assert(cpu < CPU_SET_MAX);
    while (i > 0 && siblings->cpu[i - 1] >= cpu)
        i--;
    if (i < siblings->n && siblings->cpu[i] == cpu)
        return;
    assert(siblings->n < CPU_SIBLINGS_MAX);
    memmove(&siblings->cpu[i + 1], &siblings->cpu[i], (siblings->n - i) * sizeof *siblings->cpu);
    siblings->cpu[i] = (uint16_t) cpu;
    siblings->n++;
}

int cpu_siblings_of(const struct cpu_set *set, struct cpu_siblings *ret)
{
    struct cpu_siblings siblings = { 0 };

    for (int cpu = cpu_set_next(set, 0); cpu >= 0; cpu = cpu_set_next(set, (unsigned) cpu + 1)) {
        if (siblings.n == CPU_SIBLINGS_MAX)
            return -ERANGE;
        siblings.cpu[siblings.n++] = (uint16_t) cpu;
    }
    *ret = siblings;
    return 0;
}

bool cpu_siblings_intersect(const struct cpu_siblings *siblings, const struct cpu_set *set)
{
    for (unsigned i = 0; i < siblings->n; i++)
        if (cpu_set_has(set, siblings->cpu[i]))
            return true;
    return false;
}

bool cpu_siblings_within(const struct cpu_siblings *siblings, const struct cpu_set *set)
{
    for (unsigned i = 0; i < siblings->n; i++)
        if (!cpu_set_has(set, siblings->cpu[i]))
            return false;
    return true;
}

bool cpu_siblings_equal(const struct cpu_siblings *a, const struct cpu_siblings *b)
{
    return a->n == b->n && memcmp(a->cpu, b->cpu, a->n * sizeof *a->cpu) == 0;
}

void cpu_set_add_siblings(struct cpu_set *set, const struct cpu_siblings *siblings)
{
    for (unsigned i = 0; i < siblings->n; i++)
        cpu_set_add(set, siblings->cpu[i]);
}

void cpu_set_remove_siblings(struct cpu_set *set, const struct cpu_siblings *siblings)
{
    for (unsigned i = 0; i < siblings->n; i++)
        cpu_set_remove(set, siblings->cpu[i]);
}

char *cpu_siblings_format(const struct cpu_siblings *siblings)
{
    struct cpu_set set = { 0 };

    cpu_set_add_siblings(&set, siblings);
    return cpu_set_format(&set);
}
