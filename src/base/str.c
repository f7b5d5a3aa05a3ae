/* str.c - small helpers on C strings: globs, hex, and numbers with units */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool str_equal(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* A star of the pattern: what follows it, and how far into the text it reaches. */
struct glob_star {
    const char *pattern;
    const char *s;
    bool whole_directories;
};

/* Let the latest star that can swallow one more do so. */
static bool glob_widen(struct glob_star *star, struct glob_star *deep, const char **pattern,
                       const char **s)
{
    if (star->pattern && *star->s && *star->s != '/') {
        *pattern = star->pattern;
        *s = ++star->s;
        return true;
    }
    if (!deep->pattern)
        return false;
    const char *at = deep->whole_directories ? strchr(deep->s, '/') : deep->s;
    if (!at || !*at)
        return false;
    deep->s = at + 1;
    *pattern = deep->pattern;
    *s = deep->s;
    star->pattern = NULL;
    return true;
}

/* Greedy matching that returns to the last star only: after a '**' no earlier star can help, and
 * within one path component the last '*' is enough. "**" + "/" stands for any number of whole
 * directories, none included. */
bool str_glob(const char *pattern, const char *s)
{
    struct glob_star star = { 0 };
    struct glob_star deep = { 0 };

    while (*s || *pattern) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            bool whole = pattern[2] == '/';
            pattern += whole ? 3 : 2;
            deep = (struct glob_star){ .pattern = pattern, .s = s, .whole_directories = whole };
            star.pattern = NULL;
        } else if (*pattern == '*') {
            star = (struct glob_star){ .pattern = ++pattern, .s = s };
        } else if (*s && (*pattern == *s || (*pattern == '?' && *s != '/'))) {
            pattern++;
            s++;
        } else if (!glob_widen(&star, &deep, &pattern, &s)) {
            return false;
        }
    }
    return true;
}

int str_to_i64(const char *s, long long min, long long max, long long *ret)
{
    char *end;

    if (!isdigit((unsigned char) s[0]) && !(s[0] == '-' && isdigit((unsigned char) s[1])))
        return -EINVAL;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno == ERANGE || value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

struct unit {
    const char *suffix;
    long long factor;
};

/* "12", "1.5" times the factor of the unit that follows; exact in integers. */
static int parse_with_unit(const char *s, const struct unit *units, long long *ret)
{
    long long whole = 0, fraction = 0, scale = 1;
    const char *p = s;

    for (; isdigit((unsigned char) *p); p++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *p - '0', &whole))
            return -ERANGE;
    if (p == s)
        return -EINVAL;
    if (*p == '.') {
        const char *first = ++p;
        for (; isdigit((unsigned char) *p); p++, scale *= 10)
            if (p - first >= 6)
                return -EINVAL;
            else
                fraction = fraction * 10 + (*p - '0');
        if (p == first)
            return -EINVAL;
    }
    while (units->suffix && strcmp(units->suffix, p) != 0)
        units++;
    if (!units->suffix)
        return -EINVAL;

    long long part; /* the largest factor, 1024^5, times 999,999 would overflow: divide first */
    if (__builtin_mul_overflow(whole, units->factor, &whole))
        return -ERANGE;
    part = units->factor / scale * fraction + units->factor % scale * fraction / scale;
    return __builtin_add_overflow(whole, part, ret) ? -ERANGE : 0;
}

int str_to_bytes(const char *s, long long *ret)
{
    static const struct unit units[] = {
        { "", 1 },
        { "B", 1 },
        { "K", 1000 },
        { "k", 1000 },
        { "KB", 1000 },
        { "kB", 1000 },
        { "Ki", 1LL << 10 },
        { "KiB", 1LL << 10 },
        { "M", 1000000 },
        { "MB", 1000000 },
        { "Mi", 1LL << 20 },
        { "MiB", 1LL << 20 },
        { "G", 1000000000 },
        { "GB", 1000000000 },
        { "Gi", 1LL << 30 },
        { "GiB", 1LL << 30 },
        { "T", 1000000000000 },
        { "TB", 1000000000000 },
        { "Ti", 1LL << 40 },
        { "TiB", 1LL << 40 },
        { "P", 1000000000000000 },
        { "PB", 1000000000000000 },
        { "Pi", 1LL << 50 },
        { "PiB", 1LL << 50 },
        { NULL, 0 },
    };

    return parse_with_unit(s, units, ret);
}

int str_to_seconds(const char *s, long long *ret)
{
    static const struct unit units[] = {
        { "", 1 },      { "s", 1 },      { "m", 60 }, { "h", 3600 },
        { "d", 86400 }, { "w", 604800 }, { NULL, 0 },
    };

    return parse_with_unit(s, units, ret);
}

const char *bytes_to_str(long long bytes, char buf[static 32])
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned long long size = bytes < 0 ? -(unsigned long long) bytes : (unsigned long long) bytes;
    unsigned long long tenths = size * 10;
    const char *sign = bytes < 0 ? "-" : "";
    size_t i = 0;

    if (size < 1024) {
        (void) snprintf(buf, 32, "%s%llu B", sign, size);
        return buf;
    }
    if (size > ULLONG_MAX / 10)
        size /= 1024, tenths = size * 10, i = 1;
    for (; tenths >= 10240; i++)
        tenths = (tenths + 512) / 1024;
    if (tenths % 10)
        (void) snprintf(buf, 32, "%s%llu.%llu %s", sign, tenths / 10, tenths % 10, names[i]);
    else
        (void) snprintf(buf, 32, "%s%llu %s", sign, tenths / 10, names[i]);
    return buf;
}

const char *seconds_to_str(long long seconds, char buf[static 32])
{
    static const struct unit units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 } };
    bool negative = seconds < 0;
    unsigned long long left =
        negative ? -(unsigned long long) seconds : (unsigned long long) seconds;
    int len = snprintf(buf, 32, "%s%s", negative ? "-" : "", left ? "" : "0s");
    const char *space = "";

    for (size_t i = 0; left > 0; i++) {
        unsigned long long factor = (unsigned long long) units[i].factor;
        if (left < factor)
            continue;
        len += snprintf(buf + len, 32 - (size_t) len, "%s%llu%s", space, left / factor,
                        units[i].suffix);
        space = " ";
        left %= factor;
    }
    return buf;
}

const char *milli_to_str(long long milli, char buf[static 32])
{
    int len = snprintf(buf, 32, "%s%lld.%03lld", milli < 0 ? "-" : "", llabs(milli / 1000),
                       llabs(milli % 1000));

    while (buf[len - 1] == '0')
        buf[--len] = '\0';
    if (buf[len - 1] == '.')
        buf[--len] = '\0';
    return buf;
}

void hex_encode(const void *bytes, size_t n, char *out)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++) {
        *out++ = "0123456789abcdef"[p[i] >> 4];
        *out++ = "0123456789abcdef"[p[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(const char *hex, void *out, size_t n)
{
    unsigned char *p = out;

    for (size_t i = 0; i < n; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        p[i] = (unsigned char) (high << 4 | low);
    }
    return hex[2 * n] ? -EINVAL : 0;
}
