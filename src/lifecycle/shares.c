/* shares.c - what orgs, projects and users have had under the policy `fair`, kept from one server to the next */
#include "lifecycle/internal.h"

#include <errno.h>
#include <inttypes.h>

/* ---- out -------------------------------------------------------------------------------------------------- */

void lifecycle_shares(struct lifecycle *lc, struct had_list *ret)
{
    *ret = (struct had_list){ .at_us = plan_now(lc) };
    planner_shares(lc->planner, ret->at_us, &ret->list);
}

static void put_id(json_t *json, const char *key, const struct id *id)
{
    char text[ID_TEXT_LEN + 1];

    if (!id_is_none(id))
        json_put_str(json, key, id_format(id, text));
}

json_t *had_list_to_json(const struct had_list *had)
{
    json_t *json = json_object(), *list = json_array();

    vec_foreach(&had->list, one) {
        json_t *item = json_object();
        if (id_is_none(&one->project))
            put_id(item, "org", &one->org);
        put_id(item, "project", &one->project);
        put_id(item, "user", &one->user);
        json_put_int(item, "used", one->used);
        (void) json_array_append_new(list, item);
    }
    json_put_int(json, "at_us", had->at_us);
    json_put(json, "used", list);
    return json;
}

/* ---- in --------------------------------------------------------------------------------------------------- */

static int read_id(const json_t *json, size_t i, const char *key, struct id *ret, struct error *err)
{
    const char *text = json_get_str(json, key, NULL);

    if (text && id_parse(text, ret) < 0)
        return error_set(err, -EINVAL, "used[%zu].%s: '%.60s' must be an id", i, key, text);
    return 0;
}

static int read_had(const json_t *json, size_t i, struct planner_share *ret, struct error *err)
{
    const char *org = json_get_str(json, "org", NULL);
    const char *project = json_get_str(json, "project", NULL);
    const char *user = json_get_str(json, "user", NULL);

    *ret = (struct planner_share){ .used = json_get_int(json, "used", -1) };
    if (!org == !project || (org && user))
        return error_set(
            err, -EINVAL,
            "used[%zu]: must be {\"org\" or \"project\": ID, \"used\": NUMBER}, of a user "
            "of a project with \"user\": ID",
            i);
    int r = read_id(json, i, "org", &ret->org, err);
    if (r >= 0)
        r = read_id(json, i, "project", &ret->project, err);
    if (r >= 0)
        r = read_id(json, i, "user", &ret->user, err);
    if (r >= 0 && (ret->used < 0 || ret->used > SHARE_USED_MAX))
        r = error_set(err, -EINVAL, "used[%zu].used: must be a whole number from 0 to %" PRId64, i,
                      SHARE_USED_MAX);
    return r;
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
        struct planner_share had;
        r = read_had(json_array_get(list, i), i, &had, err);
        if (r >= 0)
            vec_push(&ret->list, had);
    }
    if (r < 0)
        vec_done(&ret->list);
    return r;
}

/* Who is gone since is passed over. */
static void recall(struct lifecycle *lc, struct planner_share *had, int64_t at_us)
{
    const struct project *project = project_get(lc, &had->project);
    bool is_known = project != NULL;

    if (project)
        had->org = project->org;
    vec_foreach(&lc->orgs, org)
        is_known |= id_is_none(&had->project) && id_equal(&(*org)->id, &had->org);
    if (is_known)
        planner_set_used(lc->planner, had, at_us);
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
