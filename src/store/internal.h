/* internal.h - what the store's common part and its variants share
 *
 * Three kinds of thread: the loop that asks, one writer, and readers. Messages are owned by whom
 * they were pushed to. A variant only knows how to apply an operation and how to answer a query;
 * when both may happen at once it says how many readers it can serve (0: queries go through the
 * writer, one after the other).
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/vec.h"
#include "os/queue.h"
#include "store/store.h"

enum op_kind {
    OP_ORG,
    OP_PROJECT,
    OP_KEY,
    OP_KEY_DELETE,
    OP_SECRET,
    OP_SECRET_DELETE,
    OP_IMAGE,
    OP_IMAGE_DELETE,
    OP_TAGS,
    OP_MACHINE,
    OP_BOOKING,
    OP_WORKLOAD,
    OP_WORKLOAD_DELETE,
    OP_LEFTOVER_DELETE,
    OP_ARTIFACTS,
    OP_BLOB_REFS,
    OP_BLOB_TOUCH,
    OP_HOLD,
    OP_RELEASE,
    OP_REFS_COLLECT,
    OP_MANIFEST,
    OP_DATASET,
    OP_DATASET_DELETE,
    OP_DATASET_VERSION,
    OP_DATASET_VERSION_DELETE,
    OP_DATASET_USE,
    OP_MANIFESTS_COLLECT,
    OP_ANSWER,
    OP_ANSWERS_DELETE,
    OP_EVENT,
};

/* One row to be written. What is not named by the kind is zero. */
struct op {
    enum op_kind kind;
    struct id id;
    struct id project;
    int64_t time_us;
    struct org *org;
    struct project *project_row;
    struct key *key;
    struct secret *secret;
    json_t *record;  /* of a workload, an image, a dataset, a version; the writer makes it text */
    unsigned number; /* of a version of dataset ID */
    enum dataset_role role;
    enum workload_state state;
    char *name;        /* of a workload: the one that it is found by */
    struct id array;   /* of a workload: the array that it is in, or id_none */
    struct id attempt; /* current; id_none before the first. Of a use: the workload */
    struct sha256 *sums;
    size_t n_sums;
    struct sha256 sum;
    char *bytes; /* a manifest, canonical */
    size_t len;
    struct idempotent_answer *answer;
    struct event *event;
};

struct store_batch {
    struct message message;
    bool is_query; /* false; what tells a batch from a query in the writer's queue */
    VEC(struct op) ops;
    store_committed_f done;
    void *userdata;
};

enum query_kind {
    QUERY_WORKLOADS,
    QUERY_FIND,
    QUERY_ATTEMPTS,
    QUERY_LEFTOVERS,
    QUERY_EVENTS,
    QUERY_ARTIFACTS,
    QUERY_MANIFEST,
    QUERY_MISSING,
    QUERY_USES,
    QUERY_KEPT,
    QUERY_ANSWER,
    QUERY_COUNT,
};

struct query {
    struct message message;
    bool is_query; /* true */
    enum query_kind kind;
    struct store *store; /* while it is asked again */
    /* asked */
    struct workload_filter filter; /* its strings are owned */
    struct id project, subject;
    struct leftover after_leftover;
    uint64_t after;
    unsigned limit;
    char *text;
    struct sha256 sum;
    VEC(struct sha256) sums;
    enum kept_kind kept_kind;
    struct kept_cursor cursor; /* becomes that of the next page */
    int64_t stale_us;          /* references not used since are to be refreshed; 0: never mind */
    /* answered */
    VEC(struct kept) kept;
    VEC(struct sha256) missing;
    bool is_stale; /* at least one that is there */
    int r;
    struct error err;
    VEC(struct workload *) workloads;
    VEC(struct attempt *) attempts;
    VEC(struct event *) events;
    VEC(struct leftover) leftovers;
    VEC(struct dataset_use) uses;
    struct manifest *manifest;
    struct idempotent_answer *answer;
    /* whom */
    union {
        store_workloads_f on_workloads;
        store_attempts_f on_attempts;
        store_leftovers_f on_leftovers;
        store_events_f on_events;
        store_manifest_f on_manifest;
        store_missing_f on_missing;
        store_kept_f on_kept;
        store_answer_f on_answer;
        store_uses_f on_uses;
    };
    void *userdata;
};

struct backend; /* a variant's own */

struct backend_ops {
    const char *name;
    unsigned n_readers;
    int (*open)(const char *path, struct backend **ret, struct error *err);
    void (*close)(struct backend *b);
    /* On the writer's thread. Events have their seq. */
    int (*begin)(struct backend *b, struct error *err);
    int (*apply)(struct backend *b, const struct op *op, struct error *err);
    int (*commit)(struct backend *b, struct error *err);
    void (*rollback)(struct backend *b);
    /* On reader READER's thread (the writer's when n_readers is 0): fills the answer, returns r. */
    int (*answer)(struct backend *b, unsigned reader, struct query *q);
    /* Before the threads start. */
    int (*load)(struct backend *b, struct store_state *ret, struct error *err);
    /* How the jobs of the array, or the job, of ID in RET stand. Before the threads start. */
    int (*outcome)(struct backend *b, struct store_outcome *ret, struct error *err);
    /* Live counts; kept in the same transactions as the rows. */
    int (*counts)(struct backend *b, uint64_t ret[WORKLOAD_STATE_MAX], struct error *err);
    int (*check)(struct backend *b, void (*report)(void *userdata, const char *text),
                 void *userdata, struct error *err);
};

extern const struct backend_ops backend_memory;
extern const struct backend_ops backend_sqlite;

/* Those that are referenced count as used at NOW_US. */
void store_touch_blob_refs(struct store_batch *batch, const struct id *project,
                           const struct sha256 *sums, size_t n, int64_t now_us);
void op_done(struct op *op);
void query_free(struct query *q);
void answer_free(struct idempotent_answer *answer);
/* Count a job of that state. */
void outcome_add(struct store_outcome *outcome, enum workload_state state, unsigned n);
/* TIME (RFC 3339; NULL or empty: none) is one that a job of it began at. */
void outcome_add_begun(struct store_outcome *outcome, const char *time);
struct idempotent_answer *answer_copy(const struct idempotent_answer *answer);

/* file.c: a file of the store, made when it is missing: 0600, of the directory's owner also when root
 * (an administrator's command) makes it, so that the server can open it. The descriptor. */
int store_file(const char *path, int flags, struct error *err);

/* reserve.c: bytes set aside so that ends can be recorded when the disk is full. */
struct reserve;
struct reserve *reserve_open(const char *path);
void reserve_free(struct reserve *r);
/* Give the bytes to the file system; true if there were any. */
bool reserve_release(struct reserve *r);
/* Take them again when there is room; false while below. */
bool reserve_restore(struct reserve *r);
int64_t reserve_disk_free(const struct reserve *r);

#endif
