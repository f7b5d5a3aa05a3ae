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

/* Whose jobs run on the cluster as which account is for those to say who run it. */
static void project_update(struct call *call)
{
    const char *account = json_get_str(call->body, "account", NULL);
    const struct project_change change = { .project = call->project,
                                           .tags = json_object_get(call->body, "tags"),
                                           .account = account,
                                           .actor = call->actor };
    struct error err = { 0 };

    if (account && !id_is_none(&call->key_project)) {
        call_refuse(call, -EPERM, "account: a key of one project may not name it");
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

static void org_made(void *userdata)
{
    struct call *call = userdata;
    const struct created *created = call->state;
    const struct org *const *orgs;
    json_t *answer = NULL;
    size_t n;

    lifecycle_orgs(call->api->options.lifecycle, &orgs, &n);
    for (size_t i = 0; i < n && !answer; i++)
        if (id_equal(&orgs[i]->id, &created->id))
            answer = with_tags(call, &orgs[i]->id, org_to_json(orgs[i]));
    call_answer_once(call, 201, answer ? answer : json_object());
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
    { "project.list", project_list },
    { "project.create", project_create },
    { "project.update", project_update },
    { "project.show", project_show },
    { NULL, NULL },
};
