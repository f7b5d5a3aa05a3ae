/* store.h - what is remembered: one writer in commit order, readers beside it
 *
 * A commit is a batch: events and the rows they lead to, in one transaction. The state loop builds
 * batches and gives them away; one writer thread drains what has gathered, writes it all in one
 * transaction, syncs, and the answers come back on the loop in commit order (group commit: many
 * requests, one fsync). Reads run on reader threads and come back on the loop; they see every batch
 * whose answer was given before they were asked.
 *
 * A commit does not fail for good: when the disk refuses it, the writer keeps the batch and tries
 * again until it succeeds; store_health() says so meanwhile and lifecycle refuses new work. A
 * preallocated reserve file is given up first, so that what already runs can always be recorded.
 *
 * Variants (sqlite, memory) are a struct of functions behind this header and pass one contract
 * test; nothing is done that only one of them can do.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/event.h"
#include "base/vec.h"
#include "data/data.h"
#include "os/loop.h"
#include "tenant/tenant.h"
#include "workload/workload.h"

#include <sys/types.h>

struct store;

/* "sqlite:PATH" or "memory:". Migrates; -EPROTONOSUPPORT when the file is from a newer Berth, -EBUSY
 * when another server holds it. LOOP is where answers arrive. */
int store_open(const char *url, struct loop *loop, struct store **ret, struct error *err);
/* Commits what was given, then closes. When the disk goes on refusing for two seconds, what was not
 * answered is given up, without an answer. */
void store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close);

/* ---- writing --------------------------------------------------------------------------------- */

struct store_batch;

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *batch);
DEFINE_CLEANUP(struct store_batch *, store_batch_free);

/* Rows are copied as they are now; puts replace the row of the same id. */
void store_put_org(struct store_batch *batch, const struct org *org);
void store_put_project(struct store_batch *batch, const struct project *project);
void store_put_key(struct store_batch *batch, const struct key *key);
void store_delete_key(struct store_batch *batch, const struct id *key);
void store_put_secret(struct store_batch *batch, const struct secret *secret);
void store_delete_secret(struct store_batch *batch, const struct id *secret);
void store_put_image(struct store_batch *batch, const struct image_record *image);
void store_delete_image(struct store_batch *batch, const struct id *image);
/* Tags of what has none in a record of its own, whole; NULL or none: they are forgotten. */
void store_put_tags(struct store_batch *batch, const struct id *subject, const json_t *tags);
/* What is known of a machine (struct node_record of fleet/fleet.h), by its subject; NULL: it is forgotten. */
void store_put_machine(struct store_batch *batch, const struct id *subject, const json_t *record);
/* A booking (struct booking_record of tenant/tenant.h) that has not ended; NULL: it is forgotten. */
void store_put_booking(struct store_batch *batch, const struct id *booking, const json_t *record);
/* The workload and its current attempt. */
void store_put_workload(struct store_batch *batch, const struct workload *w);
/* Its rows, attempts and artifacts; events stay. What is on the disk becomes leftovers. */
void store_delete_workload(struct store_batch *batch, const struct workload *w, int64_t now_us);
/* It is not on the disk any more. */
void store_delete_leftover(struct store_batch *batch, const struct leftover *leftover);
/* What `/artifacts` held; replaces the list of the workload, and references the blobs. */
void store_put_artifacts(struct store_batch *batch, const struct workload *w,
                         const struct manifest *manifest);
/* ---- what is kept (docs/design/0006) ----
 * A blob stays while it is named by a manifest that somebody holds or by a list of artifacts, or was sent or
 * asked for of late. Whoever needs the files of a manifest holds it, in the batch that makes his own row,
 * and lets go in the batch that deletes it. */
/* How long what was sent or asked for is kept without a holder; 24 hours unless it is said otherwise. */
void store_keep_for(struct store *store, int64_t keep_us);
void store_hold(struct store_batch *batch, const struct id *project, const struct sha256 *manifest,
                const struct id *holder);
/* All that HOLDER holds; from NOW_US on it counts as asked for. Deleting a workload does it too. */
void store_release(struct store_batch *batch, const struct id *holder, int64_t now_us);
/* Forget manifests, and references of PROJECT to SUMS, that were not asked for since BEFORE_US. Of the
 * manifests those that nobody holds; the references must be those that nothing names. */
void store_collect_manifests(struct store_batch *batch, int64_t before_us);
void store_collect_refs(struct store_batch *batch, const struct id *project,
                        const struct sha256 *sums, size_t n, int64_t before_us);
/* Bytes that arrived for a project: from now on present for it (dedupe is not observable, 5b). */
void store_put_blob_refs(struct store_batch *batch, const struct id *project,
                         const struct sha256 *sums, size_t n, int64_t now_us);
/* A workspace: its manifest's digest and canonical bytes. */
void store_put_manifest(struct store_batch *batch, const struct id *project,
                        const struct sha256 *sum, const char *bytes, size_t len, int64_t now_us);
