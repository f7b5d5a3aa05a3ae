/* task.h - the attempt directory: what the server writes for a supervisor and what it reads back
 *
 * DESIGN 5b. STATE/attempts/ID/ holds
 *
 *     spec.json   struct task_spec, written by the engine after `starting` is committed
 *     lock        flock held by the supervisor for life
 *     ready       struct task_ready, written once by rename: a task of a gang waits for its peers
 *     peers       the list of them (see below), written by the engine before it says `go`
 *     started     struct task_started, written once by rename when the command runs
 *     log         raw bytes of stdout and stderr in arrival order
 *     log.idx     struct log_record, fixed size, one per LOG_RECORD_LINES lines or second
 *     charts      one line of canonical JSON per chart point: {"chart","x","y",labels…,"t"}
 *     left        empty; of a gang: its command has ended (the last on a machine collects for all)
 *     collecting  empty; made when results begin to become blobs, which nobody knows of before the end
 *     exit.json   struct task_exit, fsync and rename: the only source of exit codes
 *     sock        the supervisor's control socket (SOCK_SEQPACKET, JSON messages)
 *     sock.d/PORT unix sockets, one per named port
 *
 * locked = alive, re-attach; exit.json = finish; unlocked and no `started` = launch again; unlocked
 * and started = lost. Readers accept the previous format version. This folder knows the records
 * (pure parse and format); executor/ writes them, engine/local reads them, api/ serves the logs.
 */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "task/home.h"
#include "task/layers.h"
#include "task/slurm-job.h"
#include "workload/workload.h"

#ifndef TASK_FORMAT_VERSION /* tests build the next one as well */
#define TASK_FORMAT_VERSION 1
#endif

/* Is a record of format VERSION readable here: of this format or the one before? Fields that are not
 * known are no obstacle; -EPROTONOSUPPORT otherwise. */
int task_version_check(int64_t version, struct error *err);

/* An image whose layers are unpacked (task/layers.h). */
struct task_image {
    char *name;
    struct sha256 digest;
    struct sha256 *layers; /* lowest first */
    size_t n_layers;
    json_t *config; /* of data/image.h's record */
    /* Of a task away from the server: the packed layers, which home gives, and what may become of one of them at
     * most. NULL: the layers are where the task is. */
    struct sha256 *blobs;
    int64_t *blob_sizes;
    int64_t entries_max, bytes_max, ratio_max;
};

/* A file system that every machine has (os/volume.h): /storage lies in ROOT/PROJECT/storage. */
struct task_storage {
    char *root, *mark;
    bool measure; /* how fast it is where the task runs goes into its evidence: "storage" */
};

/* /storage where the nodes share none: what it is at the start comes by digest, what the task changes goes home
 * (storage/storage.h). The server says that it is so; the rest is the courier's. */
struct task_push {
    char *list;      /* digest of what it is, in hex; NULL: it is empty */
    int64_t bytes;   /* so many were sent for it, */
    int64_t time_us; /* in so long */
};

/* A task of several: who it is among them. */
struct task_gang {
    struct id attempt;               /* of all: the id of rank 0's task */
    unsigned rank, world_size;       /* among all */
    unsigned local_rank, local_size; /* among those of its group, which share a network namespace */
    unsigned node_rank, n_nodes;     /* its group */
    char *role;                      /* NULL: none */
    unsigned role_rank, role_size;   /* among those of its role; 0 without one */
    bool is_service;                 /* runs as long as the others do */
    unsigned master_port;            /* of rank 0's address, for torch.distributed and the like */
};

int task_gang_from_json(const json_t *json, struct task_gang **ret, struct error *err);
json_t *task_gang_to_json(const struct task_gang *gang);
void task_gang_free(struct task_gang *gang);
DEFINE_CLEANUP(struct task_gang *, task_gang_free);

/* Everything a supervisor needs to run one task. No secret values: names only. ATTEMPT is the task's
 * id, which is the attempt's for a task that is alone and for rank 0. */
