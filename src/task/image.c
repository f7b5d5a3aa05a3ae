/* image.c - the image of a task, within spec.json */
#include "task/task.h"

#include "base/alloc.h"

#include <errno.h>

enum { LAYERS_MAX = 127 };

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
    return json;
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
    *ret = take_ptr(image);
    return 0;
}

void task_image_free(struct task_image *image)
{
    if (!image)
        return;
    free(image->name);
    free(image->layers);
    json_decref(image->config);
    free(image);
}
