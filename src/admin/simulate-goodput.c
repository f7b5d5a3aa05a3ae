/* simulate-goodput.c - `berth simulate goodput`: what do failures cost a large job, and what would help? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "sim/sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 86400 };

static const char usage[] =
    "Usage: berth simulate goodput --nodes N --mix FILE.csv [--rate R] [--spares N] [--days N] [--seeds N]\n"
    "                              [--checkpoint TIME] [--stall TIME] [--restart TIME] [--swap TIME]\n"
    "                              [--repair TIME] [--detect CLASS=TIME]... [-o table|json|yaml]\n\n"
    "One training job on N machines that fail now and then: how much of the time does it get on (ETTR),\n"
    "what takes the rest, how many spares does it want, and how often should it write checkpoints?\n\n"
    "  --nodes N            machines of the job\n"
    "  --mix FILE           kinds of failures: columns component, count and, if need be,\n"
    "                       assumed_action (restart_in_place: no machine broke), assumed_detect_class\n"
    "  --rate R             failures of 1,000 machines a day (3.79)\n"
    "  --spares N           machines that stand by; without it as many as it takes\n"
    "  --days N, --seeds N  how long a run is, and how many there are (54, 20)\n"
    "  --checkpoint TIME    between two checkpoints (5m)\n"
    "  --stall TIME         training stands still for one (2s)\n"
    "  --restart TIME       of the job (60s)\n"
    "  --swap TIME          of a machine for a spare (10s)\n"
    "  --repair TIME        until a broken machine is a spare (24h)\n"
    "  --detect CLASS=TIME  until a failure is known: process_exit 2s, gpu_lost 5s, link_down 10s,\n"
    "                       nic_crash 10s, host_down 15s, hang 60s, silent 10m\n"
    "  -o FORM              table (default), json or yaml\n\n"
    "Exit code: 0; 1 when the file is wrong, with line and column; 2 usage.\n";

void admin_simulate_goodput_help(struct text *out) { text_add(out, usage); }

struct options {
    struct goodput_options goodput;
    const char *mix, *form;
};

static bool read_span(const char *text, double *ret)
{
    long long seconds;

    if (str_to_seconds(text, &seconds) < 0 || seconds > 3660LL * DAY_S)
        return false;
    *ret = (double) seconds;
    return true;
}

/* "gpu_lost=10s" */
static bool read_detect(const char *text, struct goodput_times *times)
{
    for (int i = 0; i < DETECT_MAX; i++) {
        const char *name = goodput_detect_name((enum goodput_detect) i);
        size_t n = strlen(name);
        if (strncmp(text, name, n) == 0 && text[n] == '=')
            return read_span(text + n + 1, &times->detect[i]);
    }
    return false;
}

static bool read_count(const char *text, long long min, long long max, double *ret)
{
    long long count;

    if (str_to_i64(text, min, max, &count) < 0)
        return false;
    *ret = (double) count;
    return true;
}

/* "3.79", of 1,000 machines a day */
static bool read_rate(const char *text, double *ret)
{
    char *end;
    double rate = strtod(text, &end);

    if (end == text || *end || !(rate > 0) || rate > 1e6)
        return false;
    *ret = rate / 1000 / DAY_S;
    return true;
}

static bool read_time(int argc, char **argv, int *i, struct goodput_times *times)
{
    const struct {
        const char *flag;
        double *time;
    } spans[] = { { "--checkpoint", &times->interval },
                  { "--stall", &times->stall },
                  { "--restart", &times->restart },
                  { "--swap", &times->swap },
                  { "--repair", &times->repair } };
    const char *value;

    for (size_t s = 0; s < sizeof spans / sizeof *spans; s++)
        if ((value = option_value(spans[s].flag, argc, argv, i)))
            return read_span(value, spans[s].time);
    if ((value = option_value("--detect", argc, argv, i)))
        return read_detect(value, times);
    return false;
}

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct options *o = options;
    struct goodput_options *g = &o->goodput;
    double count = 0;
    const char *value;

    if ((value = option_value("--mix", argc, argv, i)))
        return (o->mix = value);
    if ((value = option_value("-o", argc, argv, i)) && option_is_form(value))
        return (o->form = value);
    if ((value = option_value("--rate", argc, argv, i)))
        return read_rate(value, &g->rate);
    if ((value = option_value("--days", argc, argv, i)))
        return read_count(value, 1, 3660, &g->days);
    if ((value = option_value("--nodes", argc, argv, i))) {
        bool good = read_count(value, 1, 1000000, &count);
        g->nodes = (unsigned) count;
        return good;
    }
    if ((value = option_value("--seeds", argc, argv, i))) {
        bool good = read_count(value, 1, 1000, &count);
        g->seeds = (unsigned) count;
        return good;
    }
    if ((value = option_value("--spares", argc, argv, i))) {
        bool good = read_count(value, 0, 100000, &count);
        g->spares = (int) count;
        return good;
    }
    return read_time(argc, argv, i, &g->times);
}

static const char *check(void *options)
{
    const struct options *o = options;

    if (!o->mix || o->goodput.nodes == 0)
        return o->mix ? "--nodes is missing" : "--mix is missing";
    return o->goodput.times.interval >= 1 ? NULL : "--checkpoint must be 1s or longer";
}

/* ---- what each time is worth -------------------------------------------------------------------------- */

