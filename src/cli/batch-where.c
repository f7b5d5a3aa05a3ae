/* batch-where.c - options of sbatch that choose machines, and how tasks lie on their cores */
#include "cli/batch-set.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 256 };

/* ---- names of machines --------------------------------------------------------------------------------- */

static int too_many(struct error *err)
{
    return error_set(err, -EINVAL, "names more than %d machines", NODES_MAX);
}

/* "01-04" or "7" at *P, up to ',' or ']': PREFIX with each number in as many digits, then what follows. */
static int add_range(json_t *list, const char *prefix, const char **p, const char *suffix,
                     struct error *err)
{
    char *end = NULL;
    unsigned long first = strtoul(*p, &end, 10), last = first;
    int digits = (int) (end - *p);

    if (!isdigit((unsigned char) **p) || digits > 9)
        return -EINVAL;
    if (*end == '-') {
        const char *second = end + 1;
        if (!isdigit((unsigned char) *second))
            return -EINVAL;
        last = strtoul(second, &end, 10);
        if (end - second > 9)
            return -EINVAL;
    }
    if ((*end != ',' && *end != ']') || last < first)
        return -EINVAL;
    for (unsigned long i = first; i <= last; i++) {
        if (json_array_size(list) == NODES_MAX)
            return too_many(err);
        _cleanup_free_ char *name = xasprintf("%s%0*lu%s", prefix, digits, i, suffix);
        (void) json_array_append_new(list, json_string(name));
    }
    *p = end;
    return 0;
}

/* "n[1-3,7]-ib" */
static int add_bracket(json_t *list, const char *item, struct error *err)
{
    const char *open = strchr(item, '['), *close = strchr(item, ']'), *p = open + 1;
    _cleanup_free_ char *prefix = xstrndup(item, (size_t) (open - item));

    if (!close || strchr(open + 1, '[') || strchr(close + 1, ']'))
        return -EINVAL;
    for (;; p++) {
        int r = add_range(list, prefix, &p, close + 1, err);
        if (r < 0 || *p == ']')
            return r;
    }
}

/* The length of the item at P: up to a comma outside of brackets. */
static size_t item_len(const char *p)
{
    size_t n = 0;

    for (bool inside = false; p[n] && (inside || p[n] != ','); n++)
        inside = p[n] == '[' || (inside && p[n] != ']');
    return n;
}

int batch_hosts_parse(const char *text, json_t *list, struct error *err)
{
    for (const char *p = text; *p;) {
        size_t n = item_len(p);
        _cleanup_free_ char *item = xstrndup(p, n);
        err->code = 0;
        int r = json_array_size(list) == NODES_MAX ? too_many(err)
                : strchr(item, '[')                ? add_bracket(list, item, err)
                                                   : json_array_append_new(list, json_string(item));
        if (r < 0 || n == 0)
            return err->code ? r : batch_wrong("names of machines such as n1,n[2-4]", err);
        p += n + (p[n] == ',');
    }
    return *text ? 0 : batch_wrong("names of machines such as n1,n[2-4]", err);
}

static int set_hosts(struct batch *b, const char *key, const char *value, struct error *err)
{
    json_t *list = json_array();

    json_put(b->request, key, list);
    if (strchr(value, '/'))
        return error_set(err, -EINVAL, "'%.60s' is a file: write the names of the machines here",
                         value);
    return batch_hosts_parse(value, list, err);
}

int batch_set_nodelist(struct batch *b, const struct batch_option *o, struct error *err)
{
    return set_hosts(b, "on_nodes", o->value, err);
}

int batch_set_exclude(struct batch *b, const struct batch_option *o, struct error *err)
{
    return set_hosts(b, "not_nodes", o->value, err);
}

/* ---- tags --------------------------------------------------------------------------------------------- */

/* "fast", "fast|slow", "(fast|slow)": N bytes at P. */
static int add_tag(json_t *list, const char *p, size_t n, struct error *err)
{
    if (n > 2 && *p == '(' && p[n - 1] == ')')
        p++, n -= 2;
    _cleanup_free_ char *item = xstrndup(p, n);
    if (n == 0 || strpbrk(item, "()[]*&,") || *item == '|' || item[n - 1] == '|' ||
        strstr(item, "||"))
        return batch_wrong("tags of machines with & between, of which one may be (A|B); counts "
                           "and [ ] are not known: name machines with --nodelist",
                           err);
    (void) json_array_append_new(list, json_string(item));
    return 0;
}

int batch_set_constraint(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_t *list = json_array();
    int r = 0;

    json_put(b->request, "node_tags", list);
    if (strchr(o->value, '|') && strchr(o->value, '&') && !strchr(o->value, '('))
        return error_set(err, -EINVAL, "with & and | there must be brackets, as A&(B|C)");
    for (const char *p = o->value; r == 0;) {
        size_t n = strcspn(p, "&,");
        r = add_tag(list, p, n, err);
        if (!p[n])
            break;
        p += n + 1;
    }
    return r;
}

int batch_set_exclusive(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_put(b->request, "exclusive", json_true());
    return 0;
}

/* ---- cores ----------------------------------------------------------------------------------------------- */

static void note_threads(struct batch *b, const struct batch_option *o)
{
    batch_note(
        b, o,
        "cores are given whole, with all their hardware threads; SLURM_CPUS_* count cores, so "
        "a program that starts as many threads uses one of each");
}

int batch_set_threads(struct batch *b, const struct batch_option *o, struct error *err)
{
    if (!str_equal(o->value, "1"))
        return error_set(err, -EINVAL, "cores are given whole: say with -c how many a task needs");
    note_threads(b, o);
    return 0;
}

int batch_set_hint(struct batch *b, const struct batch_option *o, struct error *err)
{
    if (str_equal(o->value, "nomultithread") || str_equal(o->value, "compute_bound"))
        note_threads(b, o);
    else if (!str_equal(o->value, "multithread"))
        return batch_wrong("multithread, nomultithread or compute_bound: cores of sockets cannot "
                           "be left idle here, but with --exclusive a machine is the job's alone",
                           err);
    return 0;
}

/* Tasks lie side by side on the machines, as `block` says. */
int batch_set_distribution(struct batch *b, const struct batch_option *o, struct error *err)
{
    for (const char *p = o->value; *p;) {
        size_t n = strcspn(p, ":,");
        bool is_kept = (n == 5 && strncasecmp(p, "block", n) == 0) || (n == 1 && *p == '*') ||
                       (n == 6 && strncasecmp(p, "nopack", n) == 0) ||
                       (n == 4 && strncasecmp(p, "pack", n) == 0);
        if (!is_kept)
            return batch_wrong("block: ranks lie side by side on the machines; leave it out, or "
                               "give mpirun its --map-by",
                               err);
        p += n + (p[n] != '\0');
    }
    return 0;
}
