/* image-record.c - what a project knows of an image, as JSON and in words */
#include "data/image.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"

#include <errno.h>

enum { LAYERS_MAX = 512 };

static const char *const state_names[IMAGE_STATE_MAX] = {
    [IMAGE_PULLING] = "pulling",
    [IMAGE_READY] = "ready",
    [IMAGE_FAILED] = "failed",
};

const char *image_state_name(enum image_state state)
{
    return state < IMAGE_STATE_MAX ? state_names[state] : NULL;
}

void image_record_free(struct image_record *image)
{
    if (!image)
        return;
    free(image->name);
    free(image->source);
    free(image->layers);
    free(image->blobs);
    free(image->blob_sizes);
    json_decref(image->config);
    free(image->reason);
    free(image);
}

json_t *sha256_list_to_json(const struct sha256 *sums, size_t n)
{
    json_t *list = json_array();
    char hex[SHA256_HEX_LEN + 1];

    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(list, json_string(sha256_format(&sums[i], hex)));
    return list;
}

int sha256_list_from_json(const json_t *json, struct sha256 **ret, size_t *ret_n, struct error *err)
{
    size_t n = json_array_size(json);

    if (n > LAYERS_MAX)
        return error_set(err, -E2BIG, "%zu layers are too many; at most %d", n, LAYERS_MAX);
    _cleanup_free_ struct sha256 *sums = xnew_n(struct sha256, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *hex = json_string_value(json_array_get(json, i));
        if (!hex || sha256_parse(hex, &sums[i]) < 0)
            return error_set(err, -EBADMSG, "layers[%zu] is no digest", i);
    }
    *ret = take_ptr(sums);
    *ret_n = n;
    return 0;
}

void image_blobs_to_json(const struct sha256 *blobs, const int64_t *sizes, size_t n, json_t *json)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void) json_array_append_new(list, json_integer(sizes[i]));
    json_put(json, "blobs", sha256_list_to_json(blobs, n));
    json_put(json, "blob_sizes", list);
}

int image_blobs_from_json(const json_t *json, size_t n, struct sha256 **ret, int64_t **ret_sizes,
                          struct error *err)
{
    const json_t *sizes = json_object_get(json, "blob_sizes");
    _cleanup_free_ struct sha256 *blobs = NULL;
    size_t n_blobs = 0;

    *ret = NULL;
    *ret_sizes = NULL;
    if (!json_object_get(json, "blobs"))
        return 0;
    int r = sha256_list_from_json(json_object_get(json, "blobs"), &blobs, &n_blobs, err);
    if (r < 0)
        return r;
    if (n_blobs != n || json_array_size(sizes) != n)
        return error_set(err, -EBADMSG, "image: %zu layers, and %zu packed ones", n, n_blobs);
    *ret_sizes = xnew_n(int64_t, n + 1);
    for (size_t i = 0; i < n; i++)
        (*ret_sizes)[i] = json_integer_value(json_array_get(sizes, i));
    *ret = take_ptr(blobs);
    return 0;
}

json_t *image_record_to_json(const struct image_record *image)
{
    char buf[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "id", id_format(&image->id, buf));
    json_put_str(json, "project", id_format(&image->project, buf));
    json_put_str(json, "name", image->name);
    json_put_str(json, "source", image->source);
    json_put_str(json, "state", image_state_name(image->state));
    if (image->has_digest)
        json_put_str(json, "digest", sha256_format(&image->digest, buf));
    json_put_int(json, "size", image->size_bytes);
    json_put(json, "layers", sha256_list_to_json(image->layers, image->n_layers));
    if (image->blobs)
        image_blobs_to_json(image->blobs, image->blob_sizes, image->n_layers, json);
    if (image->is_packed)
        json_put(json, "packed", json_true());
    if (image->config)
        json_put(json, "config", json_deep_copy(image->config));
    json_put_str(json, "reason", image->reason);
    json_put_int(json, "failures", image->failures);
    json_put_int(json, "created_us", image->created_us);
    json_put_int(json, "updated_us", image->updated_us);
    return json;
}

