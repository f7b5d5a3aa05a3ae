#include "base/id.h"
#include "base/digest.h"
#include "base/time.h"

#include "tests/tap.h"

#include <errno.h>

static const uint8_t random_bytes[10] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};

TEST(id_is_a_uuid_of_version_7)
{
    char text[ID_TEXT_LEN + 1];
    /* the example of RFC 9562, A.6: 2022-02-22 19:22:22 UTC */
    struct id id = id_make(INT64_C(1645557742000) * US_PER_MS, random_bytes), back;

    is_str(id_format(&id, text), "017f22e2-79b0-7000-bfff-ffffffffffff");
    ok(id_parse(text, &back) == 0);
    ok(id_equal(&id, &back));
    ok(id_time_ms(&id) == INT64_C(1645557742000));
    ok(!id_is_none(&id));
    ok(id_is_none(&id_none));
}

TEST(ids_sort_by_time)
{
    struct id a = id_make(1000000, random_bytes), b = id_make(1001000, (uint8_t[10]){ 0 });

    struct id c = id_make(1000001, (uint8_t[10]){ 0 });

    ok(id_compare(&a, &b) < 0);
    ok(id_compare(&a, &c) < 0);
}

TEST(what_is_within_something)
{
    char text[ID_TEXT_LEN + 1];
    struct id a = id_within(&id_none, "key:a"), b = id_within(&a, "key:a");

    is_str(id_format(&a, text), "0c68b7fe-ccdc-1901-9dfb-2ac18fa73ec1");
    ok(!id_equal(&a, &b));
}

TEST(only_the_canonical_form_is_an_id)
{
    struct id id;

    ok(id_parse("017F22e2-79b0-7000-bfff-ffffffffffff", &id) == -EINVAL);
    ok(id_parse("017f22e279b07fffbfffffffffffffff", &id) == -EINVAL);
    ok(id_parse("017f22e2-79b0-7000-bfff-ffffffffffff0", &id) == -EINVAL);
    ok(id_parse("017f22e2-79b0-7000-bfff-fffffffffff", &id) == -EINVAL);
    ok(id_parse("", &id) == -EINVAL);
}

TEST(names)
{
    struct error err = { 0 };

    ok(name_is_valid("a"));
    ok(name_is_valid("tiny-gpt_2.0"));
    ok(!name_is_valid(""));
    ok(!name_is_valid("-a"));
    ok(!name_is_valid("a."));
    ok(!name_is_valid(".."));
    ok(!name_is_valid("A"));
    ok(!name_is_valid("a/b"));
    ok(!name_is_valid("017f22e2-79b0-7000-bfff-ffffffffffff"));
    ok(name_is_valid("012345678901234567890123456789012345678901234567890123456789012"));
    ok(!name_is_valid("0123456789012345678901234567890123456789012345678901234567890123"));
    ok(name_check("job name", "A b", &err) == -EINVAL);
    is_str(err.text, "job name 'A b' may only have a-z, 0-9, '-', '.' and '_'");
}

TEST(digests)
{
    const char *hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char buf[SHA256_HEX_LEN + 1];
    struct sha256 a, b;

    ok(sha256_parse(hex, &a) == 0);
    is_str(sha256_format(&a, buf), hex);
    ok(sha256_parse("E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &b) ==
       -EINVAL);
    ok(sha256_parse("e3b0", &b) == -EINVAL);
    b = a;
    ok(sha256_equal(&a, &b));
    b.bytes[31] ^= 1;
    ok(!sha256_equal(&a, &b));
}

TAP_MAIN
