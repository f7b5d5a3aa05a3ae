/* secrets.c - values go in; only a supervisor gets them out (tasks.c) */
#include "api/internal.h"

#include "base/alloc.h"

#include <string.h>

static json_t *secret_named(const struct call *call, const char *name)
{
    const struct secret *const *secrets;
    size_t n;

    lifecycle_secrets(call->api->options.lifecycle, &call->project, &secrets, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(secrets[i]->name, name))
            return with_tags(call, &secrets[i]->id, secret_to_json(secrets[i]));
    return NULL;
}

static void secret_list(struct call *call)
{
    const struct secret *const *secrets;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_secrets(call->api->options.lifecycle, &call->project, &secrets, &n);
    for (size_t i = 0; i < n; i++)
        add_tagged(call, array, &secrets[i]->id, secret_to_json(secrets[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void secret_is_set(void *userdata)
{
    struct call *call = userdata;
    json_t *answer = secret_named(call, call_param(call, "secret"));

    if (answer)
        call_answer(call, 200, answer);
    else
        call_refuse(call, -ENOENT, "the secret was deleted at once");
}

static void secret_set(struct call *call)
{
    struct error err = { 0 };
    struct new_secret new = {
        .project = call->project,
        .name = call_param(call, "secret"),
        .value = json_get_str(call->body, "value", ""),
        .tags = json_object_get(call->body, "tags"),
        .actor = call->actor,
    };
    int r = lifecycle_set_secret(call->api->options.lifecycle, &new, secret_is_set, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void secret_deleted(void *userdata) { call_answer_empty(userdata); }

static void secret_delete(struct call *call)
{
    struct error err = { 0 };
    int r = lifecycle_delete_secret(call->api->options.lifecycle, &call->project,
                                    call_param(call, "secret"), call->actor, secret_deleted, call,
                                    &err);

    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route secret_routes[] = {
    { "secret.list", secret_list },
    { "secret.set", secret_set },
    { "secret.delete", secret_delete },
    { NULL, NULL },
};
