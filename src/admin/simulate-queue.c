/* simulate-queue.c - `berth simulate queue`: how long do jobs wait? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/alloc.h"
#include "base/time.h"
#include "placement/placement.h"
#include "sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_SHOWN = 40 };

static const char usage[] =
    "Usage: berth simulate queue --jobs JOBS.csv --nodes 80x8[,20x4]|FILE [--policy NAME]\n"
    "                            [--out FILE] [--depth N] [--backoff TIME]\n"
    "                            [--from TIME] [--days N] [--known-durations] [--not-preemptible]\n"
    "                            [--guaranteed TIME] [--restart TIME] [--patience TIME]\n"
    "                            [--weights GROUP=N,...] [--half-life TIME]\n"
    "                            [--booking group=NAME,gpus=N,from=TIME,for=TIME]... [--notice TIME]\n"
    "                            [--score NAME] [-o table|json|yaml]\n\n"
    "Replays jobs in virtual time: they come, wait, run, are stopped for others and go on.\n\n"
    "  --jobs FILE         columns timestamp (2017-10-09 07:01:55), duration (seconds), num_gpus and, if\n"
    "                      need be, org, project, user (whose it is), priority, limit (seconds that it\n"
    "                      declares; it is ended then), preemptible (yes, no), crashes (so often it\n"
    "                      fails and comes back), crash_after (seconds that it ran then)\n"
    "  --nodes NxG         N machines of G GPUs; several kinds with commas. A job that a machine holds\n"
    "                      runs on one, a larger one in equal tasks on several\n"
    "  --nodes FILE        machines as `berth simulate pack` takes them: columns sn, cpu_milli,\n"
    "                      memory_mib, gpu, model; or the hardware of a fleet in JSON\n"
    "  --policy NAME       las (default), fair, easy, conservative, skip, fifo\n"
    "  --depth N           so many who wait have a time promised under conservative, up to 100000 (100)\n"
    "  --from, --days      jobs that came then alone: 2017-10-02, 30\n"
    "  --known-durations   jobs declare exactly as long as they run (easy, conservative need it)\n"
    "  --not-preemptible   nobody is stopped for others\n"
    "  --guaranteed TIME   nobody is stopped before it ran so long (10m)\n"
    "  --restart TIME      what a job loses that was stopped (60s)\n"
    "  --patience TIME     for a job that waited so long machines are kept free (24h; 0s: never)\n"
    "  --backoff TIME      a job that crashed waits so long, and twice as long each time (10s)\n"
    "  --weights LIST      of groups under fair: physics=3,physics/vision=2 (1 each)\n"
    "  --half-life TIME    what a group had counts half as much after it (7d; 0s: nothing is forgotten)\n"
    "  --booking LIST      machines are kept: group=physics,gpus=16,from=2017-10-05T12:00:00Z,for=4h;\n"
    "                      nodes=N: whole ones; until=TIME; made=TIME: made then, else from the\n"
    "                      beginning. Can be given often; says what it cost others\n"
    "  --notice TIME       before a booking begins who is in its way is stopped (5m)\n"
    "  --score NAME        how places are chosen: best-fit (default), yield, fgd, first-fit\n"
    "  --out FILE          every job: line, wait_s, duration_s, gpus, preemptions\n"
    "  -o FORM             table (default), json or yaml\n\n"
    "Exit code: 0; 1 when a file is wrong, with line and column; 2 usage.\n";

void admin_simulate_queue_help(struct text *out) { text_add(out, usage); }

struct options {
    struct queue_options queue;
    const char *jobs, *nodes, *out, *form;
    long long days, depth;
    const char *bookings[QUEUE_BOOKINGS_MAX];
    struct error wrong; /* of the command line */
};

/* "80x8,20x4" */
static bool read_machines(const char *text, struct queue_options *o)
{
    o->n_groups = 0;
    _cleanup_free_ char *copy = xstrdup(text);
    char *save = NULL;

    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *x = strchr(word, 'x');
        long long count, gpus;
        if (!x || o->n_groups == QUEUE_GROUPS_MAX)
            return false;
        *x = '\0';
        if (str_to_i64(word, 1, 100000, &count) < 0 ||
            str_to_i64(x + 1, 1, CAPACITY_GPUS_MAX, &gpus) < 0)
            return false;
        o->groups[o->n_groups++] = (struct queue_machines){ (unsigned) count, (unsigned) gpus };
    }
    return true;
}

/* "2017-10-02" */
static bool read_day(const char *text, int64_t *ret)
{
    _cleanup_free_ char *full = xasprintf("%sT00:00:00Z", text);

    return time_parse(full, ret) >= 0;
}

static bool read_span(const char *text, int64_t *ret)
{
    long long seconds;

    if (str_to_seconds(text, &seconds) < 0)
        return false;
    *ret = seconds * US_PER_S;
    return true;
}

