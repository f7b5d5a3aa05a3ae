/* submit.c - one Slurm job a task: its script goes to sbatch's stdin, for it holds the task's token
 *
 * Slurm is never asked to requeue: whether a task runs again is Berth's to say. A job that was requeued
 * nevertheless ends at once by itself.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "base/time.h"
#include "engine/local.h"
#include "os/fd.h"
#include "os/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIME_MARGIN_S = 300 };

#define MIB (INT64_C(1) << 20)

/* S in single quotes. */
static void add_quoted(struct text *text, const char *s)
{
    text_add_char(text, '\'');
    for (; *s; s++)
        if (*s == '\'')
            text_add(text, "'\\''");
        else
            text_add_char(text, *s);
    text_add_char(text, '\'');
}

char *slurm_script(const struct slurm_task *task)
{
    struct text text = { 0 };

    text_addf(&text,
              "#!/bin/sh\n"
              "# A task of Berth; `berth job list` knows it.\n"
              "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || exit %d\n"
              "BERTH_TASK_TOKEN=%s BERTH_TASK_NEXT=%d\n"
              "export BERTH_TASK_TOKEN BERTH_TASK_NEXT\n"
              "exec ",
              REQUEUED_CODE, task->token ? task->token : "", task->slurm->reuse_us > 0);
    add_quoted(&text, task->slurm->program);
    text_add(&text, " supervise --home ");
    add_quoted(&text, task->slurm->home_url);
    text_addf(&text, " --task %s\n", task->id);
    return text_take(&text);
}

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
    struct id task;
};

static void take_job(struct slurm_task *task, uint32_t job)
{
    task_set_job(task, job);
    task->job_us = loop_now_us(task->slurm->loop);
    task_record_job(task);
    task_enter(task, PHASE_QUEUED);
    task_waits(task, "it is in Slurm's queue");
    if (task->stop_cause != END_NONE)
        task_cancel(task);
}

static void refuse(struct slurm_task *task, const char *words)
{
    bool gone = strcasestr(words, "invalid node name") != NULL;
    _cleanup_free_ char *reason =
        xasprintf("Slurm refused it: %s", words[0] ? words : "sbatch failed and said nothing");

    task_end(task, gone ? END_NODE_LOST : END_START_FAILED, reason);
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
            slurm_cancel_job(to->slurm, job);
        return;
    }
    if (!task || task->phase != PHASE_SUBMIT)
        return;
    if (result->code > 0 && result->code < 128 && !slurm_is_away(result->words)) {
        refuse(task, result->words);
        return;
    }
    /* Slurm may have taken it nevertheless: look before it is asked again. */
    _cleanup_free_ char *why =
        xasprintf("Slurm does not take jobs now: %s", result->words[0] ? result->words : err.text);
    task_enter(task, PHASE_UNSURE);
    task_waits(task, why);
}

/* ---- sbatch ------------------------------------------------------------------------------------------- */

struct arguments {
    VEC(char *) items;
};

__attribute__((format(printf, 2, 3))) static void add(struct arguments *args, const char *fmt, ...)
{
    struct text text = { 0 };
    va_list ap;

    va_start(ap, fmt);
    text_addv(&text, fmt, ap);
    va_end(ap);
    vec_push(&args->items, text_take(&text));
}

static void add_limits(struct arguments *args, const struct slurm_task *task)
{
    int64_t grace_s = task->shape.grace_s > 0 ? task->shape.grace_s : 0;

    /* Berth's own limit comes first; Slurm's is for when nobody hears it. Without one the partition's holds,
     * and a word comes before. */
    if (task->shape.limit_s > 0)
        add(args, "--time=%" PRId64, (task->shape.limit_s + grace_s + TIME_MARGIN_S + 59) / 60);
    else
        add(args, "--signal=B:TERM@%" PRId64, grace_s + 60 < 65535 ? grace_s + 60 : 65535);
    add(args, "--cpus-per-task=%u", task->shape.cpus);
    add(args, "--mem=%" PRId64 "M", (task->shape.memory_bytes + MIB - 1) / MIB);
    if (task->shape.gpus > 0)
        add(args, "--gres=gpu:%u", task->shape.gpus);
}

static void add_all(struct arguments *args, const struct slurm_task *task)
{
    const struct slurm *slurm = task->slurm;

    add(args, "sbatch");
    add(args, "--parsable");
    add(args, "--job-name=%s-%s", slurm->prefix, task->id);
    add(args, "--nodelist=%s", task->shape.node);
    add(args, "--nodes=1");
    add(args, "--ntasks=1");
    add_limits(args, task);
    add(args, "--no-requeue");
    add(args, "--chdir=/");
    add(args, "--output=/dev/null");
    add(args, "--error=/dev/null");
    if (slurm->partition)
        add(args, "--partition=%s", slurm->partition);
    if (slurm->account)
        add(args, "--account=%s", slurm->account);
    vec_push(&args->items, NULL);
}

void task_submit(struct slurm_task *task)
{
    struct arguments args = { 0 };
    struct answer_to *to = xnew(struct answer_to);
    _cleanup_free_ char *script = slurm_script(task);

    *to = (struct answer_to){ task->slurm, task->task };
    add_all(&args, task);
    const struct command command = {
        .argv = (const char *const *) args.items.items,
        .input = script,
        .done = on_answer,
        .userdata = to,
        .free_userdata = free,
    };
    slurm_release(task->slurm, task->shape.node);
    task_enter(task, PHASE_SUBMIT);
    commands_run(task->slurm->commands, &command);
    explicit_bzero(script, strlen(script));
    vec_foreach(&args.items, arg)
        free(*arg);
    vec_done(&args.items);
}
