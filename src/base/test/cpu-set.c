#include "base/cpu-set.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#include <errno.h>

static void round_trip(const char *list, const char *canonical, unsigned count)
{
    struct cpu_set set = { 0 };
    ok(cpu_set_parse(list, &set) == 0);
    _cleanup_free_ char *text = cpu_set_format(&set);
    is_str(text, canonical);
    ok(cpu_set_count(&set) == count);
}

TEST(lists_read_and_write)
{
    round_trip("", "", 0);
    round_trip("0", "0", 1);
    round_trip("3,1-2,8", "1-3,8", 4);
    round_trip("0-1023", "0-1023", 1024);
    round_trip("62-65,127,128", "62-65,127-128", 6);
}

TEST(what_is_no_list_is_refused)
{
    static const char *const wrong[] = {
        "a", "1,", ",1", "2-1", "1-", "-1", "1 2", "1,,2", "1-2-3"
    };
    struct cpu_set set = { { 7 } };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(cpu_set_parse(wrong[i], &set) == -EINVAL);
    ok(cpu_set_parse("1024", &set) == -ERANGE);
    ok(cpu_set_parse("99999999999999", &set) == -ERANGE);
    ok(set.bits[0] == 7);
}

TEST(sets_add_and_take_away)
{
    struct cpu_set a, b;
    ok(cpu_set_parse("0-3,70", &a) == 0 && cpu_set_parse("2-5", &b) == 0);
    ok(cpu_set_intersects(&a, &b));

    cpu_set_subtract(&a, &b);
    _cleanup_free_ char *rest = cpu_set_format(&a);
    is_str(rest, "0-1,70");
    ok(!cpu_set_intersects(&a, &b));

    cpu_set_union(&a, &b);
    ok(cpu_set_count(&a) == 7 && cpu_set_has(&a, 5) && !cpu_set_has(&a, 6) &&
       !cpu_set_has(&a, 5000));
    ok(cpu_set_next(&a, 6) == 70 && cpu_set_next(&a, 71) == -1);
    ok(!cpu_set_equal(&a, &b));
}

TAP_MAIN
