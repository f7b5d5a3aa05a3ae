/* slurm.h - what the files of the Slurm engine share
 *
 * slurm.c    the operations, and what is reported
 * submit.c   the batch script, sbatch, and what its answers mean
 * poll.c     the list of our jobs: what Slurm says about those that nobody heard of
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

struct slurm_task {
    struct slurm *slurm;
    struct id task;
    char id[ID_TEXT_LEN + 1];
    unsigned epoch;
    char *token;
    /* What it gets. */
    char *node;
    unsigned cpus, gpus;
    int64_t memory_bytes, limit_s, grace_s;

    enum phase phase;
    int64_t phase_us;        /* since when, of the loop's clock */
    uint32_t job;            /* 0: none yet */
    uint64_t seen;           /* in this list */
    char *waits;             /* what was said last */
    bool launched;           /* the command ran, as far as is known */
    bool reported;           /* started() was called */
    bool cancelled;          /* scancel was asked */
    struct task_exit *ended; /* came home, and Slurm is asked why; NULL */
    enum end_cause stop_cause;
    int64_t stop_grace_s;
    struct watch *timer; /* for the end of a stop's grace, or a failure to report */
    char *failure;       /* to report by the timer */
    json_t *orders;      /* array */
};

/* A job of ours that no task has. */
struct orphan {
    uint32_t job;
    uint64_t seen;
};

struct slurm {
    struct engine engine;
    struct engine *local; /* what lies on this machine: directories and results to remove */
    struct loop *loop;
    struct commands *commands;
    char *prefix, *partition, *account, *program, *home_url, *cache;
    char *uid; /* our own, in decimal */
    int attempts;
    struct map *tasks; /* by id */
    int64_t poll_us, serial;

    struct watch *poll_timer;
    uint64_t polls;
    unsigned asked; /* answers that the poll waits for */
    bool sweeps;    /* sweep() was called: who is no task of ours is left over */
    bool poll_soon;
    char *away; /* why Slurm does not answer; NULL: it does */
    VEC(struct orphan) orphans;
    VEC(uint32_t) own_jobs; /* in the last list */
    struct slurm_fleet *fleet;
};

struct slurm *slurm_of(struct engine *engine);
struct slurm_task *slurm_find(const struct slurm *slurm, const struct id *task);

/* ---- slurm.c ---- */
void task_enter(struct slurm_task *task, enum phase phase);
/* Say why it does not begin; TEXT is copied. */
void task_waits(struct slurm_task *task, const char *text);
/* Report what came home; true: the task is gone. */
bool task_look(struct slurm_task *task);
/* Report the end; the task is gone afterwards. */
void task_end(struct slurm_task *task, enum end_cause cause, const char *reason);
/* Ask for its Slurm job's end. */
void task_cancel(struct slurm_task *task);
void slurm_cancel_job(struct slurm *slurm, uint32_t job);
/* Slurm does not answer, in words; NULL: it does. */
void slurm_set_away(struct slurm *slurm, const char *why);

/* The end that came home, for the reason that Slurm gives; END_NONE: as it came. The task is gone afterwards. */
void task_end_as_came(struct slurm_task *task, enum end_cause cause, const char *reason);

/* ---- submit.c ---- */
void task_submit(struct slurm_task *task);
/* The number that was written down when Slurm took it; 0: none. */
uint32_t task_recorded_job(const struct slurm_task *task);
/* The script of a task; owned by the caller. It holds the token. */
char *slurm_script(const struct slurm_task *task);

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
