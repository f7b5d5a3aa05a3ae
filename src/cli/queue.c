/* queue.c - berth ps, queue: what waits and runs, and why */
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>

/* ---- berth queue ---------------------------------------------------------------------------------- */

static const struct cli_flag queue_flags[] = {
    { "all-projects", "A", NULL, "of every project; takes a key of the whole cloud" },
    { "watch", "w", NULL, "draw it again every second, until q or Ctrl-C" },
    { NULL },
};

struct look {
    struct cli *cli;
    const struct args *args;
    bool is_screen; /* no more rows than it has lines for */
};

/* "4 tasks of 2 x H100, 16 cores, 64 GiB" */
static char *asks_of(const json_t *numbers)
{
    int64_t tasks = json_get_int(numbers, "tasks", 1), milli = 0;
    int64_t cores = json_get_int(numbers, "cores", 0);
    struct text t = { 0 };
    char memory[32], gpus[32];

    if (!numbers)
        return xstrdup("-");
    if (tasks > 1)
        text_addf(&t, "%lld tasks of ", (long long) tasks);
    if (json_get_milli(numbers, "gpus", &milli) == 0 && milli > 0)
        text_addf(&t, "%s x %s, ", milli_to_str(milli, gpus),
                  json_get_str(numbers, "gpu_model", "GPU"));
    text_addf(&t, "%lld core%s, %s", (long long) cores, cores == 1 ? "" : "s",
              bytes_to_str(json_get_int(numbers, "memory", 0), memory));
    return text_take(&t);
}

/* "< 2h 10m": sooner where jobs end before their time; "~ 2h": by what is usual */
static char *begins_of(const json_t *eta)
{
    const char *basis = json_get_str(eta, "basis", "");
    char in[32];

    if (!eta)
        return NULL;
    if (!json_object_get(eta, "seconds"))
        return xstrdup("?");
    return xasprintf("%s%s",
                     str_equal(basis, "declared")  ? "< "
                     : str_equal(basis, "history") ? "~ "
                                                   : "",
                     seconds_to_str(json_get_int(eta, "seconds", 0), in));
}

static void add_columns(struct table *table, bool of_all)
{
    table_column(table, "#", true, 0);
    if (of_all)
        table_column(table, "PROJECT", false, 8);
    table_column(table, "NAME", false, 12);
    table_column(table, "STATE", false, 0);
    table_column(table, "PRIORITY", true, 0);
    table_may_go(table);
    table_column(table, "ASKS", false, 12);
    table_may_go(table);
    table_column(table, "SINCE", true, 0);
    table_column(table, "BEGINS", true, 0);
    table_column(table, "WHY", false, 24);
}

static void add_row(struct table *table, const json_t *item, bool of_all)
{
    const json_t *job = json_object_get(item, "job"), *why = json_object_get(item, "why");
    const char *state = json_get_str(job, "state", "");
    int64_t position = json_get_int(why, "position", -1);
    _cleanup_free_ char *n = position >= 0 ? xasprintf("%lld", (long long) position + 1) : NULL;
    _cleanup_free_ char *priority = xasprintf("%lld", (long long) json_get_int(job, "priority", 0));
    _cleanup_free_ char *asks = asks_of(json_object_get(why, "numbers"));
    _cleanup_free_ char *begins = begins_of(json_object_get(why, "eta"));
    _cleanup_free_ char *age =
        format_age(json_get_str(why, "since", json_get_str(job, "created", "")), clock_now_us());

    table_cell(table, STYLE_PLAIN, n);
    if (of_all)
        table_cell(table, STYLE_PLAIN, json_get_str(item, "project", ""));
    table_cell(table, STYLE_PLAIN, json_get_str(job, "name", ""));
    table_cell(table, style_of_state(state), state);
    table_cell(table, STYLE_PLAIN, priority);
    table_cell(table, STYLE_PLAIN, asks);
    table_cell(table, STYLE_PLAIN, age);
    table_cell(table, STYLE_PLAIN, begins);
    table_cell(table, STYLE_PLAIN, json_get_str(why, "text", ""));
}

