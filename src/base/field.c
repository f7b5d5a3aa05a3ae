/* field.c - lines of fields with one spelling each */
#include "base/field.h"

#include <errno.h>
#include <string.h>

static bool is_plain(unsigned char c) { return c > ' ' && c < 0x7f && c != '%'; }

void field_add(struct text *t, const char *s)
{
    for (; *s; s++)
        if (is_plain((unsigned char) *s))
            text_add_char(t, *s);
        else
            text_addf(t, "%%%02X", (unsigned char) *s);
}

char *field_next(const char **p, const char *end, char *buf, size_t size)
{
    const char *space = memchr(*p, ' ', (size_t) (end - *p));
    size_t len = (size_t) ((space ? space : end) - *p);

    if (*p >= end || len == 0 || len >= size || memchr(*p, '\0', len))
        return NULL;
    memcpy(buf, *p, len);
    buf[len] = '\0';
    *p += len + (space ? 1 : 0);
    return buf;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int field_decode(char *s)
{
    char *to = s;

    for (; *s; s++) {
        int byte = (unsigned char) *s;
        if (byte == '%') {
            int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
            if (low < 0)
                return -EINVAL;
            byte = high << 4 | low;
            s += 2;
            if (byte == 0 || is_plain((unsigned char) byte))
                return -EINVAL;
        } else if (!is_plain((unsigned char) byte)) {
            return -EINVAL;
        }
        *to++ = (char) byte;
    }
    *to = '\0';
    return 0;
}
