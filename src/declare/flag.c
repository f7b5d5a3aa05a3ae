/* flag.c - the command line's flags, which stand for fields */
#include "declare/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Depth first, in the order of the declarations; COUNT flags are passed over. */
static bool nth_flag(const struct declare_type *type, size_t *count, struct declare_flag *flag)
{
    if (flag->depth == DECLARE_FLAG_DEPTH)
        return false;
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct declare_field *field = &type->fields[i];
        flag->path[flag->depth++] = field;
        if (field->flag && (*count)-- == 0)
            return true;
        if (field->type->kind == DECLARE_OBJECT && nth_flag(field->type, count, flag))
            return true;
        flag->depth--;
    }
    return false;
}

bool declare_next_flag(const struct declare_type *type, size_t *pos, struct declare_flag *ret)
{
    struct declare_flag flag = { 0 };
    size_t count = (*pos)++;

    if (!nth_flag(type, &count, &flag))
        return false;
    *ret = flag;
    return true;
}

bool declare_find_flag(const struct declare_type *type, const char *name, struct declare_flag *ret)
{
    struct declare_flag flag;

    for (size_t pos = 0; declare_next_flag(type, &pos, &flag);) {
        const struct declare_field *field = flag.path[flag.depth - 1];
        if (str_equal(field->flag, name) || str_equal(field->flag_letter, name)) {
            *ret = flag;
            return true;
        }
    }
    return false;
}

/* The object that holds the flag's field, made where it is missing. */
static json_t *holder_of(const struct declare_flag *flag, json_t *obj)
{
    for (unsigned i = 0; i + 1 < flag->depth; i++) {
        json_t *inner = json_object_get(obj, flag->path[i]->name);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_put(obj, flag->path[i]->name, inner);
        }
        obj = inner;
    }
    return obj;
}

int declare_set_flag(const struct declare_flag *flag, json_t *obj, const char *text,
                     struct error *err)
{
    assert(flag->depth > 0);
    const struct declare_field *field = flag->path[flag->depth - 1];
    _cleanup_json_ json_t *value = NULL;
    int r = text ? declare_value_of(field->type, text, &value, err) : 0;

    if (r < 0)
        return error_context(err, r, "--%s", field->flag);
    if (!text)
        value = json_true();

    json_t *holder = holder_of(flag, obj);
    json_t *there = json_object_get(holder, field->name);
    if (json_is_array(there) && json_is_array(value))
        (void) json_array_extend(there, value);
    else if (field->type->kind == DECLARE_MAP && json_is_object(there))
        (void) json_object_update(there, value);
    else
        json_put(holder, field->name, take_ptr(value));
    return 0;
}

static const char *form_of(const struct declare_type *type)
{
    switch (type->kind) {
    case DECLARE_BYTES:
        return "SIZE";
    case DECLARE_SECONDS:
        return "DURATION";
    case DECLARE_INTEGER:
    case DECLARE_NUMBER:
        return "N";
    case DECLARE_NAME:
        return "NAME";
    case DECLARE_ID:
        return "ID";
    case DECLARE_TIME:
        return "TIME";
    case DECLARE_SHA256:
        return "DIGEST";
    case DECLARE_MAP:
        return "KEY=VALUE";
    case DECLARE_BOOLEAN:
        return "";
    case DECLARE_STRING:
    case DECLARE_COMMAND:
    case DECLARE_OBJECT:
    case DECLARE_ARRAY:
    case DECLARE_ANY:
        break;
    }
    return "TEXT";
}

const char *declare_flag_operand(const struct declare_flag *flag)
{
    const struct declare_type *type = flag->path[flag->depth - 1]->type;
    const struct declare_type *item = type->kind == DECLARE_ARRAY ? type->item : type;

    return item->flag_operand ? item->flag_operand : form_of(item);
}
