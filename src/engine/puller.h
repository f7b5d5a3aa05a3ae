/* puller.h - what brings images to where tasks run; local: this machine's layers. See engine.h
 *
 * All calls return at once; what happens is reported on the loop through the listener. An image is known
 * by the id of its record.
 */
#ifndef ENGINE_PULLER_H
#define ENGINE_PULLER_H

#include "base/digest.h"
#include "base/id.h"
#include "base/json.h"
#include "os/loop.h"
#include "os/pool.h"

struct puller;

/* Strings and lists are borrowed for the call. */
struct image_pull {
    struct id image, project;
    const char *reference;           /* canonical */
    const char *source;              /* NULL: REFERENCE */
    const char *username, *password; /* NULL: none */
    const struct sha256 *have;       /* layers that the project has */
    const struct sha256
        *have_blobs; /* and as what each was packed: of a puller that keeps that; else NULL */
    size_t n_have;
};

/* What came. Valid during the call. */
struct image_found {
    struct sha256 digest; /* of the manifest */
    int64_t size_bytes;
    const struct sha256 *layers; /* of the unpacked tars, lowest first */
    size_t n_layers;
    const struct sha256 *blobs; /* the packed layers */
    const int64_t *blob_sizes;
    const json_t *config;
};

/* Packed bytes that stay: of an image that was made here. */
struct image_packed {
    struct id project;
    struct sha256 manifest;
};

struct image_keep {
    const struct sha256 *layers;
    size_t n_layers;
    const struct image_packed *packed;
    size_t n_packed;
};

struct puller_listener {
    /* PHASE is static; DONE of TOTAL bytes (0 before they are known). */
    void (*progress)(void *userdata, const struct id *image, const char *phase, int64_t done,
                     int64_t total);
    void (*ready)(void *userdata, const struct id *image, const struct image_found *found);
    /* CODE -EAGAIN: another try may help. */
    void (*failed)(void *userdata, const struct id *image, int code, const char *text);
    /* Layers that were to go were still in use a while ago: collect again. */
    void (*collect)(void *userdata);
    void *userdata;
};

struct puller_ops {
    const char *name;
    void (*pull)(struct puller *puller, const struct image_pull *pull);
    /* Nothing is reported of it any more. */
    void (*cancel)(struct puller *puller, const struct id *image);
    /* Layers that are not in KEEP and that no task uses may go; packed bytes too, while nothing is
     * pulled or pushed. */
    void (*collect)(struct puller *puller, const struct image_keep *keep);
    void (*free)(struct puller *puller);
};

/* What a layer may have. */
struct layer_limits {
    int64_t entries_max, bytes_max, ratio_max;
};

/* First member of every puller. */
struct puller {
    const struct puller_ops *ops;
    /* Tasks run on other machines: layers are looked at, and stay packed for those who ask. */
    bool keeps_packed;
    struct layer_limits limits;
    struct puller_listener listener;
};

struct puller_local_options {
    struct loop *loop;
    struct pool *pool;
    const char *state;
    int layers_fd;                 /* the keeper's socket; the puller owns it */
    const char *const *plain_http; /* registries without TLS; NULL-terminated */
    const char *proxy, *ca_file;   /* NULL: none */
    int64_t stall_s, max_bytes, entries_max, ratio_max;
    bool keeps_packed;
};
/* Options' strings are borrowed for the puller's life. */
struct puller *puller_local_new(const struct puller_local_options *options);
void puller_free(struct puller *puller);
DEFINE_CLEANUP(struct puller *, puller_free);

#endif
