/* workload.h - what a workload is: its specification, its states, and how events change it
 *
 * Pure: no I/O, no clock. The heart is the pair
 *
 *     workload_apply(w, event)    folds one event into the state, the only way state changes
 *     lifecycle_act(w)            looks at the state and starts effects (lifecycle/)
 *
 * so that a restart is "fold, then act once" (after flux-core's job-manager/event.c).
 */
#ifndef WORKLOAD_WORKLOAD_H
#define WORKLOAD_WORKLOAD_H

#include "base/cleanup.h"
#include "base/cpu-set.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/event.h"
#include "base/huge-pages.h"
#include "base/id.h"
#include "base/json.h"

/* ---- specification: what the user asked for; immutable once accepted ------------------------- */

enum workload_kind { WORKLOAD_JOB, WORKLOAD_KIND_MAX };

enum source_kind { SOURCE_NONE, SOURCE_WORKSPACE, SOURCE_GIT };

struct port_spec {
    char *name;
    unsigned port;    /* inside */
    unsigned publish; /* host port on the publish address; 0: chosen by the kernel */
    bool published;   /* false: reachable through the gateway's socket only */
};

struct env_var {
    char *name;
    char *value;
    bool secret; /* VALUE is the name of a secret of the project */
};

/* A dataset that a job reads. Admission pins the version. */
struct dataset_mount {
    char *name;
    char *which;            /* "3", "sha256:…"; NULL: the newest */
    char *path;             /* where it is mounted, absolute */
    unsigned version;       /* 0 before admission */
    struct sha256 manifest; /* of that version */
};

/* A directory of /artifacts that becomes a version of a dataset when the job succeeds. */
struct dataset_output {
    char *name;
    char *path; /* below /artifacts; "" is all of it */
};

#define WORKLOAD_TASKS_MAX 4096 /* of an attempt */

/* Tasks of a gang that are the same, in the order of ranks. */
struct role_spec {
    char *name;
    unsigned count;
    char **command; /* NULL: the job's */
    bool service;   /* runs as long as the others do, and how it ends says nothing */
};

/* Where a job stands in a job array. Before admission only INDEXES is there, as it was asked for. */
struct array_place {
    struct id
        id; /* of the array: that of its first job. id_none: it only repeats one of an array */
    char *indexes; /* "0-99%10"; admitted: of the first job only, NULL of the others */
    unsigned index, count, first, last, step;
    unsigned limit; /* so many of them run at once; 0: any */
};

/* What a job waits for before it is placed. */
enum after_when {
    AFTER_OK,        /* it succeeded; an array: all of it */
    AFTER_ANY,       /* it ended */
    AFTER_NOT_OK,    /* it ended, and did not succeed; an array: not all of it */
    AFTER_START,     /* it began, or will never */
    AFTER_EACH,      /* of an array: its job of the same index succeeded */
    AFTER_SINGLETON, /* no older job of the project with the same name is left */
    AFTER_WHEN_MAX,
    AFTER_WHEN_INVALID = -22,
};

struct dependency {
    enum after_when when;
    int64_t delay_s; /* AFTER_START: and so long has passed since */
    char *name;      /* of the job or array, as it was asked for; NULL for a singleton */
    struct id job;   /* the job or the array; id_none before admission */
    bool is_array;   /* JOB is one */
    bool is_pinned;  /* JOB is known */
    bool has_ended;  /* found so when it was looked up; not kept */
    bool has_failed; /* it did not succeed, or one of it did not; not kept */
    int64_t
        begun_us; /* of what has ended: when it began, or ended without; 0: not known; not kept */
};

/* What all machines of a job have in common: the fabric between them. */
enum within { WITHIN_ANY, WITHIN_SITE, WITHIN_BLOCK, WITHIN_LEAF, WITHIN_MAX };
/* "leaf"; NULL: any. */
const char *within_name(enum within within);

/* The machines that will do for a job. */
struct machine_rules {
    char **names;   /* on these; NULL: on any */
    char **without; /* and not on these; NULL: none */
    char **
        tags; /* each "KEY" or "KEY=VALUE" of its tags, or several with '|' of which one is enough */
    bool exclusive; /* all cores of a machine on which nothing else runs */
    enum within within;
};

