/* shares.c - what orgs and projects have had under the policy `fair`, kept from one server to the next */
#include "lifecycle/internal.h"

#include <errno.h>
#include <inttypes.h>

/* ---- out -------------------------------------------------------------------------------------------------- */

static void put_used(const struct lifecycle *lc, json_t *list, const struct id *org,
                     const struct id *project, int64_t now_us)
{
    int64_t used = planner_used(lc->planner, org, project, now_us);
    json_t *one = json_object();
    char text[ID_TEXT_LEN + 1];

    if (project)
        json_put_str(one, "project", id_format(project, text));
    else
        json_put_str(one, "org", id_format(org, text));
    json_put_int(one, "used", used);
    (void) json_array_append_new(list, one);
}

json_t *lifecycle_shares(struct lifecycle *lc)
{
    json_t *json = json_object(), *list = json_array();
    int64_t now_us = plan_now(lc);

    vec_foreach(&lc->orgs, org)
        put_used(lc, list, &(*org)->id, NULL, now_us);
    vec_foreach(&lc->projects, project)
        put_used(lc, list, &(*project)->org, &(*project)->id, now_us);
    json_put_int(json, "at_us", now_us);
    json_put(json, "used", list);
    return json;
}

/* ---- in --------------------------------------------------------------------------------------------------- */

static int read_had(const json_t *json, size_t i, struct had *ret, struct error *err)
{
    const char *org = json_get_str(json, "org", NULL);
    const char *project = json_get_str(json, "project", NULL);
    const char *id = project ? project : org;

    *ret = (struct had){ .is_project = project != NULL, .used = json_get_int(json, "used", -1) };
    if (!id || (org && project))
        return error_set(err, -EINVAL,
                         "used[%zu]: must be {\"org\" or \"project\": ID, \"used\": NUMBER}", i);
    if (id_parse(id, &ret->id) < 0)
        return error_set(err, -EINVAL, "used[%zu].%s: '%.60s' must be an id", i,
                         project ? "project" : "org", id);
    if (ret->used < 0 || ret->used > SHARE_USED_MAX)
        return error_set(err, -EINVAL, "used[%zu].used: must be a whole number from 0 to %" PRId64,
                         i, SHARE_USED_MAX);
    return 0;
}

int had_list_read(const json_t *json, struct had_list *ret, struct error *err)
{
    const json_t *list = json_object_get(json, "used");
    int r = 0;

    *ret = (struct had_list){ .at_us = json_get_int(json, "at_us", -1) };
    if (ret->at_us < 0)
        return error_set(err, -EINVAL, "at_us: must be a time, in microseconds since 1970");
    if (!json_is_array(list))
        return error_set(err, -EINVAL, "used: must be a list");
    for (size_t i = 0; i < json_array_size(list) && r >= 0; i++) {
        struct had had;
        r = read_had(json_array_get(list, i), i, &had, err);
        if (r >= 0)
            vec_push(&ret->list, had);
    }
    if (r < 0)
        vec_done(&ret->list);
    return r;
}

/* Who is gone since is passed over. */
static void recall(struct lifecycle *lc, const struct had *had, int64_t at_us)
{
    const struct project *project = had->is_project ? project_get(lc, &had->id) : NULL;

    if (project)
        planner_set_used(lc->planner, &project->org, &had->id, had->used, at_us);
    vec_foreach(&lc->orgs, org)
        if (!had->is_project && id_equal(&(*org)->id, &had->id))
            planner_set_used(lc->planner, &had->id, NULL, had->used, at_us);
}

int lifecycle_recall_shares(struct lifecycle *lc, const json_t *json, struct error *err)
{
    struct had_list had;
    int r = had_list_read(json, &had, err);

    if (r < 0)
        return r;
    vec_foreach(&had.list, one)
        recall(lc, one, had.at_us);
    vec_done(&had.list);
    return 0;
}
