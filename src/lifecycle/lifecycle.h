/* lifecycle.h - drives workloads: admits, places, starts, stops, retries, recovers
 *
 * Lives on the state loop's thread and is the only owner of live state. Time comes in from its sources
 * (no os/ in this folder): the role that runs it calls lifecycle_tick() when lifecycle_wait_us() has
 * passed. Effects happen after the commit of the event that asks for them.
 *
 * Errors of requests: -EINVAL (field), -ENOENT, -EEXIST, -EPERM, -EDOM (can never fit, with
 * numbers), -EBUSY (wrong state), -ENOSPC (disk reserve), -EAGAIN (store is failing).
 */
#ifndef LIFECYCLE_LIFECYCLE_H
#define LIFECYCLE_LIFECYCLE_H

#include "engine/engine.h"
#include "fleet/fleet.h"
#include "placement/placement.h"
#include "store/store.h"
#include "tenant/tenant.h"

struct lifecycle;
struct snapshot;

struct lifecycle_settings {
    uint32_t uid_first;          /* first uid of range 0 */
    const char *network_default; /* "egress" or "none" */
    bool network_choice;         /* may a job choose? */
    const char *publish_address;
    const char *storage, *storage_mark; /* declared for /storage (os/volume.h); NULL: none */
    bool by_account;   /* a project's jobs run as its account on the cluster: it needs one */
    bool push_storage; /* tasks away from the server get /storage by digest, and bring it back */
    const char *api_socket;
    int64_t log_limit_bytes;
    int64_t grace_default_s;
    int64_t max_time_default_s; /* 0: none */
    int64_t guaranteed_s;       /* no job is stopped for another before it ran so long */
    int64_t
        node_timeout_s; /* a machine that joined and was not heard of for so long is lost; 0: 35 */
    const struct policy *policy; /* who goes first; NULL: fair */
    int64_t patience_s;          /* who waited so long has machines kept free; 0: nobody has */
    int64_t half_life_s;         /* with fair: what was used so long ago counts half; 0: a week */
    int64_t booking_notice_s;    /* before a booking begins others are told to leave; 0: 300 */
    const char *version;         /* for records */
    const char *const *image_paths; /* directories from which layouts and archives may be taken;
                                       NULL-terminated; NULL: none */
    const char *const *image_registries; /* the only ones that may be asked; NULL or empty: any */
};

/* What the tasks of an attempt changed in their copies of /storage, by rank. Borrowed for the call. */
struct landing {
    struct id workload, project;
    unsigned epoch;
    uint32_t uid_base;
    bool is_gang;
    struct landing_task {
        struct id task;
        unsigned rank;
        struct sha256 manifest; /* as storage_changes() makes it */
    } * tasks;
    size_t n;
};

/* Everything the folder cannot get itself: time, ids and sealing come from the role. */
struct lifecycle_sources {
    int64_t (*now_us)(void *userdata);  /* wall clock: what events are stamped with */
    int64_t (*boot_us)(void *userdata); /* clock that only runs on: what durations are taken from */
    struct id (*new_id)(void *userdata);
    void (*random)(void *userdata, void *bytes, size_t n);
    void (*hash)(void *userdata, const void *bytes, size_t n, struct sha256 *ret);
    /* The token by which the supervisor of an attempt proves who it is: the same one each time it is
     * asked for, also after a restart, and not to be guessed (a keyed hash of id and epoch). */
    void (*token)(void *userdata, const struct id *attempt, unsigned epoch,
                  char buf[static TASK_TOKEN_LEN + 1]);
    /* The manifest of an attempt's artifacts, from the blob of this digest. */
    int (*load_manifest)(void *userdata, const struct sha256 *sum, struct manifest **ret,
                         struct error *err);
    /* Open a sealed secret; owned by the caller. */
    int (*unseal)(void *userdata, const struct secret *secret, char **ret);
    int (*seal)(void *userdata, const char *value, uint8_t **ret, size_t *ret_len);
    /* Bring it to the project's /storage, then call lifecycle_landed(); the attempt's end waits for it. Asked again
     * after a restart, and done again then. NULL where nothing is pushed. */
    void (*land)(void *userdata, const struct landing *landing);
    /* Each line of the record of what the scheduler is told and decides (placement/record.h). NULL: it is not kept. */
    void (*record)(void *userdata, const char *line, size_t len);
    void *userdata;
};

