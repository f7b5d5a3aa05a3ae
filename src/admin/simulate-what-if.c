/* simulate-what-if.c - `berth simulate what-if`: what would change for those that wait? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/alloc.h"
#include "base/time.h"
#include "base/yaml.h"
#include "os/fd.h"
#include "sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: berth simulate what-if [--snapshot FILE] [CHANGE...] [-o table|json|yaml]\n\n"
    "Looks ahead from what the scheduler knows, as it is and with changes, and says what becomes of\n"
    "those that wait. Nothing is changed.\n\n"
    "  --snapshot FILE     as `berth scheduler snapshot` saved it; without it the server is asked\n"
    "  --days N            look so far ahead, up to 3660 (30)\n"
    "  -o FORM             table (default), json or yaml\n\n"
    "Changes, in any number:\n"
    "  --add-nodes N[xNODE]  N more machines like NODE (20xn1), or like the kind there are most of (20);\n"
    "                      up to 10000\n"
    "  --remove-node NODE  without this machine; what runs there waits again\n"
    "  --cordon NODE       this machine takes no new work\n"
    "  --uncordon NODE     and this one takes it again\n"
    "  --without-job JOB   this job is gone\n"
    "  --policy NAME       another order of the queue: fair, easy, conservative, las, skip, fifo\n"
    "  --job FILE          this job comes, in the form of `berth job create --file`\n"
    "  --project NAME      whose it is, by name or id: under fair that decides when it starts (the project\n"
    "                      that you work in; with --snapshot that of an org that had nothing yet)\n\n"
    "Or that job in words:\n"
    "  --gpus N            GPUs of a task, or 0.5 of one (0)\n"
    "  --gpu-model MODEL   of this model (any)\n"
    "  --cpus N            cores of a task (1)\n"
    "  --memory SIZE       memory of a task, such as 512Mi or 64Gi (1Gi)\n"
    "  --nodes N           machines (1)\n"
    "  --max-time TIME     it runs no longer, such as 90m or 4h (not known)\n"
    "  --priority N        higher goes first, -1000 to 1000 (0)\n\n"
    "Exit code: 0; 1 when something is not there or a file is wrong; 2 usage.\n";

void admin_simulate_what_if_help(struct text *out) { text_add(out, usage); }

enum { CHANGES_MAX = 100, SNAPSHOT_BYTES_MAX = 1 << 30, JOB_BYTES_MAX = 1 << 20, PRIORITY = 1000 };

struct change {
    const char *flag;
    int (*apply)(struct snapshot *s, const char *value, struct error *err);
    bool (*is_form)(const char *value); /* NULL: it is a name */
};

struct options {
    admin_fetch_f fetch;
    const char *snapshot, *job, *form;
    const char *project; /* of the job; NULL: the caller's */
    const struct policy *policy;
    struct {
        const struct change *change;
        const char *value;
    } changes[CHANGES_MAX];
    size_t n_changes;
    json_t *asks;               /* of the job in words; NULL: none */
    struct workload_spec *spec; /* the same */
    struct error wrong;         /* of the command line */
    long long days, priority;
};

/* ---- changes ---------------------------------------------------------------------------------------- */

/* "20", "20xn1": NODE borrows from VALUE; NULL: none is said. */
static bool read_add(const char *value, unsigned *ret_n, const char **ret_node)
{
    const char *x = strchr(value, 'x');
    _cleanup_free_ char *number = x ? xstrndup(value, (size_t) (x - value)) : xstrdup(value);
    long long n;

    if (str_to_i64(number, 1, WHAT_IF_NODES_MAX, &n) < 0 || (x && !x[1]))
        return false;
    *ret_n = (unsigned) n;
    *ret_node = x ? x + 1 : NULL;
    return true;
}

static bool is_add(const char *value)
{
    const char *node;
    unsigned n;

    return read_add(value, &n, &node);
}

static int add_nodes(struct snapshot *s, const char *value, struct error *err)
{
    const char *node = NULL;
    unsigned n = 0;

    (void) read_add(value, &n, &node); /* checked before */
    return what_if_add_nodes(s, n, node, err);
}

static int cordon(struct snapshot *s, const char *value, struct error *err)
{
    return what_if_cordon(s, value, true, err);
}

static int uncordon(struct snapshot *s, const char *value, struct error *err)
{
    return what_if_cordon(s, value, false, err);
}

static const struct change changes[] = {
    { "--add-nodes", add_nodes, is_add },
    { "--remove-node", what_if_remove_node, NULL },
    { "--cordon", cordon, NULL },
    { "--uncordon", uncordon, NULL },
    { "--without-job", what_if_remove_job, NULL },
    { NULL },
};

