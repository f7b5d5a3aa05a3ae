/* submit.c - what sbatch is told, and what its answers mean
 *
 * As the server's own account by this process, as that of a project by the launcher (task/slurm-job.h).
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "engine/local.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what was submitted is written down ------------------------------------------------------------ */

void task_record_job(const struct slurm_task *task)
{
    _cleanup_free_ char *path = xasprintf("%s/slurm", task->id);
    char number[16];
    struct error err = { 0 };
    int n = snprintf(number, sizeof number, "%" PRIu32 "\n", task->job);

    /* Without it a restart still finds the job by its name, as long as Slurm remembers it. */
    if (file_replace(task->slurm->attempts, path, 0600, number, (size_t) n, false, &err) < 0)
        log_warn("the number of a Slurm job was not written down", "task", task->id, "reason",
                 err.text);
}

uint32_t task_recorded_job(const struct slurm_task *task)
{
    _cleanup_free_ char *path = xasprintf("%s/slurm", task->id);
    _cleanup_text_ struct text text = { 0 };
    uint32_t job = 0;

    if (file_read(task->slurm->attempts, path, 64, &text, NULL) < 0 ||
        slurm_parse_submitted(text_str(&text), text.len, &job, NULL) < 0)
        return 0;
    return job;
}

/* ---- the answer --------------------------------------------------------------------------------------- */

struct answer_to {
    struct slurm *slurm;
    struct who *who;
    struct id task;
};

static void take_job(struct slurm_task *task, uint32_t job)
{
    task_set_job(task, job);
    task->job_us = loop_now_us(task->slurm->loop);
    task_record_job(task);
    task_enter(task, PHASE_QUEUED);
    task_waits(task, "it is in Slurm's queue");
}

static void refuse(struct slurm_task *task, const char *words)
{
    bool gone = strcasestr(words, "invalid node name") != NULL;
    _cleanup_free_ char *reason =
        xasprintf("Slurm refused it: %s", words[0] ? words : "sbatch failed and said nothing");

    task_end(task, gone ? END_NODE_LOST : END_START_FAILED, reason);
}

/* The launcher has not even asked Slurm. */
static bool is_no_account(const struct slurm_task *task, int code)
{
    return task->shape.who->name &&
           (code == SLURM_NO_ACCOUNT_CODE || code == -EPERM || code == -EINVAL);
}

static void on_answer(void *userdata, const struct command_result *result)
{
    struct answer_to *to = userdata;
    struct slurm_task *task = slurm_find(to->slurm, &to->task);
    struct error err = { 0 };
    uint32_t job = 0;

    if (result->code == 0 &&
        slurm_parse_submitted(text_str(result->out), result->out->len, &job, &err) >= 0) {
        if (task && task->phase == PHASE_SUBMIT)
            take_job(task, job);
        else
            slurm_cancel_job(to->slurm, to->who, &to->task, job);
        return;
    }
    if (!task || task->phase != PHASE_SUBMIT)
        return;
    if (is_no_account(task, result->code)) {
        task_end(task, END_START_FAILED, result->words);
        return;
    }
    if (result->code > 0 && result->code < 128 && !slurm_is_away(result->words)) {
        refuse(task, result->words);
        return;
    }
    /* Slurm may have taken it nevertheless: look before it is asked again. */
    const char *words = result->words[0] ? result->words : err.text;
    _cleanup_free_ char *why =
        xasprintf("Slurm does not take jobs now: %s%s", words, slurm_hint(words));
    task_enter(task, PHASE_UNSURE);
    task_waits(task, why);
}

/* ---- sbatch ------------------------------------------------------------------------------------------- */

void slurm_order_of(const struct slurm_task *task, struct slurm_job_order *ret)
{
    *ret = (struct slurm_job_order){ .task = task->task,
                                     .project = task->shape.project,
                                     .cpus = task->shape.cpus,
                                     .gpus = task->shape.gpus,
                                     .memory_bytes = task->shape.memory_bytes,
                                     .limit_s = task->shape.limit_s > 0 ? task->shape.limit_s : 0,
                                     .grace_s = task->shape.grace_s > 0 ? task->shape.grace_s : 0 };
    (void) snprintf(ret->account, sizeof ret->account, "%s",
                    task->shape.who->name ? task->shape.who->name : "");
    (void) snprintf(ret->node, sizeof ret->node, "%s", task->shape.node);
    (void) snprintf(ret->token, sizeof ret->token, "%s", task->token ? task->token : "");
}

void task_submit(struct slurm_task *task)
{
    const struct slurm_site *site = &task->slurm->site;
    struct answer_to *to = xnew(struct answer_to);
    struct slurm_job_order order;

    slurm_order_of(task, &order);
    *to = (struct answer_to){ task->slurm, task->shape.who, task->task };
    char **argv = slurm_job_arguments(site, &order);
    _cleanup_free_ char *script = slurm_job_script(site, &order);
    const struct command command = {
        .argv = (const char *const *) argv,
        .input = script,
        .order = task->shape.who->name ? &order : NULL,
        .done = on_answer,
        .userdata = to,
        .free_userdata = free,
    };
    slurm_release(task->slurm, task->shape.node);
    slurm_release(task->slurm, task->shape.node);
    task_enter(task, PHASE_SUBMIT);
    commands_run(task->slurm->commands, &command);
    explicit_bzero(script, strlen(script));
    explicit_bzero(&order, sizeof order);
    slurm_words_free(argv);
}
