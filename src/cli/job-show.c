/* job-show.c - berth job show: a job at a glance
 *
 * People see what they asked for, what it got and what came of it, a line each; -o yaml and -o json
 * give the whole answer of the API. A line is a function of that answer: nothing to say, no line.
 */
#include "cli/commands.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>

enum { DIGEST_SHOWN = 12 };

/* Adds to T; leaves it empty when there is nothing to say. */
typedef void (*line_f)(const json_t *job, struct text *t);

static const json_t *attempt_of(const json_t *job) { return json_object_get(job, "attempt"); }
static const json_t *spec_of(const json_t *job) { return json_object_get(job, "spec"); }

static const json_t *record_of(const json_t *job)
{
    return json_object_get(attempt_of(job), "record");
}

static const json_t *evidence_of(const json_t *job)
{
    return json_object_get(attempt_of(job), "evidence");
}

static void add_part(struct text *t, const char *part)
{
    text_addf(t, "%s%s", t->len ? ", " : "", part);
}

static void add_bytes(struct text *t, const json_t *object, const char *key, const char *what)
{
    int64_t bytes = json_get_int(object, key, 0);
    char buf[32];

    if (bytes > 0)
        text_addf(t, "%s%s %s", t->len ? ", " : "", bytes_to_str(bytes, buf), what);
}

static void add_seconds(struct text *t, const json_t *object, const char *key, const char *what)
{
    int64_t seconds = json_get_int(object, key, 0);
    char buf[32];

    if (seconds > 0)
        text_addf(t, "%s%s %s", t->len ? ", " : "", what, seconds_to_str(seconds, buf));
}

static void state_line(const json_t *job, struct text *t)
{
    const char *reason = json_get_str(job, "reason", NULL);
    const char *ended = json_get_str(job, "ended", NULL);
    const char *started = json_get_str(job, "started", NULL);
    const char *since = ended ? ended : started ? started : json_get_str(job, "created", "");
    int64_t code = json_get_int(job, "exit_code", -1);
    _cleanup_free_ char *age = format_age(since, clock_now_us());

    text_add(t, json_get_str(job, "state", ""));
    if (code > 0)
        text_addf(t, " with exit code %lld", (long long) code);
    text_addf(t, ", %s %s", ended ? "ended" : started ? "began" : "accepted", age);
    /* Of an attempt that lives it says nothing: it is why the one before has ended. */
    if (reason && (ended || !started))
        text_addf(t, ": %s", reason);
}

/* A part that a shell would take apart is put into quotes. */
static void command_line(const json_t *job, struct text *t)
{
    size_t i;
    const json_t *word;

    json_array_foreach(json_object_get(spec_of(job), "command"), i, word) {
        const char *s = json_string_value(word);
        bool plain = s && *s && !s[strcspn(s, " \t\n'\"\\$&;|<>()*?`")];
        text_addf(t, "%s%s%s%s", i ? " " : "", plain ? "" : "'", s ? s : "", plain ? "" : "'");
    }
}

static void image_line(const json_t *job, struct text *t)
{
    const char *digest = json_get_str(record_of(job), "image_digest", NULL);

    text_add(t, json_get_str(spec_of(job), "image", ""));
    if (digest)
        text_addf(t, "  %.*s", DIGEST_SHOWN, digest);
}

static void source_line(const json_t *job, struct text *t)
{
    const json_t *source = json_object_get(spec_of(job), "source");
    const char *workspace = json_get_str(source, "workspace", NULL);
    const char *git = json_get_str(source, "git", NULL);
    const char *commit = json_get_str(record_of(job), "git_commit", NULL);

    if (workspace)
        text_addf(t, "workspace %.*s", DIGEST_SHOWN, workspace);
    else if (git)
        text_addf(t, "%s@%s", git, json_get_str(source, "ref", "HEAD"));
    if (commit)
        text_addf(t, "%scommit %.*s", t->len ? ", " : "", DIGEST_SHOWN, commit);
}

