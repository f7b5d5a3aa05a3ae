/* queue.c - berth ps, queue, why: what waits and runs, and why */
#include "cli/commands.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <stdio.h>

/* ---- berth why ------------------------------------------------------------------------------------ */

static void add_line(const struct cli *cli, const char *key, const char *value, struct text *out)
{
    text_addf(out, "  %s%-14s%s ", style_begin(&cli->out, STYLE_DIM), key,
              style_end(&cli->out, STYLE_DIM));
    text_add_clean(out, value);
    text_add_char(out, '\n');
}

static void add_numbers(const struct cli *cli, const json_t *numbers, struct text *out)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_mutable(numbers), key, value) {
        _cleanup_free_ char *s = format_value(NULL, key, value);
        add_line(cli, key, s, out);
    }
}

static void print_why(const struct cli *cli, const char *job, const json_t *why)
{
    _cleanup_text_ struct text out = { 0 };
    const char *state = json_get_str(why, "state", ""), *since = json_get_str(why, "since", NULL);
    int64_t position = json_get_int(why, "position", -1);

    text_add_clean(&out, job);
    text_add(&out, " is ");
    style_add(&out, &cli->out, style_of_state(state), state);
    text_add(&out, ": ");
    text_add_clean(&out, json_get_str(why, "text", "no reason is known"));
    text_add_char(&out, '\n');
    add_line(cli, "rule", json_get_str(why, "rule", "-"), &out);
    if (json_object_get(why, "limit"))
        add_line(cli, "limit", json_get_str(json_object_get(why, "limit"), "text", "-"), &out);
    add_numbers(cli, json_object_get(why, "numbers"), &out);
    if (position >= 0) {
        _cleanup_free_ char *s =
            position ? xasprintf("%lld before it", (long long) position) : xstrdup("next");
        add_line(cli, "queue", s, &out);
    }
    if (since) {
        _cleanup_free_ char *s = format_age(since, clock_now_us());
        add_line(cli, "since", s, &out);
    }
    print_text(&out);
}

static int run_why(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", args_operand(args, 0), "why", NULL);
    _cleanup_json_ json_t *why = NULL;
    int r = remote_get(cli, target, &why, err);

    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE)
        print_why(cli, args_operand(args, 0), why);
    else
        print_answer(cli, "why", why);
    return CLI_OK;
}

const struct command command_why = {
    .verb = "why",
    .operands = "JOB",
    .summary = "Say why a job waits, or why it ended as it did: the rule and the numbers",
    .examples = "berth why tiny-gpt\nberth why tiny-gpt -o json | jq .numbers",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_why,
};

/* ---- berth queue ---------------------------------------------------------------------------------- */

static void print_queue(const struct cli *cli, const json_t *items)
{
    _cleanup_(table_freep) struct table *table = table_new();
    _cleanup_text_ struct text out = { 0 };
    size_t i;
    const json_t *item;

    table_column(table, "#", true, 0);
    table_column(table, "NAME", false, 12);
    table_column(table, "STATE", false, 0);
    table_column(table, "PRIORITY", true, 0);
    table_column(table, "FLAVOR", false, 8);
    table_column(table, "SUBMITTED", true, 0);
    table_column(table, "WHY", false, 24);
    json_array_foreach(items, i, item) {
        const json_t *job = json_object_get(item, "job"), *why = json_object_get(item, "why");
        const char *state = json_get_str(job, "state", "");
        int64_t position = json_get_int(why, "position", -1);
        _cleanup_free_ char *n = position >= 0 ? xasprintf("%lld", (long long) position + 1) : NULL;
        _cleanup_free_ char *priority =
            xasprintf("%lld", (long long) json_get_int(job, "priority", 0));
        _cleanup_free_ char *age = format_age(json_get_str(job, "created", ""), clock_now_us());
        table_cell(table, STYLE_PLAIN, n);
        table_cell(table, STYLE_PLAIN, json_get_str(job, "name", ""));
        table_cell(table, style_of_state(state), state);
        table_cell(table, STYLE_PLAIN, priority);
        table_cell(table, STYLE_PLAIN, json_get_str(job, "flavor", ""));
        table_cell(table, STYLE_PLAIN, age);
        table_cell(table, STYLE_PLAIN, json_get_str(why, "text", ""));
    }
    table_format(table, &cli->out, &out);
    print_text(&out);
}

static void print_queue_names(const json_t *items)
{
    size_t i;
    const json_t *item;

    json_array_foreach(items, i, item)
        (void) printf("%s\n", json_get_str(json_object_get(item, "job"), "name", ""));
}

static int run_queue(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = NULL;
    _cleanup_json_ json_t *queue = NULL;
    int r = endpoint_target(cli, args->endpoint, args, &target, err);

    if (r >= 0)
        r = remote_get(cli, target, &queue, err);
    if (r < 0)
        return r;
    const json_t *items = json_object_get(queue, "items");
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML)
        print_json(cli, queue);
    else if (cli->output == OUTPUT_NAME)
        print_queue_names(items);
    else if (json_array_size(items) == 0)
        print_note(cli, "nothing waits and nothing runs");
    else
        print_queue(cli, items);
    return CLI_OK;
}

const struct command command_queue = {
    .verb = "queue",
    .summary = "Show what waits and what runs, in order, with reasons",
    .examples = "berth queue\nberth queue --tag team=nlp",
    .endpoint = "queue.show",
    .run = run_queue,
};

/* ---- berth ps ------------------------------------------------------------------------------------- */

static const struct cli_flag ps_flags[] = {
    { "all", "a", NULL, "those that have ended, too" },
    { NULL },
};

static int run_ps(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = NULL;
    _cleanup_json_ json_t *jobs = NULL;
    bool all = args_has(args, "all") || json_object_get(args->query, "state");

    if (!all)
        json_put_str(args->query, "state", "submitted,queued,starting,running,stopping");
    int r = endpoint_target(cli, args->endpoint, args, &target, err);
    if (r == 0)
        r = remote_get(cli, target, &jobs, err);
    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE && json_array_size(json_object_get(jobs, "items")) == 0)
        print_note(cli, "%s",
                   all ? "no such jobs; berth run -- COMMAND makes one"
                       : "nothing runs or waits; berth ps -a shows what has ended");
    else
        print_answer(cli, "job", jobs);
    return CLI_OK;
}

const struct command command_ps = {
    .verb = "ps",
    .summary = "List jobs that run or wait; -a also those that have ended",
    .examples =
        "berth ps\nberth ps -a\nberth ps -a -o json | jq -r '.items[] | select(.exit_code == 1).name'",
    .flags = ps_flags,
    .endpoint = "job.list",
    .run = run_ps,
};
