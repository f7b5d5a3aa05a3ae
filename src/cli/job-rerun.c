/* job-rerun.c - berth job rerun and job diff */
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/table.h"

#include "base/alloc.h"

#include <stdio.h>

static const struct cli_flag rerun_flags[] = {
    { "detach", "d", NULL, "return when the job is accepted" },
    { NULL },
};

static int run_rerun(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", args_operand(args, 0), "rerun", NULL);
    _cleanup_json_ json_t *job = NULL;
    int r = declare_check(args->endpoint->body, args->body, err);

    if (r == 0 && cli->dry_run) {
        print_json(cli, args->body);
        return CLI_OK;
    }
    if (r == 0)
        r = remote_post(cli, target, args->body, &job, err);
    if (r < 0)
        return r;
    const char *id = json_get_str(job, "id", ""), *name = json_get_str(job, "name", "");
    if (args_has(args, "detach") && cli->output_given) {
        print_answer(cli, "job", job);
        return CLI_OK;
    }
    if (args_has(args, "detach")) {
        (void) printf("%s\n", id);
        return CLI_OK;
    }
    (void) fprintf(stderr, "%s%-10s%s%s  %s%s%s\n", style_begin(&cli->err, STYLE_BOLD), "job",
                   style_end(&cli->err, STYLE_BOLD), name, style_begin(&cli->err, STYLE_DIM), id,
                   style_end(&cli->err, STYLE_DIM));
    return follow_job(cli, id, name, err);
}

const struct command command_job_rerun = {
    .noun = "job",
    .verb = "rerun",
    .operands = "JOB",
    .summary = "Run a job again from its record: same files, image, data, environment, hardware",
    .examples = "berth job rerun tiny-gpt\n"
                "berth job rerun tiny-gpt -e SEED=2 --tag try=2 --detach\n"
                "berth job rerun tiny-gpt --dataset corpus@4 && berth job diff tiny-gpt 01a1fc6d",
    .flags = rerun_flags,
    .endpoint = "job.rerun",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_rerun,
};

/* ---- diff -------------------------------------------------------------------------------------------- */

static int run_diff(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", args_operand(args, 0), "diff", NULL);
    _cleanup_text_ struct text target = { 0 };
    _cleanup_json_ json_t *answer = NULL;

    text_addf(&target, "%s?with=", path);
    url_encode(&target, args_operand(args, 1), false);
    int r = remote_get(cli, target.data, &answer, err);
    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE && json_array_size(json_object_get(answer, "items")) == 0)
        print_note(cli, "the two records are the same");
    else
        print_answer(cli, "difference", answer);
    return CLI_OK;
}

const struct command command_job_diff = {
    .noun = "job",
    .verb = "diff",
    .operands = "A B",
    .summary = "Say where the records of two jobs differ, field by field",
    .examples = "berth job diff tiny-gpt 01a1fc6d",
    .operands_min = 2,
    .operands_max = 2,
    .run = run_diff,
};
