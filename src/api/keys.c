/* keys.c - keys: made once, shown once */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"

#include <string.h>

struct made {
    struct id id;
    char text[KEY_TEXT_LEN + 1];
};

static void made_free(void *state)
{
    explicit_bzero(state, sizeof(struct made));
    free(state);
}

/* The answer has the key itself and so is never stored for an Idempotency-Key: a repetition finds the
 * name taken (409). */
static void key_made(void *userdata)
{
    struct call *call = userdata;
    const struct made *made = call->state;
    const struct key *const *keys;
    json_t *answer = NULL;
    size_t n;

    lifecycle_keys(call->api->options.lifecycle, &keys, &n);
    for (size_t i = 0; i < n && !answer; i++)
        if (id_equal(&keys[i]->id, &made->id))
            answer = with_tags(call, &keys[i]->id, key_to_json(keys[i]));
    if (!answer) {
        call_refuse(call, -ENOENT, "the key was deleted at once");
        return;
    }
    json_put_str(answer, "key", made->text);
    call_answer(call, 201, answer);
}

static void key_create(struct call *call)
{
    const char *project_name = json_get_str(call->body, "project", NULL);
    const char *expires = json_get_str(call->body, "expires", NULL);
    const struct project *project =
        project_name ? lifecycle_project(call->api->options.lifecycle, project_name) : NULL;
    struct made *made = xnew(struct made);
    struct error err = { 0 };
    int64_t expires_us = 0;

    call->state = made;
    call->free_state = made_free;
    if (project_name && !project) {
        call_refuse(call, -EINVAL, "project: there is no project '%s'", project_name);
        return;
    }
    if (expires)
        (void) time_parse(expires, &expires_us); /* checked before */
    struct new_key new = {
        .project = project ? project->id : id_none,
        .name = json_get_str(call->body, "name", ""),
        .role = key_role_parse(json_get_str(call->body, "role", "member")),
        .expires_us = expires_us,
        .tags = json_object_get(call->body, "tags"),
        .actor = call->actor,
    };
    int r = lifecycle_create_key(call->api->options.lifecycle, &new, made->text, key_made, call,
                                 &made->id, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void key_list(struct call *call)
{
    const struct key *const *keys;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_keys(call->api->options.lifecycle, &keys, &n);
    for (size_t i = 0; i < n; i++)
        add_tagged(call, array, &keys[i]->id, key_to_json(keys[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void key_deleted(void *userdata) { call_answer_empty(userdata); }

static void key_delete(struct call *call)
{
    struct error err = { 0 };
    int r = lifecycle_delete_key(call->api->options.lifecycle, call_param(call, "key"), call->actor,
                                 key_deleted, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void key_whoami(struct call *call)
{
    json_t *answer = json_object();
    char id[ID_TEXT_LEN + 1];

    json_put_str(answer, "actor", call->actor);
    json_put_str(answer, "role", key_role_name(call->role));
    if (!id_is_none(&call->key_project))
        json_put_str(answer, "project", id_format(&call->key_project, id));
    call_answer(call, 200, answer);
}

const struct api_route key_routes[] = {
    { "key.list", key_list },
    { "key.create", key_create },
    { "key.delete", key_delete },
    { "key.whoami", key_whoami },
    { NULL, NULL },
};
