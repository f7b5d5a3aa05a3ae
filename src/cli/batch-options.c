/* batch-options.c - the options of sbatch, one function each
 *
 * What has no meaning here is said in a note and does not stop a script that ran before; what would have
 * changed where or when a job runs, and cannot be kept, is refused by name.
 */
#include "cli/batch-set.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef batch_set_f set_f;

void batch_note(struct batch *b, const struct batch_option *o, const char *fmt, ...)
{
    char words[400];
    va_list ap;

    va_start(ap, fmt);
    (void) vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    if (o->line)
        text_addf(&b->notes, "line %u: ", o->line);
    text_addf(&b->notes, "--%s: %s\n", o->name, words);
}

int batch_wrong(const char *what, struct error *err)
{
    return error_set(err, -EINVAL, "must be %s", what);
}

/* ---- numbers, sizes, times ------------------------------------------------------------------------- */

static int read_count(const char *text, unsigned *ret, struct error *err)
{
    long long n;

    if (str_to_i64(text, 1, 1000000, &n) < 0)
        return batch_wrong("a number of 1 or more", err);
    *ret = (unsigned) n;
    return 0;
}

int batch_size_parse(const char *text, int64_t *ret)
{
    static const char units[] = "KMGT";
    int64_t unit = INT64_C(1) << 20, n = 0;
    const char *p = text;

    for (; isdigit((unsigned char) *p) && n < (INT64_C(1) << 40); p++)
        n = n * 10 + (*p - '0');
    if (p == text || isdigit((unsigned char) *p))
        return -EINVAL;
    const char *at = *p ? strchr(units, toupper((unsigned char) *p)) : NULL;
    if (at) {
        unit = INT64_C(1) << (10 * (at - units + 1));
        p++;
        p += *p == 'B' || *p == 'b';
    }
    if (*p || n > INT64_MAX / unit)
        return -EINVAL;
    *ret = n * unit;
    return 0;
}

/* "1:2:3" as up to three numbers; their count. */
static int read_parts(const char *text, int64_t parts[static 3])
{
    const char *p = text;
    int n = 0;

    for (;;) {
        const char *start = p;
        int64_t value = 0;
        for (; isdigit((unsigned char) *p) && value < 100000000; p++)
            value = value * 10 + (*p - '0');
        if (p == start || n == 3)
            return -EINVAL;
        parts[n++] = value;
        if (!*p)
            return n;
        if (*p++ != ':')
            return -EINVAL;
    }
}

int batch_time_parse(const char *text, int64_t *ret)
{
    const char *dash = strchr(text, '-');
    int64_t p[3] = { 0 }, days[3] = { 0 };

    *ret = 0;
    if (strcasecmp(text, "UNLIMITED") == 0 || strcasecmp(text, "INFINITE") == 0)
        return 0;
    if (dash) {
        _cleanup_free_ char *before = xstrndup(text, (size_t) (dash - text));
        if (read_parts(before, days) != 1 || read_parts(dash + 1, p) < 0)
            return -EINVAL;
        *ret = ((days[0] * 24 + p[0]) * 60 + p[1]) * 60 + p[2];
        return 0;
    }
    switch (read_parts(text, p)) {
    case 1:
        *ret = p[0] * 60;
        return 0;
    case 2:
        *ret = p[0] * 60 + p[1];
        return 0;
    case 3:
        *ret = (p[0] * 60 + p[1]) * 60 + p[2];
        return 0;
    default:
        return -EINVAL;
    }
}

static int set_size(const char *text, int64_t *into, struct error *err)
{
    return batch_size_parse(text, into) < 0
               ? batch_wrong("a size such as 500 (MiB), 4G or 512M", err)
               : 0;
}

static int set_time(struct batch *b, const struct batch_option *o, struct error *err)
{
    return batch_time_parse(o->value, &b->time_s) < 0
               ? batch_wrong("a time such as 90 (minutes), 1:30:00 or 2-12:00:00", err)
               : 0;
}