struct task_spec {
    struct id attempt, workload, project;
    char *project_name, *workload_name;
    unsigned number, epoch;
    char *
        account; /* whose jobs the tasks are on a cluster (task/slurm-job.h); NULL: the server's own */
    uint32_t uid_base; /* first uid of the project's range */
    unsigned range;    /* index of the range: network/ derives addresses from it */
    struct workload_spec *workload_spec;
    struct allocation *allocation;
    char *network;         /* resolved: "egress" or "none" */
    char *publish_address; /* where published ports are bound: "127.0.0.1" */
    char
        *workspace_tree; /* manifest digest in hex; NULL: none. Made by the supervisor from blobs */
    bool has_secrets;    /* fetch them over API_SOCKET with the token passed by descriptor */
    char *api_socket;
    int64_t log_limit_bytes;  /* the log's own cap; a marker line says that it was reached */
    bool resume;              /* attempt > 1 */
    bool is_away;             /* /artifacts is of this attempt on this machine, until it is home, */
    char *artifacts;          /* and begins with what this manifest names; NULL: it is empty */
    struct task_image *image; /* NULL: `host` */
    struct task_gang *gang;   /* NULL: the task is alone */
    struct task_storage *storage; /* a file system that all machines have; NULL: none */
    struct task_push *push;       /* NULL: /storage is STORAGE, or the machine's own */
};

/* INDICES ("0,2", as batch systems say) are the GPUs that the task has on its machine, in place of those
 * that were placed: as many, of the same kind; of "=INDEX" the machine knows it. Pure; -ENODEV. */
int task_spec_take_gpus(struct task_spec *spec, const char *indices, struct error *err);
int task_spec_from_json(const json_t *json, struct task_spec **ret, struct error *err);
json_t *task_spec_to_json(const struct task_spec *spec);
void task_spec_free(struct task_spec *spec);
/* image.c: for spec.json. */
json_t *task_image_to_json(const struct task_image *image);
int task_image_from_json(const json_t *json, struct task_image **ret, struct error *err);
void task_image_free(struct task_image *image);
DEFINE_CLEANUP(struct task_image *, task_image_free);
DEFINE_CLEANUP(struct task_spec *, task_spec_free);

/* All is made, nothing runs; peers reach it at ADDRESS. */
struct task_ready {
    unsigned epoch;
    char *address; /* of IP, without a port */
};
#define TASK_ADDRESS_MAX 45

int task_ready_from_json(const json_t *json, struct task_ready **ret, struct error *err);
json_t *task_ready_to_json(const struct task_ready *ready);
void task_ready_free(struct task_ready *ready);
DEFINE_CLEANUP(struct task_ready *, task_ready_free);

/* One item of the list of peers, which holds every task of the gang in the order of ranks:
 * {"task","attempt","rank","world_size","local_rank","local_size","node_rank","n_nodes",
 *  ["role","role_rank","role_size"],"master_port","node","address"}. Borrows all. */
struct task_peer {
    struct id task;
    struct task_gang gang;
    const char *node, *address;
};
json_t *task_peer_to_json(const struct task_peer *peer);

/* What the engine tells a task that is ready: {"op":"go","secret":SECRET}, once `peers` is written. */
struct task_go {
    const json_t *peers; /* borrowed, like SECRET */
    const char *secret;  /* 64 hex digits that only the gang's tasks know; never on disk */
};

/* The evidence read back from the kernel. */
struct task_started {
    unsigned epoch;
    int64_t started_us;
    char *boot_id;
    json_t *evidence; /* {"cpus","mems","memory_bytes","pids","cgroup","uid_base","init_pid",
                         "image_digest","git_commit","address","ports":{NAME:{"host","port"}}} */
};

int task_started_from_json(const json_t *json, struct task_started **ret, struct error *err);
json_t *task_started_to_json(const struct task_started *started);
void task_started_free(struct task_started *started);
DEFINE_CLEANUP(struct task_started *, task_started_free);

struct task_exit {
    unsigned epoch;
    enum end_cause cause;
    int exit_code; /* -1: none */
    char *reason;  /* words for people; NULL */
    char *hint;    /* "the job could not reach the network: …"; NULL */
    int64_t started_us, ended_us;
    json_t *artifacts; /* {"count","bytes","manifest": digest of the canonical manifest, stored as a
                          blob}; NULL: none */
    json_t *
        storage; /* what it did to /storage, if that was pushed: {"manifest": as storage_changes() makes
                          it,"files","bytes","left_out"} or {"error"}; NULL: nothing */
    json_t *usage; /* {"cpu_seconds","memory_peak_bytes","log_bytes","log_lines","chart_points",
                          "duration_seconds"} */
};

int task_exit_from_json(const json_t *json, struct task_exit **ret, struct error *err);
json_t *task_exit_to_json(const struct task_exit *ex);
void task_exit_free(struct task_exit *ex);
DEFINE_CLEANUP(struct task_exit *, task_exit_free);

/* log.idx: where line LINE (from 0) begins, for resuming by line number and for times; and where the other stream
 * begins, also within a line. What lies between two records is all of one stream. A record is written before the bytes
 * that it is of. Little endian on disk. */
