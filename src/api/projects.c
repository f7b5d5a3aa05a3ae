/* projects.c - orgs and projects */
#include "api/internal.h"

#include "base/alloc.h"

#include <errno.h>

static const struct project *find(const struct call *call, const struct id *id)
{
    char text[ID_TEXT_LEN + 1];

    return lifecycle_project(call->api->options.lifecycle, id_format(id, text));
}

static struct new_tenant new_tenant(const struct call *call)
{
    return (struct new_tenant){ .name = json_get_str(call->body, "name", ""),
                                .org = json_get_str(call->body, "org", NULL),
                                .tags = json_object_get(call->body, "tags"),
                                .actor = call->actor };
}

struct created {
    struct id id;
};

static void project_made(void *userdata)
{
    struct call *call = userdata;
    const struct created *created = call->state;

    call_answer_once(call, 201,
                     with_tags(call, &created->id, project_to_json(find(call, &created->id))));
}

static void project_create(struct call *call)
{
    struct created *created = xnew(struct created);
    struct error err = { 0 };

    call->state = created;
    call->free_state = free;
    const struct new_tenant new = new_tenant(call);
    int r = lifecycle_create_project(call->api->options.lifecycle, &new, project_made, call,
                                     &created->id, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void project_list(struct call *call)
{
    const struct project *const *projects;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_projects(call->api->options.lifecycle, &projects, &n);
    for (size_t i = 0; i < n; i++)
        if (call_sees(call, &projects[i]->id))
            add_tagged(call, array, &projects[i]->id, project_to_json(projects[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void project_show(struct call *call)
{
    call_answer(call, 200,
                with_tags(call, &call->project, project_to_json(find(call, &call->project))));
}

static void project_changed(void *userdata) { project_show(userdata); }

/* 0: as it is; null: as it was at first. */
static unsigned new_weight(const struct call *call)
{
    const json_t *weight = json_object_get(call->body, "weight");

    return json_is_null(weight) ? 1 : (unsigned) json_get_int(call->body, "weight", 0);
}

/* Whose jobs run on the cluster as which account is for those to say who run it. */
static void project_update(struct call *call)
{
    const char *account = json_get_str(call->body, "account", NULL);
    const struct project_change change = { .project = call->project,
                                           .tags = json_object_get(call->body, "tags"),
                                           .account = account,
                                           .weight = new_weight(call),
                                           .actor = call->actor };
    struct error err = { 0 };

    if (account && !id_is_none(&call->key_project)) {
        call_refuse(call, -EPERM, "account: a key of one project may not name it");
        return;
    }
    if (change.weight && !id_is_none(&call->key_project)) {
        call_refuse(call, -EPERM, "weight: a key of one project may not set it");
        return;
    }
    int r = lifecycle_update_project(call->api->options.lifecycle, &change, project_changed, call,
                                     &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void org_list(struct call *call)
{
    const struct org *const *orgs;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_orgs(call->api->options.lifecycle, &orgs, &n);
    for (size_t i = 0; i < n; i++)
        add_tagged(call, array, &orgs[i]->id, org_to_json(orgs[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

/* NULL: there is none of that name or id. */
static const struct org *find_org(const struct call *call, const char *name)
{
    const struct org *const *orgs;
    char id[ID_TEXT_LEN + 1];
    size_t n;

    lifecycle_orgs(call->api->options.lifecycle, &orgs, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(name, orgs[i]->name) || str_equal(name, id_format(&orgs[i]->id, id)))
            return orgs[i];
    return NULL;
}

static json_t *org_json(const struct call *call)
{
    const struct created *created = call->state;
    char id[ID_TEXT_LEN + 1];

    return with_tags(call, &created->id, org_to_json(find_org(call, id_format(&created->id, id))));
}

static void org_made(void *userdata) { call_answer_once(userdata, 201, org_json(userdata)); }

static void org_changed(void *userdata) { call_answer(userdata, 200, org_json(userdata)); }

static void org_update(struct call *call)
{
    const struct org *org = find_org(call, call_param(call, "org"));
    struct created *changes = xnew(struct created);
    struct error err = { 0 };

    call->state = changes;
    call->free_state = free;
    if (!org) {
        call_refuse(call, -ENOENT, "there is no org '%s'", call_param(call, "org"));
        return;
    }
    changes->id = org->id;
    const struct org_change change = { .org = org->id,
                                       .tags = json_object_get(call->body, "tags"),
                                       .weight = new_weight(call),
                                       .actor = call->actor };
    int r = lifecycle_update_org(call->api->options.lifecycle, &change, org_changed, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void org_create(struct call *call)
{
    struct created *created = xnew(struct created);
    struct error err = { 0 };

    call->state = created;
    call->free_state = free;
    const struct new_tenant new = new_tenant(call);
    int r = lifecycle_create_org(call->api->options.lifecycle, &new, org_made, call, &created->id,
                                 &err);
    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route project_routes[] = {
    { "org.list", org_list },
    { "org.create", org_create },
    { "org.update", org_update },
    { "project.list", project_list },
    { "project.create", project_create },
    { "project.update", project_update },
    { "project.show", project_show },
    { NULL, NULL },
};