static int set_mem(struct batch *b, const struct batch_option *o, struct error *err)
{
    int r = set_size(o->value, &b->memory, err);

    if (r == 0 && b->memory == 0)
        batch_note(b, o, "all memory of a machine is not given; what belongs to the cores is");
    return r;
}

static int set_mem_per_cpu(struct batch *b, const struct batch_option *o, struct error *err)
{
    return set_size(o->value, &b->memory_per_cpu, err);
}

static int set_mem_per_gpu(struct batch *b, const struct batch_option *o, struct error *err)
{
    return set_size(o->value, &b->memory_per_gpu, err);
}

/* ---- tasks and GPUs -------------------------------------------------------------------------------- */

/* "2", or "2-4" where the most is for schedulers that can choose. */
static int set_nodes(struct batch *b, const struct batch_option *o, struct error *err)
{
    _cleanup_free_ char *least = xstrndup(o->value, strcspn(o->value, "-"));

    return read_count(least, &b->nodes, err);
}

static int set_ntasks(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_count(o->value, &b->ntasks, err);
}

static int set_per_node(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_count(o->value, &b->per_node, err);
}

static int set_per_task(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_count(o->value, &b->per_task, err);
}

/* "2", "a100:2", "a100" */
static int read_gpus(struct batch *b, const char *text, unsigned *into, struct error *err)
{
    const char *colon = strrchr(text, ':');
    const char *number = colon ? colon + 1 : text;
    bool counted = isdigit((unsigned char) *number);
    long long n = 1;

    if (counted && str_to_i64(number, 0, 4096, &n) < 0)
        return batch_wrong("a number of GPUs, or MODEL:NUMBER", err);
    if (strpbrk(text, ",()") || (colon && !counted) || !*text)
        return batch_wrong("a number of GPUs, or MODEL:NUMBER", err);
    *into = (unsigned) n;
    if (colon || !counted) {
        _cleanup_free_ char *model = xstrndup(text, colon ? (size_t) (colon - text) : strlen(text));
        json_put_str(b->request, "gpu_model", model);
    }
    return 0;
}

static int set_gpus(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_gpus(b, o->value, &b->gpus, err);
}

static int set_gpus_per_node(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_gpus(b, o->value, &b->gpus_per_node, err);
}

static int set_gpus_per_task(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_gpus(b, o->value, &b->gpus_per_task, err);
}

/* "gpu:2", "gpu:a100:2", "gpu" */
static int set_gres(struct batch *b, const struct batch_option *o, struct error *err)
{
    const char *p = o->value;

    if (str_equal(p, "none"))
        return 0;
    if (str_starts(p, "gres:") || str_starts(p, "gres/"))
        p += strlen("gres:");
    if (!str_starts(p, "gpu") || (p[3] && p[3] != ':') || strchr(p, ','))
        return error_set(err, -EINVAL, "'%.60s': only GPUs are known here, such as gpu:2", p);
    return p[3] ? read_gpus(b, p + 4, &b->gpus_per_node, err) : (b->gpus_per_node = 1, 0);
}

/* ---- when ------------------------------------------------------------------------------------------- */

static int set_array(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_put_str(b->request, "array", o->value);
    return 0;
}

