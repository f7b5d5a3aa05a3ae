/* scalar.c - checks of single values */
#include "base/digest.h"
#include "base/id.h"
#include "base/time.h"
#include "declare/internal.h"

#include <errno.h>
#include <string.h>

typedef int (*check_f)(const struct declare_type *type, json_t *value,
                       const struct declare_place *place, json_t **ret_new, struct error *err);

static bool is_in(const struct declare_step *step, char c)
{
    unsigned char u = (unsigned char) c;

    return u < 128 && (step->set[u / 64] >> (u % 64) & 1);
}

/* Each step takes as much as it can: declarations are written so that this is right. */
static bool matches(const struct declare_type *type, const char *s)
{
    for (size_t i = 0; i < type->n_steps; i++) {
        unsigned n = 0;
        while (*s && n < type->steps[i].max && is_in(&type->steps[i], *s))
            s++, n++;
        if (n < type->steps[i].min)
            return false;
    }
    return *s == '\0';
}

static bool is_choice(const struct declare_type *type, const char *s)
{
    for (const char *const *choice = type->choices; *choice; choice++)
        if (strcmp(*choice, s) == 0)
            return true;
    return false;
}

static int refuse_choice(const struct declare_type *type, const json_t *value,
                         const struct declare_place *place, struct error *err)
{
    _cleanup_text_ struct text t = { 0 };

    for (const char *const *choice = type->choices; *choice; choice++)
        text_addf(&t, "%s%s", t.len ? ", " : "", *choice);
    return declare_refuse(place, value, err, type->choices[1] ? "must be one of %s" : "must be %s",
                          t.data);
}

static int refuse_not_string(const json_t *value, const struct declare_place *place,
                             struct error *err)
{
    if (json_is_number(value) || json_is_boolean(value)) {
        _cleanup_free_ char *text = json_text(value);
        return declare_refuse(place, value, err, "must be a string: write \"%s\"", text);
    }
    return declare_refuse(place, value, err, "must be a string");
}

static int check_string(const struct declare_type *type, json_t *value,
                        const struct declare_place *place, json_t **ret_new, struct error *err)
{
    const char *s = json_string_value(value);
    int64_t len = (int64_t) json_string_length(value);

    if (!s)
        return refuse_not_string(value, place, err);
    if (type->choices)
        return is_choice(type, s) ? 0 : refuse_choice(type, value, place, err);
    if (len < type->min && len == 0)
        return declare_refuse(place, value, err, "must not be empty");
    if (len < type->min)
        return declare_refuse(place, value, err, "must have at least %lld characters",
                              (long long) type->min);
    if (len > type->max)
        return declare_refuse(place, value, err, "has %lld bytes; at most %lld are taken",
                              (long long) len, (long long) type->max);
    if (type->steps && !matches(type, s))
        return declare_refuse(place, value, err, "must have the form %s", type->pattern);
    return 0;
}

/* A limit as people write such values: 16 MiB, 365d. */
static const char *limit_text(const struct declare_type *type, int64_t limit, char buf[static 32])
{
    if (type->kind == DECLARE_BYTES)
        return bytes_to_str(limit, buf);
    if (type->kind == DECLARE_SECONDS)
        return seconds_to_str(limit, buf);
    (void) snprintf(buf, 32, "%lld", (long long) limit);
    return buf;
}

static int check_range(const struct declare_type *type, const json_t *value, int64_t n,
                       const struct declare_place *place, struct error *err)
{
    char min[32], max[32];

    if (n < type->min && type->max == INT64_MAX)
        return declare_refuse(place, value, err, "must be at least %s",
                              limit_text(type, type->min, min));
    if (n < type->min || n > type->max)
        return declare_refuse(place, value, err, "must be between %s and %s",
                              limit_text(type, type->min, min), limit_text(type, type->max, max));
    return 0;
}

static int check_integer(const struct declare_type *type, json_t *value,
                         const struct declare_place *place, json_t **ret_new, struct error *err)
{
    if (!json_is_integer(value))
        return declare_refuse(place, value, err, "must be a whole number");
    return check_range(type, value, json_integer_value(value), place, err);
}

static int check_number(const struct declare_type *type, json_t *value,
                        const struct declare_place *place, json_t **ret_new, struct error *err)
{
    return json_is_number(value) ? 0 : declare_refuse(place, value, err, "must be a number");
}

static int check_boolean(const struct declare_type *type, json_t *value,
                         const struct declare_place *place, json_t **ret_new, struct error *err)
{
    return json_is_boolean(value) ? 0 : declare_refuse(place, value, err, "must be true or false");
}

