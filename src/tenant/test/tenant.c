#include "tenant/tenant.h"

#include "base/alloc.h"
#include "tests/tap.h"

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

TAP_MAIN