/* What orgs, projects and users had until AT_US under the policy `fair`. */
struct had_list {
    int64_t at_us;
    struct planner_shares list;
};
/* For the next server; RET is the caller's. */
void lifecycle_shares(struct lifecycle *lc, struct had_list *ret);
json_t *had_list_to_json(const struct had_list *had);
/* JSON is what the last server's was. -EINVAL names the field that is wrong. */
int lifecycle_recall_shares(struct lifecycle *lc, const json_t *json, struct error *err);

/* Takes what STATE holds (what store_load() gave); borrows store and engine, and becomes the engine's
 * listener. Everything of SOURCES is needed. */
int lifecycle_new(const struct lifecycle_settings *settings,
                  const struct lifecycle_sources *sources, struct store *store,
                  struct engine *engine, struct store_state *state, struct lifecycle **ret,
                  struct error *err);
void lifecycle_free(struct lifecycle *lc);
DEFINE_CLEANUP(struct lifecycle *, lifecycle_free);
void lifecycle_set_node(struct lifecycle *lc, struct node *node); /* takes it */
/* All the machines that the engine has. What the operator decided about one stays, and so does one that is
 * not there any more while something runs on it. */
void lifecycle_set_fleet(struct lifecycle *lc, const struct engine_machine *machines, size_t n);
/* What is free now on the disk of the node of that name, in bytes. */
void lifecycle_set_disk_free(struct lifecycle *lc, const char *name, int64_t bytes);
void lifecycle_add_flavor(struct lifecycle *lc, struct flavor *flavor); /* takes it */
/* Once, when the nodes are set. Where a node's boot id differs from the one of an attempt's start, the
 * attempt is lost (END_NODE_LOST); the others are attached. Then the engine sweeps. */
void lifecycle_recover(struct lifecycle *lc);

/* Timers (max_time, back-off) and the placement pass, one a tick. */
void lifecycle_tick(struct lifecycle *lc);
/* How long until the next tick is due: 0: now; INT64_MAX: never. */
int64_t lifecycle_wait_us(const struct lifecycle *lc);
/* Called when the next tick moved nearer: re-arm the timer. Must not tick by itself. */
void lifecycle_on_wake(struct lifecycle *lc, void (*wake)(void *userdata), void *userdata);
/* Every committed event, in order: for SSE. */
void lifecycle_on_event(struct lifecycle *lc,
                        void (*committed)(void *userdata, const struct event *event),
                        void *userdata);

/* ---- requests; DONE is called after the commit ------------------------------------------------ */

/* W is valid during the call. */
typedef void (*lifecycle_done_f)(void *userdata, const struct workload *w);
typedef void (*lifecycle_ok_f)(void *userdata);

struct submit {
    struct id project;
    const char *actor;
    const char *name;           /* NULL: made from the command and the id */
    struct workload_spec *spec; /* taken, also on failure */
    json_t *tags;               /* taken; NULL: none */
    int priority;
    struct id rerun_of;               /* the job that it repeats; id_none: none */
    struct idempotent_answer *answer; /* stored in the same commit; taken; NULL: none. Its body is
                                         filled by FORMAT with the new workload */
    char *(*format)(void *userdata, const struct workload *w);
    void *format_userdata;
    /* Of an array that waits for others job by job (AFTER_EACH), by index; borrowed. */
    const struct counterpart *counterparts;
    size_t n_counterparts;
};
/* The job of INDEX of the array that AFTER, a position in the specification's, names. */
struct counterpart {
    size_t after;
    unsigned index;
    struct id job;
    bool has_ended, has_failed;
};
/* Admission and, unless refused, the commit; of an array all in one, and DONE and FORMAT get its first job.
 * What the specification waits for (`after`) is found by the caller: the job or array, and how it ended if
 * it did. On refusal nothing is committed and DONE not called. */
int lifecycle_submit(struct lifecycle *lc, struct submit *submit, lifecycle_done_f done,
                     void *userdata, struct error *err);
/* What a submit would do: RET is the job, as the last of a snapshot, and RET_SPEC its resolved specification; both are the
 * caller's. */
int lifecycle_plan(struct lifecycle *lc, struct submit *submit, struct snapshot_job *ret,
                   json_t **ret_spec, struct error *err);