/* A number, or text with a unit that PARSE understands. */
static int check_quantity(const struct declare_type *type, json_t *value,
                          const struct declare_place *place, json_t **ret_new, struct error *err)
{
    bool bytes = type->kind == DECLARE_BYTES;
    const char *form = bytes ? "a size such as 512Mi or 1.5Gi, or a number of bytes"
                             : "a duration such as 90s, 15m or 2h, or a number of seconds";
    const char *s = json_string_value(value);
    long long n = json_integer_value(value);

    if (!s && !json_is_integer(value))
        return declare_refuse(place, value, err, "must be %s", form);
    if (s && (bytes ? str_to_bytes(s, &n) : str_to_seconds(s, &n)) < 0)
        return declare_refuse(place, value, err, "must be %s", form);
    int r = check_range(type, value, n, place, err);
    if (r == 0 && s)
        *ret_new = json_integer(n);
    return r;
}

static int check_time(const struct declare_type *type, json_t *value,
                      const struct declare_place *place, json_t **ret_new, struct error *err)
{
    int64_t us;

    if (!json_is_string(value) || time_parse(json_string_value(value), &us) < 0)
        return declare_refuse(place, value, err, "must be a time such as 2026-01-31T12:00:00Z");
    return 0;
}

static int check_id(const struct declare_type *type, json_t *value,
                    const struct declare_place *place, json_t **ret_new, struct error *err)
{
    struct id id;

    if (!json_is_string(value) || id_parse(json_string_value(value), &id) < 0)
        return declare_refuse(place, value, err, "must be an id, 36 characters in lower case");
    return 0;
}

static int check_name(const struct declare_type *type, json_t *value,
                      const struct declare_place *place, json_t **ret_new, struct error *err)
{
    const char *s = json_string_value(value);

    if (!s)
        return refuse_not_string(value, place, err);
    if ((int64_t) json_string_length(value) > type->max)
        return declare_refuse(place, value, err, "is longer than %lld characters",
                              (long long) type->max);
    if (!name_is_valid(s))
        return declare_refuse(
            place, value, err,
            "must be a name: 1 to 63 of a-z, 0-9, '-', '.' and '_', first and last a "
            "letter or a digit, and not an id");
    return 0;
}

static int check_sha256(const struct declare_type *type, json_t *value,
                        const struct declare_place *place, json_t **ret_new, struct error *err)
{
    struct sha256 sum;

    if (!json_is_string(value) || sha256_parse(json_string_value(value), &sum) < 0)
        return declare_refuse(place, value, err,
                              "must be a SHA-256 digest, 64 hex digits in lower case");
    return 0;
}

static int check_command(const struct declare_type *type, json_t *value,
                         const struct declare_place *place, json_t **ret_new, struct error *err)
{
    enum { MOST_ARGUMENTS = 4096 };
    size_t n = json_array_size(value);

    if (json_is_string(value) && json_string_length(value) > 0) {
        *ret_new = json_pack("[s, s, O]", "/bin/sh", "-c", value);
        return 0;
    }
    if (!json_is_array(value) || n == 0)
        return declare_refuse(
            place, value, err,
            "must be a program and its arguments as a list, or a line for the shell");
    if (n > MOST_ARGUMENTS)
        return declare_refuse(place, NULL, err, "has %zu arguments; at most %d are taken", n,
                              MOST_ARGUMENTS);
    for (size_t i = 0; i < n; i++) {
        struct declare_place at = { .parent = place, .index = i };
        json_t *argument = json_array_get(value, i);
        if (!json_is_string(argument))
            return refuse_not_string(argument, &at, err);
        if (i == 0 && json_string_length(argument) == 0)
            return declare_refuse(&at, argument, err, "must name a program");
    }
    return 0;
}

static int check_any(const struct declare_type *type, json_t *value,
                     const struct declare_place *place, json_t **ret_new, struct error *err)
{
    return 0;
}

int declare_check_scalar(const struct declare_type *type, json_t *value,
                         const struct declare_place *place, json_t **ret_new, struct error *err)
{
    static const check_f checks[] = {
        [DECLARE_STRING] = check_string,   [DECLARE_INTEGER] = check_integer,
        [DECLARE_NUMBER] = check_number,   [DECLARE_BOOLEAN] = check_boolean,
        [DECLARE_BYTES] = check_quantity,  [DECLARE_SECONDS] = check_quantity,
        [DECLARE_TIME] = check_time,       [DECLARE_ID] = check_id,
        [DECLARE_NAME] = check_name,       [DECLARE_SHA256] = check_sha256,
        [DECLARE_COMMAND] = check_command, [DECLARE_ANY] = check_any,
    };

    return checks[type->kind](type, value, place, ret_new, err);
}