struct workload_spec {
    enum workload_kind kind;
    char *image; /* "host", or a reference (data/image.h) */
    bool image_pinned;
    struct sha256 image_digest; /* what IMAGE meant when it was looked up */
    char **command;             /* NULL-terminated argv; without words: the image's own */
    enum source_kind source;
    struct sha256 workspace; /* manifest, for SOURCE_WORKSPACE */
    char *git_url, *git_ref; /* for SOURCE_GIT */
    char *git_commit; /* of a workspace that is a git checkout, for the record; may be NULL */
    char *flavor;     /* NULL: cores and memory_bytes were given */
    unsigned cores;   /* resolved at admission from the flavor */
    int64_t memory_bytes;
    int64_t disk_bytes;
    unsigned gpus;
    unsigned gpu_milli; /* of its one GPU, which tasks of its org share; 0: GPUs are its own */
    char *gpu_model;
    char **devices; /* CDI names of the GPUs that it must be, as many as GPUS; NULL: any */
    unsigned pids;
    struct huge_pages huge_pages; /* of the flavor, as are the next four */
    bool rdma;
    bool numa_strict; /* cores, memory and GPUs of as few NUMA nodes as can hold them, or nothing */
    bool network_optimised; /* and a NIC for RDMA on each of these */
    bool splits_islands;    /* others' tasks may have GPUs of the same NVLink island */
    bool shared;
    struct env_var *env;
    size_t n_env;
    struct port_spec *ports;
    size_t n_ports;
    struct dataset_mount *datasets;
    size_t n_datasets;
    struct dataset_output *outputs;
    size_t n_outputs;
    unsigned nodes;          /* groups of tasks, each with a network of its own; at least 1 */
    unsigned tasks_per_node; /* at least 1; what the hardware above is for. With MPI: its ranks */
    bool mpi;                /* a node is one task, in which Berth's agent starts ranks */
    struct role_spec *roles; /* together as many as there are tasks; NULL: all are the same */
    size_t n_roles;
    char *network;      /* "egress", "none", or NULL: the operator's default */
    int64_t max_time_s; /* 0: none */
    unsigned retries_max;
    int64_t retry_backoff_s; /* doubled for each retry, at most an hour */
    int checkpoint_signal;   /* 0: none */
    int64_t grace_s; /* SIGTERM to SIGKILL; -1: the operator's default (not after admission) */
    bool preemptible;
    struct array_place *array; /* NULL: it is a job of its own */
    struct dependency *after;
    size_t n_after;
    bool after_any;   /* one of AFTER is enough */
    bool hold_never;  /* a dependency that can no longer be met holds the job; else it ends it */
    int64_t begin_us; /* not before; 0: at once */
    struct machine_rules machines;
};

/* JSON of the form that src/api/job.json declares (job_request without name, tags and priority), plus
 * what admission resolved ("pids", "rdma", "shared"). Checks what crosses fields; errors
 * begin with the field's path. Sizes and durations may be numbers or text ("2Gi", "90m"). */
int workload_spec_from_json(const json_t *json, struct workload_spec **ret, struct error *err);
json_t *workload_spec_to_json(const struct workload_spec *spec);
void workload_spec_free(struct workload_spec *spec);
DEFINE_CLEANUP(struct workload_spec *, workload_spec_free);

/* Of a specification what decides where and when it runs, and nothing of what it does: no command, no environment, no data.
 * What is read may be any specification; the rest of it is passed over. */
json_t *workload_wishes_to_json(const struct workload_spec *spec);
/* Owned by the caller, who may give it to another thread. */
struct workload_spec *workload_wishes_copy(const struct workload_spec *spec);
int workload_wishes_from_json(const json_t *json, struct workload_spec **ret, struct error *err);

unsigned workload_spec_n_tasks(const struct workload_spec *spec);
/* Is a part of a GPU, if that is asked for, for a task that has its node's group to itself? */
int workload_spec_check_part(const struct workload_spec *spec, struct error *err);
/* GPUs of a task, in thousandths. */
int64_t workload_spec_gpu_milli(const struct workload_spec *spec);
unsigned workload_spec_task_cores(const struct workload_spec *spec);
/* Do its tasks know of each other? A single one may, too. */
bool workload_spec_is_gang(const struct workload_spec *spec);
struct task_place {
    unsigned node_rank, local_rank, local_size;
    const struct role_spec *role; /* borrowed; NULL: none */
    unsigned role_rank;
    bool is_service;
};
void workload_spec_place(const struct workload_spec *spec, unsigned rank, struct task_place *ret);

/* ---- arrays ---------------------------------------------------------------------------------- */