static void hardware_line(const json_t *job, struct text *t)
{
    const json_t *spec = spec_of(job), *allocation = json_object_get(attempt_of(job), "allocation");
    const char *flavor = json_get_str(spec, "flavor", NULL);

    size_t n_tasks = json_array_size(json_object_get(attempt_of(job), "tasks"));
    if (n_tasks > 0)
        text_addf(t, "%zu tasks, the first with ", n_tasks);
    if (allocation)
        text_addf(t, "CPUs %s of %s", json_get_str(allocation, "cpus", ""),
                  json_get_str(allocation, "node", ""));
    else
        text_addf(t, "%lld cores", (long long) json_get_int(spec, "cpus", 0));
    if (flavor)
        text_addf(t, " (%s)", flavor);
    add_bytes(t, allocation ? allocation : spec, "memory", "memory");
    add_bytes(t, allocation ? allocation : spec, "disk", "disk");
    size_t i;
    const json_t *gpu;
    int64_t milli = json_get_int(allocation, "gpu_milli", 0);
    char part[32];
    if (milli)
        text_addf(t, ", %s of", milli_to_str(milli, part));
    json_array_foreach(json_object_get(allocation, "gpus"), i, gpu)
        text_addf(t, "%s%s", i ? " " : milli ? " GPU " : ", GPUs ", json_string_value(gpu));
}

static void network_line(const json_t *job, struct text *t)
{
    const char *address = json_get_str(evidence_of(job), "address", NULL);

    text_add(t, json_get_str(spec_of(job), "network", ""));
    if (address && *address)
        add_part(t, address);
}

static void ports_line(const json_t *job, struct text *t)
{
    const json_t *published = json_object_get(evidence_of(job), "ports");
    size_t i;
    const json_t *port;

    json_array_foreach(json_object_get(spec_of(job), "ports"), i, port) {
        const char *name = json_get_str(port, "name", "");
        const json_t *host = json_object_get(published, name);
        text_addf(t, "%s%s:%lld", i ? ", " : "", name, (long long) json_get_int(port, "port", 0));
        if (host)
            text_addf(t, " at %s:%lld", json_get_str(host, "host", ""),
                      (long long) json_get_int(host, "port", 0));
    }
}

static void limits_line(const json_t *job, struct text *t)
{
    const json_t *spec = spec_of(job);
    int64_t retries = json_get_int(json_object_get(spec, "retries"), "max", 0);

    add_seconds(t, spec, "max_time", "max time");
    add_seconds(t, spec, "grace", "grace");
    if (retries > 0)
        text_addf(t, "%s%lld retr%s", t->len ? ", " : "", (long long) retries,
                  retries == 1 ? "y" : "ies");
    if (json_get_bool(spec, "preemptible", false))
        add_part(t, "preemptible");
    if (json_get_int(job, "priority", 0) != 0)
        text_addf(t, "%spriority %lld", t->len ? ", " : "",
                  (long long) json_get_int(job, "priority", 0));
}

static void array_line(const json_t *job, struct text *t)
{
    const json_t *array = json_object_get(job, "array");

    if (json_get_str(array, "indexes", NULL))
        text_addf(t, "%lld jobs, %s", (long long) json_get_int(array, "count", 0),
                  json_get_str(array, "indexes", ""));
    else if (array)
        text_addf(t, "index %lld of %lld jobs of %s", (long long) json_get_int(array, "index", 0),
                  (long long) json_get_int(array, "count", 0), json_get_str(array, "id", ""));
}

static void after_line(const json_t *job, struct text *t)
{
    bool either = str_equal(json_get_str(spec_of(job), "after_mode", "all"), "any");
    char delay[32];
    size_t i;
    const json_t *item;

    json_array_foreach(json_object_get(spec_of(job), "after"), i, item) {
        const char *name = json_get_str(item, "name", NULL);
        text_addf(t, "%s%s%s%s", i ? either ? " or " : ", " : "", json_get_str(item, "when", ""),
                  name ? ":" : "", name ? name : "");
        if (json_get_int(item, "delay", 0) > 0)
            text_addf(t, "+%s", seconds_to_str(json_get_int(item, "delay", 0), delay));
    }
}

