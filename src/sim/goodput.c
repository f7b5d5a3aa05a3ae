/* goodput.c - one job and its failures, in virtual time */
#include "sim/goodput.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "sim/csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    KINDS_MAX = 10000,
    REPAIRS_MAX = 1024
}; /* machines under repair that are told apart in figures */

static const char *const detect_names[DETECT_MAX] = {
    [DETECT_PROCESS_EXIT] = "process_exit",
    [DETECT_GPU_LOST] = "gpu_lost",
    [DETECT_LINK_DOWN] = "link_down",
    [DETECT_NIC_CRASH] = "nic_crash",
    [DETECT_HOST_DOWN] = "host_down",
    [DETECT_HANG] = "hang",
    [DETECT_SILENT] = "silent",
};

const struct goodput_times goodput_defaults = {
    .detect = { [DETECT_PROCESS_EXIT] = 2,
                [DETECT_GPU_LOST] = 5,
                [DETECT_LINK_DOWN] = 10,
                [DETECT_NIC_CRASH] = 10,
                [DETECT_HOST_DOWN] = 15,
                [DETECT_HANG] = 60,
                [DETECT_SILENT] = 600 },
    .swap = 10,
    .restart = 60,
    .interval = 300,
    .stall = 2,
    .repair = 86400,
};

const char *goodput_detect_name(enum goodput_detect detect) { return detect_names[detect]; }

/* ---- the mix ----------------------------------------------------------------------------------------- */

enum { MIX_NAME, MIX_COUNT, MIX_ACTION, MIX_DETECT };
static const char *const mix_columns[] = { "component", "count", "?assumed_action",
                                           "?assumed_detect_class", NULL };

static int read_kind(const struct csv *csv, struct goodput_mix *mix, struct error *err)
{
    struct goodput_kind kind = { .detect = DETECT_GPU_LOST, .swaps = true };
    const char *detect = csv_field(csv, MIX_DETECT);
    int64_t count;

    int r = csv_int(csv, MIX_COUNT, 0, 1000000000, &count, err);
    if (r < 0)
        return r;
    kind.share = (double) count;
    kind.swaps = !str_equal(csv_field(csv, MIX_ACTION), "restart_in_place");
    if (*detect) {
        size_t i = 0;
        while (i < DETECT_MAX && !str_equal(detect_names[i], detect))
            i++;
        if (i == DETECT_MAX)
            return csv_wrong(csv, MIX_DETECT, "gpu_lost, host_down, hang, … (--help)", err);
        kind.detect = (enum goodput_detect) i;
    }
    if (mix->len == KINDS_MAX)
        return csv_wrong(csv, MIX_NAME, "one of at most 10,000 kinds", err);
    vec_push(mix, kind);
    return 0;
}

int goodput_read(const struct pack_file *file, struct goodput_mix *ret, struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = NULL;
    double sum = 0;
    int r = csv_new(file->file, file->name, mix_columns, &csv, err);

    while (r >= 0 && (r = csv_next(csv, err)) > 0)
        r = read_kind(csv, ret, err);
    vec_foreach(ret, kind)
        sum += kind->share;
    if (r >= 0 && sum < 1)
        r = error_set(err, -EBADMSG, "%s: counts no failure", file->name);
    vec_foreach(ret, kind)
        kind->share = sum >= 1 ? kind->share / sum : 0;
    return r;
}

/* ---- a run ------------------------------------------------------------------------------------------- */

struct run {
    const struct goodput_options *o;
    const struct goodput_mix *mix;
    uint64_t state;
    double now, end;
    double next_failure;
    double good, stalled;
    double detect, swap, wait, restart, again;
    unsigned failures, swaps, waits;
    VEC(double) repairs;           /* when each is done, soonest first */
    double in_repair[REPAIRS_MAX]; /* time with so many */
    double counted;                /* up to here */
};

/* Steele, Lea, Flood: splittable pseudorandom number generators (OOPSLA'14); above 0, at most 1. */
static double random_part(struct run *x)
{
    uint64_t z = x->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double) (z >> 11) + 1) / 9007199254740992.0;
}

static void draw_failure(struct run *x)
{
    x->next_failure = x->now - log(random_part(x)) / (x->o->rate * x->o->nodes);
}

static const struct goodput_kind *draw_kind(struct run *x)
{
    double at = random_part(x);
    const struct goodput_kind *last = &x->mix->items[x->mix->len - 1];

    vec_foreach(x->mix, kind) {
        if (kind == last || at <= kind->share)
            return kind;
        at -= kind->share;
    }
    return last;
}

static void count_repairs(struct run *x, double until)
{
    size_t n = x->repairs.len < REPAIRS_MAX ? x->repairs.len : REPAIRS_MAX - 1;

    if (until > x->counted)
        x->in_repair[n] += until - x->counted;
    x->counted = until > x->counted ? until : x->counted;
}

static void finish_repairs(struct run *x)
{
    while (x->repairs.len > 0 && x->repairs.items[0] <= x->now) {
        count_repairs(x, x->repairs.items[0]);
        vec_remove(&x->repairs, 0);
    }
    count_repairs(x, x->now);
}