/* Whether it would begin and where, or why it would wait; by EXPECTATION, of which it is the planned one. Owned by the caller. */
json_t *lifecycle_planned(struct lifecycle *lc, const struct snapshot_job *job,
                          const struct expectation *expectation);
int lifecycle_stop(struct lifecycle *lc, const struct id *workload, const char *actor,
                   int64_t grace_s /* -1: the spec's */, lifecycle_done_f done, void *userdata,
                   struct error *err);
struct preempt_request {
    const char *actor;
    int64_t grace_s; /* -1: the spec's */
    bool force;      /* also a job that is not preemptible */
};
/* Stop a job that begins or runs, by its checkpoint signal first; it goes on as another attempt when it is its
 * turn again, and that is no retry. -EBUSY: it waits, ends or is not preemptible. */
int lifecycle_preempt(struct lifecycle *lc, const struct id *workload,
                      const struct preempt_request *request, lifecycle_done_f done, void *userdata,
                      struct error *err);
/* Some of an array that have not ended; how many were asked to end. *LEFT is SIZE_MAX at first, and 0 when all
 * were asked: until then it is to be called again, once what it changed has settled. */
unsigned lifecycle_stop_array(struct lifecycle *lc, const struct id *array, const char *actor,
                              int64_t grace_s, size_t *left);
/* Has one of the array's jobs not ended? */
bool lifecycle_array_lives(struct lifecycle *lc, const struct id *array);
int lifecycle_signal(struct lifecycle *lc, const struct id *workload, int signo, struct error *err);
struct job_change {
    const json_t *tags;  /* merge patch, borrowed; NULL: unchanged */
    const int *priority; /* NULL: unchanged */
    const char *actor;
};
/* W is live, or a final one read from the store. -EBUSY when it was read before another change. */
int lifecycle_update(struct lifecycle *lc, const struct workload *w,
                     const struct job_change *change, lifecycle_done_f done, void *userdata,
                     struct error *err);
/* W is a final workload read from the store; DONE gets NULL. */
int lifecycle_delete(struct lifecycle *lc, const struct workload *w, const char *actor,
                     lifecycle_done_f done, void *userdata, struct error *err);

/* What somebody does inside of a running job, beside the changes of the job itself. */
struct session_record {
    struct id project, job;
    const char *actor;
    bool ended;   /* session.ended; else session.started */
    json_t *data; /* taken */
};
/* DONE (may be NULL) is called after the commit. */
void lifecycle_record_session(struct lifecycle *lc, const struct session_record *record,
                              lifecycle_ok_f done, void *userdata);

/* The attempts that live (owned by the caller), and since when the oldest does; INT64_MAX: none lives. */
struct id *lifecycle_live_attempts(struct lifecycle *lc, size_t *ret_n, int64_t *ret_since_us);
/* Live (not final) workload, or NULL: then ask the store. Borrowed. */
struct workload *lifecycle_find(struct lifecycle *lc, const struct id *project,
                                const char *name_or_id);
struct workload *lifecycle_get(struct lifecycle *lc, const struct id *workload);
/* Does memory know more of W (a live one) than the store? What is told of it now could be forgotten by
 * a crash, and a list that the store makes would contradict it. */
bool lifecycle_is_ahead(struct lifecycle *lc, const struct workload *w);
/* Calls DONE when everything that is under way now is committed. */
void lifecycle_settle(struct lifecycle *lc, lifecycle_ok_f done, void *userdata);
/* What is known of the tasks of a live gang and no event has said yet, into the items of TASKS as rows have
 * them. */
void lifecycle_put_tasks(struct lifecycle *lc, const struct workload *w, json_t *tasks);
/* Every live workload that has begun an attempt which has not ended. */
void lifecycle_each_attempt(struct lifecycle *lc,
                            void (*each)(void *userdata, const struct workload *w), void *userdata);
/* Live ones in the order of the queue policy. Owned array of borrowed pointers. */
struct workload **lifecycle_queue(struct lifecycle *lc, const struct id *project, size_t *ret_n);
/* What changed of all that placement decides from, as planner_tell_news() says it; whole. */
bool lifecycle_tell_news(struct lifecycle *lc, size_t limit, struct mirror_news *ret);
/* Why jobs wait is told from EXPECTATION from now on, which becomes LC's; the one before is returned, and is the caller's. */
struct expectation *lifecycle_look(struct lifecycle *lc, struct expectation *expectation);
const struct expectation *lifecycle_expectation(const struct lifecycle *lc);
/* Why is it not running? {"state","rule","text","numbers":{…},"position","since"}; also for final
 * workloads (why it ended so). Owned by the caller. */