/* "0-15:4,20%2": indexes, ascending and without doubles. Owned by the caller also on failure. */
struct array_indexes {
    unsigned *list;
    size_t n;
    unsigned step;  /* of one range; 1 of all else */
    unsigned limit; /* 0: none */
};
int array_indexes_parse(const char *text, struct array_indexes *ret, struct error *err);
void array_indexes_done(struct array_indexes *indexes);

struct array_place *array_place_copy(const struct array_place *place);
void array_place_free(struct array_place *place);

const char *after_when_name(enum after_when when);

/* ---- state ----------------------------------------------------------------------------------- */

enum workload_state {
    WORKLOAD_SUBMITTED,
    WORKLOAD_QUEUED,
    WORKLOAD_STARTING,
    WORKLOAD_RUNNING,
    WORKLOAD_STOPPING,
    WORKLOAD_SUCCEEDED,
    WORKLOAD_FAILED,
    WORKLOAD_STOPPED,
    WORKLOAD_STATE_MAX,
    WORKLOAD_STATE_INVALID = -22,
};

const char *workload_state_name(enum workload_state state);
enum workload_state workload_state_parse(const char *name);
bool workload_state_is_final(enum workload_state state);

/* The exact hardware of a task. */
/* What a task has of a NUMA node beside cores. */
struct numa_part {
    unsigned numa;        /* kernel number */
    int64_t memory_bytes; /* without the huge pages */
    struct huge_pages huge_pages;
};

struct allocation {
    char *node; /* name */
    struct cpu_set cpus;
    struct cpu_set mems; /* NUMA nodes */
    int64_t memory_bytes;
    int64_t disk_bytes;
    struct numa_part
        *parts; /* that make up the memory, and hold its huge pages; NULL: nobody counted */
    size_t n_parts;
    char **gpus;        /* UUIDs, NULL-terminated; NULL when none */
    char **devices;     /* the CDI devices that give them to a container, one each; "=INDEX": of the
                       machine's own kind */
    unsigned gpu_milli; /* of its one GPU, which it shares; 0: GPUs are its own */
    char **nics;        /* one name for each virtual function; NULL: it has none of its own */
    unsigned partition; /* of the fabric manager, that its GPUs lie in */
    bool in_partition;
    bool splits_islands; /* by the rule of its flavor */
    bool shared;
};

void allocation_free(struct allocation *a);
DEFINE_CLEANUP(struct allocation *, allocation_free);
/* Of how many GPUs it has how much, in thousandths. */
int64_t allocation_gpu_milli(const struct allocation *a);
struct allocation *allocation_copy(const struct allocation *a);
json_t *allocation_to_json(const struct allocation *a);
int allocation_from_json(const json_t *json, struct allocation **ret, struct error *err);

/* Why an attempt ended; names are what the API shows and retries look at. */
enum end_cause {
    END_NONE,
    END_EXITED,   /* exit_code says how */
    END_SIGNALED, /* 128 + signal */
    END_OUT_OF_MEMORY,
    END_DISK_LIMIT,
    END_MAX_TIME,
    END_STOPPED,      /* somebody asked */
    END_START_FAILED, /* the container could not be made; reason says why */
    END_SUPERVISOR_LOST,
    END_NODE_LOST,  /* rebooted */
    END_GANG,       /* another task of the gang failed, or only services were left */
    END_DEPENDENCY, /* what it waited for can never be */
    END_PREEMPTED, /* to make room for another job, or because an operator said so: it goes on later */
    END_CAUSE_MAX,
    END_CAUSE_INVALID = -22,
};

const char *end_cause_name(enum end_cause cause);
enum end_cause end_cause_parse(const char *name);

/* A task of a gang; its rank is its place in the attempt. */
struct attempt_task {
    struct id id; /* of rank 0: the attempt's */
    unsigned node_rank, local_rank, role_rank;
    char *role; /* NULL: none */
    bool is_service;
    struct allocation *allocation;
    char *boot_id; /* of its node when it was placed; NULL: unknown */
    int64_t started_us, ended_us;
    enum end_cause cause; /* END_NONE: it has not ended */
    int exit_code;
    char *reason;
    json_t *evidence, *usage;
};