/* "[B:]SIG[@SECONDS]" */
static int set_signal(struct batch *b, const struct batch_option *o, struct error *err)
{
    static const struct {
        const char *name, *number;
    } signals[] = { { "HUP", "1" },   { "INT", "2" },   { "QUIT", "3" },
                    { "USR1", "10" }, { "USR2", "12" }, { "TERM", "15" } };
    const char *p = o->value, *name = NULL;
    long long seconds = 60;

    for (; *p && p[1] == ':'; p += 2) {
        if (*p != 'B' && *p != 'R')
            return batch_wrong("[B:]SIGNAL[@SECONDS]", err);
        b->signal_script |= *p == 'B';
    }
    size_t n = strcspn(p, "@");
    if (p[n] && str_to_i64(p + n + 1, 0, 65535, &seconds) < 0)
        return batch_wrong("[B:]SIGNAL[@SECONDS]", err);
    if (n > 3 && strncmp(p, "SIG", 3) == 0) {
        p += 3;
        n -= 3;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if ((strlen(signals[i].name) == n && strncasecmp(signals[i].name, p, n) == 0) ||
            (strlen(signals[i].number) == n && strncmp(signals[i].number, p, n) == 0))
            name = signals[i].name;
    if (!name)
        return batch_wrong("HUP, INT, QUIT, USR1, USR2 or TERM, with @SECONDS if need be", err);
    xstr_set(&b->signal, name);
    b->signal_s = (int) seconds;
    json_t *checkpoint = json_object();
    json_put_str(checkpoint, "signal", name);
    json_put(b->request, "checkpoint", checkpoint);
    return 0;
}

static int set_requeue(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_put(b->request, "preemptible", json_boolean(str_equal(o->name, "requeue")));
    return 0;
}

/* ---- files and environment -------------------------------------------------------------------------- */

static int keep(char **into, const char *value)
{
    xstr_set(into, value);
    return 0;
}

static int set_output(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->output, o->value);
}

static int set_error(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->error, o->value);
}

static int set_chdir(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->chdir, o->value);
}

static int set_job_name(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->job_name, o->value);
}

static int set_partition(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->partition, o->value);
}

static int set_wrap(struct batch *b, const struct batch_option *o, struct error *err)
{
    return keep(&b->wrap, o->value);
}

/* ITEM is changed. */
static void export_item(struct batch *b, const struct batch_option *o, char *item, json_t *env)
{
    char *equals = strchr(item, '=');

    if (equals) {
        *equals = '\0';
        json_put_str(env, item, equals + 1);
    } else if (str_equal(item, "ALL")) {
        batch_note(
            b, o,
            "the container has its image's environment; only variables that are named are taken "
            "along");
    } else if (*item && !str_equal(item, "NONE") && !str_equal(item, "NIL")) {
        vec_push(&b->exports, xstrdup(item));
    }
}

/* "NONE", "ALL", "NAME,NAME=VALUE" */
static int set_export(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_t *env = json_object();

    json_put(b->request, "env", env);
    for (const char *p = o->value; *p;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *item = xstrndup(p, n);
        export_item(b, o, item, env);
        p += n + (p[n] == ',');
    }
    return 0;
}

/* It is a tag, by which jobs are found. */
static int set_comment(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_t *tags = json_object();

    if (strlen(o->value) > 255)
        return error_set(err, -EINVAL, "has more than 255 bytes");
    json_put(b->request, "tags", tags);
    json_put_str(tags, "comment", o->value);
    return 0;
}

static int set_open_mode(struct batch *b, const struct batch_option *o, struct error *err)
{
    b->append = str_equal(o->value, "append") || str_equal(o->value, "a");
    if (!b->append && !str_equal(o->value, "truncate") && !str_equal(o->value, "t"))
        return batch_wrong("append or truncate", err);
    return 0;
}

static int set_tmp(struct batch *b, const struct batch_option *o, struct error *err)
{
    int64_t bytes = 0;
    int r = set_size(o->value, &bytes, err);

    if (r == 0 && bytes > 0)
        json_put_int(b->request, "disk", bytes);
    return r;
}

static int set_per_gpu(struct batch *b, const struct batch_option *o, struct error *err)
{
    return read_count(o->value, &b->cpus_per_gpu, err);
}

/* ---- what is said and not done ----------------------------------------------------------------------- */

static int set_mail(struct batch *b, const struct batch_option *o, struct error *err)
{
    if (!str_equal(o->value, "NONE"))
        batch_note(b, o, "no mail is sent; `berth event follow` and `berth job wait` tell the end");
    return 0;
}

