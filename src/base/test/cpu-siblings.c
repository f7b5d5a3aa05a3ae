#include "base/cpu-siblings.h"

#include "base/cleanup.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <errno.h>

static struct cpu_siblings siblings_of(const char *list)
{
    struct cpu_siblings siblings = { 0 };
    struct cpu_set set;

    ok(cpu_set_parse(list, &set) == 0 && cpu_siblings_of(&set, &siblings) == 0);
    return siblings;
}

TEST(siblings_read_and_write)
{
    static const char *const lists[] = { "",     "0",   "1023",
                                         "3,67", "0-7", "0,128,256,384,512,640,768,896" };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct cpu_siblings siblings = siblings_of(lists[i]);
        _cleanup_free_ char *text = cpu_siblings_format(&siblings);
        is_str(text, lists[i]);
    }
}

TEST(more_than_a_core_has_are_refused)
{
    struct cpu_siblings siblings = siblings_of("5,9");
    struct cpu_set nine;

    ok(cpu_set_parse("0-8", &nine) == 0);
    ok(cpu_siblings_of(&nine, &siblings) == -ERANGE);
    ok(siblings.n == 2 && siblings.cpu[0] == 5 && siblings.cpu[1] == 9);
}

/* Each operation does to a set what it does with the same CPUs as a set. */
TEST(siblings_do_as_sets_do)
{
    unsigned wrong = 0;

    for (unsigned round = 0; round < 2000; round++) {
        struct cpu_siblings siblings = { 0 }, same;
        struct cpu_set few = { 0 }, set = { 0 };
        for (unsigned i = random_below(CPU_SIBLINGS_MAX + 1); i > 0; i--) {
            unsigned cpu = random_below(20) * 51;
            cpu_siblings_add(&siblings, cpu);
            cpu_set_add(&few, cpu);
        }
        for (unsigned i = random_below(20); i > 0; i--)
            cpu_set_add(&set, random_below(20) * 51);

        struct cpu_set rest = few, with = set, with_few = set, without = set, without_few = set;
        cpu_set_subtract(&rest, &set);
        cpu_set_add_siblings(&with_few, &siblings);
        cpu_set_union(&with, &few);
        cpu_set_remove_siblings(&without_few, &siblings);
        cpu_set_subtract(&without, &few);
        wrong += cpu_siblings_of(&few, &same) < 0 || !cpu_siblings_equal(&same, &siblings);
        wrong += siblings.n != cpu_set_count(&few);
        wrong += cpu_siblings_intersect(&siblings, &set) != cpu_set_intersects(&few, &set);
        wrong += cpu_siblings_within(&siblings, &set) != (cpu_set_count(&rest) == 0);
        wrong += !cpu_set_equal(&with, &with_few) || !cpu_set_equal(&without, &without_few);
    }
    ok(wrong == 0);
}

TAP_MAIN
