/* internal.h - what the files of lifecycle/ share
 *
 * live.c     jobs in memory: by id, by name, by attempt, in the order of the queue
 * arrays.c   job arrays: whose turn it is
 * waits.c    dependencies, and what holds a job
 * use.c      what tasks hold on each node
 * timer.c    max_time and back-off
 * commit.c   batches, and what happens when they are committed
 * admit.c    may it come in, and with what exactly
 * submit.c   requests: submit, stop, signal, update, delete
 * plan.c     what the planner is told of jobs and machines
 * place.c    ticks and placement passes
 * act.c      the engine: start, what it reports, the end of an attempt
 * preempt.c  a job makes room for others
 * bookings.c, stays.c  machines that are kept for a project, and who is on them meanwhile
 * gang.c     the same where an attempt has many tasks
 * forget.c   what deleted jobs leave on the disk
 * fleet.c    machines as an engine reports them
 * storage.c  a file system for /storage that all machines have
 * landing.c  what tasks changed in /storage elsewhere, before their attempt ends
 * recover.c  after a restart
 * why.c      reasons and plans
 * snapshot.c what placement decides from, as plain data
 * outlook.c  who goes before a job that waits, and what would let it begin now
 * run-times.c  how long jobs of projects ran lately
 * turns.c    in which order those that wait go
 * datasets.c datasets and their versions, what jobs read and write
 * images.c   images of projects: pulled once, pinned, kept while used
 * image-push.c  images on their way to registries
 * tenants.c, secrets.c   orgs, projects, keys; secrets
 * machines.c machines that joined, and what operators decided about any
 * orders.c   what machines that joined are told to do
 * tasks.c    tasks away from the server prove who they are, and hear what they are to do
 * tags.c     the rules of tags, and those of what has no record for them
 */
#ifndef LIFECYCLE_INTERNAL_H
#define LIFECYCLE_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "lifecycle/lifecycle.h"

/* What is known of the tasks of a live attempt and not folded yet: an engine says it again after a
 * restart. */
struct gang {
    struct gang_task {
        char *address; /* NULL: not ready */
        int64_t started_us;
        json_t *evidence;
        json_t *end;                 /* as attempt_task_to_json() has it; NULL: it lives */
        json_t *artifacts, *storage; /* of its exit */
        int64_t disk_used_bytes;
        bool is_lost; /* its node is gone: the engine is not asked */
    } * tasks;
    size_t n;
    bool goes;       /* the engine was told to let all go */
    int failed_rank; /* as the attempt's; known a moment earlier */
};

/* A live workload. */
struct job {
    struct workload *w;
    const struct project *project;
    struct job *same_name;   /* the next older live one of its name */
    unsigned refs;           /* commits under way that know it */
    char *waits;             /* why the engine has not begun the current attempt; NULL */
    int64_t disk_used_bytes; /* by the current attempt, at most what it may */
    struct gang *gang;       /* of the current attempt; NULL: it is a single task */
    struct array *array;     /* NULL: none, or it is final */
    size_t array_at;         /* its place in it */
    bool has_turn;           /* it is one of those that the array's limit lets run */
    bool began;              /* its command began once */
    bool is_waiter;          /* it has dependencies, and not all were met yet */
    unsigned n_waits;        /* so many of them are not */
    unsigned n_stopped;      /* others that were stopped so that its next attempt can begin */
    const struct dependency *never; /* one that can no longer be; in its specification */
    struct ashore *ashore; /* the current attempt has ended, and waits for its landing; NULL */
    bool launched;         /* the engine knows the current attempt */
    bool final;            /* its last event is on the way to the store */
    bool gone;             /* out of memory once nobody refers to it */
};

/* A job array with jobs that are not final. */
struct array {
    struct id id;
    unsigned limit;   /* 0: none */
    unsigned n_turns; /* jobs that have one */
    unsigned n_live, n_unstarted;
    int64_t begun_us;       /* when the last of them began, or ended without */
    unsigned n_bad;         /* ended, and did not succeed */
    VEC(struct job *) jobs; /* by index; NULL: final */
    size_t next;            /* below it nobody waits for a turn */
    bool dirty;
};

/* Queued jobs by priority and time; room at both ends, so that both are cheap. */
struct queue_order {
    struct placement_request *items;
    size_t head, len, cap;
};

struct node_use {
    struct node *node;
    VEC(struct placement_grant) grants; /* of the tasks there */
    int64_t disk_used_bytes;            /* by them */
};

