/* array.c - job arrays: their indexes, and the names of their jobs */
#include "workload/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 10000, INDEX_MAX = 4000000, TEXT_MAX = 4096 };

/* Digits at *P, at most INDEX_MAX. */
static int read_number(const char **p, unsigned *ret)
{
    unsigned long n = 0;
    const char *s = *p;

    while (*s >= '0' && *s <= '9' && n <= INDEX_MAX)
        n = n * 10 + (unsigned long) (*s++ - '0');
    if (s == *p || n > INDEX_MAX)
        return -EINVAL;
    *p = s;
    *ret = (unsigned) n;
    return 0;
}

static int add_range(struct array_indexes *indexes, unsigned first, unsigned last, unsigned step,
                     struct error *err)
{
    if (last < first)
        return error_set(err, -EINVAL, "the range %u-%u runs backwards", first, last);
    size_t n = (last - first) / step + 1;
    if (indexes->n + n > COUNT_MAX)
        return error_set(err, -EINVAL, "has more than %d indexes", COUNT_MAX);
    indexes->list = xrealloc(indexes->list, (indexes->n + n) * sizeof *indexes->list);
    for (size_t i = 0; i < n; i++)
        indexes->list[indexes->n++] = first + (unsigned) i * step;
    return 0;
}

/* "3", "0-9" or "0-9:3" at *P. */
static int read_range(struct array_indexes *indexes, const char **p, struct error *err)
{
    unsigned first = 0, last = 0, step = 1;
    int r = read_number(p, &first);

    last = first;
    if (r >= 0 && **p == '-') {
        (*p)++;
        r = read_number(p, &last);
        if (r >= 0 && **p == ':') {
            (*p)++;
            r = read_number(p, &step);
        }
    }
    if (r < 0 || step == 0 || (**p && **p != ',' && **p != '%'))
        return error_set(err, -EINVAL,
                         "'%.40s' must be indexes from 0 to %d, such as 0-99, 1,3,5 or 0-15:4, "
                         "with %%N to run N at a time",
                         *p, INDEX_MAX);
    indexes->step = step;
    return add_range(indexes, first, last, step, err);
}

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *) a, y = *(const unsigned *) b;

    return x < y ? -1 : x > y;
}

static void sort(struct array_indexes *indexes)
{
    size_t n = 0;

    qsort(indexes->list, indexes->n, sizeof *indexes->list, compare);
    for (size_t i = 0; i < indexes->n; i++)
        if (n == 0 || indexes->list[i] != indexes->list[n - 1])
            indexes->list[n++] = indexes->list[i];
    indexes->n = n;
}

int array_indexes_parse(const char *text, struct array_indexes *ret, struct error *err)
{
    unsigned n_ranges = 0;
    const char *p = text;

    *ret = (struct array_indexes){ .step = 1 };
    if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
        return error_set(err, -EINVAL, "is longer than %d characters", TEXT_MAX);
    do {
        if (n_ranges++ > 0)
            p++;
        int r = read_range(ret, &p, err);
        if (r < 0)
            return r;
    } while (*p == ',');
    if (*p == '%') {
        p++;
        if (read_number(&p, &ret->limit) < 0 || ret->limit == 0 || *p)
            return error_set(err, -EINVAL, "after %% there must be how many may run at once");
    }
    if (n_ranges > 1)
        ret->step = 1;
    sort(ret);
    return 0;
}

void array_indexes_done(struct array_indexes *indexes)
{
    free(indexes->list);
    *indexes = (struct array_indexes){ 0 };
}

struct array_place *array_place_copy(const struct array_place *place)
{
    struct array_place *copy = xnew(struct array_place);

    *copy = *place;
    copy->indexes = xstrdup(place->indexes);
    return copy;
}

void array_place_free(struct array_place *place)
{
    if (!place)
        return;
    free(place->indexes);
    free(place);
}

/* ---- its jobs -------------------------------------------------------------------------------------- */

bool workload_in_array(const struct workload *w)
{
    return w->spec && w->spec->array && !id_is_none(&w->spec->array->id);
}

bool workload_heads_array(const struct workload *w)
{
    return workload_in_array(w) && id_equal(&w->spec->array->id, &w->id);
}

char *workload_array_name(const struct workload *w)
{
    char end[16];
    int n = workload_in_array(w) ? snprintf(end, sizeof end, "_%u", w->spec->array->index) : 0;
    size_t len = strlen(w->name);

    if (n > 0 && len > (size_t) n && str_equal(w->name + len - n, end))
        len -= (size_t) n;
    return xstrndup(w->name, len);
}

char *workload_listed_name(const struct workload *w)
{
    return workload_heads_array(w) ? workload_array_name(w) : xstrdup(w->name);
}

bool workload_means_array(const struct workload *w, const char *text)
{
    if (!workload_heads_array(w))
        return false;
    _cleanup_free_ char *name = workload_array_name(w);
    return str_equal(text, name) || !strchr(text, '_');
}

char *array_text_split(const char *text, unsigned *ret_index)
{
    const char *end = strrchr(text, '_'), *p = end ? end + 1 : NULL;

    /* One text for one number. */
    if (!end || end == text || (p[0] == '0' && p[1]) || read_number(&p, ret_index) < 0 || *p)
        return NULL;
    return xstrndup(text, (size_t) (end - text));
}

char *workload_array_text(const struct workload *w)
{
    static const enum workload_state order[] = {
        WORKLOAD_RUNNING,   WORKLOAD_STARTING, WORKLOAD_STOPPING, WORKLOAD_QUEUED,
        WORKLOAD_SUCCEEDED, WORKLOAD_FAILED,   WORKLOAD_STOPPED,
    };
    struct text t = { 0 };

    text_addf(&t, "of %u jobs", w->spec->array->count);
    for (size_t i = 0, n = 0; i < sizeof order / sizeof *order; i++) {
        unsigned count = w->array_states ? w->array_states[order[i]] : 0;
        if (count)
            text_addf(&t, "%s %u %s", n++ ? "," : "", count, workload_state_name(order[i]));
    }
    return text_take(&t);
}

enum workload_state array_state(const unsigned states[static WORKLOAD_STATE_MAX])
{
    static const enum workload_state order[] = {
        WORKLOAD_RUNNING,   WORKLOAD_STARTING, WORKLOAD_STOPPING, WORKLOAD_QUEUED,
        WORKLOAD_SUBMITTED, WORKLOAD_FAILED,   WORKLOAD_STOPPED,
    };

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (states[order[i]])
            return order[i];
    return WORKLOAD_SUCCEEDED;
}