static int set_nothing(struct batch *b, const struct batch_option *o, struct error *err)
{
    batch_note(b, o, "has no meaning here");
    return 0;
}

static int set_silently(struct batch *b, const struct batch_option *o, struct error *err)
{
    return 0;
}

/* What it does is no part of a job. */
static int set_command_line(struct batch *b, const struct batch_option *o, struct error *err)
{
    return error_set(err, -EINVAL, "belongs on the command line, without a script");
}

static int set_switch(struct batch *b, const struct batch_option *o, struct error *err)
{
    bool *const into = str_equal(o->name, "parsable")    ? &b->parsable
                       : str_equal(o->name, "test-only") ? &b->test_only
                       : str_equal(o->name, "quiet")     ? &b->quiet
                                                         : &b->wait;
    *into = true;
    return 0;
}

/* X(name, letter, operand, doc, function), by name. */
#define OPTIONS(X)                                                                                 \
    X("account", "A", "ACCOUNT", "no meaning here, said in a note", set_nothing)                   \
    X("array", "a", "INDEXES[%N]", "run it once for each index", set_array)                        \
    X("chdir", "D", "DIR", "the directory that is sent; the current one when left out", set_chdir) \
    X("begin", "b", "TIME", "not before: now+1hour, 16:00, tomorrow, 2030-01-31T22:00",            \
      batch_set_begin)                                                                             \
    X("collect", NULL, NULL, "write what is left of the output of jobs, until all is whole",       \
      set_command_line)                                                                            \
    X("comment", NULL, "TEXT", "the tag `comment` of the job", set_comment)                        \
    X("constraint", "C", "TAGS", "machines with these tags: a&b, a|b, a&(b|c)",                    \
      batch_set_constraint)                                                                        \
    X("cpus-per-gpu", NULL, "N", "cores of a GPU", set_per_gpu)                                    \
    X("cpus-per-task", "c", "N", "cores of a task", set_per_task)                                  \
    X("dependency", "d", "LIST",                                                                   \
      "afterok:JOB, afterany:, afternotok:, after:JOB+MINUTES, aftercorr:, singleton",             \
      batch_set_dependency)                                                                        \
    X("distribution", "m", "block", "ranks lie side by side", batch_set_distribution)              \
    X("error", "e", "PATTERN",                                                                     \
      "file of stderr alone: with stdout in that of --output when left out", set_error)            \
    X("exclude", "x", "NODES", "not on these machines", batch_set_exclude)                         \
    X("exclusive", NULL, NULL, "machines of its own, with all their cores", batch_set_exclusive)   \
    X("export", NULL, "NAMES", "variables to take along: NAME or NAME=VALUE", set_export)          \
    X("gpus", "G", "[MODEL:]N", "GPUs of the job", set_gpus)                                       \
    X("gpus-per-node", NULL, "[MODEL:]N", "GPUs of a machine", set_gpus_per_node)                  \
    X("gpus-per-task", NULL, "[MODEL:]N", "GPUs of a task", set_gpus_per_task)                     \
    X("gres", NULL, "gpu[:MODEL][:N]", "GPUs of a machine", set_gres)                              \
    X("hint", NULL, "HINT", "nomultithread and the like, said in a note", batch_set_hint)          \
    X("job-name", "J", "NAME", "its name; that of the script when left out", set_job_name)         \
    X("kill-on-invalid-dep", NULL, "yes|no", "what a dependency that can never be met does",       \
      batch_set_kill_invalid)                                                                      \
    X("mail-type", NULL, "TYPE", "no mail is sent", set_mail)                                      \
    X("mail-user", NULL, "USER", "no mail is sent", set_silently)                                  \
    X("mem", NULL, "SIZE", "memory of a machine: MiB, or with K, M, G, T", set_mem)                \
    X("mem-per-cpu", NULL, "SIZE", "memory of a core", set_mem_per_cpu)                            \
    X("mem-per-gpu", NULL, "SIZE", "memory of a GPU", set_mem_per_gpu)                             \
    X("nice", NULL, "[=N]", "a lower priority, by 100 when left out", batch_set_nice)              \
    X("no-requeue", NULL, NULL, "it may not be stopped for another job", set_requeue)              \
    X("nodelist", "w", "NODES", "on these machines: n1,n[2-4]", batch_set_nodelist)                \
    X("nodes", "N", "N", "machines", set_nodes)                                                    \
    X("ntasks", "n", "N", "tasks that srun starts", set_ntasks)                                    \
    X("ntasks-per-node", NULL, "N", "tasks of a machine", set_per_node)                            \
    X("open-mode", NULL, "MODE", "append or truncate the files of --output and --error",           \
      set_open_mode)                                                                               \
    X("output", "o", "PATTERN", "file that is written here: slurm-%j.out when left out",           \
      set_output)                                                                                  \
    X("parsable", NULL, NULL, "print the id alone", set_switch)                                    \
    X("partition", "p", "NAME", "a flavor of that name, if there is one", set_partition)           \
    X("qos", "q", "QOS", "no meaning here, said in a note", set_nothing)                           \
    X("quiet", "Q", NULL, "no notes", set_switch)                                                  \
    X("requeue", NULL, NULL, "it may be stopped for another job and queued again", set_requeue)    \
    X("signal", NULL, "[B:]SIG[@SECONDS]", "signal before the end of its time", set_signal)        \
    X("test-only", NULL, NULL, "check, and say what would be done", set_switch)                    \
    X("threads-per-core", NULL, "1", "said in a note", batch_set_threads)                          \
    X("time", "t", "TIME", "longest time to run: minutes, H:M:S or D-H:M:S", set_time)             \
    X("tmp", NULL, "SIZE", "disk of the job", set_tmp)                                             \
    X("verbose", "v", NULL, "more notes: there are none", set_silently)                            \
    X("wait", "W", NULL, "wait for the end and the output, give the exit code", set_switch)        \
    X("wrap", NULL, "COMMAND", "a command instead of a script", set_wrap)