/* The order in which they go, as it was at change CHANGE. */
struct turns {
    VEC(const struct workload *) list; /* borrowed */
    struct map *places;                /* id -> its place, from 1; NULL: nobody asked yet */
    uint64_t change;
};

enum timer_kind { TIMER_MAX_TIME, TIMER_ELIGIBLE, TIMER_IMAGE, TIMER_WAIT, TIMER_BOOKING };

struct timer {
    int64_t due_us; /* of sources.boot_us */
    enum timer_kind kind;
    struct id workload;  /* or the image */
    unsigned epoch;      /* of the attempt, for max_time */
    int64_t eligible_us; /* wall clock, for back-off */
};

struct commit;
struct forgetting;
struct recalling;

struct lifecycle {
    struct lifecycle_settings settings;
    struct lifecycle_sources sources;
    struct store *store;
    struct engine *engine;

    struct map *jobs;     /* id -> job */
    struct map *names;    /* project id + name -> newest job of the name */
    struct map *attempts; /* attempt id -> job, while the attempt lives */
    struct map *tasks; /* the same by the ids of tasks, of which a single one has the attempt's */
    struct map *final_versions; /* of final workloads that were updated: id -> version */
    struct queue_order queue;
    struct turns turns;
    VEC(struct node_use) nodes;
    VEC(const struct node *) node_list; /* the same nodes, for callers */
    VEC(struct flavor *) flavors;
    VEC(struct storage_node) storage_nodes;
    struct map *shapes_admitted; /* shapes that can ever fit, by their text */

    VEC(struct org *) orgs;
    VEC(struct project *) projects;
    struct map *projects_by_name, *projects_by_id;
    VEC(struct key *) keys;
    struct map *keys_by_hash;
    VEC(struct secret *) secrets;
    struct map *tags;                       /* by subject: what has no record for them */
    VEC(const struct secret *) secret_list; /* of the project last asked for */
    VEC(struct dataset *) datasets;         /* by project and name */
    VEC(const struct dataset *) dataset_list;
    struct puller *puller; /* NULL: only `host` */
    VEC(struct image_record *) images;
    bool collect_wanted;                         /* layers may have lost their last record */
    VEC(const struct image_record *) image_list; /* of the project last asked for */
    struct pusher *pusher;                       /* NULL: nothing is pushed */
    VEC(struct image_push_record *) pushes;      /* of the moment; oldest first */
    unsigned next_range;

    struct map *arrays;                 /* by id, while one of their jobs lives */
    VEC(struct array *) arrays_dirty;   /* for the next tick */
    struct map *targets;                /* what jobs wait for */
    VEC(struct id) recheck;             /* jobs whose dependencies the next tick looks at */
    VEC(struct store_outcome) outcomes; /* as they were loaded; until recovery is over */
    unsigned n_singletons;              /* jobs that wait for namesakes */

    struct planner *planner;
    struct planner_options plan_options; /* its own */
    int64_t plan_due_us;                 /* of sources.boot_us: a pass may decide otherwise then */
    uint64_t changes;                    /* of the queue and of what is free */
    struct expectation *expectation;     /* by which reasons are told; NULL: nobody looked yet */

    VEC(struct timer) timers;  /* a heap, earliest first */
    bool pass_wanted;          /* over the whole queue */
    int64_t last_time_us;      /* of the last event */
    int64_t eligible_floor_us; /* back-offs up to here are over, whatever the wall clock says */

    struct commit *commits; /* under way */
    struct forgetting *forgetting;
    struct history *run_times;   /* of projects */
    struct recalling *recalling; /* the store owes an answer; NULL: it does not */
    void (*wake)(void *userdata);
    void *wake_userdata;
    void (*committed)(void *userdata, const struct event *event);
    void *committed_userdata;
    struct map *machines; /* by name; struct member */
    struct bookings *bookings;
    struct lifecycle_task_listener task_listener;
};

/* ---- live.c ---- */
struct job *live_add(struct lifecycle *lc,
                     struct workload *w); /* takes W; NULL: project is unknown */