static const char *const sensitive[] = { "detect",     "swap",  "restart",
                                         "checkpoint", "stall", "repair" };
enum { SENSITIVE = sizeof sensitive / sizeof *sensitive };

static void scale(struct goodput_times *times, size_t which, double by)
{
    double *const fields[SENSITIVE] = {
        NULL, &times->swap, &times->restart, &times->interval, &times->stall, &times->repair
    };

    for (int i = 0; which == 0 && i < DETECT_MAX; i++)
        times->detect[i] *= by;
    if (which > 0)
        *fields[which] *= by;
}

static double ettr_with(const struct options *o, const struct goodput_mix *mix, size_t which,
                        double by)
{
    struct goodput_options changed = o->goodput;
    struct goodput_figures f;

    scale(&changed.times, which, by);
    goodput_run(&changed, mix, &f);
    return f.ettr;
}

/* ---- out -------------------------------------------------------------------------------------------------- */

/* To five digits: more is chance. */
static void put_part(json_t *json, const char *key, double value)
{
    json_put(json, key, json_real(round(value * 100000) / 100000));
}

static json_t *figures_to_json(const struct options *o, const struct goodput_mix *mix,
                               const struct goodput_figures *f)
{
    json_t *json = json_object(), *lost = json_object(), *times = json_object();

    json_put_int(json, "nodes", o->goodput.nodes);
    put_part(json, "ettr", f->ettr);
    put_part(json, "ettr_sd", f->ettr_sd);
    put_part(json, "formula", f->formula);
    put_part(json, "failures", f->failures);
    put_part(json, "swaps", f->swaps);
    put_part(json, "waits_for_spare", f->waits);
    put_part(lost, "detect", f->lost_detect);
    put_part(lost, "swap", f->lost_swap);
    put_part(lost, "wait_for_spare", f->lost_wait);
    put_part(lost, "restart", f->lost_restart);
    put_part(lost, "done_again", f->lost_again);
    put_part(lost, "checkpoints", f->lost_stall);
    json_put(json, "lost", lost);
    json_put_int(json, "under_repair_p99", f->spares_p99);
    json_put_int(json, "under_repair_p999", f->spares_p999);
    json_put_int(json, "checkpoint_young", (int64_t) (f->young + 0.5));
    json_put_int(json, "checkpoint_daly", (int64_t) (f->daly + 0.5));
    for (size_t i = 0; i < SENSITIVE; i++) {
        json_t *one = json_object();
        put_part(one, "half", ettr_with(o, mix, i, 0.5));
        put_part(one, "twice", ettr_with(o, mix, i, 2));
        json_put(times, sensitive[i], one);
    }
    json_put(json, "ettr_with", times);
    return json;
}

static double part_of(const json_t *json, const char *key)
{
    return 100 * json_real_value(json_object_get(json, key));
}

static void add_table(struct text *out, const json_t *json)
{
    json_t *lost = json_object_get(json, "lost"), *with = json_object_get(json, "ettr_with");
    const char *key;
    json_t *value;

    text_addf(out, "gets on            %.2f %% of the time (+- %.2f), by the formula %.2f %%\n",
              part_of(json, "ettr"), part_of(json, "ettr_sd"), part_of(json, "formula"));
    text_addf(out, "failures           %.0f a run, %.0f of them broke a machine\n",
              part_of(json, "failures") / 100, part_of(json, "swaps") / 100);
    text_addf(out, "under repair       at most %lld in 99 %% of the time, %lld in 99.9 %%\n",
              (long long) json_get_int(json, "under_repair_p99", 0),
              (long long) json_get_int(json, "under_repair_p999", 0));
    text_addf(out, "best checkpoint    every %lld s (Young), %lld s (Daly)\n\nlost to\n",
              (long long) json_get_int(json, "checkpoint_young", 0),
              (long long) json_get_int(json, "checkpoint_daly", 0));
    json_object_foreach(lost, key, value)
        text_addf(out, "  %-16s %6.2f %%\n", key, 100 * json_real_value(value));
    text_add(out, "\nif this took        half      twice\n");
    json_object_foreach(with, key, value)
        text_addf(out, "  %-14s %6.2f %%  %6.2f %%\n", key, part_of(value, "half"),
                  part_of(value, "twice"));
}

static int run(const void *options, struct error *err)
{
    const struct options *o = options;
    _cleanup_(simulate_closep) FILE *file = NULL;
    struct goodput_mix mix = { 0 };
    struct goodput_figures figures;
    int r = simulate_open(o->mix, "re", &file, err);

    if (r >= 0)
        r = goodput_read(&(const struct pack_file){ file, o->mix }, &mix, err);
    if (r >= 0) {
        _cleanup_text_ struct text table = { 0 };
        goodput_run(&o->goodput, &mix, &figures);
        _cleanup_json_ json_t *json = figures_to_json(o, &mix, &figures);
        add_table(&table, json);
        r = simulate_print(json, &table, o->form);
    }
    vec_done(&mix);
    return r;
}

int admin_simulate_goodput(int argc, char **argv)
{
    struct options o = { .goodput = { .seeds = 20,
                                      .spares = -1,
                                      .rate = 3.79 / 1000 / DAY_S,
                                      .days = 54,
                                      .times = goodput_defaults },
                         .form = "table" };

    return simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv,
                         &o);
}
