/* batch-request.c - what was asked for in Slurm's words, in those of a job */
#include "cli/batch.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { NAME_MAX_LEN = 40 };

static unsigned at_least_one(unsigned n) { return n ? n : 1; }

static unsigned shares(unsigned n, unsigned of)
{
    unsigned by = at_least_one(of);

    return (n + by - 1) / by;
}

/* How many machines, and how many tasks on each. */
static void count_tasks(struct batch *b)
{
    if (b->nodes == 0)
        b->nodes = b->ntasks && b->per_node ? shares(b->ntasks, b->per_node) : 1;
    if (b->ntasks == 0)
        b->ntasks = b->nodes * at_least_one(b->per_node);
    if (b->nodes > b->ntasks)
        b->ntasks = b->nodes;
}

/* On several machines a task has its share of what a machine was to have. */
static unsigned tasks_of_machine(const struct batch *b)
{
    return b->nodes > 1 ? at_least_one(shares(b->ntasks, b->nodes)) : 1;
}

static void put_memory(struct batch *b, unsigned cores, unsigned gpus)
{
    int64_t bytes = b->memory           ? b->memory / tasks_of_machine(b)
                    : b->memory_per_cpu ? b->memory_per_cpu * cores
                    : b->memory_per_gpu ? b->memory_per_gpu * at_least_one(gpus)
                                        : 0;

    if (bytes > 0)
        json_put_int(b->request, "memory", bytes);
}

/* GPUs of what the request describes: of the job on one machine, of a task on several. */
static unsigned count_gpus(const struct batch *b)
{
    if (b->nodes == 1)
        return b->gpus            ? b->gpus
               : b->gpus_per_node ? b->gpus_per_node
                                  : b->gpus_per_task * b->ntasks;
    return b->gpus            ? shares(b->gpus, b->nodes * tasks_of_machine(b))
           : b->gpus_per_node ? shares(b->gpus_per_node, tasks_of_machine(b))
                              : b->gpus_per_task;
}

/* Where GPUs bring their share of cores, and nothing else was said, they do. A flavor says it all. */
static void put_hardware(struct batch *b, const char *flavor)
{
    unsigned gpus = count_gpus(b);
    unsigned cores = (b->nodes > 1 ? 1 : b->ntasks) * at_least_one(b->per_task);
    bool plain = (b->nodes > 1 || b->ntasks == 1) && !b->per_task;

    if (gpus)
        json_put_int(b->request, "gpus", gpus);
    if (gpus && b->cpus_per_gpu && !b->per_task) {
        cores = gpus * b->cpus_per_gpu;
        plain = false;
    }
    if (flavor && plain)
        json_put_str(b->request, "flavor", flavor);
    else if (!gpus || !plain)
        json_put_int(b->request, "cpus", cores);
    put_memory(b, cores, gpus);
    if (b->time_s > 0)
        json_put_int(b->request, "max_time", b->time_s);
    if (b->nodes > 1) {
        json_put_int(b->request, "nodes", b->nodes);
        json_put_int(b->request, "tasks_per_node", tasks_of_machine(b));
        json_put(b->request, "mpi", json_true());
    }
}

static void put_number(json_t *env, const char *name, unsigned n)
{
    _cleanup_free_ char *text = xasprintf("%u", n);

    json_put_str(env, name, text);
}

static void put_signal(const struct batch *b, json_t *env)
{
    if (!b->signal || b->time_s <= b->signal_s)
        return;
    put_number(env, "SLURM_SIGNAL_AFTER", (unsigned) (b->time_s - b->signal_s));
    json_put_str(env, "SLURM_SIGNAL", b->signal);
    if (b->signal_script)
        json_put_str(env, "SLURM_SIGNAL_SCRIPT", "1");
}