json_t *lifecycle_why(struct lifecycle *lc, const struct workload *w);
/* The same for one that is asked about alone; of one that waits also who is before it, and what change would let it begin
 * now: {"before":{"count","jobs","others"},"changes":[…]}. */
json_t *lifecycle_why_at_length(struct lifecycle *lc, const struct workload *w);
/* How many jobs wait. */
size_t lifecycle_waiting(const struct lifecycle *lc);
/* Grows with each change of who waits and of what is free. */
uint64_t lifecycle_changes(const struct lifecycle *lc);

/* ---- tenants ----------------------------------------------------------------------------------- */

const struct project *lifecycle_project(struct lifecycle *lc, const char *name_or_id);
const struct key *lifecycle_key(struct lifecycle *lc, const struct sha256 *hash);
/* Arrays of borrowed pointers inside lc, valid until the next change. */
void lifecycle_orgs(struct lifecycle *lc, const struct org *const **ret, size_t *ret_n);
void lifecycle_projects(struct lifecycle *lc, const struct project *const **ret, size_t *ret_n);
void lifecycle_keys(struct lifecycle *lc, const struct key *const **ret, size_t *ret_n);
void lifecycle_secrets(struct lifecycle *lc, const struct id *project,
                       const struct secret *const **ret, size_t *ret_n);
void lifecycle_nodes(struct lifecycle *lc, const struct node *const **ret, size_t *ret_n);
/* NODE as it reported itself, if it joined; else NODE. */
const struct node *lifecycle_reported_node(struct lifecycle *lc, const struct node *node);
/* What is taken on a node, for `berth node show`; JSON owned by the caller. */
json_t *lifecycle_node_use(struct lifecycle *lc, const struct node *node);
/* It was brought; FAILED: why not all of it could be. NULL: all was. */
void lifecycle_landed(struct lifecycle *lc, const struct id *workload, unsigned epoch,
                      const char *failed);

/* How fast the file system of /storage is on a machine, as it was measured there. */
struct storage_node {
    char *node;
    int64_t time_us, read_bps, write_bps; /* 0: not known, as SENT_BPS */
    int64_t sent_bps;                     /* to the machine, of what it did not have yet */
};
/* MEASURED is copied; what was measured later stays. */
void lifecycle_storage_measured(struct lifecycle *lc, const struct storage_node *measured);
size_t lifecycle_storage_nodes(struct lifecycle *lc, const struct storage_node **ret);
/* What is decided and known of it besides: "state", "joined", "heard", "cordon"; into JSON. */
void lifecycle_node_standing(struct lifecycle *lc, const struct node *node, json_t *json);
struct cordon {
    const char *node; /* its name */
    bool cordoned, drained;
    bool preempt;       /* what is preemptible there makes room at once, and goes on elsewhere */
    const char *reason; /* NULL: none */
    const char *actor;
};
int lifecycle_cordon(struct lifecycle *lc, const struct cordon *cordon, lifecycle_ok_f done,
                     void *userdata, struct error *err);
/* The fabric manager's table of NODE is TABLE (fleet/fleet.h), NULL: as the machine reports it. */
struct partitioning {
    const char *node, *table;
    const char *actor;
};
int lifecycle_partition(struct lifecycle *lc, const struct partitioning *partitioning,
                        lifecycle_ok_f done, void *userdata, struct error *err);
/* A machine that shows a join token becomes a node, or is the node again that it was. */
struct new_machine {
    const struct node *node;
    struct sha256 machine;
    const char *token_name; /* the key that it showed; used up */
    const char *url;        /* by which it reaches the server; NULL: not said */
    const char
        *orders_key; /* base64 of the public key that orders are sealed for; NULL: it takes none */
    const char *actor;
};
struct joined {
    char name[64]; /* what it is called here */
    bool again;
    char key[KEY_TEXT_LEN + 1]; /* that it reports with */
};
int lifecycle_join(struct lifecycle *lc, const struct new_machine *new, struct joined *ret,
                   lifecycle_ok_f done, void *userdata, struct error *err);