/* One try to run the workload. Of a gang, ALLOCATION and EVIDENCE are those of rank 0. */
struct attempt {
    struct id id;
    struct id workload;
    unsigned number; /* from 1 */
    unsigned epoch;  /* fencing: grows with each attempt of the workload */
    enum workload_state state;
    struct allocation *allocation;
    int64_t created_us;
    int64_t started_us; /* first instruction of the command; 0 before */
    int64_t ended_us;
    enum end_cause cause;
    int exit_code; /* what `berth run` gives; -1 while there is none */
    char *reason;  /* words for people; NULL when the exit code says it all */
    json_t
        *record; /* reproducibility: image digest, workspace, commit, hardware, driver, version */
    json_t *evidence;           /* what was read back from the kernel after start; host ports */
    json_t *artifacts;          /* {"count", "bytes", "manifest"} once collected */
    json_t *usage;              /* cpu seconds, peak memory, log bytes and lines */
    struct attempt_task *tasks; /* of a gang; NULL: the attempt is its own only task */
    size_t n_tasks;
    int failed_rank; /* the first task that failed; -1: none did */
};

/* Tasks by rank, of a gang or not. */
size_t attempt_n_tasks(const struct attempt *a);
const struct id *attempt_task_id(const struct attempt *a, size_t rank);
const struct allocation *attempt_task_allocation(const struct attempt *a, size_t rank);
const char *attempt_task_boot_id(const struct attempt *a, size_t rank); /* NULL: unknown */
bool attempt_task_failed(const struct attempt_task *task);
/* All of it; and what is to be said of one in events has the same form. */
json_t *attempt_task_to_json(const struct attempt_task *task, size_t rank);

void attempt_free(struct attempt *attempt);
DEFINE_CLEANUP(struct attempt *, attempt_free);
json_t *attempt_to_json(const struct attempt *attempt);
/* The inverse, for stores: every field is kept. */
int attempt_from_json(const json_t *json, struct attempt **ret, struct error *err);

#define WORKLOAD_STEADY_US (INT64_C(3600) * 1000000)

struct workload {
    struct id id;
    struct id project;
    char *name;
    char *
        user; /* who submitted it, as events name actors: "key:NAME", "user:UID"; NULL: of before this was kept */
    enum workload_state state;
    struct workload_spec *spec;
    struct id rerun_of; /* the job that it repeats; id_none: it stands for itself */
    json_t *tags;       /* object of strings, never NULL */
    int priority;       /* higher first; -1000 to 1000 */
    uint64_t version;   /* events folded so far: the ETag */
    int64_t created_us;
    int64_t eligible_us; /* queued: not before this (retry back-off) */
    int64_t queued_us;   /* it came into the queue last */
    int64_t started_us;  /* of the current attempt */
    int64_t ended_us;
    int64_t updated_us;
    int64_t ran_us; /* in attempts that have ended */
    bool stop_requested;
    enum end_cause stop_cause; /* why it is stopping: END_STOPPED, END_MAX_TIME, … */
    int64_t stop_grace_s;      /* what it got then to end by itself */
    enum end_cause cause;      /* of the last attempt that ended */
    int exit_code;             /* -1 while there is none */
    char *reason;
    unsigned attempts;    /* begun so far */
    unsigned preemptions; /* so many of them ended as workload_is_preempted() says: no retries */
    struct id
        preempted_for; /* the job of the same project that the last was stopped for; id_none: an
                                operator's order, or a job of another project */
    /* Since an attempt ran for WORKLOAD_STEADY_US: how often it came back because it failed, and how many others
     * were stopped for it. Who fails over and over is not to take from others over and over. */
    unsigned returns, stops;
    struct attempt *attempt; /* current or last; NULL before the first */
    /* Of the first job of an array, where a store read it: how many jobs of the array are in each state.
     * WORKLOAD_STATE_MAX numbers, no part of the record; NULL: not counted. */
    unsigned *array_states;
};

/* Is it one of an array? Is it the one that stands for the whole? */
bool workload_in_array(const struct workload *w);
bool workload_heads_array(const struct workload *w);
/* Does TEXT, which led to W, mean all of the array and not W alone? */
bool workload_means_array(const struct workload *w, const char *text);
/* "sweep" of sweep_3; owned by the caller. */
char *workload_array_name(const struct workload *w);
/* The name that it is found by: that of the array for the job which stands for it. Owned by the caller. */
char *workload_listed_name(const struct workload *w);
/* "of 10 jobs 2 running, 8 queued"; owned by the caller. */
char *workload_array_text(const struct workload *w);
/* "sweep_3" to "sweep" (owned by the caller) and 3; NULL: TEXT has no such end. */
char *array_text_split(const char *text, unsigned *ret_index);
/* The state of an array of which so many jobs are in each: what is under way counts before what waits,
 * then what failed, was stopped, succeeded. */
