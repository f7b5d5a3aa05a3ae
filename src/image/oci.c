/* oci.c - index, manifest and config of an image, as trees that were checked */
#include "image/oci.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { INDEX_MAX = 1000, STRINGS_MAX = 1024, STRING_MAX = 131072 };

static int parse(const char *bytes, size_t len, const char *what, json_t **ret, struct error *err)
{
    if (len > OCI_DOCUMENT_MAX)
        return error_set(err, -E2BIG, "%s: is larger than %d bytes", what, OCI_DOCUMENT_MAX);
    int r = json_parse(bytes, len, ret, err);
    if (r < 0)
        return error_context(err, -EBADMSG, "%s", what);
    return json_is_object(*ret) ? 0 : error_set(err, -EBADMSG, "%s: is no object", what);
}

static int parse_digest(const char *text, struct sha256 *ret, struct error *err)
{
    if (text && str_starts(text, "sha256:") && sha256_parse(text + 7, ret) == 0)
        return 0;
    return error_set(err, -EBADMSG, "digest '%.90s' is not sha256: and 64 hex digits",
                     text ? text : "");
}

static int parse_descriptor(const json_t *json, struct oci_descriptor *ret, struct error *err)
{
    const json_t *size = json_object_get(json, "size");

    int r = parse_digest(json_get_str(json, "digest", NULL), &ret->digest, err);
    if (r < 0)
        return r;
    ret->size = json_is_integer(size) ? json_integer_value(size) : -1;
    return ret->size < 0 ? error_set(err, -EBADMSG, "size: is missing or negative") : 0;
}

const char *oci_architecture(const char *machine)
{
    static const char *const names[][2] = {
        { "x86_64", "amd64" },    { "aarch64", "arm64" }, { "armv7l", "arm" },
        { "ppc64le", "ppc64le" }, { "s390x", "s390x" },   { "riscv64", "riscv64" },
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_equal(names[i][0], machine))
            return names[i][1];
    return machine;
}

/* ---- index ---- */

static bool fits_platform(const json_t *entry, const char *architecture)
{
    const json_t *platform = json_object_get(entry, "platform");

    return !platform || (str_equal(json_get_str(platform, "os", "linux"), "linux") &&
                         str_equal(json_get_str(platform, "architecture", ""), architecture));
}

/* "3.12", or "docker.io/library/python:3.12". */
static bool ends_in_tag(const char *name, const char *tag)
{
    const char *colon = strrchr(name, ':');

    return str_equal(name, tag) || (colon && str_equal(colon + 1, tag));
}

static bool is_tagged(const json_t *entry, const char *tag)
{
    const json_t *notes = json_object_get(entry, "annotations");

    return ends_in_tag(json_get_str(notes, "org.opencontainers.image.ref.name", ""), tag);
}

static int refuse_index(const json_t *list, const char *architecture, const char *tag,
                        struct error *err)
{
    _cleanup_text_ struct text known = { 0 };
    size_t i;
    const json_t *entry;

    json_array_foreach(list, i, entry) {
        const json_t *platform = json_object_get(entry, "platform");
        const json_t *notes = json_object_get(entry, "annotations");
        if (i == 8)
            break;
        text_addf(&known, "%s%.40s", i ? ", " : "",
                  tag ? json_get_str(notes, "org.opencontainers.image.ref.name", "(no name)")
                      : json_get_str(platform, "architecture", "?"));
    }
    if (tag)
        return error_set(err, -ENOENT, "there is no image '%s' in it; there are: %s", tag,
                         known.len ? known.data : "none");
    return error_set(err, -ENOENT, "it is not made for linux/%s, only for: %s", architecture,
                     known.len ? known.data : "nothing");
}

static bool is_index(const json_t *json)
{
    return json_is_array(json_object_get(json, "manifests"));
}