/* Its last commit is done: forget it. */
void live_drop(struct lifecycle *lc, struct job *job);
void live_unref(struct job *job);
struct job *live_get(const struct lifecycle *lc, const struct id *workload);
/* The current attempt of JOB is known by its tasks from now on; until it ends. */
void live_begin_attempt(struct lifecycle *lc, struct job *job);
void live_end_attempt(struct lifecycle *lc, struct job *job);
/* The job of a live task and, unless NULL, its rank; NULL: there is none. */
struct job *live_task(const struct lifecycle *lc, const struct id *task, size_t *ret_rank);
/* The newest live job of the name; older ones are its same_name. */
struct job *live_named(const struct lifecycle *lc, const struct id *project, const char *name);
/* Where W stands or would stand. */
size_t queue_position(const struct queue_order *q, const struct workload *w);
void queue_insert(struct lifecycle *lc, struct job *job);
void queue_remove(struct lifecycle *lc, const struct job *job);
/* The same of one that begins: the planner knows. */
void queue_leave(struct lifecycle *lc, const struct job *job);
/* What holds JOB may have changed: if it is queued, its place in the queue learns it. */
void queue_hold(struct lifecycle *lc, struct job *job);
void live_done(struct lifecycle *lc);

/* ---- landing.c ---- */

/* The attempt has ended. Takes DATA and ARTIFACTS (which may be NULL); STORAGE by rank is what exit.json says, NULL:
 * nothing. */
void landing_begin(struct lifecycle *lc, struct job *job, json_t *data, struct manifest *artifacts,
                   const json_t *const *storage);
void landing_free(struct job *job);
/* The first uid of its project. */
uint32_t job_uid_base(const struct lifecycle *lc, const struct job *job);

/* ---- storage.c ---- */
/* What a task on that node is told: RET, which borrows, or NULL. */
struct task_storage *storage_for(struct lifecycle *lc, const char *node, struct task_storage *ret);
void storage_saw(struct lifecycle *lc, const char *node, const struct task_started *started);
void storage_done(struct lifecycle *lc);

/* ---- arrays.c ---- */
struct array *array_get(const struct lifecycle *lc, const struct id *id);
void array_join(struct lifecycle *lc, struct job *job);
void array_note_began(struct job *job);
void array_note_final(struct lifecycle *lc, struct job *job);
/* The next tick looks at it. */
void array_note_changed(struct lifecycle *lc, struct array *a);
/* Give turns while the limit lets. */
void array_fill(struct lifecycle *lc, struct array *a);
bool array_holds(const struct job *job);
void arrays_tick(struct lifecycle *lc);
/* After loading: who has a turn already, before the queue is made; then turns for the others. */
void arrays_recover(struct lifecycle *lc);
void arrays_start(struct lifecycle *lc);
void arrays_done(struct lifecycle *lc);

/* ---- waits.c ---- */
/* What JOB waits for that is no hardware, in words; NULL: nothing. */
const char *job_hold(const struct lifecycle *lc, const struct job *job);
/* The same with numbers, and the rule; owned by the caller; NULL: nothing. */
char *job_hold_why(const struct lifecycle *lc, const struct job *job, const char **ret_rule);
/* JOB comes into the queue for the first time. */
void waits_join(struct lifecycle *lc, struct job *job);
void waits_leave(struct lifecycle *lc, struct job *job);
/* JOB began, or became final; an array changed. */
void waits_note(struct lifecycle *lc, struct job *job);
void waits_note_array(struct lifecycle *lc, const struct array *a);
void waits_recheck(struct lifecycle *lc, const struct id *workload);
/* Does a job wait for this job or array? */
bool waits_name(const struct lifecycle *lc, const struct id *target, bool is_array);
/* Of what is not submitted yet. */
const char *waits_plan(const struct lifecycle *lc, const struct workload *w);
void waits_tick(struct lifecycle *lc);
void waits_done(struct lifecycle *lc);

/* ---- use.c ---- */
struct node_use *use_find(struct lifecycle *lc, const char *name);
/* Where a task of W runs: the node of that name, or the one of that boot id (a machine that was given
 * another name since). NULL: it is gone. */
struct node_use *use_of(struct lifecycle *lc, const struct workload *w, size_t rank);
void use_take(struct lifecycle *lc, struct job *job);
void use_take_task(struct lifecycle *lc, struct job *job, size_t rank);
void use_give_back(struct lifecycle *lc, struct job *job);
/* What a task of JOB was seen to use of its disk. */
void use_set_disk(struct lifecycle *lc, struct job *job, size_t rank, int64_t bytes);
void use_node_done(struct node_use *use);
void use_done(struct lifecycle *lc);

