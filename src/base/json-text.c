/* json-text.c - trees and strings as JSON text
 *
 * Written here rather than by jansson because its reals are not the shortest that read back
 * (2.31 becomes 2.3100000000000001) and because a tree then goes into a struct text without a copy.
 */
#include "base/json.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The well-formed sequences beyond ASCII by their first byte (Unicode, table 3-7). Overlong forms,
 * surrogates and what lies beyond U+10FFFF show in the second byte. */
static const struct utf8_form {
    unsigned char first;
    unsigned char last;
    unsigned char length;
    unsigned char second_low;
    unsigned char second_high;
} utf8_forms[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
    { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
    { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static bool is_continuation(const char *s) { return ((unsigned char) *s & 0xc0) == 0x80; }

static const struct utf8_form *utf8_form_of(unsigned char first)
{
    for (size_t i = 0; i < sizeof utf8_forms / sizeof utf8_forms[0]; i++)
        if (first >= utf8_forms[i].first && first <= utf8_forms[i].last)
            return &utf8_forms[i];
    return NULL;
}

size_t utf8_sequence(const char *s, size_t len)
{
    if (len == 0)
        return 0;
    if ((unsigned char) s[0] < 0x80)
        return 1;

    const struct utf8_form *form = utf8_form_of((unsigned char) s[0]);
    if (!form || len < form->length)
        return 0;
    unsigned char second = (unsigned char) s[1];
    if (second < form->second_low || second > form->second_high)
        return 0;
    for (size_t i = 2; i < form->length; i++)
        if (!is_continuation(s + i))
            return 0;
    return form->length;
}

bool utf8_is_valid(const char *s, size_t len)
{
    for (size_t n; len > 0; s += n, len -= n) {
        n = utf8_sequence(s, len);
        if (n == 0)
            return false;
    }
    return true;
}

static void add_escape(struct text *t, unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        text_add_char(t, '\\');
        text_add_char(t, (char) c);
        break;
    case '\n':
        text_add_bytes(t, "\\n", 2);
        break;
    case '\r':
        text_add_bytes(t, "\\r", 2);
        break;
    case '\t':
        text_add_bytes(t, "\\t", 2);
        break;
    case '\0': /* our parser, as many others, takes no NUL: show its picture */
        text_add(t, "\\u2400");
        break;
    default:
        text_addf(t, "\\u%04x", c);
    }
}

void text_add_json_string(struct text *t, const char *s, size_t len)
{
    size_t i = 0, plain = 0; /* plain: start of the run that needs no change */

    (void) text_reserve(t, len + 2);
    text_add_char(t, '"');
    while (i < len) {
        unsigned char c = (unsigned char) s[i];
        size_t n = c < 0x80 ? 1 : utf8_sequence(s + i, len - i);
        bool control = n == 2 && c == 0xc2 && (unsigned char) s[i + 1] < 0xa0;
        if ((n > 1 && !control) || (n == 1 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)) {
            i += n;
            continue;
        }
        text_add_bytes(t, s + plain, i - plain);
        if (n == 0)
            text_add(t, "\xef\xbf\xbd");
        else
            add_escape(t,
                       (unsigned char) s[i + n - 1]); /* U+0080 to U+009F are their second byte */
        plain = i += n ? n : 1;
    }
    text_add_bytes(t, s + plain, len - plain);
    text_add_char(t, '"');
}

json_t *json_string_lossy(const char *s, size_t len)
{
    if (utf8_is_valid(s, len) && !memchr(s, 0, len))
        return json_stringn_nocheck(s, len);

    _cleanup_text_ struct text t = { 0 };
    for (size_t n, i = 0; i < len; i += n ? n : 1) {
        n = utf8_sequence(s + i, len - i);
        if (n == 0)
            text_add(&t, "\xef\xbf\xbd");
        else if (s[i] == '\0')
            text_add(&t, "\xe2\x90\x80");
        else
            text_add_bytes(&t, s + i, n);
    }
    return json_stringn_nocheck(text_str(&t), t.len);
}

/* The shortest form that reads back as the same number, and as a real. */
static void add_real(struct text *t, double value)
{
    char buf[40];

    for (int precision = 15; precision <= 17; precision++) {
        (void) snprintf(buf, sizeof buf, "%.*g", precision, value);
        double back = strtod(buf, NULL);
        if (back >= value && back <= value)
            break;
    }
    text_add(t, buf);
    if (!strpbrk(buf, ".e"))
        text_add(t, ".0");
}

static void add_integer(struct text *t, json_int_t value)
{
    char buf[24], *p = buf + sizeof buf;
    unsigned long long rest = value < 0 ? -(unsigned long long) value : (unsigned long long) value;

    do
        *--p = (char) ('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--p = '-';
    text_add_bytes(t, p, (size_t) (buf + sizeof buf - p));
}

static void add_value(struct text *t, const json_t *json, bool sorted);

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void add_member(struct text *t, const char *key, const json_t *value, bool sorted)
{
    text_add_json_string(t, key, strlen(key));
    text_add_char(t, ':');
    add_value(t, value, sorted);
}

static void add_sorted_members(struct text *t, const json_t *json)
{
    _cleanup_free_ const char **keys = xnew_n(const char *, json_object_size(json));
    size_t n = 0;

    for (void *it = json_object_iter((json_t *) (uintptr_t) json); it;
         it = json_object_iter_next((json_t *) (uintptr_t) json, it))
        keys[n++] = json_object_iter_key(it);
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            text_add_char(t, ',');
        add_member(t, keys[i], json_object_get(json, keys[i]), true);
    }
}

static void add_object(struct text *t, const json_t *json, bool sorted)
{
    json_t *obj = (json_t *) (uintptr_t) json; /* jansson's iterators take no const */

    text_add_char(t, '{');
    if (sorted)
        add_sorted_members(t, json);
    else
        for (void *it = json_object_iter(obj); it;) {
            add_member(t, json_object_iter_key(it), json_object_iter_value(it), false);
            it = json_object_iter_next(obj, it);
            if (it)
                text_add_char(t, ',');
        }
    text_add_char(t, '}');
}

static void add_array(struct text *t, const json_t *json, bool sorted)
{
    text_add_char(t, '[');
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (i > 0)
            text_add_char(t, ',');
        add_value(t, json_array_get(json, i), sorted);
    }
    text_add_char(t, ']');
}

static void add_value(struct text *t, const json_t *json, bool sorted)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        add_object(t, json, sorted);
        break;
    case JSON_ARRAY:
        add_array(t, json, sorted);
        break;
    case JSON_STRING:
        text_add_json_string(t, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        add_integer(t, json_integer_value(json));
        break;
    case JSON_REAL:
        add_real(t, json_real_value(json));
        break;
    case JSON_TRUE:
        text_add(t, "true");
        break;
    case JSON_FALSE:
        text_add(t, "false");
        break;
    case JSON_NULL:
        text_add(t, "null");
        break;
    }
}

