/* environment.c - what the command sees of itself (DESIGN 6) */
#include "executor/internal.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>

struct variables {
    VEC(char *) list;
};

/* Later ones replace earlier ones of the same name. Takes TEXT. */
static void put(struct variables *v, char *text)
{
    size_t len = strcspn(text, "=") + 1;

    vec_foreach(&v->list, old) {
        if (strncmp(*old, text, len) != 0)
            continue;
        free(*old);
        *old = text;
        return;
    }
    vec_push(&v->list, text);
}

static void put_defaults(struct variables *v)
{
    put(v, xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    put(v, xstrdup("HOME=/root"));
    put(v, xstrdup("LANG=C.UTF-8"));
    /* A log is read while it grows. */
    put(v, xstrdup("PYTHONUNBUFFERED=1"));
}

static void put_gpus(struct variables *v, const struct allocation *a)
{
    _cleanup_text_ struct text list = { 0 };
    unsigned n = 0;

    for (char **gpu = a->gpus; gpu && *gpu; gpu++)
        text_addf(&list, n++ ? ",%s" : "%s", *gpu);
    put(v, xasprintf("BERTH_GPUS=%u", n));
    if (!n)
        return;
    if (a->gpu_milli)
        put(v, xasprintf("BERTH_GPU_MILLI=%u", a->gpu_milli));
    put(v, xasprintf("BERTH_GPU_UUIDS=%s", text_str(&list)));
    /* Images of NVIDIA's say "all"; these are the ones that are there. */
    put(v, xasprintf("NVIDIA_VISIBLE_DEVICES=%s", text_str(&list)));
}

static void put_identity(struct variables *v, const struct task_spec *spec)
{
    char workload[ID_TEXT_LEN + 1], attempt[ID_TEXT_LEN + 1];

    id_format(&spec->workload, workload);
    id_format(&spec->attempt, attempt);
    put(v, xasprintf("BERTH_JOB_ID=%s", workload));
    put(v, xasprintf("BERTH_JOB_NAME=%s", spec->workload_name ? spec->workload_name : ""));
    put(v, xasprintf("BERTH_PROJECT=%s", spec->project_name ? spec->project_name : ""));
    put(v, xasprintf("BERTH_ATTEMPT=%u", spec->number));
    put(v, xasprintf("BERTH_ATTEMPT_ID=%s", attempt));
    put(v, xasprintf("BERTH_CPUS=%u", cpu_set_count(&spec->allocation->cpus)));
    put(v, xasprintf("BERTH_MEMORY_BYTES=%" PRId64, spec->allocation->memory_bytes));
    if (spec->resume)
        put(v, xstrdup("BERTH_RESUME=1"));
    put(v, xasprintf("PS_JOB_ID=%s", workload));
    put(v, xasprintf("PS_PROJECT=%s", spec->project_name ? spec->project_name : ""));
    put(v, xstrdup("PS_HOST_PUBLIC_IP_ADDRESS=127.0.0.1"));
}

/* A task that is alone: rank 0 of 1. */
static void put_rank_alone(struct variables *v, const struct task_spec *spec)
{
    static const char *const ranks[] = {
        "BERTH_RANK=0",          "BERTH_WORLD_SIZE=1", "RANK=0",
        "WORLD_SIZE=1",          "LOCAL_RANK=0",       "LOCAL_WORLD_SIZE=1",
        "MASTER_ADDR=127.0.0.1", "MASTER_PORT=29500",  "PS_HOST_PRIVATE_IP_ADDRESS=127.0.0.1"
    };

    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        put(v, xstrdup(ranks[i]));
    put(v, xasprintf("PS_HOSTNAME=%s", spec->workload_name ? spec->workload_name : "berth"));
}

static void put_array(struct variables *v, const struct array_place *place)
{
    char id[ID_TEXT_LEN + 1];

    if (!place)
        return;
    if (!id_is_none(&place->id))
        put(v, xasprintf("BERTH_ARRAY_ID=%s", id_format(&place->id, id)));
    put(v, xasprintf("BERTH_ARRAY_INDEX=%u", place->index));
    put(v, xasprintf("BERTH_ARRAY_COUNT=%u", place->count));
    put(v, xasprintf("BERTH_ARRAY_FIRST=%u", place->first));
    put(v, xasprintf("BERTH_ARRAY_LAST=%u", place->last));
    put(v, xasprintf("BERTH_ARRAY_STEP=%u", place->step));
}

static void put_own(struct variables *v, const struct workload_spec *spec, const json_t *secrets)
{
    for (size_t i = 0; i < spec->n_env; i++) {
        const struct env_var *var = &spec->env[i];
        const char *value = var->secret ? json_get_str(secrets, var->value, "") : var->value;
        put(v, xasprintf("%s=%s", var->name, value ? value : ""));
    }
}

char **environment_make(const struct task_spec *spec, const struct environment_facts *facts)
{
    struct variables v = { 0 };

    put_defaults(&v);
    if (facts->home)
        put(&v, xasprintf("HOME=%s", facts->home));
    for (char **env = facts->image ? facts->image->env : NULL; env && *env; env++)
        put(&v, xstrdup(*env));
    for (size_t i = 0; facts->edits && i < facts->edits->env.len; i++)
        put(&v, xstrdup(facts->edits->env.items[i]));
    if (!facts->gang)
        put_rank_alone(&v, spec);
    for (char **env = facts->gang; env && *env; env++)
        put(&v, xstrdup(*env));
    put_gpus(&v, spec->allocation);
    put_own(&v, spec->workload_spec, facts->secrets);
    put_identity(&v, spec);
    put_array(&v, spec->workload_spec->array);
    vec_push(&v.list, NULL);
    return v.list.items;
}

void environment_free(char **env)
{
    for (char **p = env; p && *p; p++) {
        explicit_bzero(*p, strlen(*p));
        free(*p);
    }
    free(env);
}
