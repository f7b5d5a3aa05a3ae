/* simulate-pack.c - `berth simulate pack`: how full do machines get? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/alloc.h"
#include "base/text.h"
#include "placement/placement.h"
#include "sim/sim.h"

#include <stdlib.h>

static const char usage[] =
    "Usage: berth simulate pack --nodes NODES.csv --arrivals SEQ.csv [--out PLACEMENT.csv]\n"
    "                           [--score NAME] [-o table|json|yaml]\n\n"
    "Fills machines with requests in the order in which they arrive; nobody leaves, and a request\n"
    "that no machine holds is refused. `-` is stdin or stdout.\n\n"
    "  --nodes FILE      machines: columns sn, cpu_milli, memory_mib, gpu (how many), model; or the\n"
    "                    hardware of a fleet in JSON\n"
    "  --arrivals FILE   requests: idx, cpu_milli, memory_mib, num_gpu, gpu_milli (of each GPU, 1 to\n"
    "                    1000) and, if need be, gpu_spec (models that would do: A100|H100)\n"
    "  --out FILE        where each went: idx, node_sn (empty: refused), gpu_ids (0-3-4)\n"
    "  --score NAME      what makes one place better than another: yield (default), fgd, best-fit,\n"
    "                    first-fit\n"
    "  -o FORM           of the summary: table (default), json or yaml\n\n"
    "Exit code: 0; 1 when a file is wrong, with line and column; 2 usage.\n";

void admin_simulate_pack_help(struct text *out) { text_add(out, usage); }

struct pack_options {
    const char *nodes, *arrivals, *out, *score, *form;
};

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct pack_options *o = options;
    const char *value;

    if ((value = option_value("--nodes", argc, argv, i)))
        return (o->nodes = value);
    if ((value = option_value("--arrivals", argc, argv, i)))
        return (o->arrivals = value);
    if ((value = option_value("--out", argc, argv, i)))
        return (o->out = value);
    if ((value = option_value("--score", argc, argv, i)))
        return score_find(o->score = value);
    if ((value = option_value("-o", argc, argv, i)))
        return option_is_form(o->form = value);
    return false;
}

static const char *check(void *options)
{
    const struct pack_options *o = options;

    return !o->nodes ? "--nodes is missing" : !o->arrivals ? "--arrivals is missing" : NULL;
}

static json_t *counts_to_json(const struct pack_counts *counts, const char *score)
{
    json_t *json = json_object();

    json_put_str(json, "score", score);
    json_put_int(json, "arrived", (int64_t) counts->n_arrived);
    json_put_int(json, "placed", (int64_t) counts->n_placed);
    json_put_int(json, "refused", (int64_t) counts->n_refused);
    json_put_int(json, "gpu_milli", counts->gpu_milli);
    json_put_int(json, "gpu_milli_arrived", counts->gpu_milli_arrived);
    json_put_int(json, "gpu_milli_allocated", counts->gpu_milli_taken);
    return json;
}

/* PART of WHOLE as "95.43 %", rounded down. */
static void add_part(struct text *out, int64_t part, int64_t whole)
{
    int64_t hundredths = whole > 0 ? part * 10000 / whole : 0;

    text_addf(out, "%lld.%02lld %%", (long long) (hundredths / 100),
              (long long) (hundredths % 100));
}

static void add_table(struct text *out, const struct pack_counts *counts, const char *score)
{
    text_addf(out, "score      %s\nrequests   %llu placed, %llu refused\nGPUs       ", score,
              (unsigned long long) counts->n_placed, (unsigned long long) counts->n_refused);
    add_part(out, counts->gpu_milli_taken, counts->gpu_milli);
    text_addf(out, " of %lld allocated; ", (long long) (counts->gpu_milli / CAPACITY_GPU));
    add_part(out, counts->gpu_milli_arrived, counts->gpu_milli);
    text_add(out, " were asked for\n");
}

static int run(const void *options, struct error *err)
{
    const struct pack_options *o = options;
    _cleanup_(simulate_closep) FILE *nodes = NULL;
    _cleanup_(simulate_closep) FILE *arrivals = NULL;
    _cleanup_(simulate_closep) FILE *out = NULL;
    int r = simulate_open(o->nodes, "re", &nodes, err);

    if (r >= 0)
        r = simulate_open(o->arrivals, "re", &arrivals, err);
    if (r >= 0 && o->out)
        r = simulate_open(o->out, "we", &out, err);
    if (r < 0)
        return r;
    const struct pack_file files[] = { { nodes, o->nodes },
                                       { arrivals, o->arrivals },
                                       { out, o->out } };
    struct pack_counts counts;
    r = pack_run(&files[0], &files[1], &files[2], score_find(o->score), &counts, err);
    if (r < 0 || out == stdout)
        return r;
    _cleanup_json_ json_t *json = counts_to_json(&counts, o->score);
    _cleanup_text_ struct text table = { 0 };
    add_table(&table, &counts, o->score);
    return simulate_print(json, &table, o->form);
}

int admin_simulate_pack(int argc, char **argv)
{
    struct pack_options o = { .score = score_yield.name, .form = "table" };

    return simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv,
                         &o);
}