static int get_queue(const struct look *look, json_t **ret, struct error *err)
{
    const struct declare_endpoint *e =
        args_has(look->args, "all-projects") ? declare_endpoint("queue.all") : look->args->endpoint;
    _cleanup_free_ char *target = NULL;
    int r = endpoint_target(look->cli, e, look->args, &target, err);

    return r < 0 ? r : remote_get(look->cli, target, ret, err);
}

/* "running,queued" of a list, or a text as it is. */
static void add_value(const json_t *value, struct text *out)
{
    const json_t *one;
    size_t i;

    if (json_is_string(value))
        text_add(out, json_string_value(value));
    json_array_foreach(value, i, one)
        text_addf(out, "%s%s", i ? "," : "", json_string_value(one));
}

/* "nothing that waits or runs matches --user ada, --tag team=nlp" */
static void add_nothing(const struct args *args, struct text *out)
{
    static const char *const filters[] = { "state", "flavor", "user", "tag" };
    bool is_first = true;

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const json_t *value = json_object_get(args->query, filters[i]);
        if (!value)
            continue;
        text_addf(out, "%s --%s ", is_first ? "nothing that waits or runs matches" : ",",
                  filters[i]);
        add_value(value, out);
        is_first = false;
    }
    if (is_first)
        text_add(out, "nothing waits and nothing runs");
}

static void add_queue(const struct look *look, const json_t *queue, struct text *out)
{
    _cleanup_(table_freep) struct table *table = table_new();
    const json_t *items = json_object_get(queue, "items"), *item;
    bool of_all = args_has(look->args, "all-projects");
    size_t i, n = json_array_size(items), lines = look->is_screen ? look->cli->out.height : 0;

    /* The titles, how many more there are, and the last line of a screen stays empty. */
    if (lines > 3 && n > lines - 2)
        n = lines - 3;
    int64_t more = json_get_int(queue, "total", 0) - (int64_t) n;

    if (json_array_size(items) == 0) {
        add_nothing(look->args, out);
        text_add_char(out, '\n');
        return;
    }
    add_columns(table, of_all);
    for (i = 0; i < n && (item = json_array_get(items, i)); i++)
        add_row(table, item, of_all);
    table_format(table, &look->cli->out, out);
    if (more > 0)
        text_addf(out, "%lld more%s\n", (long long) more,
                  look->is_screen ? "" : ": --limit shows them");
}

static int draw_queue(void *userdata, struct text *out, struct error *err)
{
    _cleanup_json_ json_t *queue = NULL;
    int r = get_queue(userdata, &queue, err);

    if (r == 0)
        add_queue(userdata, queue, out);
    return r;
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
    struct look look = { cli, args, args_has(args, "watch") };
    _cleanup_json_ json_t *queue = NULL;
    _cleanup_text_ struct text out = { 0 };

    if (args_has(args, "watch") && (!cli->out.tty || cli->output != OUTPUT_TABLE))
        return error_set(err, -EINVAL,
                         "--watch: draws a table on a terminal; berth event follow "
                         "tells programs what changes");
    if (args_has(args, "watch"))
        return live_run(cli, draw_queue, &look, err);
    int r = get_queue(&look, &queue, err);
    if (r < 0)
        return r;
    const json_t *items = json_object_get(queue, "items");
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML)
        print_json(cli, queue);
    else if (cli->output == OUTPUT_NAME)
        print_queue_names(items);
    else if (json_array_size(items) == 0) {
        add_nothing(args, &out);
        print_note(cli, "%s", text_str(&out));
        text_clear(&out);
    } else
        add_queue(&look, queue, &out);
    print_text(&out);
    return CLI_OK;
}

const struct command command_queue = {
    .verb = "queue",
    .summary = "Show what waits and what runs, in order, with reasons",
    .examples = "berth queue\nberth queue --state queued --tag team=nlp\nberth queue --watch\n"
                "berth queue --all-projects        for operators",
    .flags = queue_flags,
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