static void begin_line(const json_t *job, struct text *t)
{
    const char *begin = json_get_str(spec_of(job), "begin", NULL);

    if (begin)
        text_addf(t, "not before %s", begin);
}

static void list_line(const json_t *job, const char *key, const char *what, struct text *t)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(spec_of(job), key), i, item)
        text_addf(t, "%s%s%s",
                  i        ? ", "
                  : t->len ? "; "
                           : "",
                  i ? "" : what, json_string_value(item));
}

static void machines_line(const json_t *job, struct text *t)
{
    list_line(job, "on_nodes", "on ", t);
    list_line(job, "not_nodes", "not on ", t);
    list_line(job, "node_tags", "with ", t);
    const char *within = json_get_str(spec_of(job), "within", NULL);
    if (within)
        text_addf(t, "%sin one %s", t->len ? "; " : "", within);
    if (json_get_bool(spec_of(job), "exclusive", false))
        text_addf(t, "%sits own", t->len ? "; " : "");
}

static void tags_line(const json_t *job, struct text *t)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(job, "tags"), key, value)
        text_addf(t, "%s%s=%s", t->len ? " " : "", key, json_string_value(value));
}

static void limit_line(const json_t *job, struct text *t)
{
    text_add(t, json_get_str(json_object_get(job, "limit"), "text", ""));
}

static void attempt_line(const json_t *job, struct text *t)
{
    int64_t number = json_get_int(attempt_of(job), "number", 0);
    int64_t preempted = json_get_int(job, "preemptions", 0);

    if (number > 0)
        text_addf(t, "%lld, %s", (long long) number, json_get_str(attempt_of(job), "id", ""));
    if (preempted > 0)
        text_addf(t, ", preempted %lld time%s", (long long) preempted, preempted == 1 ? "" : "s");
}

static void usage_line(const json_t *job, struct text *t)
{
    const json_t *usage = json_object_get(attempt_of(job), "usage");

    if (!usage)
        return;
    text_addf(t, "%.1f CPU seconds in %.1f s", json_get_real(usage, "cpu_seconds", 0),
              json_get_real(usage, "duration_seconds", 0));
    add_bytes(t, usage, "memory_peak_bytes", "memory at most");
    add_bytes(t, usage, "log_bytes", "log");
}

static void artifacts_line(const json_t *job, struct text *t)
{
    const json_t *artifacts = json_object_get(attempt_of(job), "artifacts");
    int64_t count = json_get_int(artifacts, "count", 0);
    int64_t skipped = json_get_int(artifacts, "skipped", 0);
    char buf[32];

    if (count > 0)
        text_addf(t, "%lld file%s, %s", (long long) count, count == 1 ? "" : "s",
                  bytes_to_str(json_get_int(artifacts, "bytes", 0), buf));
    if (skipped > 0)
        text_addf(t, "%s%lld left out: links and special files", count > 0 ? "; " : "",
                  (long long) skipped);
}

static void user_line(const json_t *job, struct text *t)
{
    text_add(t, json_get_str(job, "user", ""));
}

static void rerun_line(const json_t *job, struct text *t)
{
    const char *id = json_get_str(job, "rerun_of", NULL);

    if (id)
        text_addf(t, "of %s", id);
}

static void versions_line(const json_t *job, const char *key, struct text *t)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(job, key), i, item)
        text_addf(t, "%s%s@%lld", i ? ", " : "", json_get_str(item, "dataset", ""),
                  (long long) json_get_int(item, "version", 0));
}

static void reads_line(const json_t *job, struct text *t) { versions_line(job, "inputs", t); }

static void wrote_line(const json_t *job, struct text *t) { versions_line(job, "outputs", t); }

static const struct {
    const char *title;
    line_f add;
} lines[] = {
    { "state", state_line },       { "user", user_line },     { "command", command_line },
    { "image", image_line },       { "source", source_line }, { "hardware", hardware_line },
    { "network", network_line },   { "ports", ports_line },   { "limits", limits_line },
    { "array", array_line },       { "after", after_line },   { "begin", begin_line },
    { "machines", machines_line }, { "tags", tags_line },     { "again", rerun_line },
    { "reads", reads_line },       { "wrote", wrote_line },   { "limit", limit_line },
    { "attempt", attempt_line },   { "usage", usage_line },   { "artifacts", artifacts_line },
};

