/* datasets.c - list, show, tag and delete datasets and their versions */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* What is shown of it; V NULL: the newest. */
json_t *dataset_json(const struct dataset *d, const struct dataset_version *v)
{
    const struct dataset_version *newest = dataset_newest(d);
    json_t *json = dataset_to_json(d);

    json_put_int(json, "versions", (int64_t) d->versions.len);
    if (newest) {
        json_put_int(json, "size", newest->size_bytes);
        json_put_int(json, "files", newest->files);
    }
    if (v || newest)
        json_put(json, "version", dataset_version_to_json(v ? v : newest));
    return json;
}

int dataset_find(struct call *call, const char *text, const struct dataset **ret,
                 const struct dataset_version **ret_version, struct error *err)
{
    struct dataset_ref ref;
    int r = dataset_ref_parse(text, &ref, err);

    if (r < 0)
        return -ENOENT; /* what cannot be a name is not there */
    const struct dataset *d =
        lifecycle_dataset(call->api->options.lifecycle, &call->project, ref.name);
    if (!d)
        return error_set(err, -ENOENT, "there is no dataset '%s'", ref.name);
    *ret = d;
    *ret_version = NULL;
    if (!ref.number && !ref.digest[0])
        return 0;
    return dataset_resolve(d, &ref, ret_version, err);
}

const struct dataset *dataset_of_path(struct call *call, const struct dataset_version **ret_version)
{
    const struct dataset *d = NULL;
    struct error err = { 0 };
    int r = dataset_find(call, call_param(call, "dataset"), &d, ret_version, &err);

    if (r >= 0)
        return d;
    call_fail(call, r, &err);
    return NULL;
}

/* ---- lists ------------------------------------------------------------------------------------------- */

static bool name_fits(const char *name, const char *pattern)
{
    size_t n = pattern ? strlen(pattern) : 0;

    if (!n)
        return true;
    return pattern[n - 1] == '*' ? strncmp(name, pattern, n - 1) == 0 : str_equal(name, pattern);
}

static void dataset_list(struct call *call)
{
    const char *name = json_get_str(call->query, "name", NULL);
    const char *cursor = json_get_str(call->query, "cursor", "");
    size_t limit = (size_t) json_get_int(call->query, "limit", 100), n;
    const struct dataset *const *all;
    json_t *answer = json_object(), *items = json_array();

    lifecycle_datasets(call->api->options.lifecycle, &call->project, &all, &n);
    const char *last = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct dataset *d = all[i];
        if (strcmp(d->name, cursor) <= 0 || !name_fits(d->name, name) || !tags_fit(call, d->tags))
            continue;
        if (json_array_size(items) == limit) {
            json_put_str(answer, "next", last);
            break;
        }
        (void) json_array_append_new(items, dataset_json(d, NULL));
        last = d->name;
    }
    json_put(answer, "items", items);
    call_answer(call, 200, answer);
}

static void dataset_versions(struct call *call)
{
    long long before = 0;
    size_t limit = (size_t) json_get_int(call->query, "limit", 100);
    const struct dataset_version *one = NULL;
    const struct dataset *d = dataset_of_path(call, &one);

    if (!d)
        return;
    (void) str_to_i64(json_get_str(call->query, "cursor", "0"), 0, UINT32_MAX, &before);
    json_t *answer = json_object(), *items = json_array();
    char last[16] = "";
    for (size_t i = d->versions.len; i-- > 0;) {
        const struct dataset_version *v = &d->versions.items[i];
        if ((before && v->number >= before) || (one && v != one) || !tags_fit(call, v->tags))
            continue;
        if (json_array_size(items) == limit) {
            json_put_str(answer, "next", last);
            break;
        }
        (void) json_array_append_new(items, dataset_version_to_json(v));
        (void) snprintf(last, sizeof last, "%u", v->number);
    }
    json_put(answer, "items", items);
    call_answer(call, 200, answer);
}

/* ---- show -------------------------------------------------------------------------------------------- */

static void add_etag(struct call *call, const struct dataset *d)
{
    char tag[32];

    (void) snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long) d->changes);
    http_add_header(call->req, "ETag", tag);
}

static json_t *use_json(const struct dataset_use *use)
{
    char id[ID_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_int(json, "version", use->number);
    json_put_str(json, "role", use->role == DATASET_WROTE ? "wrote" : "read");
    json_put_str(json, "name", use->name);
    json_put_str(json, "state",
                 use->state == WORKLOAD_STATE_INVALID ? "deleted"
                                                      : workload_state_name(use->state));
    json_put_str(json, "job", id_format(&use->workload, id));
    return json;
}

static void uses_listed(void *userdata, int r, const struct dataset_use *items, size_t n,
                        const struct error *err)
{
    struct call *call = userdata;
    const struct dataset_version *v = NULL;

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    const struct dataset *d = dataset_of_path(call, &v); /* as it is now */
    if (!d)
        return;
    json_t *json = dataset_json(d, v), *jobs = json_array();
    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(jobs, use_json(&items[i]));
    json_put(json, "jobs", jobs);
    add_etag(call, d);
    call_answer(call, 200, json);
}

static void dataset_show(struct call *call)
{
    enum { USES_MAX = 1000 };
    const struct dataset_version *v = NULL;
    const struct dataset *d = dataset_of_path(call, &v);

    if (d)
        store_list_dataset_uses(call->api->options.store, &d->id, v ? v->number : 0, USES_MAX,
                                uses_listed, call);
}

/* ---- change ------------------------------------------------------------------------------------------ */

static void tagged(void *userdata, const struct dataset *d, const struct dataset_version *v)
{
    struct call *call = userdata;

    if (!d) {
        call_refuse(call, -ENOENT, "the dataset was deleted meanwhile");
        return;
    }
    add_etag(call, d);
    call_answer(call, 200, dataset_json(d, v));
}

static void dataset_update(struct call *call)
{
    const char *match = http_header_get(call->req, "If-Match");
    const struct dataset_version *v = NULL;
    const struct dataset *d = dataset_of_path(call, &v);
    struct error err = { 0 };
    char tag[32];

    if (!d)
        return;
    (void) snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long) d->changes);
    if (!match) {
        call_refuse(call, -ENODATA, "send the dataset's ETag as If-Match, or *");
        return;
    }
    if (!str_equal(match, "*") && !strstr(match, tag)) {
        call_refuse(call, -ESTALE, "the dataset is at %s", tag);
        return;
    }
    const struct dataset_change change = {
        .dataset = d,
        .number = v ? v->number : 0,
        .tags = json_object_get(call->body, "tags"),
        .actor = call->actor,
    };
    int r = lifecycle_tag_dataset(call->api->options.lifecycle, &change, tagged, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void deleted(void *userdata, const struct dataset *d, const struct dataset_version *v)
{
    call_answer_empty(userdata);
}

static void dataset_delete(struct call *call)
{
    const struct dataset_version *v = NULL;
    const struct dataset *d = dataset_of_path(call, &v);
    struct error err = { 0 };

    if (!d)
        return;
    const struct dataset_change change = { .dataset = d,
                                           .number = v ? v->number : 0,
                                           .actor = call->actor };
    int r = lifecycle_delete_dataset(call->api->options.lifecycle, &change, deleted, call, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route dataset_routes[] = {
    { "dataset.list", dataset_list },         { "dataset.show", dataset_show },
    { "dataset.versions", dataset_versions }, { "dataset.update", dataset_update },
    { "dataset.delete", dataset_delete },     { "upload.dataset", dataset_add },
    { "dataset.verify", dataset_verify },     { NULL, NULL },
};
