/* type.c - looking up declarations, and the words that refuse a value */
#include "declare/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct declare_type *declare_type(const char *name)
{
    for (size_t i = 0; i < declare_n_types; i++)
        if (strcmp(declare_types[i]->name, name) == 0)
            return declare_types[i];
    return NULL;
}

const struct declare_endpoint *declare_endpoint(const char *name)
{
    for (size_t i = 0; i < declare_n_endpoints; i++)
        if (strcmp(declare_endpoints[i].name, name) == 0)
            return &declare_endpoints[i];
    return NULL;
}

const struct declare_field *declare_field(const struct declare_type *object, const char *name)
{
    for (size_t i = 0; i < object->n_fields; i++)
        if (strcmp(object->fields[i].name, name) == 0)
            return &object->fields[i];
    return NULL;
}

static void add_path(struct text *t, const struct declare_place *place)
{
    if (!place || (!place->parent && !place->name))
        return;
    add_path(t, place->parent);
    if (place->name)
        text_addf(t, "%s%.60s", t->len ? "." : "", place->name);
    else
        text_addf(t, "[%zu]", place->index);
}

/* Enough of a value to recognise it. */
static void add_value(struct text *t, const json_t *value)
{
    enum { SHOWN = 40 };
    _cleanup_text_ struct text json = { 0 };

    if (json_is_object(value)) {
        text_add(t, "an object ");
    } else if (json_is_array(value)) {
        text_add(t, "a list ");
    } else if (value) {
        text_add_json(&json, value);
        size_t n = json.len <= SHOWN ? json.len : SHOWN;
        while (n > 0 && n < json.len && ((unsigned char) json.data[n] & 0xc0) == 0x80)
            n--;
        text_add_bytes(t, json.data, n);
        text_add(t, n < json.len ? "... " : " ");
    }
}

int declare_refuse(const struct declare_place *place, const json_t *value, struct error *err,
                   const char *fmt, ...)
{
    _cleanup_text_ struct text t = { 0 };
    va_list ap;

    add_path(&t, place);
    if (t.len)
        text_add(&t, ": ");
    add_value(&t, value);
    va_start(ap, fmt);
    text_addv(&t, fmt, ap);
    va_end(ap);
    return error_set(err, -EINVAL, "%s", t.data);
}

/* Changes that turn A into B: Levenshtein's distance, for words up to 31 characters. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 31 };
    size_t n = strlen(a), m = strlen(b), row[LONGEST + 1];

    if (n > LONGEST || m > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t less = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = change < less + 1 ? change : less + 1;
        }
    }
    return row[m];
}

int declare_refuse_unknown(const struct declare_place *place, const struct declare_type *object,
                           struct error *err)
{
    const char *nearest = NULL;
    size_t least = 3; /* further away it is no slip of the finger */

    for (size_t i = 0; i < object->n_fields; i++) {
        size_t d = distance(place->name, object->fields[i].name);
        if (d < least)
            least = d, nearest = object->fields[i].name;
    }
    if (nearest)
        return declare_refuse(place, NULL, err, "there is no such field; did you mean '%s'?",
                              nearest);

    _cleanup_text_ struct text known = { 0 };
    for (size_t i = 0; i < object->n_fields; i++)
        text_addf(&known, "%s%s", i ? ", " : "", object->fields[i].name);
    return declare_refuse(place, NULL, err, "there is no such field; known are %s",
                          known.len ? known.data : "none");
}