static int read_state(const json_t *json, enum image_state *ret, struct error *err)
{
    const char *name = json_get_str(json, "state", "");

    for (int i = 0; i < IMAGE_STATE_MAX; i++) {
        if (!str_equal(state_names[i], name))
            continue;
        *ret = (enum image_state) i;
        return 0;
    }
    return error_set(err, -EBADMSG, "'%s' is no state of an image", name);
}

int image_record_from_json(const json_t *json, struct image_record **ret, struct error *err)
{
    _cleanup_(image_record_freep) struct image_record *image = xnew(struct image_record);
    const char *digest = json_get_str(json, "digest", NULL);

    if (id_parse(json_get_str(json, "id", ""), &image->id) < 0 ||
        id_parse(json_get_str(json, "project", ""), &image->project) < 0)
        return error_set(err, -EBADMSG, "image: id or project is missing");
    int r = read_state(json, &image->state, err);
    if (r >= 0)
        r = sha256_list_from_json(json_object_get(json, "layers"), &image->layers, &image->n_layers,
                                  err);
    if (r >= 0)
        r = image_blobs_from_json(json, image->n_layers, &image->blobs, &image->blob_sizes, err);
    if (r >= 0 && digest && sha256_parse(digest, &image->digest) < 0)
        r = error_set(err, -EBADMSG, "image: '%s' is no digest", digest);
    if (r < 0)
        return r;
    image->has_digest = digest != NULL;
    image->is_packed = json_get_bool(json, "packed", false);
    image->name = xstrdup(json_get_str(json, "name", ""));
    image->source = xstrdup(json_get_str(json, "source", NULL));
    image->size_bytes = json_get_int(json, "size", 0);
    if (json_object_get(json, "config"))
        image->config = json_deep_copy(json_object_get(json, "config"));
    image->reason = xstrdup(json_get_str(json, "reason", NULL));
    image->failures = (unsigned) json_get_int(json, "failures", 0);
    image->created_us = json_get_int(json, "created_us", 0);
    image->updated_us = json_get_int(json, "updated_us", 0);
    *ret = take_ptr(image);
    return 0;
}

char *image_record_progress(const struct image_record *image)
{
    char done[32], total[32];

    if (image->state != IMAGE_PULLING)
        return xstrdup(image_state_name(image->state));
    if (!image->total_bytes || image->done_bytes >= image->total_bytes)
        return xstrdup(image->phase ? image->phase : "waiting for its turn");
    return xasprintf("%s of %s", bytes_to_str(image->done_bytes, done),
                     bytes_to_str(image->total_bytes, total));
}

json_t *image_record_show(const struct image_record *image)
{
    char buf[SHA256_HEX_LEN + 1], time[TIME_TEXT_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "id", id_format(&image->id, buf));
    json_put_str(json, "name", image->name);
    json_put_str(json, "state", image_state_name(image->state));
    if (image->has_digest) {
        _cleanup_free_ char *digest = xasprintf("sha256:%s", sha256_format(&image->digest, buf));
        json_put_str(json, "digest", digest);
    }
    if (image->state == IMAGE_PULLING) {
        _cleanup_free_ char *progress = image_record_progress(image);
        json_put_str(json, "progress", progress);
        json_put_int(json, "done", image->done_bytes);
        json_put_int(json, "total", image->total_bytes);
    } else {
        json_put_int(json, "size", image->size_bytes);
        json_put_int(json, "layers", (int64_t) image->n_layers);
        if (image->state == IMAGE_READY)
            json_put_str(json, "kept", image->is_packed ? "packed" : "unpacked");
    }
    if (image->config)
        json_put(json, "config", json_deep_copy(image->config));
    json_put_str(json, "reason", image->reason);
    json_put_str(json, "created", time_format(image->created_us, time));
    json_put_str(json, "updated", time_format(image->updated_us, time));
    return json;
}
