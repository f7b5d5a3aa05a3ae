/* sbatch.c - berth sbatch: run a batch script that was written for Slurm */
#include "cli/batch-collect.h"
#include "cli/batch-set.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/run.h"
#include "cli/spec.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is asked for -------------------------------------------------------------------------------- */

/* The command line goes over the script. */
static void add_flags(const struct args *args, batch_options *options)
{
    for (const struct cli_flag *f = batch_flags; f->name; f++) {
        const char *value = args_get(args, f->name);
        if (value)
            vec_push(options, ((struct batch_option){ xstrdup(f->name), xstrdup(value), 0 }));
    }
}

static int read_script(const struct args *args, struct text *ret, struct error *err)
{
    const char *path = args_operand(args, 0), *wrap = args_get(args, "wrap");

    if (wrap && path)
        return error_set(err, -EINVAL, "--wrap takes the place of a script: leave %.60s out", path);
    if (wrap) {
        text_addf(ret, "#!/bin/sh\n%s\n", wrap);
        return 0;
    }
    if (!path || str_equal(path, "-"))
        path = "/dev/stdin";
    int r = file_read(AT_FDCWD, path, BATCH_SCRIPT_MAX + 1, ret, NULL);
    if (r == -ENOENT)
        return error_set(err, -EINVAL, "there is no script %.200s", path);
    if (r < 0)
        return error_set(err, r, "reading %.200s: %s", path, strerror(-r));
    return 0;
}

static void take_exports(struct batch *b)
{
    json_t *env = json_object_get(b->request, "env");

    vec_foreach(&b->exports, name) {
        const char *value = getenv(*name);
        if (!value)
            text_addf(&b->notes, "--export: %s is not set here\n", *name);
        else
            json_put_str(env, *name, value);
    }
}

/* The flavor that the partition names, NULL: none does; then the names that there are in a note. */
static int find_flavor(struct cli *cli, struct batch *b, char **ret, struct error *err)
{
    _cleanup_json_ json_t *flavors = NULL;
    _cleanup_text_ struct text known = { 0 };
    size_t i;
    const json_t *flavor;

    if (!b->partition)
        return 0;
    int r = remote_get(cli, "/v1/flavors", &flavors, err);
    if (r < 0)
        return r;
    json_array_foreach(json_object_get(flavors, "items"), i, flavor) {
        const char *name = json_get_str(flavor, "name", "");
        if (str_equal(name, b->partition))
            *ret = xstrdup(name);
        text_addf(&known, "%s%s", known.len ? ", " : "", name);
    }
    if (!*ret)
        text_addf(&b->notes,
                  "--partition: there is no flavor %s, what the script asks for decides; there are "
                  "%s\n",
                  b->partition, text_str(&known));
    return 0;
}

