/* fetch.c - the program that brings an image: resolve, then documents, then layers */
#include "image/fetch.h"

#include "base/alloc.h"
#include "image/registry.h"
#include "image/say.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { REQUEST_MAX = 4 << 20, INDEX_DEPTH_MAX = 4 };

struct fetch {
    json_t *request;
    struct image_reference ref; /* of the bytes */
    const char *architecture;
    int dir;
    struct registry *registry; /* NULL: a local source */
    struct sha256 digest;
    struct oci_manifest manifest;
    struct oci_config config;
    struct oci_descriptor *wanted; /* layers to fetch, each once */
    size_t *wanted_layer;          /* the first layer of each */
    size_t n_wanted;
    struct said arrived;
};

static void put_sum(json_t *json, const char *key, const struct sha256 *sum)
{
    char hex[SHA256_HEX_LEN + 1];

    json_put_str(json, key, sha256_format(sum, hex));
}

static void on_arrived(void *userdata, int64_t bytes)
{
    struct fetch *f = userdata;

    say_progress(&f->arrived, bytes);
}

/* ---- a registry ---- */

static int open_registry(struct fetch *f, struct error *err)
{
    struct registry_options options = {
        .host = f->ref.registry,
        .repository = f->ref.repository,
        .username = json_get_str(f->request, "username", NULL),
        .password = json_get_str(f->request, "password", NULL),
        .plain_http = json_get_bool(f->request, "plain_http", false),
        .proxy = json_get_str(f->request, "proxy", NULL),
        .ca_file = json_get_str(f->request, "ca_file", NULL),
        .stall_s = (long) json_get_int(f->request, "stall", 30),
        .arrived = on_arrived,
        .userdata = f,
    };

    return registry_new(&options, &f->registry, err);
}

/* By digest the bytes must be those; by tag they are what the registry says today. */
static int get_manifest(struct fetch *f, const struct sha256 *digest, struct text *ret,
                        struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *by_digest =
        digest ? xasprintf("sha256:%s", sha256_format(digest, hex)) : NULL;

    text_clear(ret);
    int r = registry_manifest(f->registry, digest ? by_digest : f->ref.tag, ret, err);
    if (r < 0)
        return r;
    struct sha256 sum = sha256_of(text_str(ret), ret->len);
    if (digest && !sha256_equal(&sum, digest))
        return error_set(err, -EBADMSG, "registry %s sends a manifest of another digest",
                         f->ref.registry);
    return 0;
}

/* Through indexes to the manifest of this machine's kind. */
static int resolve(struct fetch *f, struct text *ret, struct error *err)
{
    struct oci_descriptor next;
    int r = get_manifest(f, f->ref.has_digest ? &f->ref.digest : NULL, ret, err);

    for (int depth = 0; r >= 0; depth++) {
        if (depth == INDEX_DEPTH_MAX)
            return error_set(err, -EBADMSG, "indexes point to each other");
        r = oci_index_choose(text_str(ret), ret->len, f->architecture, NULL, &next, err);
        if (r <= 0)
            return r;
        r = get_manifest(f, &next.digest, ret, err);
    }
    return r;
}

/* ---- documents ---- */

static int keep_document(struct fetch *f, const struct sha256 *sum, const struct text *bytes,
                         struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];

    return file_replace(f->dir, sha256_format(sum, hex), 0600, text_str(bytes), bytes->len, false,
                        err);
}

static int check_size(const struct fetch *f, struct error *err)
{
    int64_t max = json_get_int(f->request, "max_bytes", INT64_MAX);
    char is[32], may[32];

    if (f->manifest.size <= max)
        return 0;
    return error_set(err, -EFBIG, "it has %s; images may have %s here (setting image_max_size)",
                     bytes_to_str(f->manifest.size, is), bytes_to_str(max, may));
}