/* ---- outlook.c ---- */
/* Add "before" and "changes" to what why.c says of W, which waits or would wait (JSON has its "rule"); EXPECTATION is its own,
 * or NULL. */
void outlook_put(struct lifecycle *lc, const struct workload *w,
                 const struct expectation_job *expectation, json_t *json);

/* ---- plan.c ---- */
struct planner *plan_new(struct lifecycle *lc);
/* What orgs and projects weigh. */
void plan_weigh(struct lifecycle *lc);
/* JOB came into the queue. */
/* Who submitted W, among those of its project. */
struct id plan_user(const struct workload *w);
void plan_submit(struct lifecycle *lc, const struct job *job);
/* It runs already, or a machine on which it does became known. */
void plan_adopt(struct lifecycle *lc, const struct job *job);
/* A machine changed. */
void plan_node(struct lifecycle *lc, const struct node_use *use);
/* The wall clock; but no back-off that was over begins again when it is set back. */
int64_t plan_now(struct lifecycle *lc);

/* ---- run-times.c ---- */
/* W is over: if it ran to its own end, note how long. */
void run_times_note(struct lifecycle *lc, const struct workload *w);
/* After a start: what the store remembers. */
void run_times_recall(struct lifecycle *lc);
void run_times_done(struct lifecycle *lc);

/* ---- turns.c ---- */
/* So many jobs go before W, which waits or would wait. */
size_t turn_of(struct lifecycle *lc, const struct workload *w);
/* Who is at place I of those that wait. */
const struct workload *turn_at(struct lifecycle *lc, size_t i);
void turns_done(struct turns *turns);

/* ---- timer.c ---- */
void timer_add(struct lifecycle *lc, const struct timer *timer);
/* The earliest that is due; false when there is none. */
bool timer_take(struct lifecycle *lc, int64_t boot_us, struct timer *ret);

/* ---- commit.c ---- */
struct commit {
    struct lifecycle *lc; /* NULL: freed meanwhile */
    struct commit *prev, *next;
    struct store_batch *batch;
    struct job *job; /* with a reference; NULL: none */
    /* Runs after the commit, before DONE. */
    void (*effect)(struct lifecycle *lc, struct commit *commit);
    lifecycle_done_f done;
    lifecycle_ok_f ok;
    lifecycle_dataset_f dataset_done; /* of the dataset and version that DATASET names */
    struct id dataset;
    unsigned dataset_version;
    void *userdata;
    bool last;                 /* the job is final now */
    bool later;                /* nothing waits for it: it may go with the next */
    unsigned epoch;            /* of the attempt that the effect is for */
    int64_t grace_s;           /* of a stop */
    VEC(struct job *) started; /* of a pass, with references */
    VEC(unsigned) epochs;      /* theirs */
};
struct commit *commit_new(struct lifecycle *lc, struct job *job);
/* Stamp an event; DATA is taken. */
void commit_event(struct commit *c, struct event *event, const char *actor, json_t *data);
/* Fold an event into JOB's workload and put it into the batch; DATA is taken. The transition must be
 * legal. When it is a final one, the job leaves memory after the commit. */
void commit_fold(struct commit *c, struct job *job, enum workload_event type, const char *actor,
                 json_t *data);
/* Gives the commit away. */
void commit_send(struct commit *c);
void commits_orphan(struct lifecycle *lc);

int64_t lc_now(struct lifecycle *lc);
int64_t lc_boot(const struct lifecycle *lc);
struct id lc_new_id(const struct lifecycle *lc);
void lc_wake(const struct lifecycle *lc);
/* Something was freed, or may be: look at the whole queue. */
void lc_want_pass(struct lifecycle *lc);

/* ---- admit.c ---- */
/* Resolve the spec of SUBMIT in place; refuse what cannot be. */
int admit(struct lifecycle *lc, struct submit *submit, const struct project *project,
          struct error *err);

/* ---- submit.c ---- */
/* Free what SUBMIT handed over. */
void submit_done(struct submit *submit);

/* ---- act.c ---- */
/* Its `starting` is on the way to the store: what a launch needs may be made ready. */
void act_prepare(struct lifecycle *lc, struct job *job);
void act_launch(struct lifecycle *lc, struct job *job, unsigned epoch);
void act_attach(struct lifecycle *lc, struct job *job);
struct stop_order {
    enum end_cause cause;
    const char *actor;
    int64_t grace_s;
    json_t *more; /* of the event; taken, NULL: nothing */
};
void act_stop(struct lifecycle *lc, struct job *job, const struct stop_order *order,
              struct commit *c);
