/* tags.c - tags of what has no page of its own, and the filter by tag that every list has */
#include "api/internal.h"

#include "base/alloc.h"

#include <string.h>

/* ---- filter ------------------------------------------------------------------------------------------ */

bool tags_fit(const struct call *call, const json_t *tags)
{
    const char *wanted = json_get_str(call->query, "tag", NULL);

    if (!wanted)
        return true;
    const char *equals = strchr(wanted, '=');
    _cleanup_free_ char *key =
        xstrndup(wanted, equals ? (size_t) (equals - wanted) : strlen(wanted));
    const char *value = json_get_str(tags, key, NULL);
    return value && (!equals || str_equal(value, equals + 1));
}

json_t *with_tags(const struct call *call, const struct id *subject, json_t *json)
{
    const json_t *tags = lifecycle_tags(call->api->options.lifecycle, subject);

    json_put(json, "tags", tags ? json_deep_copy(tags) : json_object());
    return json;
}

void add_tagged(const struct call *call, json_t *items, const struct id *subject, json_t *json)
{
    with_tags(call, subject, json);
    if (tags_fit(call, json_object_get(json, "tags")))
        (void) json_array_append_new(items, json);
    else
        json_decref(json);
}

/* ---- change ------------------------------------------------------------------------------------------ */

struct tag_change {
    struct call *call;
    struct id subject;
    json_t *json; /* of the subject, without its tags */
};

static void change_free(void *state)
{
    struct tag_change *change = state;

    json_decref(change->json);
    free(change);
}

static void changed(void *userdata)
{
    struct tag_change *change = userdata;

    call_answer(change->call, 200,
                with_tags(change->call, &change->subject, take_ptr(change->json)));
}

/* JSON is taken; NULL: it is not there. */
static void change_tags(struct call *call, const char *kind, const char *event,
                        const struct id *subject, json_t *json)
{
    struct tag_change *change = xnew(struct tag_change);
    struct error err = { 0 };
    const struct tagging tagging = {
        .kind = kind,
        .event = event,
        .subject = *subject,
        .project = call->project,
        .tags = json_object_get(call->body, "tags"),
        .actor = call->actor,
    };

    *change = (struct tag_change){ call, *subject, json };
    call->state = change;
    call->free_state = change_free;
    int r = lifecycle_tag(call->api->options.lifecycle, &tagging, changed, change, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static bool is_named(const char *wanted, const char *name, const struct id *id)
{
    char text[ID_TEXT_LEN + 1];

    return str_equal(wanted, name) || str_equal(wanted, id_format(id, text));
}

static void key_update(struct call *call)
{
    const char *name = call_param(call, "key");
    const struct key *const *keys;
    size_t n;

    lifecycle_keys(call->api->options.lifecycle, &keys, &n);
    for (size_t i = 0; i < n; i++)
        if (is_named(name, keys[i]->name, &keys[i]->id)) {
            change_tags(call, "key", "key.updated", &keys[i]->id, key_to_json(keys[i]));
            return;
        }
    call_refuse(call, -ENOENT, "there is no key '%s'", name);
}

static void secret_update(struct call *call)
{
    const char *name = call_param(call, "secret");
    const struct secret *const *secrets;
    size_t n;

    lifecycle_secrets(call->api->options.lifecycle, &call->project, &secrets, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(name, secrets[i]->name)) {
            change_tags(call, "secret", "secret.updated", &secrets[i]->id,
                        secret_to_json(secrets[i]));
            return;
        }
    call_refuse(call, -ENOENT, "there is no secret '%s'", name);
}

static void image_update(struct call *call)
{
    const char *name = call_param(call, "image");
    const struct image_record *image =
        lifecycle_image(call->api->options.lifecycle, &call->project, name);

    if (image)
        change_tags(call, "image", "image.updated", &image->id, image_record_show(image));
    else
        call_refuse(call, -ENOENT, "the project has no image '%.100s'", name);
}

static void booking_update(struct call *call)
{
    const char *name = call_param(call, "booking");
    const struct booking_record *booking =
        lifecycle_booking(call->api->options.lifecycle, &call->project, name);

    if (booking)
        change_tags(call, "booking", "booking.updated", &booking->id, booking_json(call, booking));
    else
        call_refuse(call, -ENOENT, "the project has no booking '%s' that has not ended", name);
}

static void node_update(struct call *call)
{
    const struct node *node = node_of_path(call);

    if (!node)
        return;
    struct id subject = lifecycle_node_subject(call->api->options.lifecycle, node);
    change_tags(call, "node", "node.updated", &subject, node_json(call, node));
}

const struct api_route tag_routes[] = {
    { "key.update", key_update },         { "secret.update", secret_update },
    { "image.update", image_update },     { "node.update", node_update },
    { "booking.update", booking_update }, { NULL, NULL },
};
