/* spec-where.c - which machines will do for a job, and not before when it begins */
#include "workload/internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static int check_both(const struct machine_rules *m, struct error *err)
{
    for (char **name = m->names; name && *name; name++)
        for (char **other = m->without; other && *other; other++)
            if (str_equal(*name, *other))
                return error_set(err, -EINVAL, "not_nodes: %.63s is in on_nodes, too", *name);
    return 0;
}

/* "KEY", "KEY=VALUE", with '|' between. */
static int check_tags(const struct machine_rules *m, struct error *err)
{
    for (char **tag = m->tags; tag && *tag; tag++)
        for (const char *p = *tag;; p++) {
            size_t n = strcspn(p, "|");
            if (n == 0 || *p == '=')
                return error_set(err, -EINVAL,
                                 "node_tags: '%.60s' must be KEY or KEY=VALUE, several with '|'",
                                 *tag);
            p += n;
            if (!*p)
                break;
        }
    return 0;
}

static const char *const within_names[WITHIN_MAX] = { NULL, "site", "block", "leaf" };

const char *within_name(enum within within) { return within_names[within]; }

static int read_within(struct machine_rules *m, const json_t *json, struct error *err)
{
    const char *text = json_get_str(json, "within", NULL);

    if (!text)
        return 0;
    for (int i = WITHIN_SITE; i < WITHIN_MAX; i++)
        if (str_equal(text, within_names[i])) {
            m->within = (enum within) i;
            return 0;
        }
    return error_set(err, -EINVAL, "within: '%.40s' must be site, block or leaf", text);
}

int read_where(struct workload_spec *spec, const json_t *json, struct error *err)
{
    struct machine_rules *m = &spec->machines;
    int r = texts_read(json, "on_nodes", &m->names, err);

    if (r >= 0)
        r = texts_read(json, "not_nodes", &m->without, err);
    if (r >= 0)
        r = texts_read(json, "node_tags", &m->tags, err);
    if (r >= 0)
        r = read_time(json, "begin", &spec->begin_us, err);
    if (r >= 0)
        r = read_within(m, json, err);
    m->exclusive = json_get_bool(json, "exclusive", false);
    if (r >= 0)
        r = check_both(m, err);
    return r < 0 ? r : check_tags(m, err);
}

void put_where(json_t *json, const struct workload_spec *spec)
{
    const struct machine_rules *m = &spec->machines;

    if (m->names)
        json_put(json, "on_nodes", texts_to_json(m->names));
    if (m->without)
        json_put(json, "not_nodes", texts_to_json(m->without));
    if (m->tags)
        json_put(json, "node_tags", texts_to_json(m->tags));
    if (m->exclusive)
        json_put(json, "exclusive", json_true());
    json_put_str(json, "within", within_name(m->within));
    json_put_time(json, "begin", spec->begin_us);
}

void free_where(struct workload_spec *spec)
{
    texts_free(spec->machines.names);
    texts_free(spec->machines.without);
    texts_free(spec->machines.tags);
}