/* ---- the command line ------------------------------------------------------------------------------- */

static bool read_change(int argc, char **argv, int *i, struct options *o)
{
    for (const struct change *change = changes; change->flag; change++) {
        const char *value = option_value(change->flag, argc, argv, i);
        if (!value)
            continue;
        if (o->n_changes == CHANGES_MAX || (change->is_form && !change->is_form(value)))
            return false;
        o->changes[o->n_changes].change = change;
        o->changes[o->n_changes++].value = value;
        return true;
    }
    return false;
}

enum form { FORM_TEXT, FORM_WHOLE, FORM_NUMBER, FORM_BYTES, FORM_SECONDS };

static json_t *number_of(const char *text, enum form form)
{
    json_t *json = NULL;

    if (yaml_parse(text, strlen(text), &json, NULL) == 0 &&
        (form == FORM_NUMBER ? json_is_number(json) && json_number_value(json) >= 0
                             : json_is_integer(json) && json_integer_value(json) > 0))
        return json;
    json_decref(json);
    return NULL;
}

static json_t *value_of(const char *text, enum form form)
{
    long long n;

    if ((form == FORM_BYTES && (str_to_bytes(text, &n) < 0 || n <= 0)) ||
        (form == FORM_SECONDS && (str_to_seconds(text, &n) < 0 || n <= 0)))
        return NULL;
    return form == FORM_WHOLE || form == FORM_NUMBER ? number_of(text, form) : json_string(text);
}

static bool put_ask(struct options *o, const char *field, const char *text, enum form form)
{
    json_t *value = value_of(text, form);

    if (!value)
        return false;
    if (!o->asks)
        o->asks = json_object();
    json_put(o->asks, field, value);
    return true;
}

/* What a job asks for, as JSON says it; NAME: what it is called when it is wrong. */
static int read_wishes(json_t *json, const char *name, struct workload_spec **ret,
                       struct error *err)
{
    if (!json_object_get(json, "cpus") && json_object_get(json, "flavor"))
        return error_set(err, -EINVAL,
                         "%s: flavor: a snapshot knows no flavors; give cpus, memory and gpus",
                         name);
    if (!json_object_get(json, "cpus"))
        json_put_int(json, "cpus", 1);
    if (!json_object_get(json, "memory"))
        json_put_str(json, "memory", "1Gi");
    int r = workload_wishes_from_json(json, ret, err);
    return r < 0 ? error_context(err, r, "%s", name) : 0;
}

/* The job in words. */
static bool read_ask(int argc, char **argv, int *i, struct options *o)
{
    static const struct {
        const char *flag, *field;
        enum form form;
    } asks[] = {
        { "--gpus", "gpus", FORM_NUMBER },  { "--gpu-model", "gpu_model", FORM_TEXT },
        { "--cpus", "cpus", FORM_WHOLE },   { "--memory", "memory", FORM_BYTES },
        { "--nodes", "nodes", FORM_WHOLE }, { "--max-time", "max_time", FORM_SECONDS },
    };

    for (size_t k = 0; k < sizeof asks / sizeof *asks; k++) {
        const char *value = option_value(asks[k].flag, argc, argv, i);
        if (value)
            return put_ask(o, asks[k].field, value, asks[k].form);
    }
    return false;
}

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct options *o = options;
    const char *value;

    if ((value = option_value("--snapshot", argc, argv, i)))
        return (o->snapshot = value);
    if ((value = option_value("--job", argc, argv, i)))
        return (o->job = value);
    if ((value = option_value("--project", argc, argv, i)))
        return (o->project = value);
    if ((value = option_value("--policy", argc, argv, i)))
        return (o->policy = policy_find(value));
    if ((value = option_value("--days", argc, argv, i)))
        return str_to_i64(value, 1, 3660, &o->days) >= 0;
    if ((value = option_value("--priority", argc, argv, i)))
        return str_to_i64(value, -PRIORITY, PRIORITY, &o->priority) >= 0;
    if ((value = option_value("-o", argc, argv, i)))
        return option_is_form(o->form = value);
    return read_change(argc, argv, i, o) || read_ask(argc, argv, i, o);
}

static const char *check(void *options)
{
    struct options *o = options;

    if (o->job && o->asks)
        return "--job: the job comes from a file or is said in words, not both";
    if ((o->project || o->priority) && !o->job && !o->asks)
        return o->project ? "--project: say which job, with --job or --gpus, --cpus, …"
                          : "--priority: say of which job, with --job or --gpus, --cpus, …";
    if (o->asks && read_wishes(o->asks, "the job", &o->spec, &o->wrong) < 0)
        return o->wrong.text;
    return NULL;
}

