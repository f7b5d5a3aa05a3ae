/* tags.c - tags of what has no record of its own that they could be in: orgs, projects, keys, secrets, images
 * and machines. Those of jobs and datasets are in their records; the rules are the same.
 */
#include "lifecycle/internal.h"

#include <errno.h>
#include <string.h>

enum { TAGS_MAX = 64 };

static void free_tags(void *tags) { json_decref(tags); }

void tags_take(struct lifecycle *lc, struct store_state *state)
{
    lc->tags = map_new();
    vec_foreach(&state->tags, t)
        map_set(lc->tags, t->subject.bytes, sizeof t->subject.bytes, t->record);
    vec_done(&state->tags);
}

void tags_done(struct lifecycle *lc)
{
    if (lc->tags)
        map_free_with(lc->tags, free_tags);
}

int tags_check(const json_t *tags, struct error *err)
{
    const char *key;
    json_t *value;

    if (json_object_size(tags) > TAGS_MAX)
        return error_set(err, -EINVAL, "tags: there are %zu; %d are allowed",
                         json_object_size(tags), TAGS_MAX);
    json_object_foreach((json_t *) (uintptr_t) tags, key, value)
        if (!json_is_string(value))
            return error_set(err, -EINVAL, "tags.%s: must be text", key);
    return 0;
}

/* RFC 7396 on one level: tags have no depth. */
int tags_merge(const json_t *tags, const json_t *patch, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *merged = tags ? json_deep_copy(tags) : json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *) (uintptr_t) patch, key, value) {
        if (json_is_null(value))
            (void) json_object_del(merged, key);
        else if (json_is_string(value))
            (void) json_object_set(merged, key, value);
        else
            return error_set(err, -EINVAL, "tags.%s: must be text, or null to remove it", key);
    }
    int r = tags_check(merged, err);
    if (r >= 0)
        *ret = take_ptr(merged);
    return r;
}

const json_t *lifecycle_tags(struct lifecycle *lc, const struct id *subject)
{
    return map_get(lc->tags, subject->bytes, sizeof subject->bytes);
}

/* A machine is known by its name: its id is of this run of the server. */
struct id lifecycle_node_subject(struct lifecycle *lc, const struct node *node)
{
    struct sha256 sum;
    struct id id;

    lc->sources.hash(lc->sources.userdata, node->name, strlen(node->name), &sum);
    memcpy(id.bytes, sum.bytes, sizeof id.bytes);
    return id;
}

void tags_show(struct lifecycle *lc, struct node *node)
{
    struct id subject = lifecycle_node_subject(lc, node);

    json_decref(node->tags);
    node->tags =
        !lc->tags ? NULL : json_incref((json_t *) (uintptr_t) lifecycle_tags(lc, &subject));
}

/* Jobs choose machines by their tags: who waits is looked at again. */
static void show_again(struct lifecycle *lc, const struct id *subject)
{
    vec_foreach(&lc->nodes, use) {
        struct id id = lifecycle_node_subject(lc, use->node);
        if (!id_equal(&id, subject))
            continue;
        tags_show(lc, use->node);
        plan_node(lc, use);
        lc_want_pass(lc);
    }
}

void tags_put(struct commit *c, const struct id *subject, const json_t *tags)
{
    json_t *before =
        json_object_size(tags)
            ? map_set(c->lc->tags, subject->bytes, sizeof subject->bytes, json_deep_copy(tags))
            : map_remove(c->lc->tags, subject->bytes, sizeof subject->bytes);

    store_put_tags(c->batch, subject, tags);
    json_decref(before);
}

void tags_forget(struct commit *c, const struct id *subject)
{
    if (lifecycle_tags(c->lc, subject))
        tags_put(c, subject, NULL);
}

int lifecycle_tag(struct lifecycle *lc, const struct tagging *tagging, lifecycle_ok_f done,
                  void *userdata, struct error *err)
{
    json_t *merged = NULL;
    int r = tags_merge(lifecycle_tags(lc, &tagging->subject), tagging->tags, &merged, err);

    if (r < 0)
        return r;
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    json_t *data = json_object();
    c->ok = done;
    c->userdata = userdata;
    tags_put(c, &tagging->subject, merged);
    show_again(lc, &tagging->subject);
    json_put(data, "tags", merged);
    event->subject_kind = tagging->kind;
    event->subject = tagging->subject;
    event->project = tagging->project;
    event->type = tagging->event;
    commit_event(c, event, tagging->actor, data);
    store_add_event(c->batch, event);
    commit_send(c);
    return 0;
}
