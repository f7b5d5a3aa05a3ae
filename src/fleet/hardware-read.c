/* hardware-read.c - values of a hardware file, and where they are wrong */
#include "fleet/hardware-internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>

/* More than any machine has; sums of it stay far from the end of the type. */
#define BYTES_MAX (INT64_C(1) << 50)

struct spot spot_member(const struct spot *spot, const char *key)
{
    return (struct spot){ json_object_get(spot->json, key),
                          xasprintf("%s/%s", spot->pointer, key) };
}

struct spot spot_item(const struct spot *spot, size_t i)
{
    return (struct spot){ json_array_get(spot->json, i), xasprintf("%s/%zu", spot->pointer, i) };
}

/* "/sites/0/name" as people write it: "sites[0].name". */
static char *field_of(const char *pointer)
{
    struct text field = { 0 };

    while (*pointer == '/') {
        size_t n = strcspn(++pointer, "/");
        bool is_index = strspn(pointer, "0123456789") == n;
        text_add(&field, is_index ? "[" : field.len ? "." : "");
        text_add_bytes(&field, pointer, n);
        text_add(&field, is_index ? "]" : "");
        pointer += n;
    }
    return text_take(&field);
}

int refuse(struct reader *r, const struct spot *spot, const char *fmt, ...)
{
    _cleanup_free_ char *field = field_of(spot->pointer);
    char what[300];
    va_list ap;

    va_start(ap, fmt);
    (void) vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return error_set(r->err, -EBADMSG, "%s:%zu: %s%s%s", r->name,
                     json_line(r->bytes, r->len, spot->pointer), field, *field ? ": " : "", what);
}

static const char *shown(const json_t *json, char buf[static 48])
{
    _cleanup_free_ char *text = json_text(json);

    (void) snprintf(buf, 48, strlen(text) < 48 ? "%s" : "%.40s…", text);
    return buf;
}

int check_object(struct reader *r, const struct spot *spot, const char *const *known)
{
    const char *key;
    json_t *value;
    char buf[48];

    if (!json_is_object(spot->json))
        return refuse(r, spot, "is %s; it must be an object", shown(spot->json, buf));
    json_object_foreach((json_t *) (uintptr_t) spot->json, key, value) {
        bool is_known = false;
        for (const char *const *k = known; *k; k++)
            is_known |= str_equal(*k, key);
        if (is_known)
            continue;
        _cleanup_text_ struct text all = { 0 };
        for (const char *const *k = known; *k; k++)
            text_addf(&all, "%s%s", k == known ? "" : ", ", *k);
        _cleanup_spot_ struct spot at = spot_member(spot, key);
        return refuse(r, &at, "is not known; there are %s", text_str(&all));
    }
    return 0;
}

static bool in_range(const json_t *json, int64_t min, int64_t max)
{
    return json_is_integer(json) && json_integer_value(json) >= min &&
           json_integer_value(json) <= max;
}

int get_unsigned(struct reader *r, const struct spot *spot, const char *key, unsigned min,
                 unsigned max, unsigned *ret)
{
    _cleanup_spot_ struct spot at = spot_member(spot, key);
    char buf[48];

    if (!at.json)
        return 0;
    if (!in_range(at.json, min, max))
        return refuse(r, &at, "is %s; it must be a whole number from %u to %u", shown(at.json, buf),
                      min, max);
    *ret = (unsigned) json_integer_value(at.json);
    return 0;
}

int get_number_or_unknown(struct reader *r, const struct spot *spot, const char *key, int max,
                          int *ret)
{
    _cleanup_spot_ struct spot at = spot_member(spot, key);
    char buf[48];

    *ret = -1;
    if (!at.json)
        return 0;
    if (!in_range(at.json, -1, max))
        return refuse(r, &at, "is %s; it must be a whole number from 0 to %d, or -1: unknown",
                      shown(at.json, buf), max);
    *ret = (int) json_integer_value(at.json);
    return 0;
}

int get_bytes(struct reader *r, const struct spot *spot, const char *key, int64_t *ret)
{
    _cleanup_spot_ struct spot at = spot_member(spot, key);
    long long bytes = -1;
    char buf[48];

    if (!at.json)
        return 0;
    if (json_is_integer(at.json))
        bytes = json_integer_value(at.json);
    else if (json_is_string(at.json) && str_to_bytes(json_string_value(at.json), &bytes) < 0)
        bytes = -1;
    if (bytes < 0 || bytes > BYTES_MAX)
        return refuse(r, &at, "is %s; it must be bytes or a size such as 64Gi, at most 1Pi",
                      shown(at.json, buf));
    *ret = bytes;
    return 0;
}

int get_string(struct reader *r, const struct spot *spot, const char *key, char **ret)
{
    enum { STRING_MAX = 255 };
    _cleanup_spot_ struct spot at = spot_member(spot, key);
    const char *s = json_string_value(at.json);
    char buf[48];

    if (!at.json)
        return 0;
    if (!s || !*s || strlen(s) > STRING_MAX)
        return refuse(r, &at, "is %s; it must be a string of 1 to %d bytes", shown(at.json, buf),
                      STRING_MAX);
    xstr_set(ret, s);
    return 0;
}

int get_bool(struct reader *r, const struct spot *spot, const char *key, bool *ret)
{
    _cleanup_spot_ struct spot at = spot_member(spot, key);
    char buf[48];

    if (!at.json)
        return 0;
    if (!json_is_boolean(at.json))
        return refuse(r, &at, "is %s; it must be true or false", shown(at.json, buf));
    *ret = json_is_true(at.json);
    return 0;
}

int set_of(struct reader *r, const struct spot *spot, unsigned limit, struct cpu_set *ret)
{
    char buf[48];

    if (!json_is_string(spot->json) || cpu_set_parse(json_string_value(spot->json), ret) < 0 ||
        cpu_set_count(ret) == 0 || (limit < CPU_SET_MAX && cpu_set_next(ret, limit) >= 0))
        return refuse(r, spot, "is %s; it must be a list such as \"0-3,8\" of numbers below %u",
                      shown(spot->json, buf), limit);
    return 0;
}

int get_set(struct reader *r, const struct spot *spot, const char *key, unsigned limit,
            struct cpu_set *ret)
{
    _cleanup_spot_ struct spot at = spot_member(spot, key);

    return at.json ? set_of(r, &at, limit, ret) : 0;
}

int each_item(struct reader *r, const struct spot *spot, const char *key, size_t max,
              item_reader *read, void *arg)
{
    _cleanup_spot_ struct spot array = spot_member(spot, key);
    size_t n = json_array_size(array.json);
    char buf[48];

    if (!array.json)
        return 0;
    if (!json_is_array(array.json))
        return refuse(r, &array, "is %s; it must be a list", shown(array.json, buf));
    if (n > max)
        return refuse(r, &array, "has %zu items; it may have %zu", n, max);
    for (size_t i = 0; i < n; i++) {
        _cleanup_spot_ struct spot item = spot_item(&array, i);
        int code = read(r, &item, arg);
        if (code < 0)
            return code;
    }
    return 0;
}
