/* push.c - the program that gives an image to a registry: what it lacks of the blobs, then the manifest */
#include "image/push.h"

#include "base/alloc.h"
#include "data/data.h"
#include "image/fetch.h"
#include "image/registry.h"
#include "image/say.h"
#include "os/fd.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20 };

struct push {
    json_t *request;
    int dir;
    struct image_reference from, to;
    struct registry *there;  /* where it goes */
    struct registry *origin; /* where its bytes are; NULL: not asked yet */
    struct sha256 digest;
    struct text bytes; /* of the manifest */
    struct oci_manifest manifest;
    struct said sent;
};

static void on_sent(void *userdata, int64_t bytes)
{
    struct push *p = userdata;

    say_progress(&p->sent, bytes);
}

/* ---- registries ---- */

static int open_registry(struct push *p, const struct image_reference *ref, bool push,
                         struct registry **ret, struct error *err)
{
    const json_t *login = json_object_get(p->request, push ? "login" : "from_login");
    struct registry_options options = {
        .host = ref->registry,
        .repository = ref->repository,
        .username = json_get_str(login, "username", NULL),
        .password = json_get_str(login, "password", NULL),
        .plain_http = json_get_bool(p->request, push ? "plain_http" : "from_plain_http", false),
        .push = push,
        .proxy = json_get_str(p->request, "proxy", NULL),
        .ca_file = json_get_str(p->request, "ca_file", NULL),
        .stall_s = (long) json_get_int(p->request, "stall", 30),
        .arrived = push ? on_sent : NULL,
        .userdata = p,
    };

    return registry_new(&options, ret, err);
}

/* Where the image came from; images that were made here came from nowhere. */
static int ask_origin(struct push *p, struct error *err)
{
    if (p->origin)
        return 0;
    if (p->from.kind != REFERENCE_REGISTRY || str_equal(p->from.registry, REGISTRY_OF_BUILDS))
        return error_set(err, -ENOENT,
                         "its packed layers are not here any more; import or build it again");
    return open_registry(p, &p->from, false, &p->origin, err);
}

/* ---- documents ---- */

static int get_manifest(struct push *p, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *by_digest = xasprintf("sha256:%s", sha256_format(&p->digest, hex));

    int r = file_read(p->dir, hex, OCI_DOCUMENT_MAX, &p->bytes, NULL);
    if (r < 0) {
        text_clear(&p->bytes);
        r = ask_origin(p, err);
        if (r >= 0)
            r = registry_manifest(p->origin, by_digest, &p->bytes, err);
    }
    if (r < 0)
        return r;
    struct sha256 sum = sha256_of(text_str(&p->bytes), p->bytes.len);
    if (!sha256_equal(&sum, &p->digest))
        return error_set(err, -EBADMSG, "its manifest is not what it was when it was pulled");
    return oci_manifest_parse(text_str(&p->bytes), p->bytes.len, &p->manifest, err);
}

/* A layout or an archive that is not ours may have changed since. */
static int open_source(struct push *p, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    const char *machine = json_get_str(p->request, "machine", "x86_64");

    if (!p->from.path)
        return 0;
    int r = image_local_open(&p->from, p->dir, oci_architecture(machine),
                             json_get_int(p->request, "max_bytes", INT64_MAX), &bytes, err);
    if (r < 0)
        return r;
    struct sha256 sum = sha256_of(text_str(&bytes), bytes.len);
    if (!sha256_equal(&sum, &p->digest))
        return error_set(err, -EBADMSG, "%s holds another image now; pull it again", p->from.path);
    p->bytes = bytes;
    bytes = (struct text){ 0 };
    return oci_manifest_parse(text_str(&p->bytes), p->bytes.len, &p->manifest, err);
}

/* ---- blobs ---- */

/* The packed blob as a file; REMOVE: it was fetched for this alone. */
static int get_blob(struct push *p, const struct oci_descriptor *what, bool *remove,
                    struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stat st;

    sha256_format(&what->digest, hex);
    int fd = openat(p->dir, hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == what->size)
        return fd;
    safe_close(fd);
    int r = ask_origin(p, err);
    if (r >= 0)
        r = registry_blobs(p->origin, p->dir, what, 1, &(struct blobs_listener){ 0 }, err);
    if (r < 0)
        return r;
    *remove = true;
    fd = openat(p->dir, hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_set(err, -errno, "%s: %s", hex, strerror(errno)) : fd;
}

static int push_blob(struct push *p, const struct oci_descriptor *what, struct error *err)
{
    _cleanup_close_ int fd = -1;
    char hex[SHA256_HEX_LEN + 1];
    bool remove = false;

    int r = registry_has_blob(p->there, &what->digest, err);
    if (r < 0)
        return r;
    if (r > 0) {
        on_sent(p, what->size);
        return 0;
    }
    r = fd = get_blob(p, what, &remove, err);
    if (r < 0)
        return r;
    r = registry_push_blob(p->there, fd, what, err);
    if (remove)
        (void) unlinkat(p->dir, sha256_format(&what->digest, hex), 0);
    return r;
}

static int push_all(struct push *p, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    json_t *line = say_event("resolved");

    json_put_int(line, "bytes", p->manifest.size);
    say(line);
    int r = push_blob(p, &p->manifest.config, err);
    for (size_t i = 0; r >= 0 && i < p->manifest.n_layers; i++)
        r = push_blob(p, &p->manifest.layers[i], err);
    if (r >= 0)
        r = json_parse(text_str(&p->bytes), p->bytes.len, &json, err);
    if (r < 0)
        return r;
    const char *type =
        json_get_str(json, "mediaType", "application/vnd.oci.image.manifest.v1+json");
    return registry_push_manifest(p->there, p->to.tag, type, &p->bytes, err);
}

/* ---- the program ---- */

static int parse(struct push *p, const char *key, struct image_reference *ret, struct error *err)
{
    return image_reference_parse(json_get_str(p->request, key, ""), ret, err);
}

static int read_request(struct push *p, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    int r = file_read(AT_FDCWD, "/dev/stdin", REQUEST_MAX, &text, err);

    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &p->request, err);
    explicit_bzero(text.data, text.len);
    if (r < 0)
        return r;
    const char *directory = json_get_str(p->request, "directory", "");
    p->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0)
        return error_set(err, -errno, "%s: %s", directory, strerror(errno));
    r = sha256_parse(json_get_str(p->request, "digest", ""), &p->digest);
    if (r >= 0)
        r = parse(p, "from", &p->from, err);
    return r < 0 ? r : parse(p, "to", &p->to, err);
}

static int run(struct push *p, struct error *err)
{
    int r = read_request(p, err);

    if (r >= 0)
        r = open_registry(p, &p->to, true, &p->there, err);
    if (r >= 0)
        r = open_source(p, err);
    if (r >= 0 && !p->bytes.len)
        r = get_manifest(p, err);
    return r < 0 ? r : push_all(p, err);
}

static void push_done(struct push *p)
{
    registry_free(p->there);
    registry_free(p->origin);
    oci_manifest_done(&p->manifest);
    image_reference_done(&p->from);
    image_reference_done(&p->to);
    text_done(&p->bytes);
    json_decref(p->request);
    safe_close(p->dir);
}

int image_push_main(void)
{
    struct push p = { .dir = -1 };
    struct error err = { 0 };

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    int r = run(&p, &err);
    if (r >= 0)
        say(say_event("done"));
    else
        say_failed(r, &err);
    push_done(&p);
    return 0;
}
