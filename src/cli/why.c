/* why.c - berth why: why a job waits, what it can expect and what would let it begin; or why it ended as it did */
#include "cli/why.h"

#include "cli/commands.h"

#include "base/alloc.h"
#include "os/clock.h"

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

/* "first, second and 3 more, 4 of other projects" */
static void add_names(const json_t *before, struct text *out)
{
    const json_t *jobs = json_object_get(before, "jobs"), *job;
    int64_t others = json_get_int(before, "others", 0);
    int64_t more = json_get_int(before, "count", 0) - others - (int64_t) json_array_size(jobs);
    size_t i;

    json_array_foreach(jobs, i, job)
        text_addf(out, "%s%s", i ? ", " : ": ", json_get_str(job, "name", ""));
    if (more > 0)
        text_addf(out, " and %lld more", (long long) more);
    if (others > 0)
        text_addf(out, "%s%lld of other projects", i ? ", " : ": ", (long long) others);
}

static void add_place(const struct cli *cli, const json_t *why, struct text *out)
{
    int64_t position = json_get_int(why, "position", -1);
    _cleanup_text_ struct text t = { 0 };

    if (position < 0)
        return;
    if (position > 0)
        text_addf(&t, "%lld before it", (long long) position);
    else
        text_add(&t, "next");
    add_names(json_object_get(why, "before"), &t);
    add_line(cli, "queue", text_str(&t), out);
}

static void add_changes(const json_t *changes, struct text *out)
{
    const json_t *change;
    size_t i;

    if (json_array_size(changes) == 0)
        return;
    text_addf(out, "\n%s would let it begin now:\n",
              json_array_size(changes) == 1 ? "this" : "any of these");
    json_array_foreach(changes, i, change) {
        text_add(out, "  ");
        text_add_clean(out, json_get_str(change, "text", ""));
        text_add_char(out, '\n');
    }
}

void why_add(const struct cli *cli, const json_t *why, struct text *out)
{
    const char *since = json_get_str(why, "since", NULL);

    add_line(cli, "rule", json_get_str(why, "rule", "-"), out);
    if (json_object_get(why, "limit"))
        add_line(cli, "limit", json_get_str(json_object_get(why, "limit"), "text", "-"), out);
    add_numbers(cli, json_object_get(why, "numbers"), out);
    add_place(cli, why, out);
    if (json_object_get(why, "eta"))
        add_line(cli, "begins", json_get_str(json_object_get(why, "eta"), "text", "-"), out);
    if (since) {
        _cleanup_free_ char *s = format_age(since, clock_now_us());
        add_line(cli, "since", s, out);
    }
    add_changes(json_object_get(why, "changes"), out);
}

static void print_why(const struct cli *cli, const char *job, const json_t *why)
{
    _cleanup_text_ struct text out = { 0 };
    const char *state = json_get_str(why, "state", "");

    text_add_clean(&out, job);
    text_add(&out, " is ");
    style_add(&out, &cli->out, style_of_state(state), state);
    text_add(&out, ": ");
    text_add_clean(&out, json_get_str(why, "text", "no reason is known"));
    text_add_char(&out, '\n');
    why_add(cli, why, &out);
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
    .summary = "Say why a job waits, who goes before it and what would let it begin now; or why it "
               "ended as it did",
    .examples = "berth why tiny-gpt\nberth why tiny-gpt -o json | jq .numbers\n"
                "berth why tiny-gpt -o json | jq '.changes[].patch'",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_why,
};
