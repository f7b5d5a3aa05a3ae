/* record-diff.c - two records field by field: what differs, by path */
#include "workload/internal.h"

#include "base/alloc.h"

/* "env.SEED", "datasets[0].version": every value that is neither object nor array, into OUT. */
static void flatten(const json_t *value, const char *path, json_t *out)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach((json_t *) (uintptr_t) value, key, item) {
            _cleanup_free_ char *below = xasprintf("%s%s%s", path, *path ? "." : "", key);
            flatten(item, below, out);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            _cleanup_free_ char *below = xasprintf("%s[%zu]", path, i);
            flatten(item, below, out);
        }
    } else if (value) {
        (void) json_object_set(out, path, (json_t *) (uintptr_t) value);
    }
}

static void add(json_t *items, const char *field, json_t *a, json_t *b)
{
    json_t *item = json_object();

    json_put_str(item, "field", field);
    json_put(item, "a", json_incref(a));
    json_put(item, "b", json_incref(b));
    (void) json_array_append_new(items, item);
}

json_t *record_diff(const json_t *a, const json_t *b)
{
    _cleanup_json_ json_t *x = json_object(), *y = json_object();
    json_t *items = json_array(), *value;
    const char *field;

    flatten(a, "", x);
    flatten(b, "", y);
    json_object_foreach(x, field, value) {
        json_t *other = json_object_get(y, field);
        if (!other || !json_equal(value, other))
            add(items, field, value, other);
    }
    json_object_foreach(y, field, value)
        if (!json_object_get(x, field))
            add(items, field, NULL, value);
    return items;
}