enum workload_state array_state(const unsigned states[static WORKLOAD_STATE_MAX]);

void workload_free(struct workload *w);
DEFINE_CLEANUP(struct workload *, workload_free);

/* What the API shows of a job. With WITH_SPEC also its specification (secrets by name). */
json_t *workload_to_json(const struct workload *w, bool with_spec);
/* The same of a whole array, from the job that heads it, with its states. */
json_t *workload_array_to_json(const struct workload *w, bool with_spec);

/* Every field, for stores: attempt included, and back. */
json_t *workload_to_record(const struct workload *w);
int workload_from_record(const json_t *json, struct workload **ret, struct error *err);

/* What a deleted workload leaves on its node: the directory of an attempt or, without one (id_none), its
 * results. */
struct leftover {
    struct id project, workload, attempt;
};

/* [{"field": "env.SEED", "a", "b"}]: where two records differ; a side that has no such field is left out.
 * Owned by the caller. Pure. */
json_t *record_diff(const json_t *a, const json_t *b);

/* ---- events ---------------------------------------------------------------------------------- */

enum workload_event {
    EVENT_SUBMITTED,      /* data: name, spec, tags, priority */
    EVENT_QUEUED,         /* data: eligible_us, [attempt that failed before: cause, reason] */
    EVENT_STARTING,       /* data: attempt id, number, epoch, allocation, record, [tasks],
                             [stopped: so many others were for it] */
    EVENT_RUNNING,        /* data: started_us, evidence, [tasks: all of a gang run] */
    EVENT_STOP_REQUESTED, /* data: cause, [by], grace_s, [failed_rank, tasks: the first that failed],
                             [for: a preemption's job] */
    EVENT_ENDED, /* data: cause, exit_code, reason, ended_us, artifacts, usage, [tasks]: the attempt is
                             over; the next event says what becomes of the workload */
    EVENT_SUCCEEDED,
    EVENT_FAILED,
    EVENT_STOPPED,
    EVENT_PINNED,  /* data: image_digest */
    EVENT_UPDATED, /* data: tags, priority (those that changed) */
    EVENT_DELETED, /* final states only: rows go, the event stays */
    WORKLOAD_EVENT_MAX,
    WORKLOAD_EVENT_INVALID = -22,
};

/* "job.submitted" … and back. */
const char *workload_event_name(enum workload_event type);
enum workload_event workload_event_parse(const char *name);

/* A row may ask something of the current attempt. */
enum attempt_guard {
    ATTEMPT_ANY,
    ATTEMPT_LIVE,  /* begun and not ended */
    ATTEMPT_ENDED, /* EVENT_ENDED was folded */
};

/* One row of the state machine: docs are printed from it. */
struct workload_transition {
    enum workload_state from; /* WORKLOAD_STATE_INVALID: before the first event */
    enum workload_event event;
    enum workload_state to;
    enum attempt_guard guard;
};

extern const struct workload_transition workload_transitions[];
extern const size_t workload_n_transitions;
/* The table as a state diagram in Mermaid's syntax. Owned by the caller. */
char *workload_transitions_diagram(void);

/* Fold EVENT into *W. EVENT_SUBMITTED creates it (*W is NULL before), EVENT_DELETED frees it and sets
 * *W to NULL. -EPROTO when the table has no such transition or the data is not of its form: nothing
 * is changed then. */
int workload_apply(struct workload **w, const struct event *event, struct error *err);
/* Is there a current attempt that has begun and not ended? */
bool workload_has_live_attempt(const struct workload *w);

/* Did the attempt end because others go first, by Berth's order or by a site's where the job is
 * preemptible? Then W waits for its next one in its old place, and no retry is used up. */
bool workload_is_preempted(const struct workload *w, enum end_cause cause);
/* Should an attempt that ended so be retried, and how long is the back-off? false: no more. */
bool workload_may_retry(const struct workload *w, enum end_cause cause, int64_t *ret_backoff_s);
/* The event that says what becomes of W now that its attempt has ended so, if it is not retried. */
enum workload_event workload_outcome(const struct workload *w, enum end_cause cause, int exit_code);
/* How it ended, in words: "the command ended with exit code 3". Owned by the caller. */
char *workload_end_text(enum end_cause cause, int exit_code, const char *reason);

#endif