#define LOG_RECORD_LINES 1024             /* a record is due after so many lines, */
#define LOG_RECORD_US    INT64_C(1000000) /* or so much time */

enum log_stream { LOG_STDOUT, LOG_STDERR };
enum {
    LOG_RECORD_EXACT = 1,    /* no change of the stream is left out; was not so of old */
    LOG_RECORD_MID_LINE = 2, /* LINE began before */
};
struct log_record {
    uint64_t offset;
    uint64_t line;
    int64_t time_us;
    uint8_t stream;
    uint8_t flags;
    uint8_t reserved[6];
};
_Static_assert(sizeof(struct log_record) == 32, "log.idx is a format on disk");
void log_record_encode(const struct log_record *record, uint8_t ret[static 32]);
void log_record_decode(const uint8_t bytes[static 32], struct log_record *ret);

/* ---- the launcher's socket: what the engine may ask root for --------------------------------- */

enum launcher_op {
    /* Start the attempt whose spec.json is written. Descriptors: the supervisor's end of a
     * SOCK_SEQPACKET pair, then, with LAUNCHER_HAS_TOKEN, one from which the token is read. */
    LAUNCHER_START = 1,
    /* SIGKILL the supervisor (and with it the container), then as LAUNCHER_CLEAN. */
    LAUNCHER_KILL,
    /* Remove what an attempt without a supervisor left: processes, cgroups, its writable layer. */
    LAUNCHER_CLEAN,
    /* LAUNCHER_CLEAN for every attempt that is not in the list. Descriptor: a file with COUNT ids
     * of 16 bytes. */
    LAUNCHER_SWEEP,
    /* Remove for good what was deleted: the directory of ATTEMPT or, without one, the results of
     * WORKLOAD. Answered when it has no name any more; its blocks are freed in the background. */
    LAUNCHER_DELETE,
    /* Tell Slurm's sbatch or scancel as another account. Descriptors: a file with struct slurm_job_order
     * (task/slurm-job.h), and one that takes what the command says. Answered when that has ended, with its
     * exit code; 128 and more: a signal ended it. */
    LAUNCHER_SLURM,
};

enum {
    LAUNCHER_HAS_TOKEN = 1,
    /* Make all ready, and run nothing before {"op":"go"}; end when the peer does. A task of a gang waits
     * for `go` without being asked to, and whatever becomes of its peer. */
    LAUNCHER_HOLD = 2,
    /* For a process in a step of a batch system: all stays in its control groups and ends with the peer.
     * The second descriptor holds the values of secrets. */
    LAUNCHER_STEP = 4,
};

/* The first packet to who connects to the launcher of a node: STATE, where the attempt's directory is made.
 * Then LAUNCHER_START and its answer. */
struct launcher_hello {
    char state[1024];
};

/* One packet each way, of fixed size. SERIAL comes back in the answer. */
struct launcher_request {
    uint32_t op;
    uint32_t flags;
    uint64_t serial;
    struct id attempt, project, workload;
    uint32_t epoch;
    uint32_t uid_base;
    uint32_t range;
    uint32_t count;
    uint32_t pid;     /* LAUNCHER_STEP: of that process; 0 from itself */
    char address[46]; /* LAUNCHER_STEP: of this machine, for the tasks of a gang */
};

/* LAUNCHER_START is answered when the supervisor is there; what becomes of it comes by its pair. */
struct launcher_answer {
    uint32_t op;
    int32_t code; /* 0 or negative errno; of LAUNCHER_SLURM also an exit code */
    uint64_t serial;
    struct id attempt, workload;
    char text[200];
};

/* Is the request of its form? TOP is the first uid of range 0. Pure. */
int launcher_request_check(const struct launcher_request *request, uint32_t uid_first,
                           struct error *err);

/* ---- charts ---------------------------------------------------------------------------------- */

#define CHART_LINE_MAX 4096

/* One line of stdout: is it a chart point? Pure, bounded (a line above CHART_LINE_MAX is none). 0: a point,
 * RET (owned by the caller) is normalised with "chart", "x" and "y" first; 1: just a log line.
 * COUNTERS keeps the x of charts that leave it out. */
struct chart_counters;
struct chart_counters *chart_counters_new(void);
void chart_counters_free(struct chart_counters *c);
DEFINE_CLEANUP(struct chart_counters *, chart_counters_free);
int chart_parse(const char *line, size_t len, struct chart_counters *counters, json_t **ret);

#endif