/* Flags that take no value, and those that do not decide about the replay. */
static bool read_plain(int argc, char **argv, int *i, struct options *o)
{
    const char *value;

    if (str_equal(argv[*i], "--known-durations"))
        return o->queue.knows_durations = true;
    if (str_equal(argv[*i], "--not-preemptible"))
        return !(o->queue.preemptible = false);
    if ((value = option_value("--jobs", argc, argv, i)))
        return (o->jobs = value);
    if ((value = option_value("--out", argc, argv, i)))
        return (o->out = value);
    if ((value = option_value("--booking", argc, argv, i)))
        return o->queue.n_bookings < QUEUE_BOOKINGS_MAX &&
               (o->bookings[o->queue.n_bookings++] = value);
    if ((value = option_value("--notice", argc, argv, i)))
        return read_span(value, &o->queue.notice_us);
    if ((value = option_value("--depth", argc, argv, i)))
        return str_to_i64(value, 1, 100000, &o->depth) >= 0;
    if ((value = option_value("-o", argc, argv, i)) && option_is_form(value))
        return (o->form = value);
    return false;
}

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct options *o = options;
    struct queue_options *q = &o->queue;
    const char *value;

    if ((value = option_value("--nodes", argc, argv, i)))
        return value[strspn(value, "0123456789x,")] ? (o->nodes = value) != NULL
                                                    : read_machines(value, q);
    if ((value = option_value("--policy", argc, argv, i)))
        return (q->policy = policy_find(value));
    if ((value = option_value("--score", argc, argv, i)))
        return (q->score = score_find(value));
    if ((value = option_value("--from", argc, argv, i)))
        return read_day(value, &q->from_us);
    if ((value = option_value("--days", argc, argv, i)))
        return str_to_i64(value, 1, 36600, &o->days) >= 0;
    if ((value = option_value("--guaranteed", argc, argv, i)))
        return read_span(value, &q->guaranteed_us);
    if ((value = option_value("--restart", argc, argv, i)))
        return read_span(value, &q->restart_us);
    if ((value = option_value("--patience", argc, argv, i)))
        return read_span(value, &q->patience_us);
    if ((value = option_value("--half-life", argc, argv, i)))
        return read_span(value, &q->half_life_us);
    if ((value = option_value("--backoff", argc, argv, i)))
        return read_span(value, &q->backoff_us);
    if ((value = option_value("--weights", argc, argv, i)))
        return (q->weights = value);
    return read_plain(argc, argv, i, o);
}

static const char *check(void *options)
{
    struct options *o = options;

    if (o->days)
        o->queue.to_us = o->queue.from_us + o->days * 86400 * US_PER_S;
    o->queue.depth = (unsigned) o->depth;
    o->queue.bookings = o->bookings;
    if (!o->jobs)
        return "--jobs is missing";
    if (o->nodes && o->queue.n_groups)
        return "--nodes: machines come from a file or are said in words, not both";
    if (!o->nodes && !o->queue.n_groups)
        return "--nodes is missing";
    if (o->queue.weights && queue_weights_check(o->queue.weights, &o->wrong) < 0)
        return o->wrong.text;
    for (size_t i = 0; i < o->queue.n_bookings; i++)
        if (queue_booking_check(o->bookings[i], &o->wrong) < 0)
            return o->wrong.text;
    return NULL;
}

static json_t *group_to_json(const struct queue_group_figures *g)
{
    json_t *json = json_object();

    json_put_str(json, "group", g->path);
    json_put_int(json, "weight", g->weight);
    json_put_int(json, "jobs", (int64_t) g->n_jobs);
    json_put_int(json, "gpu_seconds", g->ran_us / US_PER_S);
    json_put_int(json, "wait_mean", g->wait_mean_us / US_PER_S);
    json_put_int(json, "wait_max", g->wait_max_us / US_PER_S);
    return json;
}

static json_t *figures_to_json(const struct queue_figures *f, const char *policy)
{
    json_t *json = json_object();

    json_put_str(json, "policy", policy);
    json_put_int(json, "jobs", (int64_t) f->n_jobs);
    json_put_int(json, "wait_mean", f->wait_mean_us / US_PER_S);
    json_put_int(json, "wait_p50", f->wait_p50_us / US_PER_S);
    json_put_int(json, "wait_p99", f->wait_p99_us / US_PER_S);
    json_put_int(json, "wait_max", f->wait_max_us / US_PER_S);
    json_put_int(json, "turnaround_mean", f->turnaround_mean_us / US_PER_S);
    json_put_int(json, "preemptions", (int64_t) f->n_preemptions);
    json_put_int(json, "wait_per_thousand_run_max", f->wait_ratio_max_thousandths);
    json_put_int(json, "passes", (int64_t) f->n_passes);
    json_put_int(json, "ended_at_limit", (int64_t) f->n_cut);
    json_put_int(json, "crashes", (int64_t) f->n_crashes);
    json_put_int(json, "crash_loops", (int64_t) f->n_looping);
    json_put_int(json, "stopped_for_a_crash_loop_max", (int64_t) f->stopped_max);
    json_t *groups = json_array();
    for (size_t i = 0; i < f->n_groups; i++)
        (void) json_array_append_new(groups, group_to_json(&f->groups[i]));
    json_put(json, "groups", groups);
    return json;
}

