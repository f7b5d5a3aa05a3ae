/* jobs.c - berth stop, job preempt, job wait, job record */
#include "cli/commands.h"
#include "cli/follow.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>

static int finish(struct cli *cli, const char *job, struct error *err)
{
    _cleanup_json_ json_t *end = NULL;
    int r = wait_for_end(cli, job, &end, err);

    if (r < 0)
        return r == -EINTR ? 130 : r;
    if (cli->output_given)
        print_answer(cli, "job", end);
    else
        print_end(cli, end);
    return job_exit_code(end);
}

/* VERB is an endpoint's last word: what it was asked of is added to ANSWERS. */
static int ask_one(struct cli *cli, const char *job, const struct args *args, json_t *answers,
                   struct error *err)
{
    const char *verb = args->command->verb;
    _cleanup_free_ char *target = project_path(cli, "jobs", job, verb, NULL);
    json_t *answer = NULL;

    if (cli->dry_run) {
        print_note(cli, "would %s %s", verb, job);
        return 0;
    }
    int r = remote_post(cli, target, args->body, &answer, err);
    if (r < 0)
        return r;
    if (!cli->wait || !str_equal(verb, "stop"))
        print_note(cli, "%s is %s", job, json_get_str(answer, "state", "stopping"));
    return json_array_append_new(answers, answer);
}

static int ask_all(struct cli *cli, const struct args *args, json_t *answers, struct error *err)
{
    _cleanup_json_ json_t *jobs = json_array();
    const json_t *job;
    size_t i;
    int r = 0;

    for (i = 0; i < args->operands.len && r >= 0; i++)
        r = array_names(args->operands.items[i], jobs, err);
    json_array_foreach(jobs, i, job)
        if (r >= 0)
            r = ask_one(cli, json_string_value(job), args, answers, err);
    return r;
}

/* All are asked before any is waited for. */
static int run_stop(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *stopped = json_array();
    const json_t *job;
    size_t i;

    int r = ask_all(cli, args, stopped, err);
    json_array_foreach(stopped, i, job) {
        _cleanup_json_ json_t *end = NULL;
        if (r < 0 || !cli->wait)
            break;
        /* The first of an array has its id: the name is of that one alone. */
        r = wait_for_end(cli, json_get_str(job, "name", ""), &end, err);
        if (r >= 0)
            print_end(cli, end);
    }
    return r == -EINTR ? 130 : r < 0 ? r : CLI_OK;
}

const struct command command_stop = {
    .verb = "stop",
    .operands = "JOB...",
    .summary = "Stop jobs: SIGTERM, after the grace period SIGKILL",
    .examples = "berth stop tiny-gpt\nberth stop --grace 5m --wait tiny-gpt\n"
                "berth stop sweep                all of an array\n"
                "berth stop 'sweep_[3-7,9]'      some of its jobs",
    .endpoint = "job.stop",
    .operands_min = 1,
    .operands_max = 1000,
    .run = run_stop,
};

static int run_preempt(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *preempted = json_array();

    int r = ask_all(cli, args, preempted, err);
    return r < 0 ? r : CLI_OK;
}

const struct command command_job_preempt = {
    .noun = "job",
    .verb = "preempt",
    .operands = "JOB...",
    .summary = "Have jobs make room: checkpoint signal, SIGTERM, after the grace period SIGKILL; "
               "they keep their place in the queue and go on later",
    .examples = "berth job preempt tiny-gpt\nberth job preempt --grace 5m tiny-gpt sweep_3",
    .endpoint = "job.preempt",
    .operands_min = 1,
    .operands_max = 1000,
    .run = run_preempt,
};

static int run_wait(struct cli *cli, const struct args *args, struct error *err)
{
    return finish(cli, args_operand(args, 0), err);
}

const struct command command_job_wait = {
    .noun = "job",
    .verb = "wait",
    .operands = "JOB",
    .summary = "Wait until a job has ended and give its exit code",
    .examples = "berth job wait tiny-gpt && berth artifact get tiny-gpt --to results",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_wait,
};

/* ---- job record: made to be read and kept whole ------------------------------------------------------ */

static const struct cli_flag record_flags[] = {
    { "attempt", NULL, "N", "of attempt N; the last when left out" },
    { NULL },
};

static int run_record(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", args_operand(args, 0), "record", NULL);
    const char *attempt = args_get(args, "attempt");
    _cleanup_free_ char *target =
        xasprintf("%s%s%s", path, attempt ? "?attempt=" : "", attempt ? attempt : "");
    _cleanup_json_ json_t *record = NULL;
    int r = remote_get(cli, target, &record, err);

    if (r < 0)
        return r;
    if (!cli->output_given)
        cli->output = OUTPUT_YAML;
    print_answer(cli, "record", record);
    return CLI_OK;
}

const struct command command_job_record = {
    .noun = "job",
    .verb = "record",
    .operands = "JOB",
    .summary = "Print what is needed to repeat a job: digests, commit, command, hardware, versions",
    .examples = "berth job record tiny-gpt\nberth job record tiny-gpt -o json > record.json",
    .flags = record_flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_record,
};
