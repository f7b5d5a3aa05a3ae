/* image.c - the image of a task, within spec.json */
#include "task/task.h"

#include "base/alloc.h"

#include <errno.h>

enum { LAYERS_MAX = 127 };

static json_t *packed_to_json(const struct task_image *image)
{
    json_t *json = json_object(), *list = json_array();
    char hex[SHA256_HEX_LEN + 1];

    for (size_t i = 0; i < image->n_layers; i++)
        (void) json_array_append_new(list, json_pack("{s:s,s:I}", "digest",
                                                     sha256_format(&image->blobs[i], hex), "size",
                                                     (json_int_t) image->blob_sizes[i]));
    json_put(json, "blobs", list);
    json_put_int(json, "entries_max", image->entries_max);
    json_put_int(json, "bytes_max", image->bytes_max);
    json_put_int(json, "ratio_max", image->ratio_max);
    return json;
}

json_t *task_image_to_json(const struct task_image *image)
{
    json_t *json = json_object(), *layers = json_array();
    char hex[SHA256_HEX_LEN + 1];

    json_put_str(json, "name", image->name);
    json_put_str(json, "digest", sha256_format(&image->digest, hex));
    for (size_t i = 0; i < image->n_layers; i++)
        (void) json_array_append_new(layers, json_string(sha256_format(&image->layers[i], hex)));
    json_put(json, "layers", layers);
    if (image->config)
        json_put(json, "config", json_deep_copy(image->config));
    if (image->blobs)
        json_put(json, "packed", packed_to_json(image));
    return json;
}

static int packed_from_json(const json_t *json, struct task_image *image, struct error *err)
{
    const json_t *list = json_object_get(json, "blobs");

    if (json_array_size(list) != image->n_layers)
        return error_set(err, -EINVAL, "image: not as many packed layers as layers");
    image->blobs = xnew_n(struct sha256, image->n_layers + 1);
    image->blob_sizes = xnew_n(int64_t, image->n_layers + 1);
    for (size_t i = 0; i < image->n_layers; i++) {
        const json_t *blob = json_array_get(list, i);
        image->blob_sizes[i] = json_get_int(blob, "size", -1);
        if (sha256_parse(json_get_str(blob, "digest", ""), &image->blobs[i]) < 0 ||
            image->blob_sizes[i] < 0)
            return error_set(err, -EINVAL, "image: blobs[%zu] has no digest or size", i);
    }
    image->entries_max = json_get_int(json, "entries_max", 0);
    image->bytes_max = json_get_int(json, "bytes_max", 0);
    image->ratio_max = json_get_int(json, "ratio_max", 0);
    return 0;
}

int task_image_from_json(const json_t *json, struct task_image **ret, struct error *err)
{
    _cleanup_(task_image_freep) struct task_image *image = xnew(struct task_image);
    const json_t *layers = json_object_get(json, "layers");
    size_t n = json_array_size(layers);

    if (sha256_parse(json_get_str(json, "digest", ""), &image->digest) < 0 || n > LAYERS_MAX)
        return error_set(err, -EINVAL, "image: has no digest, or more than %d layers", LAYERS_MAX);
    image->layers = xnew_n(struct sha256, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *hex = json_string_value(json_array_get(layers, i));
        if (!hex || sha256_parse(hex, &image->layers[i]) < 0)
            return error_set(err, -EINVAL, "image: layers[%zu] is no digest", i);
    }
    image->n_layers = n;
    image->name = xstrdup(json_get_str(json, "name", ""));
    if (json_object_get(json, "config"))
        image->config = json_deep_copy(json_object_get(json, "config"));
    const json_t *packed = json_object_get(json, "packed");
    int r = packed ? packed_from_json(packed, image, err) : 0;
    if (r < 0)
        return r;
    *ret = take_ptr(image);
    return 0;
}

void task_image_free(struct task_image *image)
{
    if (!image)
        return;
    free(image->name);
    free(image->layers);
    free(image->blobs);
    free(image->blob_sizes);
    json_decref(image->config);
    free(image);
}