static json_t *environment(const struct batch *b)
{
    json_t *env = json_object_get(b->request, "env");

    if (!env) {
        env = json_object();
        json_put(b->request, "env", env);
    }
    json_put_str(env, "SLURM_JOB_NAME", b->job_name);
    if (b->partition)
        json_put_str(env, "SLURM_JOB_PARTITION", b->partition);
    put_number(env, "SLURM_NTASKS", b->ntasks);
    put_number(env, "SLURM_NPROCS", b->ntasks);
    _cleanup_free_ char *per_node = b->nodes > 1
                                        ? xasprintf("%u(x%u)", tasks_of_machine(b), b->nodes)
                                        : xasprintf("%u", b->ntasks);
    json_put_str(env, "SLURM_TASKS_PER_NODE", per_node);
    if (b->per_node)
        put_number(env, "SLURM_NTASKS_PER_NODE", b->per_node);
    if (b->per_task)
        put_number(env, "SLURM_CPUS_PER_TASK", b->per_task);
    if (b->memory_per_cpu)
        put_number(env, "SLURM_MEM_PER_CPU", (unsigned) (b->memory_per_cpu >> 20));
    put_signal(b, env);
    return env;
}

static bool is_small(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static void add_letter(struct text *name, char c)
{
    if (is_small(c) || (name->len && strchr("._-", c)))
        text_add_char(name, c);
    else if (name->len && name->data[name->len - 1] != '-')
        text_add_char(name, '-');
}

/* "My Job.sh" to "my-job.sh": small letters, digits, and what names have inside. */
static char *make_name(const char *text)
{
    struct text name = { 0 };

    for (const char *p = text; *p && name.len < NAME_MAX_LEN; p++)
        add_letter(&name, (char) tolower((unsigned char) *p));
    while (name.len && strchr("._-", name.data[name.len - 1]))
        name.data[--name.len] = '\0';
    if (!name.len)
        text_add(&name, "sbatch");
    return text_take(&name);
}

void batch_request(struct batch *b, const struct batch_script *script)
{
    json_t *command = json_array();

    json_put(b->request, "command", command);
    count_tasks(b);
    if (!b->job_name)
        b->job_name = xstrdup(script->name);
    _cleanup_free_ char *name = make_name(b->job_name);
    json_put_str(b->request, "name", name);
    put_hardware(b, script->flavor);
    json_put_str(environment(b), "SLURM_SBATCH_SCRIPT", script->text);
    const char *const begin[] = { "/bin/sh", "-c", batch_launcher, "sbatch" };
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
        (void) json_array_append_new(command, json_string(begin[i]));
    for (size_t i = 0; i < script->n_args; i++)
        (void) json_array_append_new(command, json_string(script->args[i]));
}

/* ---- names of output files ---------------------------------------------------------------------------- */

static const char *name_of(char letter, const struct batch_names *names)
{
    switch (letter) {
    case 'A':
        return names->array ? names->array : names->job;
    case 'a':
        return names->index ? names->index : "4294967294";
    case 'j':
    case 'J':
        return names->job;
    case 'x':
        return names->name;
    case 'N':
        return names->node;
    case 'u':
        return names->user;
    case 'n':
    case 's':
    case 't':
        return "0";
    default:
        return NULL;
    }
}

char *batch_pattern(const char *pattern, const struct batch_names *names)
{
    struct text path = { 0 };

    /* A backslash takes their meaning from all of them. */
    if (strchr(pattern, '\\')) {
        for (const char *p = pattern; *p; p++)
            if (*p != '\\')
                text_add_char(&path, *p);
        return text_take(&path);
    }
    for (const char *p = pattern; *p; p++) {
        const char *q = p + 1;
        size_t width = 0;
        while (*p == '%' && isdigit((unsigned char) *q) && width < 10)
            width = width * 10 + (size_t) (*q++ - '0');
        const char *value = *p == '%' ? name_of(*q, names) : NULL;
        if (*p == '%' && *q == '%') {
            text_add_char(&path, '%');
            p = q;
        } else if (value) {
            for (size_t n = strlen(value); n < width && n < 10; n++)
                text_add_char(&path, '0');
            text_add(&path, value);
            p = q;
        } else {
            text_add_char(&path, *p);
        }
    }
    text_add(&path, "");
    return text_take(&path);
}
