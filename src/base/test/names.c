#include "base/names.h"

#include "tests/tap.h"

static void reads(const char *const *names, size_t n, const char *expected)
{
    _cleanup_text_ struct text t = { 0 };

    names_add(&t, names, n);
    is_str(text_str(&t), expected);
}

#define READS(expected, ...)                                                                       \
    reads((const char *const[]){ __VA_ARGS__ },                                                    \
          sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), expected)

TEST(names_that_count_up_are_one_word)
{
    reads(NULL, 0, "");
    READS("n1", "n1");
    READS("n1, n2", "n1", "n2");
    READS("n[1-4]", "n1", "n2", "n3", "n4");
    READS("n[8-11]", "n8", "n9", "n10", "n11");
    READS("gpu[08-11].a", "gpu08.a", "gpu09.a", "gpu10.a", "gpu11.a");
    READS("r1-n[1-3], r2-n[4-6], 7", "r1-n1", "r1-n2", "r1-n3", "r2-n4", "r2-n5", "r2-n6", "7");
}

TEST(others_stand_alone)
{
    READS("n1, n3, n5", "n1", "n3", "n5");
    READS("n3, n2, n1", "n3", "n2", "n1");
    READS("n1, n1, n1", "n1", "n1", "n1");
    READS("a, b, c", "a", "b", "c");
    READS("n09, n10, n011", "n09", "n10", "n011");
    READS("n1a, n2b, n3c", "n1a", "n2b", "n3c");
    READS("n9999999999999999998, n9999999999999999999", "n9999999999999999998",
          "n9999999999999999999");
}

TAP_MAIN
