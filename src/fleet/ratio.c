/* ratio.c - how many cores and how much memory go with a GPU, as flavors say it */
#include "fleet/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>

enum { MILLI = 1000, CORES_MAX = CPU_SET_MAX };

#define MIB        (INT64_C(1) << 20)
#define MEMORY_MAX (INT64_C(1) << 50)

static const struct rule {
    const char *key, *field; /* of the flavor; of who asks */
    size_t offset;
    bool is_most, is_bytes;
} rules[] = {
    { "min_cores_per_gpu", "cpus", offsetof(struct flavor, min_cores_per_gpu), false, false },
    { "max_cores_per_gpu", "cpus", offsetof(struct flavor, max_cores_per_gpu), true, false },
    { "min_memory_per_gpu", "memory", offsetof(struct flavor, min_memory_per_gpu), false, true },
    { "max_memory_per_gpu", "memory", offsetof(struct flavor, max_memory_per_gpu), true, true },
};
enum { N_RULES = sizeof rules / sizeof *rules };

static int64_t value_of(const struct flavor *flavor, const struct rule *rule)
{
    return *(const int64_t *) (const void *) ((const char *) flavor + rule->offset);
}

/* Of PER_GPU, what so much of GPUs may or must have. A part of one has a whole core, and whole MiB; what is more than nothing of
 * these is not taken for too much, nor what is missing of them for too little. */
static int64_t limit_of(const struct rule *rule, int64_t per_gpu, unsigned gpu_milli)
{
    int64_t unit = rule->is_bytes ? MIB : 1;
    int64_t part = per_gpu * (gpu_milli % MILLI);

    if (rule->is_most)
        part += MILLI * unit - 1;
    return per_gpu * (gpu_milli / MILLI) + part / (MILLI * unit) * unit;
}

static const char *amount(const struct rule *rule, int64_t value, char buf[static 32])
{
    if (rule->is_bytes)
        return bytes_to_str(value, buf);
    (void) snprintf(buf, 32, "%" PRId64, value);
    return buf;
}

static int refuse(const struct flavor *flavor, const struct rule *rule,
                  const struct hardware_ask *ask, struct error *err)
{
    int64_t per_gpu = value_of(flavor, rule);
    char asked[32], each[32], limit[32], gpus[32];

    return error_set(err, -EINVAL, "%s: is %s with %s GPU%s; flavor %s has %s %s: ask for %s or %s",
                     rule->field,
                     amount(rule, rule->is_bytes ? ask->memory_bytes : ask->cores, asked),
                     milli_to_str(ask->gpu_milli, gpus), ask->gpu_milli == MILLI ? "" : "s",
                     flavor->name, rule->key, amount(rule, per_gpu, each),
                     amount(rule, limit_of(rule, per_gpu, ask->gpu_milli), limit),
                     !rule->is_most ? "more" : (rule->is_bytes ? "less" : "fewer"));
}

int flavor_check_ratio(const struct flavor *flavor, const struct hardware_ask *ask,
                       struct error *err)
{
    for (const struct rule *rule = rules; rule < rules + N_RULES && ask->gpu_milli; rule++) {
        int64_t per_gpu = value_of(flavor, rule);
        int64_t limit = limit_of(rule, per_gpu, ask->gpu_milli);
        int64_t asked = rule->is_bytes ? ask->memory_bytes : ask->cores;
        if (per_gpu && (rule->is_most ? asked > limit : asked < limit))
            return refuse(flavor, rule, ask, err);
    }
    return 0;
}

/* May GPUs that the flavor has be those that somebody means by MODEL? */
static bool may_be(const struct flavor *flavor, const char *model)
{
    const struct gpu gpu = { .model = flavor->gpu_model };

    return !flavor->gpu_model || gpu_is_model(&gpu, model);
}

const struct flavor *flavor_for(const struct flavor *const *flavors, size_t n,
                                const struct hardware_ask *ask)
{
    const struct flavor *found = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct flavor *flavor = flavors[i];
        if (ask->flavor && str_equal(flavor->name, ask->flavor))
            return flavor;
        bool is_part = flavor->gpu_milli > 0, asks_part = ask->gpu_milli % MILLI > 0;
        if (ask->flavor || flavor->gpus == 0 || is_part != asks_part ||
            (flavor->shared && !is_part) || !may_be(flavor, ask->gpu_model))
            continue;
        if (!found || (flavor_gpu_milli(flavor) == ask->gpu_milli &&
                       flavor_gpu_milli(found) != ask->gpu_milli))
            found = flavor;
    }
    return found;
}

unsigned flavor_gpu_milli(const struct flavor *flavor)
{
    return flavor->gpu_milli ? flavor->gpu_milli : flavor->gpus * MILLI;
}

int flavor_check_ratio_of(const struct flavor *const *flavors, size_t n,
                          const struct hardware_ask *ask, struct error *err)
{
    const struct flavor *flavor = ask->gpu_milli ? flavor_for(flavors, n, ask) : NULL;

    return flavor ? flavor_check_ratio(flavor, ask, err) : 0;
}

void flavor_put_ratio(json_t *json, const struct flavor *flavor)
{
    for (const struct rule *rule = rules; rule < rules + N_RULES; rule++)
        if (value_of(flavor, rule))
            json_put_int(json, rule->key, value_of(flavor, rule));
}

static int read_rule(const json_t *json, const struct rule *rule, struct flavor *flavor,
                     struct error *err)
{
    int64_t *value = (int64_t *) (void *) ((char *) flavor + rule->offset);
    int64_t most = rule->is_bytes ? MEMORY_MAX : CORES_MAX;
    char text[32];

    if (!json_object_get(json, rule->key))
        return 0;
    if (flavor->gpus == 0)
        return error_set(err, -EINVAL, "%s: is for flavors with GPUs; gpus is 0", rule->key);
    int r = rule->is_bytes ? flavor_read_bytes(json, rule->key, value, err) : 0;
    if (r < 0)
        return r;
    if (!rule->is_bytes)
        *value = json_get_int(json, rule->key, 0);
    if (*value < 1 || *value > most)
        return error_set(err, -EINVAL, "%s: must be %s to %s", rule->key,
                         rule->is_bytes ? "1 byte" : "1", amount(rule, most, text));
    return 0;
}

int flavor_read_ratio(const json_t *json, struct flavor *flavor, struct error *err)
{
    for (const struct rule *rule = rules; rule < rules + N_RULES; rule++) {
        int r = read_rule(json, rule, flavor, err);
        if (r < 0)
            return error_context(err, r, "flavor %s", flavor->name);
    }
    for (const struct rule *least = rules; least < rules + N_RULES; least += 2)
        if (value_of(flavor, least + 1) && value_of(flavor, least) > value_of(flavor, least + 1))
            return error_set(err, -EINVAL, "flavor %s: %s is more than %s", flavor->name,
                             least->key, least[1].key);
    const struct hardware_ask own = { .gpu_milli = flavor_gpu_milli(flavor),
                                      .cores = flavor->cores,
                                      .memory_bytes = flavor->memory_bytes };
    int r = flavor_check_ratio(flavor, &own, err);
    return r < 0 ? error_context(err, r, "flavor %s", flavor->name) : 0;
}