#define FLAG(name, letter, operand, doc, set)   { name, letter, operand, doc },
#define SETTER(name, letter, operand, doc, set) { name, set },

const struct cli_flag batch_flags[] = { OPTIONS(FLAG){ NULL } };

static const struct {
    const char *name;
    set_f set;
} setters[] = { OPTIONS(SETTER) };

/* Machines that are named are all of them. */
static int check_nodes(struct batch *b, struct error *err)
{
    size_t n = json_array_size(json_object_get(b->request, "on_nodes"));

    if (n > 1 && b->nodes == 0)
        b->nodes = (unsigned) n;
    if (n > 0 && b->nodes > n)
        return error_set(err, -EINVAL,
                         "--nodelist: names %zu of %u machines (--nodes): name all that it may "
                         "run on",
                         n, b->nodes);
    return 0;
}

int batch_read(const batch_options *options, struct batch *ret, struct error *err)
{
    *ret = (struct batch){ .request = json_object() };
    vec_foreach(options, o) {
        int r = -EINVAL;
        for (size_t i = 0; i < sizeof setters / sizeof *setters; i++)
            if (str_equal(setters[i].name, o->name))
                r = setters[i].set(ret, o, err);
        if (r < 0 && o->line)
            return error_context(err, r, "line %u: --%s", o->line, o->name);
        if (r < 0)
            return error_context(err, r, "--%s", o->name);
    }
    return check_nodes(ret, err);
}

void batch_done(struct batch *b)
{
    char **const texts[] = { &b->output,    &b->error, &b->chdir, &b->job_name,
                             &b->partition, &b->wrap,  &b->signal };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        xstr_set(texts[i], NULL);
    vec_foreach(&b->exports, name)
        free(*name);
    vec_done(&b->exports);
    json_decref(b->request);
    text_done(&b->notes);
}