/* NAME, which joined, was heard of; NODE: as it is now. Committed when that has changed. */
int lifecycle_hear_node(struct lifecycle *lc, const char *name, const struct node *node,
                        struct error *err);
/* Forget a machine that joined; -EBUSY while tasks run there. */
int lifecycle_forget_node(struct lifecycle *lc, const char *name, const char *actor,
                          lifecycle_ok_f done, void *userdata, struct error *err);
/* What a machine that joined is told to do. Only it knows what that means; here it is kept, in memory, until it
 * is fetched, and what became of it is in the machine's record. One at a time. */
struct new_order {
    const char *node;
    const json_t *payload; /* has "op" */
    const char *actor;
};
/* -EACCES: it takes none; -EBUSY: it carries one out. RET is the order's id. */
int lifecycle_order(struct lifecycle *lc, const struct new_order *new, lifecycle_ok_f done,
                    void *userdata, struct id *ret, struct error *err);
/* The order that waits for NODE, with its "id"; it counts as begun then. NULL: none. A machine asks when it does
 * nothing: one that it had begun is given up. JSON owned by the caller. */
json_t *lifecycle_fetch_order(struct lifecycle *lc, const char *node);
/* "state" (running, done, failed), "step", "detail", "steps" of an order that NODE carries out. Committed when it has
 * ended, and DONE is called then; otherwise at once. -ENOENT: it is not its order. */
int lifecycle_hear_order(struct lifecycle *lc, const char *node, const json_t *report,
                         lifecycle_ok_f done, void *userdata, struct error *err);
void lifecycle_flavors(const struct lifecycle *lc, const struct flavor *const **ret, size_t *ret_n);
/* -EINVAL, and ERR names the flavors that there are. */
int lifecycle_unknown_flavor(const struct lifecycle *lc, const char *name, struct error *err);

struct new_booking {
    struct id project;
    const char *name;
    unsigned nodes, gpus;  /* one of them is 0: whole machines, or GPUs on as few as possible */
    const char *gpu_model; /* NULL: any */
    int64_t from_us, until_us;
    const char *actor;
    const json_t *tags; /* NULL: none */
};
/* Keep machines for a project. -EBUSY: it could not be honoured, with the numbers. */
int lifecycle_book(struct lifecycle *lc, const struct new_booking *new, lifecycle_ok_f done,
                   void *userdata, struct id *ret, struct error *err);
/* By name or id. */
int lifecycle_unbook(struct lifecycle *lc, const struct id *project, const char *name,
                     const char *actor, lifecycle_ok_f done, void *userdata, struct error *err);
/* That have not ended; NULL: the project has none of that name or id. Valid until the next change. */
const struct booking_record *lifecycle_booking(struct lifecycle *lc, const struct id *project,
                                               const char *name);
/* The same of a project (id_none: of all), by when they begin. */
void lifecycle_bookings(struct lifecycle *lc, const struct id *project,
                        const struct booking_record *const **ret, size_t *ret_n);

struct new_tenant {
    const char *name;
    const char *org;    /* of a project, by name or id; NULL: the first there is */
    const json_t *tags; /* NULL: none */
    const char *actor;
};
int lifecycle_create_org(struct lifecycle *lc, const struct new_tenant *new, lifecycle_ok_f done,
                         void *userdata, struct id *ret, struct error *err);
int lifecycle_create_project(struct lifecycle *lc, const struct new_tenant *new,
                             lifecycle_ok_f done, void *userdata, struct id *ret,
                             struct error *err);
struct org_change {
    struct id org;
    const json_t *tags; /* null removes one; NULL: as they are */
    unsigned weight;    /* 0: as it is */
    const char *actor;
};
int lifecycle_update_org(struct lifecycle *lc, const struct org_change *change, lifecycle_ok_f done,
                         void *userdata, struct error *err);
struct project_change {
    struct id project;
    const json_t *tags;  /* null removes one; NULL: as they are */
    const char *account; /* of the cluster; "": none, NULL: as it is */
    unsigned weight;     /* 0: as it is */
    const char *actor;
};
int lifecycle_update_project(struct lifecycle *lc, const struct project_change *change,
                             lifecycle_ok_f done, void *userdata, struct error *err);
/* Tags, where null removes one, of what has no call of its own to change them: KIND "key", EVENT
 * "key.updated". */