/* ---- the snapshots ---------------------------------------------------------------------------------- */

static int read_file(const char *path, size_t limit, struct text *ret, struct error *err)
{
    return file_read(AT_FDCWD, str_equal(path, "-") ? "/dev/stdin" : path, limit, ret, err);
}

/* Of the field whose path WHAT begins with: "jobs[3]: asks.gpus: must be ...". */
static size_t line_of(const struct text *text, const char *what)
{
    _cleanup_text_ struct text pointer = { 0 };

    for (size_t n; (n = strcspn(what, " ")) > 1 && what[n] && what[n - 1] == ':'; what += n + 1) {
        text_add(&pointer, "/");
        for (const char *p = what; p < what + n - 1; p++)
            if (*p != ']')
                text_add_bytes(&pointer, *p == '.' || *p == '[' ? "/" : p, 1);
    }
    return json_line(text_str(text), text->len, text_str(&pointer));
}

static int read_file_snapshot(const char *name, struct snapshot **ret, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;
    int r = read_file(name, SNAPSHOT_BYTES_MAX, &text, err);

    if (r < 0)
        return r;
    r = json_parse(text_str(&text), text.len, &json, err);
    if (r < 0) {
        (void) error_context(err, r, "%s", name);
        return r;
    }
    r = snapshot_from_json(json, ret, err);
    if (r < 0)
        (void) error_context(err, r, "%s:%zu", name, line_of(&text, err->text));
    return r;
}

static int read_snapshot(const struct options *o, struct snapshot **ret, char **ret_project,
                         struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    if (o->snapshot)
        return read_file_snapshot(o->snapshot, ret, err);
    int r = o->fetch(&json, ret_project, err);
    if (r < 0)
        return r;
    r = snapshot_from_json(json, ret, err);
    if (r < 0)
        (void) error_context(err, r, "the server's snapshot");
    return r;
}

/* The job of FILE; its priority on *RET_PRIORITY. */
static int read_job(const char *path, struct workload_spec **ret, int64_t *ret_priority,
                    struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;
    int r = read_file(path, JOB_BYTES_MAX, &text, err);

    if (r < 0)
        return r;
    r = yaml_parse(text_str(&text), text.len, &json, err);
    if (r < 0)
        return error_context(err, r, "%s", path);
    *ret_priority = json_get_int(json, "priority", 0);
    return read_wishes(json, path, ret, err);
}

/* OWN: the project that the caller works in; NULL: none, or it is not to count. */
static int add_job(const struct options *o, struct snapshot *s, const char *own, struct error *err)
{
    _cleanup_(workload_spec_freep) struct workload_spec *read = NULL;
    int64_t priority = 0;
    int r = o->job ? read_job(o->job, &read, &priority, err) : 0;

    if (r < 0)
        return r;
    if (o->priority)
        priority = o->priority;
    r = what_if_add_job(s, read ? read : o->spec, (int) priority, o->project ? o->project : own,
                        err);
    return r == -EDOM ? error_context(err, r, "the job") : r;
}

static int change_all(const struct options *o, struct snapshot *s, const char *own,
                      struct error *err)
{
    int r = 0;

    for (size_t i = 0; i < o->n_changes && r >= 0; i++)
        r = o->changes[i].change->apply(s, o->changes[i].value, err);
    if (o->policy)
        s->options.policy = o->policy;
    return r < 0 || !(o->job || o->asks) ? r : add_job(o, s, own, err);
}

/* ---- what is said ----------------------------------------------------------------------------------- */

static json_t *side_to_json(const struct what_if_side *side)
{
    json_t *json = json_object();

    json_put_int(json, "nodes", (int64_t) side->n_nodes);
    json_put_int(json, "running", (int64_t) side->n_running);
    json_put_int(json, "waiting", (int64_t) side->n_waiting);
    json_put_int(json, "start_now", (int64_t) side->n_now);
    json_put_int(json, "start_known", (int64_t) side->n_known);
    return json;
}

static json_t *start_to_json(const struct forecast_start *start, int64_t now_us)
{
    json_t *json = json_object();
    char text[TIME_TEXT_LEN + 1];

    json_put_str(json, "basis", forecast_basis_name(start->basis));
    if (start->stops)
        json_put_int(json, "stops", start->stops);
    if (start->start_us == INT64_MAX)
        return json;
    json_put_str(json, "start", time_format(start->start_us, text));
    json_put_int(json, "wait",
                 start->start_us > now_us ? (start->start_us - now_us) / US_PER_S : 0);
    return json;
}

