/* simulate-turnover.c - `berth simulate turnover`: how often is there no machine for a large request? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/text.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: berth simulate turnover --nodes 60x8 [--sizes 1:50,2:20,4:20,8:10] [--load 85]\n"
    "                               [--requests N] [--runs N] [-o table|json|yaml]\n\n"
    "Requests for GPUs come at random, stay for a random time and leave; one that no machine holds is\n"
    "refused. How many of each size are, by the rule that chooses machines?\n\n"
    "  --nodes NxG     N machines of G GPUs, 1 to 16\n"
    "  --sizes LIST    GPUs of a request and how often: 1:50,8:10\n"
    "  --load N        GPUs in use if nobody were refused, in percent of all\n"
    "  --requests N    of a run, which begins with empty machines (10000)\n"
    "  --runs N        with other chance each (10)\n"
    "  -o FORM         table (default), json or yaml\n\n"
    "Rules: `spread` takes the machine with the most free, `random` any; for the others see\n"
    "`berth simulate pack --help`.\n\n"
    "Exit code: 0; 2 usage.\n";

void admin_simulate_turnover_help(struct text *out) { text_add(out, usage); }

struct options {
    struct turnover_options turnover;
    const char *form;
};

/* "50" up to the first of ENDS. */
static bool read_number(const char **at, const char *ends, long long max, unsigned *ret)
{
    char digits[16];
    size_t n = strcspn(*at, ends);
    long long number;

    if (n == 0 || n >= sizeof digits)
        return false;
    (void) snprintf(digits, sizeof digits, "%.*s", (int) n, *at);
    if (str_to_i64(digits, 1, max, &number) < 0)
        return false;
    *ret = (unsigned) number;
    *at += n;
    return true;
}

static bool read_nodes(const char *text, struct turnover_options *o)
{
    return read_number(&text, "x", 10000, &o->machines) && *text++ == 'x' &&
           read_number(&text, "", CAPACITY_GPUS_MAX, &o->gpus);
}

static bool read_sizes(const char *text, struct turnover_options *o)
{
    for (o->n_sizes = 0; o->n_sizes < TURNOVER_SIZES_MAX; text++) {
        unsigned *gpus = &o->sizes[o->n_sizes].gpus, *weight = &o->sizes[o->n_sizes].weight;
        if (!read_number(&text, ":", CAPACITY_GPUS_MAX, gpus) || *text++ != ':' ||
            !read_number(&text, ",", 1000000, weight))
            return false;
        o->n_sizes++;
        if (!*text)
            return true;
    }
    return false;
}

static bool sizes_fit(const struct turnover_options *o)
{
    for (unsigned i = 0; i < o->n_sizes; i++)
        if (o->sizes[i].gpus > o->gpus)
            return false;
    return true;
}

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct options *o = options;
    struct turnover_options *t = &o->turnover;
    const char *value;

    if ((value = option_value("--nodes", argc, argv, i)))
        return read_nodes(value, t);
    if ((value = option_value("--sizes", argc, argv, i)))
        return read_sizes(value, t);
    if ((value = option_value("--load", argc, argv, i)))
        return read_number(&value, "", 1000, &t->load);
    if ((value = option_value("--requests", argc, argv, i)))
        return read_number(&value, "", 10000000, &t->requests);
    if ((value = option_value("--runs", argc, argv, i)))
        return read_number(&value, "", 1000, &t->runs);
    if ((value = option_value("-o", argc, argv, i)))
        return option_is_form(o->form = value);
    return false;
}

static const char *check(void *options)
{
    const struct options *o = options;

    if (o->turnover.machines == 0)
        return "--nodes is missing";
    return sizes_fit(&o->turnover) ? NULL : "--sizes: no machine of --nodes has as many GPUs";
}

/* Hundredths of a percent, to the nearest. */
static long long part_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (long long) ((part * 20000 + whole) / (2 * whole)) : 0;
}

static void add_row(const struct options *o, const char *name, const struct turnover_figures *f,
                    struct text *table, json_t *json)
{
    const struct turnover_options *t = &o->turnover;
    json_t *row = json_object(), *sizes = json_array();
    uint64_t asked = 0, refused = 0;

    json_put_str(row, "rule", name);
    text_addf(table, "%-10s", name);
    for (unsigned i = 0; i < t->n_sizes; i++) {
        json_t *size = json_object();
        long long part = part_of(f->refused[i], f->asked[i]);
        json_put_int(size, "gpus", t->sizes[i].gpus);
        json_put_int(size, "asked", (int64_t) f->asked[i]);
        json_put_int(size, "refused", (int64_t) f->refused[i]);
        (void) json_array_append_new(sizes, size);
        text_addf(table, " %6lld.%02lld %%", part / 100, part % 100);
        asked += f->asked[i] * t->sizes[i].gpus;
        refused += f->refused[i] * t->sizes[i].gpus;
    }
    (void) json_object_set_new(row, "sizes", sizes);
    (void) json_array_append_new(json, row);
    text_addf(table, " %6lld.%02lld %%\n", part_of(refused, asked) / 100,
              part_of(refused, asked) % 100);
}

static int run(const void *options, struct error *err)
{
    const struct options *o = options;
    _cleanup_json_ json_t *json = json_array();
    _cleanup_text_ struct text table = { 0 };
    struct turnover_figures f;

    text_addf(&table, "%-10s", "refused of");
    for (unsigned i = 0; i < o->turnover.n_sizes; i++)
        text_addf(&table, "  %5u GPUs", o->turnover.sizes[i].gpus);
    text_add(&table, "    all GPUs\n");
    for (const struct score *const *score = scores; *score; score++) {
        turnover_run(&o->turnover, TURNOVER_SCORE, *score, &f);
        add_row(o, (*score)->name, &f, &table, json);
    }
    turnover_run(&o->turnover, TURNOVER_RANDOM, &score_first_fit, &f);
    add_row(o, "random", &f, &table, json);
    turnover_run(&o->turnover, TURNOVER_SPREAD, &score_first_fit, &f);
    add_row(o, "spread", &f, &table, json);
    return simulate_print(json, &table, o->form);
}

int admin_simulate_turnover(int argc, char **argv)
{
    struct options o = {
        .turnover = { .sizes = { { 1, 50 }, { 2, 20 }, { 4, 20 }, { 8, 10 } },
                      .n_sizes = 4,
                      .load = 85,
                      .requests = 10000,
                      .runs = 10 },
        .form = "table",
    };

    return simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv,
                         &o);
}
