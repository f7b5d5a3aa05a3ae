#include "base/cpu-set.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#include <errno.h>

TEST(lists_read_and_print)
{
    const char *lists[] = { "", "0", "0-3", "0-3,8", "1,3,5-6", "62-65,1023" };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct cpu_set set;
        ok(cpu_set_parse(lists[i], &set) == 0);
        _cleanup_free_ char *text = cpu_set_format(&set);
        is_str(text, lists[i]);
    }
}

TEST(wrong_lists_are_refused)
{
    const char *wrong[] = { ",", "1,", "1-", "-1", "3-1", "a", "1;2", "1 ", "1-2-3" };
    struct cpu_set set;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(cpu_set_parse(wrong[i], &set) == -EINVAL);
    ok(cpu_set_parse("1024", &set) == -ERANGE);
    ok(cpu_set_parse("99999999999", &set) == -ERANGE);
}

TEST(set_arithmetic)
{
    struct cpu_set a, b;

    ok(cpu_set_parse("0-7", &a) == 0 && cpu_set_parse("4-9", &b) == 0);
    ok(cpu_set_intersects(&a, &b));
    cpu_set_subtract(&a, &b);
    ok(cpu_set_count(&a) == 4);
    ok(!cpu_set_intersects(&a, &b));
    cpu_set_union(&a, &b);
    ok(cpu_set_count(&a) == 10);
    cpu_set_remove(&a, 0);
    ok(cpu_set_next(&a, 0) == 1);
    ok(cpu_set_next(&a, 10) == -1);
    ok(!cpu_set_equal(&a, &b));
    ok(!cpu_set_has(&a, CPU_SET_MAX));
}

TAP_MAIN