/* "succeeded", "running": a task has no state of its own, only what happened to it. */
static const char *task_state(const json_t *task)
{
    const char *cause = json_get_str(task, "cause", NULL);

    if (!cause)
        return json_get_str(task, "started", NULL) ? "running" : "starting";
    if (str_equal(cause, "exited"))
        return json_get_int(task, "exit_code", -1) == 0 ? "succeeded" : "failed";
    return str_equal(cause, "gang") || str_equal(cause, "stopped") ? "stopped" : "failed";
}

static void add_number(struct table *table, const json_t *object, const char *key)
{
    char text[24] = "";

    if (json_object_get(object, key))
        (void) snprintf(text, sizeof text, "%lld", (long long) json_get_int(object, key, 0));
    table_cell(table, STYLE_PLAIN, text);
}

/* Of a job of many tasks: a line for each. */
static void add_tasks(const struct cli *cli, const json_t *job, struct text *out)
{
    static const char *const titles[] = { "RANK", "ROLE", "NODE", "CPUS", "STATE", "EXIT", "ID" };
    _cleanup_(table_freep) struct table *table = table_new();
    const json_t *task;
    size_t i;

    for (i = 0; i < sizeof titles / sizeof *titles; i++)
        table_column(table, titles[i], str_equal(titles[i], "EXIT"), 0);
    json_array_foreach(json_object_get(attempt_of(job), "tasks"), i, task) {
        const json_t *allocation = json_object_get(task, "allocation");
        const char *state = task_state(task);
        add_number(table, task, "rank");
        table_cell(table, STYLE_PLAIN, json_get_str(task, "role", ""));
        table_cell(table, STYLE_PLAIN, json_get_str(allocation, "node", ""));
        table_cell(table, STYLE_PLAIN, json_get_str(allocation, "cpus", ""));
        table_cell(table, style_of_state(state), state);
        add_number(table, task, "exit_code");
        table_cell(table, STYLE_DIM, json_get_str(task, "id", ""));
    }
    if (table_rows(table) > 0)
        table_format(table, &cli->out, out);
}

static void print_job(const struct cli *cli, const json_t *job)
{
    enum { TITLE_WIDTH = 11 };
    const char *state = json_get_str(job, "state", "");
    _cleanup_text_ struct text out = { 0 };

    style_add(&out, &cli->out, STYLE_BOLD, json_get_str(job, "name", ""));
    text_add(&out, "  ");
    style_add(&out, &cli->out, STYLE_DIM, json_get_str(job, "id", ""));
    text_add_char(&out, '\n');
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        _cleanup_text_ struct text line = { 0 };
        lines[i].add(job, &line);
        if (!line.len)
            continue;
        enum style style = i == 0 ? style_of_state(state) : STYLE_PLAIN;
        text_addf(&out, "%-*s", TITLE_WIDTH, lines[i].title);
        text_add(&out, style_begin(&cli->out, style));
        text_add_clean(&out, text_str(&line));
        text_add(&out, style_end(&cli->out, style));
        text_add_char(&out, '\n');
    }
    add_tasks(cli, job, &out);
    print_text(&out);
}

static int run_show(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "jobs", args_operand(args, 0), NULL);
    _cleanup_json_ json_t *job = NULL;
    int r = remote_get(cli, target, &job, err);

    if (r < 0)
        return r;
    if (cli->output == OUTPUT_TABLE)
        print_job(cli, job);
    else
        print_answer(cli, "job", job);
    return CLI_OK;
}

const struct command command_job_show = {
    .noun = "job",
    .verb = "show",
    .operands = "JOB",
    .summary = "Show a job: what was asked for, what it got, what came of it",
    .examples = "berth job show tiny-gpt\nberth job show tiny-gpt -o json | jq .attempt.evidence",
    .endpoint = "job.show",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};