/* Train until the next failure: intervals and stalls; what the last checkpoint does not hold is lost. */
static void train(struct run *x)
{
    const struct goodput_times *t = &x->o->times;
    double until = x->next_failure < x->end ? x->next_failure : x->end, span = until - x->now;
    double cycles = floor(span / (t->interval + t->stall));
    double rest = span - cycles * (t->interval + t->stall);
    double trained = rest < t->interval ? rest : t->interval;

    x->good += cycles * t->interval;
    x->stalled += cycles * t->stall + (rest - trained);
    if (until < x->end)
        x->again += trained;
    else
        x->good += trained;
    x->now = until;
}

/* SPAN passes without training; what does not train does not fail here. */
static void pass(struct run *x, double span, double *into)
{
    *into += span;
    x->now += span;
}

/* Without spares the broken machine itself is waited for. */
static void take_spare(struct run *x)
{
    const struct goodput_options *o = x->o;

    x->swaps++;
    finish_repairs(x);
    if (o->spares == 0) {
        x->waits++;
        pass(x, o->times.repair, &x->wait);
        return;
    }
    if (o->spares > 0 && x->repairs.len >= (size_t) o->spares) {
        x->waits++;
        pass(x, x->repairs.items[0] - x->now, &x->wait);
        finish_repairs(x);
    }
    vec_push(&x->repairs, x->now + o->times.repair);
    pass(x, o->times.swap, &x->swap);
}

static void fail(struct run *x)
{
    const struct goodput_kind *kind = draw_kind(x);

    x->failures++;
    pass(x, x->o->times.detect[kind->detect], &x->detect);
    if (kind->swaps)
        take_spare(x);
    pass(x, x->o->times.restart, &x->restart);
    draw_failure(x);
}

static void run_one(struct run *x)
{
    draw_failure(x);
    while (x->now < x->end) {
        train(x);
        if (x->now < x->end)
            fail(x);
    }
    finish_repairs(x);
}

/* ---- figures ----------------------------------------------------------------------------------------- */

struct sums {
    double ettr, squares, time;
    double in_repair[REPAIRS_MAX];
};

static void add_run(const struct run *x, struct sums *sums, struct goodput_figures *f)
{
    double ettr = x->good / x->now;

    sums->ettr += ettr;
    sums->squares += ettr * ettr;
    sums->time += x->now;
    for (size_t i = 0; i < REPAIRS_MAX; i++)
        sums->in_repair[i] += x->in_repair[i];
    f->failures += x->failures;
    f->swaps += x->swaps;
    f->waits += x->waits;
    f->lost_detect += x->detect;
    f->lost_swap += x->swap;
    f->lost_wait += x->wait;
    f->lost_restart += x->restart;
    f->lost_again += x->again;
    f->lost_stall += x->stalled;
}

/* No more than the result are under repair in PART of the time. */
static unsigned quantile(const struct sums *sums, double part)
{
    double all = 0, below = 0;
    unsigned n = 0;

    for (size_t i = 0; i < REPAIRS_MAX; i++)
        all += sums->in_repair[i];
    while (n < REPAIRS_MAX - 1 && (below += sums->in_repair[n]) < part * all)
        n++;
    return n;
}

static double mean_unavailable(const struct goodput_options *o, const struct goodput_mix *mix)
{
    double u = o->times.restart;

    vec_foreach(mix, kind)
        u += kind->share * (o->times.detect[kind->detect] + (kind->swaps ? o->times.swap : 0));
    return u;
}

/* Daly, "A higher order estimate of the optimum checkpoint interval", FGCS 22 (2006), equation 37. */
static double daly(double stall, double mtbf)
{
    if (stall >= 2 * mtbf)
        return mtbf;
    double ratio = sqrt(stall / (2 * mtbf));
    return sqrt(2 * stall * mtbf) * (1 + ratio / 3 + stall / (2 * mtbf) / 9) - stall;
}

static void conclude(const struct goodput_options *o, const struct goodput_mix *mix,
                     const struct sums *sums, struct goodput_figures *f)
{
    double n = o->seeds, failing = o->rate * o->nodes;
    double spread = sums->squares / n - (sums->ettr / n) * (sums->ettr / n);

    f->ettr = sums->ettr / n;
    f->ettr_sd = spread > 0 ? sqrt(spread) : 0;
    f->formula = (1 - failing * (mean_unavailable(o, mix) + o->times.interval / 2)) /
                 (1 + o->times.stall / o->times.interval);
    f->failures /= n;
    f->swaps /= n;
    f->waits /= n;
    double *const parts[] = { &f->lost_detect,  &f->lost_swap,  &f->lost_wait,
                              &f->lost_restart, &f->lost_again, &f->lost_stall };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        *parts[i] /= sums->time;
    f->spares_p99 = quantile(sums, 0.99);
    f->spares_p999 = quantile(sums, 0.999);
    f->young = sqrt(2 * o->times.stall / failing);
    f->daly = daly(o->times.stall, 1 / failing);
}

void goodput_run(const struct goodput_options *options, const struct goodput_mix *mix,
                 struct goodput_figures *ret)
{
    _cleanup_free_ struct sums *sums = xnew(struct sums);

    *ret = (struct goodput_figures){ 0 };
    for (unsigned seed = 0; seed < options->seeds; seed++) {
        struct run *x = xnew(struct run);
        x->o = options;
        x->mix = mix;
        x->state = seed + 1;
        x->end = options->days * 86400;
        run_one(x);
        add_run(x, sums, ret);
        vec_done(&x->repairs);
        free(x);
    }
    conclude(options, mix, sums, ret);
}
