/* value.c - text of queries, paths and flags as values; and the flags themselves */
#include "declare/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static int boolean_of(const char *text, json_t **ret, struct error *err)
{
    if (str_equal(text, "true") || str_equal(text, "1") || str_equal(text, "yes"))
        *ret = json_true();
    else if (str_equal(text, "false") || str_equal(text, "0") || str_equal(text, "no"))
        *ret = json_false();
    else
        return error_set(err, -EINVAL, "'%.60s' must be true or false", text);
    return 0;
}

static int integer_of(const char *text, json_t **ret, struct error *err)
{
    long long n;

    if (str_to_i64(text, LLONG_MIN, LLONG_MAX, &n) < 0)
        return error_set(err, -EINVAL, "'%.60s' must be a whole number", text);
    *ret = json_integer(n);
    return 0;
}

static int number_of(const char *text, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    if (json_parse(text, strlen(text), &json, NULL) < 0 || !json_is_number(json))
        return error_set(err, -EINVAL, "'%.60s' must be a number", text);
    *ret = take_ptr(json);
    return 0;
}

static int string_of(const char *text, json_t **ret, struct error *err)
{
    *ret = json_string(text); /* NULL unless UTF-8 */
    return *ret ? 0 : error_set(err, -EINVAL, "the text must be UTF-8");
}

static int array_of(const struct declare_type *type, const char *text, json_t **ret,
                    struct error *err)
{
    _cleanup_json_ json_t *array = json_array();
    bool whole = type->item->kind == DECLARE_OBJECT;

    for (const char *p = text; *p;) {
        size_t n = whole ? strlen(p) : strcspn(p, ",");
        _cleanup_free_ char *part = xstrndup(p, n);
        json_t *item = NULL;
        int r = declare_value_of(type->item, part, &item, err);
        if (r < 0)
            return r;
        (void) json_array_append_new(array, item);
        p += n + (p[n] == ',');
    }
    *ret = take_ptr(array);
    return 0;
}

static int map_of(const struct declare_type *type, const char *text, json_t **ret,
                  struct error *err)
{
    _cleanup_json_ json_t *map = json_object();
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return error_set(err, -EINVAL, "'%.60s' must have the form KEY=VALUE", text);

    _cleanup_free_ char *key = xstrndup(text, (size_t) (equals - text));
    json_t *value = NULL;
    int r = declare_value_of(type->item, equals + 1, &value, err);
    if (r < 0)
        return r;
    if (json_object_set_new(map, key, value) < 0)
        return error_set(err, -EINVAL, "the key must be UTF-8");
    *ret = take_ptr(map);
    return 0;
}

/* What --flag takes that stands for an object: its fields in order, parted by colons. */
static int object_of(const struct declare_type *type, const char *text, json_t **ret,
                     struct error *err)
{
    _cleanup_json_ json_t *object = json_object();
    const char *p = text;

    for (const char *const *name = type->flag_form; name && *name; name++) {
        const struct declare_field *field = declare_field(type, *name);
        if (!p && !field->required)
            continue;
        if (!p)
            return error_set(err, -EINVAL, "'%.60s' must have the form %s", text,
                             type->flag_operand ? type->flag_operand : "A:B");
        size_t n = name[1] ? strcspn(p, ":") : strlen(p);
        _cleanup_free_ char *part = xstrndup(p, n);
        json_t *value = NULL;
        int r = declare_value_of(field->type, part, &value, err);
        if (r < 0)
            return error_context(err, r, "%s", field->name);
        json_put(object, field->name, value);
        p = p[n] == ':' ? p + n + 1 : NULL;
    }
    *ret = take_ptr(object);
    return 0;
}

int declare_value_of(const struct declare_type *type, const char *text, json_t **ret,
                     struct error *err)
{
    switch (type->kind) {
    case DECLARE_BOOLEAN:
        return boolean_of(text, ret, err);
    case DECLARE_INTEGER:
        return integer_of(text, ret, err);
    case DECLARE_NUMBER:
        return number_of(text, ret, err);
    case DECLARE_ARRAY:
        return array_of(type, text, ret, err);
    case DECLARE_MAP:
        return map_of(type, text, ret, err);
    case DECLARE_OBJECT:
        return object_of(type, text, ret, err);
    case DECLARE_STRING:
    case DECLARE_BYTES:
    case DECLARE_SECONDS:
    case DECLARE_TIME:
    case DECLARE_ID:
    case DECLARE_NAME:
    case DECLARE_SHA256:
    case DECLARE_COMMAND:
    case DECLARE_ANY:
        break;
    }
    return string_of(text, ret, err);
}
