/* local.c - images in files: OCI layouts, and tar files of `docker save` and of layouts
 *
 * All that is taken out of an archive are regular files under names that are made here, so nothing in
 * it decides where anything is written.
 */
#include "image/fetch.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "image/archive.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 100000, DEPTH_MAX = 4 };

struct local {
    const struct image_reference *ref;
    const char *architecture;
    int dir;
    int64_t left; /* bytes that may still be written */
    const struct libarchive *lib;
};

/* Bytes on their way into DIR under the name of their digest. */
struct intake {
    struct local *local;
    int fd;
    struct hasher *hasher;
    int64_t size;
};

static int intake_begin(struct intake *in, struct local *local, struct error *err)
{
    *in = (struct intake){ .local = local, .hasher = hasher_new() };
    in->fd = openat(local->dir, "intake.part", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    return in->fd < 0 ? error_set(err, -errno, "writing an image: %s", strerror(errno)) : 0;
}

static int intake_add(struct intake *in, const void *bytes, size_t n, struct error *err)
{
    if ((int64_t) n > in->local->left)
        return error_set(err, -EFBIG,
                         "it is larger than images may be here (setting "
                         "image_max_size)");
    in->local->left -= (int64_t) n;
    in->size += (int64_t) n;
    hasher_add(in->hasher, bytes, n);
    int r = write_full(in->fd, bytes, n);
    return r < 0 ? error_set(err, r, "writing an image: %s", strerror(-r)) : 0;
}

static int intake_end(struct intake *in, struct oci_descriptor *ret, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];

    ret->digest = hasher_end(in->hasher);
    ret->size = in->size;
    sha256_format(&ret->digest, hex);
    if (renameat(in->local->dir, "intake.part", in->local->dir, hex) < 0)
        return error_set(err, -errno, "writing an image: %s", strerror(errno));
    return 0;
}

static void intake_done(struct intake *in)
{
    hasher_free(in->hasher);
    safe_close(in->fd);
}

/* ---- archives ---- */

struct walk {
    struct local *local;
    struct archive *archive;
    /* called for each regular file; may read its data */
    int (*each)(struct walk *walk, const char *name, struct error *err);
    void *userdata;
};

static const char *plain_name(const char *name)
{
    while (name && (strncmp(name, "./", 2) == 0 || *name == '/'))
        name += *name == '/' ? 1 : 2;
    return name;
}

static int read_data(struct walk *walk, int (*add)(void *to, const void *, size_t, struct error *),
                     void *to, struct error *err)
{
    const void *bytes;
    size_t n;
    la_int64_t offset;

    for (;;) {
        int code = walk->local->lib->data_block(walk->archive, &bytes, &n, &offset);
        if (code == ARCHIVE_EOF)
            return 0;
        if (code < ARCHIVE_WARN)
            return error_set(err, -EBADMSG, "the archive is broken: %s",
                             walk->local->lib->error_string(walk->archive));
        int r = add(to, bytes, n, err);
        if (r < 0)
            return r;
    }
}

static int add_to_intake(void *to, const void *bytes, size_t n, struct error *err)
{
    return intake_add(to, bytes, n, err);
}

static int add_to_text(void *to, const void *bytes, size_t n, struct error *err)
{
    struct text *text = to;

    if (text->len + n > OCI_DOCUMENT_MAX)
        return error_set(err, -E2BIG, "a document in it has more than %d bytes", OCI_DOCUMENT_MAX);
    text_add_bytes(text, bytes, n);
    return 0;
}

static int take_in(struct walk *walk, struct oci_descriptor *ret, struct error *err)
{
    struct intake in;
    int r = intake_begin(&in, walk->local, err);

    if (r >= 0)
        r = read_data(walk, add_to_intake, &in, err);
    if (r >= 0)
        r = intake_end(&in, ret, err);
    intake_done(&in);
    return r;
}

static int walk_entries(struct walk *walk, struct error *err)
{
    const struct libarchive *lib = walk->local->lib;
    struct archive_entry *entry;

    for (int i = 0;; i++) {
        int code = lib->next_header(walk->archive, &entry);
        if (code == ARCHIVE_EOF)
            return 0;
        if (code < ARCHIVE_WARN)
            return error_set(err, -EBADMSG, "it is no tar file: %s",
                             lib->error_string(walk->archive));
        if (i == ENTRIES_MAX)
            return error_set(err, -E2BIG, "it has more than %d entries", ENTRIES_MAX);
        const char *name = plain_name(lib->pathname(entry));
        if (!name || lib->filetype(entry) != S_IFREG || lib->hardlink(entry))
            continue;
        int r = walk->each(walk, name, err);
        if (r < 0)
            return r;
    }
}