struct tagging {
    const char *kind, *event;
    struct id subject;
    struct id project; /* id_none: of the whole cloud */
    const json_t *tags;
    const char *actor;
};
int lifecycle_tag(struct lifecycle *lc, const struct tagging *tagging, lifecycle_ok_f done,
                  void *userdata, struct error *err);
/* NULL: none. Valid until the next change. */
const json_t *lifecycle_tags(struct lifecycle *lc, const struct id *subject);
/* As what a machine is tagged. */
struct id lifecycle_node_subject(struct lifecycle *lc, const struct node *node);

struct new_key {
    struct id project; /* id_none: the whole cloud */
    const char *name;
    enum key_role role;
    int64_t expires_us; /* 0: never */
    const char *actor;
    const json_t *tags; /* NULL: none */
};
/* TEXT receives the key's text, shown once. */
int lifecycle_create_key(struct lifecycle *lc, const struct new_key *new,
                         char text[static KEY_TEXT_LEN + 1], lifecycle_ok_f done, void *userdata,
                         struct id *ret, struct error *err);
int lifecycle_delete_key(struct lifecycle *lc, const char *name_or_id, const char *actor,
                         lifecycle_ok_f done, void *userdata, struct error *err);
struct new_secret {
    struct id project;
    const char *name;
    const char *value;
    const char *actor;
    const json_t *tags; /* in place of those before; NULL: as they were */
};
/* New, or in place of the value before. */
int lifecycle_set_secret(struct lifecycle *lc, const struct new_secret *new, lifecycle_ok_f done,
                         void *userdata, struct error *err);
int lifecycle_delete_secret(struct lifecycle *lc, const struct id *project, const char *name,
                            const char *actor, lifecycle_ok_f done, void *userdata,
                            struct error *err);
/* ---- datasets ------------------------------------------------------------------------------------- */

/* NULL: the project has none of that name. Valid until the next change. */
const struct dataset *lifecycle_dataset(struct lifecycle *lc, const struct id *project,
                                        const char *name);
/* Of a project, by name. Array inside lc, valid until the next change. */
void lifecycle_datasets(struct lifecycle *lc, const struct id *project,
                        const struct dataset *const **ret, size_t *ret_n);
/* Called after the commit; D and V are valid during the call, V is NULL where a whole dataset is meant,
 * D too when it is gone. */
typedef void (*lifecycle_dataset_f)(void *userdata, const struct dataset *d,
                                    const struct dataset_version *v);
struct new_version {
    struct id project;
    const char *name; /* of the dataset, made if it is not there */
    const char *actor;
    struct sha256 manifest; /* checked by the caller, and in the blob store */
    int64_t files, size_bytes;
    const char *message; /* NULL: none */
    const json_t *tags;  /* NULL: none */
};
/* The tree that the newest version has already is that version: nothing is made, and what is said about
 * it is added to it. */
int lifecycle_add_version(struct lifecycle *lc, const struct new_version *new,
                          lifecycle_dataset_f done, void *userdata, struct error *err);
struct dataset_change {
    const struct dataset *dataset;
    unsigned number;    /* of a version; 0: the dataset */
    const json_t *tags; /* merge patch */
    const char *actor;
};
int lifecycle_tag_dataset(struct lifecycle *lc, const struct dataset_change *change,
                          lifecycle_dataset_f done, void *userdata, struct error *err);
/* -EBUSY while a job that has not ended reads it. */
int lifecycle_delete_dataset(struct lifecycle *lc, const struct dataset_change *change,
                             lifecycle_dataset_f done, void *userdata, struct error *err);

/* ---- images -------------------------------------------------------------------------------------- */

/* Borrows it and becomes its listener; before lifecycle_recover(). */
void lifecycle_set_puller(struct lifecycle *lc, struct puller *puller);
/* Array of borrowed pointers, valid until the next change. */
void lifecycle_images(struct lifecycle *lc, const struct id *project,
                      const struct image_record *const **ret, size_t *ret_n);
/* By id, reference or digest; NULL: the project has none. */
const struct image_record *lifecycle_image(struct lifecycle *lc, const struct id *project,
                                           const char *name);
struct new_image {
    struct id project;
    const char *reference;
    const char *source; /* an archive that was uploaded: oci-archive:PATH; NULL: REFERENCE says */
    const char *actor;
};
/* Look a reference up (again) and bring what it means. RET: the record to watch. */
int lifecycle_pull_image(struct lifecycle *lc, const struct new_image *new, lifecycle_ok_f done,
                         void *userdata, struct id *ret, struct error *err);
