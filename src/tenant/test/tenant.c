#include "tenant/tenant.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <errno.h>

TEST(roles_are_ordered)
{
    ok(key_role_allows(KEY_ROLE_ADMIN, KEY_ROLE_VIEWER));
    ok(key_role_allows(KEY_ROLE_MEMBER, KEY_ROLE_MEMBER));
    ok(!key_role_allows(KEY_ROLE_VIEWER, KEY_ROLE_MEMBER));
    ok(!key_role_allows(KEY_ROLE_INVALID, KEY_ROLE_VIEWER));
    for (int r = 0; r < KEY_ROLE_MAX; r++)
        ok(key_role_parse(key_role_name((enum key_role) r)) == (enum key_role) r);
    ok(key_role_parse("root") == KEY_ROLE_INVALID && key_role_parse(NULL) == KEY_ROLE_INVALID);
}

TEST(a_key_is_base64url_of_its_bits)
{
    uint8_t random[32];
    char text[KEY_TEXT_LEN + 1];

    memset(random, 0xff, sizeof random);
    key_text(random, text);
    is_str(text, "berth___________________________________________8");
    for (int i = 0; i < 32; i++)
        random[i] = (uint8_t) i;
    key_text(random, text);
    is_str(text, "berth_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
}

TEST(what_is_secret_is_not_shown)
{
    struct key key = {
        .name = xstrdup("laptop"),
        .prefix = xstrdup("berth_abcdef"),
        .role = KEY_ROLE_MEMBER,
        .created_us = 1,
    };
    memset(key.hash.bytes, 0xab, sizeof key.hash.bytes);
    _cleanup_json_ json_t *json = key_to_json(&key);
    _cleanup_free_ char *text = json_text(json);
    ok(strstr(text, "\"prefix\":\"berth_abcdef\"") != NULL &&
       strstr(text, "\"role\":\"member\"") != NULL);
    ok(strstr(text, "abab") == NULL && strstr(text, "expires") == NULL);
    free(key.name);
    free(key.prefix);
}

static const char booked[] =
    "{\"id\": \"01a1fc6d-4e54-7c04-9d21-d9fdd829fbed\", "
    "\"project\": \"01a1fc6d-4e54-7c04-9d21-d9fdd829fbee\", \"name\": \"course\", \"gpus\": 12, "
    "\"gpu_model\": \"H100\", \"from\": \"2030-01-01T12:00:00.000000Z\", "
    "\"until\": \"2030-01-01T14:00:00.000000Z\", \"state\": \"active\", \"kept\": [{\"node\": \"n1\", \"gpu_milli\": 8000}, "
    "{\"node\": \"n2\", \"gpu_milli\": 4000}], \"by\": \"root\", \"created\": "
    "\"2029-12-31T12:00:00.000000Z\"}";

TEST(a_booking_is_read_as_it_was_written)
{
    _cleanup_json_ json_t *json = NULL, *again = NULL;
    _cleanup_(booking_record_freep) struct booking_record *b = NULL;

    ok(json_parse(booked, strlen(booked), &json, NULL) == 0);
    ok(booking_record_from_json(json, &b, NULL) == 0);
    ok(b && booking_record_keeps(b, "n2") == 4000 && booking_record_keeps(b, "n3") == 0);
    again = booking_record_to_json(b);
    ok(json_equal(json, again));
}

TEST(a_damaged_booking_is_refused)
{
    static const char *const needed[] = {
        "id", "project", "name", "gpus", "from", "until", "kept"
    };

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        _cleanup_json_ json_t *json = NULL;
        _cleanup_(booking_record_freep) struct booking_record *b = NULL;
        struct error err = { 0 };
        ok(json_parse(booked, strlen(booked), &json, NULL) == 0);
        (void) json_object_del(json, needed[i]);
        ok(booking_record_from_json(json, &b, &err) == -EBADMSG && !b);
    }
}

TAP_MAIN