static int walk_archive(struct local *local, struct walk *walk, struct error *err)
{
    _cleanup_close_ int fd = open(local->ref->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", local->ref->path, strerror(errno));
    int r = archive_load(&local->lib, err);
    if (r < 0)
        return r;
    walk->local = local;
    walk->archive = local->lib->read_new();
    (void) local->lib->filter_gzip(walk->archive);
    (void) local->lib->filter_zstd(walk->archive);
    (void) local->lib->format_tar(walk->archive);
    r = local->lib->open_fd(walk->archive, fd, 1 << 20) < ARCHIVE_WARN
            ? error_set(err, -EBADMSG, "%s: %s", local->ref->path,
                        local->lib->error_string(walk->archive))
            : walk_entries(walk, err);
    (void) local->lib->read_free(walk->archive);
    return r;
}

/* ---- a layout, in a directory or a tar ---- */

static int each_of_layout(struct walk *walk, const char *name, struct error *err)
{
    struct oci_descriptor what;
    struct sha256 sum;

    if (str_equal(name, "index.json"))
        return read_data(walk, add_to_text, walk->userdata, err);
    if (!str_starts(name, "blobs/sha256/") || sha256_parse(name + 13, &sum) < 0)
        return 0;
    int r = take_in(walk, &what, err);
    if (r >= 0 && !sha256_equal(&what.digest, &sum))
        r = error_set(err, -EBADMSG, "%s has another digest than its name", name);
    return r;
}

/* Copy a blob of the layout's directory. */
static int copy_blob(struct local *local, const struct oci_descriptor *what, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *path =
        xasprintf("%s/blobs/sha256/%s", local->ref->path, sha256_format(&what->digest, hex));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_free_ char *buffer = xnew_n(char, 1 << 20);
    struct oci_descriptor got;
    struct intake in;

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    int r = intake_begin(&in, local, err);
    while (r >= 0) {
        ssize_t n = read(fd, buffer, 1 << 20);
        if (n <= 0) {
            r = n < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
            break;
        }
        r = intake_add(&in, buffer, (size_t) n, err);
    }
    if (r >= 0)
        r = intake_end(&in, &got, err);
    intake_done(&in);
    if (r >= 0 && (got.size != what->size || !sha256_equal(&got.digest, &what->digest)))
        r = error_set(err, -EBADMSG, "blob %.12s is not what the index promises", hex);
    return r;
}

static int read_blob(struct local *local, const struct oci_descriptor *what, struct text *ret,
                     struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];

    if (what->size > OCI_DOCUMENT_MAX)
        return error_set(err, -E2BIG, "a document in it has more than %d bytes", OCI_DOCUMENT_MAX);
    int r = local->ref->kind == REFERENCE_OCI ? copy_blob(local, what, err) : 0;
    text_clear(ret);
    return r < 0 ? r
                 : file_read(local->dir, sha256_format(&what->digest, hex), OCI_DOCUMENT_MAX, ret,
                             err);
}

