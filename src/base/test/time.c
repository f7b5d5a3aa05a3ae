#include "base/time.h"

#include "tests/tap.h"

#include <errno.h>

static int64_t parse(const char *text)
{
    int64_t us = -1;
    int r = time_parse(text, &us);

    return r < 0 ? r : us;
}

TEST(formats)
{
    char buf[TIME_TEXT_LEN + 1];

    is_str(time_format(0, buf), "1970-01-01T00:00:00.000000Z");
    is_str(time_format(INT64_C(951782400) * US_PER_S, buf), "2000-02-29T00:00:00.000000Z");
    is_str(time_format(INT64_C(1795228496123456), buf), "2026-11-21T02:34:56.123456Z");
    is_str(time_format(INT64_MAX, buf), "9999-12-31T23:59:59.999999Z");
    is_str(time_format(-1, buf), "1970-01-01T00:00:00.000000Z");
}

TEST(parses)
{
    ok(parse("1970-01-01T00:00:00Z") == 0);
    ok(parse("2026-11-21T02:34:56.123456Z") == INT64_C(1795228496123456));
    ok(parse("2026-11-21t04:34:56.123456789+02:00") == INT64_C(1795228496123456));
    ok(parse("2026-11-20T21:34:56.1-05:00") == INT64_C(1795228496100000));
    ok(parse("2016-12-31T23:59:60Z") == INT64_C(1483228800) * US_PER_S);
    ok(parse("2000-02-29T00:00:00Z") == INT64_C(951782400) * US_PER_S);
}

TEST(refuses)
{
    const char *wrong[] = { "",
                            "2026",
                            "2026-11-21",
                            "2026-11-21T02:34:56",
                            "2026-11-21T02:34Z",
                            "2026-13-21T02:34:56Z",
                            "2026-02-29T02:34:56Z",
                            "2026-11-21T24:34:56Z",
                            "2026-11-21T02:34:61Z",
                            "2026-11-21T02:34:56.Z",
                            "2026-11-21T02:34:56.1234567890Z",
                            "2026-11-21T02:34:56+2:00",
                            "2026-11-21T02:34:56Z ",
                            "1969-12-31T23:59:59Z",
                            "1970-01-01T00:00:00+00:01",
                            "-026-11-21T02:34:56Z" };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(parse(wrong[i]) == -EINVAL);
}

TEST(round_trips)
{
    char buf[TIME_TEXT_LEN + 1];

    for (int64_t us = 0; us < INT64_C(253402300800000000); us += INT64_C(86399999987) * 5417)
        ok(parse(time_format(us, buf)) == us);
}

TAP_MAIN
