/* slurm.h - what the files of the Slurm engine share
 *
 * slurm.c    the operations, and what is reported
 * submit.c   what sbatch is told, and what its answers mean
 * reuse.c    a Slurm job whose task has ended runs another
 * who.c      the accounts that tasks are submitted as
 * poll.c     the list of our jobs: what Slurm says about those that nobody heard of
 * verdict.c  what the end of a Slurm job means
 * fleet.c    machines, and what others hold on them
 * command.c  commands as processes; text.c, text-node.c: what they print
 */
#ifndef ENGINE_SLURM_SLURM_H
#define ENGINE_SLURM_SLURM_H

#include "base/map.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "engine/slurm/command.h"
#include "engine/slurm/text.h"

/* What is known of a task's Slurm job. */
enum phase {
    PHASE_FIND,   /* of a server before this one: has Slurm a job of its name? */
    PHASE_SUBMIT, /* sbatch was asked, and has not answered */
    PHASE_UNSURE, /* nobody knows whether Slurm has taken it: the next list says so */
    PHASE_QUEUED, /* Slurm has it, and it does not run */
    PHASE_RUNNING,
    PHASE_ASKED, /* it is over without exit.json: scontrol was asked why */
};

/* What a Slurm job is asked for. One that runs fits every task of the same. */
struct slurm_shape {
    struct who *who; /* as whom it is submitted */
    struct id project;
    char *node;
    unsigned cpus, gpus;
    int64_t memory_bytes, limit_s, grace_s;
};

struct slurm_task {
    struct slurm *slurm;
    struct id task;
    char id[ID_TEXT_LEN + 1];
    unsigned epoch;
    char *token;
    struct slurm_shape shape;
    struct id gang; /* the attempt whose tasks wait for each other; id_none: it is alone */

    enum phase phase;
    int64_t phase_us;        /* since when, of the loop's clock */
    uint32_t job;            /* 0: none yet; set by task_set_job() */
    struct id named;         /* the task that the job is named by: the first that it ran */
    int64_t job_us;          /* the job is no older than that; 0: nobody knows */
    bool lent;               /* the job was another task's, and this one was not heard of yet */
    uint64_t seen;           /* in this list */
    uint64_t doubted;        /* since this list; 0: it is not */
    char *waits;             /* what was said last */
    bool launched;           /* the command ran, as far as is known */
    bool heard;              /* its supervisor asked for orders or sent something */
    bool reported;           /* started() was called */
    bool cancelled;          /* scancel was asked */
    struct task_exit *ended; /* came home, and Slurm is asked why; NULL */
    enum end_cause stop_cause;
    int64_t stop_grace_s;
    bool stop_waits;     /* for a phase in which it can be asked for */
    struct watch *timer; /* for the end of a stop's grace, or a failure to report */
    char *failure;       /* to report by the timer */
    json_t *orders;      /* array */
};

/* A job of ours that no task has. */
struct orphan {
    uint32_t job;
    struct id task; /* by its name */
    uint64_t seen;
};

struct lingering;

enum { WHO_ROUNDS = 8 };

/* An account whose jobs are ours. It stays for as long as the engine does. */
struct who {
    char *name;      /* NULL: this process's own, which is always the first */
    unsigned tasks;  /* that are its */
    unsigned rounds; /* lists to be looked at yet without any task: something may be left over */
    bool is_unheard; /* the last list failed */
    VEC(struct orphan) orphans;
    VEC(uint32_t) jobs; /* in the last list */
};

struct slurm {
    struct engine engine;
    struct engine *local; /* what lies on this machine: directories and results to remove */
    struct loop *loop;
    struct commands *commands;
    struct slurm_site site; /* owns its texts */
    char *cache, *accounts; /* STATE/slurm-nodes, STATE/slurm-accounts */
    char *uid;              /* our own, in decimal */
    bool by_account;
    VEC(struct who *) everybody;
    int attempts;
    struct map *tasks; /* by id */
    struct map *jobs;  /* the tasks that have one, by its number */
    int64_t poll_us, reuse_us, gang_wait_us, serial;
    struct lingering *lingering; /* newest first */

    struct watch *poll_timer;
    uint64_t polls;
    unsigned asked; /* answers that the poll waits for, */
    unsigned lists; /* and of lists */
    bool sweeps;    /* sweep() was called: who is no task of ours is left over */
    bool poll_soon;
    char *away; /* why Slurm does not answer; NULL: it does */
    struct slurm_fleet *fleet;
};