static int has_blob(struct local *local, const struct oci_descriptor *what, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stat st;

    if (local->ref->kind == REFERENCE_OCI)
        return copy_blob(local, what, err);
    if (fstatat(local->dir, sha256_format(&what->digest, hex), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, -ENOENT, "blob %.12s is not in the archive", hex);
    if (st.st_size != what->size)
        return error_set(err, -EBADMSG, "blob %.12s has %lld bytes; its manifest says %lld", hex,
                         (long long) st.st_size, (long long) what->size);
    return 0;
}

/* Everything that MANIFEST names must be there. */
static int gather(struct local *local, const struct text *bytes, struct error *err)
{
    struct oci_manifest manifest;
    int r = oci_manifest_parse(text_str(bytes), bytes->len, &manifest, err);

    if (r < 0)
        return r;
    r = has_blob(local, &manifest.config, err);
    for (size_t i = 0; i < manifest.n_layers && r >= 0; i++)
        r = has_blob(local, &manifest.layers[i], err);
    oci_manifest_done(&manifest);
    return r;
}

static int open_layout(struct local *local, struct text *bytes, struct error *err)
{
    const char *tag = local->ref->tag;
    int r = 0;

    for (int depth = 0; r >= 0; depth++) {
        struct oci_descriptor next;
        if (depth == DEPTH_MAX)
            return error_set(err, -EBADMSG, "indexes point to each other");
        r = oci_index_choose(text_str(bytes), bytes->len, local->architecture, tag, &next, err);
        if (r == 0)
            return depth ? gather(local, bytes, err)
                         : error_set(err, -EBADMSG, "index.json lists no manifests");
        if (r > 0)
            r = read_blob(local, &next, bytes, err);
        tag = NULL;
    }
    return r;
}

/* ---- docker save ---- */

struct saved {
    char *config;
    char **layers;
    struct oci_descriptor config_blob, *layer_blobs;
    size_t n_layers, n_found;
};

static int each_document(struct walk *walk, const char *name, struct error *err)
{
    return str_equal(name, "manifest.json") ? read_data(walk, add_to_text, walk->userdata, err) : 0;
}

static int each_saved(struct walk *walk, const char *name, struct error *err)
{
    struct saved *saved = walk->userdata;
    struct oci_descriptor what;
    bool wanted = str_equal(name, saved->config);

    for (size_t i = 0; i < saved->n_layers; i++)
        wanted = wanted || str_equal(name, saved->layers[i]);
    if (!wanted)
        return 0;
    int r = take_in(walk, &what, err);
    if (r >= 0 && str_equal(name, saved->config)) {
        saved->config_blob = what;
        saved->n_found++;
    }
    for (size_t i = 0; i < saved->n_layers && r >= 0; i++)
        if (str_equal(name, saved->layers[i])) {
            saved->layer_blobs[i] = what;
            saved->n_found++;
        }
    return r;
}

static void add_descriptor(struct text *t, const char *type, const struct oci_descriptor *d)
{
    char hex[SHA256_HEX_LEN + 1];

    text_addf(t, "{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%lld}", type,
              sha256_format(&d->digest, hex), (long long) d->size);
}

/* The manifest that a registry would have for it. */
static void write_manifest(const struct saved *saved, struct text *ret)
{
    text_clear(ret);
    text_add(ret, "{\"schemaVersion\":2,\"mediaType\":"
                  "\"application/vnd.oci.image.manifest.v1+json\",\"config\":");
    add_descriptor(ret, "application/vnd.oci.image.config.v1+json", &saved->config_blob);
    text_add(ret, ",\"layers\":[");
    for (size_t i = 0; i < saved->n_layers; i++) {
        text_add(ret, i ? "," : "");
        add_descriptor(ret, "application/vnd.oci.image.layer.v1.tar", &saved->layer_blobs[i]);
    }
    text_add(ret, "]}");
}

static int open_saved(struct local *local, struct text *bytes, struct error *err)
{
    struct saved saved = { 0 };
    struct walk walk = { .each = each_saved, .userdata = &saved };

    int r = docker_archive_parse(text_str(bytes), bytes->len, local->ref->tag, &saved.config,
                                 &saved.layers, err);
    if (r < 0)
        return r;
    while (saved.layers[saved.n_layers])
        saved.n_layers++;
    saved.layer_blobs = xnew_n(struct oci_descriptor, saved.n_layers + 1);
    r = walk_archive(local, &walk, err);
    if (r >= 0 && saved.n_found < saved.n_layers + 1)
        r = error_set(err, -EBADMSG, "the archive lacks its config or a layer");
    if (r >= 0)
        write_manifest(&saved, bytes);
    free(saved.config);
    for (size_t i = 0; i < saved.n_layers; i++)
        free(saved.layers[i]);
    free(saved.layers);
    free(saved.layer_blobs);
    return r;
}

int image_local_open(const struct image_reference *ref, int dir, const char *architecture,
                     int64_t max_bytes, struct text *ret, struct error *err)
{
    struct local local = {
        .ref = ref, .architecture = architecture, .dir = dir, .left = max_bytes
    };
    bool docker = ref->kind == REFERENCE_DOCKER_ARCHIVE;
    struct walk walk = { .each = docker ? each_document : each_of_layout, .userdata = ret };
    int r;

    if (ref->kind == REFERENCE_OCI) {
        _cleanup_free_ char *index = xasprintf("%s/index.json", ref->path);
        r = file_read(AT_FDCWD, index, OCI_DOCUMENT_MAX, ret, err);
    } else {
        r = walk_archive(&local, &walk, err);
    }
    if (r < 0)
        return error_context(err, r, "%s", ref->path);
    if (!ret->len)
        return error_set(err, -EBADMSG, "%s: has no %s", ref->path,
                         docker ? "manifest.json" : "index.json");
    r = docker ? open_saved(&local, ret, err) : open_layout(&local, ret, err);
    return r < 0 ? error_context(err, r, "%s", ref->path) : 0;
}
