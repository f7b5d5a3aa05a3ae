/* engine.h - what makes a placement so: null (virtual time), local, slurm
 *
 * Berth decides what, where and when; the engine starts tasks, passes signals on and reports. All
 * calls return at once; what happens is reported on the loop through the listener, exactly once
 * per task and transition, also over restarts. An engine knows tasks only: `attempt` is the id of a
 * task, which is its attempt's unless it is a later rank of a gang. It is known by that and its epoch.
 *
 * A task of a gang (spec->gang) makes all ready and says so; it runs when it is told to go.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/puller.h"
#include "engine/pusher.h"
#include "engine/render.h"
#include "fleet/fleet.h"
#include "os/loop.h"
#include "task/task.h"

struct engine;

/* A machine of the engine's. */
struct engine_machine {
    const char *name;
    const struct node
        *node;         /* its hardware, where the engine knows it; NULL: what Berth has of it */
    const char *fault; /* why nothing can be started there, in words; NULL: it can */
    /* What others than Berth hold there now. */
    unsigned others_tasks, others_cores, others_gpus;
    int64_t others_memory_bytes;
};

struct engine_listener {
    /* A task of a gang waits for its peers; they reach it at ADDRESS, valid during the call. Said again
     * after attach(), also of one that runs. */
    void (*ready)(void *userdata, const struct id *attempt, const char *address);
    /* The command runs. Takes nothing: STARTED is valid during the call. */
    void (*started)(void *userdata, const struct id *attempt, const struct task_started *started);
    /* What the attempt uses of its disk now, when that has changed. NULL: nobody listens. */
    void (*disk)(void *userdata, const struct id *attempt, int64_t bytes);
    /* The attempt is over and its leftovers are gone. */
    void (*ended)(void *userdata, const struct id *attempt, const struct task_exit *ex);
    /* Why an attempt that was asked for does not begin yet; NULL: nothing keeps it any more. */
    void (*waits)(void *userdata, const struct id *attempt, const char *why);
    /* There are new orders for a task that asks for them. NULL: nobody listens. */
    void (*ordered)(void *userdata, const struct id *attempt);
    /* A supervisor that lingers after ATTEMPT goes on as NEXT, whose token is TOKEN; NULL: it leaves. Once for
     * each linger() that was true. */
    void (*next)(void *userdata, const struct id *attempt, const struct id *next,
                 const char *token);
    /* Nothing is left of what was to be deleted; R < 0: it is still there. */
    void (*deleted)(void *userdata, const struct leftover *leftover, int r);
    /* All machines that the engine has, whenever something of them has changed; valid during the call.
     * Who is not among them any more is gone. An engine that never calls it has those that the server was
     * given. NULL: nobody listens. */
    void (*fleet)(void *userdata, const struct engine_machine *machines, size_t n);
    void *userdata;
};