void store_put_dataset(struct store_batch *batch, const struct dataset *d);
void store_put_dataset_version(struct store_batch *batch, const struct dataset *d,
                               const struct dataset_version *v);
void store_delete_dataset_version(struct store_batch *batch, const struct dataset *d,
                                  unsigned number);
/* With its versions and what is known of their uses. */
void store_delete_dataset(struct store_batch *batch, const struct dataset *d);
/* W reads or wrote a version; kept when W is deleted. */
enum dataset_role { DATASET_READ, DATASET_WROTE };
void store_put_dataset_use(struct store_batch *batch, const struct id *dataset, unsigned number,
                           const struct workload *w, enum dataset_role role);
/* The answer given to a POST with an Idempotency-Key; SCOPE names project, path and key. */
struct idempotent_answer {
    char *scope;
    struct sha256 request; /* of the request's body */
    int status;
    char *body;
    int64_t created_us;
};
void store_put_answer(struct store_batch *batch, const struct idempotent_answer *answer);
void store_delete_answers_before(struct store_batch *batch, int64_t before_us);
/* Takes the event; the writer gives it its seq. Its data is not changed by anybody from now on. */
void store_add_event(struct store_batch *batch, struct event *event);

/* R is 0. EVENTS are those of the batch, with their seq, valid during the call. */
typedef void (*store_committed_f)(void *userdata, struct event *const *events, size_t n);
/* Takes the batch. DONE may be NULL; never called before store_commit() has returned. */
void store_commit(struct store *store, struct store_batch *batch, store_committed_f done,
                  void *userdata);
/* The same for what nobody waits for: written with the next commit, or after a few milliseconds. */
void store_commit_later(struct store *store, struct store_batch *batch, store_committed_f done,
                        void *userdata);

struct store_health {
    bool failing;   /* the writer is retrying */
    char text[232]; /* what the disk said */
    uint64_t seq;   /* of the last event committed */
    size_t backlog; /* batches waiting */
    uint64_t commits, batches;
    int64_t disk_free_bytes;
    bool reserve_low; /* below the reserve: refuse submits */
};
void store_health(struct store *store, struct store_health *ret);

/* ---- reading --------------------------------------------------------------------------------- */

/* After opening, before anything is committed or asked; synchronous. Owned by the caller. May be
 * called again by tests that restart what stands on the store: what was given is written first. */
struct subject_record {
    struct id subject;
    json_t *record;
};
struct subject_records {
    struct subject_record *items;
    size_t len, cap;
};
/* How a job, or the jobs of an array, stand. */
struct store_outcome {
    struct id id;
    bool is_array, with_begun;
    unsigned n_live, n_succeeded, n_bad; /* not final; succeeded; failed or stopped */
    int64_t begun_us; /* the last time that one of them began, or ended without; 0: none did, or
                         nobody asks (WITH_BEGUN) */
};
struct store_state {
    VEC(struct org *) orgs;
    VEC(struct project *) projects;
    VEC(struct key *) keys;
    VEC(struct secret *) secrets;
    VEC(struct dataset *) datasets; /* with their versions */
    VEC(struct image_record *) images;
    struct subject_records tags;        /* objects of strings */
    struct subject_records machines;    /* struct node_record of fleet/fleet.h */
    struct subject_records bookings;    /* struct booking_record of tenant/tenant.h */
    VEC(struct workload *) workloads;   /* those that are not final, with their current attempt */
    VEC(struct store_outcome) outcomes; /* of the arrays they are in and of what they wait for */
    uint64_t seq;
    int64_t last_time_us;
    unsigned next_range; /* first uid range that was never given out */
};
int store_load(struct store *store, struct store_state *ret, struct error *err);

struct workload_filter {
    struct id project;          /* id_none: all */
    unsigned states;            /* bit per workload_state; 0: any */
    const char *name;           /* exact, or a prefix when it ends with '*'; NULL: any */
    const char *tag_key;        /* NULL: any */
    const char *tag_value;      /* NULL: any value of the key */
    int64_t since_us, until_us; /* creation; 0: open */
    struct id before;           /* cursor: only older than this; newest first */
    struct id array; /* only jobs of this array, and nothing but limit and before beside it */
    bool
        whole_arrays; /* an array is one item, the job that heads it, with its states; it is in a state
                          that one of its jobs is in */
    unsigned limit; /* 1 to 1000 */
};

/* Each answer arrives once, on the loop. Items belong to the callee during the call; a callback
 * that keeps one sets its slot to NULL. R < 0: ERR says why. */
typedef void (*store_workloads_f)(void *userdata, int r, struct workload **items, size_t n,
                                  const struct error *err);
void store_list_workloads(struct store *store, const struct workload_filter *filter,
                          store_workloads_f done, void *userdata);
