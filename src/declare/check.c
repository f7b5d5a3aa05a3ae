/* check.c - values against their declarations, from the outside in */
#include "declare/internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What stays the same through one check. */
struct check {
    bool patch;
    struct error *err;
};

static int check_value(const struct check *c, const struct declare_type *type, json_t *value,
                       const struct declare_place *place, json_t **ret_new);

static int check_member(const struct check *c, const struct declare_type *type, json_t *object,
                        const struct declare_place *place, json_t *value)
{
    const struct declare_field *field = declare_field(type, place->name);
    json_t *new = NULL;

    if (!field)
        return declare_refuse_unknown(place, type, c->err);
    if (json_is_null(value)) {
        if (!c->patch && !field->nullable)
            (void) json_object_del(object, field->name);
        return 0;
    }
    int r = check_value(c, field->type, value, place, &new);
    if (r == 0 && new)
        (void) json_object_set_new_nocheck(object, field->name, new);
    return r;
}

/* The value of a default: what the generator writes most, without a parser. */
static json_t *default_of(const struct declare_field *field)
{
    const char *text = field->otherwise;
    long long n;

    if (strcmp(text, "false") == 0)
        return json_false();
    if (str_to_i64(text, INT64_MIN, INT64_MAX, &n) == 0)
        return json_integer(n);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert(value); /* the generator wrote it */
    return value;
}

static int fill_in(const struct declare_type *type, json_t *object,
                   const struct declare_place *place, struct error *err)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct declare_field *field = &type->fields[i];
        struct declare_place at = { .parent = place, .name = field->name };
        if ((!field->required && !field->otherwise) || json_object_get(object, field->name))
            continue;
        if (!field->otherwise)
            return declare_refuse(&at, NULL, err, "is missing. %s", field->doc);
        (void) json_object_set_new_nocheck(object, field->name, default_of(field));
    }
    return 0;
}

static int check_exclusive(const struct declare_type *type, const json_t *object,
                           const struct declare_place *place, struct error *err)
{
    const char *first = NULL;

    for (const char *const *name = type->at_most_one; name && *name; name++) {
        if (!json_object_get(object, *name))
            continue;
        if (first) {
            struct declare_place at = { .parent = place, .name = *name };
            return declare_refuse(&at, NULL, err, "cannot be given together with '%s'", first);
        }
        first = *name;
    }
    return 0;
}

static int check_object(const struct check *c, const struct declare_type *type, json_t *object,
                        const struct declare_place *place)
{
    const char *key;
    json_t *value;
    void *next;

    if (!json_is_object(object))
        return declare_refuse(place, object, c->err, "must be an object with fields");
    json_object_foreach_safe(object, next, key, value)
    {
        struct declare_place at = { .parent = place, .name = key };
        int r = check_member(c, type, object, &at, value);
        if (r < 0)
            return r;
    }
    int r = check_exclusive(type, object, place, c->err);
    if (r < 0 || c->patch)
        return r;
    return fill_in(type, object, place, c->err);
}

static int check_count(const struct declare_type *type, size_t n, const char *what,
                       const struct declare_place *place, struct error *err)
{
    if ((int64_t) n > type->max)
        return declare_refuse(place, NULL, err, "has %zu %s; at most %lld are taken", n, what,
                              (long long) type->max);
    if ((int64_t) n < type->min)
        return declare_refuse(place, NULL, err, "has %zu %s; at least %lld are needed", n, what,
                              (long long) type->min);
    return 0;
}

static int check_array(const struct check *c, const struct declare_type *type, json_t *array,
                       const struct declare_place *place)
{
    if (!json_is_array(array))
        return declare_refuse(place, array, c->err, "must be a list");
    int r = check_count(type, json_array_size(array), "items", place, c->err);

    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        struct declare_place at = { .parent = place, .index = i };
        json_t *new = NULL;
        r = check_value(c, type->item, json_array_get(array, i), &at, &new);
        if (r == 0 && new)
            (void) json_array_set_new(array, i, new);
    }
    return r;
}

static int check_key(const struct declare_type *type, const char *key,
                     const struct declare_place *place, struct error *err)
{
    if (!type)
        return 0;

    _cleanup_json_ json_t *text = json_string_nocheck(key);
    json_t *unused = NULL;
    return declare_check_scalar(type, text, place, &unused, err);
}

static int check_map(const struct check *c, const struct declare_type *type, json_t *map,
                     const struct declare_place *place)
{
    const char *key;
    json_t *value;
    void *next;

    if (!json_is_object(map))
        return declare_refuse(place, map, c->err, "must be an object");
    int r = check_count(type, json_object_size(map), "entries", place, c->err);
    if (r < 0)
        return r;
    json_object_foreach_safe(map, next, key, value)
    {
        struct declare_place at = { .parent = place, .name = key };
        json_t *new = NULL;
        r = check_key(type->key, key, &at, c->err);
        if (r == 0 && !(c->patch && json_is_null(value)))
            r = check_value(c, type->item, value, &at, &new);
        if (r < 0)
            return r;
        if (new)
            (void) json_object_set_new_nocheck(map, key, new);
    }
    return 0;
}

/* Depth is bounded: declarations nest a few levels, and DECLARE_ANY is not entered. */
static int check_value(const struct check *c, const struct declare_type *type, json_t *value,
                       const struct declare_place *place, json_t **ret_new)
{
    switch ((int) type->kind) {
    case DECLARE_OBJECT:
        return check_object(c, type, value, place);
    case DECLARE_ARRAY:
        return check_array(c, type, value, place);
    case DECLARE_MAP:
        return check_map(c, type, value, place);
    default:
        return declare_check_scalar(type, value, place, ret_new, c->err);
    }
}

static int check_whole(const struct check *c, const struct declare_type *type, json_t *value)
{
    struct declare_place root = { 0 };
    json_t *new = NULL;
    int r = check_value(c, type, value, &root, &new);

    assert(!new); /* a whole is an object, an array or a map */
    return r;
}

int declare_check(const struct declare_type *type, json_t *value, struct error *err)
{
    return check_whole(&(struct check){ .err = err }, type, value);
}

int declare_check_patch(const struct declare_type *type, json_t *value, struct error *err)
{
    return check_whole(&(struct check){ .patch = true, .err = err }, type, value);
}