static void print_notes(const struct cli *cli, const struct batch *b)
{
    for (const char *p = text_str(&b->notes); *p && !b->quiet;) {
        size_t len = strcspn(p, "\n");
        print_note(cli, "%.*s", (int) len, p);
        p += len + (p[len] == '\n');
    }
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static int wait_for_output(struct cli *cli, const json_t *job, struct error *err)
{
    const char *id = json_get_str(job, "id", "");
    _cleanup_json_ json_t *end = NULL;
    int r = wait_for_end(cli, id, &end, err);

    if (r < 0)
        return r == -EINTR ? 130 : r;
    r = batch_collect_wait(cli, id, err);
    if (r < 0)
        return r == -EINTR ? 130 : r;
    return is_whole_array(end) ? array_exit_code(cli, end, err) : job_exit_code(end);
}

/* ---- submit ---------------------------------------------------------------------------------------------- */

static int send_directory(struct cli *cli, const struct batch *b, struct error *err)
{
    struct pack pack = { .dirfd = -1 };
    size_t files = 0;
    int64_t bytes = 0;
    int r = pack_directory(b->chdir ? b->chdir : ".", &pack, err);

    if (r == 0)
        r = pack_send(cli, &pack, &files, &bytes, err);
    if (r == 0)
        spec_set_workspace(b->request, &pack);
    pack_done(&pack);
    return r;
}

static int test_only(struct cli *cli, const struct batch *b, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", "plan", NULL);
    _cleanup_json_ json_t *plan = NULL;
    const struct remote_call call = {
        .method = "POST", .target = target, .body = b->request, .asks = true
    };
    int r = remote_call(cli, &call, &plan, err);

    if (r < 0)
        return r;
    const json_t *placement = json_object_get(plan, "placement");
    const char *text = json_get_str(placement, "text", "");
    print_note(cli, "the script would be accepted; now: %s%s%s",
               json_get_str(placement, "rule", ""), *text ? ", " : "", text);
    return CLI_OK;
}

static int submit(struct cli *cli, const struct batch *b, struct error *err)
{
    _cleanup_json_ json_t *job = NULL;

    if (b->test_only || cli->dry_run)
        return test_only(cli, b, err);
    int r = send_directory(cli, b, err);
    if (r == 0)
        r = run_submit(cli, b->request, &job, err);
    if (r < 0)
        return r;
    (void) printf("%s%s\n", b->parsable ? "" : "Submitted batch job ", json_get_str(job, "id", ""));
    (void) fflush(stdout);
    /* The job is there, whatever becomes of its files. */
    struct error why = { 0 };
    if (batch_collect_begin(cli, b, job, &why) < 0)
        print_note(cli, "no file is written: %s; berth logs %s shows what it prints", why.text,
                   json_get_str(job, "name", ""));
    return b->wait ? wait_for_output(cli, job, err) : CLI_OK;
}

/* Who submits it, and where. */
static void put_origin(const struct batch *b)
{
    json_t *env = json_object_get(b->request, "env");
    const struct passwd *user = getpwuid(geteuid());
    char host[HOST_NAME_MAX + 1] = "";

    if (user)
        json_put_str(env, "SLURM_JOB_USER", user->pw_name);
    if (gethostname(host, sizeof host - 1) == 0)
        json_put_str(env, "SLURM_SUBMIT_HOST", host);
}

static int run_batch(struct cli *cli, const struct args *args, const struct text *text,
                     struct batch *b, struct error *err)
{
    const char *path = args_operand(args, 0);
    const char *slash = path ? strrchr(path, '/') : NULL;
    _cleanup_free_ char *flavor = NULL;
    int r = find_flavor(cli, b, &flavor, err);
    const struct batch_script script = {
        .name = slash                           ? slash + 1
                : path && !str_equal(path, "-") ? path
                : args_has(args, "wrap")        ? "wrap"
                                                : "sbatch",
        .text = text_str(text),
        .flavor = flavor,
        .args = args->operands.items + (args->operands.len > 0),
        .n_args = args->operands.len - (args->operands.len > 0),
    };

    take_exports(b);
    if (r < 0)
        return r;
    batch_request(b, &script);
    put_origin(b);
    print_notes(cli, b);
    return submit(cli, b, err);
}

static int run_script(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    batch_options options = { 0 };
    struct batch b = { 0 };
    int r = read_script(args, &text, err);

    if (r >= 0)
        r = batch_script_parse(text_str(&text), text.len, &options, err);
    if (r >= 0) {
        add_flags(args, &options);
        r = batch_read(&options, &b, err);
        if (r >= 0)
            r = run_batch(cli, args, &text, &b, err);
        batch_done(&b);
    }
    batch_options_done(&options);
    return r;
}

static int collect(struct cli *cli, const struct args *args, struct error *err)
{
    if (args->operands.len > 0)
        return error_set(err, -EINVAL, "--collect writes what is left for all jobs: name none");
    int r = batch_collect_run(cli, err);
    if (r == 1 && !args_has(args, "quiet"))
        print_note(cli, "another process writes the output already");
    return r == -EINTR ? 130 : r < 0 ? r : CLI_OK;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    if (!cli->project)
        return error_set(err, -EINVAL, "no project is chosen: use --project NAME, or berth init");
    return args_has(args, "collect") ? collect(cli, args, err) : run_script(cli, args, err);
}

const struct command command_sbatch = {
    .verb = "sbatch",
    .operands = "[SCRIPT [ARG]...]",
    .summary = "Run a batch script that was written for Slurm, with its #SBATCH lines",
    .examples = "berth sbatch train.sh --epochs 3\n"
                "berth sbatch --wait -n 4 -t 1:00:00 solve.sh\n"
                "berth sbatch --array 0-99%10 sweep.sh\n"
                "berth sbatch --collect       go on writing the files of --output\n"
                "job=$(berth sbatch --parsable first.sh) && berth sbatch -d afterok:$job second.sh",
    .flags = batch_flags,
    .refuses = batch_refused,
    .operands_max = UINT_MAX,
    .takes_command = 1,
    .run = run,
};