/* By id, exact name (the newest of that name) or unambiguous id prefix: 0, 1 or 2 (ambiguous) items. An
 * array is found as the job that heads it, with its states, its jobs as NAME_INDEX or ID_INDEX. */
void store_find_workload(struct store *store, const struct id *project, const char *name_or_id,
                         store_workloads_f done, void *userdata);

typedef void (*store_attempts_f)(void *userdata, int r, struct attempt **items, size_t n,
                                 const struct error *err);
void store_list_attempts(struct store *store, const struct id *workload, store_attempts_f done,
                         void *userdata);

typedef void (*store_leftovers_f)(void *userdata, int r, const struct leftover *items, size_t n,
                                  const struct error *err);
/* Those after AFTER (NULL: from the first) in the order of workload and attempt. */
void store_list_leftovers(struct store *store, const struct leftover *after, unsigned limit,
                          store_leftovers_f done, void *userdata);

typedef void (*store_events_f)(void *userdata, int r, struct event **items, size_t n,
                               const struct error *err);
/* seq > AFTER, ascending, at most LIMIT; of a project (id_none: all) and a subject (id_none: all). */
void store_list_events(struct store *store, const struct id *project, const struct id *subject,
                       uint64_t after, unsigned limit, store_events_f done, void *userdata);

typedef void (*store_manifest_f)(void *userdata, int r, struct manifest *manifest,
                                 const struct error *err);
/* NULL when there is none. */
void store_get_artifacts(struct store *store, const struct id *workload, store_manifest_f done,
                         void *userdata);
void store_get_manifest(struct store *store, const struct id *project, const struct sha256 *sum,
                        store_manifest_f done, void *userdata);

/* Which jobs read or wrote versions of a dataset, newest job first. */
struct dataset_use {
    unsigned number; /* of the version */
    enum dataset_role role;
    struct id workload;
    char *name;                /* the job's */
    enum workload_state state; /* WORKLOAD_STATE_INVALID: the job was deleted */
};
typedef void (*store_uses_f)(void *userdata, int r, const struct dataset_use *items, size_t n,
                             const struct error *err);
/* NUMBER 0: of all versions. At most LIMIT. */
void store_list_dataset_uses(struct store *store, const struct id *dataset, unsigned number,
                             unsigned limit, store_uses_f done, void *userdata);

/* MISSING: those of SUMS that the project does not reference, in order. The others count as asked for
 * and will be there for a while. */
typedef void (*store_missing_f)(void *userdata, int r, const struct sha256 *missing, size_t n,
                                const struct error *err);
void store_missing_blobs(struct store *store, const struct id *project, const struct sha256 *sums,
                         size_t n, store_missing_f done, void *userdata);

/* What is kept, in pages: KEPT_HELD: the manifests that somebody holds; KEPT_MANIFESTS: those of table
 * manifests; KEPT_ARTIFACTS: the files that lists of artifacts name; KEPT_REFS: references. */
enum kept_kind { KEPT_HELD, KEPT_MANIFESTS, KEPT_ARTIFACTS, KEPT_REFS };

struct kept {
    struct id project;
    struct sha256 sum;
    int64_t used_us; /* of a reference */
};

struct kept_cursor {
    struct id id;
    struct sha256 sum;
    bool end; /* that was the last page */
};

typedef void (*store_kept_f)(void *userdata, int r, const struct kept *items, size_t n,
                             const struct kept_cursor *next, const struct error *err);
/* From CURSOR on, all zero at first. */
void store_list_kept(struct store *store, enum kept_kind kind, const struct kept_cursor *cursor,
                     store_kept_f done, void *userdata);

/* ANSWER is NULL when the scope is new. */
typedef void (*store_answer_f)(void *userdata, int r, const struct idempotent_answer *answer,
                               const struct error *err);
void store_get_answer(struct store *store, const char *scope, store_answer_f done, void *userdata);

/* How many workloads per state; for /metrics and `berth queue`. Kept by the writer, costs nothing. */
void store_count_states(struct store *store, uint64_t ret[WORKLOAD_STATE_MAX]);

/* ---- checking, without a server -------------------------------------------------------------- */

/* rows = fold(events), references = what rows name, SQLite's own check. Calls REPORT with each
 * difference; returns their number. */
int store_verify(struct store *store, void (*report)(void *userdata, const char *text),
                 void *userdata, struct error *err);
/* A consistent copy while the server runs: a new file (-EEXIST), 0600, that `sqlite:TO_PATH` opens. */
int store_backup(const char *url, const char *to_path, struct error *err);

/* A store from outside, without changing it. */
struct store_seen {
    unsigned format; /* that it is written in */
    unsigned known;  /* newest format that this program can write */
    pid_t server;    /* that holds it; 0: none */
};
/* -ENOENT when there is none yet; RET has `known` then. */
int store_look(const char *url, struct store_seen *ret, struct error *err);

#endif