void text_add_json(struct text *t, const json_t *json) { add_value(t, json, false); }

char *json_text(const json_t *json)
{
    struct text t = { 0 };

    add_value(&t, json, false);
    return text_take(&t);
}

char *json_canonical(const json_t *json)
{
    struct text t = { 0 };

    add_value(&t, json, true);
    return text_take(&t);
}

/* ---- for people ---------------------------------------------------------------------------------- */

static void add_line(struct text *t, unsigned depth)
{
    text_addf(t, "\n%*s", (int) (2 * depth), "");
}

/* Where the string that begins at P ends: behind its closing quote. */
static const char *string_end(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

char *json_pretty(const json_t *json)
{
    _cleanup_free_ char *compact = json_text(json);
    struct text t = { 0 };
    unsigned depth = 0;

    for (const char *p = compact, *next; *p; p = next) {
        next = *p == '"' ? string_end(p) : p + 1;
        bool closes = *p == '}' || *p == ']', opens = *p == '{' || *p == '[';
        bool empty = closes && (p[-1] == '{' || p[-1] == '[');
        depth -= closes;
        if (closes && !empty)
            add_line(&t, depth);
        text_add_bytes(&t, p, (size_t) (next - p));
        depth += opens;
        if ((opens && *next != '}' && *next != ']') || *p == ',')
            add_line(&t, depth);
        else if (*p == ':')
            text_add_char(&t, ' ');
    }
    return text_take(&t);
}
