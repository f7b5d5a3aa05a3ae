/* verdict.c - what the end of a Slurm job means for its task: one table, the first line that fits */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>

enum { LAUNCH_CODE_MIN = 126, LAUNCH_CODE_MAX = 127 };

typedef bool (*when_f)(const struct slurm_task *task, const struct slurm_job *job);

/* It got a node, and nothing was ever heard of it from there. */
static bool was_silent(const struct slurm_task *task, const struct slurm_job *job)
{
    return !task->launched && !task->heard && !task->ended && !task->cancelled && job->node[0];
}

static bool has_fault(const struct slurm_task *task, const struct slurm_job *job)
{
    return slurm_fleet_fault(task->slurm, job->node);
}

/* Slurm itself cancelled it, as it may not requeue it (a full spool): within its first second, or somewhat later where
 * much else is going on. Then it drains the node. */
static bool was_never_launched(const struct slurm_task *task, const struct slurm_job *job)
{
    return was_silent(task, job) && (!job->ran || has_fault(task, job));
}

bool slurm_is_doubtful(const struct slurm_task *task, const struct slurm_job *job)
{
    return job->state == SLURM_CANCELLED && was_silent(task, job) && job->ran &&
           !has_fault(task, job);
}

/* Where a step cannot start the script ("Slurmd could not execve job"), Slurm drains the node and calls the job
 * completed. A supervisor that has told nothing home does not end so. */
static bool was_never_begun(const struct slurm_task *task, const struct slurm_job *job)
{
    return !task->launched && !task->ended && !task->cancelled && job->node[0] &&
           job->exit_code == 0 && job->exit_signal == 0;
}

static bool was_requeued(const struct slurm_task *task, const struct slurm_job *job)
{
    (void) task;
    return job->exit_code == SLURM_REQUEUED_CODE;
}

static bool has_no_program(const struct slurm_task *task, const struct slurm_job *job)
{
    (void) task;
    return job->exit_code >= LAUNCH_CODE_MIN && job->exit_code <= LAUNCH_CODE_MAX;
}

static const struct verdict {
    enum slurm_state state; /* SLURM_UNKNOWN: any */
    when_f when;            /* NULL: always */
    enum end_cause cause;   /* END_NONE: the supervisor was lost, or never began */
    const char *reason;     /* {job}, {node}, {program} and {end} are what they say */
} verdicts[] = {
    { SLURM_CANCELLED, was_never_launched, END_NODE_LOST,
      "Slurm could not launch job {job} on node {node}" },
    { SLURM_COMPLETED, was_never_begun, END_NODE_LOST,
      "Slurm could not start the script of job {job} on node {node}" },
    { SLURM_CANCELLED, NULL, END_STOPPED, "Slurm job {job} was cancelled in Slurm, not by Berth" },
    { SLURM_TIMEOUT, NULL, END_MAX_TIME, "Slurm's time limit for job {job} was reached" },
    { SLURM_NODE_FAIL, NULL, END_NODE_LOST, "Slurm lost node {node}" },
    { SLURM_PENDING, NULL, END_NODE_LOST, "Slurm requeued job {job}, which only Berth may" },
    { SLURM_PREEMPTED, NULL, END_PREEMPTED, "Slurm preempted job {job} on node {node}" },
    { SLURM_OUT_OF_MEMORY, NULL, END_OUT_OF_MEMORY, "Slurm ended job {job} on node {node}" },
    { SLURM_UNKNOWN, was_requeued, END_NODE_LOST,
      "Slurm requeued job {job}, which only Berth may" },
    { SLURM_UNKNOWN, has_no_program, END_NONE,
      "node {node} cannot run {program}: is Berth installed there?" },
    { SLURM_UNKNOWN, NULL, END_NONE,
      "Slurm job {job} ended on node {node} with {end} and no result" },
};

static void add_word(struct text *text, const char *word, const struct slurm_task *task,
                     const struct slurm_job *job)
{
    if (str_starts(word, "{job}"))
        text_addf(text, "%" PRIu32, job->job);
    else if (str_starts(word, "{node}"))
        text_add(text, job->node[0] ? job->node : task->shape.node);
    else if (str_starts(word, "{program}"))
        text_add(text, task->slurm->site.program);
    else if (str_starts(word, "{end}"))
        text_addf(text, "exit code %d, signal %d (%s)", job->exit_code, job->exit_signal,
                  job->reason);
}

static char *expand(const char *reason, const struct slurm_task *task, const struct slurm_job *job)
{
    struct text text = { 0 };

    for (const char *p = reason, *word; *p; p = word) {
        word = strchrnul(p, '{');
        text_add_bytes(&text, p, (size_t) (word - p));
        if (!*word)
            break;
        add_word(&text, word, task, job);
        word = strchr(word, '}') + 1;
    }
    return text_take(&text);
}

enum end_cause slurm_judge(const struct slurm_task *task, const struct slurm_job *job,
                           char **ret_reason)
{
    const struct verdict *v = verdicts;

    while ((v->state != SLURM_UNKNOWN && v->state != job->state) ||
           (v->when && !v->when(task, job)))
        v++;
    *ret_reason = expand(v->reason, task, job);
    if (v->cause != END_NONE)
        return v->cause;
    return task->launched ? END_SUPERVISOR_LOST : END_START_FAILED;
}
