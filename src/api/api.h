/* api.h - the REST API of the server: routes by declaration, hands commands to lifecycle/
 *
 * Lives on the state loop's thread. Answers to changes are sent after the commit. Everything that
 * blocks (hashing an upload, reading a log) runs on the pool.
 */
#ifndef API_API_H
#define API_API_H

#include "base/cleanup.h"
#include "base/error.h"
#include "blob/blob.h"
#include "lifecycle/lifecycle.h"
#include "metrics/metrics.h"
#include "os/loop.h"
#include "os/pool.h"
#include "store/store.h"

#include <sys/types.h>

struct api;

/* Everything is borrowed for the life of the api. */
struct api_options {
    struct loop *loop;
    struct lifecycle *lifecycle;
    struct store *store;
    struct blob_store *blobs;
    struct pool *pool;
    struct metrics *metrics;    /* NULL: nothing is sampled */
    const char *storage;        /* declared for /storage; NULL: each machine's own */
    int keeper;                 /* storage/keeper.h; -1: /storage is not sent to nodes */
    int64_t storage_push_limit; /* nor when it has more bytes than that */
    const char *storage_probe;  /* a directory of it that the server can write to */
    const char *node;           /* name of this machine */
    const char *state;          /* STATE directory: attempts/ID/ lie in it */
    const char *socket; /* unix socket; peers of uid 0 and ADMIN_UID are admin without a key */
    uid_t admin_uid;    /* the server's own account */
    const char *const *listen;  /* HOST:PORT each, NULL-terminated; port 0: chosen by the kernel */
    const char *const *hosts;   /* Host names answered besides localhost and the listen addresses */
    int64_t node_timeout_s;     /* machines report three times in it */
    int64_t sessions_per_key;   /* open at once, in all jobs */
    int64_t idempotency_keep_s; /* answers of POSTs with an Idempotency-Key are kept so long */
};

/* Listens. -EADDRINUSE and the like name the address. */
int api_start(const struct api_options *options, struct api **ret, struct error *err);
/* Stops listening, ends all connections. */
void api_free(struct api *api);
DEFINE_CLEANUP(struct api *, api_free);

/* The bound addresses, "127.0.0.1:7077" each, in the order of options->listen; NULL at the end. */
const char *api_address(const struct api *api, size_t i);

#endif