int oci_index_choose(const char *bytes, size_t len, const char *architecture, const char *tag,
                     struct oci_descriptor *ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    int r = parse(bytes, len, "index", &json, err);

    if (r < 0)
        return r;
    if (!is_index(json))
        return 0;
    const json_t *list = json_object_get(json, "manifests");
    if (json_array_size(list) > INDEX_MAX)
        return error_set(err, -E2BIG, "index: has more than %d entries", INDEX_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (!fits_platform(entry, architecture) || (tag && !is_tagged(entry, tag)))
            continue;
        r = parse_descriptor(entry, ret, err);
        return r < 0 ? error_context(err, r, "index: manifests[%zu]", i) : 1;
    }
    return refuse_index(list, architecture, tag, err);
}

/* ---- manifest ---- */

/* Layers that hold no plain tar cannot be unpacked here. */
static int check_layer_type(const json_t *layer, struct error *err)
{
    const char *type = json_get_str(layer, "mediaType", "");
    bool known = !*type || strstr(type, ".tar");

    if (str_ends(type, "+encrypted"))
        return error_set(err, -ENOTSUP, "it is encrypted");
    return known ? 0 : error_set(err, -ENOTSUP, "media type '%.80s' is no tar", type);
}

static int parse_layers(const json_t *list, struct oci_manifest *ret, struct error *err)
{
    size_t n = json_array_size(list);

    if (n > OCI_LAYERS_MAX)
        return error_set(err, -E2BIG, "manifest: has %zu layers; at most %d can be mounted", n,
                         OCI_LAYERS_MAX);
    ret->layers = xnew_n(struct oci_descriptor, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *layer = json_array_get(list, i);
        int r = check_layer_type(layer, err);
        if (r >= 0)
            r = parse_descriptor(layer, &ret->layers[i], err);
        if (r >= 0 && __builtin_add_overflow(ret->size, ret->layers[i].size, &ret->size))
            r = error_set(err, -E2BIG, "its size is beyond counting");
        if (r < 0)
            return error_context(err, r, "manifest: layers[%zu]", i);
        ret->n_layers++;
    }
    return 0;
}

int oci_manifest_parse(const char *bytes, size_t len, struct oci_manifest *ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    *ret = (struct oci_manifest){ 0 };
    int r = parse(bytes, len, "manifest", &json, err);
    if (r < 0)
        return r;
    if (json_get_int(json, "schemaVersion", 2) != 2)
        return error_set(err, -ENOTSUP,
                         "manifest: is of schema 1, which no registry makes any more; push the "
                         "image again");
    if (!json_is_object(json_object_get(json, "config")) ||
        !json_is_array(json_object_get(json, "layers")))
        return error_set(err, -EBADMSG, "manifest: has no config or no layers; is it an image?");
    r = parse_descriptor(json_object_get(json, "config"), &ret->config, err);
    if (r < 0)
        return error_context(err, r, "manifest: config");
    ret->size = ret->config.size;
    r = parse_layers(json_object_get(json, "layers"), ret, err);
    if (r < 0)
        oci_manifest_done(ret);
    return r;
}

void oci_manifest_done(struct oci_manifest *manifest)
{
    free(manifest->layers);
    *manifest = (struct oci_manifest){ 0 };
}

/* ---- config ---- */

/* A list of strings that a program can be given: bounded, without NUL. */
static int copy_strings(const json_t *from, const char *key, json_t *to, const char *as,
                        struct error *err)
{
    const json_t *list = json_object_get(from, key);

    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > STRINGS_MAX)
        return error_set(err, -EBADMSG, "config: %s is no list of at most %d strings", key,
                         STRINGS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item) || json_string_length(item) > STRING_MAX ||
            strlen(json_string_value(item)) != json_string_length(item))
            return error_set(err, -EBADMSG, "config: %s[%zu] is no text", key, i);
    }
    json_put(to, as, json_deep_copy(list));
    return 0;
}