/* Tell the engine what was committed before. */
void act_stop_tasks(struct lifecycle *lc, struct job *job, int64_t grace_s);
/* The attempt is over without the engine's word. */
void act_lose(struct lifecycle *lc, struct job *job, enum end_cause cause, const char *reason);
/* DATA (taken) of EVENT_ENDED and, unless NULL, what it left: the attempt is over. */
void act_finish(struct lifecycle *lc, struct job *job, json_t *data,
                const struct manifest *artifacts);
/* How a task ended, as data of events; owned by the caller. */
json_t *act_ended_data(const struct task_exit *ex);
/* The manifest that ARTIFACTS of an exit names, owned by the caller; NULL when there is none. One that
 * cannot be read is a reason in DATA. */
struct manifest *act_load_artifacts(struct lifecycle *lc, const json_t *artifacts, json_t *data);
void act_arm_max_time(struct lifecycle *lc, const struct job *job);
void act_listen(struct lifecycle *lc);

/* ---- preempt.c ---- */
struct preemption {
    const char *actor;
    const struct workload *beneficiary; /* room is made for it; NULL: somebody's order */
    int64_t grace_s;                    /* -1: the job's */
};
/* Does JOB have an attempt that nobody asked to end yet? */
bool preempt_may(const struct job *job);
/* Stop JOB, which may; it is queued again when it has ended. Gives the commit away. */
void preempt(struct lifecycle *lc, struct job *job, const struct preemption *why, struct commit *c);
/* All that may and have a task on the machine of that name. */
void preempt_node(struct lifecycle *lc, const char *node, const char *actor);
/* Those that a plan stops. */
void preempt_planned(struct lifecycle *lc, const struct planner_plan *plan);
/* Of a job that is being preempted: for whom, and what becomes of it. Owned by the caller. */
char *preempt_stopping_text(const struct lifecycle *lc, const struct workload *w);
/* Of a queued job that waits for WAITS; NULL: it was not preempted last. Owned by the caller. */
char *preempt_queued_text(const struct lifecycle *lc, const struct workload *w, const char *waits);

/* ---- bookings.c ---- */
void bookings_take(struct lifecycle *lc, struct store_state *state);
void bookings_done(struct lifecycle *lc);
/* What is booked is added to SNAPSHOT. */
void bookings_put(const struct lifecycle *lc, struct snapshot *snapshot);
/* A machine came, went or changed. */
void bookings_see(struct lifecycle *lc, const char *node);
/* Something may have begun or ended. */
void bookings_fire(struct lifecycle *lc);

/* ---- fleet.c ---- */
/* A machine that runs nothing is gone. */
void fleet_drop(struct lifecycle *lc, const struct node_use *gone);

/* ---- machines.c ---- */
void machines_take(struct lifecycle *lc, struct store_state *state);
void machines_done(struct lifecycle *lc);
/* Those that joined and of which no engine speaks are shown, and get no work. */
void machines_show(struct lifecycle *lc);
/* What was decided about NODE holds. */
void machines_decide(struct lifecycle *lc, struct node *node);
/* Did a machine of that name join? */
bool machine_has_joined(const struct lifecycle *lc, const char *name);
extern const char machine_unused[]; /* its fault then */

/* ---- tasks.c ---- */
/* There are orders for it, or it is over. */
void task_changed(const struct lifecycle *lc, const struct id *task);
void task_next(const struct lifecycle *lc, const struct id *task, const struct id *next,
               const char *token);

/* ---- gang.c ---- */
struct gang *gang_new(const struct attempt *attempt);
void gang_free(struct gang *gang);
/* What task RANK is told of itself; ROLE stays W's. */
void gang_describe(const struct workload *w, size_t rank, struct task_gang *ret);
void gang_ready(struct lifecycle *lc, struct job *job, size_t rank, const char *address);
void gang_started(struct lifecycle *lc, struct job *job, size_t rank,
                  const struct task_started *started);
void gang_ended(struct lifecycle *lc, struct job *job, size_t rank, const struct task_exit *ex);
/* The machines of some tasks were lost: the end of these, which is nobody's report. */
void gang_lose(struct lifecycle *lc, struct job *job);
bool gang_lives(const struct job *job, size_t rank);

