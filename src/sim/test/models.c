/* Machines of a hardware file, by property: GPUs of several models in one machine, random requests for some of them. Who is placed has
 * GPUs that would do, whole or the part asked for; nobody is refused while a machine has them (counted naively). */
#include "sim/machines.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { MACHINES = 6, MODELS = 3, REQUESTS = 60 };

struct machine {
    unsigned n;
    unsigned model[CAPACITY_GPUS_MAX], left[CAPACITY_GPUS_MAX];
};

static struct machine machines[MACHINES];

static char *random_file(void)
{
    struct text out = { 0 };

    text_add(&out, "{ \"nodes\": [");
    for (unsigned i = 0; i < MACHINES; i++) {
        machines[i].n = random_below(CAPACITY_GPUS_MAX + 1);
        text_addf(&out,
                  "%s{ \"name\": \"n%u\", \"numas\": [{ \"id\": 0, \"cpus\": \"0-63\" }], "
                  "\"gpus\": [",
                  i ? ", " : "", i);
        for (unsigned k = 0; k < machines[i].n; k++) {
            machines[i].model[k] = random_below(MODELS);
            machines[i].left[k] = CAPACITY_GPU;
            text_addf(&out, "%s{ \"model\": \"m%u\" }", k ? ", " : "", machines[i].model[k]);
        }
        text_add(&out, "] }");
    }
    text_add(&out, "] }");
    return text_take(&out);
}

static int read_text(const char *text, struct capacity *capacity, struct machines_read *ret)
{
    FILE *file = fmemopen((void *) (uintptr_t) text, strlen(text), "r");
    const struct pack_file source = { .file = file, .name = "fleet.json" };
    struct error err = { 0 };

    int r = machines_read(ret, &source, capacity, &err);
    is_str(err.text, "");
    (void) fclose(file);
    return r;
}

/* MODELS: bits, as the test numbers them. */
static bool would_do(const struct machine *m, unsigned k, const struct ask *ask, unsigned models)
{
    return m->left[k] >= ask->gpu_milli && (!models || models >> m->model[k] & 1);
}

static bool fits(const struct machine *m, const struct ask *ask, unsigned models)
{
    unsigned n = 0;

    for (unsigned k = 0; k < m->n; k++)
        n += would_do(m, k, ask, models);
    return n >= ask->gpus;
}

static void arrive(struct capacity *capacity)
{
    static const uint16_t parts[] = { 250, 500, 1000 };
    unsigned models = random_below(1u << MODELS);
    struct ask ask = { .cpu_milli = 100, .gpus = (uint16_t) (1u << random_below(3)) };
    struct choice choice;

    ask.gpu_milli = ask.gpus == 1 ? parts[random_below(3)] : CAPACITY_GPU;
    for (unsigned i = 0; i < MODELS; i++) {
        const char name[] = { 'm', (char) ('0' + i), '\0' };
        ask.models |= models >> i & 1 ? capacity_model(capacity, name) : 0;
    }
    capacity_learn(capacity, &ask);
    if (!capacity_choose(capacity, &ask, &choice)) {
        for (unsigned i = 0; i < MACHINES; i++)
            ok(!fits(&machines[i], &ask, models));
        return;
    }
    capacity_take(capacity, &ask, &choice);
    struct machine *m = &machines[choice.node];
    ok((unsigned) __builtin_popcount(choice.gpus) == ask.gpus);
    for (unsigned k = 0; k < CAPACITY_GPUS_MAX; k++) {
        if (!(choice.gpus >> k & 1))
            continue;
        ok(k < m->n && would_do(m, k, &ask, models));
        m->left[k] -= ask.gpu_milli;
    }
}

TEST(who_asks_for_a_model_has_it_on_a_machine_of_several)
{
    for (unsigned world = 0; world < 120; world++) {
        _cleanup_(capacity_freep) struct capacity *capacity =
            capacity_new(world % 2 ? &score_yield : &score_best_fit);
        _cleanup_(machines_read_done) struct machines_read read = { 0 };
        _cleanup_free_ char *text = random_file();
        ok(read_text(text, capacity, &read) == 0);
        machines_tell_models(&read, capacity);
        for (unsigned i = 0; i < REQUESTS; i++)
            arrive(capacity);
    }
}

TEST(machines_stand_where_the_file_says)
{
    _cleanup_(capacity_freep) struct capacity *capacity = capacity_new(&score_yield);
    _cleanup_(machines_read_done) struct machines_read read = { 0 };

    ok(read_text(
           "{ \"machines\": { \"m\": { \"numas\": [{ \"id\": 0, \"cpus\": \"0\" }] } }, \"nodes\": "
           "[{ \"name\": \"x\", \"machine\": \"m\" }], \"sites\": [{ \"name\": \"s\", \"blocks\": "
           "[{ \"name\": \"b\", \"leaves\": [{ \"name\": \"l1\", \"nodes\": [{ \"name\": "
           "\"n[1-2]\", \"machine\": \"m\" }] }, { \"name\": \"l2\", \"nodes\": [{ \"name\": "
           "\"n3\", \"machine\": \"m\" }] }] }] }] }",
           capacity, &read) == 0);
    struct locality *locality = capacity_locality(capacity);
    ok(locality_domains(locality, LEVEL_SITE) == 2 && locality_domains(locality, LEVEL_BLOCK) == 2);
    ok(locality_domains(locality, LEVEL_LEAF) == 3 && read.models.len == 0);
}

TAP_MAIN