static int read_config(struct fetch *f, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    char hex[SHA256_HEX_LEN + 1];
    int r;

    if (f->registry)
        r = registry_document(f->registry, &f->manifest.config, &bytes, err);
    else
        r = file_read(f->dir, sha256_format(&f->manifest.config.digest, hex), OCI_DOCUMENT_MAX,
                      &bytes, err);
    if (r >= 0)
        r = oci_config_parse(text_str(&bytes), bytes.len, f->architecture, &f->config, err);
    if (r < 0)
        return r;
    if (f->config.n_layers != f->manifest.n_layers)
        return error_set(err, -EBADMSG, "its manifest lists %zu layers, its config %zu",
                         f->manifest.n_layers, f->config.n_layers);
    f->arrived.bytes += (int64_t) bytes.len;
    return keep_document(f, &f->manifest.config.digest, &bytes, err);
}

static void say_resolved(const struct fetch *f)
{
    json_t *line = say_event("resolved");

    put_sum(line, "digest", &f->digest);
    json_put_int(line, "bytes", f->manifest.size);
    say(line);
}

/* ---- what was brought before ---- */

static bool is_kept(const struct fetch *f, const struct oci_descriptor *what)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stat st;

    return fstatat(f->dir, sha256_format(&what->digest, hex), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && st.st_size == what->size;
}

/* 1: RET is the manifest that the reference names, and all that it names is here. */
static int find_kept(const struct fetch *f, struct text *ret)
{
    struct oci_manifest manifest = { 0 };
    char hex[SHA256_HEX_LEN + 1];

    if (!f->ref.has_digest ||
        file_read(f->dir, sha256_format(&f->ref.digest, hex), OCI_DOCUMENT_MAX, ret, NULL) < 0)
        return 0;
    struct sha256 sum = sha256_of(text_str(ret), ret->len);
    bool kept = sha256_equal(&sum, &f->ref.digest) &&
                oci_manifest_parse(text_str(ret), ret->len, &manifest, NULL) >= 0;
    kept = kept && is_kept(f, &manifest.config);
    for (size_t i = 0; kept && i < manifest.n_layers; i++)
        kept = is_kept(f, &manifest.layers[i]);
    oci_manifest_done(&manifest);
    return kept;
}

/* The manifest, from the registry unless it is needless to ask. */
static int find_manifest(struct fetch *f, struct text *ret, struct error *err)
{
    if (find_kept(f, ret)) {
        registry_free(f->registry);
        f->registry = NULL;
        return 0;
    }
    if (str_equal(f->ref.registry, REGISTRY_OF_BUILDS))
        return error_set(err, -ENOENT,
                         "it was made here, and its bytes are gone; build or import it again");
    return resolve(f, ret, err);
}

static int read_documents(struct fetch *f, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    int r;

    if (f->registry)
        r = find_manifest(f, &bytes, err);
    else
        r = image_local_open(&f->ref, f->dir, f->architecture,
                             json_get_int(f->request, "max_bytes", INT64_MAX), &bytes, err);
    if (r < 0)
        return r;
    f->digest = sha256_of(text_str(&bytes), bytes.len);
    r = oci_manifest_parse(text_str(&bytes), bytes.len, &f->manifest, err);
    if (r >= 0)
        r = check_size(f, err);
    if (r >= 0)
        r = keep_document(f, &f->digest, &bytes, err);
    if (r < 0)
        return r;
    say_resolved(f);
    return read_config(f, err);
}

/* ---- layers ---- */

static void say_layer(const struct fetch *f, const char *event, size_t i)
{
    json_t *line = say_event(event);

    put_sum(line, "blob", &f->wanted[i].digest);
    put_sum(line, "layer", &f->config.layers[f->wanted_layer[i]]);
    json_put_int(line, "bytes", f->wanted[i].size);
    say(line);
}

static void on_begun(void *userdata, size_t i) { say_layer(userdata, "arriving", i); }

static void on_layer(void *userdata, size_t i) { say_layer(userdata, "layer", i); }