struct engine_ops {
    const char *name;
    bool whole_gpus; /* it gives GPUs whole, and none to several tasks */
    /* Begin the attempt: SPEC is borrowed, TOKEN (NULL without secrets) is handed to the supervisor
     * by descriptor and never written. Called after `starting` is committed; calling it again for
     * an attempt that already runs only re-attaches. -ENOSPC and the like are reported by `ended`
     * with END_START_FAILED, not here. */
    void (*start)(struct engine *engine, const struct task_spec *spec, const char *token);
    /* May be NULL. Make ready what start() will need, while `starting` is being committed: nothing of
     * the job runs and nothing is reported, and what was made goes with the server. start() or
     * cancel() follows; a failure here is start()'s to find again. Not for tasks with secrets. */
    void (*prepare)(struct engine *engine, const struct task_spec *spec);
    /* With prepare: it will not be started. */
    void (*cancel)(struct engine *engine, const struct id *attempt);
    /* After the server's restart: take up an attempt that was started before, whatever became of it.
     * Answers by started/ended as if it had been seen live (started again is harmless: apply is
     * asked only when the state calls for it). LAUNCHED: `running` was committed before. */
    void (*attach)(struct engine *engine, const struct task_spec *spec, const char *token,
                   bool launched);
    /* Of a gang, once all of it is ready: run. Harmless for one that runs already. */
    void (*go)(struct engine *engine, const struct id *attempt, const struct task_go *go);
    /* SIGTERM (or the checkpoint signal first), after GRACE_S SIGKILL; CAUSE becomes the exit's. */
    void (*stop)(struct engine *engine, const struct id *attempt, enum end_cause cause,
                 int64_t grace_s);
    void (*signal)(struct engine *engine, const struct id *attempt, int signo);
    /* Remove what belongs to no attempt of LIVE: containers, cgroups, mounts, networks, directories
     * that were never started. */
    void (*sweep)(struct engine *engine, const struct id *live, size_t n);
    /* Remove it for good; `deleted` answers. Of a workload that has ended. */
    void (*delete)(struct engine *engine, const struct leftover *leftover);
    /* Of engines whose machines are not this one, otherwise NULL. Their tasks call home (docs/design/0014)
     * and each has a token; what became of a machine is the engine's to say, by `fleet` and `ended`. */
    /* A file of the task's directory came home: started, exit.json. */
    void (*news)(struct engine *engine, const struct id *attempt);
    /* Orders for a task, oldest first: [{"serial":N,"op":"stop"|"signal"|…}, …] with serials above AFTER,
     * which grow for ever; owned by the caller. NULL: this task is not to go on. */
    json_t *(*orders)(struct engine *engine, const struct id *attempt, int64_t after);
    /* Order a task to open the stream of that name home: what leads into it from here. */
    void (*connect)(struct engine *engine, const struct id *attempt, const char *stream);
    /* Before the news of its end: its supervisor would run another task in the same allocation. true: it is
     * to wait for `next`. */
    bool (*linger)(struct engine *engine, const struct id *attempt);
    void (*free)(struct engine *engine);
};

/* First member of every engine. */
struct engine {
    const struct engine_ops *ops;
    struct engine_listener listener;
};

struct engine_local_options {
    struct loop *loop;
    const char *state;   /* STATE directory */
    const char *runtime; /* /run/berth */
    int launcher_fd;     /* the launcher's socket; the engine owns it */
};
/* Are the records of these attempts readable here? -EPROTONOSUPPORT names one that is not: it was begun
 * by a newer Berth, whose word on how it ended would be lost. */
int engine_local_check(const char *state, const struct id *attempts, size_t n, struct error *err);
/* Since when the first of these attempts writes blobs that only its end will name; INT64_MAX: none does. */
int64_t engine_local_writing_since(const char *state, const struct id *attempts, size_t n);
int engine_local_new(const struct engine_local_options *options, struct engine **ret,
                     struct error *err);

/* Tasks are Slurm jobs (engine/slurm/). Their supervisors call home to HOME_URL with their token. */
struct engine_slurm_options {
    struct loop *loop;
    const char *state; /* STATE directory */
    struct slurm_site site;
    bool by_account;  /* tasks are submitted as the account of their project, by the launcher */
    int64_t poll_us;  /* between two looks at the list of jobs */
    int64_t reuse_us; /* so old a Slurm job takes further tasks; 0: none does */
    int64_t
        gang_wait_us; /* so long tasks of a gang that run wait for one that Slurm does not begin */
    struct engine *
        local; /* this machine's launcher and what lies here; the engine owns it, also on failure */
};
/* Waits up to ten seconds for the list of machines; without it, those known last. -ENOENT: there is no Slurm. */
int engine_slurm_new(const struct engine_slurm_options *options, struct engine **ret,
                     struct error *err);
/* Report the machines that it has now: once, when somebody listens. */
void engine_slurm_report(struct engine *engine);

/* Virtual time, for tests and the simulator. An attempt runs for the seconds that NULL_SECONDS of its
 * environment says (0 when absent) and ends with the exit code NULL_EXIT (above 128: by signal); with
 * NULL_START=fail it never runs. Of a gang, NULL_SECONDS_R, NULL_EXIT_R and NULL_START_R are those of rank R.
 * Reports are given by engine_null_advance() only, in the order of their
 * time. What it knows outlives its listener: set another one and attach, as after a restart. */
int engine_null_new(struct engine **ret);
void engine_null_advance(struct engine *engine, int64_t now_us);
/* Report that these are its machines, at once. */
void engine_null_fleet(struct engine *engine, const struct engine_machine *machines, size_t n);
/* When the next report is due, INT64_MAX if there is none. */
int64_t engine_null_next(const struct engine *engine);

void engine_free(struct engine *engine);
DEFINE_CLEANUP(struct engine *, engine_free);

#endif
