/* dataset-apply.c - fold one event into a dataset: the only way it changes */
#include "data/dataset.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>

static const char *const names[DATASET_EVENT_MAX] = {
    [DATASET_CREATED] = "dataset.created", [DATASET_VERSION_ADDED] = "dataset.version_added",
    [DATASET_UPDATED] = "dataset.updated", [DATASET_VERSION_DELETED] = "dataset.version_deleted",
    [DATASET_DELETED] = "dataset.deleted",
};

const char *dataset_event_name(enum dataset_event type) { return names[type]; }

static enum dataset_event event_parse(const char *name)
{
    enum dataset_event type = 0;

    while (type < DATASET_EVENT_MAX && !str_equal(names[type], name))
        type++;
    return type;
}

static int fold_created(struct dataset **d, const struct event *event, struct error *err)
{
    const char *name = json_get_str(event->data, "name", "");

    if (*d || !name_is_valid(name))
        return error_set(err, -EPROTO, "a dataset is made once, with a name");
    *d = xnew(struct dataset);
    (*d)->id = event->subject;
    (*d)->project = event->project;
    (*d)->name = xstrdup(name);
    (*d)->tags = json_object();
    (*d)->created_us = event->time_us;
    return 0;
}

static int fold_added(struct dataset **d, const struct event *event, struct error *err)
{
    char time[TIME_TEXT_LEN + 1];

    if (json_get_int(event->data, "number", 0) != (int64_t) (*d)->last + 1)
        return error_set(err, -EPROTO, "the next version has number %u", (*d)->last + 1);
    _cleanup_json_ json_t *version = json_copy((json_t *) (uintptr_t) event->data);
    json_put_str(version, "created", time_format(event->time_us, time));
    json_put_str(version, "actor", event->actor);
    int r = dataset_add_version(*d, version, err);
    if (r < 0)
        return error_context(err, -EPROTO, "version");
    /* Who looks for what a push said about itself finds it at the dataset. */
    (void) json_object_update((*d)->tags, json_object_get(version, "tags"));
    return 0;
}

static struct dataset_version *version_of(struct dataset *d, const struct event *event)
{
    unsigned number = (unsigned) json_get_int(event->data, "number", 0);

    return (struct dataset_version *) (uintptr_t) dataset_version(d, number);
}

static int fold_updated(struct dataset **d, const struct event *event, struct error *err)
{
    const json_t *tags = json_object_get(event->data, "tags");
    struct dataset_version *v = version_of(*d, event);

    if (!json_is_object(tags) || (!v && json_object_get(event->data, "number")))
        return error_set(err, -EPROTO, "there is no such version, or no tags are given");
    json_t **at = v ? &v->tags : &(*d)->tags;
    json_decref(*at);
    *at = json_deep_copy(tags);
    return 0;
}

static int fold_version_deleted(struct dataset **d, const struct event *event, struct error *err)
{
    struct dataset_version *v = version_of(*d, event);

    if (!v)
        return error_set(err, -EPROTO, "there is no such version");
    free(v->message);
    free(v->actor);
    free(v->job_name);
    json_decref(v->tags);
    vec_remove(&(*d)->versions, (size_t) (v - (*d)->versions.items));
    return 0;
}

static int fold_deleted(struct dataset **d, const struct event *event, struct error *err)
{
    dataset_free(take_ptr(*d));
    return 0;
}

int dataset_apply(struct dataset **d, const struct event *event, struct error *err)
{
    static int (*const folds[DATASET_EVENT_MAX])(struct dataset **, const struct event *,
                                                 struct error *) = {
        [DATASET_CREATED] = fold_created, [DATASET_VERSION_ADDED] = fold_added,
        [DATASET_UPDATED] = fold_updated, [DATASET_VERSION_DELETED] = fold_version_deleted,
        [DATASET_DELETED] = fold_deleted,
    };
    enum dataset_event type = event_parse(event->type);

    if (type == DATASET_EVENT_MAX || event->version > 1)
        return error_set(err, -EPROTO, "'%s' of version %u is not known here", event->type,
                         event->version);
    if (!*d && type != DATASET_CREATED)
        return error_set(err, -EPROTO, "%s of a dataset that is not there", event->type);
    int r = folds[type](d, event, err);
    if (r < 0 || !*d)
        return r;
    (*d)->changes++;
    (*d)->updated_us = event->time_us;
    return 0;
}