static bool project_has(const struct fetch *f, size_t layer)
{
    const json_t *have = json_object_get(f->request, "have");
    const json_t *blobs = json_object_get(f->request, "have_blobs");
    char hex[SHA256_HEX_LEN + 1], blob[SHA256_HEX_LEN + 1];

    sha256_format(&f->config.layers[layer], hex);
    sha256_format(&f->manifest.layers[layer].digest, blob);
    for (size_t i = 0; i < json_array_size(have); i++)
        if (str_equal(json_string_value(json_array_get(have, i)), hex) &&
            (!blobs || str_equal(json_string_value(json_array_get(blobs, i)), blob)))
            return true;
    return false;
}

/* An image may list a layer more than once. */
static bool is_listed_before(const struct fetch *f, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (sha256_equal(&f->config.layers[k], &f->config.layers[i]) ||
            sha256_equal(&f->manifest.layers[k].digest, &f->manifest.layers[i].digest))
            return true;
    return false;
}

static int fetch_layers(struct fetch *f, struct error *err)
{
    const struct blobs_listener listener = { on_begun, on_layer, f };

    f->wanted = xnew_n(struct oci_descriptor, f->manifest.n_layers + 1);
    f->wanted_layer = xnew_n(size_t, f->manifest.n_layers + 1);
    for (size_t i = 0; i < f->manifest.n_layers; i++) {
        if (is_listed_before(f, i))
            continue;
        if (project_has(f, i)) {
            on_arrived(f, f->manifest.layers[i].size);
            continue;
        }
        f->wanted[f->n_wanted] = f->manifest.layers[i];
        f->wanted_layer[f->n_wanted++] = i;
    }
    if (f->registry)
        return registry_blobs(f->registry, f->dir, f->wanted, f->n_wanted, &listener, err);
    for (size_t i = 0; i < f->n_wanted; i++)
        on_layer(f, i);
    return 0;
}

static void say_done(const struct fetch *f)
{
    json_t *line = say_event("done"), *blobs = json_array(), *sizes = json_array();
    char hex[SHA256_HEX_LEN + 1];

    for (size_t i = 0; i < f->manifest.n_layers; i++) {
        (void) json_array_append_new(blobs, json_string(
                                                sha256_format(&f->manifest.layers[i].digest, hex)));
        (void) json_array_append_new(sizes, json_integer(f->manifest.layers[i].size));
    }
    json_put(line, "blobs", blobs);
    json_put(line, "blob_sizes", sizes);

    json_put(line, "config", json_deep_copy(f->config.run));
    json_put(line, "layers", sha256_list_to_json(f->config.layers, f->config.n_layers));
    say(line);
}

/* ---- the program ---- */

static int read_request(struct fetch *f, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    int r = file_read(AT_FDCWD, "/dev/stdin", REQUEST_MAX, &text, err);

    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &f->request, err);
    explicit_bzero(text.data, text.len);
    if (r < 0)
        return r;
    f->architecture = oci_architecture(json_get_str(f->request, "machine", "x86_64"));
    const char *directory = json_get_str(f->request, "directory", "");
    f->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0)
        return error_set(err, -errno, "%s: %s", directory, strerror(errno));
    const char *source = json_get_str(f->request, "source", NULL);
    return image_reference_parse(source ? source : json_get_str(f->request, "reference", ""),
                                 &f->ref, err);
}

static int run(struct fetch *f, struct error *err)
{
    int r = read_request(f, err);

    if (r >= 0 && f->ref.kind == REFERENCE_REGISTRY)
        r = open_registry(f, err);
    if (r >= 0)
        r = read_documents(f, err);
    return r < 0 ? r : fetch_layers(f, err);
}

static void fetch_done(struct fetch *f)
{
    registry_free(f->registry);
    oci_manifest_done(&f->manifest);
    oci_config_done(&f->config);
    image_reference_done(&f->ref);
    json_decref(f->request);
    free(f->wanted);
    free(f->wanted_layer);
    safe_close(f->dir);
}

int image_fetch_main(void)
{
    struct fetch f = { .dir = -1 };
    struct error err = { 0 };

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    int r = run(&f, &err);
    if (r >= 0)
        say_done(&f);
    else
        say_failed(r, &err);
    fetch_done(&f);
    return 0;
}
