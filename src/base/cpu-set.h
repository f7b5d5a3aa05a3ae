/* cpu-set.h - sets of CPU or memory-node numbers, and the kernel's list form "0-3,8" */
#ifndef BASE_CPU_SET_H
#define BASE_CPU_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_SET_MAX 1024

struct cpu_set {
    uint64_t bits[CPU_SET_MAX / 64];
};

void cpu_set_add(struct cpu_set *set, unsigned n);
void cpu_set_remove(struct cpu_set *set, unsigned n);
bool cpu_set_has(const struct cpu_set *set, unsigned n);
unsigned cpu_set_count(const struct cpu_set *set);
bool cpu_set_intersects(const struct cpu_set *a, const struct cpu_set *b);
bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b);
void cpu_set_union(struct cpu_set *set, const struct cpu_set *other);
void cpu_set_subtract(struct cpu_set *set, const struct cpu_set *other);
/* Next member at or after N, or -1. */
int cpu_set_next(const struct cpu_set *set, unsigned n);
/* "" is the empty set; -EINVAL, or -ERANGE for numbers of CPU_SET_MAX and above. */
int cpu_set_parse(const char *list, struct cpu_set *ret);
/* Owned by the caller. */
char *cpu_set_format(const struct cpu_set *set);

#endif
