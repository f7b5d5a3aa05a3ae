/* cpu-siblings.h - the CPUs of one core, its SMT siblings: as few as they are, in the room of a few; see cpu-set.h for sets */
#ifndef BASE_CPU_SIBLINGS_H
#define BASE_CPU_SIBLINGS_H

#include "base/cpu-set.h"

#include <stdbool.h>
#include <stdint.h>

enum { CPU_SIBLINGS_MAX = 8 }; /* SMT8 of POWER; nothing has more */

/* Kernel numbers, ascending. */
struct cpu_siblings {
    uint16_t cpu[CPU_SIBLINGS_MAX];
    uint16_t n;
};

/* It has room for one more, or has it already. */
void cpu_siblings_add(struct cpu_siblings *siblings, unsigned cpu);
/* -ERANGE: they are more than CPU_SIBLINGS_MAX, and RET is as it was. */
int cpu_siblings_of(const struct cpu_set *set, struct cpu_siblings *ret);
bool cpu_siblings_intersect(const struct cpu_siblings *siblings, const struct cpu_set *set);
/* Are all of them in SET? */
bool cpu_siblings_within(const struct cpu_siblings *siblings, const struct cpu_set *set);
bool cpu_siblings_equal(const struct cpu_siblings *a, const struct cpu_siblings *b);
/* SET has all of them, or none of them, from now on. */
void cpu_set_add_siblings(struct cpu_set *set, const struct cpu_siblings *siblings);
void cpu_set_remove_siblings(struct cpu_set *set, const struct cpu_siblings *siblings);
/* As cpu_set_format(); owned by the caller. */
char *cpu_siblings_format(const struct cpu_siblings *siblings);

#endif