static json_t *to_json(const struct what_if *w, const struct snapshot *s)
{
    json_t *json = json_object(), *jobs = json_array();
    char text[TIME_TEXT_LEN + 1], id[ID_TEXT_LEN + 1];

    json_put_str(json, "time", time_format(s->now_us, text));
    json_put(json, "before", side_to_json(&w->before));
    json_put(json, "after", side_to_json(&w->after));
    if (w->n_both > 0) {
        json_put_int(json, "mean_wait_before", w->mean_before_us / US_PER_S);
        json_put_int(json, "mean_wait_after", w->mean_after_us / US_PER_S);
    }
    vec_foreach(&w->jobs, one) {
        json_t *job = json_object();
        json_put_str(job, "id", id_format(&one->job->id, id));
        json_put_str(job, "name", one->job->name);
        if (one->before)
            json_put(job, "before", start_to_json(one->before, s->now_us));
        if (one->after)
            json_put(job, "after", start_to_json(one->after, s->now_us));
        (void) json_array_append_new(jobs, job);
    }
    json_put(json, "jobs", jobs);
    return json;
}

/* "in 2h 3m (declared)" */
static char *start_text(const struct forecast_start *start, int64_t now_us)
{
    char span[32];

    if (!start)
        return xstrdup("-");
    if (start->start_us == INT64_MAX)
        return xstrdup("not known");
    if (start->basis == FORECAST_NOW && start->start_us <= now_us)
        return xstrdup(start->start_us < now_us ? "runs" : "at once");
    return xasprintf("in %s (%s)", seconds_to_str((start->start_us - now_us) / US_PER_S, span),
                     forecast_basis_name(start->basis));
}

static void add_row(struct text *out, const char *name, size_t before, size_t after)
{
    text_addf(out, "%-24s %-24zu %zu\n", name, before, after);
}

static void add_table(struct text *out, const struct what_if *w, const struct snapshot *s)
{
    char before[32], after[32];

    text_addf(out, "%-24s %-24s %s\n", "", "AS IT IS", "WHAT IF");
    add_row(out, "machines", w->before.n_nodes, w->after.n_nodes);
    add_row(out, "jobs that run", w->before.n_running, w->after.n_running);
    add_row(out, "jobs that wait", w->before.n_waiting, w->after.n_waiting);
    add_row(out, "  start at once", w->before.n_now, w->after.n_now);
    add_row(out, "  start is known", w->before.n_known, w->after.n_known);
    if (w->n_both > 0)
        text_addf(out, "  still wait, mean       %-24s %s\n",
                  seconds_to_str(w->mean_before_us / US_PER_S, before),
                  seconds_to_str(w->mean_after_us / US_PER_S, after));
    if (w->jobs.len > 0)
        text_addf(out, "\n%-24s %-24s %s\n", "JOB", "STARTS AS IT IS", "STARTS THEN");
    vec_foreach(&w->jobs, one) {
        _cleanup_free_ char *is = start_text(one->before, s->now_us);
        _cleanup_free_ char *then = start_text(one->after, s->now_us);
        char id[ID_TEXT_LEN + 1];
        text_addf(out, "%-24s %-24s %s\n",
                  one->job->name ? one->job->name : id_format(&one->job->id, id), is, then);
    }
}

static int run(const void *options, struct error *err)
{
    const struct options *o = options;
    struct forecast_options ahead = forecast_defaults;
    _cleanup_(snapshot_freep) struct snapshot *before = NULL;
    _cleanup_(snapshot_freep) struct snapshot *after = NULL;
    _cleanup_free_ char *own = NULL;
    struct what_if w;
    int r = read_snapshot(o, &before, &own, err);

    if (r < 0)
        return r;
    after = snapshot_copy(before);
    r = change_all(o, after, own, err);
    if (r < 0)
        return r;
    if (o->days)
        ahead.horizon_us = o->days * 86400 * US_PER_S;
    what_if_run(before, after, &ahead, &w);
    _cleanup_json_ json_t *json = to_json(&w, before);
    _cleanup_text_ struct text table = { 0 };
    add_table(&table, &w, before);
    r = simulate_print(json, &table, o->form);
    what_if_done(&w);
    return r;
}

int admin_simulate_what_if(int argc, char **argv, admin_fetch_f fetch)
{
    struct options o = { .fetch = fetch, .form = "table" };
    int code =
        simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv, &o);

    json_decref(o.asks);
    workload_spec_free(o.spec);
    return code;
}
