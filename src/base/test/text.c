#include "base/text.h"

#include "tests/tap.h"

#include <errno.h>
#include <limits.h>

TEST(text_grows_and_stays_terminated)
{
    _cleanup_text_ struct text t = { 0 };

    is_str(text_str(&t), "");
    for (int i = 0; i < 1000; i++)
        text_addf(&t, "%d,", i);
    ok(t.len == 3890);
    ok(t.data[t.len] == '\0');
    ok(str_starts(t.data, "0,1,2,"));
    text_consume(&t, t.len - 4);
    is_str(text_str(&t), "999,");
    text_clear(&t);
    is_str(text_str(&t), "");
    text_addf(&t, "%0300d", 7);
    ok(t.len == 300);
}

TEST(text_take_hands_over)
{
    struct text t = { 0 };
    _cleanup_free_ char *empty = text_take(&t);

    is_str(empty, "");
    text_add_char(&t, 'x');
    _cleanup_free_ char *s = text_take(&t);
    is_str(s, "x");
    ok(t.data == NULL);
}

TEST(globs)
{
    ok(str_glob("*.pt", "a.pt"));
    ok(!str_glob("*.pt", "dir/a.pt"));
    ok(str_glob("**.pt", "dir/a.pt"));
    ok(str_glob("**/a.pt", "x/y/a.pt"));
    ok(str_glob("**/a.pt", "a.pt"));
    ok(!str_glob("**/a.pt", "xa.pt"));
    ok(str_glob("a/**/b", "a/b"));
    ok(str_glob("a/**/b", "a/x/y/b"));
    ok(!str_glob("a/**/b", "a/x/yb"));
    ok(str_glob("a?c", "abc"));
    ok(!str_glob("a?c", "a/c"));
    ok(str_glob("*a*b*c", "xxaxxbxxbxxc"));
    ok(!str_glob("*a*b*c", "xxaxxbxxbxx"));
    ok(str_glob("", ""));
    ok(!str_glob("", "a"));
    ok(str_glob("**", ""));
    ok(str_glob("model/*", "model/x"));
    ok(!str_glob("model/*", "model/x/y"));
    /* would take for ever if every star were tried */
    ok(!str_glob("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

TEST(numbers)
{
    long long n = 0;

    ok(str_to_i64("42", 0, 100, &n) == 0 && n == 42);
    ok(str_to_i64("-3", -10, 100, &n) == 0 && n == -3);
    ok(str_to_i64("101", 0, 100, &n) == -ERANGE);
    ok(str_to_i64("99999999999999999999", 0, LLONG_MAX, &n) == -ERANGE);
    ok(str_to_i64("", 0, 100, &n) == -EINVAL);
    ok(str_to_i64(" 1", 0, 100, &n) == -EINVAL);
    ok(str_to_i64("+1", 0, 100, &n) == -EINVAL);
    ok(str_to_i64("1x", 0, 100, &n) == -EINVAL);
}

static long long to_bytes(const char *s)
{
    long long n = -1;
    int r = str_to_bytes(s, &n);

    return r < 0 ? r : n;
}

static long long to_seconds(const char *s)
{
    long long n = -1;
    int r = str_to_seconds(s, &n);

    return r < 0 ? r : n;
}

TEST(sizes)
{
    ok(to_bytes("512") == 512);
    ok(to_bytes("64Ki") == 65536);
    ok(to_bytes("1.5Gi") == 1610612736);
    ok(to_bytes("2G") == 2000000000);
    ok(to_bytes("10MB") == 10000000);
    ok(to_bytes("0.999999Pi") == 1125898780942717);
    ok(to_bytes("8191Pi") == 8191LL << 50);
    ok(to_bytes("8192Pi") == -ERANGE);
    ok(to_bytes("") == -EINVAL);
    ok(to_bytes("Gi") == -EINVAL);
    ok(to_bytes("1.") == -EINVAL);
    ok(to_bytes("1 G") == -EINVAL);
    ok(to_bytes("-1") == -EINVAL);
    ok(to_bytes("1Gib") == -EINVAL);
}

TEST(durations)
{
    ok(to_seconds("90") == 90);
    ok(to_seconds("90s") == 90);
    ok(to_seconds("15m") == 900);
    ok(to_seconds("1.5h") == 5400);
    ok(to_seconds("7d") == 604800);
    ok(to_seconds("1y") == -EINVAL);
}

TEST(for_people)
{
    char buf[32];

    is_str(bytes_to_str(0, buf), "0 B");
    is_str(bytes_to_str(1023, buf), "1023 B");
    is_str(bytes_to_str(1536, buf), "1.5 KiB");
    is_str(bytes_to_str(5LL << 30, buf), "5 GiB");
    is_str(bytes_to_str(LLONG_MAX, buf), "8 EiB");
    is_str(bytes_to_str(-2048, buf), "-2 KiB");
    is_str(seconds_to_str(0, buf), "0s");
    is_str(seconds_to_str(3725, buf), "1h 2m 5s");
    is_str(seconds_to_str(86400, buf), "1d");
    is_str(seconds_to_str(-61, buf), "-1m 1s");
    is_str(milli_to_str(0, buf), "0");
    is_str(milli_to_str(250, buf), "0.25");
    is_str(milli_to_str(1001, buf), "1.001");
    is_str(milli_to_str(20000, buf), "20");
    is_str(milli_to_str(-50, buf), "-0.05");
    ok(strlen(seconds_to_str(LLONG_MIN, buf)) < 32);
}

TEST(hex)
{
    char out[9];
    unsigned char in[4] = { 0, 0x7f, 0xab, 0xff }, back[4];

    hex_encode(in, 4, out);
    is_str(out, "007fabff");
    ok(hex_decode(out, back, 4) == 0 && memcmp(in, back, 4) == 0);
    ok(hex_decode("007FABFF", back, 4) == -EINVAL);
    ok(hex_decode("007fabf", back, 4) == -EINVAL);
    ok(hex_decode("007fabff0", back, 4) == -EINVAL);
}

TEST(ends_and_equality)
{
    ok(str_ends("a.json", ".json"));
    ok(!str_ends("json", ".json"));
    ok(str_equal(NULL, NULL));
    ok(!str_equal(NULL, ""));
}

TAP_MAIN
