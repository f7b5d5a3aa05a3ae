/* base64.c - base64 of RFC 4648, with padding */
#include "base/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_add_base64(struct text *t, const void *bytes, size_t n)
{
    const uint8_t *in = bytes;
    char *p = text_reserve(t, (n + 2) / 3 * 4);

    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t) in[i] << 16;
        group |= i + 1 < n ? (uint32_t) in[i + 1] << 8 : 0;
        group |= i + 2 < n ? in[i + 2] : 0;
        *p++ = digits[group >> 18];
        *p++ = digits[group >> 12 & 63];
        *p++ = i + 1 < n ? digits[group >> 6 & 63] : '=';
        *p++ = i + 2 < n ? digits[group & 63] : '=';
    }
    *p = '\0';
    t->len = (size_t) (p - t->data);
}

static int digit(char c)
{
    const char *p = c ? strchr(digits, c) : NULL;

    return p ? (int) (p - digits) : -1;
}

int base64_decode(const char *s, void *bytes, size_t max, size_t *ret_n)
{
    size_t len = strlen(s), n = 0;
    size_t padding = len >= 4 && s[len - 1] == '=' ? 1 + (s[len - 2] == '=') : 0;
    uint32_t group = 0;
    uint8_t *out = bytes;

    if (len % 4)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        int d = i >= len - padding ? 0 : digit(s[i]);
        if (d < 0)
            return -EINVAL;
        group = group << 6 | (uint32_t) d;
        if (i % 4 < 3)
            continue;
        unsigned keep = i + 1 == len ? 3 - (unsigned) padding : 3;
        if (group & ((UINT32_C(1) << 8 * (3 - keep)) - 1))
            return -EINVAL;
        const uint8_t three[] = { (uint8_t) (group >> 16), (uint8_t) (group >> 8),
                                  (uint8_t) group };
        if (max - n < keep)
            return -ENOSPC;
        memcpy(out + n, three, keep);
        n += keep;
        group = 0;
    }
    *ret_n = n;
    return 0;
}
