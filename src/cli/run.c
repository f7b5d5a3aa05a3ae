/* run.c - berth run: pack, submit, follow, give the job's own exit code */
#include "cli/run.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/image.h"
#include "cli/spec.h"
#include "cli/watch.h"
#include "cli/why.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SOURCE_FLAG                                                                                \
    {                                                                                              \
        "source", "s", "DIR|git+URL[@REF]|none",                                                   \
            "what /workspace holds; the current directory when left out"                           \
    }
#define FILE_FLAG                                                                                  \
    {                                                                                              \
        "file", NULL, "FILE", "the job as YAML or JSON; flags go over it; - is stdin"              \
    }
#define DOCKERFILE_FLAG                                                                            \
    {                                                                                              \
        "dockerfile", NULL, "DIR",                                                                 \
            "build the image by the Dockerfile in DIR first, here, with buildah"                   \
    }
#define DETACH_FLAG                                                                                \
    {                                                                                              \
        "detach", "d", NULL, "return when the job is accepted"                                     \
    }

static const struct cli_flag run_flags[] = {
    SOURCE_FLAG,
    FILE_FLAG,
    DOCKERFILE_FLAG,
    DETACH_FLAG,
    { "watch", NULL, NULL, "run again whenever a file of the directory changes, until Ctrl-C" },
    { "on-change", NULL, "stop|wait",
      "with --watch: stop the run (so when left out), or let it end" },
    { NULL },
};

static const struct cli_flag create_flags[] = {
    SOURCE_FLAG, FILE_FLAG, DOCKERFILE_FLAG, DETACH_FLAG, { NULL }
};

void run_tell_pack(const struct cli *cli, const struct pack *pack, size_t files, int64_t bytes)
{
    char a[32], b[32];
    _cleanup_text_ struct text t = { 0 };
    const char *dot = cli->err.utf8 ? "·" : "-";

    text_addf(&t, "%zu file%s, %s", pack->manifest->n, pack->manifest->n == 1 ? "" : "s",
              bytes_to_str(pack->manifest->size_bytes, a));
    if (pack->ignored)
        text_addf(&t, ", %zu ignored", pack->ignored);
    if (files)
        text_addf(&t, " %s %zu sent (%s)", dot, files, bytes_to_str(bytes, b));
    else if (!cli->dry_run)
        text_addf(&t, " %s nothing new to send", dot);
    if (pack->commit)
        text_addf(&t, " %s commit %.8s%s", dot, pack->commit, pack->dirty ? " with changes" : "");
    (void) fprintf(stderr, "%s%-10s%s%s\n", style_begin(&cli->err, STYLE_BOLD), "workspace",
                   style_end(&cli->err, STYLE_BOLD), t.data);
    for (const char *p = text_str(&pack->skipped); *p;) {
        size_t len = strcspn(p, "\n");
        print_note(cli, "left out %.*s", (int) len, p);
        p += len + 1;
    }
}

/* The job is bound to what was built, whoever builds by that name next. */
static int send_image(struct cli *cli, const char *dockerfile, json_t *request, struct error *err)
{
    _cleanup_json_ json_t *image = NULL;
    const char *name = json_get_str(request, "image", "");
    const char *slash = strchr(name, '/');

    if (!dockerfile || cli->dry_run || !slash)
        return 0;
    int r = image_build(cli, dockerfile, slash + 1, &image, err);
    if (r < 0)
        return r;
    const char *digest = json_get_str(image, "digest", "");
    print_note(cli, "image %s %s", name, digest);
    json_put(request, "image", json_sprintf("%.*s@%s", (int) strcspn(name, ":"), name, digest));
    return 0;
}

static int send_source(struct cli *cli, const struct source *source, json_t *request,
                       struct error *err)
{
    struct pack pack = { .dirfd = -1 };
    size_t files = 0;
    int64_t bytes = 0;

    if (source->sort != FROM_DIRECTORY)
        return 0;
    int r = pack_directory(source->directory, &pack, err);
    if (r < 0)
        return r;
    if (!cli->dry_run)
        r = pack_send(cli, &pack, &files, &bytes, err);
    if (r == 0) {
        run_tell_pack(cli, &pack, files, bytes);
        if (!cli->dry_run)
            spec_set_workspace(request, &pack);
    }
    pack_done(&pack);
    return r;
}

/* With one Idempotency-Key for all tries: a server that restarts in between accepts it once. */
int run_submit(struct cli *cli, const json_t *request, json_t **ret, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", NULL);
    char key[ID_TEXT_LEN + 1];
    struct id id = id_new();
    int64_t since = 0;
    const struct remote_call call = {
        .method = "POST",
        .target = target,
        .body = request,
        .idempotency_key = id_format(&id, key),
    };

    for (;;) {
        int r = remote_call(cli, &call, ret, err);
        if (r == 0 || r == -EBUSY || r == -EREMOTEIO || !is_passing(r))
            return r;
        if (r == -ECONNREFUSED && !since) /* it was never there */
            return r;
        r = wait_for_server(cli, r, &since, err);
        if (r < 0)
            return r;
    }
}

void run_tell_job(const struct cli *cli, const json_t *job)
{
    (void) fprintf(stderr, "%s%-10s%s%s  %s%s%s\n", style_begin(&cli->err, STYLE_BOLD), "job",
                   style_end(&cli->err, STYLE_BOLD), json_get_str(job, "name", ""),
                   style_begin(&cli->err, STYLE_DIM), json_get_str(job, "id", ""),
                   style_end(&cli->err, STYLE_DIM));
}