static int copy_run(const json_t *config, json_t *run, struct error *err)
{
    const char *user = json_get_str(config, "User", ""),
               *workdir = json_get_str(config, "WorkingDir", "");

    int r = copy_strings(config, "Entrypoint", run, "entrypoint", err);
    if (r >= 0)
        r = copy_strings(config, "Cmd", run, "command", err);
    if (r >= 0)
        r = copy_strings(config, "Env", run, "env", err);
    if (r < 0)
        return r;
    size_t i;
    const json_t *env;
    json_array_foreach(json_object_get(run, "env"), i, env)
        if (!strchr(json_string_value(env), '=') || *json_string_value(env) == '=')
            return error_set(err, -EBADMSG, "config: Env[%zu] is not NAME=value", i);
    if (strlen(user) > 256 || strlen(workdir) > 4095)
        return error_set(err, -EBADMSG, "config: User or WorkingDir is too long");
    json_put_str(run, "user", *user ? user : NULL);
    json_put_str(run, "workdir", *workdir ? workdir : NULL);
    return 0;
}

static int parse_diff_ids(const json_t *json, struct oci_config *ret, struct error *err)
{
    const json_t *list = json_object_get(json_object_get(json, "rootfs"), "diff_ids");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > OCI_LAYERS_MAX)
        return error_set(err, -EBADMSG, "config: rootfs.diff_ids is no list of at most %d",
                         OCI_LAYERS_MAX);
    ret->layers = xnew_n(struct sha256, n + 1);
    for (size_t i = 0; i < n; i++) {
        int r = parse_digest(json_string_value(json_array_get(list, i)), &ret->layers[i], err);
        if (r < 0)
            return error_context(err, r, "config: rootfs.diff_ids[%zu]", i);
    }
    ret->n_layers = n;
    return 0;
}

int oci_config_parse(const char *bytes, size_t len, const char *architecture,
                     struct oci_config *ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    *ret = (struct oci_config){ 0 };
    int r = parse(bytes, len, "config", &json, err);
    if (r < 0)
        return r;
    const char *made_for = json_get_str(json, "architecture", architecture);
    const char *os = json_get_str(json, "os", "linux");
    if (!str_equal(os, "linux") || !str_equal(made_for, architecture))
        return error_set(err, -ENOENT, "it is made for %.40s/%.40s; this machine is linux/%s", os,
                         made_for, architecture);
    ret->run = json_object();
    r = copy_run(json_object_get(json, "config"), ret->run, err);
    if (r >= 0)
        r = parse_diff_ids(json, ret, err);
    if (r < 0)
        oci_config_done(ret);
    return r;
}

void oci_config_done(struct oci_config *config)
{
    free(config->layers);
    json_decref(config->run);
    *config = (struct oci_config){ 0 };
}

/* ---- docker's archive ---- */

static const json_t *find_saved(const json_t *list, const char *tag)
{
    size_t i, k;
    const json_t *entry, *name;

    if (!tag)
        return json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
    json_array_foreach(list, i, entry)
        json_array_foreach(json_object_get(entry, "RepoTags"), k, name)
            if (json_is_string(name) && ends_in_tag(json_string_value(name), tag))
                return entry;
    return NULL;
}

int docker_archive_parse(const char *bytes, size_t len, const char *tag, char **ret_config,
                         char ***ret_layers, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    if (len > OCI_DOCUMENT_MAX || json_parse(bytes, len, &json, NULL) < 0 || !json_is_array(json))
        return error_set(err, -EBADMSG, "manifest.json is not what docker save writes");
    const json_t *entry = find_saved(json, tag);
    if (!entry)
        return error_set(err, -ENOENT, "%zu images are in it; name one by its tag",
                         json_array_size(json));
    const json_t *layers = json_object_get(entry, "Layers");
    const char *config = json_get_str(entry, "Config", NULL);
    size_t n = json_array_size(layers);
    if (!config || n > OCI_LAYERS_MAX)
        return error_set(err, -EBADMSG, "manifest.json: has no Config, or more than %d Layers",
                         OCI_LAYERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!json_is_string(json_array_get(layers, i)))
            return error_set(err, -EBADMSG, "manifest.json: Layers[%zu] is no name", i);
    *ret_config = xstrdup(config);
    *ret_layers = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        (*ret_layers)[i] = xstrdup(json_string_value(json_array_get(layers, i)));
    return 0;
}
