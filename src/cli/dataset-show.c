/* dataset-show.c - berth dataset show: a dataset or a version at a glance, and the jobs that used it */
#include "cli/commands.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <stdio.h>

static void add_line(struct text *out, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    text_addf(out, "%-10s ", label);
    text_add_clean(out, value);
    text_add_char(out, '\n');
}

static void add_tags(struct text *out, const char *label, const json_t *tags)
{
    _cleanup_text_ struct text line = { 0 };
    const char *key;
    json_t *value;

    json_object_foreach(json_mutable(tags), key, value)
        text_addf(&line, "%s%s=%s", line.len ? ", " : "", key, json_string_value(value));
    add_line(out, label, line.data);
}

static void add_version(struct text *out, const json_t *v)
{
    int64_t files = json_get_int(v, "files", 0);
    char size[32];
    _cleanup_free_ char *age = format_age(json_get_str(v, "created", ""), clock_now_us());
    const char *job = json_get_str(v, "job", NULL);
    _cleanup_free_ char *line =
        xasprintf("%lld: %lld file%s, %s, made %s by %s", (long long) json_get_int(v, "number", 0),
                  (long long) files, files == 1 ? "" : "s",
                  bytes_to_str(json_get_int(v, "size", 0), size), age,
                  job ? "a job" : json_get_str(v, "actor", "somebody"));
    _cleanup_free_ char *digest = xasprintf("sha256:%s", json_get_str(v, "manifest", ""));
    _cleanup_free_ char *from =
        job ? xasprintf("%s  %s", json_get_str(v, "job_name", ""), job) : NULL;

    add_line(out, "version", line);
    add_line(out, "message", json_get_str(v, "message", NULL));
    add_line(out, "digest", digest);
    add_tags(out, "its tags", json_object_get(v, "tags"));
    add_line(out, "made by", from);
}

static void add_jobs(const struct cli *cli, struct text *out, const json_t *jobs)
{
    _cleanup_(table_freep) struct table *table = table_new();
    const json_t *use;
    size_t i;

    table_column(table, "JOB", false, 12);
    table_column(table, "DID", false, 0);
    table_column(table, "VERSION", true, 0);
    table_column(table, "STATE", false, 0);
    table_column(table, "ID", false, 13);
    json_array_foreach(jobs, i, use) {
        const char *state = json_get_str(use, "state", "");
        _cleanup_free_ char *number =
            xasprintf("%lld", (long long) json_get_int(use, "version", 0));
        table_cell(table, STYLE_PLAIN, json_get_str(use, "name", ""));
        table_cell(table, STYLE_PLAIN,
                   str_equal(json_get_str(use, "role", ""), "wrote") ? "write" : "read");
        table_cell(table, STYLE_PLAIN, number);
        table_cell(table, style_of_state(state), state);
        table_cell(table, STYLE_PLAIN, json_get_str(use, "job", ""));
    }
    text_add_char(out, '\n');
    table_format(table, &cli->out, out);
}

static void show(const struct cli *cli, const json_t *d)
{
    _cleanup_text_ struct text out = { 0 };
    int64_t versions = json_get_int(d, "versions", 0);
    const json_t *jobs = json_object_get(d, "jobs"), *v = json_object_get(d, "version");
    _cleanup_free_ char *n = xasprintf("%lld", (long long) versions);

    text_addf(&out, "%s%s%s  %s%s%s\n", style_begin(&cli->out, STYLE_BOLD),
              json_get_str(d, "name", ""), style_end(&cli->out, STYLE_BOLD),
              style_begin(&cli->out, STYLE_DIM), json_get_str(d, "id", ""),
              style_end(&cli->out, STYLE_DIM));
    add_line(&out, "versions", n);
    add_tags(&out, "tags", json_object_get(d, "tags"));
    if (v)
        add_version(&out, v);
    if (json_array_size(jobs))
        add_jobs(cli, &out, jobs);
    print_text(&out);
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = NULL;
    _cleanup_json_ json_t *dataset = NULL;
    int r = endpoint_target(cli, args->endpoint, args, &target, err);

    if (r >= 0)
        r = remote_get(cli, target, &dataset, err);
    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE)
        show(cli, dataset);
    else
        print_answer(cli, "dataset", dataset);
    return CLI_OK;
}

const struct command command_dataset_show = {
    .noun = "dataset",
    .verb = "show",
    .operands = "DATASET",
    .summary = "Show a dataset or a version, and the jobs that read or wrote it",
    .examples = "berth dataset show corpus\nberth dataset show corpus@3 -o json",
    .endpoint = "dataset.show",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