/* What is decided first, then what exactly would be submitted. */
static void print_plan_table(const struct cli *cli, const json_t *plan)
{
    const json_t *placement = json_object_get(plan, "placement");
    bool begins = str_equal(json_get_str(placement, "rule", ""), "placed");
    _cleanup_text_ struct text out = { 0 };
    _cleanup_json_ json_t *spec = json_pack("{s:O}", "spec", json_object_get(plan, "spec"));

    style_add(&out, &cli->out, STYLE_BOLD, begins ? "it would begin now" : "it would wait");
    text_add(&out, ": ");
    text_add_clean(&out, json_get_str(placement, "text", ""));
    text_add_char(&out, '\n');
    why_add(cli, placement, &out);
    text_add_char(&out, '\n');
    print_text(&out);
    print_answer(cli, "job", spec);
}

static int print_plan(struct cli *cli, const json_t *request, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", "plan", NULL);
    _cleanup_json_ json_t *plan = NULL;
    const struct remote_call call = {
        .method = "POST", .target = target, .body = request, .asks = true
    };
    int r = remote_call(cli, &call, &plan, err);

    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE)
        print_plan_table(cli, plan);
    else
        print_answer(cli, "job", plan);
    return CLI_OK;
}

static int run_request(struct cli *cli, const struct args *args, json_t *request,
                       const struct source *source, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;
    bool detach = args_has(args, "detach") || str_equal(args->command->verb, "create");
    int r = send_source(cli, source, request, err);
    if (r < 0)
        return r;
    if (cli->dry_run)
        return print_plan(cli, request, err);
    r = run_submit(cli, request, &job, err);
    if (r < 0)
        return r;

    const char *id = json_get_str(job, "id", ""), *name = json_get_str(job, "name", "");
    if (detach && cli->output_given)
        print_answer(cli, "job", job);
    else if (detach)
        (void) printf("%s\n", id);
    if (!detach || cli->err.tty)
        run_tell_job(cli, job);
    if (!detach && is_whole_array(job))
        return follow_array(cli, id, name, err);
    if (!detach)
        return follow_job(cli, id, name, err);
    if (!cli->wait)
        return CLI_OK;
    _cleanup_json_ json_t *end = NULL;
    r = wait_for_end(cli, id, &end, err);
    return r < 0 ? r : job_exit_code(end);
}

/* What Berth refuses has the usual codes; what fails on the way is 125, so that no script takes it for
 * an answer of the program that should have run. */
static int exit_of_run(const struct cli *cli, int r, const struct error *err)
{
    if (r >= 0 || r == -EINVAL || r == -EACCES || r == -EPERM || r == -ENOENT || r == -EBUSY ||
        r == -ENOSPC)
        return r;
    print_error(cli, err->text[0] ? err->text : strerror(-r));
    return CLI_BROKEN;
}

/* What --watch says; -EINVAL when it cannot be. */
static int check_watch(const struct cli *cli, const struct args *args, const struct source *source,
                       struct error *err)
{
    const char *policy = args_get(args, "on-change");

    if (!args_has(args, "watch"))
        return policy ? error_set(err, -EINVAL, "--on-change needs --watch") : 0;
    if (policy && !str_equal(policy, "stop") && !str_equal(policy, "wait"))
        return error_set(err, -EINVAL, "--on-change is stop or wait, not '%.40s'", policy);
    if (args_has(args, "detach") || cli->dry_run)
        return error_set(err, -EINVAL, "--watch follows what it runs: not with --%s",
                         cli->dry_run ? "dry-run" : "detach");
    if (source->sort != FROM_DIRECTORY)
        return error_set(err, -EINVAL, "--watch needs a directory to watch: --source DIR");
    return 0;
}

static int run_run(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *request = NULL;
    struct source source = { 0 };
    int r = spec_build(args, &request, &source, err);

    if (r < 0)
        return r;
    r = cli->project
            ? check_watch(cli, args, &source, err)
            : error_set(err, -EINVAL, "no project is chosen: use --project NAME, or berth init");
    if (r == 0)
        r = send_image(cli, args_get(args, "dockerfile"), request, err);
    if (r == 0 && args_has(args, "watch"))
        r = run_watch(cli, request, source.directory,
                      !str_equal(args_get(args, "on-change"), "wait"), err);
    else if (r == 0)
        r = run_request(cli, args, request, &source, err);
    source_done(&source);
    return exit_of_run(cli, r, err);
}

const struct command command_run = {
    .verb = "run",
    .operands = "-- COMMAND [ARG]...",
    .summary = "Run a command: send the directory, submit, follow, give its exit code",
    .examples =
        "berth run -- python3 train.py --epochs 3\n"
        "berth run --flavor cpu.2 --name tiny-gpt -e SEED=1 -- python3 train.py\n"
        "berth run --source git+https://example.org/me/model.git@v2 -- make train\n"
        "berth run --source none -- 'nproc; free -m'\n"
        "berth run --dockerfile . -- python3 train.py\n"
        "berth run --watch -- python3 train.py     again after every change\n"
        "berth run --file job.yaml --priority 10 --detach\n"
        "berth run --array 0-99%10 --name sweep -- sh -c './try --seed $BERTH_ARRAY_INDEX'\n"
        "berth run --after sweep -- ./collect.sh   when all of sweep have succeeded\n"
        "berth run --dry-run --file job.yaml",
    .flags = run_flags,
    .endpoint = "job.create",
    .operands_max = UINT_MAX,
    .takes_command = 1,
    .run = run_run,
};

const struct command command_job_create = {
    .noun = "job",
    .verb = "create",
    .operands = "-- COMMAND [ARG]...",
    .summary = "Submit a job and print its id; --wait waits for its end",
    .examples = "berth job create --file job.yaml\n"
                "berth job create --flavor cpu.1 --wait -- ./test.sh",
    .flags = create_flags,
    .endpoint = "job.create",
    .operands_max = UINT_MAX,
    .takes_command = 1,
    .run = run_run,
};
