/* json.c - strict parsing, and readers of checked trees */
#include "base/json.h"

#include "base/id.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

/* jansson only stops at its own, much larger depth. Brackets are counted outside of strings, where
 * a malformed text may mislead the count; the parser then refuses that text anyway. */
static bool is_too_deep(const char *bytes, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

int json_parse(const char *bytes, size_t len, json_t **ret, struct error *err)
{
    json_error_t reason;

    if (len == 0)
        return error_set(err, -EINVAL, "is empty, not JSON");
    if (is_too_deep(bytes, len))
        return error_set(err, -EINVAL, "is nested deeper than %d levels", JSON_MAX_DEPTH);

    json_t *json = json_loadb(bytes, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &reason);
    if (!json)
        return error_set(err, -EINVAL, "line %d, column %d: %s", reason.line, reason.column,
                         reason.text);
    *ret = json;
    return 0;
}

const char *json_get_str(const json_t *obj, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return s ? s : otherwise;
}

int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double json_get_real(const json_t *obj, const char *key, double otherwise)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

int json_get_milli(const json_t *obj, const char *key, int64_t *ret)
{
    const double most = (double) (INT64_C(1) << 40), finer = 1e-6;
    const json_t *value = json_object_get(obj, key);
    double milli = json_number_value(value) * 1000;

    if (!json_is_number(value) || !(milli > -most && milli < most))
        return -EINVAL;
    int64_t whole = (int64_t) (milli < 0 ? milli - 0.5 : milli + 0.5);
    if (milli - (double) whole > finer || (double) whole - milli > finer)
        return -EINVAL;
    *ret = whole;
    return 0;
}

bool json_get_bool(const json_t *obj, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

void json_put(json_t *obj, const char *key, json_t *value)
{
    if (value)
        (void) json_object_set_new_nocheck(obj, key, value);
}

void json_put_str(json_t *obj, const char *key, const char *value)
{
    if (value)
        json_put(obj, key, json_string_lossy(value, strlen(value)));
}

void json_put_int(json_t *obj, const char *key, int64_t value)
{
    json_put(obj, key, json_integer(value));
}

void json_put_id(json_t *obj, const char *key, const struct id *value)
{
    char text[ID_TEXT_LEN + 1];

    if (!id_is_none(value))
        json_put_str(obj, key, id_format(value, text));
}

void json_put_time(json_t *obj, const char *key, int64_t us)
{
    char text[TIME_TEXT_LEN + 1];

    if (us)
        json_put_str(obj, key, time_format(us, text));
}

void json_put_milli(json_t *obj, const char *key, int64_t milli)
{
    json_put(obj, key,
             milli % 1000 ? json_real((double) milli / 1000) : json_integer(milli / 1000));
}