struct slurm *slurm_of(struct engine *engine);
struct slurm_task *slurm_find(const struct slurm *slurm, const struct id *task);
/* Whose job it is now, whatever its name is. */
struct slurm_task *slurm_find_job(const struct slurm *slurm, uint32_t job);

/* ---- slurm.c ---- */
/* 0: it has none. */
void task_set_job(struct slurm_task *task, uint32_t job);
void task_enter(struct slurm_task *task, enum phase phase);
/* Say why it does not begin; TEXT is copied. */
void task_waits(struct slurm_task *task, const char *text);
/* Report what came home; true: the task is gone. */
bool task_look(struct slurm_task *task);
/* Report the end; the task is gone afterwards. */
void task_end(struct slurm_task *task, enum end_cause cause, const char *reason);
/* Ask for its Slurm job's end. */
void task_cancel(struct slurm_task *task);
void slurm_cancel_job(struct slurm *slurm, struct who *who, const struct id *task, uint32_t job);
/* Slurm does not answer, in words; NULL: it does. */
void slurm_set_away(struct slurm *slurm, const char *why);

/* The end that came home, for the reason that Slurm gives; END_NONE: as it came. The task is gone afterwards. */
void task_end_as_came(struct slurm_task *task, enum end_cause cause, const char *reason);

/* ---- submit.c ---- */
void task_submit(struct slurm_task *task);
/* Write the number of its job down, for a restart. */
void task_record_job(const struct slurm_task *task);
/* The number that was written down when Slurm took it; 0: none. */
uint32_t task_recorded_job(const struct slurm_task *task);
/* Its submission, as it is ordered. It holds the token. */
void slurm_order_of(const struct slurm_task *task, struct slurm_job_order *ret);

/* ---- who.c ---- */
/* NAME's; NULL: this process's own account. */
struct who *slurm_who(struct slurm *slurm, const char *name);
/* Those that had tasks before: some of their jobs may be left over. */
void slurm_who_load(struct slurm *slurm);
void slurm_who_free(struct slurm *slurm);
/* Has a job of that number been seen as ours? */
bool slurm_who_has_job(const struct slurm *slurm, uint32_t job);

/* ---- reuse.c ---- */
bool slurm_linger(struct engine *engine, const struct id *attempt);
/* Has TASK been given a Slurm job that waits for one? */
bool task_reuse(struct slurm_task *task);
/* Its supervisor is not to go on. */
void task_unlinger(const struct slurm_task *task);
/* Those that wait on NODE leave: their cores are wanted by another job. */
void slurm_release(struct slurm *slurm, const char *node);
bool slurm_lingers(const struct slurm *slurm, uint32_t job);
void slurm_lingering_free(struct slurm *slurm);

/* ---- verdict.c ---- */
/* Was JOB of TASK cancelled by somebody, or by Slurm, which has not said yet that its machine cannot launch jobs? */
bool slurm_is_doubtful(const struct slurm_task *task, const struct slurm_job *job);
/* What the end of JOB is for TASK; the reason is for people, owned by the caller. */
enum end_cause slurm_judge(const struct slurm_task *task, const struct slurm_job *job,
                           char **ret_reason);

/* ---- poll.c ---- */
/* scontrol knows why its Slurm job is over. */
void task_ask_why(struct slurm_task *task);
void slurm_poll(struct slurm *slurm);
/* As soon as the one under way is done. */
void slurm_poll_soon(struct slurm *slurm);

/* ---- fleet.c ---- */
struct slurm_fleet *slurm_fleet_new(void);
void slurm_fleet_free(struct slurm_fleet *fleet);
/* What `scontrol -o show node` and the list of others' jobs say now. Reported when it has changed. */
void slurm_fleet_nodes(struct slurm *slurm, const struct text *text);
void slurm_fleet_held(struct slurm *slurm, const struct text *text);
void slurm_fleet_report(struct slurm *slurm);
/* NODE was lost: until the next list it takes no work. */
void slurm_fleet_suspect(struct slurm *slurm, const char *node);
/* Why nothing can begin on NODE; NULL: it can. */
const char *slurm_fleet_fault(const struct slurm *slurm, const char *node);
/* Those that Slurm has now, or that were kept when it does not answer. */
int slurm_fleet_load(struct slurm *slurm, const struct commands_options *commands,
                     struct error *err);

#endif
