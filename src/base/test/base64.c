#include "base/base64.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

TEST(vectors_of_rfc_4648)
{
    /* The first bytes of "foobar". */
    static const char *const coded[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

    for (size_t i = 0; i < sizeof coded / sizeof *coded; i++) {
        _cleanup_text_ struct text t = { 0 };
        char back[16] = "";
        size_t n = 99;
        text_add_base64(&t, "foobar", i);
        is_str(text_str(&t), coded[i]);
        ok(base64_decode(coded[i], back, sizeof back, &n) == 0 && n == i);
        ok(strncmp(back, "foobar", i) == 0);
    }
}

TEST(what_is_not_canonical_is_refused)
{
    static const char *const bad[] = { "Z",     "Zg",   "Zg=",  "Zg===", "Zh==",   "Zm9=",
                                       "Zm 9v", "=Zg=", "Z===", "====",  "Zm9v\n", "Zm-_" };
    char out[16];
    size_t n;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(base64_decode(bad[i], out, sizeof out, &n) == -EINVAL);
    ok(base64_decode("Zm9vYmFy", out, 5, &n) == -ENOSPC);
}

TAP_MAIN