static void add_span(struct text *out, const char *name, int64_t us)
{
    text_addf(out, "%-18s %lld s\n", name, (long long) (us / US_PER_S));
}

static void add_table(struct text *out, const struct queue_figures *f, const char *policy)
{
    text_addf(out, "policy             %s\njobs               %llu\n", policy,
              (unsigned long long) f->n_jobs);
    add_span(out, "wait, mean", f->wait_mean_us);
    add_span(out, "wait, p50", f->wait_p50_us);
    add_span(out, "wait, p99", f->wait_p99_us);
    add_span(out, "wait, longest", f->wait_max_us);
    add_span(out, "turnaround, mean", f->turnaround_mean_us);
    text_addf(out, "preemptions        %llu\n", (unsigned long long) f->n_preemptions);
    if (f->n_cut)
        text_addf(out, "ended at limit     %llu\n", (unsigned long long) f->n_cut);
    if (f->n_crashes)
        text_addf(out,
                  "crashes            %llu, of %llu jobs; stopped for one of them: %llu at most\n",
                  (unsigned long long) f->n_crashes, (unsigned long long) f->n_looping,
                  (unsigned long long) f->stopped_max);
    if (f->n_groups)
        text_add(
            out,
            "\ngroup                        weight   jobs  GPU hours   wait, mean      longest\n");
    for (size_t i = 0; i < f->n_groups && i < GROUPS_SHOWN; i++) {
        const struct queue_group_figures *g = &f->groups[i];
        text_addf(out, "%-28s %6u %6llu %10lld %10lld s %10lld s\n", g->path, g->weight,
                  (unsigned long long) g->n_jobs, (long long) (g->ran_us / US_PER_S / 3600),
                  (long long) (g->wait_mean_us / US_PER_S),
                  (long long) (g->wait_max_us / US_PER_S));
    }
    if (f->n_groups > GROUPS_SHOWN)
        text_addf(out, "(%zu more: -o json)\n", f->n_groups - GROUPS_SHOWN);
}

/* One replay; OUT may be NULL. */
static int replay(const struct options *o, bool with_bookings, FILE *out, struct queue_figures *ret,
                  struct error *err)
{
    _cleanup_(simulate_closep) FILE *jobs = NULL;
    _cleanup_(simulate_closep) FILE *nodes = NULL;
    struct queue_options queue = o->queue;
    int r = simulate_open(o->jobs, "re", &jobs, err);

    if (r >= 0 && o->nodes)
        r = simulate_open(o->nodes, "re", &nodes, err);
    if (r < 0)
        return r;
    const struct pack_file files[] = { { jobs, o->jobs }, { out, o->out }, { nodes, o->nodes } };
    queue.nodes = nodes ? &files[2] : NULL;
    queue.n_bookings = with_bookings ? queue.n_bookings : 0;
    return queue_run(&queue, &files[0], &files[1], ret, err);
}

static int run(const void *options, struct error *err)
{
    const struct options *o = options;
    _cleanup_(simulate_closep) FILE *out = NULL;
    _cleanup_(queue_figures_done) struct queue_figures figures = { 0 }, without = { 0 };
    int r = 0;

    if (o->queue.n_bookings > 0 && str_equal(o->jobs, "-"))
        return error_set(err, -EINVAL, "--jobs: must be a file with --booking: it is read twice");
    if (o->out)
        r = simulate_open(o->out, "we", &out, err);
    if (r >= 0)
        r = replay(o, true, out, &figures, err);
    if (r < 0 || out == stdout)
        return r;
    _cleanup_json_ json_t *json = figures_to_json(&figures, o->queue.policy->name);
    _cleanup_text_ struct text table = { 0 };
    add_table(&table, &figures, o->queue.policy->name);
    if (o->queue.n_bookings > 0) {
        r = replay(o, false, NULL, &without, err);
        if (r < 0)
            return r;
        simulate_bookings(&figures, &without, json, &table);
    }
    return simulate_print(json, &table, o->form);
}

int admin_simulate_queue(int argc, char **argv)
{
    struct options o = { .queue = { .policy = &policy_las,
                                    .score = &score_best_fit,
                                    .preemptible = true,
                                    .guaranteed_us = 600 * US_PER_S,
                                    .restart_us = 60 * US_PER_S,
                                    .patience_us = 24 * 3600 * US_PER_S,
                                    .half_life_us = 7 * 24 * 3600 * US_PER_S,
                                    .backoff_us = 10 * US_PER_S,
                                    .notice_us = 300 * US_PER_S },
                         .form = "table" };

    return simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv,
                         &o);
}