/* ---- forget.c ---- */
void forget(struct lifecycle *lc);
/* The engine's word about one. */
void forget_deleted(struct lifecycle *lc, const struct leftover *leftover, int r);
void forget_orphan(struct lifecycle *lc);

/* ---- place.c ---- */
json_t *record_make(const struct lifecycle *lc, const struct workload *w,
                    const struct allocation *allocation);

/* ---- datasets.c ---- */
void datasets_take(struct lifecycle *lc, struct store_state *state);
void datasets_done(struct lifecycle *lc);
/* Pin the versions that SPEC names; refuse what is not there. */
int datasets_admit(struct lifecycle *lc, struct workload_spec *spec, const struct id *project,
                   struct error *err);
/* A job was accepted: it reads these. */
void datasets_note_reads(struct commit *c, const struct workload *w);
/* The job succeeds: what the attempt collected becomes versions, in the same commit. DATA is that of
 * job.ended, and learns their numbers. */
void datasets_add_outputs(struct commit *c, const struct job *job, json_t *data);
void datasets_answer(struct lifecycle *lc, const struct commit *c);

/* ---- images.c ---- */
/* What W waits for before it can be placed, in words; NULL: its image is there. */
const char *images_hold(const struct lifecycle *lc, const struct workload *w);
/* The same with numbers; owned by the caller. */
char *images_why(const struct lifecycle *lc, const struct workload *w);
/* Resolve the image of a spec that is being admitted. */
int images_admit(struct lifecycle *lc, const struct id *project, struct workload_spec *spec,
                 struct error *err);
/* A job was queued: see that its image comes. */
void images_want(struct lifecycle *lc, const struct workload *w, const char *actor);
/* The image that W is pinned to; NULL: `host`, or it is gone. */
const struct image_record *images_of(const struct lifecycle *lc, const struct workload *w);
/* What a task away from the server fetches of it, if it is kept packed; borrowed. */
void images_describe_packed(const struct lifecycle *lc, const struct image_record *image,
                            struct task_image *ret);
void images_retry(struct lifecycle *lc, const struct id *id);
void images_take(struct lifecycle *lc, struct store_state *state);
/* After a restart: go on with what was on its way. */
void images_recover(struct lifecycle *lc);
void images_done(struct lifecycle *lc);
void images_collect(struct lifecycle *lc);
/* -EPERM: the operator does not let REGISTRY be asked. */
int image_check_registry(const struct lifecycle *lc, const char *registry, struct error *err);
/* The project's login for REFERENCE's registry, if it has one. Strings end with image_login_done(). */
struct image_login {
    char *text; /* of the sealed JSON */
    json_t *json;
    const char *username, *password; /* NULL: none */
};
void image_login_open(struct lifecycle *lc, const struct id *project, const char *reference,
                      struct image_login *ret);
void image_login_done(struct image_login *login);

/* ---- image-push.c ---- */
bool image_pushes_run(const struct lifecycle *lc);
void image_pushes_done(struct lifecycle *lc);

/* ---- shares.c ---- */
/* -EINVAL: names the field and what it must be; then the list is empty. */
int had_list_read(const json_t *json, struct had_list *ret, struct error *err);

/* ---- tenants.c, secrets.c ---- */
const struct project *project_get(const struct lifecycle *lc, const struct id *id);
void tenants_take(struct lifecycle *lc, struct store_state *state);
void tenants_done(struct lifecycle *lc);
/* Keep a value under any name; those that begin with '@' are Berth's own and no job can name them:
 * "@registry/HOST" is a login. */
int secret_keep(struct lifecycle *lc, const struct new_secret *new, lifecycle_ok_f done,
                void *userdata, struct error *err);
struct secret *secret_find(const struct lifecycle *lc, const struct id *project, const char *name);
bool spec_has_secrets(const struct workload_spec *spec);

void tags_take(struct lifecycle *lc, struct store_state *state);
void tags_done(struct lifecycle *lc);
int tags_check(const json_t *tags, struct error *err);
/* TAGS (NULL: none) with PATCH over them, where null removes. *RET is the caller's. */
int tags_merge(const json_t *tags, const json_t *patch, json_t **ret, struct error *err);
/* With a commit about SUBJECT: its tags, whole; it and its tags go. */
/* What is known of a machine by its name, in NODE. */
void tags_show(struct lifecycle *lc, struct node *node);
void tags_put(struct commit *c, const struct id *subject, const json_t *tags);
void tags_forget(struct commit *c, const struct id *subject);

#endif