/* -EBUSY while jobs use it. */
int lifecycle_delete_image(struct lifecycle *lc, const struct id *project, const char *name,
                           const char *actor, lifecycle_ok_f done, void *userdata,
                           struct error *err);
/* Borrows it and becomes its listener. */
void lifecycle_set_pusher(struct lifecycle *lc, struct pusher *pusher);
/* An image on its way to a registry; known until the server ends, or a hundred later ones were begun. */
struct image_push_record {
    struct id id, project;
    char *image, *to; /* canonical references */
    char *actor;
    struct sha256 digest;
    bool running;
    char *reason; /* why it failed; NULL */
    int64_t done_bytes, total_bytes, created_us;
};
struct new_push {
    struct id project;
    const char *image, *to;
    const char *actor;
};
/* RET is valid until the next change. */
int lifecycle_push_image(struct lifecycle *lc, const struct new_push *new,
                         const struct image_push_record **ret, struct error *err);
const struct image_push_record *lifecycle_image_push(const struct lifecycle *lc,
                                                     const struct id *project, const struct id *id);
/* The login for REGISTRY, kept sealed; PASSWORD NULL: forget it (-ENOENT when there is none). */
struct registry_login {
    struct id project;
    const char *registry, *username, *password;
    const char *actor;
};
int lifecycle_registry_login(struct lifecycle *lc, const struct registry_login *login,
                             lifecycle_ok_f done, void *userdata, struct error *err);

/* ---- tasks away from the server (docs/design/0014) ------------------------------------------------ */

/* A task that lives, as its supervisor proved to be it. SPEC is valid until the next change. */
struct lifecycle_task {
    struct id task, attempt, project, workload;
    uint32_t uid_base; /* the project's */
    unsigned epoch;
    bool is_away; /* its files come home over the API */
    int64_t log_limit_bytes;
    const struct workload_spec *spec;
};
/* TOKEN is the one that the task was started with. -EKEYREVOKED: its attempt was given up, has ended or was
 * never begun; -EPERM: the token is another's; -EAGAIN: not yet. */
int lifecycle_task_open(struct lifecycle *lc, const struct id *id, const char *token,
                        struct lifecycle_task *ret, struct error *err);
/* `ready`, `started` or `exit.json` of a task came home: the engine looks. */
void lifecycle_task_news(struct lifecycle *lc, const struct id *task);
/* What the engine has to say to a task beyond serial AFTER: an array, owned by the caller; NULL: it is not to
 * go on. */
json_t *lifecycle_task_orders(struct lifecycle *lc, const struct id *task, int64_t after);
/* Do tasks run on machines that this server does not reach into? */
bool lifecycle_is_away(const struct lifecycle *lc);
/* Does the task live, of that epoch? What comes from it counts. */
bool lifecycle_task_lives(const struct lifecycle *lc, const struct id *task, unsigned epoch);
/* Have a task that is away open the stream of that name home. */
void lifecycle_task_connect(struct lifecycle *lc, const struct id *task, const char *stream);
/* Does the task's image have a layer that is packed as BLOB? */
bool lifecycle_task_has_layer(struct lifecycle *lc, const struct lifecycle_task *task,
                              const struct sha256 *blob);
/* The task, which has not begun, says what it waits for; words for people. */
void lifecycle_task_waits(struct lifecycle *lc, const struct id *task, const char *words);
/* Before the news of its end: may the supervisor of TASK wait for another task? Then `next` says which. */
bool lifecycle_task_linger(struct lifecycle *lc, const struct id *task);
struct lifecycle_task_listener {
    /* There are new orders for a task, or it is over. */
    void (*changed)(void *userdata, const struct id *task);
    /* The supervisor of TASK goes on as NEXT with TOKEN; NULL: it leaves. */
    void (*next)(void *userdata, const struct id *task, const struct id *next, const char *token);
    void *userdata;
};
/* NULL: nobody listens any more. */
void lifecycle_on_task(struct lifecycle *lc, const struct lifecycle_task_listener *listener);
/* For a supervisor: the values of the secrets that the task's spec names, as {"NAME": value}. */
int lifecycle_task_secrets(struct lifecycle *lc, const struct id *id, const char *token,
                           json_t **ret, struct error *err);

#endif
