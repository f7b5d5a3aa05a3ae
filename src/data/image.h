/* image.h - container images as values: references, and what a project knows of an image; pure
 *
 * A reference is how people name an image: `python:3.12`, `registry.example:5000/team/x@sha256:…`,
 * `oci:/srv/layout:tag`, `oci-archive:/srv/x.tar`, `docker-archive:/srv/x.tar`, or `host`. Its
 * canonical form says everything (`docker.io/library/python:3.12`); that is what is stored.
 */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

/* ---- references --------------------------------------------------------------------------------- */

enum reference_kind {
    REFERENCE_HOST,           /* this machine's own programs */
    REFERENCE_REGISTRY,       /* registry, repository and tag or digest */
    REFERENCE_OCI,            /* a directory in OCI's image layout */
    REFERENCE_OCI_ARCHIVE,    /* such a directory as a tar file */
    REFERENCE_DOCKER_ARCHIVE, /* what `docker save` writes */
};

#define REFERENCE_LEN_MAX  1024
#define REGISTRY_DEFAULT   "docker.io"
#define REGISTRY_OF_BUILDS "localhost" /* images made here; never asked over the network */

struct image_reference {
    enum reference_kind kind;
    char *registry;   /* "docker.io", "127.0.0.1:5055", "[::1]:5055" */
    char *repository; /* "library/python" */
    char *tag;        /* "3.12"; NULL: none */
    bool has_digest;
    struct sha256 digest;
    char *path;          /* of a layout or an archive; absolute */
    bool named_registry; /* it was said, not assumed */
};

/* Errors say what is wrong with TEXT and what would be right. */
int image_reference_parse(const char *text, struct image_reference *ret, struct error *err);
/* The canonical form; owned by the caller. */
char *image_reference_format(const struct image_reference *ref);
void image_reference_done(struct image_reference *ref);
/* HOST or HOST:PORT, as it stands before a repository. */
bool image_registry_is_valid(const char *registry);

/* ---- what a project knows of an image ------------------------------------------------------------ */

enum image_state {
    IMAGE_PULLING, /* on its way; also after a failure that is tried again */
    IMAGE_READY,
    IMAGE_FAILED,
    IMAGE_STATE_MAX,
};

const char *image_state_name(enum image_state state);

struct image_record {
    struct id id;
    struct id project;
    char *name;   /* canonical reference */
    char *source; /* where its bytes are taken from; NULL: from where NAME says */
    enum image_state state;
    bool has_digest;
    struct sha256 digest;  /* of the manifest of this platform */
    int64_t size_bytes;    /* as it travels: config and packed layers */
    struct sha256 *layers; /* digests of the unpacked tars, lowest first */
    size_t n_layers;
    /* The packed layers, for each of LAYERS; NULL: not known, of a record that an older version made. */
    struct sha256 *blobs;
    int64_t *blob_sizes;
    bool
        is_packed; /* the packed bytes are kept, and nothing is unpacked: it runs on other machines */
    json_t *config; /* {"entrypoint", "command", "env": lists, "user", "workdir"}; NULL before */
    char *reason;   /* of the last failure; NULL */
    unsigned failures;
    int64_t created_us, updated_us;
    /* of the moment; not stored */
    const char *phase; /* static: "looking it up", "unpacking" …; NULL */
    int64_t done_bytes, total_bytes;
};

void image_record_free(struct image_record *image);
DEFINE_CLEANUP(struct image_record *, image_record_free);
/* Every stored field, and back. */
json_t *image_record_to_json(const struct image_record *image);
int image_record_from_json(const json_t *json, struct image_record **ret, struct error *err);
/* What the API shows. */
json_t *image_record_show(const struct image_record *image);
/* "43 of 77 MiB", "looking it up"; owned by the caller. */
char *image_record_progress(const struct image_record *image);

/* A list of digests as hex, and back into an array owned by the caller. */
json_t *sha256_list_to_json(const struct sha256 *sums, size_t n);
int sha256_list_from_json(const json_t *json, struct sha256 **ret, size_t *ret_n,
                          struct error *err);
/* Packed layers: {"blobs": [HEX, …], "blob_sizes": [BYTES, …]} of N layers, into arrays owned by the caller;
 * both NULL when JSON has none. */
int image_blobs_from_json(const json_t *json, size_t n, struct sha256 **ret, int64_t **ret_sizes,
                          struct error *err);
void image_blobs_to_json(const struct sha256 *blobs, const int64_t *sizes, size_t n, json_t *json);

#endif
