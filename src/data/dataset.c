/* dataset.c - datasets as values: JSON there and back, and the references that people type */
#include "data/dataset.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

static void version_done(struct dataset_version *v)
{
    free(v->message);
    free(v->actor);
    free(v->job_name);
    json_decref(v->tags);
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    vec_foreach(&d->versions, v)
        version_done(v);
    vec_done(&d->versions);
    free(d->name);
    json_decref(d->tags);
    free(d);
}

const struct dataset_version *dataset_newest(const struct dataset *d)
{
    return d->versions.len ? &d->versions.items[d->versions.len - 1] : NULL;
}

const struct dataset_version *dataset_version(const struct dataset *d, unsigned number)
{
    size_t low = 0, high = d->versions.len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->versions.items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->versions.len && d->versions.items[low].number == number
               ? &d->versions.items[low]
               : NULL;
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static json_t *copy_tags(const json_t *json)
{
    const json_t *tags = json_object_get(json, "tags");

    return json_is_object(tags) ? json_deep_copy(tags) : json_object();
}

json_t *dataset_to_json(const struct dataset *d)
{
    char id[ID_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "name", d->name);
    json_put_str(json, "id", id_format(&d->id, id));
    json_put_str(json, "project", id_format(&d->project, id));
    json_put(json, "tags", json_deep_copy(d->tags));
    json_put_time(json, "created", d->created_us);
    json_put_time(json, "updated", d->updated_us);
    json_put_int(json, "changes", (int64_t) d->changes);
    json_put_int(json, "last", d->last);
    return json;
}

int dataset_from_json(const json_t *json, struct dataset **ret, struct error *err)
{
    _cleanup_(dataset_freep) struct dataset *d = xnew(struct dataset);

    d->name = xstrdup(json_get_str(json, "name", ""));
    d->tags = copy_tags(json);
    d->changes = (uint64_t) json_get_int(json, "changes", 0);
    d->last = (unsigned) json_get_int(json, "last", 0);
    if (id_parse(json_get_str(json, "id", ""), &d->id) < 0 ||
        id_parse(json_get_str(json, "project", ""), &d->project) < 0 ||
        time_parse(json_get_str(json, "created", ""), &d->created_us) < 0 ||
        time_parse(json_get_str(json, "updated", ""), &d->updated_us) < 0)
        return error_set(err, -EINVAL, "dataset '%.60s': an id or a time is malformed", d->name);
    *ret = take_ptr(d);
    return 0;
}

json_t *dataset_version_to_json(const struct dataset_version *v)
{
    char id[ID_TEXT_LEN + 1], hex[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_int(json, "number", v->number);
    json_put_str(json, "manifest", sha256_format(&v->manifest, hex));
    json_put_int(json, "files", v->files);
    json_put_int(json, "size", v->size_bytes);
    json_put_time(json, "created", v->created_us);
    json_put_str(json, "actor", v->actor);
    json_put_str(json, "message", v->message);
    json_put(json, "tags", json_deep_copy(v->tags));
    if (!id_is_none(&v->job))
        json_put_str(json, "job", id_format(&v->job, id));
    json_put_str(json, "job_name", v->job_name);
    return json;
}

static int read_version(const json_t *json, struct dataset_version *v, struct error *err)
{
    const char *job = json_get_str(json, "job", NULL);
    int64_t number = json_get_int(json, "number", 0);

    v->number = (unsigned) number;
    v->files = json_get_int(json, "files", 0);
    v->size_bytes = json_get_int(json, "size", 0);
    if (number < 1 || number > UINT32_MAX || v->files < 0 || v->size_bytes < 0)
        return error_set(err, -EINVAL, "a version's number or size is out of range");
    if (sha256_parse(json_get_str(json, "manifest", ""), &v->manifest) < 0 ||
        (job && id_parse(job, &v->job) < 0))
        return error_set(err, -EINVAL, "version %u: a digest or an id is malformed", v->number);
    v->message = xstrdup(json_get_str(json, "message", NULL));
    v->actor = xstrdup(json_get_str(json, "actor", NULL));
    v->job_name = xstrdup(json_get_str(json, "job_name", NULL));
    v->tags = copy_tags(json);
    return 0;
}

int dataset_add_version(struct dataset *d, const json_t *json, struct error *err)
{
    const struct dataset_version *newest = dataset_newest(d);
    unsigned taken = newest ? newest->number : 0;
    struct dataset_version v = { 0 };
    int r = read_version(json, &v, err);

    if (r < 0)
        return r;
    if (time_parse(json_get_str(json, "created", ""), &v.created_us) < 0 || taken >= v.number) {
        version_done(&v);
        return error_set(err, -EINVAL, "version %u: its time is malformed or its number taken",
                         v.number);
    }
    /* A vector without items has no capacity: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    vec_push(&d->versions, v);
    if (v.number > d->last)
        d->last = v.number;
    return 0;
}

/* ---- references ------------------------------------------------------------------------------------ */

static int refuse(const char *text, struct error *err)
{
    return error_set(err, -EINVAL,
                     "'%.100s' is not a dataset: write NAME, NAME@VERSION or NAME@sha256:DIGEST "
                     "with 8 to 64 digits",
                     text);
}

int dataset_ref_parse(const char *text, struct dataset_ref *ret, struct error *err)
{
    enum { DIGITS_MIN = 8 };
    struct dataset_ref ref = { 0 };
    size_t len = strcspn(text, "@");
    const char *which = text[len] ? text + len + 1 : NULL;
    long long number;

    if (len == 0 || len >= sizeof ref.name)
        return refuse(text, err);
    memcpy(ref.name, text, len);
    if (!name_is_valid(ref.name))
        return refuse(text, err);
    if (which && str_starts(which, "sha256:")) {
        const char *hex = which + strlen("sha256:");
        size_t n = strlen(hex);
        if (n < DIGITS_MIN || n > SHA256_HEX_LEN || strspn(hex, "0123456789abcdef") != n)
            return refuse(text, err);
        memcpy(ref.digest, hex, n + 1);
    } else if (which) {
        if (str_to_i64(which, 1, UINT32_MAX, &number) < 0)
            return refuse(text, err);
        ref.number = (unsigned) number;
    }
    *ret = ref;
    return 0;
}

static int by_digest(const struct dataset *d, const char *digits,
                     const struct dataset_version **ret, struct error *err)
{
    const struct dataset_version *found = NULL;

    for (size_t i = d->versions.len; i-- > 0;) {
        const struct dataset_version *v = &d->versions.items[i];
        char hex[SHA256_HEX_LEN + 1];
        if (!str_starts(sha256_format(&v->manifest, hex), digits))
            continue;
        if (found && !sha256_equal(&found->manifest, &v->manifest))
            return error_set(err, -EEXIST, "several versions of dataset '%s' begin with %s",
                             d->name, digits);
        if (!found)
            found = v;
    }
    if (!found)
        return error_set(err, -ENOENT, "dataset '%s' has no version of digest %s", d->name, digits);
    *ret = found;
    return 0;
}

int dataset_resolve(const struct dataset *d, const struct dataset_ref *ref,
                    const struct dataset_version **ret, struct error *err)
{
    if (ref->digest[0])
        return by_digest(d, ref->digest, ret, err);

    const struct dataset_version *v =
        ref->number ? dataset_version(d, ref->number) : dataset_newest(d);
    if (!v && !ref->number)
        return error_set(err, -ENOENT, "dataset '%s' has no version", d->name);
    if (!v && ref->number <= d->last)
        return error_set(err, -ENOENT, "version %u of dataset '%s' was deleted", ref->number,
                         d->name);
    if (!v)
        return error_set(err, -ENOENT, "dataset '%s' has no version %u; the newest is %u", d->name,
                         ref->number, d->last);
    *ret = v;
    return 0;
}
